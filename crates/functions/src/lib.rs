//! Queues over the journal: what their messages are, what may happen to them next, and what they hold.
//!
//! Promise: a queue's state changes only by records of the journal, in order, so that the same journal gives the same
//! queues; what is decided is decided from that state and a time that is handed in.
//! Not here: clocks, files, threads, waiting, HTTP (the broker in `src/run`, and `server`); programs that process
//! messages.
//!
//! Start at [`queue::Views::apply`] and [`queue::Draft`].

pub mod queue;
