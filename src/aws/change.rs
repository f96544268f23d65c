//! What would change in a stack, resource by resource.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// What becomes of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is made.
    Add,
    /// It is there already, of a stack that went and left it, and becomes part of this one.
    Import,
    /// It is changed and stays.
    Modify,
    /// AWS decides only then whether it is changed or another one takes its place.
    MayReplace,
    /// Another one takes its place.
    Replace,
    /// It goes.
    Remove,
}

impl Action {
    /// Whether what is there may be lost.
    pub fn is_loss(self) -> bool {
        matches!(self, Action::MayReplace | Action::Replace | Action::Remove)
    }
}

/// A property that is another one after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Property {
    /// Where it is in the resource: `Threshold`, `Tags[0].Value`.
    pub path: String,
    /// What it is, as JSON; `None`: absent, or AWS does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What it will be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The resource or parameter because of which it changes, where the text of the template is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because_of: Option<String>,
}

/// What becomes of a resource, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its id in the template.
    pub resource: String,
    /// Its type.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// What becomes of it.
    pub action: Action,
    /// What of it changes; empty for what is made or goes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<Property>,
}

/// What the texts of two templates say, in the order of ids. Whether AWS replaces a resource is not in them.
pub fn between(old: Option<&Value>, new: Option<&Value>) -> Vec<Change> {
    let resources = |template: Option<&Value>| -> BTreeMap<String, Value> {
        let resources = template.and_then(|template| template["Resources"].as_object());
        resources.into_iter().flatten().map(|(id, resource)| (id.clone(), resource.clone())).collect()
    };
    let (mut old, new) = (resources(old), resources(new));
    let mut changes = Vec::new();
    for (id, resource) in &new {
        match old.remove(id) {
            None => changes.push(whole(id, resource, Action::Add)),
            Some(before) => {
                let properties = properties_between(&before, resource);
                if !properties.is_empty() {
                    changes.push(Change { properties, ..whole(id, resource, Action::Modify) });
                }
            }
        }
    }
    changes.extend(old.iter().map(|(id, resource)| whole(id, resource, Action::Remove)));
    changes.sort_by(|one, other| one.resource.cmp(&other.resource));
    changes
}

fn whole(id: &str, resource: &Value, action: Action) -> Change {
    let resource_type = resource["Type"].as_str().unwrap_or_default().to_owned();
    Change { resource: id.to_owned(), resource_type, action, properties: Vec::new() }
}

/// What differs between a resource and itself; paths within `Properties` begin there.
pub(super) fn properties_between(old: &Value, new: &Value) -> Vec<Property> {
    let mut properties = Vec::new();
    compare("", old, new, &mut properties);
    for property in &mut properties {
        if let Some(path) = property.path.strip_prefix("Properties.") {
            property.path = path.to_owned();
        }
    }
    properties
}

fn compare(path: &str, old: &Value, new: &Value, into: &mut Vec<Property>) {
    match (old, new) {
        _ if old == new => {}
        // A function of the template is one value.
        (Value::Object(old), Value::Object(new)) if !is_function(old) && !is_function(new) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(
                    &inner,
                    old.get(key).unwrap_or(&Value::Null),
                    new.get(key).unwrap_or(&Value::Null),
                    into,
                );
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (at, (old, new)) in old.iter().zip(new).enumerate() {
                compare(&format!("{path}[{at}]"), old, new, into);
            }
        }
        _ => {
            let text = |value: &Value| Some(value).filter(|value| !value.is_null()).map(Value::to_string);
            into.push(Property {
                path: path.to_owned(),
                before: text(old),
                after: text(new),
                because_of: None,
            });
        }
    }
}

fn is_function(object: &serde_json::Map<String, Value>) -> bool {
    object.len() == 1 && object.keys().all(|key| key == "Ref" || key.starts_with("Fn::"))
}

/// What a change set says of a resource.
pub(super) struct Said {
    pub(super) resource: String,
    pub(super) resource_type: String,
    pub(super) action: Action,
    pub(super) properties: Vec<Property>,
}

/// A change as the change set and the texts have it together: the change set knows what is replaced and what changes by
/// way of another resource, the texts know the values.
pub(super) fn completed(said: Said, old: Option<&Value>, new: &Value) -> Change {
    let Said { resource, resource_type, action, properties: named } = said;
    let in_texts = match old {
        Some(old) => properties_between(&old["Resources"][&resource], &new["Resources"][&resource]),
        None => Vec::new(),
    };
    let mut properties: Vec<Property> = Vec::new();
    if !matches!(action, Action::Add | Action::Import | Action::Remove) {
        for property in named {
            let within: Vec<&Property> =
                in_texts.iter().filter(|text| is_within(&text.path, &property.path)).collect();
            let has_values = property.before.is_some() || property.after.is_some();
            if within.is_empty() || has_values {
                properties.push(property);
            } else {
                properties.extend(within.into_iter().cloned());
            }
        }
        properties.sort_by(|one, other| one.path.cmp(&other.path));
        properties.dedup_by(|one, other| one.path == other.path);
    }
    Change { resource, resource_type, action, properties }
}

fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(threshold: u32) -> Value {
        let actions = json!([{ "Ref": "Topic" }]);
        json!({ "Resources": {
            "Alarm": { "Type": "AWS::CloudWatch::Alarm", "Properties": { "Threshold": threshold, "AlarmActions": actions } },
            "Topic": { "Type": "AWS::SNS::Topic" },
        }})
    }

    fn property(path: &str, before: Option<&str>, after: Option<&str>) -> Property {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Property { path: path.to_owned(), before: text(before), after: text(after), because_of: None }
    }

    #[test]
    fn texts_name_what_differs() {
        let mut new = template(10);
        new["Resources"]["Queue"] = json!({ "Type": "AWS::SQS::Queue" });
        new["Resources"].as_object_mut().unwrap().remove("Topic");
        let changes = between(Some(&template(5)), Some(&new));
        let told: Vec<(&str, Action)> =
            changes.iter().map(|change| (change.resource.as_str(), change.action)).collect();
        assert_eq!(told, [("Alarm", Action::Modify), ("Queue", Action::Add), ("Topic", Action::Remove)]);
        assert_eq!(changes[0].properties, [property("Threshold", Some("5"), Some("10"))]);
        assert_eq!(between(Some(&new), Some(&new)), []);
        assert_eq!(between(None, Some(&new)).len(), 2);
    }

    #[test]
    fn attributes_and_functions_are_compared_whole() {
        let old = json!({ "Type": "T", "DeletionPolicy": "Delete", "Properties": { "Key": { "Ref": "A" }, "L": [1, 2] } });
        let new = json!({ "Type": "T", "DeletionPolicy": "Retain", "Properties": { "Key": { "Fn::Sub": "b" }, "L": [1, 3], "N": {"a": 1} } });
        let paths = [
            property("DeletionPolicy", Some("\"Delete\""), Some("\"Retain\"")),
            property("Key", Some(r#"{"Ref":"A"}"#), Some(r#"{"Fn::Sub":"b"}"#)),
            property("L[1]", Some("2"), Some("3")),
            property("N", None, Some(r#"{"a":1}"#)),
        ];
        assert_eq!(properties_between(&old, &new), paths);
    }

    #[test]
    fn change_set_and_texts_complete_each_other() {
        let said = |properties| Said {
            resource: "Alarm".to_owned(),
            resource_type: "AWS::CloudWatch::Alarm".to_owned(),
            action: Action::Modify,
            properties,
        };
        let by_reference =
            Property { because_of: Some("Topic".to_owned()), ..property("AlarmActions", None, None) };
        let named = vec![property("Threshold", None, None), by_reference.clone(), by_reference.clone()];
        let change = completed(said(named), Some(&template(5)), &template(10));
        assert_eq!(change.properties, [by_reference, property("Threshold", Some("5"), Some("10"))]);
        let with_values = property("Threshold", Some("5.0"), Some("10.0"));
        let change = completed(said(vec![with_values.clone()]), Some(&template(5)), &template(10));
        assert_eq!(change.properties, [with_values]);
    }
}
