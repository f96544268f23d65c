//! How far the system's journal has been read for each log group. Derived from our journal, never kept elsewhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchbell_model::{Batch, GroupName, Source, Timestamp};

/// A place in the system's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// As `journalctl` names it: the last entry that was taken.
    pub cursor: String,
    /// Entries before this were there before the group was first watched.
    pub backfill_until: Timestamp,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursors(BTreeMap<GroupName, Cursor>);

impl Cursors {
    /// Takes note of a batch.
    pub fn apply(&mut self, batch: &Batch) {
        if let Source::Journald { cursor, backfill_until, .. } = &batch.source {
            let cursor = Cursor { cursor: cursor.clone(), backfill_until: *backfill_until };
            self.0.insert(batch.group.clone(), cursor);
        }
    }

    /// Where reading goes on for a group.
    pub fn get(&self, group: &GroupName) -> Option<&Cursor> {
        self.0.get(group)
    }
}
