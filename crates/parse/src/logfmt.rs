//! `key=value` lines: `ts=2026-11-22T21:11:52Z level=info msg="all well" took=12ms`.
//!
//! Nobody owns the format. Read is what the libraries of Go write: pairs with spaces between them; a value in quotes
//! has the escapes of a JSON string; a key alone has no value.

use std::borrow::Cow;

use memchr::{memchr, memchr2};
use watchbell_model::{Severity, Timestamp};

use crate::json::{LEVEL_KEYS, TIME_KEYS};
use crate::object::Object;
use crate::zone::Place;
use crate::{Parsed, level, time};

/// The first of the time keys that holds a time.
pub(crate) fn timestamp(line: &str, place: &Place<'_>) -> Option<Timestamp> {
    let mut found = [None; TIME_KEYS.len()];
    for pair in Pairs(line) {
        let (key, value) = pair?;
        if let Some(at) = TIME_KEYS.iter().position(|time_key| *time_key == key) {
            found[at] = value.and_then(|value| time::text(&unquoted(value)?, place));
        }
    }
    found.into_iter().flatten().next()
}

/// Everything the line says; `None` if a part of it is no pair, or it begins with none.
pub(crate) fn parse(line: &str) -> Option<Parsed> {
    let mut object = Object::with_capacity(line.len() + 64);
    let mut levels = [Severity::Unknown; LEVEL_KEYS.len()];
    for (number, pair) in Pairs(line).enumerate() {
        let (key, value) = pair?;
        let Some(value) = value else {
            // A sentence of words is not a line of keys.
            if number == 0 {
                return None;
            }
            object.null(key);
            continue;
        };
        let value = unquoted(value)?;
        object.text(key, &value);
        if let Some(at) = LEVEL_KEYS.iter().position(|level_key| *level_key == key) {
            levels[at] = value.parse().map_or_else(|_| level::of_word(value.as_bytes()), level::of_number);
        }
    }
    let severity = levels.into_iter().find(|level| *level != Severity::Unknown).unwrap_or(Severity::Unknown);
    (!Pairs(line).0.trim_ascii().is_empty()).then(|| Parsed { severity, fields: Some(object.finish()) })
}

/// The text that a value means.
fn unquoted(value: &str) -> Option<Cow<'_, str>> {
    if !value.starts_with('"') {
        return Some(Cow::Borrowed(value));
    }
    let inner = &value[1..value.len() - 1];
    if inner.contains('\\') {
        serde_json::from_str(value).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// The pairs of a line, values with their quotes; `None` once something is no pair.
struct Pairs<'a>(&'a str);

impl<'a> Iterator for Pairs<'a> {
    type Item = Option<(&'a str, Option<&'a str>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.0.trim_ascii_start();
        if line.is_empty() {
            return None;
        }
        let pair = pair(line);
        // After what is no pair nothing more is read.
        self.0 = pair.map_or("", |(_, rest)| rest);
        Some(pair.map(|(pair, _)| pair))
    }
}

/// The pair at the start of the line, and what follows it.
fn pair(line: &str) -> Option<((&str, Option<&str>), &str)> {
    let key_end = memchr2(b'=', b' ', line.as_bytes()).unwrap_or(line.len());
    let (key, rest) = line.split_at(key_end);
    if key.is_empty() || memchr2(b'"', b'{', key.as_bytes()).is_some() {
        return None;
    }
    let Some(value) = rest.strip_prefix('=') else { return Some(((key, None), rest)) };
    let value_end = if value.starts_with('"') {
        let end = quote_end(value)?;
        // `a="b"c` is no pair.
        value[end..].chars().next().is_none_or(|next| next == ' ').then_some(end)?
    } else {
        memchr(b' ', value.as_bytes()).unwrap_or(value.len())
    };
    let (value, rest) = value.split_at(value_end);
    Some(((key, Some(value)), rest))
}

/// Where the quoted value ends, after its quote.
fn quote_end(value: &str) -> Option<usize> {
    let mut from = 1;
    loop {
        let at = from + memchr2(b'"', b'\\', value.as_bytes().get(from..)?)?;
        if value.as_bytes()[at] == b'"' {
            return Some(at + 1);
        }
        from = at + 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use watchbell_model::ParseKind;

    use super::*;

    const PLACE: Place<'static> = Place::at(&crate::zone::UTC, Timestamp(0));

    fn fields(line: &str) -> Option<String> {
        parse(line).map(|parsed| parsed.fields.unwrap())
    }

    #[test]
    fn pairs_become_fields() {
        for (line, expected) in [
            ("a=1 b=x", r#"{"a":"1","b":"x"}"#),
            ("  a=\"x \\\"y\\\" é\"  b= c ", r#"{"a":"x \"y\" é","b":"","c":null}"#),
            ("a=b=c url=http://x?y=z", r#"{"a":"b=c","url":"http://x?y=z"}"#),
        ] {
            assert_eq!(fields(line).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn other_lines_have_no_fields() {
        for line in [
            "",
            "  ",
            "words only",
            "words then=pair",
            "=x",
            "a=\"open",
            "a=\"b\"c",
            "{\"a\":1}",
            "a=1 \"b\"",
            "a=\"\\x\"",
        ] {
            assert_eq!(fields(line), None, "{line}");
        }
        assert_eq!(crate::parse(ParseKind::Logfmt, "ERROR x").severity, Severity::Error);
    }

    #[test]
    fn time_and_level_are_those_of_the_usual_keys() {
        let line = "date=2001-01-01T00:00:00Z ts=\"2026-11-22 21:11:52,125\" lvl=warn msg=\"level=error\"";
        assert_eq!(timestamp(line, &PLACE), Some(Timestamp(1_795_381_912_125)));
        assert_eq!(parse(line).unwrap().severity, Severity::Warn);
        assert_eq!(parse("a=1 level=50").unwrap().severity, Severity::Error);
        assert_eq!(timestamp("time=1795381912", &PLACE), Some(Timestamp(1_795_381_912_000)));
        assert_eq!(timestamp("a=1 mytime=1795381912", &PLACE), None);
    }

    proptest! {
        #[test]
        fn any_text_has_an_answer(line in "[a-c=\"\\\\ é{1]{0,30}") {
            timestamp(&line, &PLACE);
            if let Some(fields) = crate::parse(ParseKind::Logfmt, &line).fields {
                prop_assert!(serde_json::from_str::<serde_json::Map<_, _>>(&fields).is_ok(), "{}", fields);
            }
        }
    }
}
