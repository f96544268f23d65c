//! What a line says about itself: when it happened, how grave it is, which fields it has.
//!
//! Promise: every text gives an answer, at a cost that grows with its length only; nothing is invented: what a line
//! does not say stays `None` or [`Severity::Unknown`]. The same line, arrived at the same time, gives the same answer on
//! every machine: time zones are the program's own.
//! Not here: what counts when a line says nothing (the arrival time, the caller's choice), clocks, filter patterns,
//! which see the text and never these fields.

mod access;
mod format;
mod json;
mod level;
mod logfmt;
mod members;
mod object;
mod syslog;
mod time;
mod timestamps;
mod zone;

pub use timestamps::{TimestampError, Timestamps, zone_names};

use watchbell_model::{ParseKind, Severity};

/// The host that a message of syslog names, in its old form or in that of RFC 5424.
pub fn syslog_host(line: &str) -> Option<&str> {
    syslog::host(line)
}

/// What a line says about itself beside its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// How grave it is; [`Severity::Unknown`] if nothing tells.
    pub severity: Severity,
    /// Its fields as one JSON object without needless spaces; `None` if it does not have the form of its kind.
    pub fields: Option<String>,
}

/// Severity and fields of the line.
///
/// - `Plain`: no fields; the severity is the first level word, see below.
/// - `Combined`: fields `ip identity user time method path protocol status size`, in a combined line also
///   `referer user_agent`; texts stand as in the line, escapes included, `-` becomes `null`. A request that is not
///   three words is kept whole as `request` in place of `method path protocol`. Severity from the status: 5xx is
///   error, 4xx warn, others info.
/// - `Json`: the object itself, key order, numbers and repeated keys as they stand. Severity from the first of
///   `level`, `severity`, `lvl`, `log.level` (one key or nested) and `loglevel` that names one.
///
/// - `Syslog`: fields `host program pid message`; lines without a tag such as `sshd[24200]:` have only the first and the
///   last; messages of RFC 5424 may also have `message_id` and, from their structured data, `data`. Severity from a
///   priority in front, `<34>`, else from the message as in plain text.
/// - `Logfmt`: the pairs, values as texts, a key alone as `null`. Severity from the keys of `Json`.
///
/// A line that does not have its kind's form is read as `Plain`.
///
/// Level words of plain text are looked for in the first 256 bytes: in capitals anywhere as a whole word, in any
/// case as `[error]`, `error: ` or after a key: `level=error`. Counts (`0 errors`, `error_count=0`) are none.
pub fn parse(kind: ParseKind, line: &str) -> Parsed {
    let parsed = match kind {
        ParseKind::Plain => None,
        ParseKind::Combined => access::parse(line),
        ParseKind::Json => json::parse(line),
        ParseKind::Syslog => syslog::parse(line),
        ParseKind::Logfmt => logfmt::parse(line),
    };
    parsed.unwrap_or_else(|| Parsed { severity: level::of_text(line), fields: None })
}
