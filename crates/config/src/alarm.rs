//! `[alarms.NAME]`

use std::collections::{BTreeMap, BTreeSet};

use watchbell_model::{
    Alarm, AlarmKind, AlarmSeverity, Comparison, EVALUATION_RANGE_S_MAX, LowSamples, MetricAlarm,
    MetricFilter, Period, TreatMissingData, Watched,
};

use crate::metric_filter::{Filters, Quotas};
use crate::name;
use crate::names::Names;
use crate::problem::{Problem, quote};
use crate::reader::{Context, Field, Table};
use crate::watched::{self, Subject};
use crate::web_address::{self, WebAddressError};

/// Most topics of one alarm. Source: CloudWatch API Reference, `PutMetricAlarm`, `AlarmActions`.
const TOPICS_MAX: usize = 5;
/// Longest description, in characters. Source: CloudWatch API Reference, `PutMetricAlarm`, `AlarmDescription`.
const DESCRIPTION_CHARS_MAX: usize = 1024;
/// From this period on, in seconds, the longer evaluation range holds.
const LONG_PERIOD_S: u32 = 3600;

/// The alarms of a file.
#[derive(Default)]
pub(crate) struct Alarms {
    /// The correct ones.
    pub(crate) plan: BTreeMap<String, Alarm>,
    /// The topics that some alarm tells, correct or not.
    pub(crate) told: BTreeSet<String>,
    /// The metric filters of alarms on a pattern.
    pub(crate) filters: BTreeMap<String, MetricFilter>,
}

/// What alarms may mention.
pub(crate) struct Mentions<'n, 'a> {
    pub(crate) filters: &'n Filters,
    pub(crate) filter_names: &'n Names<'a>,
    pub(crate) group_names: &'n Names<'a>,
    pub(crate) topic_names: &'n Names<'a>,
    /// Alarms that the rules of composite alarms name: they need not tell anybody themselves.
    pub(crate) in_rules: &'n BTreeSet<String>,
}

pub(crate) fn read<'a>(root: &mut Table<'a>, mentions: &Mentions<'_, 'a>, quotas: &mut Quotas<'a>) -> Alarms {
    let mut alarms = Alarms::default();
    for (name, entry) in root.named("alarms", "alarm") {
        name::check(entry.context, &name::ALARM, name.value, name.span.clone());
        let Some(mut table) = entry.entry(&name) else { continue };
        let subject = watched::read(&mut table, name.value, mentions, quotas);
        let kind = metric_alarm(&mut table, subject.as_ref());
        let announcement = {
            let is_in_rule = mentions.in_rules.contains(name.value);
            Announcement::read(&mut table, mentions.topic_names, &mut alarms.told, is_in_rule)
        };
        table.finish();
        let alarm = kind.and_then(|alarm| announcement.of(AlarmKind::Metric(alarm)));
        alarms.plan.extend(alarm.map(|alarm| (name.value.to_owned(), alarm)));
        alarms.filters.extend(subject.and_then(|subject| subject.filter));
    }
    alarms
}

/// Everything but what is watched.
fn metric_alarm(table: &mut Table<'_>, subject: Option<&Subject>) -> Option<MetricAlarm> {
    let defaults = subject.map(|subject| &subject.defaults);
    let period = table.need("period").and_then(|field| period(&field));
    let field = table.field("condition");
    let condition = match (field, defaults.and_then(|defaults| defaults.condition)) {
        (Some(field), _) if defaults.is_some_and(|defaults| defaults.is_fixed) => {
            let help = "a heartbeat alarm fires when a period has no event: remove this";
            field.refuse(format!("{} cannot be chosen", field.title()), help);
            None
        }
        (Some(field), _) => self::condition(&field),
        (None, Some(default)) => Some(default),
        // What is watched could not be read: whether a condition is needed is not known.
        (None, None) if ["pattern", "heartbeat"].iter().any(|key| table.field(key).is_some()) => None,
        (None, None) => table.need("condition").and_then(|field| self::condition(&field)),
    };
    let datapoints = match table.field("datapoints") {
        Some(field) => datapoints(&field, period),
        None => Some((1, 1)),
    };
    let missing = defaults.map_or(TreatMissingData::Missing, |defaults| defaults.treat_missing_data);
    let treat_missing_data = match table.field("missing_data") {
        Some(field) if defaults.is_some_and(|defaults| defaults.is_fixed) => {
            let help = "for a heartbeat alarm a period without events is what breaches: remove this";
            field.refuse(format!("{} cannot be chosen", field.title()), help);
            None
        }
        Some(field) => field.one_of(&[]),
        None => Some(missing),
    };
    let low_samples = match table.field("low_samples") {
        Some(field) => low_samples(&field, subject),
        None => Some(LowSamples::Evaluate),
    };
    let ((comparison, threshold), (datapoints_to_alarm, evaluation_periods)) = condition.zip(datapoints)?;
    let Subject { watched, each, .. } = subject?;
    Some(MetricAlarm {
        watched: watched.clone(),
        each: each.clone(),
        period: period?,
        comparison,
        threshold,
        datapoints_to_alarm,
        evaluation_periods,
        treat_missing_data: treat_missing_data?,
        low_samples: low_samples?,
        warms_up: defaults.is_some_and(|defaults| defaults.is_fixed),
    })
}

/// Whether percentiles of few values count; where that makes no sense it is refused.
fn low_samples(field: &Field<'_>, subject: Option<&Subject>) -> Option<LowSamples> {
    let low_samples = field.one_of(&[])?;
    let Some(subject) = subject.filter(|_| low_samples == LowSamples::Ignore) else {
        return Some(low_samples);
    };
    let percentile = match &subject.watched {
        Watched::Stat(stat) => stat.statistic.percentile(),
        Watched::Math { .. } => None,
    };
    let Some(percentile) = percentile else {
        field.refuse(
            format!("{} needs a percentile", field.title()),
            "write statistic = \"p99\", or remove it",
        );
        return None;
    };
    if !percentile.is_significant(u64::MAX) {
        let message = format!("{}: no number of samples is enough for {percentile}", field.title());
        field.refuse(
            message,
            "write a percentile between p0 and p100, or statistic = \"Maximum\" or \"Minimum\"",
        );
        return None;
    }
    Some(low_samples)
}

/// What every kind of alarm has: how grave it is and who is told.
pub(crate) struct Announcement {
    severity: Option<AlarmSeverity>,
    notify: Vec<String>,
    description: Option<String>,
    runbook: Option<String>,
}

impl Announcement {
    pub(crate) fn read(
        table: &mut Table<'_>,
        topics: &Names<'_>,
        told: &mut BTreeSet<String>,
        may_be_silent: bool,
    ) -> Announcement {
        let severity = match table.field("severity") {
            Some(field) => field.one_of(&[]),
            None => Some(AlarmSeverity::Error),
        };
        let notify = notify(table, topics, may_be_silent);
        told.extend(notify.iter().cloned());
        Announcement { severity, notify, description: description(table), runbook: runbook(table) }
    }

    pub(crate) fn of(self, kind: AlarmKind) -> Option<Alarm> {
        let Announcement { severity, notify, description, runbook } = self;
        Some(Alarm { kind, severity: severity?, notify, description, runbook })
    }
}

fn period(field: &Field<'_>) -> Option<Period> {
    let ms = field.duration_ms()?;
    let written = field.text()?.value;
    let help = "write 10s, 20s, 30s or whole minutes up to a day";
    let whole_s = if ms % 1000 == 0 { u32::try_from(ms / 1000).ok() } else { None };
    let Some(period_s) = whole_s else {
        field.refuse(format!("{} cannot be {}", field.title(), quote(written)), help);
        return None;
    };
    Period::from_s(period_s).map_err(|error| field.refuse(format!("{}: {error}", field.title()), help)).ok()
}

/// The comparison and the finite number of `>= 10`.
fn condition(field: &Field<'_>) -> Option<(Comparison, f64)> {
    let text = field.text()?.value.trim();
    let sign = text.len() - text.trim_start_matches(['<', '>', '=', '!', '≥', '≤']).len();
    let (sign, number) = text.split_at(sign);
    let comparison = match sign {
        ">" => Some(Comparison::GreaterThanThreshold),
        ">=" => Some(Comparison::GreaterThanOrEqualToThreshold),
        "<" => Some(Comparison::LessThanThreshold),
        "<=" => Some(Comparison::LessThanOrEqualToThreshold),
        _ => None,
    };
    let threshold = number.trim().parse().ok().filter(|number: &f64| number.is_finite());
    let condition = comparison.zip(threshold);
    if condition.is_none() {
        let reason = if comparison.is_none() {
            "does not start with one of > >= < <="
        } else {
            "does not end with a finite number"
        };
        let message = format!("{} {reason}: {}", field.title(), quote(text));
        field.refuse(message, "write a comparison and a number, such as \">= 10\"");
    }
    condition
}

/// M and N of `M of N`.
fn datapoints(field: &Field<'_>, period: Option<Period>) -> Option<(u32, u32)> {
    let text = field.text()?.value;
    let words: Vec<&str> = text.split_whitespace().collect();
    let parsed = match words[..] {
        [m, "of", n] => m.parse::<u32>().ok().zip(n.parse::<u32>().ok()),
        _ => None,
    };
    let Some((m, n)) = parsed else {
        field.refuse(
            format!("{} is not \"M of N\": {}", field.title(), quote(text)),
            "write two whole numbers, such as \"2 of 3\"",
        );
        return None;
    };
    if m == 0 || m > n {
        field.refuse(format!("{} asks for {m} of {n}", field.title()), "write 1 or more, of as many or more");
        return None;
    }
    is_in_range(field, n, period?).then_some((m, n))
}

fn is_in_range(field: &Field<'_>, evaluation_periods: u32, period: Period) -> bool {
    let range_s_max = EVALUATION_RANGE_S_MAX[usize::from(period.as_s() >= LONG_PERIOD_S)];
    let range_s = u64::from(evaluation_periods) * u64::from(period.as_s());
    if range_s > range_s_max {
        let message = format!("{} looks back {range_s} seconds, more than {range_s_max}", field.title());
        let periods_max = range_s_max / u64::from(period.as_s());
        field.refuse(message, format!("with this period, at most {periods_max} datapoints"));
    }
    range_s <= range_s_max
}

/// The topics that exist among those told; the others are noted.
fn notify(table: &mut Table<'_>, topics: &Names<'_>, may_be_silent: bool) -> Vec<String> {
    let Some(field) = table.field("notify") else {
        if !may_be_silent {
            warn_nobody_told(table.context, table);
        }
        return Vec::new();
    };
    if field.is_empty_array() {
        warn_nobody_told(table.context, table);
    }
    self::topics(&field, topics)
}

/// The topics that exist among those that a field names; the others are noted.
pub(crate) fn topics(field: &Field<'_>, topics: &Names<'_>) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for text in field.texts() {
        if told.iter().any(|topic| topic == text.value) {
            let message = format!("{} names {} twice", field.title(), quote(text.value));
            field.context.report(Problem::error(text.span, message).help("remove one of them"));
        } else if topics.resolve(field.context, &text, field.owner()) {
            told.push(text.value.to_owned());
        }
    }
    if told.len() > TOPICS_MAX {
        let message = format!("{} names {} topics, more than {TOPICS_MAX}", field.title(), told.len());
        field.refuse(message, "gather the subscriptions in fewer topics");
    }
    told
}

fn warn_nobody_told(context: &Context<'_>, table: &Table<'_>) {
    let message = format!("{} tells nobody", table.title);
    let help = "write notify = [\"TOPIC\"]; without it only the journal knows of the alarm's states";
    context.report_absence(Problem::warning(table.place.clone(), message).help(help));
}

fn description(table: &mut Table<'_>) -> Option<String> {
    let field = table.field("description")?;
    let text = field.text()?.value;
    let length = text.chars().count();
    if length > DESCRIPTION_CHARS_MAX {
        let message = format!("{} has {length} characters, more than {DESCRIPTION_CHARS_MAX}", field.title());
        field.refuse(message, "put the long text behind runbook");
    }
    Some(text.to_owned())
}

fn runbook(table: &mut Table<'_>) -> Option<String> {
    let field = table.field("runbook")?;
    let text = field.text()?.value;
    match web_address::parse(text) {
        Ok(_) => return Some(text.to_owned()),
        Err(WebAddressError::HoldsPassword) => {
            let message = format!("{} holds a password, which must not stand in the file", field.title());
            field.refuse(message, "messages show this address; write it without user and password");
        }
        Err(WebAddressError::Malformed(reason)) => {
            field.refuse(format!("{} {reason}", field.title()), "write \"https://…\"");
        }
    }
    None
}
