//! The ledger of followed files and of inputs: what became of every byte that was read. Derived from the journal.
//!
//! Bytes read = bytes journaled as events + bytes dropped, by reason + bytes skipped. What was lost before anybody could
//! read it stands beside them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchbell_model::{Batch, EventFlags, GroupName, Loss, LossReason, Source, Taken, Timestamp};

use super::checkpoint::CHECKPOINTS_MAX;

/// What became of the bytes of one log stream, or of all of a log group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Events in the journal.
    pub events: u64,
    /// Bytes of files that these stand for, line ends included.
    pub journaled_bytes: u64,
    /// Bytes that were read and are in no event, by reason.
    pub dropped_bytes: BTreeMap<LossReason, u64>,
    /// Bytes that were there before and were passed over, as `start = "end"` says.
    pub skipped_bytes: u64,
    /// Bytes known to be lost before they could be read, by reason. How often is counted too: some losses have no size.
    pub lost_bytes: BTreeMap<LossReason, u64>,
    /// Times that something was lost before it could be read.
    pub losses: BTreeMap<LossReason, u64>,
    /// Events from which something was taken out that must not be stored.
    #[serde(default)]
    pub redacted_events: u64,
    /// When it last had an entry.
    pub at: Timestamp,
}

impl Account {
    /// Bytes of files that the journal accounts for.
    pub fn settled_bytes(&self) -> u64 {
        self.journaled_bytes + self.skipped_bytes + self.dropped_bytes.values().sum::<u64>()
    }

    /// A batch from an input.
    fn take(&mut self, batch: &Batch, taken: &Taken, redacted: u64) {
        self.events += batch.len() as u64;
        self.redacted_events += redacted;
        let mut left = taken.bytes;
        for (reason, bytes) in &taken.dropped_bytes {
            // What was repaired is longer than it came.
            let dropped = (*bytes).min(left);
            *self.dropped_bytes.entry(*reason).or_default() += dropped;
            left -= dropped;
        }
        self.journaled_bytes += left;
    }
}

/// All accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    groups: BTreeMap<GroupName, Account>,
    streams: BTreeMap<(GroupName, String), Account>,
    /// Events from which something was taken out, whatever their source.
    redacted: BTreeMap<GroupName, u64>,
}

/// The same as data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerSnapshot {
    groups: BTreeMap<GroupName, Account>,
    streams: Vec<(GroupName, String, Account)>,
    #[serde(default)]
    redacted: BTreeMap<GroupName, u64>,
}

impl Ledger {
    /// Takes note of a batch.
    pub fn batch(&mut self, batch: &Batch, at: Timestamp) {
        let redacted = batch.flagged(EventFlags::REDACTED) as u64;
        if redacted > 0 {
            *self.redacted.entry(batch.group.clone()).or_default() += redacted;
        }
        if let Some(taken) = batch.source.taken() {
            self.note(&batch.group, &batch.stream, at, |account| account.take(batch, taken, redacted));
        }
        let Source::File { range, dropped_bytes, .. } = batch.source.origin() else { return };
        let bytes = range.end.saturating_sub(range.start);
        self.note(&batch.group, &batch.stream, at, |account| {
            account.events += batch.len() as u64;
            account.redacted_events += redacted;
            let dropped = (*dropped_bytes).min(bytes);
            // A batch without events also passes the line end of a line that had been taken without it.
            if batch.is_empty() && batch.backfill {
                account.skipped_bytes += bytes;
            } else {
                account.journaled_bytes += bytes - dropped;
            }
            if dropped > 0 {
                *account.dropped_bytes.entry(LossReason::LineTooLong).or_default() += dropped;
            }
        });
    }

    /// Takes note of a loss.
    pub fn loss(&mut self, loss: &Loss, at: Timestamp) {
        // These were read: their batch says it.
        if !matches!(loss.reason, LossReason::LineTooLong | LossReason::Unreadable) {
            self.note(&loss.group, &loss.stream, at, |account| {
                *account.lost_bytes.entry(loss.reason).or_default() += loss.bytes;
                *account.losses.entry(loss.reason).or_default() += loss.times;
            });
        }
    }

    fn note(&mut self, group: &GroupName, stream: &str, at: Timestamp, note: impl Fn(&mut Account)) {
        let key = (group.clone(), stream.to_owned());
        for account in [self.groups.entry(group.clone()).or_default(), self.streams.entry(key).or_default()] {
            note(account);
            account.at = at;
        }
        if self.streams.len() > CHECKPOINTS_MAX {
            let oldest =
                self.streams.iter().min_by_key(|(_, account)| account.at).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.streams.remove(&key));
        }
    }

    /// The accounts of log groups, of every one that ever had a file.
    pub fn groups(&self) -> &BTreeMap<GroupName, Account> {
        &self.groups
    }

    /// Events of each log group from which something was taken out.
    pub fn redacted(&self) -> &BTreeMap<GroupName, u64> {
        &self.redacted
    }

    /// The accounts of log streams, of the last [`CHECKPOINTS_MAX`] that had something.
    pub fn streams(&self) -> &BTreeMap<(GroupName, String), Account> {
        &self.streams
    }

    /// As data.
    pub fn snapshot(&self) -> LedgerSnapshot {
        let streams = self.streams.iter();
        let streams =
            streams.map(|((group, stream), account)| (group.clone(), stream.clone(), account.clone()));
        let (groups, redacted) = (self.groups.clone(), self.redacted.clone());
        LedgerSnapshot { groups, streams: streams.collect(), redacted }
    }

    /// Back from data.
    pub fn restore(snapshot: LedgerSnapshot) -> Ledger {
        let LedgerSnapshot { groups, streams, redacted } = snapshot;
        let streams = streams.into_iter().map(|(group, stream, account)| ((group, stream), account));
        Ledger { groups, streams: streams.collect(), redacted }
    }
}

#[cfg(test)]
mod tests {
    use watchbell_model::{BatchBuilder, Fingerprint};

    use super::*;

    fn batch(lines: &[&str], range: std::ops::Range<u64>, dropped_bytes: u64) -> Batch {
        let source = Source::File {
            path: "/a".into(),
            device: 1,
            inode: 2,
            fingerprint: Fingerprint { bytes: 0, hash: 0 },
            tail: None,
            range,
            unterminated: false,
            backfill_until: 0,
            dropped_bytes,
        };
        let mut builder = BatchBuilder::default();
        let backfill = lines.is_empty();
        for line in lines {
            builder.push(line, None, EventFlags::default());
        }
        builder.build(GroupName::new("g").unwrap(), "/a".into(), source, backfill)
    }

    #[test]
    fn every_byte_of_a_range_is_journaled_dropped_or_skipped() {
        let mut ledger = Ledger::default();
        ledger.batch(&batch(&[], 0..100, 0), Timestamp(1));
        ledger.batch(&batch(&["one", "two"], 100..108, 0), Timestamp(2));
        ledger.batch(&batch(&["cut"], 108..158, 46), Timestamp(3));
        let group = GroupName::new("g").unwrap();
        let loss = |reason, bytes| Loss {
            group: group.clone(),
            stream: "/a".into(),
            reason,
            bytes,
            shipped: None,
            times: 1,
        };
        ledger.loss(&loss(LossReason::LineTooLong, 46), Timestamp(3));
        ledger.loss(&loss(LossReason::Truncated, 7), Timestamp(4));
        let account = &ledger.groups()[&group];
        assert_eq!((account.skipped_bytes, account.journaled_bytes, account.events), (100, 12, 3));
        assert_eq!(account.dropped_bytes, [(LossReason::LineTooLong, 46)].into());
        assert_eq!(
            (&account.lost_bytes, account.settled_bytes()),
            (&[(LossReason::Truncated, 7)].into(), 158)
        );
        assert_eq!(ledger.streams().values().collect::<Vec<_>>(), [account]);
        assert_eq!(Ledger::restore(ledger.snapshot()), ledger);
    }
}
