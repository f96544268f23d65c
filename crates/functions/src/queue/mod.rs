//! A queue is a view over the journal: messages are items of entries that stand there anyway, and its state is which of
//! them were received, until when they are hidden, and which were given up.
//!
//! Semantics are those of Amazon SQS (standard queues): at least once, in no promised order, a visibility timeout for
//! each receive, a receive count, dead letters, a retention from the time of enqueuing.
//!
//! [`View`] is the state of one queue and changes by [`View::enqueue`] and [`View::apply`] only; [`Draft`] decides what is
//! to be journaled next and changes nothing.

mod body;
mod draft;
mod event;
mod message;
mod receipt;
mod view;
mod views;

pub use body::body;
pub use draft::{Completed, Copying, Draft, Drafted, Dying, Leases, Refused, Releasing};
pub use event::state_change;
pub use message::{MESSAGE_EVENTS_MAX, MESSAGE_TEXT_BYTES_MAX, Message, messages};
pub use receipt::Receipt;
pub use view::{Dead, Figures, Limits, Place, Totals, View, ViewSnapshot};
pub use views::{Views, ViewsSnapshot};

/// Most messages of one receive. Source: Amazon SQS API Reference, `ReceiveMessage`, `MaxNumberOfMessages`.
pub const RECEIVE_MAX: usize = 10;

/// Bytes of text in one receive, unless its first message alone has more.
pub const RECEIVE_TEXT_BYTES_MAX: u64 = 1024 * 1024;

/// Longest visibility timeout, and longest time that one receive can hide a message, in milliseconds: twelve hours.
///
/// Source: Amazon SQS API Reference, `ChangeMessageVisibility`.
pub const VISIBILITY_TIMEOUT_MS_MAX: i64 = 12 * 3_600_000;
