//! Whether an event counts, and why not.

use std::collections::BTreeMap;

use watchbell_model::{Batch, Timestamp};

use crate::counters::GroupCounters;
use crate::series::bucket_of;

/// How far ahead of its arrival an event may say it happened and still be evaluated, in milliseconds.
///
/// Source: CloudWatch Logs API Reference, `PutLogEvents` (no more than 2 hours in the future).
pub const TOO_NEW_MS: i64 = 2 * 60 * 60 * 1000;

/// When the events of a batch happened, for those that count.
pub(crate) struct Ages<'b> {
    batch: &'b Batch,
    now: Timestamp,
    /// How long ago an event may have happened; `None` if no alarm watches anything.
    horizon_ms: Option<i64>,
}

impl<'b> Ages<'b> {
    pub(crate) fn new(batch: &'b Batch, now: Timestamp, horizon_ms: Option<i64>) -> Ages<'b> {
        Ages { batch, now, horizon_ms }
    }

    /// When the event at `line` happened, if it counts.
    pub(crate) fn evaluated(&self, line: usize) -> Option<Timestamp> {
        if self.batch.backfill {
            return None;
        }
        let Some(timestamp) = self.batch.timestamp(line) else { return Some(self.now) };
        (!self.is_too_new(timestamp) && !self.is_too_old(timestamp)).then_some(timestamp)
    }

    /// Counts the events that do not.
    pub(crate) fn count(&self, counters: &mut GroupCounters) {
        if self.batch.backfill || self.horizon_ms.is_none() {
            return;
        }
        for timestamp in self.batch.timestamps() {
            counters.too_new += u64::from(self.is_too_new(timestamp));
            counters.too_old += u64::from(self.is_too_old(timestamp));
        }
    }

    /// How many events that count fall into each bucket.
    pub(crate) fn buckets(&self) -> BTreeMap<Timestamp, u64> {
        let mut counts = BTreeMap::new();
        for at in (0..self.batch.len()).filter_map(|line| self.evaluated(line)) {
            *counts.entry(bucket_of(at)).or_default() += 1;
        }
        counts
    }

    fn is_too_new(&self, timestamp: Timestamp) -> bool {
        timestamp > self.now.plus_ms(TOO_NEW_MS)
    }

    fn is_too_old(&self, timestamp: Timestamp) -> bool {
        self.horizon_ms.is_some_and(|horizon_ms| timestamp < self.now.plus_ms(-horizon_ms))
    }
}
