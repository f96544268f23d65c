//! A CloudFormation template: parameters, resources and outputs, as text that is the same for the same content.
//!
//! Promise: keys are sorted, whatever the features of the JSON library; an id or a name that is used twice is a defect
//! and stops the program.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Largest template that is sent with the call itself, in bytes.
///
/// Source: AWS CloudFormation User Guide, quotas, "Template body size in a request".
pub const BODY_BYTES_MAX: usize = 51_200;

/// Most resources of a template.
///
/// Source: AWS CloudFormation User Guide, quotas, "Resources".
pub const RESOURCES_MAX: usize = 500;

/// A template.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    description: String,
    parameters: BTreeMap<String, Value>,
    resources: BTreeMap<String, Value>,
    outputs: BTreeMap<String, Value>,
}

impl Template {
    /// A template without resources.
    pub(crate) fn new(description: impl Into<String>) -> Template {
        Template { description: description.into(), ..Template::default() }
    }

    /// Adds a resource under `id`, which nothing else has.
    pub(crate) fn add(&mut self, id: impl Into<String>, resource: Resource) {
        let id = id.into();
        let replaced = self.resources.insert(id.clone(), resource.0);
        assert!(replaced.is_none(), "two resources are called {id}");
    }

    /// The value of another stack's output, as a parameter of the same name that `deploy` fills in.
    ///
    /// `parameter_type` is CloudFormation's, such as `String` or `AWS::EC2::VPC::Id`.
    pub(crate) fn parameter(&mut self, output: &str, parameter_type: &str, description: &str) -> Value {
        let parameter = json!({ "Type": parameter_type, "Description": description });
        self.parameters.insert(output.to_owned(), parameter);
        reference(output)
    }

    /// Adds a parameter that has a default and that nobody has to fill in.
    pub(crate) fn parameter_with_default(
        &mut self,
        name: &str,
        parameter_type: &str,
        default: &str,
        description: &str,
    ) -> Value {
        let parameter = json!({ "Type": parameter_type, "Default": default, "Description": description });
        self.parameters.insert(name.to_owned(), parameter);
        reference(name)
    }

    /// Makes a value known to other stacks and to people.
    pub(crate) fn output(&mut self, name: impl Into<String>, description: &str, value: Value) {
        let name = name.into();
        let mut output = json!({ "Description": description });
        output["Value"] = value;
        let replaced = self.outputs.insert(name.clone(), output);
        assert!(replaced.is_none(), "two outputs are called {name}");
    }

    /// The parameters' names.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.parameters.keys().map(String::as_str)
    }

    /// The outputs' names.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.outputs.keys().map(String::as_str)
    }

    /// The resources by id.
    pub fn resources(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.resources.iter().map(|(id, resource)| (id.as_str(), resource))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// The whole template.
    pub fn to_value(&self) -> Value {
        let mut template = json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": self.description,
            "Resources": self.resources,
        });
        if !self.parameters.is_empty() {
            template["Parameters"] = json!(self.parameters);
        }
        if !self.outputs.is_empty() {
            template["Outputs"] = json!(self.outputs);
        }
        template.sort_all_objects();
        template
    }

    /// The template as people read it: indented, with sorted keys and a line end.
    pub fn to_text(&self) -> String {
        format!("{:#}\n", self.to_value())
    }

    /// The template as it is sent: without spaces.
    pub fn to_body(&self) -> String {
        self.to_value().to_string()
    }
}

/// A resource of a template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resource(Value);

impl Resource {
    /// A resource of a type, such as `AWS::SQS::Queue`, with its properties, an object. Properties that are null are
    /// left out.
    pub(crate) fn new(resource_type: &str, properties: Value) -> Resource {
        let Value::Object(properties) = properties else {
            unreachable!("properties are written as an object")
        };
        let properties: Map<String, Value> =
            properties.into_iter().filter(|(_, value)| !value.is_null()).collect();
        let mut resource = json!({ "Type": resource_type });
        if !properties.is_empty() {
            resource["Properties"] = Value::Object(properties);
        }
        Resource(resource)
    }

    /// It stays when the stack goes, or when something else takes its place; not if the stack that was to have it was
    /// never whole: then it would stand in the way of the next attempt.
    #[must_use]
    pub(crate) fn retained(mut self) -> Resource {
        self.0["DeletionPolicy"] = json!("RetainExceptOnCreate");
        self.0["UpdateReplacePolicy"] = json!("Retain");
        self
    }

    /// It is made after these.
    #[must_use]
    pub(crate) fn after(mut self, ids: &[&str]) -> Resource {
        self.0["DependsOn"] = json!(ids);
        self
    }

    /// With an attribute beside its properties, such as `UpdatePolicy`.
    #[must_use]
    pub(crate) fn with(mut self, attribute: &str, value: Value) -> Resource {
        self.0[attribute] = value;
        self
    }

    /// With tags: those of the plan and a name.
    #[must_use]
    pub(crate) fn tagged(mut self, tags: &BTreeMap<String, String>, name: &str) -> Resource {
        let named = [("Name".to_owned(), name.to_owned())];
        let all: BTreeMap<String, String> =
            named.into_iter().chain(tags.iter().map(|(key, value)| (key.clone(), value.clone()))).collect();
        let list: Vec<Value> = all.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        self.0["Properties"]["Tags"] = json!(list);
        self
    }
}

/// What a resource's `Ref` gives, or a parameter's or pseudo parameter's value.
pub(crate) fn reference(id: &str) -> Value {
    json!({ "Ref": id })
}

/// An attribute of a resource.
pub(crate) fn attribute(id: &str, name: &str) -> Value {
    json!({ "Fn::GetAtt": [id, name] })
}

/// A text with `${…}` in it.
pub(crate) fn sub(text: impl Into<String>) -> Value {
    json!({ "Fn::Sub": text.into() })
}

/// An ARN: `arn("logs", "log-group:a/b:*")` in the stack's own partition, region and account.
pub(crate) fn arn(service: &str, rest: &str) -> Value {
    sub(format!("arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{rest}"))
}

/// A text that goes into [`sub`] as it is: `${` in it is no reference.
pub(crate) fn literal(text: &str) -> String {
    text.replace("${", "${!")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_absent_properties_left_out() {
        let mut template = Template::new("a test");
        let properties = json!({ "QueueName": "q", "KmsMasterKeyId": null, "A": { "z": 1, "b": 2 } });
        template.add("Queue", Resource::new("AWS::SQS::Queue", properties).retained());
        template.output("QueueUrl", "where it is", reference("Queue"));
        let body = template.to_body();
        let at = |key: &str| body.find(key).unwrap_or_else(|| panic!("{key} is not in {body}"));
        assert!(at("AWSTemplateFormatVersion") < at("Description") && at("Outputs") < at("Resources"));
        assert!(at("\"b\"") < at("\"z\"") && at("DeletionPolicy") < at("Properties"));
        assert!(!body.contains("KmsMasterKeyId"));
    }

    #[test]
    fn log_text_is_no_reference() {
        assert_eq!(
            sub(format!("{} ${{AWS::Region}}", literal("${x}"))),
            json!({ "Fn::Sub": "${!x} ${AWS::Region}" })
        );
    }
}
