//! The key that everything is encrypted with, and who may use it.
//!
//! Promise: a service uses it only for log groups, topics, queues and the trail of this account.
//! Not here: the account's own roles. The key leaves them to their policies.

use serde_json::{Value, json};
use watchbell_model::Aws;

use crate::output::KEY_ARN;
use crate::policy::{self, Statement, service};
use crate::template::{Resource, Template, arn, attribute, reference, sub};
use crate::trail;

const KEY: &str = "Key";

/// What the account's administrators may let people and roles do with the key: everything that there is, by name.
///
/// Source: AWS Service Authorization Reference, AWS Key Management Service.
const OF_THE_ACCOUNT: &[&str] = &[
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
];

/// What a service does that puts encrypted messages into a topic or a queue.
const SEND: &[&str] = &["kms:Decrypt", "kms:GenerateDataKey"];

/// The key's ARN, within the stack that it is in.
pub(crate) fn key_arn() -> Value {
    attribute(KEY, "Arn")
}

/// Adds it.
pub(crate) fn add(template: &mut Template, aws: &Aws) {
    let properties = json!({
        "Description": format!("Everything of {} that is kept", aws.name),
        "EnableKeyRotation": true,
        "KeyPolicy": policy::document(statements(aws)),
    });
    template.add(KEY, Resource::new("AWS::KMS::Key", properties).tagged(&aws.tags, &aws.name).retained());
    template.add(
        "KeyAlias",
        Resource::new(
            "AWS::KMS::Alias",
            json!({ "AliasName": format!("alias/{}", aws.name), "TargetKeyId": reference(KEY) }),
        )
        .retained(),
    );
    template.output(KEY_ARN, "The key that everything is encrypted with.", key_arn());
}

fn statements(aws: &Aws) -> Vec<Statement> {
    let root = json!({ "AWS": sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root") });
    let logs = json!({ "Service": sub("logs.${AWS::Region}.amazonaws.com") });
    let log_groups = json!({ "kms:EncryptionContext:aws:logs:arn": arn("logs", "log-group:*") });
    let write_logs = [
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
    ];
    // Narrowed by what is encrypted, not by `aws:SourceAccount`: EventBridge does not send that to the key's policy.
    // Source: Amazon SNS Developer Guide, "Key management", the note on EventBridge.
    let topics = json!({ "ArnLike": { "kms:EncryptionContext:aws:sns:topicArn": arn("sns", "*") } });
    let queues = json!({ "ArnLike": { "kms:EncryptionContext:aws:sqs:arn": arn("sqs", "*") } });
    let mut statements = vec![
        on_this_key("Account", OF_THE_ACCOUNT).to(root),
        on_this_key("LogGroups", &write_logs).to(logs).only_if(json!({ "ArnLike": log_groups })),
        on_this_key("AlarmsToTopics", SEND).to(service("cloudwatch")).only_if(topics.clone()),
        on_this_key("EventsToTopics", SEND).to(service("events")).only_if(topics),
        on_this_key("EventsToQueues", SEND).to(service("events")).only_if(queues.clone()),
        on_this_key("TopicsToQueues", SEND).to(service("sns")).only_if(queues),
    ];
    if aws.trail.enabled {
        let of_the_trail = json!({ "StringEquals": { "aws:SourceArn": trail::trail_arn(aws) } });
        let written = json!({
            "StringEquals": {
                "aws:SourceArn": trail::trail_arn(aws),
                "kms:EncryptionContext:aws:cloudtrail:arn": trail::trail_arn(aws),
            },
        });
        let trails = || service("cloudtrail");
        statements.push(on_this_key("Trail", &["kms:GenerateDataKey"]).to(trails()).only_if(written));
        statements.push(on_this_key("TrailKey", &["kms:DescribeKey"]).to(trails()).only_if(of_the_trail));
    }
    statements
}

/// Of a key's own policy, where every resource means the key.
///
/// Source: AWS KMS Developer Guide, "Key policies", element `Resource`.
fn on_this_key(id: &str, actions: &[&str]) -> Statement {
    Statement::allow(id, actions, vec![json!("*")])
}
