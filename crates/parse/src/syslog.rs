//! Lines as syslog daemons write them to files: `Dec 10 06:55:46 host sshd[24200]: text`, and the same with the
//! RFC 3339 time of newer ones; and messages as they are sent, with a priority in front, `<34>`, or in the form of RFC 5424.
//!
//! Source: RFC 3164 §4.1 and §5.3 for the time, the host and the tag; rsyslog's `RSYSLOG_TraditionalFileFormat` and
//! `RSYSLOG_FileFormat`; RFC 5424 §6, read by `syslog_loose` but for its time, which is read as everywhere.

use jiff::civil::{Date, Time};
use memchr::memchr;
use syslog_loose::{Message, ProcId, StructuredElement, Variant, parse_message_with_year_exact};
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
    let (_, line) = without_version(line);
    match line.as_bytes().first()? {
        b'0'..=b'9' => date_and_time(modern_stamp(line)?, place),
        _ => old_stamp(line)?.read(place),
    }
}

/// Everything the line says; `None` if it has no host behind its time.
pub(crate) fn parse(line: &str) -> Option<Parsed> {
    let (priority, rest) = priority(line);
    if has_version(priority, rest) {
        return parse_versioned(line, priority?);
    }
    let (host, text) = after_stamp(rest)?.split_once(' ')?;
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

/// The host that sent the message, if it says so.
pub(crate) fn host(line: &str) -> Option<&str> {
    let (_, rest) = without_version(line);
    let rest = rest.strip_prefix("- ").or_else(|| after_stamp(rest))?;
    let host = rest.split(' ').next()?;
    // Without a host its place is taken by the tag: `su: text`, `su[7]: text`.
    let is_host = !host.is_empty() && host != "-" && !host.ends_with(':') && !host.contains('[');
    is_host.then_some(host)
}

/// A message of RFC 5424.
fn parse_versioned(line: &str, priority: u64) -> Option<Parsed> {
    let message = parse_message_with_year_exact(line, |_| 0, Variant::RFC5424).ok()?;
    let Message { hostname, appname, procid, msgid, structured_data, msg, .. } = message;
    let mut object = Object::with_capacity(line.len() + 64);
    if let Some(host) = hostname {
        object.text("host", host);
    }
    if let Some(program) = appname {
        object.text("program", program);
    }
    match procid {
        Some(ProcId::PID(pid)) => object.text("pid", &pid.to_string()),
        Some(ProcId::Name(name)) => object.text("pid", name),
        None => {}
    }
    if let Some(id) = msgid {
        object.text("message_id", id);
    }
    if !structured_data.is_empty() {
        object.json("data", &data(&structured_data));
    }
    object.text("message", msg.strip_prefix('\u{feff}').unwrap_or(msg));
    Some(Parsed { severity: level::of_number(priority % 8), fields: Some(object.finish()) })
}

/// `{"id":{"name":"value"}}`.
fn data(elements: &[StructuredElement<&str>]) -> String {
    let mut all = Object::with_capacity(64);
    for element in elements {
        let mut one = Object::with_capacity(64);
        for (name, value) in element.params() {
            one.text(name, &value);
        }
        all.json(element.id, &one.finish());
    }
    all.finish()
}

/// Whether the version of RFC 5424 stands behind the priority.
fn has_version(priority: Option<u64>, rest: &str) -> bool {
    priority.is_some() && rest.starts_with("1 ")
}

/// The line from its time on, and its priority.
fn without_version(line: &str) -> (Option<u64>, &str) {
    let (priority, rest) = priority(line);
    let versioned = has_version(priority, rest);
    (priority, if versioned { &rest[2..] } else { rest })
}

/// What stands behind the time.
fn after_stamp(line: &str) -> Option<&str> {
    let stamp_bytes = match modern_stamp(line) {
        Some(stamp) => stamp.len(),
        None => old_stamp(line).map(|_| STAMP_BYTES)?,
    };
    Some(line[stamp_bytes..].trim_ascii_start())
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
    fn messages_of_rfc_5424_have_the_same_fields_and_more() {
        let line = r#"<165>1 2026-11-22T21:11:52.003Z shop app 8710 ID47 [x@1 a="1" b="q\"]"][y@1] it's up"#;
        assert_eq!(
            fields(line).unwrap(),
            r#"{"host":"shop","program":"app","pid":"8710","message_id":"ID47","data":{"x@1":{"a":"1","b":"q\"]"},"y@1":{}},"message":"it's up"}"#
        );
        assert_eq!(parse(line).unwrap().severity, Severity::Info);
        assert_eq!(at("UTC", line).unwrap(), "2026-11-22T21:11:52.003Z");
        let nothing = "<34>1 - - - - - - \u{feff}x";
        assert_eq!(fields(nothing).unwrap(), r#"{"message":"x"}"#);
        assert_eq!((parse(nothing).unwrap().severity, at("UTC", nothing)), (Severity::Critical, None));
        assert_eq!(fields("<34>1 yesterday shop app - - - x"), None);
    }

    #[test]
    fn the_host_is_where_both_forms_have_it() {
        for (line, expected) in [
            ("<34>Nov 22 06:55:46 shop sshd[1]: x", Some("shop")),
            ("Nov 22 06:55:46 shop", Some("shop")),
            ("<34>Nov 22 06:55:46 su: x", None),
            ("<34>Nov 22 06:55:46 su[7]: x", None),
            ("<34>1 2026-11-22T21:11:52Z shop app - - - x", Some("shop")),
            ("<34>1 - shop app - - - x", Some("shop")),
            ("<34>1 - - app - - - x", None),
            ("<34>x", None),
            ("", None),
        ] {
            assert_eq!(host(line), expected, "{line}");
        }
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
        fn any_message_with_a_version_has_an_answer(
            line in "<[0-9]{1,3}>1 (-|2026-11-22T21:11:52(\\.[0-9]{1,9})?Z|[0-9T:-]{0,25}) [a-zé-]{0,4} [ -~é]{0,8} (-|(\\[[a-z@=]{0,3}( [a-z=]{0,2}=\"[\\]\"\\\\é]{0,3}\"?){0,2}\\]?){0,3}) ?[ -~é]{0,9}",
        ) {
            let parsed = crate::parse(watchbell_model::ParseKind::Syslog, &line);
            if let Some(fields) = parsed.fields {
                prop_assert!(serde_json::from_str::<serde_json::Map<_, _>>(&fields).is_ok(), "{fields}");
            }
            let _ = (host(&line), timestamp(&line, &Place::at(&crate::zone::UTC, Timestamp(1_795_381_912_125))));
        }

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
