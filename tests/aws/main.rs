//! The client of AWS against an emulator: stacks made, changed and taken down through change sets, then looked at with
//! another client.
//!
//! `cargo xtask test` installs the emulator and runs this in a network of its own, because the emulator opens ports on
//! every address. What it cannot prove is in docs/aws.md.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]

mod agent;
mod deploying;
mod emulated;
mod emulator;
mod rendered;
mod verbs;
