//! Alarms on metrics, and what every alarm has.

use serde_json::{Value, json};
use watchbell_model::{
    Alarm, AlarmKind, Aws, EVALUATION_RANGE_S_MAX, LowSamples, MetricAlarm, MetricStat, Plan, Statistic,
    TreatMissingData, Watched,
};

use crate::finding::Finding;
use crate::metric_filter::number;
use crate::name::logical_id;
use crate::pipeline::tagged;
use crate::stack::Input;
use crate::template::{Resource, Template, reference};
use crate::{math, metric, query, queue, topic};

/// Longest description, in characters. Source: CloudWatch API Reference, `PutMetricAlarm`, `AlarmDescription`.
const DESCRIPTION_CHARS_MAX: usize = 1024;

/// Shortest period of metrics that metric filters and AWS itself publish, in seconds.
///
/// Source: Amazon CloudWatch User Guide, "High-resolution metrics".
const PERIOD_S_MIN: u32 = 60;

/// Slots that CloudWatch looks at beyond the evaluation periods, from a period of a minute on. Recorded, not documented.
const SLOTS_BEYOND: u64 = 2;

/// Longest warm-up, in minutes. Source: CloudWatch API Reference, `WarmUpConfiguration`.
const WARM_UP_MINUTES_MAX: u64 = 2880;

/// The id of an alarm of either kind.
pub(crate) fn id(name: &str) -> String {
    logical_id("Alarm", name)
}

/// Where an alarm stands in the file.
pub(crate) fn table(alarm: &Alarm) -> &'static str {
    match alarm.kind {
        AlarmKind::Metric(_) => "alarms",
        AlarmKind::Composite(_) => "composite_alarms",
    }
}

pub(crate) fn render(input: Input<'_>, template: &mut Template) {
    for (name, alarm) in &input.plan.alarms {
        let Some(metric_alarm) = alarm.metric() else { continue };
        let mut properties = announcement(name, alarm);
        merge(&mut properties, condition(metric_alarm));
        merge(&mut properties, watched(metric_alarm, input.aws));
        if metric_alarm.warms_up {
            properties["WarmUpConfiguration"] = json!({
                "WarmUpPeriodDurationInMinutes": warm_up_minutes(metric_alarm).min(WARM_UP_MINUTES_MAX),
                "OnlyStartEvaluatingAfterWarmUpPeriodEnds": true,
            });
        }
        let resource = Resource::new("AWS::CloudWatch::Alarm", properties);
        template.add(id(name), tagged(resource, input, name));
    }
}

/// Its name, what people read of it and whom it tells.
pub(crate) fn announcement(name: &str, alarm: &Alarm) -> Value {
    let mut properties = json!({ "AlarmName": name, "AlarmDescription": description(alarm) });
    merge(&mut properties, told(&alarm.notify));
    properties
}

/// The topics that are told of ALARM and OK.
pub(crate) fn told(topics: &[String]) -> Value {
    let actions: Vec<Value> = topics.iter().map(|topic| reference(&topic::id(topic))).collect();
    if actions.is_empty() { json!({}) } else { json!({ "AlarmActions": actions, "OKActions": actions }) }
}

/// What it means, how grave it is and what to do, in lines; the first is cut where that is too long.
fn description(alarm: &Alarm) -> String {
    let severity = format!("severity: {}", alarm.severity.as_str());
    let rest = match &alarm.runbook {
        Some(runbook) => format!("{severity}\nrunbook: {runbook}"),
        None => severity,
    };
    let Some(meaning) = &alarm.description else { return cut(&rest, DESCRIPTION_CHARS_MAX) };
    let room = DESCRIPTION_CHARS_MAX.saturating_sub(rest.chars().count() + 1);
    cut(&format!("{}\n{rest}", cut(meaning, room)), DESCRIPTION_CHARS_MAX)
}

/// The first characters, as many as `chars_max`; an ellipsis in place of what is left out.
fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max.saturating_sub(1)).chain(['…']).take(chars_max).collect()
}

/// When datapoints make an alarm.
fn condition(alarm: &MetricAlarm) -> Value {
    json!({
        "ComparisonOperator": alarm.comparison,
        "Threshold": number(alarm.threshold),
        "EvaluationPeriods": alarm.evaluation_periods,
        "DatapointsToAlarm": alarm.datapoints_to_alarm,
        "TreatMissingData": match alarm.treat_missing_data {
            TreatMissingData::Missing => "missing",
            TreatMissingData::Ignore => "ignore",
            TreatMissingData::Breaching => "breaching",
            TreatMissingData::NotBreaching => "notBreaching",
        },
    })
}

/// Where the datapoints come from.
fn watched(alarm: &MetricAlarm, aws: &Aws) -> Value {
    let period_s = alarm.period.as_s();
    match &alarm.watched {
        Watched::Stat(stat) if !alarm.each.is_empty() => json!({ "Metrics": query::metrics(alarm, stat) }),
        Watched::Stat(stat) => single(stat, period_s, alarm.low_samples, aws),
        Watched::Math { expression, metrics, minimum } => {
            json!({ "Metrics": math::metrics(expression, metrics, minimum, period_s, aws) })
        }
    }
}

/// One statistic of one metric.
fn single(stat: &MetricStat, period_s: u32, low_samples: LowSamples, aws: &Aws) -> Value {
    let metric = metric::of(stat, aws).expect("a plan with a metric that AWS lacks is refused");
    let mut properties = json!({
        "Namespace": metric.namespace,
        "MetricName": metric.name,
        "Period": period_s,
    });
    let statistic = if stat.statistic.percentile().is_some() { "ExtendedStatistic" } else { "Statistic" };
    properties[statistic] = json!(stat.statistic);
    if !metric.dimensions.is_empty() {
        properties["Dimensions"] = dimensions(&metric.dimensions);
    }
    if let Some(unit) = metric.unit {
        properties["Unit"] = json!(unit);
    }
    if low_samples == LowSamples::Ignore {
        properties["EvaluateLowSampleCountPercentile"] = json!("ignore");
    }
    properties
}

/// Dimensions as alarms have them.
pub(crate) fn dimensions(dimensions: &watchbell_model::Dimensions) -> Value {
    dimensions.iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect()
}

/// Adds the properties of one object to another.
pub(crate) fn merge(properties: &mut Value, more: Value) {
    let (Value::Object(properties), Value::Object(more)) = (properties, more) else {
        unreachable!("properties are written as objects")
    };
    properties.extend(more);
}

/// How long it takes until all slots that are looked at lie after the alarm's making.
fn warm_up_minutes(alarm: &MetricAlarm) -> u64 {
    let slots = u64::from(alarm.evaluation_periods) + SLOTS_BEYOND;
    (slots * u64::from(alarm.period.as_s())).div_ceil(60)
}

pub(crate) fn findings(plan: &Plan, aws: &Aws) -> Vec<Finding> {
    let own = queue::alarm_names(plan, aws).chain(crate::cis::alarm_names(aws)).collect::<Vec<_>>();
    let mut findings = Vec::new();
    for (name, alarm) in &plan.alarms {
        let table = table(alarm);
        if own.contains(name) {
            let message = format!("an alarm that comes with a queue or with the trail is called {name:?}");
            findings.push(Finding::refused(&[table, name], message).help("choose another name"));
        }
        findings.extend(cut_description(&[table, name, "description"], alarm));
        if let Some(metric_alarm) = alarm.metric() {
            findings.extend(of_metric_alarm(plan, aws, name, metric_alarm));
        }
    }
    findings
}

fn cut_description(path: &[&str], alarm: &Alarm) -> Option<Finding> {
    let whole = Alarm { description: None, ..alarm.clone() };
    let rest = description(&whole).chars().count();
    let meaning = alarm.description.as_ref().map_or(0, |meaning| meaning.chars().count() + 1);
    let message = format!(
        "with severity and runbook the description has {} characters; CloudWatch gets the first {DESCRIPTION_CHARS_MAX}",
        rest + meaning
    );
    (rest + meaning > DESCRIPTION_CHARS_MAX)
        .then(|| Finding::difference(path, message).help("put the long text behind runbook"))
}

fn of_metric_alarm(plan: &Plan, aws: &Aws, name: &str, alarm: &MetricAlarm) -> Vec<Finding> {
    let mut findings = Vec::new();
    let period_s = alarm.period.as_s();
    if period_s < PERIOD_S_MIN {
        let message =
            format!("on AWS metrics of logs have a value each minute, so a period cannot be {period_s} s");
        let finding = Finding::refused(&["alarms", name, "period"], message);
        findings.push(finding.help("write \"60s\" or more"));
    }
    let range_s = u64::from(alarm.evaluation_periods) * u64::from(period_s);
    if range_s > EVALUATION_RANGE_S_MAX[0] {
        let message = "CloudWatch looks at an alarm over more than a day once an hour, not every minute";
        findings.push(Finding::difference(&["alarms", name, "datapoints"], message));
    }
    if alarm.warms_up && warm_up_minutes(alarm) > WARM_UP_MINUTES_MAX {
        let message = format!(
            "a new alarm waits for {} minutes before it rings; on AWS for {WARM_UP_MINUTES_MAX} at most",
            warm_up_minutes(alarm)
        );
        findings.push(Finding::difference(&["alarms", name, "period"], message));
    }
    match &alarm.watched {
        Watched::Stat(stat) => {
            findings.extend(of_stat(plan, &["alarms", name, watched_key(stat)], stat, aws));
        }
        Watched::Math { metrics, .. } => {
            for (id, stat) in metrics {
                findings.extend(of_stat(plan, &["alarms", name, "metrics", id], stat, aws));
            }
        }
    }
    if !alarm.each.is_empty() {
        findings.extend(query::findings(plan, name, alarm));
    }
    findings
}

/// The key of an alarm's table that says what it watches.
fn watched_key(stat: &MetricStat) -> &'static str {
    if metric::is_own(stat) { "metric" } else { "statistic" }
}

fn of_stat(plan: &Plan, path: &[&str], stat: &MetricStat, aws: &Aws) -> Option<Finding> {
    let mut filters = plan.metric_filters.values();
    if !metric::is_own(stat) && !filters.any(|filter| filter.metric.metric == stat.metric) {
        let metric = format!("{}/{}", stat.metric.namespace, stat.metric.name);
        let message =
            format!("only a function raises {metric:?}, so the alarm has no data on AWS in this version");
        return Some(Finding::difference(path, message));
    }
    match metric::of(stat, aws) {
        Err(none) => Some(Finding::refused(path, none.message).help(none.help)),
        Ok(_) => metric::difference(stat).map(|message| {
            let help = if stat.statistic == Statistic::Sum { "write \"Maximum\"" } else { "write \"Sum\"" };
            Finding::difference(path, format!("{}: {message}", stat.metric.name)).help(help)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{finding, pipeline, plan, properties};

    const FILE: &str = r#"
        [log_groups."shop/access"]
        [metric_filters.slow]
        log_group = "shop/access"
        pattern = '{ $.ms > 100 }'
        metric = { namespace = "Shop", name = "Slow", value = "$.ms", unit = "Milliseconds" }
        [topics.oncall]
        console = {}
        [alarms.slow]
        metric_filter = "slow"
        statistic = "p99.9"
        low_samples = "ignore"
        unit = "Milliseconds"
        period = "5m"
        datapoints = "2 of 3"
        condition = "> 800.5"
        missing_data = "not_breaching"
        notify = ["oncall"]
        severity = "critical"
        description = "Pages are slow."
        runbook = "https://wiki.example/slow"
        [alarms.quiet]
        heartbeat = { log_group = "shop/access" }
        period = "5m"
        notify = ["oncall"]
        [alarms.silent]
        metric_filter = "slow"
        period = "60s"
        condition = ">= 1"
    "#;

    #[test]
    fn a_metric_alarm_is_what_the_plan_says() {
        let template = pipeline(&plan(FILE));
        let mut slow = properties(&template, "AlarmSlow").clone();
        slow.as_object_mut().unwrap().remove("Tags");
        assert_eq!(
            slow,
            json!({
                "AlarmName": "slow",
                "AlarmDescription": "Pages are slow.\nseverity: critical\nrunbook: https://wiki.example/slow",
                "AlarmActions": [{ "Ref": "TopicOncall" }],
                "OKActions": [{ "Ref": "TopicOncall" }],
                "Namespace": "Shop",
                "MetricName": "Slow",
                "ExtendedStatistic": "p99.9",
                "EvaluateLowSampleCountPercentile": "ignore",
                "Unit": "Milliseconds",
                "Period": 300,
                "EvaluationPeriods": 3,
                "DatapointsToAlarm": 2,
                "ComparisonOperator": "GreaterThanThreshold",
                "Threshold": 800.5,
                "TreatMissingData": "notBreaching",
            })
        );
        let silent = properties(&template, "AlarmSilent");
        assert_eq!(silent["Statistic"], "Sum");
        assert_eq!(silent["TreatMissingData"], "missing");
        assert_eq!(silent["AlarmDescription"], "severity: error");
        assert!(silent.get("AlarmActions").is_none() && silent.get("OKActions").is_none());
    }

    #[test]
    fn a_heartbeat_is_the_log_groups_own_metric_and_waits_until_it_has_listened() {
        let template = pipeline(&plan(FILE));
        let quiet = properties(&template, "AlarmQuiet");
        assert_eq!(quiet["Namespace"], "AWS/Logs");
        assert_eq!(quiet["MetricName"], "IncomingLogEvents");
        assert_eq!(quiet["Dimensions"], json!([{ "Name": "LogGroupName", "Value": "shop/access" }]));
        assert_eq!(quiet["Statistic"], "Sum");
        assert_eq!(quiet["ComparisonOperator"], "LessThanThreshold");
        assert_eq!(quiet["TreatMissingData"], "breaching");
        assert_eq!(quiet["WarmUpConfiguration"]["WarmUpPeriodDurationInMinutes"], 15);
        assert!(quiet.get("Unit").is_none());
        assert!(properties(&template, "AlarmSlow").get("WarmUpConfiguration").is_none());
    }

    #[test]
    fn what_people_read_fits_and_keeps_severity_and_runbook() {
        let mut plan = plan(FILE);
        let alarm = plan.alarms.get_mut("slow").unwrap();
        alarm.description = Some("ä".repeat(DESCRIPTION_CHARS_MAX));
        let text = description(alarm);
        assert_eq!(text.chars().count(), DESCRIPTION_CHARS_MAX);
        assert!(text.ends_with("…\nseverity: critical\nrunbook: https://wiki.example/slow"));
        assert!(
            finding(&plan, "alarms.slow.description").starts_with("difference: with severity and runbook")
        );
        let alarm = plan.alarms.get_mut("slow").unwrap();
        let rest = "\nseverity: critical\nrunbook: https://wiki.example/slow".chars().count();
        alarm.description = Some("ä".repeat(DESCRIPTION_CHARS_MAX - rest));
        assert!(!description(alarm).contains('…'));
        assert_eq!(finding(&plan, "alarms.slow.description"), "");
        let alarm = plan.alarms.get_mut("slow").unwrap();
        alarm.runbook = Some(format!("https://wiki.example/{}", "x".repeat(2000)));
        assert_eq!(description(alarm).chars().count(), DESCRIPTION_CHARS_MAX);
    }

    fn changed(text: &str, from: &str, to: &str) -> Plan {
        assert!(text.contains(from));
        plan(&text.replace(from, to))
    }

    #[test]
    fn periods_and_ranges_that_aws_does_otherwise_are_said() {
        let short = changed(FILE, "period = \"60s\"", "period = \"10s\"");
        assert!(finding(&short, "alarms.silent.period").starts_with("refused: on AWS metrics of logs"));
        let long = changed(FILE, "period = \"60s\"", "period = \"12h\"\ndatapoints = \"3 of 3\"");
        assert!(finding(&long, "alarms.silent.datapoints").contains("once an hour"));
        let mut plan = plan(FILE);
        for path in ["period", "datapoints"].map(|key| format!("alarms.quiet.{key}")) {
            assert_eq!(finding(&plan, &path), "");
        }
        let AlarmKind::Metric(quiet) = &mut plan.alarms.get_mut("quiet").unwrap().kind else {
            unreachable!()
        };
        (quiet.period, quiet.evaluation_periods) = (86_400.try_into().unwrap(), 1);
        assert!(
            finding(&plan, "alarms.quiet.period")
                .starts_with("difference: a new alarm waits for 4320 minutes")
        );
        assert_eq!(
            properties(&pipeline(&plan), "AlarmQuiet")["WarmUpConfiguration"]["WarmUpPeriodDurationInMinutes"],
            2880
        );
    }

    #[test]
    fn metrics_that_aws_lacks_are_refused_alone_and_in_expressions() {
        let file = format!(
            "{FILE}
            [alarms.behind]
            metric = {{ namespace = \"Watchbell\", name = \"SourceLagBytes\" }}
            dimensions = {{ LogGroupName = \"shop/access\" }}
            period = \"60s\"
            condition = \"> 1\"
            [alarms.share]
            expression = \"waiting / events\"
            metrics.waiting.metric = {{ namespace = \"Watchbell\", name = \"MessagesWaiting\" }}
            metrics.events.metric = {{ namespace = \"Watchbell\", name = \"IncomingLogEvents\" }}
            metrics.events.dimensions = {{ LogGroupName = \"shop/access\" }}
            metrics.events.statistic = \"SampleCount\"
            period = \"60s\"
            condition = \"> 1\""
        );
        let plan = plan(&file);
        assert!(finding(&plan, "alarms.behind.metric").starts_with("refused: AWS has nothing like"));
        assert!(finding(&plan, "alarms.share.metrics.waiting").starts_with("refused: AWS has nothing like"));
        assert!(finding(&plan, "alarms.share.metrics.events").starts_with("difference: IncomingLogEvents: "));
    }

    #[test]
    fn an_alarm_on_what_only_functions_raise_is_said() {
        let mut plan = plan(FILE);
        let filter = plan.metric_filters.remove("slow");
        assert!(
            finding(&plan, "alarms.slow.statistic")
                .starts_with("difference: only a function raises \"Shop/Slow\"")
        );
        plan.metric_filters.extend(filter.map(|filter| ("renamed".to_owned(), filter)));
        assert_eq!(finding(&plan, "alarms.slow.statistic"), "");
    }

    #[test]
    fn an_alarm_is_not_called_as_one_that_comes_with_a_queue() {
        let queue = "[queues.events]\nalarms = true\n";
        let plan =
            plan(&format!("{queue}{}", FILE.replace("[alarms.silent]", "[alarms.shop-events-dead-letters]")));
        assert!(
            finding(&plan, "alarms.shop-events-dead-letters").starts_with("refused: an alarm that comes")
        );
    }
}
