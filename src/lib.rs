//! Watchbell: the one place where the crates meet.
//!
//! `cli` reads the command line, `run` is what `watchbell up` does, `out` is the only writer to standard output.

pub mod cli;
mod failure;
pub mod out;
pub mod run;

pub use failure::{ExitStatus, Failure};
