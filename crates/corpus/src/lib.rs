//! Logs and filter patterns that are made up, for benches.
//!
//! Promise: the same for the same seed, on every machine. Not here: real logs, which say more and cannot be handed on.
//! Start at [`Corpus`] for the logs, [`rules`] for the patterns.

mod corpus;
mod machine;
mod random;
pub mod rules;

pub use corpus::{Batch, Corpus};
pub use machine::machine;
