//! Which form lines have, and how they write their time.

use watchbell_model::{ParseKind, Timestamp, TimestampFrom, WrittenTime};
use watchbell_parse::Timestamps;

use super::Looker;

/// Parts of a hundred that must have a form for a file to be of it.
const FORM_PERCENT_MIN: usize = 80;

/// The same for a time: many lines of a stack trace may follow one that has it.
const TIME_PERCENT_MIN: usize = 20;

/// Lines that are tried with every way of writing a time.
const TRIED_LINES_MAX: usize = 200;

/// Ways in which programs begin a line with the time; of equal ones the first counts.
const FORMATS: [&str; 21] = [
    "%Y-%m-%dT%H:%M:%S%.f%:z",
    "%Y-%m-%dT%H:%M:%S%.f%z",
    "%Y-%m-%dT%H:%M:%S%.fZ",
    "%Y-%m-%d %H:%M:%S%.f %z",
    "%Y-%m-%d %H:%M:%S,%f %z",
    "%Y-%m-%d %H:%M:%S%.f UTC",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y/%m/%d %H:%M:%S",
    "%y/%m/%d %H:%M:%S",
    "%y-%m-%d %H:%M:%S",
    "%y%m%d %H%M%S",
    "%Y%m%d %H:%M:%S",
    "%d.%m.%Y %H:%M:%S",
    "%d-%b-%Y %H:%M:%S",
    "%d %b %Y %H:%M:%S",
    "%d/%b/%Y:%H:%M:%S %z",
    "%a %b %d %H:%M:%S %Y",
    "%a %b %d %H:%M:%S%.f %Y",
    "%b %d, %Y %I:%M:%S %p",
    "%b %d %H:%M:%S",
];

/// What may stand before the time.
const BEFORE: [Option<&str>; 4] = [None, Some("["), Some(" "), Some("] ")];

/// What lines look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) parse: ParseKind,
    pub(crate) timestamp: TimestampFrom,
}

impl Form {
    /// The form that most lines have; none arrived after `written`.
    pub(crate) fn of(lines: &[String], written: Timestamp, looker: &Looker<'_>) -> Form {
        let has_form = |kind: ParseKind| {
            let count =
                lines.iter().filter(|line| watchbell_parse::parse(kind, line).fields.is_some()).count();
            count * 100 >= lines.len() * FORM_PERCENT_MIN
        };
        let kinds = [ParseKind::Json, ParseKind::Combined, ParseKind::Syslog, ParseKind::Logfmt];
        match kinds.into_iter().find(|kind| has_form(*kind)) {
            Some(parse) => Form { parse, timestamp: known_place(parse, lines, written, looker) },
            None => Form { parse: ParseKind::Plain, timestamp: written_time(lines, written, looker) },
        }
    }

    /// How it is said to people.
    pub(crate) fn in_words(&self) -> String {
        let kind = match self.parse {
            ParseKind::Plain => "plain lines",
            ParseKind::Json => "JSON",
            ParseKind::Combined => "access log",
            ParseKind::Syslog => "syslog",
            ParseKind::Logfmt => "logfmt",
        };
        match &self.timestamp {
            TimestampFrom::Written(WrittenTime { format: Some(format), .. }) => {
                format!("{kind}, times as {format}")
            }
            TimestampFrom::Arrival => format!("{kind} without times that are known"),
            _ => kind.to_owned(),
        }
    }
}

/// How many of the lines have a time that is read like this.
pub(crate) fn count_times(
    parse: ParseKind,
    from: &TimestampFrom,
    lines: &[String],
    written: Timestamp,
) -> usize {
    let Ok(timestamps) = Timestamps::new(parse, from) else { return 0 };
    lines.iter().filter(|line| timestamps.of(line, written).is_some()).count()
}

/// For lines whose parser knows where the time is: only the zone may have to be said.
fn known_place(parse: ParseKind, lines: &[String], written: Timestamp, looker: &Looker<'_>) -> TimestampFrom {
    let lines = &lines[..lines.len().min(TRIED_LINES_MAX)];
    if count_times(parse, &TimestampFrom::Line, lines, written) == 0 {
        return TimestampFrom::Arrival;
    }
    in_zone(parse, TimestampFrom::Line, lines, written, looker)
}

/// The same with the machine's zone, if that makes a difference for these lines.
fn in_zone(
    parse: ParseKind,
    from: TimestampFrom,
    lines: &[String],
    written: Timestamp,
    looker: &Looker<'_>,
) -> TimestampFrom {
    let mut described = match &from {
        TimestampFrom::Written(described) => described.clone(),
        _ => WrittenTime::default(),
    };
    if looker.zone.is_none() {
        return from;
    }
    described.zone.clone_from(&looker.zone);
    let zoned = TimestampFrom::Written(described);
    let (Ok(plain), Ok(moved)) = (Timestamps::new(parse, &from), Timestamps::new(parse, &zoned)) else {
        return from;
    };
    let differs = |line: &String| plain.of(line, written) != moved.of(line, written);
    if lines.iter().any(differs) { zoned } else { from }
}

/// For plain lines: the way of writing a time that most of them have.
fn written_time(lines: &[String], written: Timestamp, looker: &Looker<'_>) -> TimestampFrom {
    // The first lines of a file may be of another kind than the rest.
    let step = lines.len().div_ceil(TRIED_LINES_MAX).max(1);
    let tried: Vec<String> = lines.iter().step_by(step).cloned().collect();
    let mut best = (0, TimestampFrom::Arrival);
    for after in BEFORE {
        for format in FORMATS {
            let described =
                WrittenTime { format: Some(format.to_owned()), after: after.map(str::to_owned), zone: None };
            let from = TimestampFrom::Written(described);
            let count = count_times(ParseKind::Plain, &from, &tried, written);
            if count > best.0 {
                best = (count, from);
            }
        }
    }
    let (count, from) = best;
    if count * 100 < tried.len() * TIME_PERCENT_MIN {
        return TimestampFrom::Arrival;
    }
    // Letters that say UTC are plain text to a format.
    let says_utc = matches!(&from, TimestampFrom::Written(described)
        if described.format.as_ref().is_some_and(|format| format.ends_with(['Z', 'C'])));
    if says_utc { from } else { in_zone(ParseKind::Plain, from, &tried, written, looker) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn form(zone: Option<&str>, lines: &[&str]) -> (ParseKind, String) {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let looker = Looker {
            now: Timestamp(1_795_381_912_125),
            zone: zone.map(str::to_owned),
            folder: Path::new("/"),
        };
        let form = Form::of(&lines, Timestamp(1_795_381_912_125), &looker);
        let timestamp = match form.timestamp {
            TimestampFrom::Line => "line".to_owned(),
            TimestampFrom::Arrival => "arrival".to_owned(),
            TimestampFrom::Written(WrittenTime { format, after, zone }) => {
                [format, after, zone].map(Option::unwrap_or_default).join("|")
            }
        };
        (form.parse, timestamp)
    }

    #[test]
    fn forms_are_told() {
        for (lines, parse, timestamp) in [
            (&[r#"{"ts":1795381912,"a":1}"#][..], ParseKind::Json, "line"),
            (&[r#"{"a":1}"#], ParseKind::Json, "arrival"),
            (
                &[r#"::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1"#],
                ParseKind::Combined,
                "line",
            ),
            (
                &[
                    "Nov 22 06:55:46 shop sshd[1]: x",
                    "-- MARK --",
                    "Nov 22 06:55:46 a b",
                    "Nov 22 06:55:46 a b",
                    "Nov 22 06:55:46 a b",
                ],
                ParseKind::Syslog,
                "line",
            ),
            (&["2026-11-22T21:11:52.125+01:00 shop sshd[1]: x"], ParseKind::Syslog, "line"),
            (&["ts=2026-11-22T21:11:52Z level=info msg=x"], ParseKind::Logfmt, "line"),
            (&["what a day", "so it is"], ParseKind::Plain, "arrival"),
        ] {
            assert_eq!(form(None, lines), (parse, timestamp.to_owned()), "{lines:?}");
        }
    }

    #[test]
    fn ways_of_writing_a_time_are_told() {
        for (line, expected) in [
            ("2015-10-18 18:01:47,978 INFO [main] x", "%Y-%m-%d %H:%M:%S||"),
            ("2015-10-18 18:01:47.978 +0200 INFO x", "%Y-%m-%d %H:%M:%S%.f %z||"),
            ("2015-10-18T18:01:47.978+02:00 INFO", "%Y-%m-%dT%H:%M:%S%.f%:z||"),
            ("2015-10-18T18:01:47+0200 INFO", "%Y-%m-%dT%H:%M:%S%.f%z||"),
            ("2015-10-18T18:01:47Z INFO", "%Y-%m-%dT%H:%M:%S%.fZ||"),
            ("17/06/09 20:10:40 INFO x", "%y/%m/%d %H:%M:%S||"),
            ("2026/11/22 20:10:40 [error] x", "%Y/%m/%d %H:%M:%S||"),
            ("081109 203615 148 INFO x", "%y%m%d %H%M%S||"),
            ("[Sun Dec 04 04:47:44 2005] [notice] x", "%a %b %d %H:%M:%S %Y|[|"),
            ("[Sun Dec 04 04:47:44.123456 2005] [core:notice] x", "%a %b %d %H:%M:%S%.f %Y|[|"),
            ("INFO  2015-10-18 18:01:47,978 x", "%Y-%m-%d %H:%M:%S| |"),
            ("[main] 2015-10-18 18:01:47,978 x", "%Y-%m-%d %H:%M:%S| |"),
            ("2015-10-18 18:01:47.978 UTC [7] ERROR:  x", "%Y-%m-%d %H:%M:%S%.f UTC||"),
            ("7:M 18 Oct 2015 18:01:47.978 * Ready", "%d %b %Y %H:%M:%S| |"),
            ("Oct 18, 2015 6:01:47 PM org.x.Y run", "%b %d, %Y %I:%M:%S %p||"),
        ] {
            assert_eq!(
                form(None, &[line, "  at x.y(Z.java:1)", "  at x"]),
                (ParseKind::Plain, expected.to_owned()),
                "{line}"
            );
        }
    }

    #[test]
    fn the_zone_is_said_where_lines_say_none() {
        let berlin = Some("Europe/Berlin");
        assert_eq!(form(berlin, &["Nov 22 06:55:46 shop sshd[1]: x"]).1, "||Europe/Berlin");
        assert_eq!(form(berlin, &["2015-10-18 18:01:47 x y"]).1, "%Y-%m-%d %H:%M:%S||Europe/Berlin");
        assert_eq!(form(berlin, &["2015-10-18T18:01:47+02:00 x"]).1, "%Y-%m-%dT%H:%M:%S%.f%:z||");
        assert_eq!(form(berlin, &["2015-10-18 18:01:47 UTC [7] x"]).1, "%Y-%m-%d %H:%M:%S%.f UTC||");
        assert_eq!(form(berlin, &["2015-10-18T18:01:47Z x"]).1, "%Y-%m-%dT%H:%M:%S%.fZ||");
        assert_eq!(form(berlin, &[r#"{"ts":1795381912}"#]).1, "line");
    }
}
