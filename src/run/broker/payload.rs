//! Payloads of messages, read back from the journal.

use std::sync::Arc;

use serde_json::Value;
use watchbell_functions::process::Input;
use watchbell_functions::queue::{Place, body};
use watchbell_journal::{JournalError, Reader, Readers};
use watchbell_model::{
    Entry, EntryError, InstallationId, MessageId, Offset, Plan, QueueChange, Record, Timestamp,
};

/// Readers that are kept where they stand: each queue reads on, and a little comes back from further behind.
const READERS_KEPT: usize = 4;

/// How many entries a reader that stands before the one wanted passes; to find one, a fresh reader passes a segment.
const PASSED_MAX: u64 = 10_000;

/// Why a payload cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("entry {offset}: {error}")]
    Entry { offset: Offset, error: EntryError },
    #[error("entry {offset} does not hold what the queue says")]
    Missing { offset: Offset },
}

/// Reads entries of the journal in nearly any order; those that were just read, and the ones after them, cheaply.
pub struct Payloads {
    readers: Readers,
    installation: InstallationId,
    /// The one used last stands last.
    kept: Vec<Reader>,
    last: Option<Arc<Record>>,
}

impl Payloads {
    /// Of the journal that `readers` read.
    pub fn new(readers: Readers, installation: InstallationId) -> Payloads {
        Payloads { readers, installation, kept: Vec::new(), last: None }
    }

    /// The record at `offset`, which is on disk.
    ///
    /// # Errors
    /// The journal does not give it.
    pub fn record(&mut self, offset: Offset) -> Result<Arc<Record>, Trouble> {
        if let Some(last) = self.last.as_ref().filter(|last| last.offset == offset) {
            return Ok(Arc::clone(last));
        }
        let before =
            |reader: &Reader| (reader.next_offset()..=reader.next_offset() + PASSED_MAX).contains(&offset.0);
        let nearest = (0..self.kept.len())
            .filter(|at| before(&self.kept[*at]))
            .max_by_key(|at| self.kept[*at].next_offset());
        let mut reader = match nearest {
            Some(at) => self.kept.remove(at),
            None => self.readers.reader(offset.0)?,
        };
        let entry = loop {
            let entry = reader.next()?.ok_or(Trouble::Missing { offset })?;
            if entry.offset == offset.0 {
                break entry;
            }
        };
        if self.kept.len() == READERS_KEPT {
            self.kept.remove(0);
        }
        self.kept.push(reader);
        let decoded = Entry::decode(entry.kind, &entry.payload);
        let entry_time = Timestamp(entry.time_ms);
        let entry = decoded.map_err(|error| Trouble::Entry { offset, error })?;
        let record = Arc::new(Record { offset, time: entry_time, entry });
        self.last = Some(Arc::clone(&record));
        Ok(record)
    }

    /// The plan that stands at `offset`.
    ///
    /// # Errors
    /// There is none.
    pub fn plan(&mut self, offset: Offset) -> Result<Plan, Trouble> {
        match &self.record(offset)?.entry {
            Entry::Plan(plan) => Ok((**plan).clone()),
            _ => Err(Trouble::Missing { offset }),
        }
    }

    /// The payload of `message`, from `copy` if it has been copied.
    ///
    /// # Errors
    /// It is not there.
    pub fn body(&mut self, message: MessageId, copy: Option<Place>) -> Result<Value, Trouble> {
        let payload = self.payload(message, copy)?;
        payload.body(message, self.installation).ok_or(Trouble::Missing { offset: message.offset })
    }

    /// The same, to be made out by whoever gets it.
    ///
    /// # Errors
    /// It is not there.
    pub fn payload(&mut self, message: MessageId, copy: Option<Place>) -> Result<Payload, Trouble> {
        let Some(Place { entry, change }) = copy else {
            return self.record(message.offset).map(Payload::Entry);
        };
        let record = self.record(entry)?;
        let changes = record.entry.queue_changes().ok_or(Trouble::Missing { offset: entry })?;
        match changes.changes.get(change as usize) {
            Some(QueueChange::Dead(letter)) if letter.message == message => {
                Ok(Payload::Copy(letter.body.clone()))
            }
            Some(QueueChange::Copied { message: of, body }) if *of == message => {
                Ok(Payload::Copy(body.clone()))
            }
            _ => Err(Trouble::Missing { offset: entry }),
        }
    }
}

/// Where the payload of a message is.
pub enum Payload {
    /// In its entry.
    Entry(Arc<Record>),
    /// Copied when it became a dead letter.
    Copy(Value),
}

impl Payload {
    /// The payload of `message`; `None` if it is not here.
    pub fn body(&self, message: MessageId, installation: InstallationId) -> Option<Value> {
        match self {
            Payload::Entry(record) => body(record, message, installation),
            Payload::Copy(body) => Some(body.clone()),
        }
    }

    /// The events of `message`, for a function; `None` if they are not here.
    pub fn input(&self, message: MessageId, installation: InstallationId) -> Option<Input<'_>> {
        match self {
            Payload::Entry(record) => Input::of_record(record, message, installation),
            Payload::Copy(body) => Input::of_body(body),
        }
    }
}
