//! An agent: reads logs on one machine and ships them to a Watchbell on another.

use serde::{Deserialize, Serialize};

use crate::{InstallationId, Offset, SecretRef, Timestamp};

/// Where an agent ships to, and how much it keeps meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// The other Watchbell: `https://host:port`, or `http://` on this machine. No slash at its end.
    pub to: String,
    /// What it shows there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
    /// The authority whose certificates it trusts: a PEM file, absolute; `None`: those that the machine trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// What it is called there; `None`: the machine's host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Bytes that may wait to be shipped.
    pub buffer_bytes: u64,
}

impl Agent {
    /// Used for `buffer_bytes` if nothing is said.
    pub const BUFFER_BYTES_DEFAULT: u64 = 1 << 30;
}

/// How an entry came here from an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipped {
    /// The agent.
    pub agent: InstallationId,
    /// What it is called, for people.
    pub host: String,
    /// Where the entry stands in the agent's journal. Whoever has it has every one before it.
    pub offset: Offset,
    /// When the agent accepted it, by its clock.
    pub accepted: Timestamp,
}
