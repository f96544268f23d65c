//! The archive's part in the journal: what is to be written, and what was.

use serde::{Deserialize, Serialize};

use crate::Offset;

/// An archive as planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// The folder that objects are written to, absolute.
    pub folder: String,
    /// What becomes of objects as they age, in order of age.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lifecycle: Vec<Lifecycle>,
}

/// What becomes of objects at an age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    /// The age, in milliseconds.
    pub after_ms: i64,
    /// What becomes of them.
    pub to: Tier,
}

/// Where an object is kept, the dearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Read at once, at a price: `STANDARD_IA`.
    InfrequentAccess,
    /// Restored before it is read, in minutes to hours: `GLACIER`.
    Cold,
    /// Restored before it is read, in hours to days: `DEEP_ARCHIVE`.
    Deep,
    /// It is removed.
    Expire,
}

/// The intention to archive every event of the entries `from..to`.
///
/// Journaled before the first object is written; after a crash the same objects are written again under the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivePlan {
    /// First entry.
    pub from: Offset,
    /// The entry after the last.
    pub to: Offset,
}

/// One object that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveObject {
    /// Path below the archive's root.
    pub path: String,
    /// Events in it.
    pub events: u64,
    /// Its size.
    pub bytes: u64,
}

/// Every event of `plan` is in the archive. `plan.to` is the archive's cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveDone {
    /// What was planned.
    pub plan: ArchivePlan,
    /// What was written.
    pub objects: Vec<ArchiveObject>,
}
