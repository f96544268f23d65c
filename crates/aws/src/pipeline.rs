//! Detection and alerts: log groups, metric filters, alarms, topics, queues, the dashboard.

use serde_json::Value;
use watchbell_model::{Aws, Plan};

use crate::finding::Finding;
use crate::stack::{Files, Input};
use crate::template::{RESOURCES_MAX, Resource, Template};
use crate::{alarm, cis, composite, dashboard, log_group, metric_filter, mute, output, queue, topic};

/// Largest template that CloudFormation takes, from a bucket, in bytes.
///
/// Source: AWS CloudFormation User Guide, quotas, "Template body size in an S3 object".
const TEMPLATE_BYTES_MAX: usize = 1_048_576;

/// Longest value of a tag, in characters. Source: Amazon CloudWatch API Reference, `Tag`, `Value`.
const TAG_CHARS_MAX: usize = 256;

pub(crate) fn render(input: Input<'_>) -> Template {
    let mut template = Template::new(format!("{}: pipeline", input.aws.name));
    log_group::render(input, &mut template);
    metric_filter::render(input, &mut template);
    alarm::render(input, &mut template);
    composite::render(input, &mut template);
    mute::render(input, &mut template);
    topic::render(input, &mut template);
    queue::render(input, &mut template);
    cis::render(input, &mut template);
    dashboard::render(input, &mut template);
    template
}

/// What does not fit into one template.
pub(crate) fn findings(plan: &Plan, aws: &Aws) -> Vec<Finding> {
    let template = render(Input { plan, aws, files: &Files::default() });
    let (resources, bytes) = (template.resources().count(), template.to_body().len());
    let mut findings = Vec::new();
    if resources > RESOURCES_MAX {
        let message = format!(
            "the plan becomes {resources} resources of one stack, and CloudFormation takes {RESOURCES_MAX}"
        );
        findings.push(
            Finding::refused(&["aws"], message)
                .help("split the file: each part with a name of its own in [aws]"),
        );
    }
    if bytes > TEMPLATE_BYTES_MAX {
        let message = format!(
            "the plan becomes a template of {bytes} bytes, and CloudFormation takes {TEMPLATE_BYTES_MAX}"
        );
        findings.push(
            Finding::refused(&["aws"], message)
                .help("split the file: each part with a name of its own in [aws]"),
        );
    }
    findings
}

/// The key that everything is encrypted with.
pub(crate) fn key(template: &mut Template) -> Value {
    template.parameter(output::KEY_ARN, "String", "The key that everything is encrypted with")
}

/// With the plan's tags and a name, in characters that tags take.
pub(crate) fn tagged(resource: Resource, input: Input<'_>, name: &str) -> Resource {
    let fits = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
    let name: String = name.chars().map(|c| if fits(c) { c } else { '-' }).take(TAG_CHARS_MAX).collect();
    resource.tagged(&input.aws.tags, &name)
}

/// Whole seconds that are not shorter.
pub(crate) fn seconds(ms: i64) -> i64 {
    ms.div_euclid(1000) + i64::from(ms.rem_euclid(1000) > 0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::testing::{finding, pipeline, plan};

    const FILE: &str = r#"
        [log_groups."shop/app"]
        [topics.oncall]
        console = {}
        [alarms.panic]
        log_group = "shop/app"
        pattern = "panic"
        period = "60s"
        notify = ["oncall"]
        [composite_alarms.down]
        rule = "ALARM(panic)"
        [queues.events]
        alarms = true
    "#;

    /// What `Ref`, `Fn::GetAtt` and `DependsOn` name.
    fn named(value: &Value, names: &mut BTreeSet<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| named(item, names)),
            Value::Object(fields) => {
                for (key, value) in fields {
                    let texts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
                    match key.as_str() {
                        "Ref" => names.extend(value.as_str().map(str::to_owned)),
                        "Fn::GetAtt" => names.extend(texts.take(1).map(str::to_owned)),
                        "DependsOn" => names.extend(texts.map(str::to_owned)),
                        _ => named(value, names),
                    }
                }
            }
            _ => (),
        }
    }

    #[test]
    fn names_that_begin_like_a_kind_are_told_apart() {
        let file = FILE.replace("[queues.events]", "[queues.policy-events]\nalarms = true\n[queues.events]");
        let mut plan = plan(&file);
        let alarm = plan.alarms["panic"].clone();
        for name in ["states-events", "on-dead-letters-events", "policy-panic"] {
            plan.alarms.insert(name.to_owned(), alarm.clone());
        }
        let topic = plan.topics["oncall"].clone();
        plan.topics.insert("policy-oncall".to_owned(), topic);
        // Two resources of one id would stop the program.
        assert!(pipeline(&plan)["Resources"].as_object().unwrap().len() > 20);
    }

    #[test]
    fn whatever_is_named_is_there() {
        let mut plan = plan(FILE);
        let trail = &mut plan.aws.as_mut().unwrap().trail;
        (trail.enabled, trail.cis, trail.notify) = (true, true, vec!["oncall".to_owned()]);
        let template = pipeline(&plan);
        let mut names = BTreeSet::new();
        named(&template, &mut names);
        for name in ["KeyArn", "TrailLogGroup", "AlarmPanic", "DeadLettersEvents", "TopicOncall"] {
            assert!(names.contains(name), "{name} in {names:?}");
        }
        for name in names.iter().filter(|name| !name.starts_with("AWS::")) {
            let is_there = template["Resources"].get(name).or_else(|| template["Parameters"].get(name));
            assert!(is_there.is_some(), "{name} is named and not there");
        }
    }

    #[test]
    fn more_resources_than_a_stack_takes_are_refused() {
        let mut plan = plan(FILE);
        let group = plan.log_groups["shop/app"].clone();
        let free = RESOURCES_MAX - pipeline(&plan)["Resources"].as_object().unwrap().len();
        for i in 0..free {
            plan.log_groups.insert(format!("g{i}").try_into().unwrap(), group.clone());
        }
        assert_eq!(finding(&plan, "aws"), "");
        plan.log_groups.insert("one-more".to_owned().try_into().unwrap(), group);
        assert!(finding(&plan, "aws").starts_with("refused: the plan becomes 501 resources"));
    }

    #[test]
    fn a_template_that_is_too_large_is_refused() {
        let mut plan = plan(FILE);
        let alarm = plan.alarms.get_mut("panic").unwrap();
        alarm.description = Some("x".repeat(1000));
        let alarm = alarm.clone();
        for i in 0..400 {
            let rule = format!("ALARM(panic){}", " OR ALARM(panic)".repeat(200));
            let kind = watchbell_model::AlarmKind::Composite(watchbell_model::CompositeAlarm {
                rule,
                suppressor: None,
            });
            plan.alarms.insert(format!("c{i}"), watchbell_model::Alarm { kind, ..alarm.clone() });
        }
        // So many composite alarms of one alarm are refused before; each gets a child of its own.
        for (i, alarm) in plan.alarms.values_mut().filter(|alarm| alarm.composite().is_some()).enumerate() {
            let watchbell_model::AlarmKind::Composite(composite) = &mut alarm.kind else { unreachable!() };
            composite.rule = composite.rule.replace("panic", &format!("child-{i}"));
        }
        assert!(
            finding(&plan, "aws").starts_with("refused: the plan becomes a template of"),
            "{:?}",
            crate::findings(&plan)
        );
    }

    #[test]
    fn seconds_are_never_shorter() {
        assert_eq!([0, 1, 999, 1000, 1001].map(seconds), [0, 1, 1, 1, 2]);
    }
}
