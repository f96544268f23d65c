//! Batch ids that clients gave: a repeated one is acknowledged, not stored again.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use watchbell_model::{Batch, GroupName, Offset, Source, Timestamp};

/// How long an id is remembered, in milliseconds.
pub const BATCH_ID_KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// How many ids are remembered for one principal.
pub const BATCH_IDS_MAX: usize = 1_000_000;

/// What the id of a batch is unique within.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Key {
    group: GroupName,
    batch_id: String,
}

/// The batch that was stored under an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Its entry.
    pub offset: Offset,
    /// How many events it has.
    pub events: usize,
    /// Checksum of its text.
    crc32c: u32,
}

impl Stored {
    /// Whether `batch` is the one that was stored.
    pub fn holds(&self, batch: &Batch) -> bool {
        self.crc32c == crc32c::crc32c(batch.text().as_bytes())
    }
}

#[derive(Default)]
struct Principal {
    stored: HashMap<Key, Stored>,
    by_age: VecDeque<(Timestamp, Key)>,
}

impl Principal {
    /// Makes room for one more, and lets go of what is too old.
    fn forget(&mut self, now: Timestamp) {
        while let Some((at, _)) = self.by_age.front() {
            if now.ms_since(*at) <= BATCH_ID_KEPT_MS && self.by_age.len() < BATCH_IDS_MAX {
                break;
            }
            if let Some((_, oldest)) = self.by_age.pop_front() {
                self.stored.remove(&oldest);
            }
        }
    }
}

/// The ids that are remembered, by principal.
#[derive(Default)]
pub struct BatchIds {
    principals: HashMap<String, Principal>,
}

/// The same as data: principal, then ids with time and batch, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchIdsSnapshot(Vec<(String, Aged)>);

/// The ids of one principal, oldest first.
type Aged = Vec<(Timestamp, Key, Stored)>;

impl BatchIds {
    /// The batch that was stored under this one's id, if it has one that is remembered.
    pub fn stored(&mut self, batch: &Batch, now: Timestamp) -> Option<Stored> {
        let (principal, key) = named(batch)?;
        let principal = self.principals.get_mut(principal)?;
        principal.forget(now);
        principal.stored.get(&key).copied()
    }

    /// Remembers the id of a batch that is being stored, and forgets what is too old or too many.
    pub fn remember(&mut self, batch: &Batch, offset: Offset, now: Timestamp) {
        let Some((name, key)) = named(batch) else { return };
        let principal = self.principals.entry(name.to_owned()).or_default();
        principal.forget(now);
        let stored = Stored { offset, events: batch.len(), crc32c: crc32c::crc32c(batch.text().as_bytes()) };
        principal.stored.insert(key.clone(), stored);
        principal.by_age.push_back((now, key));
    }

    /// As data.
    pub fn snapshot(&self) -> BatchIdsSnapshot {
        let aged = |principal: &Principal| {
            let with_batch = |(at, key): &(Timestamp, Key)| (*at, key.clone(), principal.stored[key]);
            principal.by_age.iter().map(with_batch).collect()
        };
        let mut all: Vec<_> = self.principals.iter().map(|(name, ids)| (name.clone(), aged(ids))).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        BatchIdsSnapshot(all)
    }

    /// Back from data.
    pub fn restore(snapshot: BatchIdsSnapshot) -> BatchIds {
        let mut ids = BatchIds::default();
        for (name, aged) in snapshot.0 {
            let principal = ids.principals.entry(name).or_default();
            for (at, key, stored) in aged {
                principal.stored.insert(key.clone(), stored);
                principal.by_age.push_back((at, key));
            }
        }
        ids
    }
}

fn named(batch: &Batch) -> Option<(&str, Key)> {
    let Source::Http { principal, batch_id: Some(batch_id) } = &batch.source else { return None };
    Some((principal, Key { group: batch.group.clone(), batch_id: batch_id.clone() }))
}

#[cfg(test)]
mod tests {
    use watchbell_model::{BatchBuilder, EventFlags};

    use super::*;

    fn batch(principal: &str, id: &str) -> Batch {
        let mut builder = BatchBuilder::default();
        builder.push("line", None, EventFlags::default());
        let source = Source::Http { principal: principal.into(), batch_id: Some(id.into()) };
        builder.build(GroupName::new("a/b").unwrap(), "s".into(), source, false)
    }

    #[test]
    fn an_id_is_remembered_for_its_principal_for_a_day() {
        let mut ids = BatchIds::default();
        ids.remember(&batch("a", "1"), Offset(7), Timestamp(0));
        assert_eq!(ids.stored(&batch("a", "1"), Timestamp(1)).map(|stored| stored.offset), Some(Offset(7)));
        assert_eq!(ids.stored(&batch("b", "1"), Timestamp(1)), None);
        ids.remember(&batch("a", "2"), Offset(8), Timestamp(BATCH_ID_KEPT_MS));
        assert!(ids.stored(&batch("a", "1"), Timestamp(BATCH_ID_KEPT_MS)).is_some());
        let later = Timestamp(BATCH_ID_KEPT_MS + 1);
        assert_eq!(
            ids.stored(&batch("a", "1"), later),
            None,
            "also if it is the first to be asked for again"
        );
        assert!(ids.stored(&batch("a", "2"), later).is_some());
        ids.remember(&batch("a", "1"), Offset(9), later);
        assert_eq!(ids.stored(&batch("a", "1"), later).map(|stored| stored.offset), Some(Offset(9)));
        let restored = BatchIds::restore(ids.snapshot());
        assert_eq!(restored.snapshot(), ids.snapshot());
    }

    #[test]
    fn an_id_stands_for_one_text_only() {
        let mut ids = BatchIds::default();
        ids.remember(&batch("a", "1"), Offset(7), Timestamp(0));
        let stored = ids.stored(&batch("a", "1"), Timestamp(0)).unwrap();
        let mut builder = BatchBuilder::default();
        builder.push("another line", None, EventFlags::default());
        let source = batch("a", "1").source;
        let other = builder.build(GroupName::new("a/b").unwrap(), "s".into(), source, false);
        assert!(stored.holds(&batch("a", "1")) && !stored.holds(&other));
    }
}
