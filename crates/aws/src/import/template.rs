//! What a CloudFormation template has that could be taken over.

use std::collections::{BTreeMap, BTreeSet};

use super::Remark;
use super::found::{Found, Kind, Origin};
use super::node::{Map, Node};
use super::resolve::{PLACEHOLDERS, Parameters, Scope};

/// Types beside ours that have to do with alarms on logs, and what there is to say of them.
const NEIGHBOURS: [(&str, &str); 8] = [
    ("AWS::CloudFormation::Stack", "a nested stack: import its template, too"),
    ("AWS::CloudFormation::Macro", "what it makes of the template is not known"),
    ("AWS::CloudWatch::AnomalyDetector", "anomaly detection is not available"),
    ("AWS::CloudWatch::InsightRule", "Contributor Insights is not available"),
    ("AWS::CloudWatch::LogAlarm", "alarms on queries of logs are not available"),
    ("AWS::CloudWatch::MetricStream", "metrics go nowhere else"),
    ("AWS::Logs::SubscriptionFilter", "a queue with log_groups does this here"),
    ("AWS::SNS::TopicPolicy", ""),
];

/// Reads what is in the template's resources; `unasked` loses the names of what was given and asked for.
pub(super) fn read(
    file: &str,
    template: &Node,
    given: &Parameters,
    unasked: &mut BTreeSet<String>,
) -> (Vec<Found>, Vec<Remark>) {
    let (mut found, mut remarks) = (Vec::new(), Vec::new());
    let stack = stack_name(file);
    let scope = Scope::new(template, given, &stack);
    let mut remark = |what: &str, message: String| {
        remarks.push(Remark { file: file.to_owned(), what: what.to_owned(), message, is_lost: true });
    };
    if let Some(transform) = template.get("Transform") {
        let names: Vec<&str> = transform.items().iter().filter_map(Node::as_text).collect();
        let names = names.join(", ");
        remark(
            "Transform",
            format!("what {names} makes of the template is not known; what stands in it is read"),
        );
    }
    for (name, value) in given {
        let declared = template.get("Parameters").and_then(|parameters| parameters.get(name));
        let allowed = declared.and_then(|parameter| parameter.get("AllowedValues"));
        let allowed: Vec<&str> =
            allowed.map_or(&[][..], Node::items).iter().filter_map(Node::as_text).collect();
        if !allowed.is_empty() && !allowed.contains(&value.as_str()) {
            let allowed = allowed.join(", ");
            remark(
                &format!("parameter {name}"),
                format!("{value:?} is none of its AllowedValues: {allowed}"),
            );
        }
    }
    let mut others: BTreeMap<&str, usize> = BTreeMap::new();
    for (id, resource) in scope.resources().into_iter().flatten() {
        if id.starts_with("Fn::") {
            remark(id, "it makes resources, which is not worked out here".to_owned());
            continue;
        }
        let kind_name = resource.get("Type").and_then(Node::as_text).unwrap_or("without a type");
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.cloudformation() == kind_name) else {
            match NEIGHBOURS.iter().find(|(known, _)| *known == kind_name) {
                Some((_, "")) => {}
                Some((kind, why)) => remark(&format!("{kind} {id}"), format!("not taken over: {why}")),
                None => *others.entry(kind_name).or_default() += 1,
            }
            continue;
        };
        let what = format!("{} {id}", kind.noun());
        match resource
            .get("Condition")
            .and_then(Node::as_text)
            .map(|condition| (condition, scope.holds(condition)))
        {
            None | Some((_, Ok(true))) => {}
            Some((condition, Ok(false))) => {
                remark(&what, format!("not taken over: condition {condition} does not hold"));
                continue;
            }
            Some((_, Err(reason))) => {
                remark(&what, format!("not taken over: {reason}"));
                continue;
            }
        }
        scope.take_assumed();
        let mut properties = match resource.get("Properties").map(|properties| scope.resolve(properties)) {
            Some(Node::Map(properties)) => properties,
            None | Some(Node::Null) => Map::new(),
            Some(Node::Unknown(reason)) => {
                remark(&what, format!("not taken over: {reason}"));
                continue;
            }
            Some(_) => {
                remark(&what, "not taken over: its Properties are no object".to_owned());
                continue;
            }
        };
        if kind == Kind::MuteRule && properties.contains_key("Name") {
            properties.insert("Name".to_owned(), scope.name_of(id));
        }
        if kind == Kind::Topic {
            // The same name that references to it give.
            properties.insert("TopicName".to_owned(), scope.name_of(id));
        }
        let value = |name: &'static str| {
            let placeholder = PLACEHOLDERS.iter().find(|(known, _)| *known == name);
            (name.to_owned(), placeholder.map_or(stack.clone(), |(_, value)| (*value).to_owned()))
        };
        let assumed = scope.take_assumed().into_iter().map(value).collect();
        let origin = Origin { file: file.to_owned(), what };
        found.push(Found { kind, origin, id: id.clone(), properties, assumed });
    }
    if !others.is_empty() {
        let count: usize = others.values().sum();
        let kinds: Vec<String> = others.iter().map(|(kind, count)| format!("{kind} ({count})")).collect();
        let noun = if count == 1 { "resource of another kind is" } else { "resources of other kinds are" };
        remark("Resources", format!("{count} {noun} left out: {}", kinds.join(", ")));
    }
    for name in scope.asked() {
        unasked.remove(name);
    }
    (found, remarks)
}

/// What the stack is called if nobody says: as its file.
fn stack_name(file: &str) -> String {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.split('.').find(|part| !part.is_empty()).unwrap_or("stack").to_owned()
}
