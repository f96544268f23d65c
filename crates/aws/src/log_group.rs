//! Log groups.

use serde_json::json;
use watchbell_model::{Aws, GroupName, LogGroup, Plan, RETENTION_DAYS};

use crate::finding::Finding;
use crate::name::{logical_id, physical};
use crate::pipeline::{key, tagged};
use crate::stack::Input;
use crate::template::{Resource, Template};

/// How long events are kept where the plan does not say; without a number CloudWatch Logs keeps and bills them for ever.
pub(crate) const RETENTION_DAYS_DEFAULT: u32 = 30;

const DAY_MS: i64 = 86_400_000;

/// What names of log groups cannot begin with. Source: CloudWatch Logs API Reference, `CreateLogGroup`, `logGroupName`.
const RESERVED: &str = "aws/";

/// The id of a log group.
pub(crate) fn id(name: &GroupName) -> String {
    logical_id("LogGroup", name.as_str())
}

pub(crate) fn render(input: Input<'_>, template: &mut Template) {
    for (name, group) in &input.plan.log_groups {
        let properties = json!({
            "LogGroupName": name,
            "RetentionInDays": retention_days(group),
            "KmsKeyId": key(template),
        });
        let resource = Resource::new("AWS::Logs::LogGroup", properties).retained();
        template.add(id(name), tagged(resource, input, name.as_str()));
    }
}

/// The least number of days on offer that keeps events as long as planned; the most of all if none does.
fn retention_days(group: &LogGroup) -> u32 {
    let Some(retention_ms) = group.retention_ms else { return RETENTION_DAYS_DEFAULT };
    let enough = RETENTION_DAYS.into_iter().find(|days| i64::from(*days) * DAY_MS >= retention_ms);
    enough.unwrap_or(RETENTION_DAYS[RETENTION_DAYS.len() - 1])
}

pub(crate) fn findings(plan: &Plan, aws: &Aws) -> Vec<Finding> {
    let own = ["trail", "flow-logs"].map(|name| physical(aws, name));
    let mut findings = Vec::new();
    for (name, group) in &plan.log_groups {
        if name.as_str().starts_with(RESERVED) {
            let message =
                format!("CloudWatch Logs keeps names that begin with {RESERVED:?} for itself: \"{name}\"");
            findings
                .push(Finding::refused(&["log_groups", name.as_str()], message).help("choose another name"));
        }
        if own.iter().any(|own| own == name.as_str()) {
            let message = format!("the log group of the trail or of the network is called \"{name}\" on AWS");
            findings
                .push(Finding::refused(&["log_groups", name.as_str()], message).help("choose another name"));
        }
        let Some(retention_ms) = group.retention_ms else { continue };
        let days = retention_days(group);
        let kept_ms = i64::from(days) * DAY_MS;
        let path = ["log_groups", name.as_str(), "retention"];
        if kept_ms < retention_ms {
            let message = format!("CloudWatch Logs keeps events for at most {days} days");
            findings.push(
                Finding::refused(&path, message)
                    .help(format!("write \"{days}d\" or less; the archive keeps longer")),
            );
        } else if kept_ms > retention_ms {
            let message = format!("CloudWatch Logs keeps events for {days} days, the next that it offers");
            findings.push(Finding::difference(&path, message).help(format!("write \"{days}d\"")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{finding, pipeline, plan, properties};

    const GROUPS: &str = r#"
        [log_groups."shop/app"]
        [log_groups."shop/#1"]
    "#;

    fn with(retention_ms: i64) -> Plan {
        let mut plan = plan(GROUPS);
        plan.log_groups.get_mut("shop/app").unwrap().retention_ms = Some(retention_ms);
        plan
    }

    #[test]
    fn a_log_group_is_kept_encrypted_and_outlives_its_stack() {
        let plan = with(90 * DAY_MS);
        let template = pipeline(&plan);
        let resource = &template["Resources"][id(&GroupName::new("shop/app").unwrap())];
        assert_eq!(resource["DeletionPolicy"], "RetainExceptOnCreate");
        assert_eq!(resource["Properties"]["LogGroupName"], "shop/app");
        assert_eq!(resource["Properties"]["RetentionInDays"], 90);
        assert_eq!(resource["Properties"]["KmsKeyId"], json!({ "Ref": "KeyArn" }));
        let other = properties(&template, &id(&GroupName::new("shop/#1").unwrap()));
        assert_eq!(other["RetentionInDays"], RETENTION_DAYS_DEFAULT);
        assert!(other["Tags"].as_array().unwrap().contains(&json!({ "Key": "Name", "Value": "shop/-1" })));
    }

    #[test]
    fn retention_is_rounded_up_to_what_is_on_offer_and_said() {
        let path = "log_groups.shop/app.retention";
        assert_eq!(retention_days(&with(DAY_MS / 2).log_groups["shop/app"]), 1);
        assert_eq!(
            finding(&with(10 * DAY_MS), path),
            "difference: CloudWatch Logs keeps events for 14 days, the next that it offers"
        );
        assert_eq!(
            finding(&with(4000 * DAY_MS), path),
            "refused: CloudWatch Logs keeps events for at most 3653 days"
        );
        assert_eq!(finding(&with(14 * DAY_MS), path), "");
        let reserved = crate::testing::plan("[log_groups.\"aws/app\"]\n[log_groups.\"/aws/app\"]");
        assert!(finding(&reserved, "log_groups.aws/app").starts_with("refused"));
        assert_eq!(finding(&reserved, "log_groups./aws/app"), "");
        let own =
            crate::testing::plan("[log_groups.shop-trail]\n[log_groups.shop-flow-logs]\n[log_groups.trail]");
        for name in ["shop-trail", "shop-flow-logs"] {
            assert!(finding(&own, &format!("log_groups.{name}")).starts_with("refused: the log group of"));
        }
        assert_eq!(finding(&own, "log_groups.trail"), "");
    }
}
