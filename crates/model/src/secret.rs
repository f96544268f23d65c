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
}

impl fmt::Display for SecretRef {
    /// The secret's name, never its value: `env SLACK_URL`, `file /run/secrets/slack`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::Env(name) => write!(f, "env {name}"),
            SecretRef::File(path) => write!(f, "file {path}"),
        }
    }
}
