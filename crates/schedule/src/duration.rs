//! How long a schedule is active, as CloudWatch writes it.

use jiff::Span;

use crate::error::{Part, ScheduleError};

/// The shortest duration, in milliseconds: a minute. Source: CloudWatch API Reference, `Schedule`, `Duration`.
pub const DURATION_MS_MIN: i64 = 60_000;
/// The longest duration, in milliseconds: 15 days. Source: the same.
pub const DURATION_MS_MAX: i64 = 15 * DAY_MS;

const DAY_MS: i64 = 24 * 3_600_000;
const HELP: &str = "write, for example, PT4H, PT90M or P2DT12H: a minute to 15 days";

/// Reads an ISO 8601 duration (`PT4H`, `P2DT12H`) into milliseconds. A day is 24 hours, a week 7 days.
///
/// # Errors
/// For any other text, for years and months (they have no fixed length), and for durations outside
/// [`DURATION_MS_MIN`] to [`DURATION_MS_MAX`].
pub fn parse_duration(text: &str) -> Result<i64, ScheduleError> {
    let error = |message: String| ScheduleError::new(Part::Duration, 0..text.len(), message, HELP);
    let no_duration = || error(format!("\"{text}\" is no ISO 8601 duration"));
    // jiff also reads its own friendly form, "4 hours".
    if !text.starts_with('P') {
        return Err(no_duration());
    }
    let span: Span = text.parse().map_err(|_| no_duration())?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err(error("a duration in years or months has no fixed length".to_owned()));
    }
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| no_duration())?;
    let duration_ms = i64::try_from(duration.as_millis()).map_err(|_| no_duration())?;
    check(duration_ms).map(|()| duration_ms).map_err(|message| error(message.to_owned()))
}

/// Whether a duration is within the limits.
pub(crate) fn check(duration_ms: i64) -> Result<(), &'static str> {
    match duration_ms {
        ..DURATION_MS_MIN => Err("a duration is at least a minute"),
        DURATION_MS_MIN..=DURATION_MS_MAX => Ok(()),
        _ => Err("a duration is at most 15 days"),
    }
}
