//! The `watchbell.toml`: every item under a comment that says where it comes from and what is different.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use watchbell_model::{
    Alarm, AlarmKind, AlarmSeverity, CompositeAlarm, LowSamples, MetricAlarm, MetricFilter, MetricName,
    MetricStat, MuteRule, OwnMetric, SERIES_MAX_DEFAULT, Statistic, TreatMissingData, Unit, Watched,
};

use super::Remark;
use super::found::Kind;
use super::items::{Item, Items, Key, own_pattern};
use super::topic::Told;

/// The namespace of the metrics of alarms on a pattern.
pub(super) const PATTERN_NAMESPACE: &str = "Watchbell/Alarms";

/// A text, and which item stands where.
#[derive(Default)]
pub(super) struct Written {
    pub(super) text: String,
    /// Placeholders that stand in it.
    pub(super) assumed: Vec<Remark>,
    places: Vec<(Range<usize>, Key)>,
}

impl Written {
    /// The item that stands there.
    pub(super) fn key_at(&self, at: usize) -> Option<&Key> {
        self.places.iter().find(|(place, _)| place.contains(&at)).map(|(_, key)| key)
    }

    fn line(&mut self, line: impl AsRef<str>) {
        self.text += line.as_ref();
        self.text.push('\n');
    }

    fn comment(&mut self, text: &str) {
        self.line(format!("# {}", plain(text)));
    }

    /// An item's comments and its table.
    fn item<T>(&mut self, kind: Kind, name: &str, item: &Item<T>, body: &str) {
        self.line("");
        self.comment(&format!("{}: {}", item.origin.file, item.origin.what));
        let assumed = item.assumptions(body);
        for remark in item.remarks.iter().chain(&assumed) {
            self.comment(&format!("- {}", remark.message));
        }
        self.assumed.extend(assumed);
        let from = self.text.len();
        self.text += body;
        self.places.push((from..self.text.len(), (kind, name.to_owned())));
    }

    /// What of these kinds is not taken over.
    fn lost(&mut self, kinds: &[Kind], items: &Items) {
        let of_kinds = items.lost.iter().filter(|(kind, _)| kinds.contains(kind));
        let mut lost: Vec<&Remark> = of_kinds.map(|(_, remark)| remark).collect();
        lost.sort();
        if !lost.is_empty() {
            self.line("");
        }
        for remark in lost {
            self.comment(&remark.to_string());
        }
    }
}

/// The whole file.
pub(super) fn write(files: &[&str], items: &Items, about_files: &[Remark]) -> Written {
    let mut out = Written::default();
    out.comment(&format!("Made by `watchbell import` from {}; it is yours now.", files.join(", ")));
    out.comment("`watchbell check` says whether it is good, `watchbell up` does what it says.");
    if items.newly_told_of_ok() > 0 {
        out.comment("Topics are told of ALARM and of OK, also where CloudWatch told them of ALARM only.");
    }
    for remark in about_files {
        out.comment(&remark.to_string());
    }
    out.line("version = 1");
    for (name, item) in &items.groups {
        let mut body = format!("[log_groups.{}]\n", key(name.as_str()));
        body += "# files = [\"…\"]    # where its lines come from, or send them over HTTP\n";
        if let Some(days) = item.what {
            put(&mut body, "retention", &string(&format!("{days}d")));
        }
        out.item(Kind::LogGroup, name.as_str(), item, &body);
    }
    out.lost(&[Kind::LogGroup], items);
    for (name, item) in &items.filters {
        // It stands in its alarm.
        let alarm = name.strip_prefix("alarm/").and_then(|alarm| Some((alarm, items.alarms.get(alarm)?)));
        let metric = alarm.and_then(|(alarm, item)| Some((alarm, item.what.alarm.metric()?)));
        if metric.is_none_or(|(alarm, metric)| own_pattern(items, alarm, &metric.watched).is_none()) {
            out.item(Kind::MetricFilter, name, item, &filter(name, &item.what));
        }
    }
    out.lost(&[Kind::MetricFilter], items);
    let writer = Alarms { items, filters: items.only_filter_of() };
    for (name, item) in &items.alarms {
        let kind = if item.what.alarm.composite().is_some() { Kind::CompositeAlarm } else { Kind::Alarm };
        out.item(kind, name, item, &writer.alarm(name, &item.what.alarm));
    }
    out.lost(&[Kind::Alarm, Kind::CompositeAlarm], items);
    for (name, item) in &items.mute_rules {
        out.item(Kind::MuteRule, name, item, &mute_rule(name, &item.what));
    }
    out.lost(&[Kind::MuteRule], items);
    for (name, item) in &items.topics {
        out.item(Kind::Topic, name, item, &topic(name, &item.what));
    }
    out.lost(&[Kind::Topic, Kind::Subscription], items);
    out
}

fn filter(name: &str, filter: &MetricFilter) -> String {
    let metric = &filter.metric;
    let mut fields = metric_fields(&metric.metric);
    if metric.value != "1" {
        fields.push(format!("value = {}", string(&metric.value)));
    }
    if let Some(default) = metric.default {
        fields.push(format!("default = {}", number(default)));
    }
    if metric.unit != Unit::NONE {
        fields.push(format!("unit = {}", string(metric.unit.as_str())));
    }
    if !metric.dimensions.is_empty() {
        fields.push(format!("dimensions = {}", texts(&metric.dimensions)));
    }
    if metric.series_max != SERIES_MAX_DEFAULT {
        fields.push(format!("series_max = {}", metric.series_max));
    }
    format!(
        "[metric_filters.{}]\nlog_group = {}\npattern = {}\nmetric = {{ {} }}\n",
        key(name),
        string(filter.log_group.as_str()),
        string(&filter.pattern),
        fields.join(", ")
    )
}

fn metric_fields(metric: &MetricName) -> Vec<String> {
    vec![format!("namespace = {}", string(&metric.namespace)), format!("name = {}", string(&metric.name))]
}

/// Writes alarms; they name metric filters.
struct Alarms<'i> {
    items: &'i Items,
    filters: BTreeMap<&'i MetricName, Option<&'i str>>,
}

impl Alarms<'_> {
    fn alarm(&self, name: &str, alarm: &Alarm) -> String {
        let mut body = match &alarm.kind {
            AlarmKind::Metric(metric) => {
                format!("[alarms.{}]\n", key(name)) + &self.metric_alarm(name, metric)
            }
            AlarmKind::Composite(rule) => format!("[composite_alarms.{}]\n", key(name)) + &composite(rule),
        };
        if alarm.severity != AlarmSeverity::Error {
            put(&mut body, "severity", &string(alarm.severity.as_str()));
        }
        if !alarm.notify.is_empty() {
            let topics: Vec<String> = alarm.notify.iter().map(|topic| string(topic)).collect();
            put(&mut body, "notify", &format!("[{}]", topics.join(", ")));
        }
        for (name, text) in [("description", &alarm.description), ("runbook", &alarm.runbook)] {
            if let Some(text) = text {
                put(&mut body, name, &string(text));
            }
        }
        body
    }

    fn metric_alarm(&self, name: &str, alarm: &MetricAlarm) -> String {
        let mut body = String::new();
        let mut missing_default = TreatMissingData::Missing;
        match &alarm.watched {
            Watched::Stat(stat) if alarm.warms_up => {
                missing_default = TreatMissingData::Breaching;
                let group = stat.dimensions.get(OwnMetric::LOG_GROUP).map_or("", String::as_str);
                put(&mut body, "heartbeat", &format!("{{ log_group = {} }}", string(group)));
            }
            Watched::Stat(stat) => match own_pattern(self.items, name, &alarm.watched) {
                Some(filter) => {
                    missing_default = TreatMissingData::NotBreaching;
                    put(&mut body, "log_group", &string(filter.log_group.as_str()));
                    put(&mut body, "pattern", &string(&filter.pattern));
                    if stat.statistic != Statistic::Sum {
                        put(&mut body, "statistic", &string(&stat.statistic.to_string()));
                    }
                }
                None => self.stat(stat).iter().for_each(|field| body.extend([field, "\n"])),
            },
            Watched::Math { expression, metrics, minimum } => {
                put(&mut body, "expression", &string(expression));
                for (id, stat) in metrics {
                    put(
                        &mut body,
                        &format!("metrics.{}", key(id)),
                        &format!("{{ {} }}", self.stat(stat).join(", ")),
                    );
                }
                if !minimum.is_empty() {
                    let least: Vec<String> = minimum
                        .iter()
                        .map(|(id, least)| format!("{} = {}", key(id), number(*least)))
                        .collect();
                    put(&mut body, "minimum", &format!("{{ {} }}", least.join(", ")));
                }
            }
        }
        if !alarm.each.is_empty() {
            let each: Vec<String> = alarm.each.iter().map(|name| string(name)).collect();
            put(&mut body, "each", &format!("[{}]", each.join(", ")));
        }
        put(&mut body, "period", &string(&duration(alarm.period.as_ms())));
        if !alarm.warms_up {
            put(
                &mut body,
                "condition",
                &string(&format!("{} {}", alarm.comparison.symbol(), alarm.threshold)),
            );
        }
        if (alarm.datapoints_to_alarm, alarm.evaluation_periods) != (1, 1) {
            let of = format!("{} of {}", alarm.datapoints_to_alarm, alarm.evaluation_periods);
            put(&mut body, "datapoints", &string(&of));
        }
        if alarm.treat_missing_data != missing_default {
            let missing = match alarm.treat_missing_data {
                TreatMissingData::Missing => "missing",
                TreatMissingData::Ignore => "ignore",
                TreatMissingData::Breaching => "breaching",
                TreatMissingData::NotBreaching => "not_breaching",
            };
            put(&mut body, "missing_data", &string(missing));
        }
        if alarm.low_samples == LowSamples::Ignore {
            put(&mut body, "low_samples", "\"ignore\"");
        }
        body
    }

    /// The fields of a statistic.
    fn stat(&self, stat: &MetricStat) -> Vec<String> {
        let mut fields = vec![match self.filters.get(&stat.metric) {
            Some(Some(filter)) => format!("metric_filter = {}", string(filter)),
            _ => format!("metric = {{ {} }}", metric_fields(&stat.metric).join(", ")),
        }];
        if !stat.dimensions.is_empty() {
            fields.push(format!("dimensions = {}", texts(&stat.dimensions)));
        }
        if let Some(unit) = stat.unit {
            fields.push(format!("unit = {}", string(unit.as_str())));
        }
        if stat.statistic != Statistic::Sum {
            fields.push(format!("statistic = {}", string(&stat.statistic.to_string())));
        }
        fields
    }
}

fn composite(alarm: &CompositeAlarm) -> String {
    let mut body = String::new();
    put(&mut body, "rule", &string(&alarm.rule));
    if let Some(suppressor) = &alarm.suppressor {
        put(&mut body, "actions_suppressor", &string(&suppressor.alarm));
        let periods = [
            ("actions_suppressor_wait_period", suppressor.wait_period_ms),
            ("actions_suppressor_extension_period", suppressor.extension_period_ms),
        ];
        for (name, ms) in periods {
            put(&mut body, name, &string(&duration(ms)));
        }
    }
    body
}

fn mute_rule(name: &str, rule: &MuteRule) -> String {
    let alarms: Vec<String> = rule.alarms.iter().map(|alarm| string(alarm)).collect();
    let mut body = format!("[mute_rules.{}]\n", key(name));
    put(&mut body, "alarms", &format!("[{}]", alarms.join(", ")));
    put(&mut body, "schedule", &string(&rule.schedule));
    put(&mut body, "duration", &string(&duration(rule.duration_ms)));
    if rule.timezone != "UTC" {
        put(&mut body, "timezone", &string(&rule.timezone));
    }
    body
}

fn topic(name: &str, told: &[Told]) -> String {
    let mut body = format!("[topics.{}]\n", key(name));
    let of = |choose: fn(&Told) -> Option<&String>| -> Vec<String> {
        told.iter().filter_map(choose).map(|receiver| string(receiver)).collect()
    };
    let email = of(|told| match told {
        Told::Email(to) => Some(to),
        Told::Sms(_) => None,
    });
    let sms = of(|told| match told {
        Told::Sms(to) => Some(to),
        Told::Email(_) => None,
    });
    for (kind, receivers) in [("email", &email), ("sms", &sms)] {
        if !receivers.is_empty() {
            put(&mut body, kind, &format!("{{ to = [{}] }}", receivers.join(", ")));
        }
    }
    if told.is_empty() {
        put(&mut body, "console", "{}");
    }
    body
}

fn put(body: &mut String, name: &str, value: &str) {
    writeln!(body, "{name} = {value}").expect("writing to a string");
}

/// A key, in quotes if it needs them.
fn key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if is_bare { name.to_owned() } else { string(name) }
}

/// A basic string; what JSON escapes TOML reads alike, but for one character that JSON leaves as it is.
fn string(text: &str) -> String {
    let json = serde_json::to_string(text).expect("a text is JSON");
    json.replace('\u{7f}', "\\u007F")
}

fn texts(map: &BTreeMap<String, String>) -> String {
    let fields: Vec<String> =
        map.iter().map(|(name, value)| format!("{} = {}", key(name), string(value))).collect();
    format!("{{ {} }}", fields.join(", "))
}

/// A number: a float of TOML where an integer could overflow.
fn number(number: f64) -> String {
    let whole = number.to_string();
    if whole.len() > 15 && !whole.contains('.') { format!("{number:e}") } else { whole }
}

fn duration(ms: i64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let fitting = units.into_iter().find(|(unit, _)| ms != 0 && ms % unit == 0);
    // An hour is an hour, but a minute is how long periods are: 60s, as the documentation writes it.
    match fitting {
        Some((60_000, _)) if ms == 60_000 => "60s".to_owned(),
        Some((unit, name)) => format!("{}{name}", ms / unit),
        None if ms == 0 => "0s".to_owned(),
        None => format!("{ms}ms"),
    }
}

/// Without characters that would end a comment or steer a terminal.
fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}
