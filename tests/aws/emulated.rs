//! What the emulator does not know, and a stack without it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use watchbell::aws::Wanted;
use watchbell_aws::Part;

use crate::emulator::{Client, emulator, wanted};

/// Types that this version of the emulator refuses. They are dropped from stacks before these are deployed to it; that
/// they are right is shown by golden files, cfn-lint and an account.
const NOT_EMULATED: &[&str] = &[
    "AWS::CloudTrail::Trail",
    "AWS::CloudWatch::AlarmMuteRule",
    "AWS::CloudWatch::AnomalyDetector",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::EC2::EIP",
    "AWS::EC2::FlowLog",
    "AWS::EC2::Instance",
    "AWS::EC2::NatGateway",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::SSM::Association",
    "AWS::SSM::Document",
    "AWS::SSM::MaintenanceWindow",
    "AWS::SSM::MaintenanceWindowTarget",
    "AWS::SSM::MaintenanceWindowTask",
    "AWS::SSM::PatchBaseline",
    "AWS::SecretsManager::ResourcePolicy",
    "AWS::SecretsManager::RotationSchedule",
];

/// The stack without resources of these types; what refers to one of them gets its id as a text.
pub(crate) fn emulated(mut stack: Wanted) -> Wanted {
    let resources = stack.template["Resources"].as_object_mut().unwrap();
    let is_dropped = |resource: &Value| {
        NOT_EMULATED.contains(&resource["Type"].as_str().unwrap()) || has_metric_math(resource)
    };
    let dropped: BTreeSet<String> =
        resources.iter().filter(|(_, resource)| is_dropped(resource)).map(|(id, _)| id.clone()).collect();
    resources.retain(|id, _| !dropped.contains(id));
    for resource in resources.values_mut() {
        if let Some(ids) = resource.get_mut("DependsOn").and_then(Value::as_array_mut) {
            ids.retain(|id| !dropped.contains(id.as_str().unwrap()));
        }
    }
    replace(&mut stack.template, &dropped);
    stack
}

/// An alarm on metric math: the emulator takes it and then cannot make it.
fn has_metric_math(resource: &Value) -> bool {
    resource["Type"] == "AWS::CloudWatch::Alarm" && resource["Properties"]["Metrics"].is_array()
}

fn replace(value: &mut Value, dropped: &BTreeSet<String>) {
    let target = value.get("Ref").or_else(|| value.get("Fn::GetAtt").and_then(|attribute| attribute.get(0)));
    if let Some(id) = target.and_then(Value::as_str).filter(|id| dropped.contains(*id)) {
        *value = json!(format!("dropped-{id}"));
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, dropped)),
        Value::Object(object) => object.values_mut().for_each(|value| replace(value, dropped)),
        Value::String(text) => {
            for id in dropped {
                for reference in [format!("${{{id}}}"), format!("${{{id}.Arn}}")] {
                    *text = text.replace(&reference, &format!("dropped-{id}"));
                }
            }
        }
        _ => {}
    }
}

#[test]
fn every_type_on_the_list_is_refused_by_the_emulator() {
    let resources: BTreeMap<String, Value> = NOT_EMULATED
        .iter()
        .enumerate()
        .map(|(at, resource_type)| (format!("R{at}"), json!({ "Type": resource_type })))
        .collect();
    let template = json!({ "Resources": resources }).to_string();
    let refusal = emulator()
        .call("cloudformation", "validate_template", &json!({ "TemplateBody": template }))
        .unwrap_err();
    let known: Vec<&&str> =
        NOT_EMULATED.iter().filter(|resource_type| !refusal.contains(**resource_type)).collect();
    assert!(known.is_empty(), "the emulator knows {known:?}: take them off the list\n{refusal}");
}

#[test]
fn an_alarm_on_metric_math_is_refused_by_the_emulator() {
    let alarm = json!({ "Type": "AWS::CloudWatch::Alarm", "Properties": {
        "ComparisonOperator": "GreaterThanThreshold", "Threshold": 1, "EvaluationPeriods": 1, "Metrics": [
            { "Id": "a", "MetricStat": { "Metric": { "Namespace": "N", "MetricName": "M" }, "Period": 60, "Stat": "Sum" }, "ReturnData": false },
            { "Id": "e", "Expression": "a * 2" },
        ],
    }});
    assert!(has_metric_math(&alarm));
    let client = Client::open(&emulator().aws("math"));
    let stacks = [wanted("math", Part::Pipeline, json!({ "Resources": { "Alarm": alarm } }))];
    let error = client.run(client.account.deploy(&stacks, &[], &mut |_| ())).unwrap_err();
    assert!(error.to_string().contains("metric math"), "{error}: take it off the list if it can");
}

#[test]
fn a_stack_without_what_is_dropped_is_whole() {
    let template = json!({ "Resources": {
        "Address": { "Type": "AWS::EC2::EIP" },
        "Queue": { "Type": "AWS::SQS::Queue", "DependsOn": ["Address"], "Properties": {
            "QueueName": { "Fn::GetAtt": ["Address", "AllocationId"] }, "Other": { "Fn::Sub": "a ${Address.Arn}" },
        }},
    }});
    let stack = emulated(wanted("x", Part::Data, template));
    assert_eq!(
        stack.template["Resources"],
        json!({ "Queue": { "Type": "AWS::SQS::Queue", "DependsOn": [], "Properties": {
            "QueueName": "dropped-Address", "Other": { "Fn::Sub": "a dropped-Address" },
        }}})
    );
}
