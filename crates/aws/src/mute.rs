//! Mute rules.
//!
//! Source: CloudWatch API Reference, `PutAlarmMuteRule`; CloudFormation Template Reference, `AWS::CloudWatch::AlarmMuteRule`.

use serde_json::json;
use watchbell_model::{Aws, MuteRule, Plan, matches_wildcard};

use crate::alarm;
use crate::finding::Finding;
use crate::name::{logical_id, physical};
use crate::pipeline::tagged;
use crate::stack::Input;
use crate::template::{Resource, Template};

/// Most alarms of a rule. Source: CloudWatch API Reference, `MuteTargets`, `AlarmNames`.
const ALARMS_MAX: usize = 100;
/// Longest name of a rule, in characters. Source: CloudFormation Template Reference, `AWS::CloudWatch::AlarmMuteRule`, `Name`.
const NAME_CHARS_MAX: usize = 255;

const MINUTE_MS: i64 = 60_000;

/// The days of the week by cron's numbers; 7 is Sunday, too.
const DAYS: [&str; 8] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];

pub(crate) fn render(input: Input<'_>, template: &mut Template) {
    for (name, rule) in &input.plan.mute_rules {
        let alarms = muted(input.plan, rule);
        let physical = physical(input.aws, name);
        let properties = json!({
            "Name": physical,
            "Rule": { "Schedule": {
                "Expression": expression(&rule.schedule),
                "Duration": duration(rule.duration_ms),
                "Timezone": rule.timezone,
            } },
            "MuteTargets": { "AlarmNames": alarms },
        });
        let ids: Vec<String> = alarms.iter().map(|name| alarm::id(name)).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut resource = Resource::new("AWS::CloudWatch::AlarmMuteRule", properties);
        if !ids.is_empty() {
            resource = resource.after(&ids);
        }
        template.add(logical_id("MuteRule", name), tagged(resource, input, &physical));
    }
}

/// The names of the alarms that the rule keeps quiet: AWS knows no wildcard.
fn muted<'a>(plan: &'a Plan, rule: &MuteRule) -> Vec<&'a str> {
    let is_muted = |name: &str| rule.alarms.iter().any(|pattern| matches_wildcard(pattern, name));
    plan.alarms.keys().map(String::as_str).filter(|name| is_muted(name)).collect()
}

/// The schedule as AWS documents it: names in upper case, days of the week by name.
fn expression(schedule: &str) -> String {
    let Some(inner) = schedule.strip_prefix("cron(").and_then(|rest| rest.strip_suffix(')')) else {
        return schedule.to_owned();
    };
    let mut fields: Vec<String> = inner.split_whitespace().map(str::to_uppercase).collect();
    if let Some(days) = fields.get_mut(4) {
        *days = days.split(',').map(days_by_name).collect::<Vec<_>>().join(",");
    }
    format!("cron({})", fields.join(" "))
}

/// A day or a range of days by name; a range that ends with the Sunday after it becomes a range and `SUN`.
fn days_by_name(item: &str) -> String {
    let day =
        |word: &str| word.parse().ok().and_then(|number: usize| DAYS.get(number).copied()).map(str::to_owned);
    let name = |word: &str| day(word).unwrap_or_else(|| word.to_owned());
    match item.split_once('-') {
        None => name(item),
        Some(("0" | "SUN", "7")) => "*".to_owned(),
        Some(("7", "7")) => name("7"),
        Some(("6" | "SAT", "7")) => "SAT,SUN".to_owned(),
        Some((from, "7")) => format!("{}-SAT,SUN", name(from)),
        Some((from, to)) => format!("{}-{}", name(from), name(to)),
    }
}

/// The duration in ISO 8601, in whole minutes that are not shorter: `P2DT12H`.
fn duration(ms: i64) -> String {
    let minutes = minutes(ms);
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    let part = |count: i64, unit: &str| if count > 0 { format!("{count}{unit}") } else { String::new() };
    let time = part(hours, "H") + &part(minutes, "M");
    let mark = if time.is_empty() { "" } else { "T" };
    format!("P{}{mark}{time}", part(days, "D"))
}

fn minutes(ms: i64) -> i64 {
    ms.div_euclid(MINUTE_MS) + i64::from(ms.rem_euclid(MINUTE_MS) > 0)
}

pub(crate) fn findings(plan: &Plan, aws: &Aws) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, rule) in &plan.mute_rules {
        let length = physical(aws, name).chars().count();
        if length > NAME_CHARS_MAX {
            let message = format!(
                "with \"{}-\" before it the name has {length} characters, more than {NAME_CHARS_MAX}",
                aws.name
            );
            findings.push(Finding::refused(&["mute_rules", name], message).help("choose a shorter name"));
        }
        let count = muted(plan, rule).len();
        if count > ALARMS_MAX {
            let message = format!("the rule keeps {count} alarms quiet, and CloudWatch takes {ALARMS_MAX}");
            let finding = Finding::refused(&["mute_rules", name, "alarms"], message);
            findings.push(finding.help("write several rules"));
        }
        if rule.duration_ms % MINUTE_MS != 0 {
            let message =
                format!("on AWS the window lasts whole minutes, here {}", minutes(rule.duration_ms));
            findings.push(Finding::difference(&["mute_rules", name, "duration"], message));
        }
        let fields: Vec<&str> = rule.schedule.split_whitespace().collect();
        if let [_, _, day, _, weekday] = fields[..]
            && day != "*"
            && weekday != "*)"
        {
            let message = "here one of the two days is enough; CloudWatch does not say whether it takes both";
            let finding = Finding::difference(&["mute_rules", name, "schedule"], message);
            findings.push(finding.help("write two rules, each with one of the days"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{finding, pipeline, plan};

    const FILE: &str = r#"
        [log_groups.app]
        [alarms.batch-a]
        log_group = "app"
        pattern = "a"
        period = "60s"
        [alarms.batch-b]
        log_group = "app"
        pattern = "b"
        period = "60s"
        [alarms.other]
        log_group = "app"
        pattern = "c"
        period = "60s"
        [mute_rules.nights]
        alarms = ["batch-*"]
        schedule = "cron(0 22 * * mon-5)"
        duration = "90m"
        timezone = "Europe/Berlin"
    "#;

    #[test]
    fn a_mute_rule_names_each_alarm_and_comes_after_them() {
        let template = pipeline(&plan(FILE));
        let mut rule = template["Resources"]["MuteRuleNights"].clone();
        rule["Properties"].as_object_mut().unwrap().remove("Tags");
        assert_eq!(
            rule,
            json!({
                "Type": "AWS::CloudWatch::AlarmMuteRule",
                "DependsOn": ["AlarmBatchA", "AlarmBatchB"],
                "Properties": {
                    "Name": "shop-nights",
                    "MuteTargets": { "AlarmNames": ["batch-a", "batch-b"] },
                    "Rule": { "Schedule": {
                        "Expression": "cron(0 22 * * MON-FRI)", "Duration": "PT1H30M", "Timezone": "Europe/Berlin",
                    } },
                },
            })
        );
    }

    #[test]
    fn schedules_are_spelled_as_aws_documents_them() {
        for (given, wanted) in [
            ("cron(0 2 * jan-mar 0)", "cron(0 2 * JAN-MAR SUN)"),
            ("cron(0  2 1,15 * *)", "cron(0 2 1,15 * *)"),
            ("cron(0 2 * * 1-5,7)", "cron(0 2 * * MON-FRI,SUN)"),
            ("cron(0 2 * * 5-7)", "cron(0 2 * * FRI-SAT,SUN)"),
            ("cron(0 2 * * 6-7)", "cron(0 2 * * SAT,SUN)"),
            ("cron(0 2 * * 0-7)", "cron(0 2 * * *)"),
            ("at(2026-12-24T18:00)", "at(2026-12-24T18:00)"),
        ] {
            assert_eq!(expression(given), wanted, "{given}");
        }
        for (ms, wanted) in [
            (60_000, "PT1M"),
            (60_001, "PT2M"),
            (15 * 86_400_000, "P15D"),
            (60 * 3_600_000, "P2DT12H"),
            (86_400_000 + 60_000, "P1DT1M"),
        ] {
            assert_eq!(duration(ms), wanted, "{ms}");
        }
    }

    #[test]
    fn what_aws_does_otherwise_is_said() {
        let changed = |from: &str, to: &str| {
            assert!(FILE.contains(from));
            plan(&FILE.replace(from, to))
        };
        assert_eq!(crate::findings(&plan(FILE)), []);
        let seconds = changed("90m", "90s");
        assert_eq!(
            finding(&seconds, "mute_rules.nights.duration"),
            "difference: on AWS the window lasts whole minutes, here 2"
        );
        let both = changed("22 * * mon-5", "22 1 * mon-5");
        assert!(finding(&both, "mute_rules.nights.schedule").starts_with("difference: here one of the two"));
        let mut many = plan(FILE);
        let alarm = many.alarms["other"].clone();
        for i in 0..99 {
            many.alarms.insert(format!("batch-{i}"), alarm.clone());
        }
        assert!(finding(&many, "mute_rules.nights.alarms").starts_with("refused: the rule keeps 101 alarms"));
        let long = "n".repeat(251);
        let long = changed("[mute_rules.nights]", &format!("[mute_rules.{long}]"));
        assert!(
            crate::findings(&long)[0].message.starts_with("with \"shop-\" before it the name has 256"),
            "{:?}",
            crate::findings(&long)
        );
    }
}
