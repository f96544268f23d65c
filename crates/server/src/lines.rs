//! A request's body as log events.
//!
//! Promise: bad input never loses what was good. Every line that is not empty becomes one event, in order; what had
//! to be changed is flagged on the event and counted. Pure: bytes in, events out.

use std::str;

use serde::Serialize;
use watchbell_model::{BatchBuilder, EventFlags, LINE_BYTES_MAX, Timestamp};

/// Most bytes that one request may take in the journal: an entry's 16 MiB less room for its head.
///
/// Reached by bodies of [`crate::BODY_BYTES_MAX`] only if their lines are very short or hold many bytes that are not
/// UTF-8.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024 - 64 * 1024;

/// What an event takes beside its text: line feed, end, timestamp, flags.
const EVENT_BYTES: usize = 1 + 4 + 8 + 1;

/// The events of a body and what happened to its lines.
#[derive(Debug)]
pub(crate) struct Lines {
    pub(crate) events: BatchBuilder,
    pub(crate) counts: Counts,
}

/// What happened to the lines of a body. Part of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Lines without a byte; not kept.
    pub(crate) empty_lines: usize,
    /// Of lines that should be JSON: those that are not, as kept.
    pub(crate) not_json: usize,
    /// Lines longer than [`LINE_BYTES_MAX`].
    pub(crate) cut_lines: usize,
    /// Bytes that were cut off, counted after the repair.
    pub(crate) dropped_bytes: usize,
    /// Kept lines in which bytes that are not UTF-8 were replaced.
    pub(crate) repaired_lines: usize,
}

/// The events would take more than [`BATCH_BYTES_MAX`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// Splits a body into events. A line ends at a line feed, one carriage return before it is stripped; the last line
/// may do without. `json` asks for the lines that are not JSON to be counted; `timestamp` finds the time in a line.
pub(crate) fn split(
    body: &[u8],
    json: bool,
    timestamp: impl Fn(&str) -> Option<Timestamp>,
) -> Result<Lines, TooLarge> {
    let mut lines = Lines { events: BatchBuilder::default(), counts: Counts::default() };
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        lines.add(without_end(line), json, &timestamp);
        if lines.events.text_bytes() + lines.events.len() * (EVENT_BYTES - 1) > BATCH_BYTES_MAX {
            return Err(TooLarge);
        }
    }
    Ok(lines)
}

fn without_end(line: &[u8]) -> &[u8] {
    match line.strip_suffix(b"\n") {
        Some(ended) => ended.strip_suffix(b"\r").unwrap_or(ended),
        None => line,
    }
}

impl Lines {
    fn add(&mut self, line: &[u8], json: bool, timestamp: &impl Fn(&str) -> Option<Timestamp>) {
        if line.is_empty() {
            self.counts.empty_lines += 1;
            return;
        }
        let text = String::from_utf8_lossy(line);
        let kept = &text[..text.floor_char_boundary(LINE_BYTES_MAX)];
        let mut flags = EventFlags::default();
        if kept.len() < text.len() {
            flags = flags.with(EventFlags::CUT);
            self.counts.cut_lines += 1;
            self.counts.dropped_bytes += text.len() - kept.len();
        }
        if str::from_utf8(line).is_err_and(|error| error.valid_up_to() < kept.len()) {
            flags = flags.with(EventFlags::REPAIRED);
            self.counts.repaired_lines += 1;
        }
        if json && serde_json::from_str::<serde::de::IgnoredAny>(kept).is_err() {
            self.counts.not_json += 1;
        }
        self.events.push(kept, timestamp(kept), flags);
    }
}
