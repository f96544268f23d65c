//! What a function's worker asks the broker: the same as a worker over HTTP, and to complete a message together with
//! what was raised of it.

use serde_json::Value;
use tokio::sync::oneshot;
use watchbell_model::{Batch, BatchBuilder, GroupName, MessageId, QueueChanges, Sample, Source, Timestamp};
use watchbell_server::QueueError;

use super::Payload;

/// A message that a worker has received.
pub struct Delivered {
    /// The message.
    pub message: MessageId,
    /// Its handle.
    pub receipt: String,
    /// How often it was received, this time included.
    pub receives: u32,
    /// When it was enqueued: with the message's name, which of its lives this is.
    pub enqueued: Timestamp,
    /// Until when it is hidden from others.
    pub until: Timestamp,
    /// Where its payload is.
    pub payload: Payload,
}

/// What a worker has made of a message.
pub struct Done {
    /// The handle.
    pub receipt: String,
    /// The function.
    pub function: String,
    /// Events that failed, as messages of their own, with payload and reason.
    pub dead: Vec<(MessageId, Value, String)>,
    /// Values of metrics.
    pub samples: Vec<Sample>,
    /// Events for a log group, if any.
    pub raised: Option<Raised>,
}

/// Events that a message became.
pub struct Raised {
    /// Where they go.
    pub group: GroupName,
    /// They.
    pub events: BatchBuilder,
    /// How many functions had a hand in them, this one included.
    pub hops: u32,
    /// They are of before their source's group was first watched.
    pub backfill: bool,
}

impl Raised {
    /// The batch, which says what becomes of the message.
    pub(super) fn batch(self, function: String, message: MessageId, done: QueueChanges) -> Batch {
        let Raised { group, events, hops, backfill } = self;
        let stream = format!("function/{function}");
        events.build(
            group,
            stream,
            Source::Function { function, message, hops, done: Box::new(done) },
            backfill,
        )
    }
}

/// What became of a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completes {
    /// It is on disk, and counts.
    Done,
    /// The message was offered to somebody else meanwhile: nothing was done.
    TooLate,
    /// There are too many dead letters: nothing was done.
    NoRoom,
}

/// What a worker asks.
pub enum Work {
    /// A message; waits for one up to so many milliseconds.
    Receive {
        /// The queue.
        queue: String,
        /// How long to wait.
        wait_ms: i64,
        /// How long it is hidden.
        visibility_timeout_ms: Option<i64>,
        /// Where it goes; nothing if none came.
        reply: oneshot::Sender<Result<Vec<Delivered>, QueueError>>,
    },
    /// To complete a message.
    Complete {
        /// The queue.
        queue: String,
        /// What was made of it.
        done: Box<Done>,
        /// What became of it.
        reply: oneshot::Sender<Result<Completes, QueueError>>,
    },
}
