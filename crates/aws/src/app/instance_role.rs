//! What an instance may do.

use serde_json::{Value, json};

use crate::finding::{Finding, Gravity};
use crate::name::logical_id;
use crate::output::KEY_ARN;
use crate::policy::{Statement, document, role};
use crate::stack::Input;
use crate::template::{Resource, Template, arn, reference, sub};

use super::{Place, maintenance};

/// The namespace of what agents publish.
pub(super) const NAMESPACE: &str = "Watchbell";

/// Largest policies of a role, in bytes.
///
/// Source: IAM User Guide, "IAM and AWS STS quotas", "Role inline policies".
const POLICY_BYTES_MAX: usize = 10_240;

/// The id of a fleet's role.
pub(super) fn id(place: Place<'_>) -> String {
    logical_id("InstanceRole", place.name)
}

/// The id of a fleet's instance profile.
pub(super) fn profile_id(place: Place<'_>) -> String {
    logical_id("InstanceProfile", place.name)
}

pub(super) fn add(template: &mut Template, input: Input<'_>, place: Place<'_>) {
    let key = template.parameter(KEY_ARN, "String", "The key that everything is encrypted with");
    let statements = statements(input, &key);
    let description = format!("What instances of {} may do", place.full_name());
    let id = id(place);
    let role = role(&description, "ec2", statements).tagged(&input.aws.tags, &place.full_name());
    template.add(id.as_str(), role);
    let profile = json!({ "Roles": [reference(&id)] });
    template.add(profile_id(place), Resource::new("AWS::IAM::InstanceProfile", profile));
}

fn statements(input: Input<'_>, key: &Value) -> Vec<Statement> {
    let mut statements = logs(input);
    statements.extend(systems_manager(input));
    statements.extend(artifacts(input));
    statements.extend(secrets(input, key));
    statements
}

/// If the role's policy is larger than AWS takes it, because of many log groups or secrets.
pub(super) fn size_finding(input: Input<'_>) -> Option<Finding> {
    let key_arn = format!("arn:aws:kms:{}:000000000000:key/{}", input.aws.region, "0".repeat(36));
    let text = document(statements(input, &json!(key_arn))).to_string();
    // What CloudFormation makes of it.
    let text = text
        .replace("{\"Fn::Sub\":\"", "\"")
        .replace("\"}", "\"")
        .replace("${AWS::Partition}", "aws-us-gov")
        .replace("${AWS::Region}", &input.aws.region)
        .replace("${AWS::AccountId}", "000000000000");
    (text.len() > POLICY_BYTES_MAX).then(|| Finding {
        path: vec!["log_groups".to_owned()],
        gravity: Gravity::Refused,
        message: format!(
            "the policy of an instance's role names each log group and secret and has {} bytes; AWS takes \
             {POLICY_BYTES_MAX}",
            text.len()
        ),
        help: Some("use fewer log groups that are read from files".to_owned()),
    })
}

/// What the agent does: lines into the log groups that are read on instances, and how many there are.
fn logs(input: Input<'_>) -> Vec<Statement> {
    let groups: Vec<Value> = input
        .plan
        .log_groups
        .iter()
        .filter(|(_, group)| {
            !group.files.is_empty() || group.inputs.journald.is_some() || group.inputs.syslog.is_some()
        })
        .map(|(name, _)| arn("logs", &format!("log-group:{name}:*")))
        .collect();
    // The last two: whether a call arrived whose answer was lost, and whether the group is there.
    let ship = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:GetLogEvents", "logs:DescribeLogStreams"];
    let lines = (!groups.is_empty()).then(|| Statement::allow("ShipLines", &ship, groups));
    let condition = json!({ "StringEquals": { "cloudwatch:namespace": NAMESPACE } });
    let volume = Statement::allow_anywhere("PublishVolume", &["cloudwatch:PutMetricData"]).only_if(condition);
    lines.into_iter().chain([volume]).collect()
}

/// What the agent of Systems Manager does: sessions, commands of maintenance, patches.
fn systems_manager(input: Input<'_>) -> Vec<Statement> {
    let instances = arn("ec2", "instance/*");
    let mut statements = vec![
        Statement::allow(
            "BeManaged",
            &["ssm:UpdateInstanceInformation", "ssm:ListInstanceAssociations"],
            vec![instances.clone()],
        ),
        // It asks for these all the time, whether there is anything or not: each refusal would be in the trail.
        Statement::allow_anywhere(
            "AskForWork",
            &[
                "ssm:ListAssociations",
                "ec2messages:AcknowledgeMessage",
                "ec2messages:DeleteMessage",
                "ec2messages:FailMessage",
                "ec2messages:GetEndpoint",
                "ec2messages:GetMessages",
                "ec2messages:SendReply",
            ],
        ),
        Statement::allow_anywhere(
            "HoldSessions",
            &[
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
            ],
        ),
    ];
    if maintenance::is_empty(input.plan) {
        return statements;
    }
    let write = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"];
    let output = arn("logs", &format!("log-group:{}:*", maintenance::log_group_name(input.aws)));
    statements.push(Statement::allow("WriteOutput", &write, vec![output]));
    statements.push(Statement::allow_anywhere("FindOutput", &["logs:DescribeLogGroups"]));
    if maintenance::patches(input.plan) {
        statements.push(Statement::allow("ReportPatches", &["ssm:PutComplianceItems"], vec![instances]));
        let find = ["ssm:GetDeployablePatchSnapshotForInstance", "ssm:PutInventory"];
        statements.push(Statement::allow_anywhere("FindPatches", &find));
        let buckets = ["aws-ssm-", "patch-baseline-snapshot-", "aws-patch-manager-"];
        let objects =
            buckets.map(|bucket| sub(format!("arn:${{AWS::Partition}}:s3:::{bucket}${{AWS::Region}}*/*")));
        statements.push(Statement::allow("FetchPatchLists", &["s3:GetObject"], objects.into()));
    }
    statements
}

/// What is installed.
fn artifacts(input: Input<'_>) -> Option<Statement> {
    let place = input.aws.artifacts.as_ref()?;
    let objects = sub(format!("arn:${{AWS::Partition}}:s3:::{}/{}*", place.bucket, place.prefix));
    Some(Statement::allow("FetchArtifacts", &["s3:GetObject"], vec![objects]))
}

/// The plan's secrets, which the application may need.
fn secrets(input: Input<'_>, key: &Value) -> Vec<Statement> {
    let names: Vec<Value> = input
        .plan
        .secrets
        .keys()
        // Secrets Manager ends an ARN with a hyphen and six characters.
        .map(|name| arn("secretsmanager", &format!("secret:{}/{name}-??????", input.aws.name)))
        .collect();
    let via = |service: &str| sub(format!("{service}.${{AWS::Region}}.amazonaws.com"));
    let services = if names.is_empty() { vec![via("s3")] } else { vec![via("s3"), via("secretsmanager")] };
    let decrypt = Statement::allow("Decrypt", &["kms:Decrypt"], vec![key.clone()])
        .only_if(json!({ "StringEquals": { "kms:ViaService": services } }));
    let read = (!names.is_empty())
        .then(|| Statement::allow("ReadSecrets", &["secretsmanager:GetSecretValue"], names));
    read.into_iter().chain([decrypt]).collect()
}
