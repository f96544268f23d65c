//! Alarms on what the account's trail records, as the CIS AWS Foundations Benchmark asks for.
//!
//! Source: CIS Amazon Web Services Foundations Benchmark 1.4.0, section 4, "Monitoring".

use serde_json::json;
use watchbell_model::{Aws, MetricName, MetricTransformation, Plan, SERIES_MAX_DEFAULT, Unit};

use crate::alarm::{merge, told};
use crate::finding::Finding;
use crate::metric_filter;
use crate::name::{logical_id, physical};
use crate::output;
use crate::pipeline::tagged;
use crate::stack::Input;
use crate::template::{Resource, Template};

/// The namespace of what is counted.
const NAMESPACE: &str = "Watchbell/Cis";
/// How long a datapoint is, in seconds: CloudTrail delivers within some minutes, so a shorter one tells nothing sooner.
const PERIOD_S: u32 = 300;
/// Most topics of one alarm. Source: CloudWatch API Reference, `PutMetricAlarm`, `AlarmActions`.
const TOPICS_MAX: usize = 5;

/// One recommendation of the benchmark.
struct Control {
    number: &'static str,
    name: &'static str,
    description: &'static str,
    events: Events,
}

/// The events of the trail that a control is about.
enum Events {
    /// Those that match a filter pattern.
    Pattern(&'static str),
    /// Calls of these names, of one service if it is named.
    Calls(Option<&'static str>, &'static [&'static str]),
}

impl Control {
    const fn new(
        number: &'static str,
        name: &'static str,
        description: &'static str,
        events: Events,
    ) -> Control {
        Control { number, name, description, events }
    }

    fn pattern(&self) -> String {
        match self.events {
            Events::Pattern(pattern) => pattern.to_owned(),
            Events::Calls(source, names) => {
                let names: Vec<String> = names.iter().map(|name| format!("($.eventName = {name})")).collect();
                let names = names.join(" || ");
                match source {
                    Some(source) => {
                        format!("{{ ($.eventSource = \"{source}.amazonaws.com\") && ({names}) }}")
                    }
                    None => format!("{{ {names} }}"),
                }
            }
        }
    }
}

const CONTROLS: [Control; 15] = [
    Control::new(
        "4.1",
        "unauthorized-calls",
        "Calls were refused for lack of permission.",
        Events::Pattern(
            "{ (($.errorCode = \"*UnauthorizedOperation\") || ($.errorCode = \"AccessDenied*\")) && \
             ($.sourceIPAddress != \"delivery.logs.amazonaws.com\") && ($.eventName != \"HeadBucket\") }",
        ),
    ),
    Control::new(
        "4.2",
        "sign-in-without-mfa",
        "Somebody signed in to the console without a second factor.",
        Events::Pattern(
            "{ ($.eventName = \"ConsoleLogin\") && ($.additionalEventData.MFAUsed != \"Yes\") && \
             ($.userIdentity.type = \"IAMUser\") && ($.responseElements.ConsoleLogin = \"Success\") }",
        ),
    ),
    Control::new(
        "4.3",
        "root-account",
        "The root account was used.",
        Events::Pattern(
            "{ ($.userIdentity.type = \"Root\") && ($.userIdentity.invokedBy NOT EXISTS) && \
             ($.eventType != \"AwsServiceEvent\") }",
        ),
    ),
    Control::new(
        "4.4",
        "iam-policies",
        "A policy of IAM changed.",
        Events::Calls(
            None,
            &[
                "DeleteGroupPolicy",
                "DeleteRolePolicy",
                "DeleteUserPolicy",
                "PutGroupPolicy",
                "PutRolePolicy",
                "PutUserPolicy",
                "CreatePolicy",
                "DeletePolicy",
                "CreatePolicyVersion",
                "DeletePolicyVersion",
                "AttachRolePolicy",
                "DetachRolePolicy",
                "AttachUserPolicy",
                "DetachUserPolicy",
                "AttachGroupPolicy",
                "DetachGroupPolicy",
            ],
        ),
    ),
    Control::new(
        "4.5",
        "trail",
        "A trail changed, or was switched on or off.",
        Events::Calls(None, &["CreateTrail", "UpdateTrail", "DeleteTrail", "StartLogging", "StopLogging"]),
    ),
    Control::new(
        "4.6",
        "failed-sign-in",
        "Somebody could not sign in to the console.",
        Events::Pattern(
            "{ ($.eventName = \"ConsoleLogin\") && ($.errorMessage = \"Failed authentication\") }",
        ),
    ),
    Control::new(
        "4.7",
        "keys",
        "A key was disabled, or its deletion was scheduled.",
        Events::Calls(Some("kms"), &["DisableKey", "ScheduleKeyDeletion"]),
    ),
    Control::new(
        "4.8",
        "bucket-policies",
        "Who may do what with a bucket, or what becomes of its objects, changed.",
        Events::Calls(
            Some("s3"),
            &[
                "PutBucketAcl",
                "PutBucketPolicy",
                "PutBucketCors",
                "PutBucketLifecycle",
                "PutBucketReplication",
                "DeleteBucketPolicy",
                "DeleteBucketCors",
                "DeleteBucketLifecycle",
                "DeleteBucketReplication",
            ],
        ),
    ),
    Control::new(
        "4.9",
        "config",
        "AWS Config changed.",
        Events::Calls(
            Some("config"),
            &[
                "StopConfigurationRecorder",
                "DeleteDeliveryChannel",
                "PutDeliveryChannel",
                "PutConfigurationRecorder",
            ],
        ),
    ),
    Control::new(
        "4.10",
        "security-groups",
        "A security group changed.",
        Events::Calls(
            None,
            &[
                "AuthorizeSecurityGroupIngress",
                "AuthorizeSecurityGroupEgress",
                "RevokeSecurityGroupIngress",
                "RevokeSecurityGroupEgress",
                "CreateSecurityGroup",
                "DeleteSecurityGroup",
            ],
        ),
    ),
    Control::new(
        "4.11",
        "network-access-lists",
        "A network access control list changed.",
        Events::Calls(
            None,
            &[
                "CreateNetworkAcl",
                "CreateNetworkAclEntry",
                "DeleteNetworkAcl",
                "DeleteNetworkAclEntry",
                "ReplaceNetworkAclEntry",
                "ReplaceNetworkAclAssociation",
            ],
        ),
    ),
    Control::new(
        "4.12",
        "gateways",
        "A gateway of a network changed.",
        Events::Calls(
            None,
            &[
                "CreateCustomerGateway",
                "DeleteCustomerGateway",
                "AttachInternetGateway",
                "CreateInternetGateway",
                "DeleteInternetGateway",
                "DetachInternetGateway",
            ],
        ),
    ),
    Control::new(
        "4.13",
        "route-tables",
        "A route changed.",
        Events::Calls(
            None,
            &[
                "CreateRoute",
                "CreateRouteTable",
                "ReplaceRoute",
                "ReplaceRouteTableAssociation",
                "DeleteRouteTable",
                "DeleteRoute",
                "DisassociateRouteTable",
            ],
        ),
    ),
    Control::new(
        "4.14",
        "networks",
        "A virtual private cloud changed.",
        Events::Calls(
            None,
            &[
                "CreateVpc",
                "DeleteVpc",
                "ModifyVpcAttribute",
                "AcceptVpcPeeringConnection",
                "CreateVpcPeeringConnection",
                "DeleteVpcPeeringConnection",
                "RejectVpcPeeringConnection",
                "AttachClassicLinkVpc",
                "DetachClassicLinkVpc",
                "DisableVpcClassicLink",
                "EnableVpcClassicLink",
            ],
        ),
    ),
    Control::new(
        "4.15",
        "organization",
        "The organization of accounts changed.",
        Events::Calls(
            Some("organizations"),
            &[
                "AcceptHandshake",
                "AttachPolicy",
                "CreateAccount",
                "CreateOrganizationalUnit",
                "CreatePolicy",
                "DeclineHandshake",
                "DeleteOrganization",
                "DeleteOrganizationalUnit",
                "DeletePolicy",
                "DetachPolicy",
                "DisablePolicyType",
                "EnablePolicyType",
                "InviteAccountToOrganization",
                "LeaveOrganization",
                "MoveAccount",
                "RemoveAccountFromOrganization",
                "UpdatePolicy",
                "UpdateOrganizationalUnit",
            ],
        ),
    ),
];

fn is_on(aws: &Aws) -> bool {
    aws.trail.enabled && aws.trail.cis
}

/// The names of the alarms that come with the trail.
pub(crate) fn alarm_names(aws: &Aws) -> impl Iterator<Item = String> {
    CONTROLS.iter().filter(|_| is_on(aws)).map(|control| alarm_name(aws, control))
}

fn alarm_name(aws: &Aws, control: &Control) -> String {
    physical(aws, &format!("cis-{}", control.name))
}

pub(crate) fn render(input: Input<'_>, template: &mut Template) {
    if !is_on(input.aws) {
        return;
    }
    let group =
        template.parameter(output::TRAIL_LOG_GROUP, "String", "The log group that the trail is delivered to");
    for control in &CONTROLS {
        let name = alarm_name(input.aws, control);
        let metric = MetricTransformation {
            metric: MetricName { namespace: NAMESPACE.to_owned(), name: control.name.to_owned() },
            value: "1".to_owned(),
            default: None,
            unit: Unit::COUNT,
            dimensions: [].into(),
            series_max: SERIES_MAX_DEFAULT,
        };
        let filter = metric_filter::resource(&name, &group, &control.pattern(), &metric);
        template.add(logical_id("CisFilter", control.name), filter);
        let mut properties = json!({
            "AlarmName": name,
            "AlarmDescription": format!("{} (CIS {})", control.description, control.number),
            "Namespace": NAMESPACE,
            "MetricName": control.name,
            "Statistic": "Sum",
            "Period": PERIOD_S,
            "EvaluationPeriods": 1,
            "DatapointsToAlarm": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "Threshold": 1,
            "TreatMissingData": "notBreaching",
        });
        merge(&mut properties, told(&input.aws.trail.notify));
        let resource = Resource::new("AWS::CloudWatch::Alarm", properties);
        template.add(logical_id("CisAlarm", control.name), tagged(resource, input, &name));
    }
}

pub(crate) fn findings(plan: &Plan, aws: &Aws) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !is_on(aws) {
        return findings;
    }
    let count = aws.trail.notify.len();
    let path = ["aws", "trail", "notify"];
    if count > TOPICS_MAX {
        let message = format!("CloudWatch lets an alarm tell {TOPICS_MAX} topics, not {count}");
        findings.push(Finding::refused(&path, message).help("gather the subscriptions in fewer topics"));
    }
    let taken = plan.metric_filters.values().any(|filter| filter.metric.metric.namespace == NAMESPACE);
    if taken {
        let message = format!("the namespace {NAMESPACE:?} is that of the benchmark's own metrics");
        findings.push(
            Finding::refused(&["aws", "trail", "cis"], message)
                .help("choose another namespace in metric_filters"),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use watchbell_pattern::{PATTERN_CHARS_MAX, Pattern};

    use super::*;
    use crate::testing::{finding, pipeline, plan, properties};

    fn with_trail() -> Plan {
        let mut plan = plan(
            "[log_groups.app]\n[topics.oncall]\nconsole = {}\n[alarms.a]\nlog_group = \"app\"\npattern = \"a\"\nperiod = \"60s\"\nnotify = [\"oncall\"]",
        );
        let trail = &mut plan.aws.as_mut().unwrap().trail;
        (trail.enabled, trail.cis, trail.notify) = (true, true, vec!["oncall".to_owned()]);
        plan
    }

    #[test]
    fn the_trail_has_a_filter_and_an_alarm_for_each_control() {
        let template = pipeline(&with_trail());
        assert_eq!(template["Parameters"]["TrailLogGroup"]["Type"], "String");
        for control in &CONTROLS {
            let filter = properties(&template, &logical_id("CisFilter", control.name));
            assert_eq!(filter["LogGroupName"], json!({ "Ref": "TrailLogGroup" }));
            let alarm = properties(&template, &logical_id("CisAlarm", control.name));
            assert_eq!(alarm["MetricName"], filter["MetricTransformations"][0]["MetricName"]);
            assert_eq!(alarm["Namespace"], filter["MetricTransformations"][0]["MetricNamespace"]);
            assert_eq!(alarm["AlarmActions"], json!([{ "Ref": "TopicOncall" }]));
        }
        let numbers: Vec<String> = CONTROLS.iter().map(|control| control.number.to_owned()).collect();
        assert_eq!(numbers, (1..=15).map(|i| format!("4.{i}")).collect::<Vec<_>>());
        let mut off = with_trail();
        off.aws.as_mut().unwrap().trail.cis = false;
        assert!(pipeline(&off)["Resources"].as_object().unwrap().keys().all(|id| !id.starts_with("Cis")));
        assert_eq!(alarm_names(off.aws.as_ref().unwrap()).count(), 0);
    }

    #[test]
    fn controls_see_what_they_are_about() {
        let seen = |event: serde_json::Value| -> Vec<&str> {
            let line = event.to_string();
            let is_seen = |control: &&Control| Pattern::parse(&control.pattern()).unwrap().matches(&line);
            CONTROLS.iter().filter(is_seen).map(|control| control.number).collect()
        };
        let call = |service: &str, name: &str| json!({ "eventSource": format!("{service}.amazonaws.com"), "eventName": name, "userIdentity": { "type": "IAMUser" } });
        for control in &CONTROLS {
            assert!(control.pattern().chars().count() <= PATTERN_CHARS_MAX, "{}", control.number);
        }
        assert_eq!(
            seen(
                json!({ "eventName": "GetObject", "errorCode": "AccessDenied", "sourceIPAddress": "1.2.3.4" })
            ),
            ["4.1"]
        );
        assert_eq!(
            seen(
                json!({ "eventName": "HeadBucket", "errorCode": "AccessDenied", "sourceIPAddress": "1.2.3.4" })
            ),
            [""; 0]
        );
        let sign_in = |mfa: &str| {
            json!({
                "eventName": "ConsoleLogin", "userIdentity": { "type": "IAMUser" },
                "additionalEventData": { "MFAUsed": mfa }, "responseElements": { "ConsoleLogin": "Success" },
            })
        };
        assert_eq!(seen(sign_in("No")), ["4.2"]);
        assert_eq!(seen(sign_in("Yes")), [""; 0]);
        let root = |by: serde_json::Value| json!({ "eventType": "AwsApiCall", "eventName": "ListBuckets", "userIdentity": by });
        assert_eq!(seen(root(json!({ "type": "Root" }))), ["4.3"]);
        assert_eq!(seen(root(json!({ "type": "Root", "invokedBy": "support.amazonaws.com" }))), [""; 0]);
        assert_eq!(
            seen(json!({ "eventName": "ConsoleLogin", "errorMessage": "Failed authentication" })),
            ["4.6"]
        );
        for (service, name, number) in [
            ("iam", "PutRolePolicy", "4.4"),
            ("cloudtrail", "StopLogging", "4.5"),
            ("kms", "ScheduleKeyDeletion", "4.7"),
            ("s3", "PutBucketPolicy", "4.8"),
            ("config", "StopConfigurationRecorder", "4.9"),
            ("ec2", "AuthorizeSecurityGroupIngress", "4.10"),
            ("ec2", "CreateNetworkAclEntry", "4.11"),
            ("ec2", "AttachInternetGateway", "4.12"),
            ("ec2", "DeleteRoute", "4.13"),
            ("ec2", "CreateVpc", "4.14"),
            ("organizations", "MoveAccount", "4.15"),
        ] {
            assert_eq!(seen(call(service, name)), [number], "{name}");
        }
        assert_eq!(seen(call("ec2", "DescribeInstances")), [""; 0]);
    }

    #[test]
    fn too_many_topics_and_a_taken_namespace_are_refused() {
        let mut plan = with_trail();
        assert_eq!(finding(&plan, "aws.trail.notify"), "");
        plan.metric_filters.get_mut("alarm/a").unwrap().metric.metric.namespace = NAMESPACE.to_owned();
        plan.aws.as_mut().unwrap().trail.notify = vec!["oncall".to_owned(); 6];
        assert!(finding(&plan, "aws.trail.notify").starts_with("refused: CloudWatch lets an alarm tell 5"));
        assert!(finding(&plan, "aws.trail.cis").starts_with("refused: the namespace"));
    }
}
