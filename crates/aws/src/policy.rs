//! Policies: who may do what, as narrow as AWS permits.
//!
//! Promise: a statement on every resource stands in [`EXCEPTIONS`] with its reason, or a test fails; no action that is
//! allowed has a wildcard.

use serde_json::{Value, json};

use crate::template::Resource;

/// What a statement allows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statement(Value);

impl Statement {
    /// Allows actions on resources: ARNs, or what gives one.
    pub(crate) fn allow(id: &str, actions: &[&str], resources: Vec<Value>) -> Statement {
        Statement(json!({
            "Sid": id, "Effect": "Allow", "Action": actions, "Resource": Value::Array(resources),
        }))
    }

    /// Allows actions that AWS does not let be narrowed; each stands in [`EXCEPTIONS`].
    pub(crate) fn allow_anywhere(id: &str, actions: &[&str]) -> Statement {
        Statement(json!({ "Sid": id, "Effect": "Allow", "Action": actions, "Resource": "*" }))
    }

    /// For policies of resources: to whom it is allowed.
    #[must_use]
    pub(crate) fn to(mut self, principal: Value) -> Statement {
        self.0["Principal"] = principal;
        self
    }

    /// For policies of resources: denies instead.
    #[must_use]
    pub(crate) fn denied(mut self) -> Statement {
        self.0["Effect"] = json!("Deny");
        self
    }

    /// Only if this holds.
    #[must_use]
    pub(crate) fn only_if(mut self, condition: Value) -> Statement {
        self.0["Condition"] = condition;
        self
    }
}

/// A policy of these statements.
pub(crate) fn document(statements: Vec<Statement>) -> Value {
    let statements: Vec<Value> = statements.into_iter().map(|statement| statement.0).collect();
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// A service of AWS as a principal: `service("logs")`.
pub(crate) fn service(name: &str) -> Value {
    json!({ "Service": format!("{name}.amazonaws.com") })
}

/// Only calls that a service makes for this account, so that nobody else's service is used as a go-between.
pub(crate) fn for_this_account() -> Value {
    json!({ "StringEquals": { "aws:SourceAccount": { "Ref": "AWS::AccountId" } } })
}

/// The role of a component, which one service takes on.
pub(crate) fn role(description: &str, service_name: &str, statements: Vec<Statement>) -> Resource {
    role_of(description, trust(service_name), statements)
}

/// The same, for a service that says for which account it takes the role on.
pub(crate) fn role_for_this_account(
    description: &str,
    service_name: &str,
    statements: Vec<Statement>,
) -> Resource {
    role_of(description, trust(service_name).only_if(for_this_account()), statements)
}

fn trust(service_name: &str) -> Statement {
    Statement(json!({ "Effect": "Allow", "Principal": service(service_name), "Action": "sts:AssumeRole" }))
}

fn role_of(description: &str, trust: Statement, statements: Vec<Statement>) -> Resource {
    Resource::new(
        "AWS::IAM::Role",
        json!({
            "Description": description,
            "AssumeRolePolicyDocument": document(vec![trust]),
            "Policies": [{ "PolicyName": "component", "PolicyDocument": document(statements) }],
        }),
    )
}

/// An action that a role is allowed on every resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// What the ids of the roles that may do it begin with.
    pub role: &'static str,
    /// The action.
    pub action: &'static str,
    /// Why it is not narrower.
    pub reason: &'static str,
}

/// Every action that some role of ours may do on every resource; no other role may.
pub const EXCEPTIONS: &[Exception] = &[
    Exception {
        role: INSTANCE,
        action: "cloudwatch:PutMetricData",
        reason: "metrics are no resources; the namespace is narrowed by a condition",
    },
    Exception { role: INSTANCE, action: "ssmmessages:CreateControlChannel", reason: SESSION },
    Exception { role: INSTANCE, action: "ssmmessages:CreateDataChannel", reason: SESSION },
    Exception { role: INSTANCE, action: "ssmmessages:OpenControlChannel", reason: SESSION },
    Exception { role: INSTANCE, action: "ssmmessages:OpenDataChannel", reason: SESSION },
    Exception {
        role: INSTANCE,
        action: "ssm:ListAssociations",
        reason: "a listing; AWS has no resource for it",
    },
    Exception { role: INSTANCE, action: "ec2messages:AcknowledgeMessage", reason: MESSAGE },
    Exception { role: INSTANCE, action: "ec2messages:DeleteMessage", reason: MESSAGE },
    Exception { role: INSTANCE, action: "ec2messages:FailMessage", reason: MESSAGE },
    Exception { role: INSTANCE, action: "ec2messages:GetEndpoint", reason: MESSAGE },
    Exception { role: INSTANCE, action: "ec2messages:GetMessages", reason: MESSAGE },
    Exception { role: INSTANCE, action: "ec2messages:SendReply", reason: MESSAGE },
    Exception {
        role: INSTANCE,
        action: "logs:DescribeLogGroups",
        reason: "a listing; the agent of Systems Manager looks for the log group of its output",
    },
    Exception {
        role: INSTANCE,
        action: "ssm:GetDeployablePatchSnapshotForInstance",
        reason: "AWS has no resource for it; it is read only",
    },
    Exception {
        role: INSTANCE,
        action: "ssm:PutInventory",
        reason: "AWS has no resource for it; a caller reports on itself",
    },
    Exception { role: MAINTENANCE, action: "ssm:CancelCommand", reason: COMMAND },
    Exception { role: MAINTENANCE, action: "ssm:GetCommandInvocation", reason: COMMAND },
    Exception { role: MAINTENANCE, action: "ssm:ListCommandInvocations", reason: COMMAND },
    Exception { role: MAINTENANCE, action: "ssm:ListCommands", reason: COMMAND },
];

const INSTANCE: &str = "InstanceRole";
const MAINTENANCE: &str = "MaintenanceRole";
const SESSION: &str = "AWS has no resource for channels; an instance opens its own";
const MESSAGE: &str = "AWS has no resource for messages; an instance takes its own";
const COMMAND: &str = "AWS has no resource for commands that were sent";
