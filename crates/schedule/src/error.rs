//! Why a schedule was refused: the part, the reason, the place and the way out.

use std::fmt;
use std::ops::Range;

/// Which part of a schedule was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `cron(…)` or `at(…)`.
    Expression,
    /// How long it is active.
    Duration,
    /// The time zone.
    Zone,
    /// From when to when the schedule counts.
    Limits,
}

/// A refused schedule.
///
/// `message` says the rule that was broken, `span` the bytes of the text of `part` that broke it (empty when
/// something is missing at that place, or `part` is no text), `help` what to write instead. `Display` prints the
/// message alone: the caller knows the file and line to print beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleError {
    /// Which part it is about.
    pub part: Part,
    /// The broken rule, lower case, without a full stop.
    pub message: String,
    /// Where, in bytes of the text that was given; both ends are character boundaries.
    pub span: Range<usize>,
    /// What to write instead.
    pub help: String,
}

impl ScheduleError {
    pub(crate) fn new(
        part: Part,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { part, message: message.into(), span, help: help.into() }
    }
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for ScheduleError {}
