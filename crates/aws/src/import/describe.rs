//! What the AWS CLI printed, as CloudFormation would say it.

use super::Remark;
use super::found::{Found, Kind, Origin};
use super::node::{Map, Node};

/// The keys that tell what a document lists, the kind of what is listed, and the property that it is called by.
const LISTS: [(&str, Kind, &str); 5] = [
    ("metricFilters", Kind::MetricFilter, "FilterName"),
    ("MetricAlarms", Kind::Alarm, "AlarmName"),
    ("CompositeAlarms", Kind::CompositeAlarm, "AlarmName"),
    ("logGroups", Kind::LogGroup, "LogGroupName"),
    ("Subscriptions", Kind::Subscription, "Endpoint"),
];

/// What the CLI prints beside the properties of a thing: its history and its state.
pub(super) const HISTORY: [&str; 22] = [
    "AlarmArn",
    "AlarmConfigurationUpdatedTimestamp",
    "AlarmMuteRuleArn",
    "Arn",
    "CreationTime",
    "DataProtectionStatus",
    "EvaluationState",
    "InheritedProperties",
    "KmsKeyId",
    "LastUpdatedTimestamp",
    "LogGroupArn",
    "LogGroupClass",
    "MetricFilterCount",
    "MuteType",
    "Owner",
    "StateReason",
    "StateReasonData",
    "StateTransitionedTimestamp",
    "StateUpdatedTimestamp",
    "StateValue",
    "Status",
    "StoredBytes",
];

/// Whether the document lists what can be taken over.
pub(super) fn is_one(document: &Node) -> bool {
    LISTS.iter().any(|(key, ..)| document.get(key).is_some())
        || document.get("LogAlarms").is_some()
        || is_mute_rule(document)
}

/// What `aws cloudwatch get-alarm-mute-rule` prints.
fn is_mute_rule(document: &Node) -> bool {
    document.get("Rule").and_then(|rule| rule.get("Schedule")).is_some()
}

pub(super) fn read(file: &str, document: &Node) -> (Vec<Found>, Vec<Remark>) {
    let (mut found, mut remarks) = (Vec::new(), Vec::new());
    let mut remark = |what: &str, message: &str| {
        let (file, what, message) = (file.to_owned(), what.to_owned(), message.to_owned());
        remarks.push(Remark { file, what, message, is_lost: true });
    };
    let mut take = |kind: Kind, name: &str, item: &Node| {
        let properties = match capital(item, kind) {
            Node::Map(properties) => properties,
            _ => Map::new(),
        };
        let called = properties.get(name).and_then(Node::as_text).unwrap_or("").to_owned();
        let mut what = format!("{} {called:?}", kind.noun());
        // Each log group has its own names.
        if let (Kind::MetricFilter, Some(group)) =
            (kind, properties.get("LogGroupName").and_then(Node::as_text))
        {
            what = format!("{what} of {group:?}");
        }
        let origin = Origin { file: file.to_owned(), what };
        found.push(Found { kind, origin, id: called, properties, assumed: Vec::new() });
    };
    for (key, kind, name) in LISTS {
        for item in document.get(key).map_or(&[][..], Node::items) {
            take(kind, name, item);
        }
    }
    if is_mute_rule(document) {
        take(Kind::MuteRule, "Name", document);
    }
    for alarm in document.get("LogAlarms").map_or(&[][..], Node::items) {
        let name = alarm.get("AlarmName").and_then(Node::as_text).unwrap_or("");
        remark(&format!("log alarm {name:?}"), "not taken over: alarms on queries of logs are not available");
    }
    if ["NextToken", "nextToken"]
        .iter()
        .any(|key| document.get(key).is_some_and(|token| *token != Node::Null))
    {
        remark(
            "NextToken",
            "there is more than stands in this file: print it without --max-items and --no-paginate",
        );
    }
    (found, remarks)
}

/// The properties with capital letters, as CloudFormation has them; those of logs have small ones.
fn capital(item: &Node, kind: Kind) -> Node {
    match item {
        Node::Map(map) => {
            let entry = |(key, value): (&String, &Node)| {
                let mut letters = key.chars();
                let first = letters.next().map(|first| first.to_ascii_uppercase());
                let name: String = first.into_iter().chain(letters).collect();
                let value = match (name.as_str(), kind, value) {
                    ("Dimensions", Kind::MetricFilter, Node::Map(dimensions)) => dimension_list(dimensions),
                    ("MetricTransformations", Kind::MetricFilter, value) => {
                        Node::List(value.items().iter().map(|item| capital(item, kind)).collect())
                    }
                    _ => value.clone(),
                };
                (name, value)
            };
            Node::Map(map.iter().map(entry).collect())
        }
        other => other.clone(),
    }
}

fn dimension_list(dimensions: &Map) -> Node {
    let pair = |(name, value): (&String, &Node)| {
        let name = ("Key".to_owned(), Node::Text(name.clone()));
        Node::Map(Map::from([name, ("Value".to_owned(), value.clone())]))
    };
    Node::List(dimensions.iter().map(pair).collect())
}
