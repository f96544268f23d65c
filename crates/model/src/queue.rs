//! Queues: what one is, what its messages are, and how it changes, as entries.
//!
//! A queue is a view over the journal: its messages are lines of batches and alarm state changes that stand there
//! already. Only what happens to them is written, and only by the broker.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::{InstallationId, Offset, Sample, Timestamp};

/// A queue as planned.
///
/// Source of the terms and bounds: Amazon SQS API Reference, `SetQueueAttributes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Log groups whose events it gets; `*` stands for any run of characters.
    pub log_groups: Vec<String>,
    /// Whether it gets the state changes of alarms.
    pub alarms: bool,
    /// How long a received message is hidden, in milliseconds, unless the receiver says otherwise.
    pub visibility_timeout_ms: i64,
    /// How often a message is received before it becomes a dead letter; at least 1.
    pub max_receives: u32,
    /// How long a message is kept from when it was enqueued, in milliseconds.
    pub retention_ms: i64,
    /// How long a dead letter is kept from when it was enqueued, in milliseconds; not less than `retention_ms`.
    pub dead_letter_retention_ms: i64,
}

/// A place in the order of all messages: an entry, and an item in it.
pub type Position = (Offset, u32);

/// Names a message within its data folder: some items of one entry.
///
/// Items are the lines of a batch or the decisions of a decisions entry. Prints as `17-0-3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    /// The entry.
    pub offset: Offset,
    /// The first item.
    pub first: u32,
    /// The last item, itself included.
    pub last: u32,
}

impl MessageId {
    /// Before or at every message: the lower end of a range.
    pub const FIRST: MessageId = MessageId { offset: Offset(0), first: 0, last: 0 };

    /// Where it begins.
    pub fn position(self) -> Position {
        (self.offset, self.first)
    }

    /// The first place behind it.
    pub fn end(self) -> Position {
        (self.offset, self.last.saturating_add(1))
    }

    /// The name outside of its data folder: `<installation>-<offset>-<first>-<last>`, padded so that text order is
    /// message order. The same for ever, so it serves as an idempotency key.
    pub fn name(self, installation: InstallationId) -> String {
        format!("{installation}-{:012}-{:06}-{:06}", self.offset.0, self.first, self.last)
    }

    /// The message of this name, if the name is of this installation.
    pub fn of_name(name: &str, installation: InstallationId) -> Option<MessageId> {
        let id = name.strip_prefix(&format!("{installation}-"))?.parse().ok()?;
        (MessageId::name(id, installation) == name).then_some(id)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.offset, self.first, self.last)
    }
}

impl FromStr for MessageId {
    type Err = String;

    fn from_str(text: &str) -> Result<MessageId, String> {
        let refused = || format!("{text:?} is not a message id");
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or_else(refused);
        let offset = Offset(next()?.parse().map_err(|_| refused())?);
        let first = next()?.parse().map_err(|_| refused())?;
        let last = next()?.parse().map_err(|_| refused())?;
        if parts.next().is_some() || first > last {
            return Err(refused());
        }
        Ok(MessageId { offset, first, last })
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A message that somebody has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The message.
    pub message: MessageId,
    /// When it was enqueued.
    pub enqueued: Timestamp,
    /// About how many bytes of text it has.
    pub bytes: u64,
    /// Which receive of the queue this was, from 1: only the newest one of a message may delete it.
    pub receipt: u64,
    /// Which receive of the message this was, from 1.
    pub receives: u32,
    /// When it was received.
    pub at: Timestamp,
    /// Until when it is hidden.
    pub until: Timestamp,
}

/// A message that will not be offered any more, with everything needed to understand it and to offer it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The message.
    pub message: MessageId,
    /// When it was enqueued.
    pub enqueued: Timestamp,
    /// About how many bytes of text it has.
    pub bytes: u64,
    /// How often it was received.
    pub receives: u32,
    /// When it was given up.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// Its payload, as it was offered.
    pub body: Value,
}

/// Something that happened to messages of a queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum QueueChange {
    /// It was handed out.
    Received(Lease),
    /// It is hidden until another time.
    Hidden {
        /// The message.
        message: MessageId,
        /// Until when.
        until: Timestamp,
    },
    /// It has been dealt with.
    Deleted {
        /// The message.
        message: MessageId,
    },
    /// It was received too often, or its function gave it up.
    Dead(Box<DeadLetter>),
    /// Dead letters are offered again, as if they had been enqueued now.
    Redriven {
        /// The messages.
        messages: Vec<MessageId>,
        /// When.
        at: Timestamp,
    },
    /// Messages that were received and not deleted are too old.
    Expired {
        /// The messages.
        messages: Vec<MessageId>,
    },
    /// Messages that were never received are too old: all that begin before a place.
    Passed {
        /// The place.
        next: Position,
        /// How many they were.
        messages: u64,
    },
    /// The payload of a dead letter, or of one that was redriven, stands here from now on: where it stood before is
    /// about to go.
    Copied {
        /// The message.
        message: MessageId,
        /// Its payload, as it was offered.
        body: Value,
    },
    /// Dead letters are too old.
    Forgotten {
        /// The messages.
        messages: Vec<MessageId>,
    },
}

/// What happened to one queue, as an entry, or in the head of a batch of events that a function raised.
/// No message is in two changes of one entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueChanges {
    /// The queue's name.
    pub queue: String,
    /// In the order in which it happened.
    pub changes: Vec<QueueChange>,
    /// What the function that deleted messages raised of them: it counts exactly as these changes do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Sample>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_read_back_and_their_names_sort_as_text() {
        let installation = InstallationId(*b"\x0f23456\x00\x01");
        let id = |offset, first, last| MessageId { offset: Offset(offset), first, last };
        let (a, b, c) = (id(9, 0, 999), id(10, 0, 0), id(10, 7, 9));
        assert!(a < b && a.name(installation) < b.name(installation) && b.end() < c.position());
        assert_eq!(c.to_string(), "10-7-9");
        assert_eq!(c.to_string().parse(), Ok(c));
        assert_eq!(MessageId::of_name(&c.name(installation), installation), Some(c));
        assert_eq!(MessageId::of_name(&c.name(installation), InstallationId([0; 8])), None);
        for wrong in ["", "1-2", "1-3-2", "1-2-3-4", "a-1-2"] {
            assert!(wrong.parse::<MessageId>().is_err(), "{wrong}");
        }
        let unpadded = format!("{installation}-10-7-9");
        assert_eq!(MessageId::of_name(&unpadded, installation), None, "one message has one name");
    }

    #[test]
    fn changes_read_back_from_json() {
        let message = MessageId { offset: Offset(3), first: 0, last: 1 };
        let lease = Lease {
            message,
            enqueued: Timestamp(1),
            bytes: 2,
            receipt: 3,
            receives: 4,
            at: Timestamp(5),
            until: Timestamp(6),
        };
        let letter = DeadLetter {
            message,
            enqueued: Timestamp(1),
            bytes: 2,
            receives: 5,
            at: Timestamp(7),
            reason: "received 5 times".into(),
            body: serde_json::json!({ "log_group": "a" }),
        };
        let changes = QueueChanges {
            queue: "events".into(),
            changes: vec![
                QueueChange::Received(lease),
                QueueChange::Hidden { message, until: Timestamp(9) },
                QueueChange::Deleted { message },
                QueueChange::Dead(Box::new(letter)),
                QueueChange::Redriven { messages: vec![message], at: Timestamp(8) },
                QueueChange::Expired { messages: vec![message] },
                QueueChange::Passed { next: message.end(), messages: 2 },
                QueueChange::Copied { message, body: serde_json::json!({ "log_group": "a" }) },
                QueueChange::Forgotten { messages: vec![message] },
            ],
            samples: Vec::new(),
        };
        let json = serde_json::to_string(&changes).unwrap();
        assert!(json.contains(r#""kind":"received","message":"3-0-1""#), "{json}");
        assert_eq!(serde_json::from_str::<QueueChanges>(&json).unwrap(), changes);
    }
}
