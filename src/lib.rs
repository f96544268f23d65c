//! Watchbell: the one place where the crates meet.
//!
//! `cli` reads the command line, `run` is what `watchbell up` does, `agent` what `watchbell agent` does, `replay` is what it would have done, `init` what suits
//! real files, `backup` copies a data folder, `bench` how fast it is, `client` talks to another Watchbell, `aws` to AWS, `outside` looks at a running one, `out` is the only
//! writer to standard output.

pub mod agent;
#[cfg(feature = "aws")]
pub mod aws;
pub mod backup;
mod bench;
pub mod cli;
pub mod client;
mod failure;
mod init;
pub mod out;
mod outside;
pub mod replay;
pub mod run;

pub use failure::{ExitStatus, Failure};
