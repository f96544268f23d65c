//! Queues, their dead letters, and the alarm state changes that come into them through EventBridge.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use watchbell_model::{Aws, GroupName, OwnMetric, Plan, Queue, matches_wildcard};

use crate::alarm::{merge, told};
use crate::finding::Finding;
use crate::name::{logical_id, physical};
use crate::pipeline::{key, seconds, tagged};
use crate::policy::{Statement, document, service};
use crate::stack::Input;
use crate::template::{Resource, Template, arn, attribute, reference};

/// Longest name, in characters. Source: Amazon SQS API Reference, `CreateQueue`, `QueueName`.
const NAME_CHARS_MAX: usize = 80;
/// Most subscription filters of a log group. Source: CloudWatch Logs User Guide, quotas.
const SUBSCRIPTIONS_PER_GROUP_MAX: usize = 2;
/// Longest event pattern, in characters. Source: Amazon EventBridge User Guide, quotas, "Event pattern size".
const EVENT_PATTERN_CHARS_MAX: usize = 2048;
/// Most topics of one alarm. Source: CloudWatch API Reference, `PutMetricAlarm`, `AlarmActions`.
const TOPICS_MAX: usize = 5;
/// A message that waits so long is late, however short its visibility timeout is, in seconds.
const LATE_S_MIN: i64 = 300;

/// What is denied without TLS: everything that carries messages.
const MESSAGE_ACTIONS: [&str; 4] =
    ["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"];

/// What the name of a queue of dead letters ends with.
const DEAD: &str = "-dead";

/// What the queue of dead letters is called.
pub(crate) fn dead_name(aws: &Aws, queue: &str) -> String {
    physical(aws, queue) + DEAD
}

fn id(name: &str) -> String {
    logical_id("Queue", name)
}

fn dead_id(name: &str) -> String {
    logical_id("DeadLetters", name)
}

pub(crate) fn render(input: Input<'_>, template: &mut Template) {
    for (name, queue) in &input.plan.queues {
        render_queues(input, template, name, queue);
        let rules = if queue.alarms { render_rules(input, template, name) } else { Vec::new() };
        for (queue, kind) in [(id(name), "PolicyOfQueue"), (dead_id(name), "PolicyOfDeadLetters")] {
            let mut statements = vec![only_encrypted(&queue)];
            if !rules.is_empty() {
                statements.push(from_rules(&queue, &rules));
            }
            let properties = json!({ "Queues": [reference(&queue)], "PolicyDocument": document(statements) });
            template.add(logical_id(kind, name), Resource::new("AWS::SQS::QueuePolicy", properties));
        }
        render_alarms(input, template, name, queue);
        template.output(format!("{}Url", id(name)), "Where workers receive messages", reference(&id(name)));
    }
}

/// The queue and the one that its dead letters go to.
fn render_queues(input: Input<'_>, template: &mut Template, name: &str, queue: &Queue) {
    let (live, dead) = (physical(input.aws, name), dead_name(input.aws, name));
    let properties = json!({
        "QueueName": dead,
        "KmsMasterKeyId": key(template),
        "MessageRetentionPeriod": seconds(queue.dead_letter_retention_ms),
        // By its name: the two queues would otherwise wait for each other.
        "RedriveAllowPolicy": { "redrivePermission": "byQueue", "sourceQueueArns": [arn("sqs", &live)] },
    });
    template.add(dead_id(name), tagged(Resource::new("AWS::SQS::Queue", properties), input, &dead));
    let properties = json!({
        "QueueName": live,
        "KmsMasterKeyId": key(template),
        "MessageRetentionPeriod": seconds(queue.retention_ms),
        "VisibilityTimeout": seconds(queue.visibility_timeout_ms),
        "RedrivePolicy": {
            "deadLetterTargetArn": attribute(&dead_id(name), "Arn"),
            "maxReceiveCount": queue.max_receives,
        },
    });
    template.add(id(name), tagged(Resource::new("AWS::SQS::Queue", properties), input, &live));
}

fn only_encrypted(queue: &str) -> Statement {
    Statement::allow("OnlyOverTls", &MESSAGE_ACTIONS, vec![attribute(queue, "Arn")])
        .denied()
        .to(json!("*"))
        .only_if(json!({ "Bool": { "aws:SecureTransport": "false" } }))
}

fn from_rules(queue: &str, rules: &[String]) -> Statement {
    let rules: Vec<Value> = rules.iter().map(|rule| attribute(rule, "Arn")).collect();
    Statement::allow("AlarmStateChanges", &["sqs:SendMessage"], vec![attribute(queue, "Arn")])
        .to(service("events"))
        .only_if(json!({ "ArnEquals": { "aws:SourceArn": rules } }))
}

/// The rules that bring alarm state changes into the queue, by id; what cannot be brought becomes a dead letter.
fn render_rules(input: Input<'_>, template: &mut Template, name: &str) -> Vec<String> {
    let patterns = event_patterns(input.plan.alarms.keys());
    let mut ids = Vec::new();
    for (i, pattern) in patterns.into_iter().enumerate() {
        let properties = json!({
            "Description": format!("State changes of alarms into queue {}", physical(input.aws, name)),
            "EventPattern": pattern,
            "Targets": [{
                "Id": "queue",
                "Arn": attribute(&id(name), "Arn"),
                "DeadLetterConfig": { "Arn": attribute(&dead_id(name), "Arn") },
            }],
        });
        let id = logical_id("StateChanges", &format!("{name}/{i}"));
        template.add(id.clone(), Resource::new("AWS::Events::Rule", properties));
        ids.push(id);
    }
    ids
}

/// Patterns of the state changes of these alarms, each short enough.
fn event_patterns<'a>(alarms: impl Iterator<Item = &'a String>) -> Vec<Value> {
    let pattern = |alarms: &[&String]| {
        json!({
            "source": ["aws.cloudwatch"],
            "detail-type": ["CloudWatch Alarm State Change"],
            "detail": { "alarmName": alarms },
        })
    };
    let mut groups: Vec<Vec<&String>> = Vec::new();
    for alarm in alarms {
        let with = groups.last().map(|group| [group.as_slice(), &[alarm]].concat());
        let fits =
            |group: &Vec<&String>| pattern(group).to_string().chars().count() <= EVENT_PATTERN_CHARS_MAX;
        match (with.filter(fits), groups.last_mut()) {
            (Some(with), Some(group)) => *group = with,
            _ => groups.push(vec![alarm]),
        }
    }
    groups.iter().map(|group| pattern(group)).collect()
}

/// The names of the alarms that come with the plan's queues.
pub(crate) fn alarm_names(plan: &Plan, aws: &Aws) -> impl Iterator<Item = String> {
    plan.queues.keys().flat_map(|name| [dead_letters_alarm(aws, name), late_alarm(aws, name)])
}

fn dead_letters_alarm(aws: &Aws, queue: &str) -> String {
    format!("{}-dead-letters", physical(aws, queue))
}

fn late_alarm(aws: &Aws, queue: &str) -> String {
    format!("{}-late", physical(aws, queue))
}

/// Alarms on dead letters and on messages that nobody works on.
fn render_alarms(input: Input<'_>, template: &mut Template, name: &str, queue: &Queue) {
    let topics = told(&gravest_topics(input.plan));
    let late_s = late_s(queue);
    let alarms = [
        (
            "DeadAlarm",
            dead_letters_alarm(input.aws, name),
            format!("Queue {name} has dead letters."),
            (OwnMetric::QUEUE_VISIBLE, dead_name(input.aws, name), 0),
        ),
        (
            "LateAlarm",
            late_alarm(input.aws, name),
            format!("A message has been in queue {name} for more than {late_s} s."),
            (OwnMetric::QUEUE_AGE, physical(input.aws, name), late_s),
        ),
    ];
    for (kind, alarm, description, (metric, queue, threshold)) in alarms {
        let mut properties = json!({
            "AlarmName": alarm,
            "AlarmDescription": description,
            "Namespace": "AWS/SQS",
            "MetricName": metric.name,
            "Dimensions": [{ "Name": "QueueName", "Value": queue }],
            "Statistic": "Maximum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "DatapointsToAlarm": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": threshold,
            "TreatMissingData": "notBreaching",
        });
        merge(&mut properties, topics.clone());
        let resource = Resource::new("AWS::CloudWatch::Alarm", properties);
        template.add(logical_id(kind, name), tagged(resource, input, &alarm));
    }
}

/// From which age on a message is late, in seconds: one that fails is a dead letter by then. At most half of how long
/// messages are kept, so that somebody is told before they are lost.
fn late_s(queue: &Queue) -> i64 {
    let failing_s = seconds(queue.visibility_timeout_ms).saturating_mul(i64::from(queue.max_receives));
    failing_s.max(LATE_S_MIN).min(seconds(queue.retention_ms) / 2)
}

/// The topics that the gravest alarms tell: they are told of what goes wrong in between.
pub(crate) fn gravest_topics(plan: &Plan) -> Vec<String> {
    let telling = || plan.alarms.values().filter(|alarm| !alarm.notify.is_empty());
    let gravest = telling().map(|alarm| alarm.severity).max();
    let topics: BTreeSet<&String> =
        telling().filter(|alarm| Some(alarm.severity) == gravest).flat_map(|alarm| &alarm.notify).collect();
    topics.into_iter().take(TOPICS_MAX).cloned().collect()
}

pub(crate) fn findings(plan: &Plan, aws: &Aws) -> Vec<Finding> {
    let mut subscribed: BTreeMap<&GroupName, usize> = BTreeMap::new();
    let mut findings = Vec::new();
    for (name, queue) in &plan.queues {
        let length = dead_name(aws, name).len();
        if length > NAME_CHARS_MAX {
            let message = format!(
                "the name of the queue of its dead letters on AWS has {length} characters, more than {NAME_CHARS_MAX}"
            );
            findings.push(Finding::refused(&["queues", name], message).help("choose a shorter name"));
        }
        if let Some(living) = name.strip_suffix(DEAD).filter(|living| plan.queues.contains_key(*living)) {
            let message = format!("on AWS the dead letters of queue \"{living}\" have this name");
            findings.push(Finding::refused(&["queues", name], message).help("choose another name"));
        }
        let durations = [
            ("visibility_timeout", queue.visibility_timeout_ms),
            ("retention", queue.retention_ms),
            ("dead_letter_retention", queue.dead_letter_retention_ms),
        ];
        for (key, ms) in durations.into_iter().filter(|(_, ms)| ms % 1000 != 0) {
            let message = format!("Amazon SQS counts whole seconds, here {}", seconds(ms));
            findings.push(Finding::difference(&["queues", name, key], message));
        }
        let path = ["queues", name, "log_groups"];
        let is_in =
            |group: &&GroupName| queue.log_groups.iter().any(|it| matches_wildcard(it, group.as_str()));
        let mut full = None;
        for group in plan.log_groups.keys().filter(is_in) {
            let count = subscribed.entry(group).or_default();
            *count += 1;
            full = full.or((*count == SUBSCRIPTIONS_PER_GROUP_MAX + 1).then_some(group));
        }
        if let Some(group) = full {
            let message = format!(
                "log group \"{group}\" is in more than {SUBSCRIPTIONS_PER_GROUP_MAX} queues, and CloudWatch Logs has so many subscriptions of one"
            );
            findings.push(Finding::refused(&path, message).help("let one queue serve both"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{finding, pipeline, plan, properties};

    const FILE: &str = r#"
        [log_groups.app]
        [topics.oncall]
        console = {}
        [topics.team]
        console = {}
        [alarms.a]
        log_group = "app"
        pattern = "a"
        period = "60s"
        notify = ["team"]
        [alarms.b]
        log_group = "app"
        pattern = "b"
        period = "60s"
        severity = "critical"
        notify = ["oncall"]
        [queues.events]
        alarms = true
        visibility_timeout = "45s"
        max_receives = 10
        retention = "1h"
        dead_letter_retention = "2d"
        [queues.lines]
        log_groups = ["app"]
    "#;

    #[test]
    fn a_queue_has_its_dead_letters_beside_it() {
        let template = pipeline(&plan(FILE));
        let queue = properties(&template, "QueueEvents");
        assert_eq!(queue["QueueName"], "shop-events");
        assert_eq!(queue["VisibilityTimeout"], 45);
        assert_eq!(queue["MessageRetentionPeriod"], 3600);
        assert_eq!(queue["KmsMasterKeyId"], reference("KeyArn"));
        assert_eq!(
            queue["RedrivePolicy"],
            json!({ "deadLetterTargetArn": attribute("DeadLettersEvents", "Arn"), "maxReceiveCount": 10 })
        );
        let dead = properties(&template, "DeadLettersEvents");
        assert_eq!(dead["QueueName"], "shop-events-dead");
        assert_eq!(dead["MessageRetentionPeriod"], 172_800);
        assert_eq!(dead["RedriveAllowPolicy"]["sourceQueueArns"], json!([arn("sqs", "shop-events")]));
        assert_eq!(template["Outputs"]["QueueEventsUrl"]["Value"], reference("QueueEvents"));
    }

    #[test]
    fn state_changes_of_the_plans_alarms_come_through_a_rule_that_alone_may_send() {
        let template = pipeline(&plan(FILE));
        let id = logical_id("StateChanges", "events/0");
        let rule = properties(&template, &id);
        assert_eq!(
            rule["EventPattern"],
            json!({
                "source": ["aws.cloudwatch"],
                "detail-type": ["CloudWatch Alarm State Change"],
                "detail": { "alarmName": ["a", "b"] },
            })
        );
        assert_eq!(rule["Targets"][0]["Arn"], attribute("QueueEvents", "Arn"));
        assert_eq!(rule["Targets"][0]["DeadLetterConfig"]["Arn"], attribute("DeadLettersEvents", "Arn"));
        for queue in ["QueueEvents", "DeadLettersEvents"] {
            let policy = properties(&template, &format!("PolicyOf{queue}"));
            let statements = policy["PolicyDocument"]["Statement"].as_array().unwrap();
            assert_eq!(statements[0]["Effect"], "Deny");
            assert_eq!(
                statements[1]["Condition"],
                json!({ "ArnEquals": { "aws:SourceArn": [attribute(&id, "Arn")] } })
            );
            assert_eq!(statements[1]["Resource"], json!([attribute(queue, "Arn")]));
        }
        let policy = properties(&template, "PolicyOfQueueLines");
        assert_eq!(policy["PolicyDocument"]["Statement"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn many_alarms_are_in_as_many_patterns_as_are_short_enough() {
        let alarms: Vec<String> = (0..100).map(|i| format!("{i:03}{}", "x".repeat(60))).collect();
        let patterns = event_patterns(alarms.iter());
        assert!(patterns.len() > 1);
        assert!(patterns.iter().all(|pattern| pattern.to_string().len() <= EVENT_PATTERN_CHARS_MAX));
        let named: Vec<&Value> =
            patterns.iter().flat_map(|pattern| pattern["detail"]["alarmName"].as_array().unwrap()).collect();
        assert_eq!(
            named,
            alarms.iter().map(|alarm| json!(alarm)).collect::<Vec<_>>().iter().collect::<Vec<_>>()
        );
    }

    #[test]
    fn dead_letters_and_late_messages_ring_where_the_gravest_alarms_do() {
        let template = pipeline(&plan(FILE));
        let dead = properties(&template, "DeadAlarmEvents");
        assert_eq!(dead["AlarmName"], "shop-events-dead-letters");
        assert_eq!(dead["MetricName"], "ApproximateNumberOfMessagesVisible");
        assert_eq!(dead["Dimensions"][0]["Value"], "shop-events-dead");
        assert_eq!(dead["AlarmActions"], json!([{ "Ref": "TopicOncall" }]));
        let late = properties(&template, "LateAlarmEvents");
        assert_eq!(late["MetricName"], "ApproximateAgeOfOldestMessage");
        assert_eq!(late["Dimensions"][0]["Value"], "shop-events");
        assert_eq!(late["Threshold"], 450);
        let queue = plan(FILE).queues["events"].clone();
        assert_eq!(late_s(&Queue { visibility_timeout_ms: 1000, ..queue.clone() }), 300);
        assert_eq!(late_s(&Queue { visibility_timeout_ms: 43_200_000, ..queue.clone() }), 1800);
        assert_eq!(late_s(&Queue { retention_ms: 60_000, ..queue }), 30);
    }

    #[test]
    fn what_sqs_does_otherwise_is_said() {
        let changed = |from: &str, to: &str| {
            assert!(FILE.contains(from));
            plan(&FILE.replace(from, to))
        };
        let path = "queues.lines.log_groups";
        assert_eq!(finding(&plan(FILE), path), "");
        let fraction = changed("\"45s\"", "\"1500ms\"");
        assert_eq!(
            finding(&fraction, "queues.events.visibility_timeout"),
            "difference: Amazon SQS counts whole seconds, here 2"
        );
        let queues = "[queues.b]\nlog_groups = [\"*\"]\n[queues.c]\nlog_groups = [\"app\"]\n[queues.lines]";
        assert!(
            finding(&changed("[queues.lines]", queues), path)
                .starts_with("refused: log group \"app\" is in more than 2")
        );
        let name = "q".repeat(71);
        let long = changed("[queues.lines]", &format!("[queues.{name}]"));
        assert!(finding(&long, &format!("queues.{name}")).contains("has 81 characters"));
    }

    #[test]
    fn a_queue_is_not_called_like_dead_letters_of_another() {
        let file = "[log_groups.app]\n[queues.a]\nlog_groups = [\"app\"]\n[queues.a-dead]\nlog_groups = [\"app\"]\n[queues.b-dead]\nlog_groups = [\"app\"]\n";
        let plan = plan(file);
        assert!(
            finding(&plan, "queues.a-dead").starts_with("refused: on AWS the dead letters of queue \"a\"")
        );
        assert_eq!(finding(&plan, "queues.b-dead"), "");
    }
}
