//! `[metric_filters.NAME]`

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::de::DeValue;
use watchbell_model::{
    FILTER_DIMENSIONS_MAX, GroupName, MetricFilter, MetricName, MetricTransformation, OwnMetric, SAMPLE_MAX,
    SERIES_MAX_DEFAULT, Unit,
};
use watchbell_pattern::{Pattern, PatternError, PatternSet, Selector};

use crate::name;
use crate::names::Names;
use crate::problem::{Problem, quote};
use crate::reader::{Context, Field, Table, Text};

/// Used if a metric's `value` is absent.
const VALUE_DEFAULT: &str = "1";
/// Longest `value`, in characters. Source: CloudWatch Logs API Reference, `MetricTransformation`, `metricValue`.
const VALUE_CHARS_MAX: usize = 100;
/// The namespace of the metrics of alarms on a pattern.
pub(crate) const PATTERN_NAMESPACE: &str = "Watchbell/Alarms";
/// What the names of the metric filters of alarms on a pattern begin with.
pub(crate) const PATTERN_FILTER: &str = "alarm/";
/// Most that `series_max` may be.
const SERIES_MAX_MAX: u32 = 100_000;
/// What a filter costs that no index serves, roughly, in nanoseconds for each line: see docs/performance.md.
const UNINDEXED_NS_PER_LINE: usize = 100;
/// More filters of one log group than CloudWatch's quota are a warning.
const FILTERS_PER_GROUP_MAX: usize = 100;
/// Most filters of one log group with a regex. Source: CloudWatch Logs, filter pattern syntax, regular expressions.
const REGEX_FILTERS_PER_GROUP_MAX: usize = 5;

/// The metric filters of a file, and what can be said of the wrong ones among them.
#[derive(Default)]
pub(crate) struct Filters {
    /// The correct ones.
    pub(crate) plan: BTreeMap<String, MetricFilter>,
    /// What each publishes; also of filters that are wrong elsewhere.
    pub(crate) metrics: BTreeMap<String, Published>,
    /// Whether some filter's metric could not be read, so that `metrics` lacks it.
    pub(crate) is_metric_unknown: bool,
}

/// A metric that some filter publishes.
#[derive(Clone)]
pub(crate) struct Published {
    pub(crate) metric: MetricName,
    /// The names of its dimensions.
    pub(crate) dimensions: BTreeSet<String>,
    /// The unit of its samples, if that could be read.
    pub(crate) unit: Option<Unit>,
    pub(crate) place: Range<usize>,
}

pub(crate) fn read<'a>(root: &mut Table<'a>, groups: &Names<'a>, quotas: &mut Quotas<'a>) -> Filters {
    let mut filters = Filters::default();
    for (name, entry) in root.named("metric_filters", "metric filter") {
        name::check(entry.context, &name::METRIC_FILTER, name.value, name.span.clone());
        if name.value.starts_with(PATTERN_FILTER) {
            let message = format!("{} is the name of an alarm's own metric filter", quote(name.value));
            let problem = Problem::error(name.span.clone(), message);
            entry
                .context
                .report(problem.help(format!("choose a name that does not begin with {PATTERN_FILTER}")));
        }
        let Some(table) = entry.entry(&name) else {
            filters.is_metric_unknown = true;
            continue;
        };
        let read = read_one(table, groups, quotas);
        match read.metric {
            Some(metric) => drop(filters.metrics.insert(name.value.to_owned(), metric)),
            None => filters.is_metric_unknown = true,
        }
        filters.plan.extend(read.filter.map(|filter| (name.value.to_owned(), filter)));
    }
    filters
}

/// What one table gives: its metric may be known although the filter is wrong elsewhere.
struct ReadFilter {
    metric: Option<Published>,
    filter: Option<MetricFilter>,
}

fn read_one<'a>(mut table: Table<'a>, groups: &Names<'a>, quotas: &mut Quotas<'a>) -> ReadFilter {
    let log_group = table.need("log_group").and_then(|field| field.text());
    let log_group = log_group.filter(|text| groups.resolve(table.context, text, &table.title));
    let pattern = table.need("pattern").and_then(|field| pattern(&field));
    if let Some(log_group) = &log_group {
        quotas.count(&table, log_group.value, pattern.as_ref());
    }
    let field = table.need("metric");
    let inner = field.as_ref().and_then(|field| field.table(format!("the metric of {}", table.title)));
    let metric = inner.map(|inner| read_metric(inner, pattern.as_ref()));
    table.finish();
    let (published, transformation) = metric.unwrap_or_default();
    let filter = || {
        let log_group = GroupName::new(log_group?.value).ok()?;
        Some(MetricFilter { log_group, pattern: pattern?.as_str().to_owned(), metric: transformation? })
    };
    let published = published.zip(field).map(|((metric, dimensions, unit), field)| Published {
        metric,
        dimensions,
        unit,
        place: field.span(),
    });
    ReadFilter { metric: published, filter: filter() }
}

/// What CloudWatch allows a log group, counted over the file.
#[derive(Default)]
pub(crate) struct Quotas<'a> {
    /// The filters of each log group that every line is held against.
    unindexed: BTreeMap<&'a str, Vec<Unindexed>>,
    /// How many filters each log group has, and how many of them with a regex.
    groups: BTreeMap<&'a str, (usize, usize)>,
}

impl<'a> Quotas<'a> {
    pub(crate) fn count(&mut self, table: &Table<'_>, log_group: &'a str, pattern: Option<&Pattern>) {
        let (filters, with_regex) = self.groups.entry(log_group).or_default();
        *filters += 1;
        if *filters == FILTERS_PER_GROUP_MAX + 1 {
            let message = format!(
                "log group {} has more than {FILTERS_PER_GROUP_MAX} metric filters",
                quote(log_group)
            );
            let help = "that works here; CloudWatch's quota is lower";
            table.context.report(Problem::warning(table.place.clone(), message).help(help));
        }
        let alone = pattern.map(|pattern| PatternSet::new([pattern.clone()]));
        if let Some((_, reason)) = alone.as_ref().and_then(|alone| alone.unindexed().next()) {
            let filter = table.title.clone();
            let unindexed = Unindexed { filter, place: table.place.clone(), reason: reason.to_string() };
            self.unindexed.entry(log_group).or_default().push(unindexed);
        }
        if pattern.is_some_and(Pattern::has_regex) {
            *with_regex += 1;
            if *with_regex > REGEX_FILTERS_PER_GROUP_MAX {
                let message = format!(
                    "log group {} has more than {REGEX_FILTERS_PER_GROUP_MAX} metric filters with a regex",
                    quote(log_group)
                );
                let help = "write terms instead of %…%, or use another log group";
                table.context.report(Problem::error(table.place.clone(), message).help(help));
            }
        }
    }
}

/// A filter that every line is held against.
struct Unindexed {
    /// As messages name it.
    filter: String,
    place: Range<usize>,
    reason: String,
}

impl Quotas<'_> {
    /// Warns of filters whose cost grows with every line, once for each log group.
    pub(crate) fn finish(self, context: &Context<'_>) {
        for (log_group, filters) in self.unindexed {
            let Some(Unindexed { filter: first, place, reason }) = filters.first() else { continue };
            let message = match filters.len() {
                1 => {
                    format!("{first} is held against every line of log group {}: {reason}", quote(log_group))
                }
                count => format!(
                    "{first} and {} more are held against every line of log group {}: {reason}",
                    count - 1,
                    quote(log_group)
                ),
            };
            let cost_ns = UNINDEXED_NS_PER_LINE * filters.len();
            let help = format!(
                "that costs about {cost_ns} ns a line; with a word that a matching line must have it costs next to nothing"
            );
            context.report(Problem::warning(place.clone(), message).help(help));
        }
    }
}

pub(crate) fn pattern(field: &Field<'_>) -> Option<Pattern> {
    let text = field.text()?;
    Pattern::parse(text.value).map_err(|error| refuse(field, &text, &error)).ok()
}

/// Notes what the pattern's reader says, at its place in the string.
fn refuse(field: &Field<'_>, text: &Text<'_>, error: &PatternError) {
    let span = text.part(field.context.source.text, &error.span);
    field.refuse_at(span, &error.message, error.help.clone());
}

/// The name and dimensions of a metric, and its unit if that could be read.
pub(crate) type Named = (MetricName, BTreeSet<String>, Option<Unit>);

/// The metric that a function raises; an event that does not match never adds anything, and `series_max` is fixed.
pub(crate) fn read_raised(
    mut table: Table<'_>,
    pattern: Option<&Pattern>,
) -> (Option<Named>, Option<MetricTransformation>) {
    let metric = metric_name(&mut table).filter(|metric| is_free(&table, metric));
    let value = match table.field("value") {
        Some(field) => value(&field, pattern),
        None => Some(VALUE_DEFAULT.to_owned()),
    };
    let unit = table.field("unit").map_or(Some(Unit::NONE), |field| field.one_of(&[]));
    let dimensions = dimensions(&mut table, pattern);
    table.finish();
    let names = dimensions.as_ref().map(|it| it.keys().cloned().collect());
    let named = metric.clone().zip(names).map(|(metric, names)| (metric, names, unit));
    let transformation = || {
        Some(MetricTransformation {
            metric: metric?,
            value: value?,
            default: None,
            unit: unit?,
            dimensions: dimensions?,
            series_max: SERIES_MAX_DEFAULT,
        })
    };
    (named, transformation())
}

/// The metric and the whole transformation. Without a `pattern` a selector cannot be checked, and is taken.
fn read_metric(
    mut table: Table<'_>,
    pattern: Option<&Pattern>,
) -> (Option<Named>, Option<MetricTransformation>) {
    let metric = metric_name(&mut table).filter(|metric| is_free(&table, metric));
    let value = match table.field("value") {
        Some(field) => value(&field, pattern),
        None => Some(VALUE_DEFAULT.to_owned()),
    };
    let default_field = table.field("default");
    let default = match &default_field {
        Some(field) => field.number().and_then(|number| sample(field, number)).map(Some),
        None => Some(None),
    };
    let unit = table.field("unit").map_or(Some(Unit::NONE), |field| field.one_of(&[]));
    let dimensions = dimensions(&mut table, pattern);
    if let Some(default) = default_field.filter(|_| dimensions.as_ref().is_none_or(|it| !it.is_empty())) {
        let message = format!("{} cannot stand beside dimensions", default.title());
        default.refuse(message, "an event that does not match has no values for them: remove one of the two");
    }
    let series_max = table.field("series_max").map_or(Some(SERIES_MAX_DEFAULT), |field| series_max(&field));
    table.finish();
    let names = dimensions.as_ref().map(|it| it.keys().cloned().collect());
    let named = metric.clone().zip(names).map(|(metric, names)| (metric, names, unit));
    let transformation = || {
        Some(MetricTransformation {
            metric: metric?,
            value: value?,
            default: default?,
            unit: unit?,
            dimensions: dimensions?,
            series_max: series_max?,
        })
    };
    (named, transformation())
}

/// The selectors of the dimensions, by name.
fn dimensions(table: &mut Table<'_>, pattern: Option<&Pattern>) -> Option<BTreeMap<String, String>> {
    let place = table.title.clone();
    let named = table.named("dimensions", "dimension");
    let mut dimensions = Some(BTreeMap::new());
    if named.len() > FILTER_DIMENSIONS_MAX {
        let message = format!("{place} has {} dimensions, more than {FILTER_DIMENSIONS_MAX}", named.len());
        let problem = Problem::error(named[FILTER_DIMENSIONS_MAX].0.span.clone(), message);
        table.context.report(problem.help("use another filter for the others"));
        dimensions = None;
    }
    for (name, field) in named {
        let is_name = name::check(table.context, &name::DIMENSION, name.value, name.span.clone());
        let selector = field.text().and_then(|text| {
            let parsed = pattern.map(|pattern| Selector::parse(text.value, pattern));
            if let Some(Err(error)) = &parsed {
                refuse(&field, &text, error);
            }
            parsed.is_none_or(|parsed| parsed.is_ok()).then(|| text.value.to_owned())
        });
        match (dimensions.as_mut(), selector) {
            (Some(dimensions), Some(selector)) if is_name => {
                dimensions.insert(name.value.to_owned(), selector);
            }
            _ => dimensions = None,
        }
    }
    dimensions
}

fn series_max(field: &Field<'_>) -> Option<u32> {
    let count = field.count()?;
    if count > SERIES_MAX_MAX {
        let help = "each combination costs memory: choose dimensions with fewer values";
        field.refuse(format!("{} is more than {SERIES_MAX_MAX}", field.title()), help);
    }
    (count <= SERIES_MAX_MAX).then_some(count)
}

/// `namespace` and `name` of a metric's table, checked.
pub(crate) fn metric_name(table: &mut Table<'_>) -> Option<MetricName> {
    let mut part = |key: &str, rule: &name::Rule| {
        let text: Text<'_> = table.need(key)?.text()?;
        name::check(table.context, rule, text.value, text.span).then(|| text.value.to_owned())
    };
    let (namespace, name) = (part("namespace", &name::NAMESPACE), part("name", &name::METRIC));
    Some(MetricName { namespace: namespace?, name: name? })
}

/// Whether the namespace is not one that Watchbell publishes into itself; if it is, that is noted.
fn is_free(table: &Table<'_>, metric: &MetricName) -> bool {
    let is_own = metric.namespace == OwnMetric::NAMESPACE || metric.namespace == PATTERN_NAMESPACE;
    if is_own {
        let message = format!("the namespace {} is Watchbell's own", quote(&metric.namespace));
        let problem = Problem::error(table.place.clone(), message);
        table.context.report(problem.help("write the name of what the metric is about, such as \"Shop\""));
    }
    !is_own
}

/// A number that a metric can hold or a selector, as text.
fn value(field: &Field<'_>, pattern: Option<&Pattern>) -> Option<String> {
    if !matches!(field.value(), DeValue::String(_)) {
        return field.number().and_then(|number| sample(field, number)).map(|number| number.to_string());
    }
    let text = field.text()?;
    if text.value.chars().count() > VALUE_CHARS_MAX {
        field.refuse(format!("{} has more than {VALUE_CHARS_MAX} characters", field.title()), "shorten it");
        return None;
    }
    if let Some(number) = watchbell_pattern::number(text.value) {
        return sample(field, number).map(|_| text.value.to_owned());
    }
    if let Ok(number) = text.value.parse::<f64>() {
        refuse_number(field, number);
        return None;
    }
    let selector = pattern.map(|pattern| Selector::parse(text.value, pattern));
    if let Some(Err(error)) = &selector {
        refuse(field, &text, error);
    }
    Some(text.value.to_owned())
}

/// Refuses what only looks like a number: `.5`, `5.`, `1e999`, `inf`.
fn refuse_number(field: &Field<'_>, number: f64) {
    if number.is_finite() {
        let message = format!("{} is neither a number nor a selector", field.title());
        field.refuse(message, format!("write digits on both sides of the point: \"{number:?}\""));
    } else {
        field.refuse(format!("{} is not a finite number", field.title()), "write a number or a selector");
    }
}

/// The number, if CloudWatch takes it as a sample.
fn sample(field: &Field<'_>, number: f64) -> Option<f64> {
    if number.abs() <= SAMPLE_MAX {
        return Some(number);
    }
    let message = format!("{} is outside what a metric can hold", field.title());
    field.refuse(message, "write a number from -2^360 to 2^360, about 2.3e108");
    None
}
