//! Metric math of alarms.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use watchbell_model::{Aws, MetricStat};

use crate::alarm::dimensions;
use crate::metric;
use crate::metric_filter::number;

/// The items of an alarm on an expression: its metrics, the expression, and what leaves out slots of too few events.
///
/// CloudWatch's `IF(guard, value)` is 0 where the guard holds and the value is missing; a `minimum` leaves that slot
/// missing. So the value is divided by what is 1 where both are there and the guard holds, and else missing or 0: a
/// division by either drops the datapoint.
pub(crate) fn metrics(
    expression: &str,
    metrics: &BTreeMap<String, MetricStat>,
    minimum: &BTreeMap<String, f64>,
    period_s: u32,
    aws: &Aws,
) -> Vec<Value> {
    let mut items: Vec<Value> = metrics.iter().map(|(id, stat)| item(id, stat, period_s, aws)).collect();
    let value = free_id("value", metrics);
    let has_guard = !minimum.is_empty();
    items.push(json!({ "Id": value, "Expression": expression, "ReturnData": !has_guard }));
    if has_guard {
        let result = free_id("result", metrics);
        items.push(json!({ "Id": result, "Expression": guarded(&value, minimum), "ReturnData": true }));
    }
    items
}

/// The value where every metric of `minimum` is large enough; else missing.
fn guarded(value: &str, minimum: &BTreeMap<String, f64>) -> String {
    let guards: Vec<String> =
        minimum.iter().map(|(id, least)| format!("{id} >= {}", number(*least))).collect();
    format!("{value} / (({value} == {value}) / ({}))", guards.join(" AND "))
}

fn item(id: &str, stat: &MetricStat, period_s: u32, aws: &Aws) -> Value {
    let metric = metric::of(stat, aws).expect("a plan with a metric that AWS lacks is refused");
    let mut name = json!({ "Namespace": metric.namespace, "MetricName": metric.name });
    if !metric.dimensions.is_empty() {
        name["Dimensions"] = dimensions(&metric.dimensions);
    }
    let mut metric_stat = json!({ "Metric": name, "Period": period_s, "Stat": stat.statistic });
    if let Some(unit) = metric.unit {
        metric_stat["Unit"] = json!(unit);
    }
    json!({ "Id": id, "MetricStat": metric_stat, "ReturnData": false })
}

/// `id`, or the first of `id2`, `id3`, … that no metric has.
fn free_id(id: &str, metrics: &BTreeMap<String, MetricStat>) -> String {
    let numbered = (2..).map(|i| format!("{id}{i}"));
    let mut ids = [id.to_owned()].into_iter().chain(numbered);
    ids.find(|id| !metrics.contains_key(id)).expect("there are more numbers than metrics")
}

#[cfg(test)]
mod tests {
    use watchbell_expression::MetricMath;

    use super::*;
    use crate::testing::{pipeline, plan, properties};

    const FILE: &str = r#"
        [log_groups."shop/access"]
        [metric_filters.errors]
        log_group = "shop/access"
        pattern = '[..., status = 5*, size]'
        metric = { namespace = "Shop", name = "Errors" }
        [metric_filters.requests]
        log_group = "shop/access"
        pattern = ""
        metric = { namespace = "Shop", name = "Requests" }
        [alarms.ratio]
        expression = "errors / value * 100"
        metrics.errors = { metric_filter = "errors" }
        metrics.value = { metric_filter = "requests", statistic = "SampleCount", unit = "None" }
        minimum = { value = 20 }
        period = "60s"
        condition = "> 5"
        [alarms.plain]
        expression = "errors * 2"
        metrics.errors = { metric_filter = "errors" }
        period = "60s"
        condition = "> 5"
    "#;

    #[test]
    fn an_expression_is_one_item_beside_its_metrics_and_one_returns_data() {
        let template = pipeline(&plan(FILE));
        let ratio = properties(&template, "AlarmRatio");
        assert_eq!(
            ratio["Metrics"],
            json!([
                { "Id": "errors", "ReturnData": false, "MetricStat": {
                    "Metric": { "Namespace": "Shop", "MetricName": "Errors" }, "Period": 60, "Stat": "Sum",
                } },
                { "Id": "value", "ReturnData": false, "MetricStat": {
                    "Metric": { "Namespace": "Shop", "MetricName": "Requests" }, "Period": 60,
                    "Stat": "SampleCount", "Unit": "None",
                } },
                { "Id": "value2", "Expression": "errors / value * 100", "ReturnData": false },
                { "Id": "result", "Expression": "value2 / ((value2 == value2) / (value >= 20))", "ReturnData": true },
            ])
        );
        assert!(ratio.get("Period").is_none() && ratio.get("MetricName").is_none());
        let plain = properties(&template, "AlarmPlain")["Metrics"].as_array().unwrap();
        assert_eq!(plain[1], json!({ "Id": "value", "Expression": "errors * 2", "ReturnData": true }));
    }

    #[test]
    fn a_minimum_in_metric_math_leaves_out_exactly_what_the_plan_leaves_out() {
        let minimum = BTreeMap::from([("a".to_owned(), 3.0), ("b".to_owned(), -1.0)]);
        let math = MetricMath::parse(&guarded("v", &minimum), &["a", "b", "v"]).unwrap();
        // Every combination of missing, small, zero and large.
        let few = [None, Some(-2.0), Some(0.0), Some(3.0), Some(50.0)];
        let slots = few.len().pow(3);
        let series = |step: usize| (0..slots).map(|i| few[i / step % few.len()]).collect::<Vec<_>>();
        let (a, b, v) = (series(1), series(few.len()), series(few.len().pow(2)));
        let given = math.evaluate(slots, 60, &|id| match id {
            "a" => &a,
            "b" => &b,
            _ => &v,
        });
        let large = |value: Option<f64>, least: f64| value.is_some_and(|value| value >= least);
        let wanted: Vec<Option<f64>> =
            (0..slots).map(|i| v[i].filter(|_| large(a[i], 3.0) && large(b[i], -1.0))).collect();
        assert_eq!(given, wanted);
        assert!(wanted.iter().flatten().count() > 20);
    }
}
