//! Who may do what: tokens bound to roles, roles that allow actions on resources.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::SecretRef;

/// Something a caller can do over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Action {
    /// Send log events.
    #[serde(rename = "logs:PutLogEvents")]
    PutLogEvents,
    /// Read `/metrics`.
    #[serde(rename = "watchbell:GetMetrics")]
    GetMetrics,
    /// Read `/readyz`, `/sources` and `/functions`.
    #[serde(rename = "watchbell:GetStatus")]
    GetStatus,
    /// Receive messages of a queue, or look at its dead letters.
    #[serde(rename = "sqs:ReceiveMessage")]
    ReceiveMessage,
    /// Delete received messages.
    #[serde(rename = "sqs:DeleteMessage")]
    DeleteMessage,
    /// Keep received messages longer, or give them back.
    #[serde(rename = "sqs:ChangeMessageVisibility")]
    ChangeMessageVisibility,
    /// Offer dead letters again.
    #[serde(rename = "sqs:StartMessageMoveTask")]
    StartMessageMoveTask,
    /// Read what a queue holds.
    #[serde(rename = "sqs:GetQueueAttributes")]
    GetQueueAttributes,
}

impl Action {
    /// Every action, in the order in which they are documented.
    pub const ALL: [Action; 8] = [
        Action::PutLogEvents,
        Action::GetMetrics,
        Action::GetStatus,
        Action::ReceiveMessage,
        Action::DeleteMessage,
        Action::ChangeMessageVisibility,
        Action::StartMessageMoveTask,
        Action::GetQueueAttributes,
    ];

    /// The action's name in a file: `logs:PutLogEvents`.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::PutLogEvents => "logs:PutLogEvents",
            Action::GetMetrics => "watchbell:GetMetrics",
            Action::GetStatus => "watchbell:GetStatus",
            Action::ReceiveMessage => "sqs:ReceiveMessage",
            Action::DeleteMessage => "sqs:DeleteMessage",
            Action::ChangeMessageVisibility => "sqs:ChangeMessageVisibility",
            Action::StartMessageMoveTask => "sqs:StartMessageMoveTask",
            Action::GetQueueAttributes => "sqs:GetQueueAttributes",
        }
    }
}

/// What an action is done to: the name of a log group or a queue, or `watchbell` for the process itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// A log group.
    LogGroup(&'a str),
    /// A queue.
    Queue(&'a str),
    /// The running Watchbell.
    Watchbell,
}

impl<'a> Resource<'a> {
    /// The name that statements match against.
    pub fn name(self) -> &'a str {
        match self {
            Resource::LogGroup(name) | Resource::Queue(name) => name,
            Resource::Watchbell => "watchbell",
        }
    }
}

/// `allow` these actions `on` these resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// What may be done.
    pub allow: Vec<Action>,
    /// Names of resources; `*` stands for any run of characters.
    pub on: Vec<String>,
}

/// A named set of statements. What no statement allows is denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Any one of them allows.
    pub statements: Vec<Statement>,
}

/// A caller's credential and the roles it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The secret that the caller shows.
    pub value: SecretRef,
    /// Names of roles.
    pub roles: Vec<String>,
}

/// All roles and tokens of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// By name.
    pub roles: BTreeMap<String, Role>,
    /// By name. While empty, every caller on loopback may do everything.
    pub tokens: BTreeMap<String, Token>,
}

impl Access {
    /// Whether the token of this name may do `action` on `resource`. Denies unless a statement allows.
    pub fn allows(&self, token: &str, action: Action, resource: Resource<'_>) -> bool {
        let Some(token) = self.tokens.get(token) else { return false };
        let statements =
            token.roles.iter().filter_map(|name| self.roles.get(name)).flat_map(|role| &role.statements);
        statements.into_iter().any(|statement| {
            statement.allow.contains(&action)
                && statement.on.iter().any(|on| matches_wildcard(on, resource.name()))
        })
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any run of characters, also none.
pub fn matches_wildcard(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let tail = pieces.pop().expect("split gives at least one piece");
    for piece in pieces {
        let Some(at) = text.find(piece) else { return false };
        text = &text[at + piece.len()..];
    }
    text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_statement_allows_is_denied() {
        let statement = Statement { allow: vec![Action::PutLogEvents], on: vec!["shop/*".into()] };
        let mut access = Access::default();
        access.roles.insert("shipper".into(), Role { statements: vec![statement] });
        let token = Token { value: SecretRef::Env("T".into()), roles: vec!["shipper".into(), "gone".into()] };
        access.tokens.insert("ci".into(), token);
        assert!(access.allows("ci", Action::PutLogEvents, Resource::LogGroup("shop/app")));
        assert!(!access.allows("ci", Action::PutLogEvents, Resource::LogGroup("bank/app")));
        assert!(!access.allows("ci", Action::GetMetrics, Resource::Watchbell));
        assert!(!access.allows("other", Action::PutLogEvents, Resource::LogGroup("shop/app")));
    }

    #[test]
    fn wildcards_stand_for_any_run() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b", "ab", true),
            ("ab*b", "ab", false),
            ("a*", "b", false),
            ("a", "ab", false),
            ("*/app", "shop/app", true),
        ] {
            assert_eq!(matches_wildcard(pattern, text), fits, "{pattern} on {text}");
        }
    }
}
