//! What holds in the stacks of every plan, whatever it asks for.
//!
//! Each check says what is wrong in stacks; it is run on plans of every shape, and on a stack that has the fault.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Check, Rendered, Shape, for_every_plan, rendered};
use serde_json::{Value, json};
use watchbell_aws::{BODY_BYTES_MAX, EXCEPTIONS, Part, RESOURCES_MAX};

#[test]
fn a_full_plan_has_its_stacks_in_order_and_the_same_ones_each_time() {
    let plan = Shape::full().plan();
    let stacks = rendered(&plan);
    let parts: Vec<Part> = stacks.iter().map(|stack| stack.part).collect();
    assert!(parts.starts_with(&[Part::Data, Part::Network]), "{parts:?}");
    assert!(parts.is_sorted());
    let again: Vec<Value> = rendered(&plan).into_iter().map(|stack| stack.template).collect();
    assert_eq!(stacks.into_iter().map(|stack| stack.template).collect::<Vec<_>>(), again);
}

#[test]
fn references_resolve() {
    for_every_plan(unresolved);
    sees(unresolved, json!({ "A": { "Type": "T", "Properties": { "x": { "Ref": "B" } } } }));
    sees(unresolved, json!({ "A": { "Type": "T", "Properties": { "x": { "Fn::GetAtt": ["B", "Arn"] } } } }));
    sees(unresolved, json!({ "A": { "Type": "T", "Properties": { "x": { "Fn::Sub": "a-${B.Arn}" } } } }));
    sees(unresolved, json!({ "A": { "Type": "T", "DependsOn": ["B"] } }));
}

#[test]
fn a_parameter_is_an_output_of_an_earlier_stack() {
    for_every_plan(unfilled);
    let mut stacks = vec![stack(Part::Data, json!({})), stack(Part::Network, json!({}))];
    stacks[1].template["Parameters"] = json!({ "KeyArn": { "Type": "String" } });
    assert_eq!(unfilled(&stacks).len(), 1);
    stacks[0].template["Outputs"] = json!({ "KeyArn": { "Value": "x" } });
    assert_eq!(unfilled(&stacks), [""; 0]);
}

#[test]
fn stacks_fit_into_a_call() {
    for_every_plan(oversized);
    let mut large = stack(Part::Data, json!({ "A": { "Type": "T" } }));
    large.body_bytes = BODY_BYTES_MAX + 1;
    assert_eq!(oversized(&[large]).len(), 1);
}

#[test]
fn allowed_actions_have_no_wildcard() {
    for_every_plan(wild_actions);
    sees(wild_actions, policy(&json!({ "Effect": "Allow", "Action": ["s3:Get*"], "Resource": "arn" })));
    sees(wild_actions, policy(&json!({ "Effect": "Allow", "NotAction": "s3:GetObject", "Resource": "arn" })));
}

#[test]
fn what_is_allowed_on_every_resource_is_an_exception_with_a_reason() {
    for_every_plan(wild_resources);
    sees(wild_resources, policy(&json!({ "Effect": "Allow", "Action": "s3:PutObject", "Resource": "*" })));
    sees(
        wild_resources,
        policy(&json!({ "Effect": "Allow", "Action": ["s3:PutObject"], "Resource": ["*"] })),
    );
    sees(wild_resources, policy(&json!({ "Effect": "Allow", "Action": ["s3:PutObject"] })));
    let of_instances = json!({ "Effect": "Allow", "Action": ["cloudwatch:PutMetricData"], "Resource": "*" });
    sees(wild_resources, policy(&of_instances));
    assert!(EXCEPTIONS.iter().all(|exception| !exception.reason.is_empty()));
}

#[test]
fn nobody_outside_the_account_is_allowed_anything() {
    for_every_plan(open_to_all);
    for everybody in [json!("*"), json!({ "AWS": "*" }), json!({ "AWS": ["*"] })] {
        let statement =
            json!({ "Effect": "Allow", "Principal": everybody, "Action": "s3:GetObject", "Resource": "a" });
        sees(open_to_all, policy(&statement));
    }
}

#[test]
fn a_role_is_taken_on_by_one_service() {
    for_every_plan(loose_trust);
    let role = |principal: Value| {
        let trust = json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
        let document = json!({ "Version": "2012-10-17", "Statement": [trust] });
        json!({ "A": { "Type": "AWS::IAM::Role", "Properties": { "AssumeRolePolicyDocument": document } } })
    };
    sees(loose_trust, role(json!({ "Service": ["ec2.amazonaws.com", "ssm.amazonaws.com"] })));
    sees(loose_trust, role(json!({ "AWS": "arn:aws:iam::123456789012:root" })));
    assert_eq!(loose_trust(&[stack(Part::App, role(json!({ "Service": "ec2.amazonaws.com" })))]), [""; 0]);
}

#[test]
fn security_groups_say_why_and_ssh_is_never_open_to_all() {
    for_every_plan(loose_rules);
    let ingress = |rule: Value| json!({ "A": { "Type": "AWS::EC2::SecurityGroup", "Properties": { "SecurityGroupIngress": [rule] } } });
    let rule = |from: u16, to: u16| json!({ "IpProtocol": "tcp", "FromPort": from, "ToPort": to, "CidrIp": "0.0.0.0/0", "Description": "d" });
    sees(loose_rules, ingress(rule(22, 22)));
    sees(loose_rules, ingress(rule(1, 1024)));
    sees(loose_rules, ingress(json!({ "IpProtocol": "-1", "CidrIpv6": "::/0", "Description": "d" })));
    sees(
        loose_rules,
        ingress(json!({ "IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "10.0.0.0/8" })),
    );
    let mut separate = rule(22, 22);
    separate["GroupId"] = json!("g");
    sees(loose_rules, json!({ "A": { "Type": "AWS::EC2::SecurityGroupIngress", "Properties": separate } }));
    assert_eq!(loose_rules(&[stack(Part::Network, ingress(rule(443, 443)))]), [""; 0]);
}

#[test]
fn everything_that_is_kept_is_encrypted() {
    for_every_plan(unencrypted);
    for (kind, _) in ENCRYPTED_BY {
        sees(unencrypted, json!({ "A": { "Type": kind, "Properties": { "x": 1 } } }));
    }
    let disk = json!({ "DeviceName": "/dev/xvda", "Ebs": { "VolumeSize": 8 } });
    let template = json!({ "LaunchTemplateData": { "BlockDeviceMappings": [disk] } });
    sees(unencrypted, json!({ "A": { "Type": "AWS::EC2::LaunchTemplate", "Properties": template } }));
}

#[test]
fn names_are_within_the_limits_of_aws() {
    for_every_plan(bad_names);
    for (kind, property, length_max, _) in NAMES {
        let long = "a".repeat(length_max + 1);
        sees(bad_names, json!({ "A": { "Type": kind, "Properties": { *property: long } } }));
        sees(bad_names, json!({ "A": { "Type": kind, "Properties": { *property: "a b" } } }));
    }
}

#[test]
fn what_is_called_the_same_is_made_once() {
    for_every_plan(double_names);
    let queue = json!({ "Type": "AWS::SQS::Queue", "Properties": { "QueueName": "a" } });
    sees(double_names, json!({ "A": queue, "B": queue }));
}

#[test]
fn data_stays_when_its_stack_goes() {
    for_every_plan(not_retained);
    sees(not_retained, json!({ "A": { "Type": "T", "DeletionPolicy": "RetainExceptOnCreate" } }));
}

#[test]
fn templates_hold_no_value_of_a_secret() {
    for_every_plan(secret_values);
    let with = |property: &str| json!({ "A": { "Type": "AWS::SecretsManager::Secret", "Properties": { property: "x" } } });
    sees(secret_values, with("SecretString"));
    sees(secret_values, with("GenerateSecretString"));
}

// The stacks that have a fault.

/// The check finds one problem at least in a data stack of these resources.
fn sees(check: Check, resources: Value) {
    let text = resources.to_string();
    assert!(!check(&[stack(Part::Data, resources)]).is_empty(), "nothing is said about {text}");
}

fn stack(part: Part, resources: Value) -> Rendered {
    let mut template = json!({});
    template["Resources"] = resources;
    Rendered { part, body_bytes: template.to_string().len(), template }
}

/// A role with a statement.
fn policy(statement: &Value) -> Value {
    let policy = json!({ "PolicyName": "p", "PolicyDocument": { "Statement": [statement] } });
    json!({ "A": { "Type": "AWS::IAM::Policy", "Properties": policy } })
}

// The checks.

fn unresolved(stacks: &[Rendered]) -> Vec<String> {
    let mut problems = Vec::new();
    for stack in stacks {
        let keys = |section: &str| -> BTreeSet<String> {
            stack.template[section]
                .as_object()
                .into_iter()
                .flat_map(|object| object.keys().cloned())
                .collect()
        };
        let (resources, parameters) = (keys("Resources"), keys("Parameters"));
        let mut used = BTreeSet::new();
        for section in ["Resources", "Outputs"] {
            names(&stack.template[section], &mut used);
        }
        for name in &used {
            if !resources.contains(name) && !parameters.contains(name) && !name.starts_with("AWS::") {
                problems.push(format!("{}: there is no {name}", stack.part));
            }
        }
        problems.extend(parameters.difference(&used).map(|name| format!("{}: {name} is unused", stack.part)));
    }
    problems
}

/// The names that intrinsic functions in a value refer to.
fn names(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| names(item, into)),
        Value::Object(object) => {
            for (key, value) in object {
                match (key.as_str(), value) {
                    ("Ref" | "DependsOn", Value::String(name)) => drop(into.insert(name.clone())),
                    ("DependsOn", Value::Array(ids)) => {
                        into.extend(ids.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    ("Fn::GetAtt", Value::Array(parts)) => {
                        into.extend(parts[0].as_str().map(str::to_owned));
                    }
                    ("Fn::Sub", Value::String(text)) => into.extend(placeholders(text)),
                    ("Fn::Sub", Value::Array(parts)) => {
                        let own = parts[1].as_object().expect("the second part gives values");
                        let text = parts[0].as_str().expect("the first part is the text");
                        into.extend(placeholders(text).filter(|name| !own.contains_key(name)));
                        names(&parts[1], into);
                    }
                    _ => names(value, into),
                }
            }
        }
        _ => {}
    }
}

/// What stands in `${…}`, up to its first dot.
fn placeholders(text: &str) -> impl Iterator<Item = String> {
    let inside = text.split("${").skip(1).filter(|rest| !rest.starts_with('!'));
    inside.map(|rest| rest.split(['}', '.']).next().unwrap_or_default().to_owned())
}

fn unfilled(stacks: &[Rendered]) -> Vec<String> {
    let mut known = BTreeSet::new();
    let mut problems = Vec::new();
    for stack in stacks {
        for (name, parameter) in stack.template["Parameters"].as_object().into_iter().flatten() {
            if parameter.get("Default").is_none() && !known.contains(name) {
                problems.push(format!("{}: no earlier stack has the output {name}", stack.part));
            }
        }
        known.extend(
            stack.template["Outputs"].as_object().into_iter().flatten().map(|(name, _)| name.clone()),
        );
    }
    problems
}

/// Most outputs, and most parameters, of a template.
///
/// Source: AWS CloudFormation User Guide, quotas, "Outputs" and "Parameters".
const OUTPUTS_MAX: usize = 200;

/// Largest template in a bucket. Source: AWS CloudFormation User Guide, quotas.
const STORED_BYTES_MAX: usize = 1_048_576;

fn oversized(stacks: &[Rendered]) -> Vec<String> {
    let mut problems = Vec::new();
    // With a fleet there is a bucket of artifacts, through which larger ones go.
    let bytes_max =
        if stacks.iter().any(|stack| stack.part == Part::App) { STORED_BYTES_MAX } else { BODY_BYTES_MAX };
    for stack in stacks {
        let count = |section: &str| stack.template[section].as_object().map_or(0, serde_json::Map::len);
        let sizes = [
            ("bytes", stack.body_bytes, bytes_max),
            ("resources", count("Resources"), RESOURCES_MAX),
            ("outputs", count("Outputs"), OUTPUTS_MAX),
            ("parameters", count("Parameters"), OUTPUTS_MAX),
        ];
        for (what, size, max) in sizes {
            if size > max {
                problems.push(format!("{}: {size} {what}, more than {max}", stack.part));
            }
        }
    }
    problems
}

/// A statement that allows something: where it stands, the type of the resource that it stands in, and itself.
struct Allowed<'a> {
    place: String,
    id: &'a str,
    kind: &'a str,
    statement: &'a Value,
}

fn allowed(stacks: &[Rendered]) -> Vec<Allowed<'_>> {
    let mut all = Vec::new();
    for stack in stacks {
        for (id, kind, properties) in stack.resources() {
            let mut found = Vec::new();
            statements(properties, &mut found);
            all.extend(found.into_iter().map(|statement| {
                let sid = statement["Sid"].as_str().unwrap_or_default();
                Allowed { place: format!("{}: {id} {sid}", stack.part), id, kind, statement }
            }));
        }
    }
    all
}

fn statements<'a>(value: &'a Value, into: &mut Vec<&'a Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| statements(item, into)),
        Value::Object(object) if object.get("Effect") == Some(&json!("Allow")) => into.push(value),
        Value::Object(object) => object.values().for_each(|value| statements(value, into)),
        _ => {}
    }
}

/// The one value, or those of the list.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => vec![],
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    }
}

fn wild_actions(stacks: &[Rendered]) -> Vec<String> {
    let is_plain = |action: &&Value| action.as_str().is_some_and(|name| !name.contains(['*', '?']));
    allowed(stacks)
        .into_iter()
        .filter(|it| {
            let actions = list(&it.statement["Action"]);
            actions.is_empty() || !actions.iter().all(is_plain)
        })
        .map(|it| format!("{}: {}", it.place, it.statement))
        .collect()
}

fn wild_resources(stacks: &[Rendered]) -> Vec<String> {
    let mut problems = Vec::new();
    for Allowed { place, id, kind, statement } in allowed(stacks) {
        // In a key's own policy every resource means the key, and a trust policy is about its role.
        let is_about_itself = kind == "AWS::KMS::Key" || statement["Action"] == "sts:AssumeRole";
        let resources = list(&statement["Resource"]);
        if is_about_itself || !(resources.is_empty() || resources.contains(&&json!("*"))) {
            continue;
        }
        for action in list(&statement["Action"]) {
            let is_listed = EXCEPTIONS
                .iter()
                .any(|exception| Some(exception.action) == action.as_str() && id.starts_with(exception.role));
            if !is_listed {
                problems.push(format!("{place}: {action} on every resource"));
            }
        }
    }
    problems
}

fn open_to_all(stacks: &[Rendered]) -> Vec<String> {
    let everybody = |principal: &Value| {
        principal == "*"
            || principal.as_object().into_iter().flatten().any(|(_, who)| list(who).contains(&&json!("*")))
    };
    allowed(stacks)
        .into_iter()
        .filter(|it| everybody(&it.statement["Principal"]) || it.statement.get("NotPrincipal").is_some())
        .map(|it| it.place)
        .collect()
}

fn loose_trust(stacks: &[Rendered]) -> Vec<String> {
    let mut problems = Vec::new();
    for stack in stacks {
        for (id, _, properties) in stack.resources().filter(|(_, kind, _)| *kind == "AWS::IAM::Role") {
            let trust = &properties["AssumeRolePolicyDocument"]["Statement"];
            let one = trust.as_array().filter(|all| all.len() == 1).map(|all| &all[0]);
            let principal = one.and_then(|statement| statement["Principal"].as_object());
            let is_one_service = principal
                .is_some_and(|who| who.len() == 1 && who.get("Service").is_some_and(Value::is_string));
            if !is_one_service || one.is_some_and(|statement| statement["Action"] != "sts:AssumeRole") {
                problems.push(format!("{}: {id} trusts {trust}", stack.part));
            }
        }
    }
    problems
}

fn loose_rules(stacks: &[Rendered]) -> Vec<String> {
    let mut problems = Vec::new();
    for stack in stacks {
        for (id, kind, properties) in stack.resources() {
            let (ingress, egress) = match kind {
                "AWS::EC2::SecurityGroup" => {
                    (list(&properties["SecurityGroupIngress"]), list(&properties["SecurityGroupEgress"]))
                }
                "AWS::EC2::SecurityGroupIngress" => (vec![properties], vec![]),
                "AWS::EC2::SecurityGroupEgress" => (vec![], vec![properties]),
                _ => continue,
            };
            for rule in ingress.iter().chain(&egress) {
                if rule["Description"].as_str().is_none_or(str::is_empty) {
                    problems.push(format!("{}: {id} has a rule without a reason", stack.part));
                }
            }
            for rule in ingress.into_iter().filter(|rule| reaches(rule, 22)) {
                if ["CidrIp", "CidrIpv6"]
                    .iter()
                    .any(|key| rule[*key].as_str().is_some_and(|it| it.ends_with("/0")))
                {
                    problems.push(format!("{}: {id} lets everybody try to log in", stack.part));
                }
            }
        }
    }
    problems
}

/// Whether a rule is about this port too.
fn reaches(rule: &Value, port: u64) -> bool {
    match (rule["FromPort"].as_u64(), rule["ToPort"].as_u64()) {
        (Some(from), Some(to)) => (from..=to).contains(&port),
        _ => true,
    }
}

/// The property that encrypts, by the type of the resource.
const ENCRYPTED_BY: &[(&str, &str)] = &[
    ("AWS::CloudTrail::Trail", "KMSKeyId"),
    ("AWS::Logs::LogGroup", "KmsKeyId"),
    ("AWS::S3::Bucket", "BucketEncryption"),
    ("AWS::SNS::Topic", "KmsMasterKeyId"),
    ("AWS::SQS::Queue", "KmsMasterKeyId"),
    ("AWS::SecretsManager::Secret", "KmsKeyId"),
];

fn unencrypted(stacks: &[Rendered]) -> Vec<String> {
    let mut problems = Vec::new();
    for stack in stacks {
        for (id, kind, properties) in stack.resources() {
            let by = ENCRYPTED_BY.iter().find(|(of, _)| *of == kind);
            if by.is_some_and(|(_, property)| properties[*property].is_null()) {
                problems.push(format!("{}: {id} is not encrypted", stack.part));
            }
            for disk in list(&properties["LaunchTemplateData"]["BlockDeviceMappings"]) {
                if disk["Ebs"]["Encrypted"] != json!(true) {
                    problems.push(format!("{}: a disk of {id} is not encrypted", stack.part));
                }
            }
        }
    }
    problems
}

/// Names that are given: the type, the property, the most characters, and those beside letters and digits.
///
/// Source: AWS CloudFormation User Guide and the API references of the services, each at its property.
const NAMES: &[(&str, &str, usize, &str)] = &[
    ("AWS::AutoScaling::AutoScalingGroup", "AutoScalingGroupName", 255, "-_/."),
    ("AWS::CloudTrail::Trail", "TrailName", 128, "-_."),
    ("AWS::CloudWatch::Alarm", "AlarmName", 255, "-_/#.:"),
    ("AWS::CloudWatch::CompositeAlarm", "AlarmName", 255, "-_/#.:"),
    ("AWS::CloudWatch::Dashboard", "DashboardName", 255, "-_"),
    ("AWS::EC2::LaunchTemplate", "LaunchTemplateName", 128, "-_./()"),
    ("AWS::ElasticLoadBalancingV2::LoadBalancer", "Name", 32, "-"),
    ("AWS::ElasticLoadBalancingV2::TargetGroup", "Name", 32, "-"),
    ("AWS::Events::Rule", "Name", 64, "-_."),
    ("AWS::IAM::InstanceProfile", "InstanceProfileName", 128, "-_+=,.@"),
    ("AWS::IAM::Role", "RoleName", 64, "-_+=,.@"),
    ("AWS::KMS::Alias", "AliasName", 256, "-_/"),
    ("AWS::Logs::LogGroup", "LogGroupName", 512, "-_./#"),
    ("AWS::Logs::MetricFilter", "FilterName", 512, "-_./#"),
    ("AWS::S3::Bucket", "BucketName", 63, "-"),
    ("AWS::SNS::Topic", "TopicName", 256, "-_"),
    ("AWS::SQS::Queue", "QueueName", 80, "-_"),
    ("AWS::SSM::Document", "Name", 128, "-_."),
    ("AWS::SSM::MaintenanceWindow", "Name", 128, "-_."),
    ("AWS::SSM::PatchBaseline", "Name", 128, "-_."),
    ("AWS::SecretsManager::Secret", "Name", 512, "/_+=.@-"),
];

/// The name that a resource has, if it has one, with a region whose name is as long as any.
fn given_name(kind: &str, properties: &Value) -> Option<(String, usize, &'static str)> {
    let (_, property, length_max, others) = NAMES.iter().find(|(of, ..)| *of == kind)?;
    let name = match &properties[*property] {
        Value::String(name) => name.clone(),
        Value::Object(function) => function["Fn::Sub"]
            .as_str()
            .expect("a name is a text or made of one")
            .replace("${AWS::AccountId}", "123456789012")
            .replace("${AWS::Region}", "ap-southeast-1"),
        _ => return None,
    };
    Some((name, *length_max, others))
}

fn bad_names(stacks: &[Rendered]) -> Vec<String> {
    let mut problems = Vec::new();
    for stack in stacks {
        for (id, kind, properties) in stack.resources() {
            let is_id = id.chars().all(|c| c.is_ascii_alphanumeric()) && id.len() <= 255;
            if !is_id {
                problems.push(format!("{}: {id} is no logical id", stack.part));
            }
            let Some((name, length_max, others)) = given_name(kind, properties) else { continue };
            let fits = name.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c));
            if name.is_empty() || name.len() > length_max || !fits {
                problems.push(format!("{}: {id} cannot be called {name:?}", stack.part));
            }
        }
    }
    problems
}

fn double_names(stacks: &[Rendered]) -> Vec<String> {
    let mut ids: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
    for stack in stacks {
        for (id, kind, properties) in stack.resources() {
            if let Some((name, ..)) = given_name(kind, properties) {
                ids.entry((kind, name)).or_default().push(id);
            }
        }
    }
    ids.into_iter()
        .filter(|(_, ids)| ids.len() > 1)
        // Filters of one name are told apart by their log groups.
        .filter(|((kind, _), _)| *kind != "AWS::Logs::MetricFilter")
        .map(|((kind, name), ids)| format!("{ids:?} are all the {kind} {name:?}"))
        .collect()
}

fn not_retained(stacks: &[Rendered]) -> Vec<String> {
    let mut problems = Vec::new();
    for stack in stacks.iter().filter(|stack| stack.part == Part::Data) {
        for (id, resource) in stack.template["Resources"].as_object().into_iter().flatten() {
            let is_kept =
                ["Retain", "RetainExceptOnCreate"].iter().any(|policy| resource["DeletionPolicy"] == *policy);
            if !is_kept || resource["UpdateReplacePolicy"] != "Retain" {
                problems.push(format!("{id} goes with its stack"));
            }
        }
    }
    problems
}

fn secret_values(stacks: &[Rendered]) -> Vec<String> {
    let mut problems = Vec::new();
    for stack in stacks {
        for (id, kind, properties) in stack.resources() {
            let has = |property: &str| properties.get(property).is_some();
            if kind == "AWS::SecretsManager::Secret" && (has("SecretString") || has("GenerateSecretString")) {
                problems.push(format!("{}: {id} has a value", stack.part));
            }
        }
    }
    problems
}
