//! A reference to a secret. The secret itself never stands in a plan.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a secret's value is found when it is needed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretRef {
    /// An environment variable of the process.
    Env(String),
    /// A file, absolute; one line end at its end is not part of the value.
    File(String),
    /// The store of secrets, by its name there.
    Store(String),
}

/// A secret of the store, as planned. Its value is never part of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretPlan {
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How old its value may become before it is to be replaced, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_after_ms: Option<i64>,
}

impl fmt::Display for SecretRef {
    /// The secret's name, never its value: `env SLACK_URL`, `file /run/secrets/slack`, `secret slack`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::Env(name) => write!(f, "env {name}"),
            SecretRef::File(path) => write!(f, "file {path}"),
            SecretRef::Store(name) => write!(f, "secret {name}"),
        }
    }
}
