//! A call of an agent to CloudWatch Logs, written down before it is made.

use serde::{Deserialize, Serialize};

use crate::{GroupName, Offset, Timestamp};

/// A call that is about to be made. CloudWatch Logs stores a call as a whole or not at all, and stores one that is made twice
/// twice; so what is needed to find out whether it has arrived is journaled first.
///
/// It has arrived once a later call, or that everything before `to` is shipped, is in the journal.
///
/// Source: CloudWatch Logs API Reference, `PutLogEvents`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    /// The shipment that it is part of: entries of the agent's journal from this one on.
    pub from: Offset,
    /// And before this one. The same entries make the same calls.
    pub to: Offset,
    /// Which call of the shipment, from 0; those before it have arrived.
    pub call: u32,
    /// The log group.
    pub group: GroupName,
    /// The log stream.
    pub stream: String,
    /// The time of its latest events.
    pub latest: Timestamp,
    /// How many of its events have that time.
    pub latest_events: u64,
    /// How many events of that time the agent had put into the stream before; `None`: nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// It was made before and not found in its stream. If that one comes late, the stream has more events than is known.
    #[serde(default, skip_serializing_if = "crate::skip::is_false")]
    pub again: bool,
}
