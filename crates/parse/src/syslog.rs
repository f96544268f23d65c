//! Lines as syslog daemons write them to files: `Dec 10 06:55:46 host sshd[24200]: text`, and the same with the
//! RFC 3339 time of newer ones.
//!
//! Source: RFC 3164 §4.1 and §5.3 for the time, the host and the tag; rsyslog's `RSYSLOG_TraditionalFileFormat` and
//! `RSYSLOG_FileFormat`. A priority in front, `<34>`, is read too. Not here: RFC 5424 with its structured data.

use jiff::civil::{Date, Time};
use memchr::memchr;
use watchbell_model::Timestamp;

use crate::object::Object;
use crate::time::{date_and_time, digit, month_of};
use crate::zone::Place;
use crate::{Parsed, level};

/// Bytes of `Dec 10 06:55:46`.
const STAMP_BYTES: usize = 15;

/// Largest priority: facility 23, severity 7.
const PRIORITY_MAX: u64 = 191;

/// The time that the line begins with.
pub(crate) fn timestamp(line: &str, place: &Place<'_>) -> Option<Timestamp> {
    let (_, line) = priority(line);
    match line.as_bytes().first()? {
        b'0'..=b'9' => date_and_time(modern_stamp(line)?, place),
        _ => old_stamp(line)?.read(place),
    }
}

/// Everything the line says; `None` if it has no host behind its time.
pub(crate) fn parse(line: &str) -> Option<Parsed> {
    let (priority, rest) = priority(line);
    let stamp_bytes = match modern_stamp(rest) {
        Some(stamp) => stamp.len(),
        None => old_stamp(rest).map(|_| STAMP_BYTES)?,
    };
    let rest = &rest[stamp_bytes..];
    let (host, text) = rest.trim_ascii_start().split_once(' ')?;
    let tag = Tag::of(text);
    let message = tag.as_ref().map_or(text, |tag| tag.message).trim_ascii_start();
    let mut object = Object::with_capacity(line.len() + 64);
    object.text("host", host);
    if let Some(tag) = &tag {
        object.text("program", tag.program);
        if let Some(pid) = tag.pid {
            object.text("pid", pid);
        }
    }
    object.text("message", message);
    let severity = match priority {
        Some(priority) => level::of_number(priority % 8),
        None => level::of_text(message),
    };
    Some(Parsed { severity, fields: Some(object.finish()) })
}

/// The number in `<34>`, and what follows it.
fn priority(line: &str) -> (Option<u64>, &str) {
    let read = || {
        let (number, rest) = line.strip_prefix('<')?.split_once('>')?;
        let is_number = (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
        let number = number.parse().ok().filter(|number| is_number && *number <= PRIORITY_MAX)?;
        Some((number, rest))
    };
    read().map_or((None, line), |(number, rest)| (Some(number), rest))
}

/// `2026-11-22T21:11:52.125+01:00` at the start of the line.
fn modern_stamp(line: &str) -> Option<&str> {
    let end = memchr(b' ', line.as_bytes())?;
    let stamp = &line[..end];
    let is_stamp = stamp.as_bytes().first()?.is_ascii_digit() && stamp.as_bytes().get(10) == Some(&b'T');
    is_stamp.then_some(stamp)
}

/// A time without its year.
struct OldStamp {
    month: i8,
    day: i8,
    time: Time,
}

/// `Dec 10 06:55:46` at the start of the line; a day of one digit stands behind two spaces or a zero.
fn old_stamp(line: &str) -> Option<OldStamp> {
    let stamp: &[u8; STAMP_BYTES] = line.as_bytes().first_chunk()?;
    let [month @ .., b' ', d1, d2, b' ', h1, h2, b':', m1, m2, b':', s1, s2] = stamp else { return None };
    // What follows the seconds is a space: `06:55:461` is none.
    if line.as_bytes().get(STAMP_BYTES) != Some(&b' ') {
        return None;
    }
    let two = |tens: u8, ones: u8| Some(digit(tens)? * 10 + digit(ones)?);
    let day = two(if *d1 == b' ' { b'0' } else { *d1 }, *d2)?;
    // A leap second is told as the second before it, as everywhere in Unix.
    let second = two(*s1, *s2).filter(|second| *second <= 60)?.min(59);
    let time = Time::new(two(*h1, *h2)?, two(*m1, *m2)?, second, 0).ok()?;
    Some(OldStamp { month: month_of(month)?, day, time })
}

impl OldStamp {
    fn read(&self, place: &Place<'_>) -> Option<Timestamp> {
        place.in_latest_year(|year| {
            place.instant(Date::new(year, self.month, self.day).ok()?.to_datetime(self.time))
        })
    }
}

/// Who wrote the text, and the text.
struct Tag<'a> {
    program: &'a str,
    pid: Option<&'a str>,
    message: &'a str,
}

impl<'a> Tag<'a> {
    /// `sshd[24200]: text`, `kernel: text`. A word without colon or number in brackets is part of the text.
    fn of(text: &'a str) -> Option<Tag<'a>> {
        let end = text.find([' ', '[', ':'])?;
        let (program, rest) = text.split_at(end);
        if program.is_empty() {
            return None;
        }
        if let Some(message) = rest.strip_prefix(':') {
            // `::1 said` and `http://x` are no programs.
            return (message.is_empty() || message.starts_with(' ')).then_some(Tag {
                program,
                pid: None,
                message,
            });
        }
        let (pid, rest) = rest.strip_prefix('[')?.split_once(']')?;
        let is_pid = !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit());
        let message = rest.strip_prefix(':').unwrap_or(rest);
        is_pid.then_some(Tag { program, pid: Some(pid), message })
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;
    use watchbell_model::Severity;

    use super::*;

    fn at(zone: &str, line: &str) -> Option<String> {
        let zone = TimeZone::get(zone).unwrap();
        // 2026-11-22T21:11:52.125Z
        timestamp(line, &Place::at(&zone, Timestamp(1_795_381_912_125))).map(|at| at.to_string())
    }

    fn fields(line: &str) -> Option<String> {
        parse(line).map(|parsed| parsed.fields.unwrap())
    }

    #[test]
    fn times_of_both_daemons_are_read() {
        for (zone, line, expected) in [
            ("UTC", "Nov 22 06:55:46 shop sshd[1]: x", "2026-11-22T06:55:46.000Z"),
            ("UTC", "Dec  1 06:55:46 shop sshd[1]: x", "2025-12-01T06:55:46.000Z"),
            ("UTC", "Dec 01 06:55:60 shop x", "2025-12-01T06:55:59.000Z"),
            ("Europe/Berlin", "Nov 22 06:55:46 shop sshd[1]: x", "2026-11-22T05:55:46.000Z"),
            ("UTC", "<34>Nov 22 06:55:46 shop sshd[1]: x", "2026-11-22T06:55:46.000Z"),
            ("Europe/Berlin", "2026-11-22T21:11:52.125+02:00 shop x", "2026-11-22T19:11:52.125Z"),
            ("Europe/Berlin", "2026-11-22T21:11:52 shop x", "2026-11-22T20:11:52.000Z"),
        ] {
            assert_eq!(at(zone, line).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn other_lines_have_no_time() {
        for line in [
            "",
            "x",
            "Nov 22 06:55:46",
            "Nov 22 06:55:461 x",
            "Nov 31 06:55:46 x",
            "Nov 00 06:55:46 x",
            "Nox 22 06:55:46 x",
            "Nov 22 24:55:46 x",
            "Nov 22 06:55:61 x",
            "Nov 2é 06:55:46 x",
            " Nov 22 06:55:46 x",
            "<192>Nov 22 06:55:46 x",
            "1795381912 shop x",
            "2026-11-22 21:11:52 shop x",
        ] {
            assert_eq!(at("UTC", line), None, "{line}");
        }
    }

    #[test]
    fn fields_are_host_program_pid_and_message() {
        let head = "Dec 10 06:55:46 shop";
        for (text, expected) in [
            ("sshd[24200]: Invalid user x", r#""program":"sshd","pid":"24200","message":"Invalid user x"}"#),
            ("sshd(pam_unix)[19]: \"x\"", r#""program":"sshd(pam_unix)","pid":"19","message":"\"x\""}"#),
            ("kernel: [1.0] up", r#""program":"kernel","message":"[1.0] up"}"#),
            ("su[7] no colon", r#""program":"su","pid":"7","message":"no colon"}"#),
            ("syslogd 1.4.1: restart.", r#""message":"syslogd 1.4.1: restart."}"#),
            ("last message repeated 2 times", r#""message":"last message repeated 2 times"}"#),
            ("::1 said hello", r#""message":"::1 said hello"}"#),
            ("http://x is down", r#""message":"http://x is down"}"#),
            ("x[y]: z", r#""message":"x[y]: z"}"#),
        ] {
            let expected = format!(r#"{{"host":"shop",{expected}"#);
            assert_eq!(fields(&format!("{head} {text}")), Some(expected), "{text}");
        }
        assert_eq!(
            fields("2026-11-22T21:11:52+00:00 h a: b").unwrap(),
            r#"{"host":"h","program":"a","message":"b"}"#
        );
        assert_eq!(fields(head), None);
        assert_eq!(fields("shop sshd[1]: x"), None);
    }

    #[test]
    fn severity_is_the_priority_or_a_level_word() {
        let of = |line: &str| parse(line).unwrap().severity;
        assert_eq!(of("<34>Dec 10 06:55:46 h su: all well"), Severity::Critical);
        assert_eq!(of("<14>Dec 10 06:55:46 h su: error: x"), Severity::Info);
        assert_eq!(of("Dec 10 06:55:46 h sshd[1]: error: PAM: x"), Severity::Error);
        assert_eq!(of("Dec 10 06:55:46 ERROR sshd[1]: x"), Severity::Unknown);
    }

    proptest! {
        #[test]
        fn any_text_has_an_answer(line in "(<[0-9]{0,4}>)?(Dec ?[0-9 ]{2} |2026-11-22T)[0-9:é]{0,9} [a-z\\[\\]: ]{0,12}") {
            let place = Place::at(&crate::zone::UTC, Timestamp(1_795_381_912_125));
            let found = timestamp(&line, &place);
            let parsed = crate::parse(watchbell_model::ParseKind::Syslog, &line);
            if let Some(fields) = parsed.fields {
                prop_assert!(serde_json::from_str::<serde_json::Map<_, _>>(&fields).is_ok());
            }
            // A time without a year is never far ahead.
            let ahead = found.is_some_and(|found| found.ms_since(place.arrival) > 86_400_000);
            prop_assert!(!ahead || line.contains("2026-"), "{:?}", found);
        }
    }
}
