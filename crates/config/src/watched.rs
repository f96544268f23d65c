//! What an alarm watches: a metric, metric math, a filter pattern, or the heartbeat of a log group.

use std::collections::{BTreeMap, BTreeSet};

use watchbell_expression::MetricMath;
use watchbell_model::{
    Comparison, Dimensions, GroupName, MetricFilter, MetricName, MetricStat, MetricTransformation, OwnMetric,
    SERIES_MAX_DEFAULT, Statistic, TreatMissingData, Unit, Watched,
};

use crate::alarm::Mentions;
use crate::keys::{MATH_METRIC, WATCHED, quoted};
use crate::metric_filter::{self, PATTERN_FILTER, PATTERN_NAMESPACE, Published, Quotas};
use crate::name;
use crate::problem::{Problem, quote};
use crate::reader::{Field, Table, Text};

/// Most metrics of one expression. Source: CloudWatch API Reference, `PutMetricAlarm`, `Metrics`.
const METRICS_MAX: usize = 10;

/// What an alarm watches, and what follows from its kind.
pub(crate) struct Subject {
    pub(crate) watched: Watched,
    pub(crate) each: Vec<String>,
    pub(crate) defaults: Defaults,
    /// An alarm on a pattern brings its own metric filter, with this name.
    pub(crate) filter: Option<(String, MetricFilter)>,
}

/// What holds if the file does not say.
pub(crate) struct Defaults {
    pub(crate) condition: Option<(Comparison, f64)>,
    pub(crate) treat_missing_data: TreatMissingData,
    /// The file must not say.
    pub(crate) is_fixed: bool,
}

impl Subject {
    /// Of datapoints that the file says everything about.
    fn of(watched: Watched, each: Vec<String>) -> Subject {
        let defaults =
            Defaults { condition: None, treat_missing_data: TreatMissingData::Missing, is_fixed: false };
        Subject { watched, each, defaults, filter: None }
    }
}

/// What the alarm `name` watches: exactly one of [`WATCHED`].
pub(crate) fn read<'a>(
    table: &mut Table<'a>,
    name: &str,
    mentions: &Mentions<'_, 'a>,
    quotas: &mut Quotas<'a>,
) -> Option<Subject> {
    let each_names = each(table);
    let each: Vec<String> = each_names.iter().map(|name| name.value.to_owned()).collect();
    let [filter, metric, expression, pattern, heartbeat] =
        ["metric_filter", "metric", "expression", "pattern", "heartbeat"].map(|key| table.field(key));
    let written: Vec<&Field<'_>> =
        [&filter, &metric, &expression, &pattern, &heartbeat].into_iter().flatten().collect();
    if let [_, more, ..] = written[..] {
        more.refuse(
            format!("{} watches more than one thing", table.title),
            format!("keep one of {}", quoted(WATCHED)),
        );
    }
    let is_one = is_one_of(table, written.len(), WATCHED);
    let subject = match (&expression, &pattern, &heartbeat) {
        (Some(field), _, _) => math(table, field, mentions, &each_names),
        (None, Some(field), _) => on_pattern(table, field, name, mentions, quotas, each),
        (None, None, Some(field)) => on_heartbeat(table, field, mentions, each),
        (None, None, None) => {
            let stat = stat(table, filter.as_ref(), metric.as_ref(), &each_names, mentions);
            stat.map(|stat| Subject::of(Watched::Stat(stat), each))
        }
    };
    let others = [
        ("log_group", pattern.is_some(), "pattern"),
        ("metrics", expression.is_some(), "expression"),
        ("minimum", expression.is_some(), "expression"),
        ("dimensions", filter.is_some() || metric.is_some(), "metric_filter or metric"),
        ("unit", filter.is_some() || metric.is_some(), "metric_filter or metric"),
        ("statistic", heartbeat.is_none() && expression.is_none(), "metric_filter, metric or pattern"),
    ];
    for (key, belongs, owner) in others {
        if let Some(field) = table.field(key).filter(|_| !belongs && !written.is_empty()) {
            field.refuse(format!("{} belongs to {owner}", field.title()), "remove it");
        }
    }
    subject.filter(|_| is_one)
}

fn is_one_of(table: &Table<'_>, written: usize, keys: &[&str]) -> bool {
    if written == 0 {
        let message = format!("{} watches nothing: it has none of {}", table.title, quoted(keys));
        let help = "write metric_filter = \"NAME\", or metric = { namespace = \"…\", name = \"…\" }";
        table.context.report_absence(Problem::error(table.place.clone(), message).help(help));
    }
    written == 1
}

/// The names of dimensions that the alarm has a state for each value of.
fn each<'a>(table: &mut Table<'a>) -> Vec<Text<'a>> {
    let Some(field) = table.field("each") else { return Vec::new() };
    let mut each: Vec<Text<'_>> = Vec::new();
    for text in field.texts() {
        if each.iter().any(|name| name.value == text.value) {
            let message = format!("{} names {} twice", field.title(), quote(text.value));
            field.context.report(Problem::error(text.span, message).help("remove one of them"));
        } else {
            each.push(text);
        }
    }
    each
}

/// One statistic of the metric that a filter publishes or that is named.
fn stat(
    table: &mut Table<'_>,
    filter: Option<&Field<'_>>,
    metric: Option<&Field<'_>>,
    each: &[Text<'_>],
    mentions: &Mentions<'_, '_>,
) -> Option<MetricStat> {
    let metric_name = metric_name(table, filter, metric, mentions);
    let values = values(table);
    let unit_field = table.field("unit");
    let unit = unit_field.as_ref().map_or(Some(None), |field| field.one_of(&[]).map(Some));
    let statistic = statistic(table);
    let values = values?;
    let dimensions =
        values.iter().map(|(name, value)| (name.value.to_owned(), (*value).to_owned())).collect();
    let stat = MetricStat { metric: metric_name?, dimensions, unit: unit?, statistic: statistic? };
    let names: Vec<&Text<'_>> = each.iter().chain(values.iter().map(|(name, _)| name)).collect();
    let is_there = is_group(table, &stat, mentions) & has_series(table, &stat, &names, mentions);
    if let Some(field) = unit_field.filter(|_| is_there) {
        warn_of_other_unit(&field, &stat, mentions);
    }
    is_there.then_some(stat)
}

/// A unit that no sample of the metric has leaves the alarm without data for ever.
fn warn_of_other_unit(field: &Field<'_>, stat: &MetricStat, mentions: &Mentions<'_, '_>) {
    let published = published(mentions).into_iter().filter(|it| it.metric == stat.metric);
    let units: Option<BTreeSet<Unit>> = published.map(|it| it.unit).collect();
    let Some(units) = units.filter(|units| stat.unit.is_some_and(|unit| !units.contains(&unit))) else {
        return;
    };
    let units: Vec<String> = units.iter().map(|unit| quote(unit.as_str())).collect();
    let metric = quote(&spell(&stat.metric));
    let message = format!(
        "{}: {metric} is published in {}, so there will be no data",
        field.title(),
        units.join(" and ")
    );
    let help = "write that unit, or none: samples of every unit then count";
    field.context.report_absence(Problem::warning(field.span(), message).help(help));
}

/// The metric that a filter publishes or that is named.
fn metric_name(
    table: &Table<'_>,
    filter: Option<&Field<'_>>,
    metric: Option<&Field<'_>>,
    mentions: &Mentions<'_, '_>,
) -> Option<MetricName> {
    if let Some(field) = filter {
        let text = field.text()?;
        let is_known = mentions.filter_names.resolve(table.context, &text, &table.title);
        let published = mentions.filters.metrics.get(text.value).filter(|_| is_known);
        return published.map(|published| published.metric.clone());
    }
    let mut inner = metric?.table(format!("the metric of {}", table.title))?;
    let name = metric_filter::metric_name(&mut inner);
    inner.finish();
    name.filter(|name| metric.is_some_and(|field| is_published(field, name, mentions)))
}

fn statistic(table: &mut Table<'_>) -> Option<Statistic> {
    let Some(field) = table.field("statistic") else { return Some(Statistic::Sum) };
    let text = field.text()?;
    let help = "write one of SampleCount, Sum, Average, Minimum, Maximum, or a percentile such as p99.9";
    let refuse = |_| {
        let known = ["SampleCount", "Sum", "Average", "Minimum", "Maximum"];
        let near =
            field.context.suggest(text.value, known).map(|near| format!("did you mean {}?", quote(near)));
        field.refuse(
            format!("{} cannot be {}", field.title(), quote(text.value)),
            near.unwrap_or_else(|| help.to_owned()),
        );
    };
    text.value.parse().map_err(refuse).ok()
}

/// The values of dimensions, by name.
fn values<'a>(table: &mut Table<'a>) -> Option<Vec<(Text<'a>, &'a str)>> {
    let named = table.named("dimensions", "dimension");
    let value = |(name, field): (_, Field<'a>)| Some((name, field.text()?.value));
    named.into_iter().map(value).collect()
}

/// Every metric there is, with the names of its dimensions.
fn published(mentions: &Mentions<'_, '_>) -> Vec<Published> {
    let own = OwnMetric::ALL.into_iter().map(|own| Published {
        metric: own.metric(),
        dimensions: own.dimensions.iter().map(|name| (*name).to_owned()).collect(),
        unit: Some(own.unit),
        place: 0..0,
    });
    mentions.filters.metrics.values().cloned().chain(own).collect()
}

/// Whether some metric filter publishes `metric`, or Watchbell itself; if surely none does, that is noted.
fn is_published(field: &Field<'_>, metric: &MetricName, mentions: &Mentions<'_, '_>) -> bool {
    let published = published(mentions);
    let wanted = spell(metric);
    if mentions.filters.is_metric_unknown || published.iter().any(|it| it.metric == *metric) {
        return true;
    }
    let places: BTreeMap<String, usize> =
        published.iter().map(|it| (spell(&it.metric), it.place.start)).collect();
    let help = match field.context.suggest(&wanted, places.keys().map(String::as_str)) {
        Some(near) if places[near] == 0 => format!("did you mean {}?", quote(near)),
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

/// Whether the log group that one of Watchbell's own metrics is asked for exists.
fn is_group(table: &Table<'_>, stat: &MetricStat, mentions: &Mentions<'_, '_>) -> bool {
    let named = stat.dimensions.get(OwnMetric::LOG_GROUP);
    let Some(group) = named.filter(|_| stat.metric.namespace == OwnMetric::NAMESPACE) else { return true };
    let text = Text { value: group, span: table.place.clone() };
    mentions.group_names.resolve(table.context, &text, &table.title)
}

/// Whether the metric has series with exactly the dimensions `names`, those of `each` and of `dimensions`.
fn has_series(
    table: &Table<'_>,
    stat: &MetricStat,
    names: &[&Text<'_>],
    mentions: &Mentions<'_, '_>,
) -> bool {
    let mut named: BTreeSet<String> = BTreeSet::new();
    let twice = names.iter().find(|name| !named.insert(name.value.to_owned()));
    if let Some(twice) = twice {
        let message =
            format!("{} has {} in both \"each\" and \"dimensions\"", table.title, quote(twice.value));
        table.context.report(Problem::error(twice.span.clone(), message).help("remove one of the two"));
        return false;
    }
    let published: Vec<Published> =
        published(mentions).into_iter().filter(|it| it.metric == stat.metric).collect();
    if mentions.filters.is_metric_unknown || published.iter().any(|it| it.dimensions == named) {
        return true;
    }
    let known: BTreeSet<&str> = published.iter().flat_map(|it| &it.dimensions).map(String::as_str).collect();
    let unknown = names.iter().find(|name| !known.contains(name.value));
    if let Some(unknown) = unknown.filter(|_| !known.is_empty()) {
        let metric = quote(&spell(&stat.metric));
        let message = format!("{}: {metric} has no dimension {}", table.title, quote(unknown.value));
        let help = match table.context.suggest(unknown.value, known.iter().copied()) {
            Some(near) => format!("did you mean {}?", quote(near)),
            None => format!("it has {}", known.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")),
        };
        table.context.report_absence(Problem::error(unknown.span.clone(), message).help(help));
        return false;
    }
    let place = names.first().map_or(table.place.clone(), |name| name.span.clone());
    let list = |names: &BTreeSet<String>| match names.len() {
        0 => "no dimensions".to_owned(),
        1 => format!("the dimension {}", quoted_names(names)),
        _ => format!("the dimensions {}", quoted_names(names)),
    };
    let there: BTreeSet<String> = published.iter().map(|it| list(&it.dimensions)).collect();
    let there: Vec<String> = there.into_iter().collect();
    let message = format!(
        "{} watches {} with {}, which is published with {}",
        table.title,
        quote(&spell(&stat.metric)),
        list(&named),
        there.join(" and with ")
    );
    let open = published.iter().flat_map(|it| &it.dimensions).find(|name| !named.contains(*name));
    let help = match open {
        Some(name) => format!(
            "write each = [{0}] for a state of its own for each value, or dimensions = {{ {1} = \"…\" }} for one value",
            quote(name),
            crate::keys::spell(name)
        ),
        None => "remove the dimensions that the metric does not have".to_owned(),
    };
    table.context.report(Problem::error(place, message).help(help));
    false
}

fn quoted_names(names: &BTreeSet<String>) -> String {
    names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")
}

fn math<'a>(
    table: &mut Table<'a>,
    field: &Field<'a>,
    mentions: &Mentions<'_, 'a>,
    each: &[Text<'a>],
) -> Option<Subject> {
    let named = table.named("metrics", "metric");
    let mut metrics = Some(BTreeMap::new());
    if named.len() > METRICS_MAX {
        let message = format!("{} has {} metrics, more than {METRICS_MAX}", table.title, named.len());
        let problem = Problem::error(named[METRICS_MAX].0.span.clone(), message);
        table.context.report(problem.help("split the alarm and join the parts with a composite alarm"));
    }
    let ids: Vec<&str> = named.iter().map(|(id, _)| id.value).collect();
    for (id, entry) in &named {
        let is_id = id.value.starts_with(|c: char| c.is_ascii_lowercase())
            && id.value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_id {
            let message = format!("{} cannot be used in metric math", quote(id.value));
            let help = "write a name of letters, digits and _ that begins with a small letter";
            table.context.report(Problem::error(id.span.clone(), message).help(help));
            metrics = None;
        }
        let stat = entry.entry(id).and_then(|mut inner| {
            inner.title = format!("metric {} of {}", quote(id.value), table.title);
            let (filter, metric) = (inner.field("metric_filter"), inner.field("metric"));
            let count = usize::from(filter.is_some()) + usize::from(metric.is_some());
            if let (Some(_), Some(metric)) = (&filter, &metric) {
                metric.refuse(
                    format!("{} has both \"metric_filter\" and \"metric\"", inner.title),
                    "remove one of them",
                );
            }
            let is_one = is_one_of(&inner, count, MATH_METRIC);
            let stat = stat(&mut inner, filter.as_ref(), metric.as_ref(), each, mentions);
            inner.finish();
            stat.filter(|_| is_one)
        });
        match (metrics.as_mut(), stat) {
            (Some(metrics), Some(stat)) => drop(metrics.insert(id.value.to_owned(), stat)),
            _ => metrics = None,
        }
    }
    let minimum = minimum(table, &ids);
    let expression = expression(field, &ids)?;
    if !each.is_empty() && expression.contains("FILL") {
        let help = "FILL makes datapoints where there are none, so every value that ever was would have one for ever";
        field.refuse(format!("{} cannot use FILL beside \"each\"", field.title()), help);
        return None;
    }
    let each = each.iter().map(|name| name.value.to_owned()).collect();
    Some(Subject::of(Watched::Math { expression, metrics: metrics?, minimum: minimum? }, each))
}

/// The least value of each metric that has a minimum.
fn minimum(table: &mut Table<'_>, ids: &[&str]) -> Option<BTreeMap<String, f64>> {
    let guard = |(id, field): (Text<'_>, Field<'_>)| {
        let least = field.number()?;
        if !ids.contains(&id.value) {
            let message = format!("unknown metric {} in the minimum of the expression", quote(id.value));
            let problem = Problem::error(id.span.clone(), message).help(known_ids(ids));
            field.context.report_absence(problem);
            return None;
        }
        Some((id.value.to_owned(), least))
    };
    let guards: Vec<Option<(String, f64)>> =
        table.named("minimum", "minimum").into_iter().map(guard).collect();
    guards.into_iter().collect()
}

fn known_ids(ids: &[&str]) -> String {
    match ids {
        [] => "name its metrics: metrics.errors = { metric_filter = \"NAME\" }".to_owned(),
        ids => format!("the expression has {}", ids.join(", ")),
    }
}

/// The expression as written, if it parses, names only `ids`, all of them, and gives a series.
fn expression(field: &Field<'_>, ids: &[&str]) -> Option<String> {
    let text = field.text()?;
    let file = field.context.source.text;
    let math = match MetricMath::parse(text.value, ids) {
        Ok(math) => math,
        Err(error) => {
            field.refuse_at(text.part(file, &error.span), &error.message, error.help);
            return None;
        }
    };
    for reference in math.ids().iter().filter(|reference| !ids.contains(&reference.name.as_str())) {
        let message = format!("unknown metric {} in {}", quote(&reference.name), field.title());
        let help = match field.context.suggest(&reference.name, ids.iter().copied()) {
            Some(near) => format!("did you mean {}?", quote(near)),
            None => known_ids(ids),
        };
        field.context.report_absence(Problem::error(text.part(file, &reference.span), message).help(help));
    }
    let is_used = |id: &&&str| math.ids().iter().any(|reference| reference.name == **id);
    if let Some(unused) = ids.iter().find(|id| !is_used(id)) {
        field.refuse(
            format!("{} does not use the metric {}", field.title(), quote(unused)),
            "remove the metric",
        );
    }
    if math.is_scalar() {
        let help = "compare series with a number: CloudWatch refuses an alarm on one number for all periods";
        field.refuse(format!("{} gives one number, not a datapoint for each period", field.title()), help);
        return None;
    }
    math.ids().iter().all(|reference| ids.contains(&reference.name.as_str())).then(|| text.value.to_owned())
}

/// An alarm on a pattern is one on a metric filter of its own.
fn on_pattern<'a>(
    table: &mut Table<'a>,
    field: &Field<'a>,
    name: &str,
    mentions: &Mentions<'_, 'a>,
    quotas: &mut Quotas<'a>,
    each: Vec<String>,
) -> Option<Subject> {
    let pattern = metric_filter::pattern(field);
    let field = table.field("log_group");
    if field.is_none() {
        let message = format!("{} has no \"log_group\"", table.title);
        let help = "say which events its pattern is held against: log_group = \"NAME\"";
        table.context.report_absence(Problem::error(table.place.clone(), message).help(help));
    }
    let log_group = field.and_then(|field| field.text());
    let log_group = log_group.filter(|text| mentions.group_names.resolve(table.context, text, &table.title));
    if let Some(log_group) = &log_group {
        quotas.count(table, log_group.value, pattern.as_ref());
    }
    if !each.is_empty() {
        let message = format!("{} has \"each\", but its events have no dimensions", table.title);
        let help = "write a metric filter with dimensions, and metric_filter = \"NAME\" here";
        table.context.report(Problem::error(table.place.clone(), message).help(help));
        return None;
    }
    name::check(table.context, &name::METRIC, name, table.place.clone()).then_some(())?;
    let statistic = statistic(table);
    let metric = MetricName { namespace: PATTERN_NAMESPACE.to_owned(), name: name.to_owned() };
    let filter = MetricFilter {
        log_group: GroupName::new(log_group?.value).ok()?,
        pattern: pattern?.as_str().to_owned(),
        metric: MetricTransformation {
            metric: metric.clone(),
            value: "1".to_owned(),
            default: None,
            unit: Unit::COUNT,
            dimensions: BTreeMap::new(),
            series_max: SERIES_MAX_DEFAULT,
        },
    };
    let stat = MetricStat { metric, dimensions: Dimensions::new(), unit: None, statistic: statistic? };
    Some(Subject {
        watched: Watched::Stat(stat),
        each,
        defaults: Defaults {
            condition: Some((Comparison::GreaterThanOrEqualToThreshold, 1.0)),
            treat_missing_data: TreatMissingData::NotBreaching,
            is_fixed: false,
        },
        filter: Some((format!("{PATTERN_FILTER}{name}"), filter)),
    })
}

/// An alarm on a heartbeat watches how many events a log group, or each of its streams, gets.
fn on_heartbeat<'a>(
    table: &mut Table<'a>,
    field: &Field<'a>,
    mentions: &Mentions<'_, 'a>,
    each: Vec<String>,
) -> Option<Subject> {
    let mut inner = field.table(format!("the heartbeat of {}", table.title))?;
    let log_group = inner.need("log_group").and_then(|field| field.text());
    let log_group = log_group.filter(|text| mentions.group_names.resolve(table.context, text, &table.title));
    inner.finish();
    if !each.is_empty() && each != [OwnMetric::LOG_STREAM] {
        let message = format!("{} has \"each\" other than \"{}\"", table.title, OwnMetric::LOG_STREAM);
        let help = format!("write each = [\"{}\"] for a state for each log stream", OwnMetric::LOG_STREAM);
        table.context.report(Problem::error(table.place.clone(), message).help(help));
        return None;
    }
    let stat = MetricStat {
        metric: OwnMetric::INCOMING_LOG_EVENTS.metric(),
        dimensions: OwnMetric::of_group(&GroupName::new(log_group?.value).ok()?),
        unit: None,
        statistic: Statistic::Sum,
    };
    Some(Subject {
        watched: Watched::Stat(stat),
        each,
        defaults: Defaults {
            condition: Some((Comparison::LessThanThreshold, 1.0)),
            treat_missing_data: TreatMissingData::Breaching,
            is_fixed: true,
        },
        filter: None,
    })
}
