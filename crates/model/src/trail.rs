//! The audit trail: who did what, as a chain in which each record holds the hash of the one before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Whether what was asked happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrailOutcome {
    /// It was done.
    Done,
    /// The caller may not.
    Denied,
    /// It was tried and did not work.
    Failed,
}

impl TrailOutcome {
    /// `done`, `denied` or `failed`.
    pub fn as_str(self) -> &'static str {
        match self {
            TrailOutcome::Done => "done",
            TrailOutcome::Denied => "denied",
            TrailOutcome::Failed => "failed",
        }
    }
}

/// One record. `hash` covers every other field, `previous` included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailRecord {
    /// From 0, without gaps.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Who: `watchbell`, `operator`, `loopback`, or `token NAME`.
    pub actor: String,
    /// What, as `configuration.load`, `secret.read`, `notification.send`.
    pub action: String,
    /// To what.
    pub resource: String,
    /// Whether it happened.
    pub outcome: TrailOutcome,
    /// More, by name; holds no secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub detail: BTreeMap<String, String>,
    /// The hash of the record before, hexadecimal; 64 zeroes for the first.
    pub previous: String,
    /// SHA-256 of this record's JSON without this field, hexadecimal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
}
