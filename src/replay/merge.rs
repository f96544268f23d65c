//! Many sources of lines as one, in the order of their arrival.
//!
//! A source is opened when its first line is due and closed after its last, so what overlaps in time is open together
//! and nothing else.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use watchbell_model::{EventFlags, Timestamp};

use super::archive::{ArchiveObject, ObjectLines};
use super::file::{FileLines, LogFile};
use super::{Line, StreamName};
use crate::Failure;

/// Where lines come from, not open yet.
pub enum Source {
    /// A file.
    File(LogFile),
    /// An object of the archive.
    Object(ArchiveObject),
}

/// An open source that stands at a line.
enum Lines {
    File(Box<FileLines>),
    Object(ObjectLines),
}

impl Source {
    /// When its first line arrives.
    pub(super) fn first(&self) -> Timestamp {
        match self {
            Source::File(file) => file.first(),
            Source::Object(object) => object.first(),
        }
    }

    /// How much there is to read, in bytes.
    pub fn bytes(&self) -> u64 {
        match self {
            Source::File(file) => file.bytes(),
            Source::Object(object) => object.bytes(),
        }
    }

    fn open(self) -> Result<Option<Lines>, Failure> {
        let mut lines = match self {
            Source::File(file) => Lines::File(Box::new(file.open()?)),
            Source::Object(object) => Lines::Object(object.open()?),
        };
        Ok(lines.advance()?.then_some(lines))
    }
}

impl Lines {
    /// Goes on to the next line; false after the last.
    fn advance(&mut self) -> Result<bool, Failure> {
        match self {
            Lines::File(file) => file.advance(),
            Lines::Object(object) => object.advance(),
        }
    }

    fn line(&self) -> Line<'_> {
        match self {
            Lines::File(file) => file.line(),
            Lines::Object(object) => object.line(),
        }
    }

    fn read_bytes(&self) -> u64 {
        match self {
            Lines::File(file) => file.read_bytes(),
            Lines::Object(object) => object.read_bytes(),
        }
    }
}

/// One run over all lines.
pub struct Merge {
    /// By first arrival, the earliest at the end.
    waiting: Vec<Source>,
    open: Vec<Option<Lines>>,
    /// Arrival of the line that each open source stands at, earliest first; equal ones in the order of opening.
    due: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// Bytes of sources that have been closed.
    closed_bytes: u64,
}

/// What a line says to the one who walks.
pub enum Walk {
    /// Go on.
    On,
    /// This is enough.
    Stop,
}

impl Merge {
    /// All lines of `sources`.
    pub fn new(mut sources: Vec<Source>) -> Merge {
        // Stable: sources that begin together keep their order.
        sources.reverse();
        sources.sort_by_key(|source| Reverse(source.first()));
        Merge { waiting: sources, open: Vec::new(), due: BinaryHeap::new(), closed_bytes: 0 }
    }

    /// When the first line arrives.
    pub fn first(&self) -> Option<Timestamp> {
        self.waiting.last().map(Source::first)
    }

    /// Shows every line to `see`, with how many bytes have been read so far.
    ///
    /// # Errors
    /// What reading or `see` fails with.
    pub fn walk(
        mut self,
        mut see: impl FnMut(&Line<'_>, u64) -> Result<Walk, Failure>,
    ) -> Result<(), Failure> {
        loop {
            self.open_due()?;
            let Some(Reverse((_, index))) = self.due.pop() else { return Ok(()) };
            let next = self.due.peek().map(|Reverse((arrival, _))| *arrival);
            let next = next.into_iter().chain(self.first()).min();
            let lines = self.open[index].as_mut().expect("what is due is open");
            loop {
                let line = lines.line();
                if next.is_some_and(|next| line.arrival > next) {
                    self.due.push(Reverse((line.arrival, index)));
                    break;
                }
                if matches!(see(&line, self.closed_bytes + lines.read_bytes())?, Walk::Stop) {
                    return Ok(());
                }
                if !lines.advance()? {
                    self.closed_bytes += lines.read_bytes();
                    self.open[index] = None;
                    break;
                }
            }
        }
    }

    /// Opens every source whose first line is due before or with the earliest line so far.
    fn open_due(&mut self) -> Result<(), Failure> {
        while let Some(first) = self.first() {
            if self.due.peek().is_some_and(|Reverse((arrival, _))| *arrival < first) {
                return Ok(());
            }
            let Some(source) = self.waiting.pop() else { return Ok(()) };
            let Some(lines) = source.open()? else { continue };
            self.due.push(Reverse((lines.line().arrival, self.open.len())));
            self.open.push(Some(lines));
        }
        Ok(())
    }
}

/// A line that a source stands at, owned by the source.
pub(super) struct Current {
    pub(super) origin: Arc<StreamName>,
    pub(super) arrival: Timestamp,
    pub(super) timestamp: Timestamp,
    pub(super) flags: EventFlags,
    pub(super) text: String,
}

impl Current {
    pub(super) fn line(&self) -> Line<'_> {
        Line {
            origin: &self.origin,
            arrival: self.arrival,
            timestamp: self.timestamp,
            flags: self.flags,
            text: &self.text,
        }
    }
}
