//! Times in a form of the user's own, in the directives of `strptime`.

use jiff::fmt::strtime::BrokenDownTime;
use memchr::memmem::Finder;
use watchbell_model::Timestamp;

use crate::TimestampError;
use crate::zone::Place;

/// Nobody's format is longer, in bytes.
const FORMAT_BYTES_MAX: usize = 256;

/// A format that says a whole time.
#[derive(Clone, Debug)]
pub(crate) struct Format {
    directives: String,
    /// What the time stands behind.
    after: Option<Finder<'static>>,
    /// The format ends with seconds: a fraction that follows them belongs to the time.
    ends_with_seconds: bool,
}

impl Format {
    /// Checks a format by writing a time with it and reading that back.
    pub(crate) fn new(format: &str, after: Option<&str>) -> Result<Format, TimestampError> {
        if format.len() > FORMAT_BYTES_MAX {
            return Err(TimestampError::TooLong { bytes_max: FORMAT_BYTES_MAX });
        }
        let ends_with_seconds = ["%S", "%T", "%OS"].iter().any(|end| format.ends_with(end));
        let after = after.map(|after| Finder::new(after).into_owned());
        let this = Format { directives: format.to_owned(), after, ends_with_seconds };
        let sample = jiff::Timestamp::constant(1_795_381_912, 125_000_000).to_zoned(jiff::tz::TimeZone::UTC);
        let written = BrokenDownTime::from(&sample).to_string(format).map_err(refused)?;
        let (read, _) = BrokenDownTime::parse_prefix(format, &written).map_err(refused)?;
        if read.iana_time_zone().is_some() {
            return Err(TimestampError::Directive("%Q is not read".to_owned()));
        }
        let arrival = Timestamp(sample.timestamp().as_millisecond());
        let place = Place::at(&crate::zone::UTC, arrival);
        match this.read_at(written.as_bytes(), &place) {
            Some(found) if found.floor_to(60_000) == arrival.floor_to(60_000) => Ok(this),
            _ => Err(TimestampError::Incomplete),
        }
    }

    /// The time that the line has in this form.
    pub(crate) fn read(&self, line: &str, place: &Place<'_>) -> Option<Timestamp> {
        let line = line.as_bytes();
        let start = match &self.after {
            Some(after) => after.find(line)? + after.needle().len(),
            None => 0,
        };
        self.read_at(line[start..].trim_ascii_start(), place)
    }

    fn read_at(&self, text: &[u8], place: &Place<'_>) -> Option<Timestamp> {
        let (mut time, used) = BrokenDownTime::parse_prefix(&self.directives, text).ok()?;
        let fraction_ms = if self.ends_with_seconds { fraction_ms(&text[used..]) } else { 0 };
        // What a line says of its weekday says nothing that its date does not.
        time.set_weekday(None);
        let instant = if let Some(instant) = time.timestamp() {
            Some(Timestamp(instant.as_millisecond()))
        } else if time.year().is_some() {
            instant(&time, place)
        } else {
            place.in_latest_year(|year| {
                time.set_year(Some(year)).ok()?;
                instant(&time, place)
            })
        };
        instant.filter(|instant| instant.0 >= 0).map(|instant| instant.plus_ms(fraction_ms))
    }
}

/// What jiff says, without the chain of what it was doing.
#[expect(clippy::needless_pass_by_value, reason = "the shape map_err asks for")]
fn refused(error: jiff::Error) -> TimestampError {
    let said = error.to_string();
    TimestampError::Directive(said.rsplit(": ").next().expect("split gives at least one piece").to_owned())
}

/// The instant of a time that has its year.
fn instant(time: &BrokenDownTime, place: &Place<'_>) -> Option<Timestamp> {
    // Without an hour it would be midnight, which no line said.
    time.hour()?;
    let wall = time.to_datetime().ok()?;
    match time.offset() {
        Some(offset) => Some(Timestamp(offset.to_timestamp(wall).ok()?.as_millisecond())),
        None => place.instant(wall),
    }
}

/// The milliseconds of `,978` or `.978123` at the start of `rest`.
fn fraction_ms(rest: &[u8]) -> i64 {
    let Some((b',' | b'.', digits)) = rest.split_first() else { return 0 };
    let digits = digits.iter().map_while(|byte| byte.is_ascii_digit().then(|| i64::from(byte - b'0')));
    digits.zip([100, 10, 1]).map(|(digit, place)| digit * place).sum()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;

    fn read(format: &str, after: Option<&str>, zone: &str, line: &str) -> Option<String> {
        let zone = TimeZone::get(zone).unwrap();
        let place = Place::at(&zone, Timestamp(1_795_381_912_125));
        let found = Format::new(format, after).unwrap().read(line, &place);
        found.map(|found| found.to_string())
    }

    #[test]
    fn ordinary_forms_are_read() {
        for (format, line, expected) in [
            ("%y/%m/%d %H:%M:%S", "17/06/09 20:10:40 INFO x", "2017-06-09T20:10:40.000Z"),
            ("%Y-%m-%d %H:%M:%S", "2015-10-18 18:01:47,978 INFO [main] x", "2015-10-18T18:01:47.978Z"),
            ("%Y-%m-%d %H:%M:%S", "2015-10-18 18:01:47.9789 INFO", "2015-10-18T18:01:47.978Z"),
            ("%Y-%m-%d %H:%M:%S", "2015-10-18 18:01:47. Next", "2015-10-18T18:01:47.000Z"),
            ("%Y-%m-%d %H:%M:%S", "  2015-10-18 18:01:47,5", "2015-10-18T18:01:47.500Z"),
            ("%Y-%m-%d %H:%M:%S,%f", "2015-10-18 18:01:47,978 INFO", "2015-10-18T18:01:47.978Z"),
            ("%Y-%m-%d %H:%M:%S%.f %z", "2015-10-18 18:01:47.978 +0200 x", "2015-10-18T16:01:47.978Z"),
            ("%y%m%d %H%M%S", "081109 203615 148 INFO", "2008-11-09T20:36:15.000Z"),
            ("[%a %b %d %H:%M:%S %Y]", "[Sun Dec 04 04:47:44 2005] [notice] x", "2005-12-04T04:47:44.000Z"),
            ("[%a %b %d %H:%M:%S %Y]", "[Mon Dec 04 04:47:44 2005] x", "2005-12-04T04:47:44.000Z"),
            ("%b %d %H:%M:%S", "Nov 22 21:11:52 x", "2026-11-22T21:11:52.000Z"),
            ("%b %d %H:%M:%S", "Dec 1 21:11:52 x", "2025-12-01T21:11:52.000Z"),
            ("%d/%m %I:%M %p", "22/11 09:11 PM", "2026-11-22T21:11:00.000Z"),
            ("%s", "1795381912 x", "2026-11-22T21:11:52.000Z"),
            ("%FT%T", "2026-11-22T21:11:60 a leap second", "2026-11-22T21:11:59.000Z"),
        ] {
            assert_eq!(read(format, None, "UTC", line).as_deref(), Some(expected), "{format}: {line}");
        }
    }

    #[test]
    fn a_time_may_stand_behind_a_text() {
        let found = |line| read("%Y-%m-%d %H:%M:%S", Some("] "), "Europe/Berlin", line);
        assert_eq!(found("[main] 2015-10-18 18:01:47,978 x").unwrap(), "2015-10-18T16:01:47.978Z");
        assert_eq!(found("2015-10-18 18:01:47,978 x"), None);
        assert_eq!(found("[main] ] 2015-10-18 18:01:47,978 x"), None);
    }

    #[test]
    fn lines_without_it_have_no_time() {
        for line in [
            "",
            "x",
            "2015-10-18",
            "2015-13-18 18:01:47",
            "2015-02-30 18:01:47",
            "x 2015-10-18 18:01:47",
            "1969-12-31 23:59:59",
        ] {
            assert_eq!(read("%Y-%m-%d %H:%M:%S", None, "UTC", line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_format_and_line_have_an_answer(
            format in "(%[-_0^]?[A-Za-z%]|[0-9 :/é,.-]){0,12}",
            line in "([0-9]{1,4}|[A-Z][a-z]{2}|[ :/é,.+Z-]){0,16}",
            arrival in any::<i64>(),
        ) {
            let place = Place::at(&crate::zone::UTC, Timestamp(arrival));
            for format in [format.as_str(), "%b %d %H:%M:%S", "%Y-%m-%d %H:%M:%S"] {
                if let Ok(format) = Format::new(format, None) {
                    prop_assert!(format.read(&line, &place).is_none_or(|found| found.0 >= 0));
                }
            }
        }
    }

    #[test]
    fn formats_that_say_no_whole_time_are_refused() {
        let refusal = |format: &str| Format::new(format, None).unwrap_err().to_string();
        for format in ["", "x", "%Y-%m-%d", "%H:%M:%S", "%Y-%m %H:%M", "%Y-%m-%d %I:%M", "%m %H:%M"] {
            assert_eq!(refusal(format), TimestampError::Incomplete.to_string(), "{format}");
        }
        for format in ["%Y-%m-%d %H:%M:%S %Q", "%Y-%m-%d %H:%M:%S %Z", "%Y-%m-%d %H:%M:%S %é", "%"] {
            let error = Format::new(format, None).unwrap_err();
            assert!(matches!(error, TimestampError::Directive(_)), "{format}: {error}");
        }
        assert!(matches!(Format::new(&"x".repeat(257), None), Err(TimestampError::TooLong { .. })));
    }
}
