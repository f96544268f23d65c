//! What the server asks of the process it runs in.
//!
//! Two implementers: the binary's, and the recorder of this crate's tests.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;
use watchbell_intake::{Joiner, Redactor};
use watchbell_model::{Action, Batch, Entry, EventId, GroupName, Offset, ShipmentHead, Timestamp};

use crate::{AccessInForce, TurnedAway};

/// A future on the heap that any thread may drive.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The process behind the routes.
///
/// All methods but [`Host::ingest`], [`Host::ship`] and [`Host::queue`] answer from memory and at once: they are called on the threads that serve
/// connections.
pub trait Host: Send + Sync + 'static {
    /// Roles, tokens and their values as they are now. Asked for each request, so a reload takes effect with the
    /// next one.
    fn access(&self) -> Arc<AccessInForce>;

    /// How lines of this log group are read; `None` if no such group is configured.
    fn group(&self, name: &str) -> Option<GroupInForce>;

    /// The log groups that take log records of OpenTelemetry, and of which services: names, or with `*` for any run of
    /// characters.
    fn otlp_services(&self) -> Vec<(String, Vec<String>)>;

    /// Tells that so many log records were rejected; the first was of this service. Must not wait.
    fn otlp_rejected(&self, records: u64, service: &str);

    /// Names of all configured log groups, for an answer that helps.
    fn group_names(&self) -> Vec<String>;

    /// Accepts a batch, which has at least one event; resolves after it is on disk.
    ///
    /// The future is dropped when the caller goes away or [`crate::DRAIN_TIMEOUT`] has passed. The batch may then be
    /// stored or not, and nobody was told: a caller that wants to know sends it again under the same batch id.
    fn ingest(&self, batch: Batch) -> BoxFuture<'static, Result<Accepted, IngestError>>;

    /// Takes in what an agent sent, all of it or nothing; resolves after it is on disk. What it has sent before is not
    /// stored again. Without entries it only tells how the agent is.
    ///
    /// The future may be dropped as that of [`Host::ingest`].
    fn ship(&self, received: Received) -> BoxFuture<'static, Result<ShipAccepted, IngestError>>;

    /// Does something with a queue; resolves after it is on disk. What comes back is the answer's body.
    ///
    /// When the future of a receive is dropped before a message was handed out, none is.
    fn queue(&self, ask: QueueAsk) -> BoxFuture<'static, Result<Value, QueueError>>;

    /// What each queue holds, as it is told, by name.
    fn queue_figures(&self) -> BTreeMap<String, Value>;

    /// Tells of a call that was denied for want of a token or a role, for the audit trail. Must not wait.
    fn denied(&self, denied: Denied);

    /// Tells of a connection that was turned away before any request. Must not wait.
    fn turned_away(&self, peer: IpAddr, why: &TurnedAway);

    /// Whether the process does its work.
    ///
    /// # Errors
    /// Says what is not ready, in words for the operator.
    fn ready(&self) -> Result<(), String>;

    /// The metrics as `OpenMetrics` 1.0 text, its `# EOF` included.
    fn metrics(&self) -> String;

    /// The followed files as JSON: `{"sources":[…]}`.
    fn sources(&self) -> String;

    /// How functions do, as JSON: `{"functions":[…]}`.
    fn functions(&self) -> String;
}

/// The time in a line, if it has one.
pub type TimestampOf = Arc<dyn Fn(&str) -> Option<Timestamp> + Send + Sync>;

/// A configured log group, as far as taking events in needs it.
#[derive(Clone)]
pub struct GroupInForce {
    /// Its name.
    pub name: GroupName,
    /// Reads the times of lines that arrive now; `None`: nobody needs them.
    pub timestamp: Option<TimestampOf>,
    /// Takes out what must not be stored.
    pub redactor: Arc<Redactor>,
    /// Log records of OpenTelemetry become JSON with everything they have; else they are their body.
    pub whole_records: bool,
    /// Puts the lines of a body together into events; `None`: each is one.
    pub joiner: Option<Arc<Joiner>>,
}

/// A batch that is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The id of its first event, if it is known.
    pub first_event_id: Option<EventId>,
    /// The entry that holds it.
    pub offset: Offset,
    /// How many events that entry holds.
    pub events: usize,
    /// The same batch id had been accepted before; nothing was stored now.
    pub duplicate: bool,
}

/// What an agent sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// Who sent it: `token NAME`, or `loopback`.
    pub principal: String,
    /// Which agent, and how it is.
    pub head: ShipmentHead,
    /// Batches and losses that say [`watchbell_model::Shipped`], in order.
    pub entries: Vec<Entry>,
}

/// A shipment that is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShipAccepted {
    /// Events that were stored now.
    pub events: usize,
    /// Everything in it had been stored before.
    pub duplicate: bool,
}

/// Why a batch was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// Too much is waiting for the disk. Nothing was stored; the same batch is welcome later. Answered 503.
    #[error("too many batches wait for the disk")]
    Overloaded,
    /// The disk is full. Nothing was stored; the same batch is welcome when there is room. Answered 507.
    #[error("the disk of data_dir has less than 64 MiB free")]
    NoSpace,
    /// The journal is as large as it may become and nothing of it may go; says why. Nothing was stored; the same batch is
    /// welcome later. Answered 507.
    #[error("{0}")]
    JournalFull(String),
    /// The process is ending. Nothing was stored. Answered 503.
    #[error("watchbell is stopping")]
    Stopping,
    /// This batch will not be accepted, now or later; says why. Nothing was stored. Answered 422.
    #[error("{0}")]
    Refused(String),
    /// The disk failed; says how. Whether the batch is stored is not known. Answered 500.
    #[error("{0}")]
    Failed(String),
}

/// A call that was denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The caller's token, by name; `None` if it showed none that is known.
    pub token: Option<String>,
    /// What it wanted to do; `None` for a route that needs no more than a token.
    pub action: Option<Action>,
    /// To what: a log group's name as the caller wrote it, at most 512 characters, or `watchbell`.
    pub resource: String,
    /// Why not.
    pub reason: DeniedReason,
}

/// Why a call was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeniedReason {
    /// There was no `Authorization: Bearer …`. Answered 401.
    NoToken,
    /// No token has the value it showed. Answered 401.
    UnknownToken,
    /// None of its roles allows this action on this resource. Answered 403.
    NotAllowed,
}

impl DeniedReason {
    /// `no token`, `unknown token` or `not allowed`.
    pub fn as_str(self) -> &'static str {
        match self {
            DeniedReason::NoToken => "no token",
            DeniedReason::UnknownToken => "unknown token",
            DeniedReason::NotAllowed => "not allowed",
        }
    }
}

/// Something that a caller wants of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueAsk {
    /// The queue's name, as the caller wrote it.
    pub queue: String,
    /// Who wants it: `token NAME`, or `loopback`.
    pub principal: String,
    /// What.
    pub call: QueueCall,
}

/// What can be done with a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueCall {
    /// Hand out messages.
    Receive {
        /// How many at most, 1 to 10.
        max: usize,
        /// How long to wait for the first, in milliseconds, up to 20 s.
        wait_ms: i64,
        /// How long they are hidden, in milliseconds, up to 12 h; as the queue says if absent.
        visibility_timeout_ms: Option<i64>,
    },
    /// Delete received messages.
    Delete {
        /// Their receipt handles, 1 to 10.
        receipts: Vec<String>,
    },
    /// Hide received messages from now on.
    ChangeVisibility {
        /// Their receipt handles, 1 to 10.
        receipts: Vec<String>,
        /// For how long, in milliseconds, up to 12 h.
        visibility_timeout_ms: i64,
    },
    /// Offer dead letters again.
    Redrive {
        /// Their ids; all if absent.
        messages: Option<Vec<String>>,
    },
    /// Show dead letters.
    DeadLetters {
        /// Those after the one of this id.
        after: Option<String>,
        /// How many at most.
        max: usize,
    },
}

/// Why a queue does not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// No queue has this name. Answered 404.
    #[error("there is no such queue")]
    NoSuchQueue,
    /// It cannot be done, now or later. Nothing was changed. Answered 409.
    #[error("{message}")]
    Refused {
        /// For programs.
        code: &'static str,
        /// What is wrong.
        message: String,
        /// What to do.
        help: &'static str,
    },
    /// Too many messages are in flight; says how many. Answered 429.
    #[error("{0}")]
    OverLimit(String),
    /// Too many requests wait for queues. Answered 503.
    #[error("too many requests wait for queues")]
    Overloaded,
    /// The process is ending. Answered 503.
    #[error("watchbell is stopping")]
    Stopping,
    /// The disk failed; says how. Answered 500.
    #[error("{0}")]
    Failed(String),
}
