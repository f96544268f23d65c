//! Composite alarms.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use watchbell_expression::AlarmRule;
use watchbell_model::{CompositeAlarm, Plan};

use crate::alarm::{self, announcement};
use crate::finding::Finding;
use crate::pipeline::{seconds, tagged};
use crate::stack::Input;
use crate::template::{Resource, Template};

/// Most composite alarms whose rules name one alarm. Source: CloudWatch API Reference, `PutCompositeAlarm`.
const PARENTS_MAX: usize = 150;

pub(crate) fn render(input: Input<'_>, template: &mut Template) {
    for (name, alarm) in &input.plan.alarms {
        let Some(composite) = alarm.composite() else { continue };
        let mut properties = announcement(name, alarm);
        properties["AlarmRule"] = json!(composite.rule);
        if let Some(suppressor) = &composite.suppressor {
            properties["ActionsSuppressor"] = json!(suppressor.alarm);
            properties["ActionsSuppressorWaitPeriod"] = json!(seconds(suppressor.wait_period_ms));
            properties["ActionsSuppressorExtensionPeriod"] = json!(seconds(suppressor.extension_period_ms));
        }
        // The rule names alarms, which CloudFormation does not see.
        let suppressor = composite.suppressor.as_ref().map(|suppressor| suppressor.alarm.clone());
        let named: BTreeSet<String> = children(composite).into_iter().chain(suppressor).collect();
        let ids: Vec<String> = named.iter().map(|name| alarm::id(name)).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut resource = Resource::new("AWS::CloudWatch::CompositeAlarm", properties);
        if !ids.is_empty() {
            resource = resource.after(&ids);
        }
        template.add(alarm::id(name), tagged(resource, input, name));
    }
}

/// The alarms that the rule names.
fn children(composite: &CompositeAlarm) -> BTreeSet<String> {
    let rule = AlarmRule::parse(&composite.rule).expect("rules of a plan are checked");
    rule.names().iter().map(|reference| reference.name.clone()).collect()
}

pub(crate) fn findings(plan: &Plan) -> Vec<Finding> {
    let mut parents: BTreeMap<String, usize> = BTreeMap::new();
    let mut findings = Vec::new();
    for (name, alarm) in &plan.alarms {
        let Some(composite) = alarm.composite() else { continue };
        for child in children(composite) {
            let count = parents.entry(child.clone()).or_default();
            *count += 1;
            if *count == PARENTS_MAX + 1 {
                let message = format!(
                    "more than {PARENTS_MAX} composite alarms name {child:?}, and CloudWatch takes no more"
                );
                let finding = Finding::refused(&["composite_alarms", name, "rule"], message);
                findings.push(finding.help("name a composite alarm that names it"));
            }
        }
        let Some(suppressor) = &composite.suppressor else { continue };
        let periods = [
            ("actions_suppressor_wait_period", suppressor.wait_period_ms),
            ("actions_suppressor_extension_period", suppressor.extension_period_ms),
        ];
        for (key, ms) in periods.into_iter().filter(|(_, ms)| ms % 1000 != 0) {
            let message = format!("CloudWatch waits whole seconds, here {}", seconds(ms));
            findings.push(Finding::difference(&["composite_alarms", name, key], message));
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
        [topics.oncall]
        console = {}
        [alarms.a]
        log_group = "app"
        pattern = "a"
        period = "60s"
        [alarms."b c"]
        log_group = "app"
        pattern = "b"
        period = "60s"
        [alarms.deploying]
        log_group = "app"
        pattern = "deploying"
        period = "60s"
        [composite_alarms.down]
        rule = 'AT_LEAST(1, ALARM, (a, "b c")) AND NOT ALARM("b c")'
        notify = ["oncall"]
        severity = "critical"
        actions_suppressor = "deploying"
        actions_suppressor_wait_period = "1500ms"
        actions_suppressor_extension_period = "2m"
    "#;

    #[test]
    fn a_composite_alarm_comes_after_the_alarms_that_it_names() {
        let template = pipeline(&plan(FILE));
        let mut down = template["Resources"]["AlarmDown"].clone();
        down["Properties"].as_object_mut().unwrap().remove("Tags");
        let mut after = [alarm::id("a"), alarm::id("b c"), alarm::id("deploying")];
        after.sort();
        assert_eq!(
            down,
            json!({
                "Type": "AWS::CloudWatch::CompositeAlarm",
                "DependsOn": after,
                "Properties": {
                    "AlarmName": "down",
                    "AlarmDescription": "severity: critical",
                    "AlarmRule": "AT_LEAST(1, ALARM, (a, \"b c\")) AND NOT ALARM(\"b c\")",
                    "ActionsSuppressor": "deploying",
                    "ActionsSuppressorWaitPeriod": 2,
                    "ActionsSuppressorExtensionPeriod": 120,
                    "AlarmActions": [{ "Ref": "TopicOncall" }],
                    "OKActions": [{ "Ref": "TopicOncall" }],
                },
            })
        );
        for id in after {
            assert!(template["Resources"][&id].is_object(), "{id}");
        }
    }

    #[test]
    fn rounded_seconds_and_too_many_parents_are_said() {
        let mut plan = plan(FILE);
        let path = "composite_alarms.down.actions_suppressor_wait_period";
        assert_eq!(finding(&plan, path), "difference: CloudWatch waits whole seconds, here 2");
        let down = plan.alarms["down"].clone();
        for i in 0..149 {
            plan.alarms.insert(format!("c{i:03}"), down.clone());
        }
        assert_eq!(finding(&plan, "composite_alarms.down.rule"), "");
        plan.alarms.insert("c149".to_owned(), down);
        assert!(finding(&plan, "composite_alarms.down.rule").starts_with("refused: more than 150"));
    }
}
