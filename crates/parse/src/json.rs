//! One JSON object a line.
//!
//! For severity and fields the line is checked once, without a tree and without recursion, so that no nesting can
//! overflow the stack; only the values of a few keys at its top are looked at. For the time it is not checked: the
//! collector asks for it while lines wait, and it usually stands near the beginning.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::{memchr, memchr2};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use watchbell_model::{Severity, Timestamp};

use crate::members::{Members, meaning};
use crate::zone::Place;
use crate::{Parsed, level, time};

/// Keys that hold a time, the one that counts most first.
pub(crate) const TIME_KEYS: [&str; 7] =
    ["timestamp", "time", "ts", "@timestamp", "eventTime", "datetime", "date"];

/// Keys that hold a level, the one that counts most first. `log.level` also stands for `{"log":{"level":…}}`.
pub(crate) const LEVEL_KEYS: [&str; 5] = ["level", "severity", "lvl", "log.level", "loglevel"];

/// Where `log.level` stands in [`LEVEL_KEYS`].
const LOG_LEVEL: usize = 3;

/// How long the keys of times and levels are.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 2..=10;

/// Deeper objects are not kept as fields: readers of the archive have such a limit too, and it is `serde_json`'s own.
const DEPTH_MAX: usize = 127;

/// How long the escape of a UTF-16 unit is: `\u00e9`.
const UNIT_BYTES: usize = 6;

/// Every key that counts as much as the one at this place of [`TIME_KEYS`], or more, begins like one of these.
static BEGINNINGS: LazyLock<[Vec<Finder<'static>>; 3]> = LazyLock::new(|| {
    let [timestamp, time, ts] = ["\"timestamp\"", "\"time", "\"ts\""].map(Finder::new);
    // The key's own beginning comes first: where a key stands again and again, its next one is found at once.
    [vec![timestamp], vec![time.clone()], vec![ts, time]]
});

/// Everything the line says; `None` if it is not one JSON object.
pub(crate) fn parse(line: &str) -> Option<Parsed> {
    // Escapes can spell half a UTF-16 pair, which is no text: `serde_json` does not look into strings it skips.
    let object: Object<'_> = serde_json::from_str(line).ok().filter(|_| !has_half_pair(line.as_bytes()))?;
    Some(Parsed { severity: object.severity(), fields: compact(line) })
}

/// The time of the first key that holds one; of a repeated key the last value counts. A line that breaks off, or is no
/// JSON further on, has the time that stands before.
pub(crate) fn timestamp(line: &str, place: &Place<'_>) -> Option<Timestamp> {
    let mut values = [None; TIME_KEYS.len()];
    let first = |values: &[Option<&str>]| values.iter().flatten().find_map(|value| time_of(value, place));
    let mut members = Members::of(line);
    while let Some(member) = members.next() {
        let Some(key) = time_key(&member.key) else { continue };
        values[key] = Some(member.value);
        if is_last_word(key, members.rest())
            && let Some(time) = first(&values[..=key])
        {
            return Some(time);
        }
    }
    first(&values)
}

fn time_key(name: &str) -> Option<usize> {
    // Most keys hold no time: their length tells at once.
    let is_long_enough = KEY_BYTES.contains(&name.len());
    TIME_KEYS.iter().position(|key| is_long_enough && *key == name)
}

/// Whether no key that counts as much as this one, or more, stands in the rest of the line: that is much quicker to see
/// than which keys do.
fn is_last_word(key: usize, rest: &str) -> bool {
    let rest = rest.as_bytes();
    // A key may be spelt with escapes.
    BEGINNINGS.get(key).is_some_and(|finders| {
        finders.iter().all(|finder| finder.find(rest).is_none()) && memchr(b'\\', rest).is_none()
    })
}

fn time_of(value: &str, place: &Place<'_>) -> Option<Timestamp> {
    match meaning(value) {
        Some(text) => time::text(&text, place),
        None => time::epoch(value),
    }
}

/// The values of the keys that may tell the level, as written; of a repeated key the last.
#[derive(Default)]
struct Object<'a> {
    levels: [Option<&'a RawValue>; LEVEL_KEYS.len()],
    log: Option<&'a RawValue>,
}

impl Object<'_> {
    fn severity(&self) -> Severity {
        let nested = self.log.filter(|_| self.levels[LOG_LEVEL].is_none()).and_then(level_in);
        let (above, below) = self.levels.split_at(LOG_LEVEL + 1);
        let values = above.iter().copied().chain([nested]).chain(below.iter().copied()).flatten();
        values.map(severity_of).find(|severity| *severity != Severity::Unknown).unwrap_or(Severity::Unknown)
    }
}

fn severity_of(value: &RawValue) -> Severity {
    let written = meaning(value.get()).unwrap_or(Cow::Borrowed(value.get()));
    let written = written.trim();
    written.parse().map_or_else(|_| level::of_word(written.as_bytes()), level::of_number)
}

/// What a key at the object's top is good for.
enum Key {
    Level(usize),
    Log,
    Other,
}

impl Key {
    fn of(name: &str) -> Key {
        // Most keys are neither: their length tells at once.
        if !KEY_BYTES.contains(&name.len()) {
            return Key::Other;
        }
        match LEVEL_KEYS.iter().position(|key| *key == name) {
            Some(place) => Key::Level(place),
            None if name == "log" => Key::Log,
            None => Key::Other,
        }
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<Key, E> {
                Ok(Key::of(name))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut object = Object::default();
                while let Some(key) = map.next_key()? {
                    match key {
                        Key::Level(place) => object.levels[place] = Some(map.next_value()?),
                        Key::Log => object.log = Some(map.next_value()?),
                        Key::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(object)
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// `level` in the object that `log` holds.
fn level_in(log: &RawValue) -> Option<&RawValue> {
    serde_json::from_str::<Object<'_>>(log.get()).ok()?.levels[0]
}

/// A checked JSON text without the spaces between its parts; `None` if it is nested too deep.
fn compact(json: &str) -> Option<String> {
    let json = json.trim_ascii();
    let mut out = String::with_capacity(json.len());
    let (mut depth, mut kept) = (0_usize, 0);
    let mut at = 0;
    let bytes = json.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at),
            b'{' | b'[' if depth == DEPTH_MAX => return None,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b' ' | b'\t' | b'\n' | b'\r' => {
                out.push_str(&json[kept..at]);
                kept = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    out.push_str(&json[kept..]);
    Some(out)
}

/// Where the string that opens at `open` closes.
fn string_end(json: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    loop {
        at += memchr2(b'"', b'\\', &json[at..]).expect("the text was checked: every string closes");
        if json[at] == b'"' {
            return at;
        }
        at += 2;
    }
}

/// Whether a string of a checked JSON text has the escape of a low surrogate without a high one before it, or of a
/// high one without a low one after it.
fn has_half_pair(json: &[u8]) -> bool {
    let mut at = 0;
    // Only strings have backslashes.
    while let Some(found) = memchr(b'\\', &json[at..]) {
        at += found;
        match unit(&json[at..]) {
            // A backslash and the letter it escapes.
            None => at += 2,
            Some(0xd800..=0xdbff) => match unit(&json[at + UNIT_BYTES..]) {
                Some(0xdc00..=0xdfff) => at += 2 * UNIT_BYTES,
                _ => return true,
            },
            Some(0xdc00..=0xdfff) => return true,
            Some(_) => at += UNIT_BYTES,
        }
    }
    false
}

/// The UTF-16 unit that the text begins with, if that is its escape.
fn unit(json: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(json.get(..UNIT_BYTES)?.strip_prefix(b"\\u")?).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use watchbell_model::{ParseKind, TimestampFrom};

    use super::*;
    use crate::members;

    fn severity(line: &str) -> &'static str {
        crate::parse(ParseKind::Json, line).severity.as_str()
    }

    fn fields(line: &str) -> Option<String> {
        crate::parse(ParseKind::Json, line).fields
    }

    fn timestamp_ms(line: &str) -> Option<i64> {
        let timestamps = crate::Timestamps::new(ParseKind::Json, &TimestampFrom::Line).unwrap();
        timestamps.of(line, Timestamp(0)).map(|timestamp| timestamp.0)
    }

    #[test]
    fn fields_are_the_object_without_spaces() {
        let line = "\t{ \"b\" : 1.50 , \"a\":[ 1e400, -0 ,{ } ], \"b\": \"x \\\" y\\\\\", \"é\":null }\r\n";
        assert_eq!(fields(line).unwrap(), r#"{"b":1.50,"a":[1e400,-0,{}],"b":"x \" y\\","é":null}"#);
        assert_eq!(fields("{}").unwrap(), "{}");
    }

    #[test]
    fn what_is_no_object_is_read_as_plain() {
        for line in [
            "",
            "null",
            "[1]",
            "\"x\"",
            "{",
            "{\"a\":1",
            "{\"a\":1}}",
            "{\"a\":1} x",
            "{\"a\":01}",
            "{'a':1}",
            "{\"a\":1,}",
            "{\"a\":\"\t\"}",
            "{\"a\":\"\\ud800\"}",
            "{\"\\ud800\":1}",
            "{\"a\":\"\\udc00\"}",
            "{\"a\":\"\\ud83d\\ud83d\\ude00\"}",
            "{\"a\":{\"\\ud83dx\\ude00\":1}}",
            "{\"a\":\"\\u00g9\"}",
            "{\"a\":NaN}",
        ] {
            assert_eq!(fields(line), None, "{line}");
        }
        assert_eq!(severity("{\"level\":\"error\",\"cut\":\"of"), "error");
        assert_eq!(severity("ERROR no JSON"), "error");
    }

    #[test]
    fn severity_is_the_first_key_that_names_one() {
        for (line, expected) in [
            (r#"{"level":"INFO"}"#, "info"),
            (r#"{"level":"weird","severity":"Warning"}"#, "warn"),
            (r#"{"lvl":"err","loglevel":"info"}"#, "error"),
            (r#"{"log.level":"debug"}"#, "debug"),
            (r#"{"log":{"level":"notice","logger":"x"}}"#, "info"),
            (r#"{"log":{"level":"error"},"log.level":"debug"}"#, "debug"),
            (r#"{"loglevel":"debug","log":{"level":"error"}}"#, "error"),
            (r#"{"log":"error"}"#, "unknown"),
            (r#"{"level":50}"#, "error"),
            (r#"{"level":"30"}"#, "info"),
            (r#"{"level":3}"#, "error"),
            (r#"{"level":-1}"#, "unknown"),
            (r#"{"level":3.5}"#, "unknown"),
            (r#"{"level":null,"msg":"ERROR"}"#, "unknown"),
            (r#"{"level":{"x":1}}"#, "unknown"),
            (r#"{"level":"info","level":"error"}"#, "error"),
            (r#"{"l\u0065vel":"\u0065rror"}"#, "error"),
            (r#"{"errors":0,"error":null,"Level":"error"}"#, "unknown"),
        ] {
            assert_eq!(severity(line), expected, "{line}");
        }
    }

    #[test]
    fn the_time_is_the_first_key_that_holds_one() {
        let at = Some(1_795_381_912_000);
        for line in [
            r#"{"time":"2026-11-22T21:11:52Z"}"#,
            r#"{"date":"2001-01-01T00:00:00Z","timestamp":1795381912}"#,
            r#"{"timestamp":"soon","ts":1795381912.000}"#,
            r#"{"timestamp":{"$date":1},"@timestamp":"2026-11-22 21:11:52"}"#,
            r#"{"eventTime":"2026-11-22T21:11:52\u005a"}"#,
            r#"{"datetime":"1795381912000"}"#,
            r#"{"ts":1,"ts":1795381912000000000}"#,
        ] {
            assert_eq!(timestamp_ms(line), at, "{line}");
        }
        for none in ["{}", r#"{"time":null}"#, r#"{"a":{"time":1795381912}}"#, r#"{"Time":1795381912}"#] {
            assert_eq!(timestamp_ms(none), None, "{none}");
        }
    }

    #[test]
    fn a_broken_line_has_the_time_before_the_break() {
        let at = Some(1_795_381_912_000);
        assert_eq!(timestamp_ms(r#"{"time":"2026-11-22T21:11:52Z","cut":"of"#), at);
        assert_eq!(timestamp_ms(r#"{"time":1795381912,"a":'x' y}"#), at);
        assert_eq!(timestamp_ms(r#"{"time":1795381912,"a" "timestamp":1795381913}"#), at);
        for none in [
            r#"{"time":1795381912"#,
            r#"{"time":1795381912;"#,
            r#"{"a" 1,"time":1795381912}"#,
            "time: 1795381912",
        ] {
            assert_eq!(timestamp_ms(none), None, "{none}");
        }
    }

    #[test]
    fn hostile_nesting_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(fields(&nested(DEPTH_MAX)).is_some());
        assert!(serde_json::from_str::<serde_json::Value>(&fields(&nested(DEPTH_MAX)).unwrap()).is_ok());
        assert_eq!(fields(&nested(DEPTH_MAX + 1)), None);
        let deep = nested(500_000).replacen('{', "{\"level\":\"error\",\"log\":{\"x\":0},", 1);
        assert_eq!((severity(&deep), fields(&deep)), ("error", None));
        let logs = format!("{}{{}}{}", "{\"log\":".repeat(200_000), "}".repeat(200_000));
        assert_eq!(severity(&logs), "unknown");
    }

    #[test]
    fn an_escape_makes_no_line_stricter() {
        let line = "{\"name\":\"Ren\\u00e9 \\\\ud83d \\uD83D\\ude00\",\"level\":\"error\",\"ts\":1795381912,\"x\":1e400}";
        assert_eq!((severity(line), timestamp_ms(line)), ("error", Some(1_795_381_912_000)));
        assert_eq!(fields(line).as_deref(), Some(line));
        let deep = line.replace("1e400", &format!("{}{}", "[".repeat(200), "]".repeat(200)));
        assert_eq!((severity(&deep), timestamp_ms(&deep)), ("error", Some(1_795_381_912_000)));
        assert_eq!(fields(&deep), None);
    }

    proptest! {
        #[test]
        fn the_time_is_that_of_the_whole_object(
            line in members::tests::object(
                r#""(timestamp|time|ts|@timestamp|date|t[is]me|t\\u0073|@|log)""#,
                r#"17953819[0-9]{2}|"2026-11-22T21:11:[0-5][0-9](Z|\\u005a)"|"\\"ts\\"""#,
            )
        ) {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(&line).unwrap();
            let mut values = TIME_KEYS.iter().filter_map(|key| members.get(*key));
            let place = Place::at(&crate::zone::UTC, Timestamp(0));
            let time = |value: &&RawValue| match serde_json::from_str::<String>(value.get()) {
                Ok(text) => time::text(&text, &place),
                Err(_) => time::epoch(value.get()),
            };
            prop_assert_eq!(timestamp(&line, &place), values.find_map(time));
        }

        #[test]
        fn escapes_mean_what_they_spell(text in r#"(\\\\u(00e9|d83d|de00|DBFF|DFFF|e000|12)|\\\\[\\\\"nu]|x){0,6}"#) {
            for line in [format!("{{\"a\":[{{\"{text}\":1}}]}}"), format!("{{\"{text}\":\"{text}\"}}")] {
                let whole = serde_json::from_str::<serde_json::Value>(&line).is_ok();
                prop_assert_eq!(fields(&line), whole.then_some(line));
            }
        }

        #[test]
        fn fields_mean_what_the_line_means(line in "[\\{\\}\\[\\]\",:\\\\ 0-9a-u.-]{0,40}", cut in 0..60_usize) {
            let object = format!("{{\"level\": \"info\", \"a\": {line:?} , \"b\":[ {cut}]}}");
            for line in [&line, &object, &object[..cut.min(object.len())]] {
                let parsed = crate::parse(ParseKind::Json, line);
                let whole = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line).ok();
                let kept = parsed.fields.map(|fields| serde_json::from_str(&fields).expect("fields are JSON"));
                prop_assert_eq!(kept, whole);
            }
        }
    }
}
