//! Metric filters.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use watchbell_model::{GroupName, MetricFilter, MetricTransformation, Plan};

use crate::finding::Finding;
use crate::log_group;
use crate::name::logical_id;
use crate::stack::Input;
use crate::template::{Resource, Template, reference};

/// Most metric filters of one log group. Source: CloudWatch Logs User Guide, quotas, "Metric filters".
const FILTERS_PER_GROUP_MAX: usize = 100;

/// What the names of the metric filters of alarms on a pattern begin with.
const PATTERN_FILTER: &str = "alarm/";

/// Longest `MetricValue`, in characters. Source: CloudWatch Logs API Reference, `MetricTransformation`, `metricValue`.
const VALUE_CHARS_MAX: usize = 100;

pub(crate) fn render(input: Input<'_>, template: &mut Template) {
    for (name, filter) in &input.plan.metric_filters {
        let group = reference(&log_group::id(&filter.log_group));
        template
            .add(logical_id("MetricFilter", name), resource(name, &group, &filter.pattern, &filter.metric));
    }
}

/// A metric filter of the log group that has the name `group`.
pub(crate) fn resource(name: &str, group: &Value, pattern: &str, metric: &MetricTransformation) -> Resource {
    let dimensions: Vec<Value> =
        metric.dimensions.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    let mut transformation = json!({
        "MetricNamespace": metric.metric.namespace,
        "MetricName": metric.metric.name,
        "MetricValue": value(metric),
        "Unit": metric.unit,
    });
    if let Some(default) = metric.default {
        transformation["DefaultValue"] = number(default);
    }
    if !dimensions.is_empty() {
        transformation["Dimensions"] = json!(dimensions);
    }
    let properties = json!({
        "FilterName": name,
        "LogGroupName": group,
        "FilterPattern": pattern,
        "MetricTransformations": [transformation],
    });
    Resource::new("AWS::Logs::MetricFilter", properties)
}

/// The value as CloudFormation takes it: a selector, or a number without an exponent.
fn value(metric: &MetricTransformation) -> String {
    metric.literal_value().map_or_else(|| metric.value.clone(), |value| value.to_string())
}

/// A number without needless decimals: `5`, not `5.0`.
pub(crate) fn number(value: f64) -> Value {
    Value::Number(value.to_string().parse().expect("a finite number reads back"))
}

/// Where a filter stands in the file: an alarm on a pattern has its own.
fn path<'a>(name: &'a str, key: &'a str) -> [&'a str; 3] {
    match name.strip_prefix(PATTERN_FILTER) {
        Some(alarm) => ["alarms", alarm, "pattern"],
        None => ["metric_filters", name, key],
    }
}

pub(crate) fn findings(plan: &Plan) -> Vec<Finding> {
    let mut counts: BTreeMap<&GroupName, usize> = BTreeMap::new();
    let mut findings = Vec::new();
    for (name, filter) in &plan.metric_filters {
        let count = counts.entry(&filter.log_group).or_default();
        *count += 1;
        if *count == FILTERS_PER_GROUP_MAX + 1 {
            let message = format!(
                "log group \"{}\" has more than {FILTERS_PER_GROUP_MAX} metric filters, the most that CloudWatch Logs takes",
                filter.log_group
            );
            findings.push(
                Finding::refused(&path(name, "log_group"), message)
                    .help("put events into several log groups"),
            );
        }
        let path = path(name, "metric");
        let refuse = |message: String, help: &str| Finding::refused(&path, message).help(help);
        findings.extend(misfit(filter).map(|(message, help)| refuse(message, help)));
    }
    findings
}

/// What CloudWatch does not take of the metric that a filter publishes, and what to write.
fn misfit(filter: &MetricFilter) -> Option<(String, &'static str)> {
    let MetricTransformation { metric, dimensions, .. } = &filter.metric;
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_/#".contains(c);
    if metric.namespace.starts_with("AWS/") {
        let message = format!(
            "CloudWatch keeps namespaces that begin with \"AWS/\" for itself: {:?}",
            metric.namespace
        );
        return Some((message, "choose another namespace"));
    }
    if let Some(wrong) = metric.namespace.chars().find(|c| !fits(*c)) {
        let message = format!(
            "a namespace of metric filters cannot hold {wrong:?} on AWS, as in {:?}",
            metric.namespace
        );
        return Some((message, "write letters, digits and . - _ / #"));
    }
    if let Some(name) = [&metric.name].into_iter().chain(dimensions.keys()).find(|name| !name.is_ascii()) {
        let message =
            format!("CloudWatch Logs takes only ASCII in names of metrics and dimensions, not {name:?}");
        return Some((message, "choose another name"));
    }
    if value(&filter.metric).len() > VALUE_CHARS_MAX {
        let message = format!(
            "CloudWatch Logs takes values of at most {VALUE_CHARS_MAX} characters, without an exponent"
        );
        return Some((message, "publish a smaller number and another unit"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{finding, pipeline, plan, properties};

    const FILTERS: &str = r#"
        [log_groups."shop/app"]
        [metric_filters.slow]
        log_group = "shop/app"
        pattern = "{ $.ms > 100 }"
        metric = { namespace = "Shop", name = "Slow", value = "$.ms", unit = "Milliseconds", dimensions = { path = "$.path" } }
        [metric_filters.errors]
        log_group = "shop/app"
        pattern = "ERROR"
        metric = { namespace = "Shop", name = "Errors", default = 0 }
        [alarms.panic]
        log_group = "shop/app"
        pattern = "panic"
        period = "60s"
    "#;

    #[test]
    fn a_filter_is_what_the_plan_says() {
        let template = pipeline(&plan(FILTERS));
        let slow = properties(&template, "MetricFilterSlow");
        assert_eq!(slow["FilterName"], "slow");
        assert_eq!(slow["FilterPattern"], "{ $.ms > 100 }");
        assert_eq!(slow["LogGroupName"], reference(&log_group::id(&GroupName::new("shop/app").unwrap())));
        assert_eq!(
            slow["MetricTransformations"],
            json!([{
                "MetricNamespace": "Shop", "MetricName": "Slow", "MetricValue": "$.ms", "Unit": "Milliseconds",
                "Dimensions": [{ "Key": "path", "Value": "$.path" }],
            }])
        );
        let errors = &properties(&template, "MetricFilterErrors")["MetricTransformations"][0];
        assert_eq!(errors["DefaultValue"], 0);
        assert_eq!(errors["MetricValue"], "1");
        let panic = properties(&template, &logical_id("MetricFilter", "alarm/panic"));
        assert_eq!(panic["FilterName"], "alarm/panic");
        assert_eq!(panic["MetricTransformations"][0]["MetricNamespace"], "Watchbell/Alarms");
    }

    #[test]
    fn numbers_have_no_exponent_and_no_needless_decimals() {
        assert_eq!(number(5.0).to_string(), "5");
        assert_eq!(number(-0.5).to_string(), "-0.5");
        let mut plan = plan(FILTERS);
        let metric = &mut plan.metric_filters.get_mut("errors").unwrap().metric;
        metric.value = "1e3".to_owned();
        assert_eq!(value(metric), "1000");
        metric.value = "1e200".to_owned();
        assert!(
            finding(&plan, "metric_filters.errors.metric")
                .starts_with("refused: CloudWatch Logs takes values")
        );
    }

    #[test]
    fn names_that_aws_does_not_take_are_refused() {
        let with = |change: fn(&mut MetricTransformation)| {
            let mut plan = plan(FILTERS);
            change(&mut plan.metric_filters.get_mut("slow").unwrap().metric);
            finding(&plan, "metric_filters.slow.metric")
        };
        assert_eq!(with(|_| ()), "");
        assert!(with(|metric| metric.metric.namespace = "My Shop".to_owned()).contains("cannot hold ' '"));
        assert!(with(|metric| metric.metric.namespace = "AWS/Shop".to_owned()).contains("for itself"));
        assert!(with(|metric| metric.metric.name = "Größe".to_owned()).contains("only ASCII"));
        let renamed = with(|metric| metric.dimensions = [("Pfäd".to_owned(), "$.path".to_owned())].into());
        assert!(renamed.contains("only ASCII"));
    }

    #[test]
    fn the_hundred_and_first_filter_of_a_log_group_is_refused() {
        let mut plan = plan(FILTERS);
        let filter = plan.metric_filters["errors"].clone();
        for i in 0..97 {
            plan.metric_filters.insert(format!("more-{i:03}"), filter.clone());
        }
        assert_eq!(finding(&plan, "metric_filters.slow.log_group"), "");
        plan.metric_filters.insert("more-097".to_owned(), filter);
        let refused = finding(&plan, "metric_filters.slow.log_group");
        assert!(refused.starts_with("refused: log group \"shop/app\" has more than 100"), "{refused}");
    }
}
