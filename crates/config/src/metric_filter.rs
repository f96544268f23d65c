//! `[metric_filters.NAME]`

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::DeValue;
use watchbell_model::{GroupName, MetricFilter, MetricName, MetricTransformation};

use crate::name;
use crate::reader::{Field, Names, Table, Text};

/// Used if a metric's `value` is absent.
const VALUE_DEFAULT: &str = "1";

/// The metric filters of a file, and what can be said of the wrong ones among them.
#[derive(Default)]
pub(crate) struct Filters {
    /// The correct ones.
    pub(crate) plan: BTreeMap<String, MetricFilter>,
    /// What each publishes, with its place; also of filters that are wrong elsewhere.
    pub(crate) metrics: BTreeMap<String, (MetricName, Range<usize>)>,
    /// Whether some filter's metric could not be read, so that `metrics` lacks it.
    pub(crate) is_metric_unknown: bool,
}

pub(crate) fn read<'a>(root: &mut Table<'a>, groups: &Names<'a>) -> Filters {
    let mut filters = Filters::default();
    for (name, entry) in root.named("metric_filters", "metric filter") {
        name::check(entry.context, &name::METRIC_FILTER, name.value, name.span.clone());
        let (metric, filter) = match entry.entry(&name) {
            Some(table) => read_one(table, groups),
            None => (None, None),
        };
        match metric {
            Some(metric) => drop(filters.metrics.insert(name.value.to_owned(), metric)),
            None => filters.is_metric_unknown = true,
        }
        filters.plan.extend(filter.map(|filter| (name.value.to_owned(), filter)));
    }
    filters
}

fn read_one<'a>(
    mut table: Table<'a>,
    groups: &Names<'a>,
) -> (Option<(MetricName, Range<usize>)>, Option<MetricFilter>) {
    let group = table
        .need("log_group")
        .and_then(|field| field.text())
        .filter(|text| groups.resolve(table.context, text, &table.title));
    let pattern = table.need("pattern").and_then(|field| field.text());
    let field = table.need("metric");
    let metric_table = field.as_ref().and_then(|field| field.table(format!("the metric of {}", table.title)));
    let (metric, transformation) = match metric_table {
        Some(metric) => read_metric(metric),
        None => (None, None),
    };
    table.finish();
    let filter = || {
        Some(MetricFilter {
            log_group: GroupName::new(group?.value).ok()?,
            pattern: pattern?.value.to_owned(),
            metric: transformation?,
        })
    };
    (metric.zip(field.map(|field| field.span())), filter())
}

fn read_metric(mut table: Table<'_>) -> (Option<MetricName>, Option<MetricTransformation>) {
    let metric = metric_name(&mut table);
    let value = match table.field("value") {
        Some(field) => value(&field),
        None => Some(VALUE_DEFAULT.to_owned()),
    };
    let default = match table.field("default") {
        Some(field) => field.number().map(Some),
        None => Some(None),
    };
    table.finish();
    let transformation =
        || Some(MetricTransformation { metric: metric.clone()?, value: value?, default: default? });
    let transformation = transformation();
    (metric, transformation)
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

fn value(field: &Field<'_>) -> Option<String> {
    match field.value() {
        DeValue::String(text) => Some(text.clone().into_owned()),
        _ => field.number().map(|number| number.to_string()),
    }
}
