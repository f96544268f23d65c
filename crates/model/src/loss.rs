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
}

impl LossReason {
    /// `truncated`, `line_too_long` or `not_text`.
    pub fn as_str(self) -> &'static str {
        match self {
            LossReason::Truncated => "truncated",
            LossReason::LineTooLong => "line_too_long",
            LossReason::NotText => "not_text",
        }
    }
}

/// A loss, as an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The log group.
    pub group: GroupName,
    /// The log stream, a file's path.
    pub stream: String,
    /// Why.
    pub reason: LossReason,
    /// Bytes known to be lost.
    pub bytes: u64,
    /// The agent that noticed it; `None`: this installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipped: Option<Shipped>,
}
