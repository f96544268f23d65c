//! Logs that never were: written by rules and a seed, so that every run reads the same.

use std::fmt::Write;

use watchbell_model::Timestamp;

/// 2026-11-22T00:00:00Z.
pub(crate) const DAY: Timestamp = Timestamp(1_795_305_600_000);

/// One line of a JSON log.
pub(crate) fn json_line(at: Timestamp, level: &str, text: &str) -> String {
    format!("{{\"time\":\"{at}\",\"level\":\"{level}\",\"message\":\"{text}\"}}\n")
}

/// `count` JSON lines with this level, `step_ms` apart from `start` on.
pub(crate) fn json_lines(start: Timestamp, step_ms: i64, count: i64, level: &str) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let line = json_line(start.plus_ms(number * step_ms), level, &format!("number {number}"));
        write!(text, "{line}").unwrap();
        text
    })
}

/// Seconds after [`DAY`].
pub(crate) fn at(seconds: i64) -> Timestamp {
    DAY.plus_ms(seconds * 1000)
}
