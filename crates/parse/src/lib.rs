//! What a line says about itself: when it happened, how grave it is, which fields it has.
//!
//! Promise: every text gives an answer, at a cost that grows with its length only; nothing is invented: what a line
//! does not say stays `None` or [`Severity::Unknown`]. The same line gives the same answer, for ever within a format.
//! Not here: what counts when a line says nothing (the arrival time, the caller's choice), clocks, filter patterns,
//! which see the text and never these fields.

mod access;
mod json;
mod level;
mod time;

use watchbell_model::{ParseKind, Severity, Timestamp};

/// All that a line says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// When it happened; the same as [`timestamp`] gives.
    pub timestamp: Option<Timestamp>,
    /// How grave it is; [`Severity::Unknown`] if nothing tells.
    pub severity: Severity,
    /// Its fields as one JSON object without needless spaces; `None` if it does not have the form of its kind.
    pub fields: Option<String>,
}

/// When the line happened, by its own words, in milliseconds; finer parts are cut off.
///
/// - `Plain`: never.
/// - `Combined`: the part in brackets, `[17/May/2015:10:05:03 +0000]`, also of a line that is otherwise odd.
/// - `Json`: the first of `timestamp`, `time`, `ts`, `@timestamp`, `eventTime`, `datetime` and `date`, in this order,
///   at the object's top, that holds a time: RFC 3339 with a zone; `2026-11-22 21:11:52.125`, taken as UTC; or a
///   number since the epoch, in the unit that puts it between the years 1973 and 5138: seconds, milliseconds,
///   microseconds or nanoseconds. Times before 1970 are no log's times: `0001-01-01T00:00:00Z` means "not set".
pub fn timestamp(kind: ParseKind, line: &str) -> Option<Timestamp> {
    match kind {
        ParseKind::Plain => None,
        ParseKind::Combined => access::timestamp(line),
        ParseKind::Json => json::walk(line)?.timestamp(),
    }
}

/// Time, severity and fields of the line.
///
/// - `Plain`: no fields; the severity is the first level word, see below.
/// - `Combined`: fields `ip identity user time method path protocol status size`, in a combined line also
///   `referer user_agent`; texts stand as in the line, escapes included, `-` becomes `null`. A request that is not
///   three words is kept whole as `request` in place of `method path protocol`. Severity from the status: 5xx is
///   error, 4xx warn, others info.
/// - `Json`: the object itself, key order, numbers and repeated keys as they stand. Severity from the first of
///   `level`, `severity`, `lvl`, `log.level` (one key or nested) and `loglevel` that names one.
///
/// A line that does not have its kind's form is read as `Plain`, but keeps the time of its brackets.
///
/// Level words of plain text are looked for in the first 256 bytes: in capitals anywhere as a whole word, in any
/// case as `[error]`, `error: ` or after a key: `level=error`. Counts (`0 errors`, `error_count=0`) are none.
pub fn parse(kind: ParseKind, line: &str) -> Parsed {
    match kind {
        ParseKind::Plain => plain(line, None),
        ParseKind::Combined => access::parse(line).unwrap_or_else(|| plain(line, access::timestamp(line))),
        ParseKind::Json => json::parse(line).unwrap_or_else(|| plain(line, None)),
    }
}

fn plain(line: &str, timestamp: Option<Timestamp>) -> Parsed {
    Parsed { timestamp, severity: level::of_text(line), fields: None }
}
