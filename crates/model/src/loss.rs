//! Bytes or lines that were lost before they could be accepted: counted and reported, never silent.

use serde::{Deserialize, Serialize};

use crate::{GroupName, Shipped};

/// Why something was lost, or may have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossReason {
    /// The file became shorter than what had been read: what was written between cannot be known.
    Truncated,
    /// The end of lines longer than the limit.
    LineTooLong,
    /// The file holds no text; it is not followed.
    NotText,
    /// The kernel had no room for a datagram: it came faster than it could be read.
    ReceiveBuffer,
    /// It is not in the form of its source, or holds no message.
    Unreadable,
    /// It had been taken in when the process ended, and the disk, or the buffer of an agent, was full.
    NoSpace,
    /// CloudWatch Logs did not take it: it happened more than 14 days ago.
    TooOld,
    /// CloudWatch Logs did not take it: it happened longer ago than its log group keeps events.
    Expired,
    /// CloudWatch Logs did not take it: it is more than 2 hours ahead.
    TooNew,
    /// An empty line, which CloudWatch Logs does not take.
    Empty,
}

impl LossReason {
    /// `truncated`, `line_too_long`, `not_text`, `receive_buffer`, `unreadable`, `no_space`, `too_old`, `expired`, `too_new` or
    /// `empty`.
    pub fn as_str(self) -> &'static str {
        match self {
            LossReason::Truncated => "truncated",
            LossReason::LineTooLong => "line_too_long",
            LossReason::NotText => "not_text",
            LossReason::ReceiveBuffer => "receive_buffer",
            LossReason::Unreadable => "unreadable",
            LossReason::NoSpace => "no_space",
            LossReason::TooOld => "too_old",
            LossReason::Expired => "expired",
            LossReason::TooNew => "too_new",
            LossReason::Empty => "empty",
        }
    }
}

/// A loss, as an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The log group.
    pub group: GroupName,
    /// The log stream: a file's path, or the name of the input.
    pub stream: String,
    /// Why.
    pub reason: LossReason,
    /// Bytes known to be lost.
    pub bytes: u64,
    /// The agent that noticed it; `None`: this installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipped: Option<Shipped>,
    /// How often; more than once where only that is known: so many datagrams.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub times: u64,
}

fn once() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_once(times: &u64) -> bool {
    *times == 1
}
