//! A shipment: what an agent sends with one request. Entries of its journal, in order, as they stand there.
//!
//! Format 1, little-endian, before it is compressed: length (u32) and JSON of the head; then each entry as offset (u64),
//! time (i64, milliseconds), kind (u16), length (u32) and payload.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::entry::EntryError;
use crate::{Entry, GroupName, InstallationId, Offset, Timestamp};

/// The format that is written and read.
pub const SHIPMENT_FORMAT: u32 = 1;

/// Most entries of a shipment.
pub const SHIPMENT_ENTRIES_MAX: usize = 1024;

/// Largest head of a shipment, in bytes: it tells of some thousand files.
pub const SHIPMENT_HEAD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Who ships, and how it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShipmentHead {
    /// [`SHIPMENT_FORMAT`].
    pub format: u32,
    /// The agent.
    pub agent: InstallationId,
    /// What it is called, for people.
    pub host: String,
    /// Its version of Watchbell.
    pub version: String,
    /// When it was sent, by the agent's clock.
    pub sent_at: Timestamp,
    /// Bytes that wait to be shipped, those of this shipment included.
    pub waiting_bytes: u64,
    /// Log groups to be looked up even where no entry is for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupName>,
    /// The followed files as the agent sees them; absent: as told before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Value>,
}

/// An entry of the agent's journal.
#[derive(Clone, Debug, PartialEq)]
pub struct ShippedEntry {
    /// Its place there.
    pub offset: Offset,
    /// When it was accepted there.
    pub time: Timestamp,
    /// A batch or a loss.
    pub entry: Entry,
}

/// Why bytes are no shipment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShipmentError {
    /// Of another format.
    #[error("the shipment has format {format}; this Watchbell reads format {SHIPMENT_FORMAT}")]
    Format {
        /// What it has.
        format: u32,
    },
    /// An entry cannot be read.
    #[error("entry {offset} of the shipment: {error}")]
    Entry {
        /// Where it stands in the agent's journal.
        offset: Offset,
        /// What is wrong with it.
        error: EntryError,
    },
    /// The bytes are something else.
    #[error("not a readable shipment: {what}")]
    Malformed {
        /// What does not fit.
        what: String,
    },
}

/// A shipment being put together.
#[derive(Clone, Debug, Default)]
pub struct ShipmentBuilder {
    entries: Vec<u8>,
    count: usize,
}

impl ShipmentBuilder {
    /// Adds an entry as it stands in the journal; it must be behind those before it, and [`Entry::is_shipped`].
    pub fn push(&mut self, offset: Offset, time: Timestamp, kind: u16, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a journal's payload is less than 4 GiB");
        self.entries.extend(offset.0.to_le_bytes());
        self.entries.extend(time.0.to_le_bytes());
        self.entries.extend(kind.to_le_bytes());
        self.entries.extend(length.to_le_bytes());
        self.entries.extend(payload);
        self.count += 1;
    }

    /// How many entries were added.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none was added.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the entries so far.
    pub fn bytes(&self) -> usize {
        self.entries.len()
    }

    /// The bytes to send.
    pub fn build(&self, head: &ShipmentHead) -> Vec<u8> {
        let head = serde_json::to_vec(head).expect("a head has only texts and numbers");
        let length = u32::try_from(head.len()).expect("a head is less than 4 GiB");
        [&length.to_le_bytes()[..], &head, &self.entries].concat()
    }
}

/// What an agent sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Shipment {
    /// Who, and how it is.
    pub head: ShipmentHead,
    /// Batches and losses, each behind the one before.
    pub entries: Vec<ShippedEntry>,
}

impl Shipment {
    /// Reads what [`ShipmentBuilder::build`] made.
    ///
    /// # Errors
    /// [`ShipmentError`] says what does not fit.
    pub fn decode(bytes: &[u8]) -> Result<Shipment, ShipmentError> {
        let mut rest = bytes;
        let length = u32::from_le_bytes(take(&mut rest)?) as usize;
        if length > SHIPMENT_HEAD_BYTES_MAX {
            return Err(malformed(format!(
                "a head of {length} bytes, {SHIPMENT_HEAD_BYTES_MAX} is the limit"
            )));
        }
        let head = take_bytes(&mut rest, length)?;
        let head: Value = serde_json::from_slice(head).map_err(|error| malformed(error.to_string()))?;
        // Before the rest of it is looked at: another format has other fields.
        let format = head.get("format").and_then(Value::as_u64).unwrap_or(0);
        if format != u64::from(SHIPMENT_FORMAT) {
            return Err(ShipmentError::Format { format: u32::try_from(format).unwrap_or(u32::MAX) });
        }
        let head = serde_json::from_value(head).map_err(|error| malformed(error.to_string()))?;
        let mut entries: Vec<ShippedEntry> = Vec::new();
        while !rest.is_empty() {
            if entries.len() == SHIPMENT_ENTRIES_MAX {
                return Err(malformed(format!("more than {SHIPMENT_ENTRIES_MAX} entries")));
            }
            let entry = take_entry(&mut rest)?;
            if entries.last().is_some_and(|before| before.offset >= entry.offset) {
                return Err(malformed("entries are not in order"));
            }
            entries.push(entry);
        }
        Ok(Shipment { head, entries })
    }
}

fn take_entry(rest: &mut &[u8]) -> Result<ShippedEntry, ShipmentError> {
    let offset = Offset(u64::from_le_bytes(take(rest)?));
    let time = Timestamp(i64::from_le_bytes(take(rest)?));
    let kind = u16::from_le_bytes(take(rest)?);
    let length = u32::from_le_bytes(take(rest)?) as usize;
    let payload = take_bytes(rest, length)?;
    if !Entry::is_shipped(kind) {
        return Err(malformed(format!("entry {offset} is of kind {kind:#06x}, which no agent ships")));
    }
    let entry = Entry::decode(kind, payload).map_err(|error| ShipmentError::Entry { offset, error })?;
    Ok(ShippedEntry { offset, time, entry })
}

fn malformed(what: impl Into<String>) -> ShipmentError {
    ShipmentError::Malformed { what: what.into() }
}

fn take_bytes<'a>(rest: &mut &'a [u8], bytes: usize) -> Result<&'a [u8], ShipmentError> {
    let (taken, left) = rest.split_at_checked(bytes).ok_or_else(|| malformed("it ends too early"))?;
    *rest = left;
    Ok(taken)
}

fn take<const BYTES: usize>(rest: &mut &[u8]) -> Result<[u8; BYTES], ShipmentError> {
    let taken = take_bytes(rest, BYTES)?;
    Ok(taken.try_into().expect("so many bytes were taken"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{BatchBuilder, EventFlags, Loss, LossReason, Source};

    fn head() -> ShipmentHead {
        ShipmentHead {
            format: SHIPMENT_FORMAT,
            agent: InstallationId(*b"theagent"),
            host: "web-1".into(),
            version: "0.1".into(),
            sent_at: Timestamp(9),
            waiting_bytes: 7,
            groups: Vec::new(),
            sources: None,
        }
    }

    fn group() -> GroupName {
        GroupName::new("shop/app").unwrap()
    }

    fn batch(line: &str) -> Entry {
        let mut builder = BatchBuilder::default();
        builder.push(line, Some(Timestamp(5)), EventFlags::CUT);
        let source = Source::Http { principal: "loopback".into(), batch_id: None };
        Entry::Batch(builder.build(group(), "s".into(), source, true))
    }

    fn loss() -> Entry {
        Entry::Loss(Loss {
            group: group(),
            stream: "/a".into(),
            reason: LossReason::Truncated,
            bytes: 3,
            times: 1,
            shipped: None,
        })
    }

    fn built(entries: &[(u64, Entry)]) -> Vec<u8> {
        let mut builder = ShipmentBuilder::default();
        for (offset, entry) in entries {
            builder.push(Offset(*offset), Timestamp(8), entry.kind(), &entry.encode());
        }
        builder.build(&head())
    }

    #[test]
    fn what_was_shipped_comes_out() {
        let entries = [(3, batch("one")), (5, loss()), (6, batch(""))];
        let shipment = Shipment::decode(&built(&entries)).unwrap();
        assert_eq!(shipment.head, head());
        let seen: Vec<_> = shipment.entries.into_iter().map(|it| (it.offset.0, it.time, it.entry)).collect();
        assert_eq!(seen, entries.map(|(offset, entry)| (offset, Timestamp(8), entry)));
        assert!(Shipment::decode(&built(&[])).unwrap().entries.is_empty());
    }

    #[test]
    fn what_no_agent_ships_is_refused() {
        for (entries, why) in [
            (vec![(3, batch("one")), (3, batch("two"))], "not in order"),
            (vec![(3, Entry::Tick)], "which no agent ships"),
        ] {
            let error = Shipment::decode(&built(&entries)).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let newer = ShipmentBuilder::default().build(&ShipmentHead { format: 2, ..head() });
        assert_eq!(Shipment::decode(&newer), Err(ShipmentError::Format { format: 2 }));
        let many: Vec<_> = (0..=SHIPMENT_ENTRIES_MAX as u64).map(|offset| (offset, loss())).collect();
        assert!(Shipment::decode(&built(&many[1..])).is_ok());
        assert!(Shipment::decode(&built(&many)).is_err());
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..400_usize, flip in 0..400_usize) {
            let _ = Shipment::decode(&bytes);
            let mut good = built(&[(3, batch("one")), (5, loss())]);
            good.truncate(good.len().saturating_sub(cut));
            if let Some(byte) = good.get_mut(flip) {
                *byte ^= 0x41;
            }
            let _ = Shipment::decode(&good);
        }
    }
}
