//! Alarms that have a state for each value of a dimension: on AWS a Metrics Insights query, whose series are the
//! alarm's contributors.
//!
//! Source: Amazon CloudWatch User Guide, "Create a CloudWatch alarm based on a Metrics Insights query" and "Metrics
//! Insights query components and syntax".

use serde_json::{Value, json};
use watchbell_model::{Comparison, MetricAlarm, MetricStat, Plan, Statistic, Watched};

use crate::finding::Finding;
use crate::metric;

/// How far back a query of an alarm sees, in seconds. Source: Amazon CloudWatch User Guide, "Metrics Insights quotas".
const RANGE_S_MAX: u64 = 3 * 3600;
/// Most series of a query. Source: the same.
const SERIES_MAX: u32 = 500;
/// Most alarms with a query in a region, unless the quota is raised. Source: the same.
const ALARMS_MAX: usize = 200;

/// The one item of an alarm on a query.
pub(crate) fn metrics(alarm: &MetricAlarm, stat: &MetricStat) -> Vec<Value> {
    vec![json!({
        "Id": "each",
        "Expression": query(alarm, stat),
        "Period": alarm.period.as_s(),
        "ReturnData": true,
    })]
}

/// The query: of more series than it may have, those count that are nearest to breaching.
fn query(alarm: &MetricAlarm, stat: &MetricStat) -> String {
    let function = function(stat.statistic).expect("a plan with another statistic is refused");
    let direction = match alarm.comparison {
        Comparison::GreaterThanThreshold | Comparison::GreaterThanOrEqualToThreshold => "DESC",
        Comparison::LessThanThreshold | Comparison::LessThanOrEqualToThreshold => "ASC",
    };
    let each: Vec<String> = alarm.each.iter().map(|name| quoted(name)).collect();
    let all = each.iter().cloned().chain(stat.dimensions.keys().map(|name| quoted(name)));
    let schema: Vec<String> = [quoted(&stat.metric.namespace)].into_iter().chain(all).collect();
    let conditions: Vec<String> =
        stat.dimensions.iter().map(|(name, value)| format!("{} = '{value}'", quoted(name))).collect();
    let only =
        if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    format!(
        "SELECT {function}({}) FROM SCHEMA({}){only} GROUP BY {} ORDER BY {function}() {direction}",
        quoted(&stat.metric.name),
        schema.join(", "),
        each.join(", "),
    )
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// The statistic in a query.
fn function(statistic: Statistic) -> Option<&'static str> {
    match statistic {
        Statistic::SampleCount => Some("COUNT"),
        Statistic::Sum => Some("SUM"),
        Statistic::Average => Some("AVG"),
        Statistic::Minimum => Some("MIN"),
        Statistic::Maximum => Some("MAX"),
        Statistic::Percentile(_) => None,
    }
}

/// What AWS makes of the alarm `name`, which has `each`.
pub(crate) fn findings(plan: &Plan, name: &str, alarm: &MetricAlarm) -> Vec<Finding> {
    let each = ["alarms", name, "each"];
    let stat = match &alarm.watched {
        Watched::Stat(stat) if metric::is_own(stat) => {
            let message = "on AWS this would have a state for everything in the account, not only for what is in the file";
            return vec![
                Finding::refused(&each, message).help("write an alarm with dimensions for each value"),
            ];
        }
        Watched::Stat(stat) => stat,
        Watched::Math { .. } => {
            let message = "CloudWatch has no alarm on an expression with a state for each value";
            return vec![
                Finding::refused(&each, message).help("watch one metric, or one value with dimensions"),
            ];
        }
    };
    let mut findings = Vec::new();
    if function(stat.statistic).is_none() {
        let message = format!("CloudWatch has no {} with a state for each value", stat.statistic);
        let finding = Finding::refused(&["alarms", name, "statistic"], message);
        findings.push(finding.help("write \"Maximum\" or \"Average\", or watch one value with dimensions"));
    }
    let range_s = u64::from(alarm.evaluation_periods) * u64::from(alarm.period.as_s());
    if range_s > RANGE_S_MAX {
        let message = format!(
            "CloudWatch sees {RANGE_S_MAX} s back for an alarm with a state for each value, not {range_s} s"
        );
        let finding = Finding::refused(&["alarms", name, "period"], message);
        findings.push(finding.help("choose a shorter period or fewer datapoints"));
    }
    let filters = || plan.metric_filters.values().filter(|filter| filter.metric.metric == stat.metric);
    if stat.unit.is_some_and(|unit| filters().any(|filter| filter.metric.unit != unit)) {
        let message = "CloudWatch cannot look at one unit only in an alarm with a state for each value";
        let finding = Finding::refused(&["alarms", name, "unit"], message);
        findings.push(finding.help("publish other units as other metrics"));
    }
    let names = [&stat.metric.namespace, &stat.metric.name].into_iter();
    let names = names.chain(&alarm.each).chain(stat.dimensions.keys());
    let wrong_name = names.into_iter().find(|name| name.contains(['"', '\\']));
    let wrong_value = stat.dimensions.values().find(|value| value.contains(['\'', '\\']));
    if let Some(wrong) = wrong_name.or(wrong_value) {
        let message = format!("{wrong:?} cannot stand in a query of CloudWatch");
        findings.push(Finding::refused(&each, message).help("choose another name or value"));
    }
    let series_max = filters().map(|filter| filter.metric.series_max).max().unwrap_or_default();
    if series_max > SERIES_MAX {
        let message =
            format!("of up to {series_max} values CloudWatch looks at the {SERIES_MAX} nearest to breaching");
        findings.push(Finding::difference(&each, message));
    }
    if query_alarms(plan).nth(ALARMS_MAX).is_some_and(|beyond| beyond == name) {
        let message = format!(
            "CloudWatch has {ALARMS_MAX} alarms with a state for each value in a region, unless AWS raises the quota"
        );
        findings.push(Finding::difference(&each, message));
    }
    findings
}

/// The names of alarms that are queries.
fn query_alarms(plan: &Plan) -> impl Iterator<Item = &str> {
    let is_query =
        |alarm: &watchbell_model::Alarm| alarm.metric().is_some_and(|alarm| !alarm.each.is_empty());
    plan.alarms.iter().filter(move |(_, alarm)| is_query(alarm)).map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{finding, pipeline, plan, properties};

    const FILE: &str = r#"
        [log_groups."auth"]
        [metric_filters.logins]
        log_group = "auth"
        pattern = '{ $.ok IS FALSE }'
        metric = { namespace = "Auth", name = "FailedLogins", dimensions = { ip = "$.ip", site = "$.site" }, series_max = 500 }
        [alarms.brute-force]
        metric_filter = "logins"
        each = "ip"
        dimensions = { site = "eu" }
        period = "60s"
        condition = ">= 5"
    "#;

    fn changed(from: &str, to: &str) -> Plan {
        assert!(FILE.contains(from));
        plan(&FILE.replace(from, to))
    }

    #[test]
    fn an_alarm_with_a_state_for_each_value_is_a_query() {
        let template = pipeline(&plan(FILE));
        let alarm = properties(&template, "AlarmBruteForce");
        assert_eq!(
            alarm["Metrics"],
            json!([{
                "Id": "each", "Period": 60, "ReturnData": true,
                "Expression": "SELECT SUM(\"FailedLogins\") FROM SCHEMA(\"Auth\", \"ip\", \"site\") \
                    WHERE \"site\" = 'eu' GROUP BY \"ip\" ORDER BY SUM() DESC",
            }])
        );
        assert!(alarm.get("Statistic").is_none());
        let both =
            changed("each = \"ip\"\n        dimensions = { site = \"eu\" }", "each = [\"ip\", \"site\"]");
        let both = both.alarms["brute-force"].metric().unwrap().clone();
        let Watched::Stat(stat) = &both.watched else { unreachable!() };
        let below = MetricAlarm { comparison: Comparison::LessThanThreshold, ..both.clone() };
        assert_eq!(
            query(&below, &MetricStat { statistic: Statistic::SampleCount, ..stat.clone() }),
            "SELECT COUNT(\"FailedLogins\") FROM SCHEMA(\"Auth\", \"ip\", \"site\") GROUP BY \"ip\", \"site\" ORDER BY COUNT() ASC"
        );
    }

    #[test]
    fn what_a_query_cannot_say_is_refused() {
        assert_eq!(crate::findings(&plan(FILE)), []);
        let path = |key: &str| format!("alarms.brute-force.{key}");
        let percentile = changed("period = \"60s\"", "statistic = \"p90\"\nperiod = \"60s\"");
        assert!(finding(&percentile, &path("statistic")).starts_with("refused: CloudWatch has no p90"));
        let long = changed("period = \"60s\"", "datapoints = \"1 of 4\"\nperiod = \"1h\"");
        assert!(finding(&long, &path("period")).starts_with("refused: CloudWatch sees 10800 s back"));
        let unit = changed("period = \"60s\"", "unit = \"Count\"\nperiod = \"60s\"");
        assert!(finding(&unit, &path("unit")).starts_with("refused: CloudWatch cannot look at one unit"));
        let quote = changed("site = \"eu\"", "site = \"e'u\"");
        assert!(finding(&quote, &path("each")).starts_with("refused: \"e'u\" cannot stand"));
        let many = changed("series_max = 500", "series_max = 501");
        assert!(finding(&many, &path("each")).starts_with("difference: of up to 501 values"));
        let math = changed(
            "metric_filter = \"logins\"\n        each = \"ip\"\n        dimensions = { site = \"eu\" }",
            "each = [\"ip\", \"site\"]\n expression = \"m * 2\"\n metrics.m = { metric_filter = \"logins\" }",
        );
        assert!(
            finding(&math, &path("each")).starts_with("refused: CloudWatch has no alarm on an expression")
        );
        let own = plan(
            "[log_groups.auth]\n[alarms.quiet]\nheartbeat = { log_group = \"auth\" }\neach = \"LogStreamName\"\nperiod = \"60s\"",
        );
        assert!(finding(&own, "alarms.quiet.each").starts_with("refused: on AWS this would"));
    }

    #[test]
    fn the_two_hundred_and_first_query_is_said() {
        let mut plan = plan(FILE);
        let alarm = plan.alarms["brute-force"].clone();
        for i in 0..200 {
            plan.alarms.insert(format!("a{i:03}"), alarm.clone());
        }
        assert!(
            finding(&plan, "alarms.brute-force.each").starts_with("difference: CloudWatch has 200 alarms")
        );
        assert_eq!(finding(&plan, "alarms.a199.each"), "");
    }
}
