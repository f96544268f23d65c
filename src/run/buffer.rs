//! What an agent has not shipped yet: derived from its journal, and empty everywhere else.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use watchbell_model::{Entry, Offset, Record};

use super::puts::Puts;

/// Entries are counted together up to so many bytes: a full buffer is not a list of every batch in it.
const PART_BYTES: u64 = 256 * 1024;

/// What an entry takes beside its text, about.
const HEAD_BYTES: u64 = 256;

/// What waits to be shipped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buffer {
    /// Everything before this is shipped; `None`: this is no agent.
    next: Option<Offset>,
    /// The last entry of each part, and the bytes of the part.
    parts: VecDeque<(Offset, u64)>,
    bytes: u64,
    #[serde(default, skip_serializing_if = "Puts::is_empty")]
    puts: Puts,
}

impl Buffer {
    /// Takes note of a record.
    pub fn apply(&mut self, record: &Record) {
        if let Entry::ShippedTo(next) = record.entry {
            self.next = Some(next);
            self.puts.shipped();
            while let Some((_, bytes)) = self.parts.pop_front_if(|(last, _)| *last < next) {
                self.bytes -= bytes;
            }
        } else if let Entry::Put(put) = &record.entry {
            self.puts.put(put);
        } else if self.next.is_some() && Entry::is_shipped(record.entry.kind()) {
            let bytes = record.entry.rest().len() as u64 + HEAD_BYTES;
            self.bytes += bytes;
            match self.parts.back_mut().filter(|(_, known)| *known < PART_BYTES) {
                Some(part) => *part = (record.offset, part.1 + bytes),
                None => self.parts.push_back((record.offset, bytes)),
            }
        }
    }

    /// Everything before this is shipped; `None`: this is no agent, or one that has not begun.
    pub fn next(&self) -> Option<Offset> {
        self.next
    }

    /// What was put into CloudWatch Logs.
    pub fn puts(&self) -> &Puts {
        &self.puts
    }

    /// Bytes that wait, about: never less than there are.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use watchbell_model::{Batch, BatchBuilder, EventFlags, GroupName, Source, Timestamp};

    use super::*;

    fn batch(bytes: usize) -> Batch {
        let mut builder = BatchBuilder::default();
        builder.push(&"x".repeat(bytes), None, EventFlags::default());
        let source = Source::Http { principal: "loopback".into(), batch_id: None };
        builder.build(GroupName::new("g").unwrap(), "s".into(), source, false)
    }

    #[test]
    fn what_is_shipped_waits_no_more() {
        let mut buffer = Buffer::default();
        let apply = |buffer: &mut Buffer, offset, entry| {
            buffer.apply(&Record { offset: Offset(offset), time: Timestamp(0), entry });
        };
        apply(&mut buffer, 0, Entry::Batch(batch(100)));
        assert_eq!((buffer.next(), buffer.bytes()), (None, 0), "no agent");
        apply(&mut buffer, 1, Entry::ShippedTo(Offset(1)));
        for offset in 2..6 {
            apply(&mut buffer, offset, Entry::Batch(batch(200 * 1024)));
        }
        apply(&mut buffer, 6, Entry::Tick);
        let full = buffer.bytes();
        assert!(full >= 4 * 200 * 1024, "{full}");
        apply(&mut buffer, 7, Entry::ShippedTo(Offset(3)));
        assert_eq!(buffer.bytes(), full, "a part is counted until all of it is shipped");
        apply(&mut buffer, 8, Entry::ShippedTo(Offset(4)));
        assert!(buffer.bytes() < full);
        apply(&mut buffer, 9, Entry::ShippedTo(Offset(6)));
        assert_eq!((buffer.next(), buffer.bytes()), (Some(Offset(6)), 0));
    }
}
