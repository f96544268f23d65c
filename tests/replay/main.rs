//! Replays, tests of rules and backtests: the program from outside, and laws of the virtual journal.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]

mod support;

mod archive;
mod backtest;
mod guides;
mod laws;
mod replay;
mod rule_tests;
