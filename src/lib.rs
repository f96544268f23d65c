//! Watchbell: the one place where the crates meet.
//!
//! `cli` reads the command line, `run` is what `watchbell up` does, `replay` is what it would have done, `init` what suits
//! real files, `bench` how fast it is, `outside` looks at a running one, `out` is the only writer to standard output.

mod bench;
pub mod cli;
mod failure;
mod init;
pub mod out;
mod outside;
pub mod replay;
pub mod run;

pub use failure::{ExitStatus, Failure};
