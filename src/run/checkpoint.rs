//! Checkpoints of followed files: how far each has been read. Derived from the journal, never kept elsewhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchbell_model::{Fingerprint, GroupName, Record, Source, Timestamp};

/// How many files are remembered; of more, the ones that were read longest ago are forgotten.
pub const CHECKPOINTS_MAX: usize = 100_000;

/// What names a file while its content stays recognisable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileId {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
}

/// How far one file has been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The log group it was read for.
    pub group: GroupName,
    /// Under which path.
    pub path: String,
    /// What its beginning looked like.
    pub fingerprint: Fingerprint,
    /// What stood right before `end`, if it is known.
    #[serde(default)]
    pub tail: Option<Fingerprint>,
    /// The byte after the last that was accepted.
    pub end: u64,
    /// The last line had no line end yet.
    pub unterminated: bool,
    /// Bytes before this were there before the group was first watched.
    #[serde(default)]
    pub backfill_until: u64,
    /// When.
    pub at: Timestamp,
    /// When something was first accepted from it.
    #[serde(default = "never")]
    pub first_at: Timestamp,
}

/// Of checkpoints that do not say.
fn never() -> Timestamp {
    Timestamp(i64::MAX)
}

/// All checkpoints.
///
/// A file that is read for two log groups has one for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoints(BTreeMap<(FileId, GroupName), Checkpoint>);

impl Checkpoints {
    /// Takes note of a batch.
    pub fn apply(&mut self, group: &GroupName, source: &Source, record: &Record) {
        let Source::File {
            path, device, inode, fingerprint, tail, range, unterminated, backfill_until, ..
        } = source
        else {
            return;
        };
        let id = FileId { device: *device, inode: *inode };
        let first_at = self.get(id, group).map_or(record.time, |known| known.first_at.min(record.time));
        let checkpoint = Checkpoint {
            group: group.clone(),
            path: path.clone(),
            fingerprint: *fingerprint,
            tail: *tail,
            end: range.end,
            unterminated: *unterminated,
            backfill_until: *backfill_until,
            at: record.time,
            first_at,
        };
        self.remember(id, checkpoint);
    }

    /// Keeps one, in place of an older one of the same file and group.
    pub fn remember(&mut self, id: FileId, checkpoint: Checkpoint) {
        self.0.insert((id, checkpoint.group.clone()), checkpoint);
        if self.0.len() > CHECKPOINTS_MAX {
            let oldest =
                self.0.iter().min_by_key(|(_, checkpoint)| checkpoint.at).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.0.remove(&key));
        }
    }

    /// The checkpoint of this file for this group.
    pub fn get(&self, id: FileId, group: &GroupName) -> Option<&Checkpoint> {
        self.0.get(&(id, group.clone()))
    }

    /// All of them with their files.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, &Checkpoint)> {
        self.0.iter().map(|((id, _), checkpoint)| (*id, checkpoint))
    }

    /// As data.
    pub fn snapshot(&self) -> Vec<(FileId, Checkpoint)> {
        self.iter().map(|(id, checkpoint)| (id, checkpoint.clone())).collect()
    }

    /// Back from data.
    pub fn restore(snapshot: Vec<(FileId, Checkpoint)>) -> Checkpoints {
        Checkpoints(
            snapshot
                .into_iter()
                .map(|(id, checkpoint)| ((id, checkpoint.group.clone()), checkpoint))
                .collect(),
        )
    }
}
