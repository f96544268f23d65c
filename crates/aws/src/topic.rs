//! Topics: whom to tell. Mail and text messages are sent by Amazon SNS.

use std::collections::BTreeSet;

use serde_json::json;
use watchbell_model::{Aws, Channel, Plan, Topic};

use crate::finding::Finding;
use crate::name::{logical_id, physical};
use crate::pipeline::{key, tagged};
use crate::policy::{Statement, document, service};
use crate::stack::Input;
use crate::template::{Resource, Template, arn, reference};

/// Longest name, in characters. Source: Amazon SNS API Reference, `CreateTopic`, `Name`.
const NAME_CHARS_MAX: usize = 256;
/// Digits of a telephone number. Source: ITU-T E.164.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// The id of a topic.
pub(crate) fn id(name: &str) -> String {
    logical_id("Topic", name)
}

pub(crate) fn render(input: Input<'_>, template: &mut Template) {
    for (name, topic) in &input.plan.topics {
        let physical = physical(input.aws, name);
        let properties = json!({ "TopicName": physical, "KmsMasterKeyId": key(template) });
        template.add(id(name), tagged(Resource::new("AWS::SNS::Topic", properties), input, &physical));
        let policy = document(vec![from_alarms(name), only_encrypted(name)]);
        let properties = json!({ "Topics": [reference(&id(name))], "PolicyDocument": policy });
        template.add(logical_id("PolicyOfTopic", name), Resource::new("AWS::SNS::TopicPolicy", properties));
        for (protocol, endpoint) in receivers(topic) {
            let properties =
                json!({ "TopicArn": reference(&id(name)), "Protocol": protocol, "Endpoint": endpoint });
            let id = logical_id("Subscription", &format!("{name}/{protocol}/{endpoint}"));
            template.add(id, Resource::new("AWS::SNS::Subscription", properties));
        }
    }
}

/// Alarms of this account and region may publish; whoever else may has it from IAM.
fn from_alarms(name: &str) -> Statement {
    Statement::allow("Alarms", &["sns:Publish"], vec![reference(&id(name))])
        .to(service("cloudwatch"))
        .only_if(json!({
            "StringEquals": { "aws:SourceAccount": reference("AWS::AccountId") },
            "ArnLike": { "aws:SourceArn": arn("cloudwatch", "alarm:*") },
        }))
}

fn only_encrypted(name: &str) -> Statement {
    Statement::allow("OnlyOverTls", &["sns:Publish"], vec![reference(&id(name))])
        .denied()
        .to(json!("*"))
        .only_if(json!({ "Bool": { "aws:SecureTransport": "false" } }))
}

/// Protocols and endpoints of those whom SNS itself reaches, each once.
fn receivers(topic: &Topic) -> BTreeSet<(&'static str, &str)> {
    let mut receivers = BTreeSet::new();
    for subscription in &topic.subscriptions {
        match &subscription.channel {
            Channel::Email(email) => receivers.extend(email.to.iter().map(|to| ("email", to.as_str()))),
            Channel::Sms { to } => receivers.extend(to.iter().map(|to| ("sms", to.as_str()))),
            Channel::Console | Channel::Webhook { .. } | Channel::Slack { .. } => (),
        }
    }
    receivers
}

pub(crate) fn findings(plan: &Plan, aws: &Aws) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, topic) in &plan.topics {
        let physical = physical(aws, name);
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if let Some(wrong) = name.chars().find(|c| !fits(*c)) {
            let message = format!("the name of a topic cannot hold {wrong:?} on AWS, as in {name:?}");
            findings
                .push(Finding::refused(&["topics", name], message).help("write letters, digits, - and _"));
        } else if physical.len() > NAME_CHARS_MAX {
            let message = format!(
                "the topic's name on AWS has {} characters, more than {NAME_CHARS_MAX}",
                physical.len()
            );
            findings.push(Finding::refused(&["topics", name], message).help("choose a shorter name"));
        }
        let receivers = receivers(topic);
        if receivers.is_empty() {
            let message = format!(
                "topic {name:?} reaches nobody on AWS: this version sends mail and text messages there"
            );
            findings.push(Finding::difference(&["topics", name], message).help("add email or sms"));
        }
        let is_number = |number: &str| {
            number.strip_prefix('+').is_some_and(|digits| {
                DIGITS.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
            })
        };
        for (_, number) in
            receivers.into_iter().filter(|(protocol, number)| *protocol == "sms" && !is_number(number))
        {
            let message = format!("Amazon SNS takes telephone numbers as in E.164, not {number:?}");
            findings.push(
                Finding::refused(&["topics", name, "sms"], message)
                    .help("write \"+\", the country's code and the number"),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use watchbell_model::Subscription;

    use super::*;
    use crate::testing::{finding, pipeline, plan, properties};

    fn with(channels: Vec<Channel>) -> Plan {
        let mut plan = plan(
            "[log_groups.app]\n[topics.oncall]\nconsole = {}\n[alarms.a]\nlog_group = \"app\"\npattern = \"a\"\nperiod = \"60s\"\nnotify = [\"oncall\"]",
        );
        let subscriptions =
            channels.into_iter().map(|channel| Subscription { name: channel.kind().to_owned(), channel });
        plan.topics.get_mut("oncall").unwrap().subscriptions = subscriptions.collect();
        plan
    }

    fn email(to: &[&str]) -> Channel {
        serde_json::from_value(json!({ "kind": "email", "to": to })).unwrap()
    }

    #[test]
    fn a_topic_is_encrypted_and_only_alarms_of_the_account_publish_into_it() {
        let template = pipeline(&with(vec![email(&["a@b.example"])]));
        let topic = properties(&template, "TopicOncall");
        assert_eq!(topic["TopicName"], "shop-oncall");
        assert_eq!(topic["KmsMasterKeyId"], reference("KeyArn"));
        let policy = properties(&template, "PolicyOfTopicOncall");
        assert_eq!(policy["Topics"], json!([{ "Ref": "TopicOncall" }]));
        let statements = policy["PolicyDocument"]["Statement"].as_array().unwrap();
        assert_eq!(statements[0]["Principal"], service("cloudwatch"));
        assert_eq!(statements[0]["Resource"], json!([{ "Ref": "TopicOncall" }]));
        assert_eq!(
            statements[0]["Condition"]["StringEquals"]["aws:SourceAccount"],
            reference("AWS::AccountId")
        );
        assert_eq!(statements[1]["Effect"], "Deny");
        assert_eq!(statements[1]["Condition"], json!({ "Bool": { "aws:SecureTransport": "false" } }));
        assert_eq!(statements.len(), 2);
    }

    #[test]
    fn each_receiver_subscribes_once() {
        let sms = Channel::Sms { to: vec!["+491701234567".to_owned()] };
        let template = pipeline(&with(vec![
            Channel::Console,
            email(&["a@b.example", "c@d.example"]),
            email(&["a@b.example"]),
            sms,
        ]));
        let subscriptions: Vec<String> = template["Resources"]
            .as_object()
            .unwrap()
            .values()
            .filter(|resource| resource["Type"] == "AWS::SNS::Subscription")
            .map(|resource| {
                assert_eq!(resource["Properties"]["TopicArn"], reference("TopicOncall"));
                format!("{} {}", resource["Properties"]["Protocol"], resource["Properties"]["Endpoint"])
            })
            .collect();
        assert_eq!(subscriptions.len(), 3, "{subscriptions:?}");
        assert!(subscriptions.contains(&"\"sms\" \"+491701234567\"".to_owned()));
    }

    #[test]
    fn what_sns_does_not_take_is_said() {
        assert_eq!(finding(&with(vec![email(&["a@b.example"])]), "topics.oncall"), "");
        assert!(
            finding(&with(vec![Channel::Console]), "topics.oncall")
                .starts_with("difference: topic \"oncall\" reaches nobody")
        );
        for wrong in ["0170123456", "+49 170 123456", "+123456", "+1234567890123456"] {
            let plan = with(vec![Channel::Sms { to: vec![wrong.to_owned()] }]);
            assert!(finding(&plan, "topics.oncall.sms").starts_with("refused: Amazon SNS"), "{wrong}");
        }
        let renamed = |name: &str| {
            let mut plan = with(vec![email(&["a@b.example"])]);
            let topic = plan.topics.remove("oncall").unwrap();
            plan.topics.insert(name.to_owned(), topic);
            finding(&plan, &format!("topics.{name}"))
        };
        assert!(renamed("on call").starts_with("refused: the name of a topic cannot hold ' '"));
        assert!(renamed(&"x".repeat(252)).starts_with("refused: the topic's name on AWS has 257"));
        assert_eq!(renamed(&"x".repeat(251)), "");
    }
}
