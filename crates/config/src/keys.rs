//! The one table of every key a file may have.
//!
//! The reader refuses what has no row here, the schema and the reference pages are made from it. A key that
//! is read without a row, or has a row and is never read, stops a test. Each row says what becomes of the key on AWS.

use watchbell_model::Unit;

use OnAws::{AsTable, Difference, Only, Refused, Same};

/// What may be written under a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// The version of the file's format.
    Version,
    /// A string.
    Text,
    /// A string that is a path, relative to the file's folder or absolute.
    Path,
    /// A string that is a web address.
    Url,
    /// A string that is an IP address and a port.
    SocketAddress,
    /// A string that is a whole number and a unit.
    Duration,
    /// A string that is a whole number of bytes and a unit.
    Size,
    /// A string that is a share in percent.
    Percent,
    /// A string that says how many in a second or in a minute.
    Rate,
    /// A string that says how many bytes in a second.
    SizeRate,
    /// A string that is a time of day.
    Clock,
    /// A string that is a date.
    Date,
    /// A positive integer.
    Count,
    /// Yes or no.
    Flag,
    /// Lines of a test: strings, or tables with the keys below this one.
    Lines,
    /// A string that compares with a number.
    Condition,
    /// A string that says how many out of how many.
    Datapoints,
    /// A string out of these.
    OneOf(&'static [&'static str]),
    /// A string or an array of strings.
    Texts,
    /// A string that is a statistic.
    Statistic,
    /// A string that is metric math.
    MetricMath,
    /// A string that is the rule of a composite alarm.
    AlarmRule,
    /// A string that says when windows begin.
    Schedule,
    /// A string, a number, true or false.
    Scalar,
    /// An integer or a float.
    Number,
    /// A number, or a string that is a number or a selector.
    NumberOrSelector,
    /// A reference to a secret.
    Secret,
    /// A web address, or a reference to a secret one.
    UrlOrSecret,
    /// A table with the keys below this one.
    Table,
    /// A table with the keys below this one, or an array of them.
    Tables,
    /// A string out of these, or a table with the keys below this one.
    OneOfOrTable(&'static [&'static str]),
    /// A table whose keys are names chosen by the user.
    Named,
    /// Part of the design, refused by this version.
    Unavailable,
}

impl Kind {
    /// What messages say is expected, with its article.
    pub(crate) fn expected(self) -> String {
        let expected = match self {
            Kind::Version => "the integer 1",
            Kind::Text => "a string",
            Kind::Path => "a string with a path",
            Kind::Url => "a string with a web address",
            Kind::SocketAddress => "a string such as \"127.0.0.1:8420\"",
            Kind::Duration => "a duration such as \"30s\", \"5m\" or \"1h\"",
            Kind::Size => "a size such as \"512MiB\" or \"10GiB\"",
            Kind::Percent => "a share such as \"60%\"",
            Kind::Rate => "a rate such as \"100/s\" or \"6000/min\"",
            Kind::SizeRate => "a rate such as \"1MiB/s\"",
            Kind::Clock => "a time of day such as \"12:00:30\"",
            Kind::Date => "a string with a date such as \"2026-11-22\"",
            Kind::Count => "a positive integer",
            Kind::Flag => "true or false",
            Kind::Lines => "a line such as \"12:00:00 GROUP text\", a table, or an array of them",
            Kind::Condition => "a string such as \">= 10\"",
            Kind::Datapoints => "a string such as \"2 of 3\"",
            Kind::OneOf(words) => return format!("one of {}", quoted(words)),
            Kind::Texts => "a string or an array of strings",
            Kind::Statistic => "a statistic such as \"Sum\" or \"p99.9\"",
            Kind::MetricMath => "a string such as \"errors / requests * 100\"",
            Kind::AlarmRule => "a string such as 'ALARM(\"a\") AND NOT ALARM(\"b\")'",
            Kind::Schedule => "a string such as \"cron(0 2 * * *)\"",
            Kind::Scalar => "a string, a number, true or false",
            Kind::Number => "a number",
            Kind::NumberOrSelector => "a number or a selector such as \"$.size\"",
            Kind::Secret => "a reference to a secret such as { env = \"NAME\" }",
            Kind::UrlOrSecret => "a web address or a reference to a secret such as { env = \"NAME\" }",
            Kind::Table | Kind::Named => "a table",
            Kind::OneOfOrTable(words) => return format!("one of {} or a table", quoted(words)),
            Kind::Tables => "a table or an array of tables",
            Kind::Unavailable => "absent",
        };
        expected.into()
    }
}

/// `"a", "b"`.
pub(crate) fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

/// Whether a key must be there, and what holds if it is not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Presence {
    /// It must be there.
    Required,
    /// It may be absent; nothing stands for it, or what its doc says.
    Optional,
    /// It may be absent; this stands for it, as it would be written.
    Default(&'static str),
}

/// What becomes of a key on AWS.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OnAws {
    /// The same as here.
    Same,
    /// What becomes of the table it stands in.
    AsTable,
    /// Something else: what. A file that has it and is for AWS gets a note.
    Difference(&'static str),
    /// Nothing that would do: why. A file that has it cannot be for AWS.
    Refused(&'static str),
    /// It is only for AWS.
    Only,
}

/// One row: a key and what is known about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    /// Where it stands; `*` is a name chosen by the user: `alarms.*.period`.
    pub path: &'static str,
    /// What may be written there.
    pub kind: Kind,
    /// Whether it must be there.
    pub presence: Presence,
    /// What it means, in one line. For an unavailable key, what it will be.
    pub doc: &'static str,
    /// What becomes of it on AWS.
    pub on_aws: OnAws,
    /// What `watchbell up` of this version does instead of acting on it, if it does not.
    pub gap: Option<&'static str>,
}

impl Key {
    /// The last part of its path.
    pub fn name(&self) -> &'static str {
        self.path.rsplit('.').next().expect("split gives at least one piece")
    }

    /// The path of the table it stands in; empty for the file itself.
    pub fn parent(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(parent, _)| parent)
    }

    /// Whether this version reads it.
    pub fn is_available(&self) -> bool {
        self.kind != Kind::Unavailable
    }

    /// What to write where it is missing.
    pub(crate) fn hint(&self) -> String {
        format!("{}: {}; write {}", self.name(), self.doc, self.kind.expected())
    }
}

/// The row of `name` in the table at `parent`.
pub(crate) fn find(parent: &str, name: &str) -> Option<&'static Key> {
    children(parent).find(|key| key.name() == name)
}

/// The rows of the keys that may stand in the table at `parent`.
pub(crate) fn children(parent: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.parent() == parent)
}

/// A name as it is written in a table's header: bare if TOML allows it, else quoted.
pub(crate) fn spell(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare { name.into() } else { crate::problem::quote(name) }
}

const fn required(path: &'static str, kind: Kind, doc: &'static str, on_aws: OnAws) -> Key {
    Key { path, kind, presence: Presence::Required, doc, on_aws, gap: None }
}

const fn optional(path: &'static str, kind: Kind, doc: &'static str, on_aws: OnAws) -> Key {
    Key { path, kind, presence: Presence::Optional, doc, on_aws, gap: None }
}

const fn default(
    path: &'static str,
    kind: Kind,
    value: &'static str,
    doc: &'static str,
    on_aws: OnAws,
) -> Key {
    Key { path, kind, presence: Presence::Default(value), doc, on_aws, gap: None }
}

/// The row of a key that `watchbell up` of this version does not act on.
const fn later(gap: &'static str, key: Key) -> Key {
    Key { gap: Some(gap), ..key }
}

const fn unavailable(path: &'static str, doc: &'static str) -> Key {
    let on_aws = Refused("it is not available in this version");
    Key { path, kind: Kind::Unavailable, presence: Presence::Optional, doc, on_aws, gap: None }
}

pub(crate) const PARSE_KINDS: &[&str] = &["plain", "json", "combined", "syslog", "logfmt"];
pub(crate) const TIMESTAMPS: &[&str] = &["line", "arrival"];
pub(crate) const STARTS: &[&str] = &["beginning", "end"];
pub(crate) const MULTILINE_PRESETS: &[&str] = &["java", "python", "go", "node", "rust", "dotnet"];
pub(crate) const LOW_SAMPLES: &[&str] = &["evaluate", "ignore"];
pub(crate) const MISSING_DATA: &[&str] = &["missing", "ignore", "breaching", "not_breaching"];
pub(crate) const SEVERITIES: &[&str] = &["info", "warning", "error", "critical"];

pub(crate) const TIERS: &[&str] = &["infrequent_access", "cold", "deep", "expire"];
pub(crate) const NATS: &[&str] = &["single", "per_zone"];

/// What can be read out of a text.
const PARSE_STEPS: &[&str] = &["json", "combined", "syslog", "logfmt"];
/// What a step of a function may be.
pub(crate) const STEPS: &[&str] = &["parse", "set", "rename", "drop", "lookup", "severity", "app"];
/// What a function may raise.
pub(crate) const RAISED: [&str; 2] = ["log_group", "metric"];
/// What an alarm may watch.
pub(crate) const WATCHED: &[&str] = &["metric_filter", "metric", "expression", "pattern", "heartbeat"];
/// What a name in metric math may stand for.
pub(crate) const MATH_METRIC: &[&str] = &["metric_filter", "metric"];
/// What the number of a fleet's instances may follow.
pub(crate) const SCALE_ON: &[&str] = &["cpu", "requests_per_instance", "log_bytes_per_instance"];
/// What maintenance may do.
pub(crate) const WORK: &[&str] = &["prune", "run", "patch"];

/// Tables that have exactly one of some keys.
pub(crate) const EXACTLY_ONE: &[(&str, &[&str])] = &[
    ("alarms.*", WATCHED),
    ("alarms.*.metrics.*", MATH_METRIC),
    ("log_groups.*.multiline", &["preset", "start"]),
    ("functions.*.steps", STEPS),
    ("functions.*.raise", &RAISED),
    ("fleet.*.scale_on", SCALE_ON),
    ("maintenance", WORK),
];

/// Every key, table by table, in the order in which the reference describes them.
pub const KEYS: &[Key] = &[
    required("version", Kind::Version, "the version of this file's format", Same),
    default(
        "data_dir",
        Kind::Path,
        "./data",
        "the folder that holds everything Watchbell writes",
        Difference("on instances the agent keeps what is to be shipped in /var/lib/watchbell"),
    ),
    //
    optional(
        "http",
        Kind::Table,
        "the HTTP server",
        Difference("not rendered: IAM and the VPC decide who may call"),
    ),
    default(
        "http.listen",
        Kind::SocketAddress,
        "127.0.0.1:8420",
        "the address it listens on; one that is not loopback needs tls, allow and a token",
        AsTable,
    ),
    optional("http.tls", Kind::Table, "speaks TLS with this certificate", AsTable),
    required(
        "http.tls.certificate",
        Kind::Path,
        "a PEM file: the certificate, then those between it and its authority; read again at a reload",
        AsTable,
    ),
    required(
        "http.tls.key",
        Kind::Path,
        "a PEM file: its private key, which only its owner and group may read",
        AsTable,
    ),
    optional(
        "http.allow",
        Kind::Texts,
        "the networks whose machines may connect, such as \"10.0.0.0/8\"; this machine always may",
        AsTable,
    ),
    //
    optional("log_groups", Kind::Named, "log groups, by name", Same),
    optional("log_groups.*", Kind::Table, "where a log group's events come from and how they are read", Same),
    optional("log_groups.*.files", Kind::Texts, "glob patterns of the files to follow", Same),
    optional(
        "log_groups.*.app",
        Kind::Text,
        "the application the logs belong to; if absent, the first part of the name",
        Difference("a partition of the archive, and this version writes no log events to the bucket"),
    ),
    default(
        "log_groups.*.parse",
        Kind::OneOf(PARSE_KINDS),
        "plain",
        "how lines are read; if absent, syslog with syslog, json with otlp",
        Same,
    ),
    optional(
        "log_groups.*.timestamp",
        Kind::OneOfOrTable(TIMESTAMPS),
        "where timestamps come from; if absent, arrival for plain lines, else the line",
        Difference("CloudWatch takes events of the last 14 days only, and up to 2 hours ahead"),
    ),
    optional(
        "log_groups.*.timestamp.format",
        Kind::Text,
        "how plain lines write their time, in directives of strptime",
        AsTable,
    ),
    optional(
        "log_groups.*.timestamp.after",
        Kind::Text,
        "the time begins after the first of these in the line; if absent, at its beginning",
        AsTable,
    ),
    default(
        "log_groups.*.timestamp.zone",
        Kind::Text,
        "UTC",
        "the IANA time zone of times that name none",
        AsTable,
    ),
    default(
        "log_groups.*.lateness",
        Kind::Duration,
        "10s",
        "how long after a period's end its events may still arrive",
        Difference("CloudWatch decides shortly after a period's end, whatever this says"),
    ),
    default(
        "log_groups.*.start",
        Kind::OneOf(STARTS),
        "beginning",
        "where reading begins in a file never seen before",
        Same,
    ),
    optional(
        "log_groups.*.multiline",
        Kind::OneOfOrTable(MULTILINE_PRESETS),
        "how lines are put together into events; if absent, each is one",
        Same,
    ),
    optional(
        "log_groups.*.multiline.preset",
        Kind::OneOf(MULTILINE_PRESETS),
        "stack traces of this language belong together",
        Same,
    ),
    optional(
        "log_groups.*.multiline.start",
        Kind::Text,
        "a regular expression that matches the first line of each event; has either this or preset",
        Same,
    ),
    default(
        "log_groups.*.multiline.timeout",
        Kind::Duration,
        "1s",
        "how long the last event of a file waits for more lines",
        Same,
    ),
    default("log_groups.*.multiline.lines_max", Kind::Count, "500", "most lines of an event", Same),
    optional("log_groups.*.syslog", Kind::Table, "messages of syslog that are sent to this machine", Same),
    required(
        "log_groups.*.syslog.listen",
        Kind::SocketAddress,
        "the address it listens on; one that is not loopback needs allow",
        Same,
    ),
    optional(
        "log_groups.*.syslog.transport",
        Kind::Texts,
        "how messages are sent: \"udp\", \"tcp\" or both, or \"tls\", also with \"udp\"; if absent, \"tls\" with tls, else both others",
        Same,
    ),
    optional("log_groups.*.syslog.tls", Kind::Table, "speaks TLS with this certificate", Same),
    required(
        "log_groups.*.syslog.tls.certificate",
        Kind::Path,
        "a PEM file: the certificate, then those between it and its authority; read again at a reload",
        Same,
    ),
    required(
        "log_groups.*.syslog.tls.key",
        Kind::Path,
        "a PEM file: its private key, which only its owner and group may read",
        Same,
    ),
    optional(
        "log_groups.*.syslog.allow",
        Kind::Texts,
        "the networks whose messages are taken, such as \"10.0.0.0/8\"; if absent, those of this machine",
        Same,
    ),
    optional("log_groups.*.journald", Kind::Table, "entries of the system's journal, by journalctl", Same),
    optional(
        "log_groups.*.journald.units",
        Kind::Texts,
        "only entries of these units; if absent, of all",
        Same,
    ),
    default("log_groups.*.journald.command", Kind::Text, "journalctl", "the program, or its path", Same),
    default(
        "log_groups.*.stdin",
        Kind::Flag,
        "false",
        "whether standard input of watchbell up is read",
        Refused("the agent on instances is a service, which has no standard input"),
    ),
    optional(
        "log_groups.*.otlp",
        Kind::Table,
        "log records of OpenTelemetry, over HTTP",
        Difference("not rendered: the agent on instances takes no records of OpenTelemetry"),
    ),
    required(
        "log_groups.*.otlp.service",
        Kind::Texts,
        "the services, by service.name, whose records it takes; * stands for any run of characters",
        AsTable,
    ),
    later(
        "it keeps events as [journal] says, and in the archive",
        optional(
            "log_groups.*.retention",
            Kind::Duration,
            "how long events stay searchable outside the archive: 1d to 3653d",
            Difference("CloudWatch has its own periods: the next longer one is taken"),
        ),
    ),
    unavailable("log_groups.*.redact", "what is removed from the lines of this group only"),
    //
    optional(
        "redaction",
        Kind::Table,
        "what is taken out of lines before they are stored, beside the values of secrets that this file refers to",
        Same,
    ),
    optional(
        "redaction.presets",
        Kind::Texts,
        "some of \"cards\", \"tokens\" (bearer tokens, JSON web tokens, keys of AWS, passwords in addresses) and \"emails\"",
        Same,
    ),
    optional("redaction.patterns", Kind::Named, "regular expressions by name", Same),
    optional(
        "redaction.patterns.*",
        Kind::Text,
        "one of them; if it has a group, only what the first group matches is taken out",
        Same,
    ),
    //
    optional("metric_filters", Kind::Named, "metric filters, by name", Same),
    optional("metric_filters.*", Kind::Table, "how events of a log group become values of a metric", Same),
    required("metric_filters.*.log_group", Kind::Text, "the log group whose events it sees", Same),
    required(
        "metric_filters.*.pattern",
        Kind::Text,
        "the CloudWatch filter pattern that events must match",
        Same,
    ),
    required("metric_filters.*.metric", Kind::Table, "what a matching event publishes", Same),
    required("metric_filters.*.metric.namespace", Kind::Text, "the container of the metric", Same),
    required("metric_filters.*.metric.name", Kind::Text, "the name of the metric", Same),
    default("metric_filters.*.metric.value", Kind::NumberOrSelector, "1", "what a matching event adds", Same),
    optional(
        "metric_filters.*.metric.default",
        Kind::Number,
        "what an event that does not match adds; if absent, nothing",
        Same,
    ),
    default("metric_filters.*.metric.unit", Kind::OneOf(Unit::ALL), "None", "the unit of the values", Same),
    optional(
        "metric_filters.*.metric.dimensions",
        Kind::Named,
        "what tells datapoints apart: up to three names, each with a selector into the event",
        Same,
    ),
    optional(
        "metric_filters.*.metric.dimensions.*",
        Kind::Text,
        "a selector such as \"$.host\" or \"$ip\"",
        Same,
    ),
    default(
        "metric_filters.*.metric.series_max",
        Kind::Count,
        "1000",
        "how many combinations of their values there may be at a time; more are counted together as (other)",
        Difference("CloudWatch disables a filter that makes more than 1000 combinations in an hour"),
    ),
    //
    optional("alarms", Kind::Named, "alarms, by name", Same),
    optional(
        "alarms.*",
        Kind::Table,
        "what is watched; has one of metric_filter, metric, expression, pattern and heartbeat",
        Same,
    ),
    optional("alarms.*.metric_filter", Kind::Text, "the metric filter whose metric it watches", Same),
    optional(
        "alarms.*.metric",
        Kind::Table,
        "the metric it watches: a filter's, or one of Watchbell's own",
        Same,
    ),
    required("alarms.*.metric.namespace", Kind::Text, "the container of the metric", Same),
    required("alarms.*.metric.name", Kind::Text, "the name of the metric", Same),
    optional("alarms.*.pattern", Kind::Text, "the filter pattern whose matching events it counts", Same),
    optional("alarms.*.log_group", Kind::Text, "with pattern: the log group whose events it counts", Same),
    optional("alarms.*.heartbeat", Kind::Table, "what must not go quiet for a period", Same),
    required("alarms.*.heartbeat.log_group", Kind::Text, "the log group that must not go quiet", Same),
    optional("alarms.*.expression", Kind::MetricMath, "metric math over metrics", Same),
    optional(
        "alarms.*.metrics",
        Kind::Named,
        "with expression: the metrics in it, by the names it uses",
        Same,
    ),
    optional(
        "alarms.*.metrics.*",
        Kind::Table,
        "a metric of an expression; has either metric_filter or metric",
        Same,
    ),
    optional("alarms.*.metrics.*.metric_filter", Kind::Text, "the metric filter whose metric it is", Same),
    optional("alarms.*.metrics.*.metric", Kind::Table, "the metric", Same),
    required("alarms.*.metrics.*.metric.namespace", Kind::Text, "the container of the metric", Same),
    required("alarms.*.metrics.*.metric.name", Kind::Text, "the name of the metric", Same),
    optional("alarms.*.metrics.*.dimensions", Kind::Named, "the values of its dimensions", Same),
    optional("alarms.*.metrics.*.dimensions.*", Kind::Text, "a value", Same),
    optional(
        "alarms.*.metrics.*.unit",
        Kind::OneOf(Unit::ALL),
        "only values of this unit; if absent, of every",
        Same,
    ),
    default(
        "alarms.*.metrics.*.statistic",
        Kind::Statistic,
        "Sum",
        "how the values of a period become one datapoint",
        Same,
    ),
    optional(
        "alarms.*.minimum",
        Kind::Named,
        "with expression: how large metrics in it must be for a datapoint to count, so that few events say nothing",
        Same,
    ),
    optional("alarms.*.minimum.*", Kind::Number, "the least value", Same),
    optional("alarms.*.dimensions", Kind::Named, "the values of the metric's dimensions", Same),
    optional("alarms.*.dimensions.*", Kind::Text, "a value", Same),
    optional("alarms.*.unit", Kind::OneOf(Unit::ALL), "only values of this unit; if absent, of every", Same),
    optional(
        "alarms.*.each",
        Kind::Texts,
        "dimensions for each of whose values the alarm has a state of its own",
        Difference("an alarm on a query of Metrics Insights, with a contributor for each value"),
    ),
    default(
        "alarms.*.statistic",
        Kind::Statistic,
        "Sum",
        "how the values of a period become one datapoint",
        Same,
    ),
    default(
        "alarms.*.low_samples",
        Kind::OneOf(LOW_SAMPLES),
        "evaluate",
        "with a percentile: whether one of few values counts, or leaves the state as it is",
        Same,
    ),
    required(
        "alarms.*.period",
        Kind::Duration,
        "what one datapoint covers: 10s, 20s, 30s or whole minutes",
        Difference(
            "CloudWatch decides at a period's end: no alarm fires early, with the line that makes it certain",
        ),
    ),
    optional(
        "alarms.*.condition",
        Kind::Condition,
        "when a datapoint is breaching; with pattern it may be absent: >= 1; with heartbeat it must be",
        Same,
    ),
    default(
        "alarms.*.datapoints",
        Kind::Datapoints,
        "1 of 1",
        "how many of the last datapoints must be breaching",
        Same,
    ),
    default(
        "alarms.*.missing_data",
        Kind::OneOf(MISSING_DATA),
        "missing",
        "what a period without values counts as; with pattern, if absent, not_breaching; with heartbeat, breaching",
        Same,
    ),
    default(
        "alarms.*.severity",
        Kind::OneOf(SEVERITIES),
        "error",
        "how grave it is",
        Difference("stands in the alarm's description"),
    ),
    optional(
        "alarms.*.notify",
        Kind::Texts,
        "the topics that are told; none: nobody",
        Difference("an OK message is sent also if the ALARM message before it was not"),
    ),
    optional("alarms.*.description", Kind::Text, "what it means, for people", Same),
    optional(
        "alarms.*.runbook",
        Kind::Url,
        "a page that says what to do",
        Difference("stands in the alarm's description"),
    ),
    //
    optional(
        "composite_alarms",
        Kind::Named,
        "composite alarms, by name; alarms and they have different names",
        Same,
    ),
    optional("composite_alarms.*", Kind::Table, "an alarm about the states of other alarms", Same),
    required("composite_alarms.*.rule", Kind::AlarmRule, "when it is in ALARM", Same),
    optional(
        "composite_alarms.*.actions_suppressor",
        Kind::Text,
        "an alarm; while it is in ALARM, messages wait; with both periods",
        Same,
    ),
    optional(
        "composite_alarms.*.actions_suppressor_wait_period",
        Kind::Duration,
        "how long messages wait for the suppressor to go into ALARM; 0s: not at all",
        Same,
    ),
    optional(
        "composite_alarms.*.actions_suppressor_extension_period",
        Kind::Duration,
        "how long messages wait after the suppressor has left ALARM; 0s: not at all",
        Same,
    ),
    default(
        "composite_alarms.*.severity",
        Kind::OneOf(SEVERITIES),
        "error",
        "how grave it is",
        Difference("stands in the alarm's description"),
    ),
    optional(
        "composite_alarms.*.notify",
        Kind::Texts,
        "the topics that are told; none: nobody",
        Difference("an OK message is sent also if the ALARM message before it was not"),
    ),
    optional("composite_alarms.*.description", Kind::Text, "what it means, for people", Same),
    optional(
        "composite_alarms.*.runbook",
        Kind::Url,
        "a page that says what to do",
        Difference("stands in the alarm's description"),
    ),
    //
    optional("mute_rules", Kind::Named, "mute rules, by name", Same),
    optional(
        "mute_rules.*",
        Kind::Table,
        "when alarms keep quiet; what is still true afterwards is told then",
        Same,
    ),
    required("mute_rules.*.alarms", Kind::Texts, "the alarms; * stands for any run of characters", Same),
    required("mute_rules.*.schedule", Kind::Schedule, "when a window begins", Same),
    required("mute_rules.*.duration", Kind::Duration, "how long a window lasts", Same),
    default(
        "mute_rules.*.timezone",
        Kind::Text,
        "UTC",
        "the time zone of the schedule, by its IANA name",
        Same,
    ),
    //
    optional("topics", Kind::Named, "topics, by name", Same),
    optional("topics.*", Kind::Table, "who is told, and through what", Same),
    optional(
        "topics.*.console",
        Kind::Tables,
        "the standard output of watchbell up",
        Difference("not rendered: nobody looks at it there"),
    ),
    optional(
        "topics.*.webhook",
        Kind::Tables,
        "an HTTP POST of JSON",
        Difference(
            "not rendered: this version has no function there that calls web addresses, so nobody is told through it",
        ),
    ),
    required("topics.*.webhook.url", Kind::UrlOrSecret, "where to", AsTable),
    optional("topics.*.webhook.signing_key", Kind::Secret, "signs each message", AsTable),
    optional(
        "topics.*.slack",
        Kind::Tables,
        "a Slack incoming webhook",
        Difference(
            "not rendered: this version has no function there that calls web addresses, so nobody is told through it",
        ),
    ),
    required(
        "topics.*.slack.webhook_url",
        Kind::Secret,
        "the address that Slack gave; whoever has it can post",
        AsTable,
    ),
    later(
        "it sends no mail",
        optional(
            "topics.*.email",
            Kind::Tables,
            "mail",
            Difference(
                "Amazon sends it, and asks each receiver once; from, smtp, user and password are not used",
            ),
        ),
    ),
    required("topics.*.email.to", Kind::Texts, "addresses of those who get it", Same),
    optional("topics.*.email.from", Kind::Text, "the sender's address", AsTable),
    optional(
        "topics.*.email.smtp",
        Kind::Url,
        "the server: smtp://HOST:587, with STARTTLS, or smtps://HOST:465; with from",
        AsTable,
    ),
    optional("topics.*.email.user", Kind::Text, "who logs in there; with password", AsTable),
    optional("topics.*.email.password", Kind::Secret, "with which password", AsTable),
    later("it sends no text messages", optional("topics.*.sms", Kind::Tables, "text messages", Same)),
    required(
        "topics.*.sms.to",
        Kind::Texts,
        "telephone numbers with their country, such as \"+491701234567\"",
        Same,
    ),
    unavailable("topics.*.pagerduty", "PagerDuty events"),
    unavailable("topics.*.queue", "messages to a queue"),
    //
    optional("queues", Kind::Named, "queues, by name: letters, digits, - and _", Same),
    optional(
        "queues.*",
        Kind::Table,
        "log events and alarm state changes for workers; has log_groups, alarms or both",
        Same,
    ),
    optional(
        "queues.*.log_groups",
        Kind::Texts,
        "the log groups whose events it gets; * stands for any run of characters",
        Difference("not rendered: what puts log events into queues comes with a later version"),
    ),
    default("queues.*.alarms", Kind::Flag, "false", "whether it gets the state changes of alarms", Same),
    default(
        "queues.*.visibility_timeout",
        Kind::Duration,
        "30s",
        "how long a received message is hidden from others: 0s to 12h",
        Same,
    ),
    default(
        "queues.*.max_receives",
        Kind::Count,
        "10",
        "how often a message is received before it becomes a dead letter: 1 to 1000",
        Same,
    ),
    default(
        "queues.*.retention",
        Kind::Duration,
        "4d",
        "how long a message is kept: 60s to 14d from when it was enqueued",
        Same,
    ),
    default(
        "queues.*.dead_letter_retention",
        Kind::Duration,
        "14d",
        "how long a dead letter is kept: retention to 14d from when it was enqueued",
        Same,
    ),
    //
    optional(
        "functions",
        Kind::Named,
        "functions, by name",
        Difference("not rendered: functions come with a later version, and messages wait in the queue"),
    ),
    optional("functions.*", Kind::Table, "what is done with the messages of a queue", AsTable),
    required(
        "functions.*.queue",
        Kind::Text,
        "the queue whose messages it gets; no other function has it",
        AsTable,
    ),
    optional(
        "functions.*.steps",
        Kind::Tables,
        "what is done with each event, in order; each table has one of the keys below",
        AsTable,
    ),
    optional(
        "functions.*.steps.parse",
        Kind::OneOf(PARSE_STEPS),
        "reads fields out of the event's text; an event that has not this form fails",
        AsTable,
    ),
    optional(
        "functions.*.steps.set",
        Kind::Named,
        "gives fields these values; a.b is b in the object a",
        AsTable,
    ),
    optional("functions.*.steps.set.*", Kind::Scalar, "a value", AsTable),
    optional(
        "functions.*.steps.rename",
        Kind::Named,
        "calls fields otherwise: old names and new ones",
        AsTable,
    ),
    optional("functions.*.steps.rename.*", Kind::Text, "the new name", AsTable),
    optional("functions.*.steps.drop", Kind::Texts, "removes these fields", AsTable),
    optional("functions.*.steps.lookup", Kind::Table, "adds what a file of rows knows", AsTable),
    required(
        "functions.*.steps.lookup.file",
        Kind::Path,
        "CSV with a first line of names, or JSON: an array of objects; read at start and reload",
        AsTable,
    ),
    required(
        "functions.*.steps.lookup.key",
        Kind::Text,
        "the event's field whose value is looked for",
        AsTable,
    ),
    optional(
        "functions.*.steps.lookup.column",
        Kind::Text,
        "the file's column that it is looked for in; if absent, key",
        AsTable,
    ),
    required(
        "functions.*.steps.lookup.field",
        Kind::Text,
        "the event's field that gets the row, an object",
        AsTable,
    ),
    optional("functions.*.steps.severity", Kind::Table, "sets the field severity", AsTable),
    required("functions.*.steps.severity.from", Kind::Text, "the field that it depends on", AsTable),
    optional(
        "functions.*.steps.severity.map",
        Kind::Named,
        "severities by what that field holds, * stands for any run of characters; if absent, the field names one",
        AsTable,
    ),
    optional("functions.*.steps.severity.map.*", Kind::Text, "a severity", AsTable),
    optional("functions.*.steps.severity.default", Kind::Text, "the severity if none fits", AsTable),
    optional("functions.*.steps.app", Kind::Table, "sets the field app", AsTable),
    required("functions.*.steps.app.from", Kind::Text, "the field that it depends on", AsTable),
    optional(
        "functions.*.steps.app.map",
        Kind::Named,
        "apps by what that field holds, * stands for any run of characters; if absent, the field names it",
        AsTable,
    ),
    optional("functions.*.steps.app.map.*", Kind::Text, "an app", AsTable),
    optional("functions.*.steps.app.default", Kind::Text, "the app if none fits", AsTable),
    optional(
        "functions.*.program",
        Kind::Path,
        "a program in VRL that runs after the steps; read at start and reload; needs a build with --features vrl",
        AsTable,
    ),
    optional(
        "functions.*.raise",
        Kind::Tables,
        "what is made of the events that come out of the steps",
        AsTable,
    ),
    optional(
        "functions.*.raise.when",
        Kind::Text,
        "the CloudWatch filter pattern that the event, as the steps leave it, must match; if absent, all do",
        AsTable,
    ),
    optional(
        "functions.*.raise.log_group",
        Kind::Text,
        "the log group that gets the event; one a function",
        AsTable,
    ),
    optional("functions.*.raise.metric", Kind::Table, "the metric that gets a value", AsTable),
    required("functions.*.raise.metric.namespace", Kind::Text, "the container of the metric", AsTable),
    required("functions.*.raise.metric.name", Kind::Text, "the name of the metric", AsTable),
    default("functions.*.raise.metric.value", Kind::NumberOrSelector, "1", "what the event adds", AsTable),
    default(
        "functions.*.raise.metric.unit",
        Kind::OneOf(Unit::ALL),
        "None",
        "the unit of the values",
        AsTable,
    ),
    optional(
        "functions.*.raise.metric.dimensions",
        Kind::Named,
        "what tells datapoints apart: up to three names, each with a selector into the event",
        AsTable,
    ),
    optional("functions.*.raise.metric.dimensions.*", Kind::Text, "a selector such as \"$.host\"", AsTable),
    optional(
        "functions.*.webhook",
        Kind::Table,
        "a web address that gets the events that come out of the steps",
        AsTable,
    ),
    required("functions.*.webhook.url", Kind::UrlOrSecret, "where to", AsTable),
    optional("functions.*.webhook.signing_key", Kind::Secret, "signs each request", AsTable),
    optional(
        "functions.*.webhook.when",
        Kind::Text,
        "the CloudWatch filter pattern that the event, as the steps leave it, must match; if absent, all do",
        AsTable,
    ),
    optional(
        "functions.*.command",
        Kind::Table,
        "what is run for state changes of alarms; only for a queue without log groups",
        AsTable,
    ),
    required(
        "functions.*.command.run",
        Kind::Texts,
        "the program, a name or a path, and its arguments; nothing of an event is put into them",
        AsTable,
    ),
    default(
        "functions.*.command.armed",
        Kind::Flag,
        "false",
        "whether it is run; if not, it is said that it would be",
        AsTable,
    ),
    default(
        "functions.*.command.when",
        Kind::Text,
        "{ $.detail.state.value = \"ALARM\" }",
        "the CloudWatch filter pattern that the state change, as it came, must match",
        AsTable,
    ),
    optional(
        "functions.*.command.only_if",
        Kind::Texts,
        "a command that is run before; if its exit code is not 0, nothing else is done",
        AsTable,
    ),
    optional(
        "functions.*.command.target",
        Kind::Text,
        "what it works on: of commands with the same target one runs at a time; if absent, the function's name",
        AsTable,
    ),
    default(
        "functions.*.command.per_hour",
        Kind::Count,
        "3",
        "how often it is run in an hour at most, up to 60",
        AsTable,
    ),
    default(
        "functions.*.command.timeout",
        Kind::Duration,
        "1m",
        "how long it may take: 1s to 1h; then it is killed",
        AsTable,
    ),
    optional(
        "functions.*.command.check_after",
        Kind::Duration,
        "how long after its end it is looked whether the alarm is OK: 1s to 1d; if absent, it is not",
        AsTable,
    ),
    optional("functions.*.workers", Kind::Table, "how many messages it works on at a time", AsTable),
    default("functions.*.workers.min", Kind::Count, "1", "at least", AsTable),
    default("functions.*.workers.max", Kind::Count, "4", "at most, up to 64", AsTable),
    //
    optional(
        "agent",
        Kind::Table,
        "for `watchbell agent`: where it ships what it reads",
        Difference("on instances the agent ships to CloudWatch"),
    ),
    required(
        "agent.to",
        Kind::Url,
        "the other Watchbell: https://HOST:PORT, or http://127.0.0.1:PORT on this machine",
        AsTable,
    ),
    optional("agent.token", Kind::Secret, "what it shows there; with https it must be there", AsTable),
    optional(
        "agent.ca",
        Kind::Path,
        "a PEM file: trusts certificates of this authority only; if absent, of those that the machine trusts",
        AsTable,
    ),
    optional(
        "agent.name",
        Kind::Text,
        "what it is called there; if absent, the machine's host name",
        AsTable,
    ),
    default(
        "agent.buffer",
        Kind::Size,
        "1GiB",
        "how much may wait on its disk to be shipped; then files wait: 16MiB to 1024GiB",
        Same,
    ),
    //
    optional(
        "archive",
        Kind::Table,
        "where every event is kept in the end",
        Difference("a bucket of its own, and this version writes no log events to it"),
    ),
    optional(
        "archive.url",
        Kind::Url,
        "a folder, as a path or file:///path; if absent, archive in data_dir",
        AsTable,
    ),
    later(
        "it leaves objects where they are",
        optional(
            "archive.lifecycle",
            Kind::Tables,
            "what becomes of objects as they age; ages rise, and what was cold never becomes warmer",
            Same,
        ),
    ),
    required("archive.lifecycle.after", Kind::Duration, "the age, in whole days", Same),
    required(
        "archive.lifecycle.to",
        Kind::OneOf(TIERS),
        "where they are kept from then on; expire: they go",
        Same,
    ),
    //
    optional(
        "journal",
        Kind::Table,
        "how much of what came in is kept in the data folder, beside the archive",
        Difference("only for `watchbell up`; what the agent on instances keeps is bounded by agent.buffer"),
    ),
    default(
        "journal.max_size",
        Kind::Size,
        "10GiB",
        "how large its segments may become together: 256MiB to 16TiB; what is older goes, once it is kept elsewhere",
        AsTable,
    ),
    default(
        "journal.max_age",
        Kind::Duration,
        "14d",
        "how long a segment is kept after its newest entry: 1h to 3650d",
        AsTable,
    ),
    //
    optional(
        "roles",
        Kind::Named,
        "roles, by name",
        Difference("not rendered: IAM and the VPC decide who may call"),
    ),
    optional("roles.*", Kind::Tables, "what holders of a role may do; the rest is denied", AsTable),
    required("roles.*.allow", Kind::Texts, "the actions", AsTable),
    required(
        "roles.*.on",
        Kind::Texts,
        "names of log groups and queues, or watchbell; * stands for any run of characters",
        AsTable,
    ),
    //
    optional(
        "tokens",
        Kind::Named,
        "tokens, by name",
        Difference("not rendered: IAM and the VPC decide who may call"),
    ),
    optional("tokens.*", Kind::Table, "a caller's credential", AsTable),
    required("tokens.*.value", Kind::Secret, "the secret that the caller shows", AsTable),
    required("tokens.*.roles", Kind::Texts, "the roles it has", AsTable),
    //
    optional(
        "test",
        Kind::Tables,
        "tests of the rules, for `watchbell test`; no part of what `up` does",
        Same,
    ),
    required("test.name", Kind::Text, "what it is called", Same),
    optional(
        "test.log_group",
        Kind::Text,
        "the log group of its lines; without it each line names its own",
        Same,
    ),
    default("test.date", Kind::Date, "2026-01-01", "the day that its times are of, UTC", Same),
    required(
        "test.lines",
        Kind::Lines,
        "what arrives: \"HH:MM:SS text\", or \"HH:MM:SS GROUP text\" without log_group",
        Same,
    ),
    required("test.lines.at", Kind::Clock, "when it arrives", Same),
    optional("test.lines.timestamp", Kind::Clock, "when it happened, if not when it arrives", Same),
    optional("test.lines.log_group", Kind::Text, "its log group, if not the test's", Same),
    required("test.lines.line", Kind::Text, "its text", Same),
    default("test.lines.repeat", Kind::Count, "1", "how many of it arrive", Same),
    default("test.lines.every", Kind::Duration, "0s", "how long after one the next arrives", Same),
    optional(
        "test.expect",
        Kind::Texts,
        "changes into and out of ALARM, in order: \"HH:MM:SS ALARM name\"; \" early\" may follow",
        Same,
    ),
    optional(
        "test.no_alarms",
        Kind::Texts,
        "alarms that must keep out of ALARM; \"*\" is all that expect does not name",
        Same,
    ),
    optional(
        "test.until",
        Kind::Clock,
        "how long time goes on; if absent, until no alarm of expect is in ALARM",
        Same,
    ),
    optional(
        "test.message",
        Kind::Text,
        "the whole first message as a console shows it, without its id",
        Same,
    ),
    optional("test.message_contains", Kind::Texts, "texts that must stand in some message", Same),
    //
    later(
        "it runs no processes of the application",
        optional(
            "fleet",
            Kind::Named,
            "the application's own processes, by name: small letters, digits and -",
            Same,
        ),
    ),
    optional("fleet.*", Kind::Table, "processes of one kind, as many as are needed", Same),
    required(
        "fleet.*.command",
        Kind::Texts,
        "an array: the program and its arguments; {port} in them is the port that it is to listen on",
        Same,
    ),
    required("fleet.*.instances", Kind::Table, "how many there are", Same),
    required("fleet.*.instances.min", Kind::Count, "at least", Same),
    required("fleet.*.instances.max", Kind::Count, "at most, up to 500", Same),
    optional(
        "fleet.*.health",
        Kind::Table,
        "how it is seen that one is well: it answers a GET with 200",
        Same,
    ),
    default("fleet.*.health.path", Kind::Text, "/healthz", "what is asked for", Same),
    default(
        "fleet.*.health.interval",
        Kind::Duration,
        "10s",
        "how often: 1s to 5m",
        Difference("a load balancer asks every 5 s to 5 min: a shorter interval becomes 5 s"),
    ),
    required(
        "fleet.*.listen",
        Kind::SocketAddress,
        "where users reach the fleet",
        Difference("users reach the load balancer, at the port of [aws.fleet.NAME]"),
    ),
    optional(
        "fleet.*.scale_on",
        Kind::Tables,
        "what the number of instances follows; each table has one of the keys below, and the largest number counts",
        Same,
    ),
    optional("fleet.*.scale_on.cpu", Kind::Percent, "processor time, on average", Same),
    optional("fleet.*.scale_on.requests_per_instance", Kind::Rate, "requests to each instance", Same),
    optional("fleet.*.scale_on.log_bytes_per_instance", Kind::SizeRate, "log lines of each instance", Same),
    //
    later(
        "it does no scheduled work",
        optional(
            "maintenance",
            Kind::Tables,
            "scheduled work on machines; each has one of prune, run and patch",
            Same,
        ),
    ),
    required("maintenance.name", Kind::Text, "what it is called; no other has this name", Same),
    required("maintenance.schedule", Kind::Schedule, "when it begins", Same),
    default(
        "maintenance.timezone",
        Kind::Text,
        "UTC",
        "the time zone of the schedule, by its IANA name",
        Same,
    ),
    default(
        "maintenance.timeout",
        Kind::Duration,
        "1h",
        "how long it may take: 1m to 24h; then it is ended",
        Difference("a window of Systems Manager lasts whole hours; the work in it ends in time"),
    ),
    optional("maintenance.prune", Kind::Table, "removes old files", Same),
    required("maintenance.prune.files", Kind::Texts, "glob patterns of the files", Same),
    required(
        "maintenance.prune.older_than",
        Kind::Duration,
        "those that have not been written to for so long: 1h to 3650d",
        Same,
    ),
    optional("maintenance.run", Kind::Path, "runs this script", Same),
    optional("maintenance.patch", Kind::Table, "installs the operating system's updates", Same),
    default(
        "maintenance.patch.reboot",
        Kind::Flag,
        "false",
        "whether the machine restarts if an update asks for it",
        Same,
    ),
    //
    later(
        "it has no store of secrets",
        optional("secrets", Kind::Named, "the store's secrets, by name: letters, digits, - and _", Same),
    ),
    optional(
        "secrets.*",
        Kind::Table,
        "a secret; its value stands elsewhere, and it is referred to as { secret = \"NAME\" }",
        Same,
    ),
    optional("secrets.*.description", Kind::Text, "what it is, for people", Same),
    optional(
        "secrets.*.rotate_after",
        Kind::Duration,
        "how old its value may become before it is to be replaced, in whole days: 1d to 1000d",
        Difference("not rendered: what puts a new value there comes with a later version"),
    ),
    //
    optional("aws", Kind::Table, "what only AWS needs", Only),
    required("aws.region", Kind::Text, "the region, such as \"eu-central-1\"", AsTable),
    default(
        "aws.name",
        Kind::Text,
        "watchbell",
        "what stacks are called after: up to 24 small letters, digits and -",
        AsTable,
    ),
    optional("aws.endpoint", Kind::Url, "where calls go instead of to AWS", AsTable),
    optional("aws.tags", Kind::Named, "tags of everything that can have them, up to 40", AsTable),
    optional("aws.tags.*", Kind::Text, "a value", AsTable),
    optional(
        "aws.artifacts",
        Kind::Table,
        "where instances find what is installed on them; a fleet needs it",
        AsTable,
    ),
    required("aws.artifacts.url", Kind::Url, "objects that instances may read: s3://BUCKET/PREFIX", AsTable),
    required(
        "aws.artifacts.watchbell_sha256",
        Kind::Text,
        "SHA-256 of the object `watchbell` there, the program for x86-64",
        AsTable,
    ),
    default("aws.dashboard", Kind::Flag, "true", "whether there is a dashboard", AsTable),
    optional("aws.network", Kind::Table, "the network that a fleet is in", AsTable),
    default(
        "aws.network.cidr",
        Kind::Text,
        "10.0.0.0/16",
        "its addresses: a private network, /16 to /22",
        AsTable,
    ),
    default("aws.network.zones", Kind::Count, "2", "availability zones it covers: 2 or 3", AsTable),
    default(
        "aws.network.nat",
        Kind::OneOf(NATS),
        "single",
        "how instances reach the world: through one gateway, or through one in each zone",
        AsTable,
    ),
    default(
        "aws.network.endpoints",
        Kind::Flag,
        "false",
        "whether the services that instances call have addresses inside; S3 always has",
        AsTable,
    ),
    default(
        "aws.network.flow_logs",
        Kind::Duration,
        "30d",
        "how long records of connections are kept: 0d, there are none, or one of CloudWatch's retentions",
        AsTable,
    ),
    optional(
        "aws.network.bastion",
        Kind::Table,
        "a machine that people reach instances through, if Session Manager is not enough",
        AsTable,
    ),
    required(
        "aws.network.bastion.allow",
        Kind::Texts,
        "the networks whose machines may connect to it; never all",
        AsTable,
    ),
    default(
        "aws.network.bastion.instance_type",
        Kind::Text,
        "t3.nano",
        "what kind of machine, for x86-64",
        AsTable,
    ),
    required(
        "aws.network.bastion.key_pair",
        Kind::Text,
        "the key pair, by its name, whose holder may log in",
        AsTable,
    ),
    optional("aws.fleet", Kind::Named, "what only AWS needs to know of fleets, by name", AsTable),
    optional(
        "aws.fleet.*",
        Kind::Table,
        "of a fleet of this file; one that is absent has the defaults",
        AsTable,
    ),
    default("aws.fleet.*.instance_type", Kind::Text, "t3.small", "what kind of machine, for x86-64", AsTable),
    optional(
        "aws.fleet.*.image",
        Kind::Text,
        "an image's id; if absent, the newest Amazon Linux 2023",
        AsTable,
    ),
    default(
        "aws.fleet.*.volume",
        Kind::Size,
        "20GiB",
        "an instance's disk, in whole GiB: 8GiB to 1TiB",
        AsTable,
    ),
    optional(
        "aws.fleet.*.setup",
        Kind::Path,
        "a script that installs the application on a new instance",
        AsTable,
    ),
    optional(
        "aws.fleet.*.certificate",
        Kind::Text,
        "the load balancer's certificate, by its ARN; if absent, it speaks plain HTTP",
        AsTable,
    ),
    optional(
        "aws.fleet.*.port",
        Kind::Count,
        "the load balancer's port, another for each fleet; if absent, 443 with a certificate, else 80",
        AsTable,
    ),
    default(
        "aws.fleet.*.allow",
        Kind::Texts,
        "0.0.0.0/0",
        "the networks whose machines may connect to the load balancer",
        AsTable,
    ),
    optional("aws.trail", Kind::Table, "what of the account is recorded", AsTable),
    default("aws.trail.enabled", Kind::Flag, "true", "whether there is a trail", AsTable),
    default(
        "aws.trail.retention",
        Kind::Duration,
        "90d",
        "how long it stays in its log group: one of CloudWatch's retentions",
        AsTable,
    ),
    default(
        "aws.trail.cis",
        Kind::Flag,
        "false",
        "whether the alarms that the CIS AWS Foundations Benchmark asks for come with it",
        AsTable,
    ),
    optional("aws.trail.notify", Kind::Texts, "the topics that these alarms tell; none: nobody", AsTable),
    //
    unavailable("routes", "which alarms go where"),
    unavailable("silences", "when alarms keep quiet"),
    unavailable("trail", "settings of the audit trail"),
];
