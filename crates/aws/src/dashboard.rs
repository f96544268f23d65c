//! The dashboard: alarms, what metric filters publish, what comes in and what waits.
//!
//! Source: Amazon CloudWatch API Reference, "Dashboard body structure and syntax".

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use watchbell_model::{Aws, MetricFilter, MetricName, OwnMetric, Plan};

use crate::finding::Finding;
use crate::name::physical;
use crate::pipeline::tagged;
use crate::stack::Input;
use crate::template::{Resource, Template, literal, sub};
use crate::{cis, queue};

/// Columns of a dashboard; a widget has half of them.
const COLUMNS: usize = 24;
const HEIGHT: usize = 6;
/// Most alarms of a widget. Source: dashboard body structure, alarm widget.
const ALARMS_PER_WIDGET_MAX: usize = 100;
/// So many lines can be told apart.
const LINES_PER_WIDGET_MAX: usize = 20;

pub(crate) fn render(input: Input<'_>, template: &mut Template) {
    if !input.aws.dashboard {
        return;
    }
    let name = physical(input.aws, "pipeline");
    let body = json!({ "widgets": placed(widgets(input.plan, input.aws)) });
    let properties = json!({ "DashboardName": name, "DashboardBody": sub(body.to_string()) });
    template.add("Dashboard", tagged(Resource::new("AWS::CloudWatch::Dashboard", properties), input, &name));
}

/// Every widget: what kind it is and its properties. Texts of the plan are literal, `${…}` are CloudFormation's.
fn widgets(plan: &Plan, aws: &Aws) -> Vec<(&'static str, Value)> {
    let mut widgets = Vec::new();
    let all: Vec<String> = plan
        .alarms
        .keys()
        .cloned()
        .chain(queue::alarm_names(plan, aws))
        .chain(cis::alarm_names(aws))
        .collect();
    for alarms in all.chunks(ALARMS_PER_WIDGET_MAX) {
        let arns: Vec<String> = alarms.iter().map(|name| alarm_arn(name)).collect();
        widgets.push(("alarm", json!({ "title": "Alarms", "alarms": arns })));
    }
    for (namespace, lines) in published(plan) {
        widgets.extend(charts(namespace, &lines));
    }
    let groups = |metric: &str| -> Vec<Value> {
        let line = |group| json!(["AWS/Logs", metric, OwnMetric::LOG_GROUP, group, { "stat": "Sum" }]);
        plan.log_groups.keys().map(line).collect()
    };
    widgets.extend(charts("Log events", &groups("IncomingLogEvents")));
    widgets.extend(charts("Log bytes", &groups("IncomingBytes")));
    let queues = |metric: OwnMetric, name: fn(&Aws, &str) -> String| -> Vec<Value> {
        let line = |queue| json!(["AWS/SQS", metric.name, OwnMetric::QUEUE, name(aws, queue), { "stat": "Maximum" }]);
        plan.queues.keys().map(|queue| line(queue)).collect()
    };
    let depth =
        [queues(OwnMetric::QUEUE_VISIBLE, physical), queues(OwnMetric::QUEUE_VISIBLE, queue::dead_name)];
    widgets.extend(charts("Messages in queues", &depth.concat()));
    widgets.extend(charts("Age of the oldest message", &queues(OwnMetric::QUEUE_AGE, physical)));
    let line = |topic| json!(["AWS/SNS", "NumberOfNotificationsFailed", "TopicName", physical(aws, topic), { "stat": "Sum" }]);
    let topics: Vec<Value> = plan.topics.keys().map(|topic| line(topic)).collect();
    widgets.extend(charts("Messages that did not arrive", &topics));
    widgets
}

/// What metric filters publish, by namespace: a line for each metric, or a search where it has dimensions.
fn published(plan: &Plan) -> BTreeMap<&str, Vec<Value>> {
    let mut seen: BTreeSet<(&MetricName, Vec<&String>)> = BTreeSet::new();
    let mut lines: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for filter in plan.metric_filters.values() {
        let (metric, dimensions) =
            (&filter.metric.metric, filter.metric.dimensions.keys().collect::<Vec<_>>());
        if !seen.insert((metric, dimensions.clone())) || !is_searchable(filter) {
            continue;
        }
        // What is counted is added up; what is measured has an average.
        let stat = if filter.metric.literal_value().is_some() { "Sum" } else { "Average" };
        let line = if dimensions.is_empty() {
            json!([literal(&metric.namespace), literal(&metric.name), { "stat": stat }])
        } else {
            let schema: Vec<String> =
                [&metric.namespace].into_iter().chain(dimensions).map(|it| format!("\"{it}\"")).collect();
            let search =
                format!("SEARCH('{{{}}} MetricName=\"{}\"', '{stat}')", schema.join(","), metric.name);
            json!([{ "expression": literal(&search) }])
        };
        lines.entry(&metric.namespace).or_default().push(line);
    }
    lines
}

/// Whether a search can name the metric: how quotes are written in one is not documented.
fn is_searchable(filter: &MetricFilter) -> bool {
    let metric = &filter.metric;
    let names = [&metric.metric.namespace, &metric.metric.name].into_iter().chain(metric.dimensions.keys());
    metric.dimensions.is_empty() || names.into_iter().all(|name| !name.contains(['"', '\'', '\\']))
}

/// Charts of these lines; none without a line.
fn charts(title: &str, lines: &[Value]) -> Vec<(&'static str, Value)> {
    let chart = |lines: &[Value]| {
        let properties = json!({
            "title": literal(title), "region": "${AWS::Region}", "view": "timeSeries", "period": 60, "metrics": lines,
        });
        ("metric", properties)
    };
    lines.chunks(LINES_PER_WIDGET_MAX).map(chart).collect()
}

fn alarm_arn(name: &str) -> String {
    let account = "${AWS::Region}:${AWS::AccountId}";
    format!("arn:${{AWS::Partition}}:cloudwatch:{account}:alarm:{}", literal(name))
}

/// Widgets in their places, two in a row.
fn placed(widgets: Vec<(&'static str, Value)>) -> Vec<Value> {
    let width = COLUMNS / 2;
    let place = |(i, (kind, properties)): (usize, (&str, Value))| {
        json!({
            "type": kind, "x": i % 2 * width, "y": i / 2 * HEIGHT, "width": width, "height": HEIGHT,
            "properties": properties,
        })
    };
    widgets.into_iter().enumerate().map(place).collect()
}

pub(crate) fn findings(plan: &Plan, aws: &Aws) -> Vec<Finding> {
    let left_out = plan.metric_filters.iter().filter(|(_, filter)| aws.dashboard && !is_searchable(filter));
    let message = "a metric with dimensions and a quote in one of its names is not on the dashboard";
    left_out.map(|(name, _)| Finding::difference(&["metric_filters", name, "metric"], message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{finding, pipeline, plan, properties};

    const FILE: &str = r#"
        [log_groups.app]
        [metric_filters.errors]
        log_group = "app"
        pattern = "ERROR"
        metric = { namespace = "Shop", name = "Errors" }
        [metric_filters.fatal]
        log_group = "app"
        pattern = "FATAL"
        metric = { namespace = "Shop", name = "Errors" }
        [metric_filters.slow]
        log_group = "app"
        pattern = "{ $.ms > 1 }"
        metric = { namespace = "Shop", name = "Slow", value = "$.ms", dimensions = { path = "$.path" } }
        [alarms."a${b}"]
        metric_filter = "errors"
        period = "60s"
        condition = ">= 1"
        [queues.events]
        alarms = true
    "#;

    fn body(template: &Value) -> Value {
        let text = properties(template, "Dashboard")["DashboardBody"]["Fn::Sub"].as_str().unwrap().to_owned();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_dashboard_shows_alarms_metrics_log_groups_and_queues() {
        let template = pipeline(&plan(FILE));
        assert_eq!(properties(&template, "Dashboard")["DashboardName"], "shop-pipeline");
        let body = body(&template);
        let widgets = body["widgets"].as_array().unwrap();
        let titles: Vec<&str> =
            widgets.iter().map(|widget| widget["properties"]["title"].as_str().unwrap()).collect();
        assert_eq!(
            titles,
            ["Alarms", "Shop", "Log events", "Log bytes", "Messages in queues", "Age of the oldest message"]
        );
        let alarms = widgets[0]["properties"]["alarms"].as_array().unwrap();
        assert_eq!(
            alarms[0],
            "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:a${!b}"
        );
        assert_eq!(alarms.len(), 3, "the queue's own two are there");
        assert_eq!(
            widgets[1]["properties"]["metrics"],
            json!([
                ["Shop", "Errors", { "stat": "Sum" }],
                [{ "expression": "SEARCH('{\"Shop\",\"path\"} MetricName=\"Slow\"', 'Average')" }],
            ])
        );
        assert_eq!(widgets[4]["properties"]["metrics"].as_array().unwrap().len(), 2);
        let places: BTreeSet<(u64, u64)> = widgets
            .iter()
            .map(|widget| (widget["x"].as_u64().unwrap(), widget["y"].as_u64().unwrap()))
            .collect();
        assert_eq!(places.len(), widgets.len());
    }

    #[test]
    fn without_the_switch_there_is_none() {
        let mut plan = plan(FILE);
        plan.aws.as_mut().unwrap().dashboard = false;
        assert!(pipeline(&plan)["Resources"].get("Dashboard").is_none());
    }

    #[test]
    fn a_name_that_no_search_can_say_is_said() {
        let mut plan = plan(FILE);
        assert_eq!(finding(&plan, "metric_filters.slow.metric"), "");
        plan.metric_filters.get_mut("slow").unwrap().metric.metric.name = "Slo'w".to_owned();
        assert!(
            finding(&plan, "metric_filters.slow.metric").starts_with("difference: a metric with dimensions")
        );
        assert!(!pipeline(&plan)["Resources"]["Dashboard"].to_string().contains("Slo'w"));
    }
}
