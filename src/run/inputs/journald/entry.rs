//! One entry of the system's journal, as `journalctl --output=json` writes it.
//!
//! Source: systemd's Journal Export Formats, "Journal JSON Format"; systemd.journal-fields(7).

use serde::Deserialize;
use serde_json::Value;
use watchbell_model::{Severity, Timestamp};

/// What is made of an entry.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) cursor: String,
    /// When the journal took it.
    pub(super) time: Timestamp,
    pub(super) severity: Option<Severity>,
    /// The unit that it is of, or who logged it.
    pub(super) unit: String,
    /// Its bytes need not be UTF-8.
    pub(super) message: Vec<u8>,
}

#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "__CURSOR")]
    cursor: String,
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    time: Option<String>,
    #[serde(rename = "PRIORITY")]
    priority: Option<Value>,
    #[serde(rename = "_SYSTEMD_UNIT")]
    unit: Option<Value>,
    #[serde(rename = "_SYSTEMD_USER_UNIT")]
    user_unit: Option<Value>,
    #[serde(rename = "SYSLOG_IDENTIFIER")]
    identifier: Option<Value>,
    #[serde(rename = "MESSAGE")]
    message: Option<Value>,
}

/// A line of what `journalctl` writes.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// An entry with a message.
    Entry(Entry),
    /// An entry without one; reading may go on behind this cursor all the same.
    WithoutMessage(String),
    /// No entry.
    Unreadable,
}

impl Line {
    pub(super) fn read(line: &[u8]) -> Line {
        let Ok(fields) = serde_json::from_slice::<Fields>(line) else { return Line::Unreadable };
        let Fields { cursor, time, priority, unit, user_unit, identifier, message } = fields;
        let message = message.as_ref().and_then(bytes);
        let time_us = time.and_then(|time| time.parse::<i64>().ok());
        let (Some(message), Some(time_us)) = (message, time_us) else { return Line::WithoutMessage(cursor) };
        let of = |field: &Option<Value>| field.as_ref().and_then(bytes).filter(|name| !name.is_empty());
        let unit = of(&user_unit).or_else(|| of(&unit)).or_else(|| of(&identifier));
        let severity = priority.as_ref().and_then(bytes).and_then(|digit| severity(&digit));
        Line::Entry(Entry {
            cursor,
            time: Timestamp(time_us / 1000),
            severity,
            unit: unit
                .map_or_else(|| "journal".to_owned(), |unit| String::from_utf8_lossy(&unit).into_owned()),
            message,
        })
    }
}

/// A field's value: a text; an array of numbers, if it is no text; an array of these, if the entry has it more than once.
fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Array(items) if items.iter().all(Value::is_number) => {
            items.iter().map(|item| u8::try_from(item.as_u64()?).ok()).collect()
        }
        Value::Array(items) => {
            let values: Option<Vec<Vec<u8>>> = items.iter().map(bytes).collect();
            Some(values?.join(&b'\n'))
        }
        _ => None,
    }
}

/// Source: systemd.journal-fields(7), `PRIORITY`: as in syslog.
fn severity(digit: &[u8]) -> Option<Severity> {
    Some(match digit {
        b"0" | b"1" | b"2" => Severity::Critical,
        b"3" => Severity::Error,
        b"4" => Severity::Warn,
        b"5" | b"6" => Severity::Info,
        b"7" => Severity::Debug,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(fields: &str) -> Entry {
        let line = format!(r#"{{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1795381912125678",{fields}}}"#);
        match Line::read(line.as_bytes()) {
            Line::Entry(entry) => entry,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_entry_has_its_message_time_severity_and_unit() {
        let found = entry(
            r#""PRIORITY":"3","_SYSTEMD_UNIT":"ssh.service","SYSLOG_IDENTIFIER":"sshd","MESSAGE":"a\nb""#,
        );
        let expected = Entry {
            cursor: "s=1;i=2".into(),
            time: Timestamp(1_795_381_912_125),
            severity: Some(Severity::Error),
            unit: "ssh.service".into(),
            message: b"a\nb".to_vec(),
        };
        assert_eq!(found, expected);
        assert_eq!(entry(r#""SYSLOG_IDENTIFIER":"kernel","MESSAGE":"x""#).unit, "kernel");
        assert_eq!(
            entry(r#""_SYSTEMD_UNIT":"user@1.service","_SYSTEMD_USER_UNIT":"a.service","MESSAGE":"x""#).unit,
            "a.service"
        );
        assert_eq!(entry(r#""PRIORITY":"9","MESSAGE":"x""#).severity, None);
        assert_eq!(entry(r#""MESSAGE":"x""#).unit, "journal");
    }

    #[test]
    fn messages_that_are_no_text_or_more_than_one_are_read() {
        assert_eq!(entry(r#""MESSAGE":[104,105,255,0]"#).message, b"hi\xff\0");
        assert_eq!(entry(r#""MESSAGE":["one",[255]]"#).message, b"one\n\xff");
        assert_eq!(entry(r#""MESSAGE":[]"#).message, b"");
        for message in ["null", "7", "{}", "[256]", "[-1]", "[null]"] {
            let line = format!(r#"{{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","MESSAGE":{message}}}"#);
            assert_eq!(Line::read(line.as_bytes()), Line::WithoutMessage("c".into()), "{message}");
        }
        for line in ["", "{", "[]", "-- No entries --", r#"{"MESSAGE":"x"}"#, r#"{"__CURSOR":1}"#] {
            assert_eq!(Line::read(line.as_bytes()), Line::Unreadable, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(line in prop::collection::vec(any::<u8>(), 0..80), value in "[\\[\\]0-9,\"a{}:-]{0,20}") {
            let _ = Line::read(&line);
            let _ = Line::read(format!(r#"{{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","MESSAGE":{value}}}"#).as_bytes());
        }
    }
}
