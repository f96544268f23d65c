//! The archive's backlog: which entries still have to be archived. Derived from the journal.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use watchbell_model::{ArchivePlan, Batch, Entry, Offset, Record, Timestamp};

/// One batch that is not archived yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    offset: Offset,
    bytes: u64,
    since: Timestamp,
    /// The plan that was in force: it says the app and how lines are read, now and when a crash makes us do it again.
    plan: Offset,
}

/// What waits for the archive, and what it was last about to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    waiting: VecDeque<Waiting>,
    bytes: u64,
    planned: Option<ArchivePlan>,
    archived_events: u64,
    #[serde(default)]
    records: Records,
}

/// How far decisions, deliveries and trail records have been archived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// Those of the entries before this one are in the archive.
    pub kept: Offset,
    /// What was journaled and not carried out: it comes before any other.
    pub planned: Option<ArchivePlan>,
}

impl Backlog {
    /// Takes note of a record; `plan` is the plan in force.
    pub fn apply(&mut self, record: &Record, plan: Offset) {
        match &record.entry {
            Entry::Batch(batch) if !batch.is_empty() => {
                let bytes = size(batch);
                self.bytes += bytes;
                self.waiting.push_back(Waiting { offset: record.offset, bytes, since: record.time, plan });
            }
            Entry::ArchivePlan(plan) => self.planned = Some(*plan),
            Entry::ArchiveDone(done) => {
                self.planned = None;
                self.archived_events += done.objects.iter().map(|object| object.events).sum::<u64>();
                while let Some(first) = self.waiting.front().filter(|first| first.offset < done.plan.to) {
                    self.bytes -= first.bytes;
                    self.waiting.pop_front();
                }
            }
            Entry::RecordsPlan(plan) => self.records.planned = Some(*plan),
            Entry::RecordsDone(done) => self.records = Records { kept: done.plan.to, planned: None },
            _ => {}
        }
    }

    /// How far decisions, deliveries and trail records have been archived.
    pub fn records(&self) -> Records {
        self.records
    }

    /// The oldest entry that has to be archived yet; `None` if all batches have been.
    pub fn oldest(&self) -> Option<Offset> {
        let planned = self.planned.map(|plan| plan.from);
        planned.into_iter().chain(self.waiting.front().map(|first| first.offset)).min()
    }

    /// A plan that was journaled and not carried out: it comes before any other.
    pub fn planned(&self) -> Option<ArchivePlan> {
        self.planned
    }

    /// The oldest batches that wait, up to about `bytes_max` of text; at least one if any waits.
    pub fn next_plan(&self, bytes_max: u64) -> Option<ArchivePlan> {
        let from = self.waiting.front()?.offset;
        let mut bytes = 0;
        let within = |waiting: &&Waiting| {
            let fits = bytes < bytes_max;
            bytes += waiting.bytes;
            fits
        };
        let last = self.waiting.iter().take_while(within).last()?;
        Some(ArchivePlan { from, to: last.offset.next() })
    }

    /// Bytes of text that wait.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The plan that was in force when the oldest batch came.
    pub fn plan_at_front(&self) -> Option<Offset> {
        self.waiting.front().map(|first| first.plan)
    }

    /// Since when the oldest batch has been waiting.
    pub fn since(&self) -> Option<Timestamp> {
        self.waiting.front().map(|first| first.since)
    }

    /// Events that have been archived since the installation was made.
    pub fn archived_events(&self) -> u64 {
        self.archived_events
    }
}

/// What a batch counts towards an object: its text with line ends, so that empty lines count too.
fn size(batch: &Batch) -> u64 {
    batch.text().len() as u64
}

#[cfg(test)]
mod tests {
    use watchbell_model::{ArchiveDone, BatchBuilder, EventFlags, GroupName, Source};

    use super::*;

    fn batch(offset: u64, bytes: usize) -> Record {
        let mut builder = BatchBuilder::default();
        builder.push(&"x".repeat(bytes - 1), None, EventFlags::default());
        let source = Source::Http { principal: "loopback".into(), batch_id: None };
        let entry = Entry::Batch(builder.build(GroupName::new("a").unwrap(), "s".into(), source, false));
        Record { offset: Offset(offset), time: Timestamp(1000 + i64::try_from(offset).unwrap()), entry }
    }

    #[test]
    fn a_plan_takes_the_oldest_batches_up_to_the_bound() {
        let mut backlog = Backlog::default();
        for record in [batch(3, 10), batch(5, 10), batch(9, 10)] {
            backlog.apply(&record, Offset(0));
        }
        let plan = backlog.next_plan(15).unwrap();
        assert_eq!(plan, ArchivePlan { from: Offset(3), to: Offset(6) });
        assert_eq!(backlog.next_plan(1).unwrap().to, Offset(4));
        let done = Entry::ArchiveDone(ArchiveDone { plan, objects: vec![] });
        backlog.apply(&Record { offset: Offset(10), time: Timestamp(0), entry: done }, Offset(0));
        assert_eq!((backlog.bytes(), backlog.since()), (10, Some(Timestamp(1009))));
        assert_eq!(backlog.next_plan(99).unwrap(), ArchivePlan { from: Offset(9), to: Offset(10) });
    }
}
