//! When a line happened, as its log group's settings read it.

use jiff::tz::TimeZone;
use watchbell_model::{ParseKind, Timestamp, TimestampFrom, WrittenTime};

use crate::format::Format;
use crate::zone::Place;
use crate::{access, json, logfmt, syslog};

/// Why a time cannot be read as told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// No such time zone.
    #[error("there is no time zone {zone:?}")]
    Zone {
        /// As it was written.
        zone: String,
    },
    /// The format has something that `strptime` does not know; says what.
    #[error("{0}")]
    Directive(String),
    /// The format says no whole time.
    #[error("the format does not say a whole time: it needs day and month, hour and minute")]
    Incomplete,
    /// The format is longer than any time.
    #[error("the format has more than {bytes_max} bytes")]
    TooLong {
        /// The limit.
        bytes_max: usize,
    },
    /// A format for lines whose parser has its own place for the time.
    #[error("a format is for plain lines; the parser of these lines knows where their time is")]
    NotPlain,
    /// Plain lines without a format.
    #[error("plain lines have no known place for a time")]
    NoPlace,
}

/// Finds the times of a log group's lines.
#[derive(Clone, Debug)]
pub struct Timestamps {
    how: How,
    zone: TimeZone,
}

#[derive(Clone, Debug)]
enum How {
    Arrival,
    Parser(ParseKind),
    Format(Box<Format>),
}

impl Timestamps {
    /// Makes ready to read lines of this kind.
    ///
    /// # Errors
    /// [`TimestampError`] if there is no such zone, the format says no whole time, or the two do not go together.
    /// A plan that was checked gives none.
    pub fn new(parse: ParseKind, from: &TimestampFrom) -> Result<Timestamps, TimestampError> {
        let in_utc = |how| Ok(Timestamps { how, zone: TimeZone::UTC });
        let written = match from {
            TimestampFrom::Arrival => return in_utc(How::Arrival),
            TimestampFrom::Line => &WrittenTime::default(),
            TimestampFrom::Written(written) => written,
        };
        let zone = match &written.zone {
            None => TimeZone::UTC,
            Some(zone) => TimeZone::get(zone).map_err(|_| TimestampError::Zone { zone: zone.clone() })?,
        };
        let how = match (parse, &written.format) {
            (ParseKind::Plain, Some(format)) => {
                How::Format(Box::new(Format::new(format, written.after.as_deref())?))
            }
            (ParseKind::Plain, None) => return Err(TimestampError::NoPlace),
            (_, Some(_)) => return Err(TimestampError::NotPlain),
            (parse, None) => How::Parser(parse),
        };
        Ok(Timestamps { how, zone })
    }

    /// Whether lines are looked at.
    pub fn are_in_lines(&self) -> bool {
        !matches!(self.how, How::Arrival)
    }

    /// When the line happened, by its own words, in milliseconds; finer parts are cut off. `None`: it does not say.
    ///
    /// `arrival` is when it was taken in: it tells the year of a time without one (the latest that does not put it
    /// more than a day after its arrival) and, where clocks showed a time twice, which of the two (the nearer one).
    ///
    /// - `Combined`: the part in brackets, `[17/May/2015:10:05:03 +0000]`, also of a line that is otherwise odd.
    /// - `Json`: the first of `timestamp`, `time`, `ts`, `@timestamp`, `eventTime`, `datetime` and `date`, in this
    ///   order, at the object's top, that holds a time: RFC 3339; `2026-11-22 21:11:52.125` without a zone; or a number
    ///   since the epoch, in the unit that puts it between the years 1973 and 5138: seconds, milliseconds,
    ///   microseconds or nanoseconds. Times before 1970 are no log's times: `0001-01-01T00:00:00Z` means "not set".
    ///   A line that breaks off, or is no JSON further on, has the time that stands before.
    /// - `Logfmt`: the same keys.
    /// - `Syslog`: `Dec 10 06:55:46` or RFC 3339 at the line's beginning.
    /// - `Plain`: the format, after spaces, at the line's beginning or after the first `after`. A fraction behind the
    ///   seconds at the format's end, `,978` or `.978`, belongs to the time. A weekday is not held against the date.
    pub fn of(&self, line: &str, arrival: Timestamp) -> Option<Timestamp> {
        self.read(line, &Place::at(&self.zone, arrival))
    }

    /// The same for a line that was taken in long after it happened; the one before it in its log happened at `before`.
    ///
    /// Where clocks showed a time twice, the one nearer to `before` counts.
    pub fn of_next(&self, line: &str, arrival: Timestamp, before: Timestamp) -> Option<Timestamp> {
        self.read(line, &Place { near: before, ..Place::at(&self.zone, arrival) })
    }

    fn read(&self, line: &str, place: &Place<'_>) -> Option<Timestamp> {
        match &self.how {
            How::Arrival | How::Parser(ParseKind::Plain) => None,
            How::Parser(ParseKind::Combined) => access::timestamp(line),
            How::Parser(ParseKind::Json) => json::timestamp(line, place),
            How::Parser(ParseKind::Syslog) => syslog::timestamp(line, place),
            How::Parser(ParseKind::Logfmt) => logfmt::timestamp(line, place),
            How::Format(format) => format.read(line, place),
        }
    }
}

/// The names of all time zones this version knows, in order.
pub fn zone_names() -> Vec<String> {
    let mut names: Vec<String> = jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Option<&str>, zone: Option<&str>) -> TimestampFrom {
        let text = |text: &str| text.to_owned();
        TimestampFrom::Written(WrittenTime { format: format.map(text), after: None, zone: zone.map(text) })
    }

    #[test]
    fn zones_need_no_files_of_the_machine() {
        let names = zone_names();
        assert!(names.len() > 400 && names.contains(&"Europe/Berlin".to_owned()), "{}", names.len());
    }

    #[test]
    fn the_zone_is_of_times_without_one() {
        let at = |parse, line: &str| {
            let timestamps = Timestamps::new(parse, &written(None, Some("Europe/Berlin"))).unwrap();
            timestamps.of(line, Timestamp(1_795_381_912_125)).unwrap().to_string()
        };
        assert_eq!(at(ParseKind::Json, r#"{"ts":"2026-11-22 21:11:52"}"#), "2026-11-22T20:11:52.000Z");
        assert_eq!(at(ParseKind::Json, r#"{"ts":"2026-11-22T21:11:52Z"}"#), "2026-11-22T21:11:52.000Z");
        assert_eq!(at(ParseKind::Logfmt, "ts=2026-11-22T21:11:52"), "2026-11-22T20:11:52.000Z");
        assert_eq!(at(ParseKind::Syslog, "Nov 22 21:11:52 h x"), "2026-11-22T20:11:52.000Z");
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let error = |parse, from: &TimestampFrom| Timestamps::new(parse, from).unwrap_err();
        assert_eq!(error(ParseKind::Plain, &TimestampFrom::Line), TimestampError::NoPlace);
        assert_eq!(error(ParseKind::Plain, &written(None, Some("UTC"))), TimestampError::NoPlace);
        assert_eq!(error(ParseKind::Json, &written(Some("%s"), None)), TimestampError::NotPlain);
        let zone = "Europe/Berln".to_owned();
        assert_eq!(error(ParseKind::Json, &written(None, Some(&zone))), TimestampError::Zone { zone });
        assert!(!Timestamps::new(ParseKind::Json, &TimestampFrom::Arrival).unwrap().are_in_lines());
    }
}
