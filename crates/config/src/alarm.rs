//! `[alarms.NAME]`

use std::collections::{BTreeMap, BTreeSet};

use watchbell_model::{
    Alarm, AlarmSeverity, Comparison, EVALUATION_RANGE_S_MAX, MetricName, Period, Statistic, TreatMissingData,
};

use crate::metric_filter::{self, Filters};
use crate::name;
use crate::names::Names;
use crate::problem::{Problem, quote};
use crate::reader::{Context, Field, Table};
use crate::web_address::{self, WebAddressError};

/// Most topics of one alarm. Source: CloudWatch API Reference, `PutMetricAlarm`, `AlarmActions`.
const TOPICS_MAX: usize = 5;
/// Longest description, in characters. Source: CloudWatch API Reference, `PutMetricAlarm`, `AlarmDescription`.
const DESCRIPTION_CHARS_MAX: usize = 1024;
/// From this period on, in seconds, the longer evaluation range holds.
const LONG_PERIOD_S: u32 = 3600;
/// Statistics of the design that do not exist yet, beside percentiles such as `p99.9`.
const STATISTICS_LATER: [&str; 6] = ["tm", "wm", "tc", "ts", "pr", "iqm"];

/// The alarms of a file.
#[derive(Default)]
pub(crate) struct Alarms {
    /// The correct ones.
    pub(crate) plan: BTreeMap<String, Alarm>,
    /// The topics that some alarm tells, correct or not.
    pub(crate) told: BTreeSet<String>,
}

/// What alarms may mention.
pub(crate) struct Mentions<'n, 'a> {
    pub(crate) filters: &'n Filters,
    pub(crate) filter_names: &'n Names<'a>,
    pub(crate) topic_names: &'n Names<'a>,
}

pub(crate) fn read<'a>(root: &mut Table<'a>, mentions: &Mentions<'_, 'a>) -> Alarms {
    let mut alarms = Alarms::default();
    for (name, entry) in root.named("alarms", "alarm") {
        name::check(entry.context, &name::ALARM, name.value, name.span.clone());
        let Some(table) = entry.entry(&name) else { continue };
        let alarm = read_one(table, mentions, &mut alarms.told);
        alarms.plan.extend(alarm.map(|alarm| (name.value.to_owned(), alarm)));
    }
    alarms
}

fn read_one(mut table: Table<'_>, mentions: &Mentions<'_, '_>, told: &mut BTreeSet<String>) -> Option<Alarm> {
    let metric = metric(&mut table, mentions);
    let statistic = match table.field("statistic") {
        Some(field) => statistic(&field),
        None => Some(Statistic::Sum),
    };
    let period = table.need("period").and_then(|field| period(&field));
    let condition = table.need("condition").and_then(|field| condition(&field));
    let datapoints = match table.field("datapoints") {
        Some(field) => datapoints(&field, period),
        None => Some((1, 1)),
    };
    let treat_missing_data = match table.field("missing_data") {
        Some(field) => field.one_of(&[]),
        None => Some(TreatMissingData::Missing),
    };
    let severity = match table.field("severity") {
        Some(field) => field.one_of(&[]),
        None => Some(AlarmSeverity::Error),
    };
    let notify = notify(&mut table, mentions.topic_names);
    told.extend(notify.iter().cloned());
    let description = description(&mut table);
    let runbook = runbook(&mut table);
    table.finish();
    let ((comparison, threshold), (datapoints_to_alarm, evaluation_periods)) = condition.zip(datapoints)?;
    Some(Alarm {
        metric: metric?,
        statistic: statistic?,
        period: period?,
        comparison,
        threshold,
        datapoints_to_alarm,
        evaluation_periods,
        treat_missing_data: treat_missing_data?,
        severity: severity?,
        notify,
        description,
        runbook,
    })
}

/// The metric that exactly one of `metric_filter` and `metric` gives.
fn metric(table: &mut Table<'_>, mentions: &Mentions<'_, '_>) -> Option<MetricName> {
    let (filter, metric) = (table.field("metric_filter"), table.field("metric"));
    let from_filter = filter.as_ref().and_then(|field| {
        let text = field.text()?;
        mentions.filter_names.resolve(table.context, &text, &table.title).then_some(())?;
        mentions.filters.metrics.get(text.value).map(|(metric, _)| metric.clone())
    });
    let from_metric = metric.as_ref().and_then(|field| {
        let mut inner = field.table(format!("the metric of {}", table.title))?;
        let metric = metric_filter::metric_name(&mut inner);
        inner.finish();
        metric.filter(|metric| is_published(field, metric, mentions.filters))
    });
    match (filter, metric) {
        (Some(_), None) => from_filter,
        (None, Some(_)) => from_metric,
        (None, None) => {
            let message =
                format!("{} watches nothing: it has neither \"metric_filter\" nor \"metric\"", table.title);
            let help = "write metric_filter = \"NAME\", or metric = { namespace = \"…\", name = \"…\" }";
            table.context.report_absence(Problem::error(table.place.clone(), message).help(help));
            None
        }
        (Some(_), Some(metric)) => {
            metric.refuse(
                format!("{} has both \"metric_filter\" and \"metric\"", table.title),
                "remove one of them",
            );
            None
        }
    }
}

/// Whether some metric filter publishes `metric`; if surely none does, that is noted.
fn is_published(field: &Field<'_>, metric: &MetricName, filters: &Filters) -> bool {
    let published = || filters.metrics.values().map(|(published, place)| (spell(published), place));
    let wanted = spell(metric);
    if filters.is_metric_unknown || published().any(|(name, _)| name == wanted) {
        return true;
    }
    let places: BTreeMap<String, usize> = published().map(|(name, place)| (name, place.start)).collect();
    let help = match field.context.suggest(&wanted, places.keys().map(String::as_str)) {
        Some(near) => format!("did you mean {} (line {})?", quote(near), field.context.line(places[near])),
        None => "name a metric that a metric filter publishes, or write metric_filter = \"NAME\"".into(),
    };
    let message = format!("unknown metric {} in {}", quote(&wanted), field.owner());
    let problem = Problem::error(field.span(), message).label("no metric filter publishes it").help(help);
    field.context.report_absence(problem);
    false
}

fn spell(metric: &MetricName) -> String {
    format!("{}/{}", metric.namespace, metric.name)
}

fn statistic(field: &Field<'_>) -> Option<Statistic> {
    let text = field.text()?.value;
    let is_percentile = text.strip_prefix('p').is_some_and(|rest| rest.parse::<f64>().is_ok());
    let family = text.trim_end_matches(|c: char| !c.is_ascii_lowercase());
    let is_later = is_percentile || STATISTICS_LATER.contains(&family);
    if is_later { field.one_of(&[text]) } else { field.one_of(&[]) }
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
fn notify(table: &mut Table<'_>, topics: &Names<'_>) -> Vec<String> {
    let Some(field) = table.field("notify") else {
        warn_nobody_told(table.context, table);
        return Vec::new();
    };
    let texts = field.texts();
    if field.value().as_array().is_some_and(|items| items.is_empty()) {
        warn_nobody_told(table.context, table);
    }
    let mut told: Vec<String> = Vec::new();
    for text in texts {
        if told.iter().any(|topic| topic == text.value) {
            let message = format!("{} names {} twice", field.title(), quote(text.value));
            field.context.report(Problem::error(text.span, message).help("remove one of them"));
        } else if topics.resolve(field.context, &text, &table.title) {
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
