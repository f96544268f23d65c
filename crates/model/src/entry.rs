//! An entry: the only thing that is ever written to the journal.
//!
//! Batches are the bulk and are binary; everything else is JSON, so that fields can be added and a person can read
//! a dump. The number of a kind names the data format that introduced it: an unknown kind therefore tells which
//! version is needed.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{
    ArchiveDone, ArchivePlan, Batch, Decisions, Delivery, Loss, Offset, Plan, Put, QueueChanges, Release,
    Samples, Source, Timestamp, TrailRecord,
};

/// The data format that this version writes. It reads this one and every released one before it.
pub const DATA_FORMAT: u8 = 1;

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Log events.
    Batch(Batch),
    /// A plan came into force.
    Plan(Box<Plan>),
    /// Time has passed the instant that the engine waited for.
    Tick,
    /// What the engine decided.
    Decisions(Decisions),
    /// What became of telling someone.
    Delivery(Delivery),
    /// Who did what.
    Trail(TrailRecord),
    /// Something was lost before it could be accepted.
    Loss(Loss),
    /// A part of the journal is about to be archived.
    ArchivePlan(ArchivePlan),
    /// A part of the journal has been archived.
    ArchiveDone(ArchiveDone),
    /// What Watchbell measured of itself.
    Samples(Samples),
    /// What happened to the messages of a queue.
    Queue(QueueChanges),
    /// An agent's journal: everything before this offset is with the Watchbell that it ships to.
    ShippedTo(Offset),
    /// An agent is about to make this call to CloudWatch Logs.
    Put(Put),
    /// A part of the journal may go.
    Release(Release),
    /// The decisions, deliveries and trail records of a part of the journal are about to be archived.
    RecordsPlan(ArchivePlan),
    /// They have been.
    RecordsDone(ArchiveDone),
}

/// Why bytes are not an entry that this version knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Written by a newer Watchbell.
    #[error(
        "entry kind {kind:#06x} needs a Watchbell that knows data format {format}; this one knows up to {DATA_FORMAT}"
    )]
    Newer {
        /// The kind found.
        kind: u16,
        /// The format that has it.
        format: u8,
    },
    /// No Watchbell ever wrote this kind.
    #[error("entry kind {kind:#06x} does not exist in data format {format}")]
    UnknownKind {
        /// The kind found.
        kind: u16,
        /// The format it claims.
        format: u8,
    },
    /// The bytes do not hold what the kind says.
    #[error("not a readable entry: {what}")]
    Malformed {
        /// What does not fit.
        what: String,
    },
}

/// High byte: data format; low byte: number within it.
mod kind {
    pub(super) const BATCH: u16 = 0x0101;
    pub(super) const PLAN: u16 = 0x0102;
    pub(super) const TICK: u16 = 0x0103;
    pub(super) const DECISIONS: u16 = 0x0104;
    pub(super) const DELIVERY: u16 = 0x0105;
    pub(super) const TRAIL: u16 = 0x0106;
    pub(super) const LOSS: u16 = 0x0107;
    pub(super) const ARCHIVE_PLAN: u16 = 0x0108;
    pub(super) const ARCHIVE_DONE: u16 = 0x0109;
    pub(super) const SAMPLES: u16 = 0x010a;
    pub(super) const QUEUE: u16 = 0x010b;
    pub(super) const RELEASE: u16 = 0x0110;
    pub(super) const RECORDS_PLAN: u16 = 0x0111;
    pub(super) const RECORDS_DONE: u16 = 0x0112;
    pub(super) const SHIPPED_TO: u16 = 0x0113;
    pub(super) const PUT: u16 = 0x0114;
}

impl Entry {
    /// The number that stands for this kind in a frame.
    pub fn kind(&self) -> u16 {
        match self {
            Entry::Batch(_) => kind::BATCH,
            Entry::Plan(_) => kind::PLAN,
            Entry::Tick => kind::TICK,
            Entry::Decisions(_) => kind::DECISIONS,
            Entry::Delivery(_) => kind::DELIVERY,
            Entry::Trail(_) => kind::TRAIL,
            Entry::Loss(_) => kind::LOSS,
            Entry::ArchivePlan(_) => kind::ARCHIVE_PLAN,
            Entry::ArchiveDone(_) => kind::ARCHIVE_DONE,
            Entry::Samples(_) => kind::SAMPLES,
            Entry::Queue(_) => kind::QUEUE,
            Entry::ShippedTo(_) => kind::SHIPPED_TO,
            Entry::Put(_) => kind::PUT,
            Entry::Release(_) => kind::RELEASE,
            Entry::RecordsPlan(_) => kind::RECORDS_PLAN,
            Entry::RecordsDone(_) => kind::RECORDS_DONE,
        }
    }

    /// Whether an agent ships entries of this kind: what was read, and what was lost. The rest is its own.
    pub fn is_shipped(kind: u16) -> bool {
        matches!(kind, kind::BATCH | kind::LOSS)
    }

    /// The kind's name, for people: `batch`, `plan`, …
    pub fn kind_name(&self) -> &'static str {
        match self {
            Entry::Batch(_) => "batch",
            Entry::Plan(_) => "plan",
            Entry::Tick => "tick",
            Entry::Decisions(_) => "decisions",
            Entry::Delivery(_) => "delivery",
            Entry::Trail(_) => "trail",
            Entry::Loss(_) => "loss",
            Entry::ArchivePlan(_) => "archive plan",
            Entry::ArchiveDone(_) => "archive done",
            Entry::Samples(_) => "samples",
            Entry::Queue(_) => "queue",
            Entry::ShippedTo(_) => "shipped to",
            Entry::Put(_) => "put",
            Entry::Release(_) => "release",
            Entry::RecordsPlan(_) => "records plan",
            Entry::RecordsDone(_) => "records done",
        }
    }

    /// The bytes of a frame's payload.
    pub fn encode(&self) -> Vec<u8> {
        [&self.encode_beginning(), self.rest()].concat()
    }

    /// The payload without [`Entry::rest`].
    pub fn encode_beginning(&self) -> Vec<u8> {
        match self {
            Entry::Batch(batch) => batch.encode_beginning(),
            Entry::Plan(plan) => json(plan),
            Entry::Tick => Vec::new(),
            Entry::Decisions(decisions) => json(decisions),
            Entry::Delivery(delivery) => json(delivery),
            Entry::Trail(record) => json(record),
            Entry::Loss(loss) => json(loss),
            Entry::ArchivePlan(plan) | Entry::RecordsPlan(plan) => json(plan),
            Entry::ArchiveDone(done) | Entry::RecordsDone(done) => json(done),
            Entry::Samples(samples) => json(samples),
            Entry::Queue(changes) => json(changes),
            Entry::ShippedTo(offset) => json(offset),
            Entry::Put(put) => json(put),
            Entry::Release(release) => json(release),
        }
    }

    /// What it says happened to messages of a queue.
    pub fn queue_changes(&self) -> Option<&QueueChanges> {
        match self {
            Entry::Queue(changes) => Some(changes),
            Entry::Batch(Batch { source: Source::Function { done, .. }, .. }) => Some(done),
            _ => None,
        }
    }

    /// The end of the payload, as it stands in memory: the text of a batch, nothing for others. Handed on by itself, it is
    /// not copied.
    pub fn rest(&self) -> &[u8] {
        match self {
            Entry::Batch(batch) => batch.text().as_bytes(),
            _ => &[],
        }
    }

    /// Reads a payload back.
    ///
    /// # Errors
    /// [`EntryError`] for a kind that this version does not know, and for bytes that do not fit their kind.
    pub fn decode(kind: u16, payload: &[u8]) -> Result<Entry, EntryError> {
        Ok(match kind {
            kind::BATCH => Entry::Batch(Batch::decode(payload)?),
            kind::PLAN => Entry::Plan(from_json(payload)?),
            kind::TICK => Entry::Tick,
            kind::DECISIONS => Entry::Decisions(from_json(payload)?),
            kind::DELIVERY => Entry::Delivery(from_json(payload)?),
            kind::TRAIL => Entry::Trail(from_json(payload)?),
            kind::LOSS => Entry::Loss(from_json(payload)?),
            kind::ARCHIVE_PLAN => Entry::ArchivePlan(from_json(payload)?),
            kind::ARCHIVE_DONE => Entry::ArchiveDone(from_json(payload)?),
            kind::SAMPLES => Entry::Samples(from_json(payload)?),
            kind::QUEUE => Entry::Queue(from_json(payload)?),
            kind::SHIPPED_TO => Entry::ShippedTo(from_json(payload)?),
            kind::PUT => Entry::Put(from_json(payload)?),
            kind::RELEASE => Entry::Release(from_json(payload)?),
            kind::RECORDS_PLAN => Entry::RecordsPlan(from_json(payload)?),
            kind::RECORDS_DONE => Entry::RecordsDone(from_json(payload)?),
            _ => {
                let [format, _] = kind.to_be_bytes();
                let newer = format > DATA_FORMAT;
                return Err(if newer {
                    EntryError::Newer { kind, format }
                } else {
                    EntryError::UnknownKind { kind, format }
                });
            }
        })
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("the model's types have string keys and finite numbers")
}

fn from_json<T: DeserializeOwned>(payload: &[u8]) -> Result<T, EntryError> {
    serde_json::from_slice(payload).map_err(|error| EntryError::Malformed { what: error.to_string() })
}

/// An entry with its place and time in the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its place.
    pub offset: Offset,
    /// When it was accepted. Never runs backwards from one offset to the next.
    pub time: Timestamp,
    /// The entry.
    pub entry: Entry,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_kind_names_the_format_that_has_it() {
        let error = Entry::decode(0x0342, b"").unwrap_err();
        assert_eq!(error, EntryError::Newer { kind: 0x0342, format: 3 });
        assert!(error.to_string().contains("data format 3"));
        assert!(matches!(Entry::decode(0x01ff, b""), Err(EntryError::UnknownKind { .. })));
        assert!(matches!(Entry::decode(0x0000, b""), Err(EntryError::UnknownKind { .. })));
    }

    #[test]
    fn bytes_that_do_not_fit_are_refused() {
        for kind in (0x0101..=0x010b).chain(0x0110..=0x0114) {
            if kind != kind::TICK {
                assert!(Entry::decode(kind, b"{").is_err(), "{kind:#x}");
            }
        }
    }
}
