//! Queues over the journal: what their messages are, what may happen to them next, and what they hold; and what
//! functions make of these messages.
//!
//! Promise: a queue's state changes only by records of the journal, in order, so that the same journal gives the same
//! queues; what is decided is decided from that state and a time that is handed in.
//! Not here: clocks, files, threads, waiting, HTTP (the broker and the workers in `src/run`, and `server`).
//!
//! Start at [`queue::Views::apply`], [`queue::Draft`] and [`process::Program`].

pub mod process;
pub mod queue;
