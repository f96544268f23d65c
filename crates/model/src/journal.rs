//! The journal as planned: how large and how old it may become; and the entry that says what of it may go.

use serde::{Deserialize, Serialize};

use crate::Offset;

/// How large and how old the journal may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalBound {
    /// Bytes of all segments together.
    pub max_size_bytes: u64,
    /// How long a segment is kept after its newest entry, in milliseconds.
    pub max_age_ms: i64,
}

impl JournalBound {
    /// Used if a file says nothing: 10 GiB and 14 days.
    pub const DEFAULT: JournalBound = JournalBound { max_size_bytes: 10 << 30, max_age_ms: 14 * 86_400_000 };

    /// Whether it is what holds without a word in the file.
    pub fn is_default(&self) -> bool {
        *self == JournalBound::DEFAULT
    }
}

impl Default for JournalBound {
    fn default() -> JournalBound {
        JournalBound::DEFAULT
    }
}

/// Why a part of the journal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseReason {
    /// The journal is too large.
    Size,
    /// It is too old.
    Age,
}

/// The entries before this one may go: what had to be kept of them is kept elsewhere.
///
/// Journaled before the first byte of them goes, so that every fold knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The oldest entry that stays.
    pub before: Offset,
    /// Why.
    pub reason: ReleaseReason,
}
