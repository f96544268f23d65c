//! Logs and filter patterns that are made up, for benches, and how matching them is measured.
//!
//! Promise: the same for the same seed, on every machine. Not here: real logs, which say more and cannot be handed on.
//! Start at [`Corpus`] for the logs, [`rules`] for the patterns, [`matching`] for the measuring.

mod corpus;
pub mod cpu;
mod machine;
pub mod matching;
pub mod mtail;
mod random;
pub mod rules;

pub use corpus::{Batch, Corpus};
pub use machine::machine;
