//! A log record as a log event: its text, its time, how grave it is, and who sent it.

use std::fmt::Write;

use serde_json::{Map, Value as Json};
use watchbell_model::{Severity, Timestamp};

use super::message::{AnyValue, KeyValue, LogRecord, Resource, Value};

/// The text of a record: its body if that is a text, else the body as JSON; without a body its attributes as JSON.
/// `None`: it has neither.
pub(super) fn text(record: &LogRecord) -> Option<String> {
    let body = record.body.as_ref().and_then(|body| body.value.as_ref());
    match body {
        Some(Value::Text(text)) => Some(text.clone()).filter(|text| !text.is_empty()),
        Some(value) => Some(json(value).to_string()),
        None if record.attributes.is_empty() => None,
        None => Some(object(&record.attributes).to_string()),
    }
}

/// The whole record as a JSON object, for groups that are read as JSON: its body, then what it has beside it. A body
/// that is an object, or a text that is one, is that object as it came, and what is beside it is added at its end, but
/// for members that it has itself. `None`: it has neither body nor attributes.
///
/// Source of the names of ids: OpenTelemetry, Trace Context in Non-OTLP Log Formats, "JSON formats".
pub(super) fn whole(record: &LogRecord) -> Option<String> {
    let body = record.body.as_ref().and_then(|body| body.value.as_ref());
    let body = body.filter(|body| !matches!(body, Value::Text(text) if text.is_empty()));
    if body.is_none() && record.attributes.is_empty() {
        return None;
    }
    let (mut all, own) = match body.map(opened) {
        Some(Some((object, own))) => (object, own),
        Some(None) => (format!("{{\"body\":{}", body.map_or(Json::Null, json)), ["body".to_owned()].into()),
        None => ("{".to_owned(), Vec::new()),
    };
    let mut is_first = own.is_empty();
    for (name, value) in beside(record) {
        if !own.iter().any(|own| own == name) {
            let comma = if is_first { "" } else { "," };
            write!(all, "{comma}\"{name}\":{value}").expect("writing to a string");
            is_first = false;
        }
    }
    all.push('}');
    Some(all)
}

/// An object's text without its last brace, and the names of its members; `None`: it is none.
fn opened(body: &Value) -> Option<(String, Vec<String>)> {
    let mut text = match body {
        Value::Text(text) => text.trim_ascii().to_owned(),
        Value::Map(map) => object(&map.values).to_string(),
        _ => return None,
    };
    let members: Map<String, Json> = serde_json::from_str(&text).ok()?;
    text.truncate(text.rfind('}')?);
    Some((text, members.into_iter().map(|(name, _)| name).collect()))
}

/// What a record has beside its body.
fn beside(record: &LogRecord) -> impl Iterator<Item = (&'static str, Json)> {
    let text = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Json::from);
    let id = |bytes: &[u8], length: usize| {
        let is_valid = bytes.len() == length && bytes.iter().any(|byte| *byte != 0);
        is_valid.then(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat().into())
    };
    let severity =
        text(&record.severity_text).or_else(|| severity_name(record.severity_number).map(Json::from));
    let attributes = Some(&record.attributes).filter(|attributes| !attributes.is_empty());
    let all = [
        ("severity", severity),
        ("event_name", text(&record.event_name)),
        ("attributes", attributes.map(|attributes| object(attributes))),
        ("trace_id", id(&record.trace_id, 16)),
        ("span_id", id(&record.span_id, 8)),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?)))
}

/// Source: OpenTelemetry, Logs Data Model, "Displaying Severity": the short name, without its number.
fn severity_name(number: i32) -> Option<&'static str> {
    let names = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    let place = usize::try_from(number.checked_sub(1)?).ok()? / 4;
    names.get(place).copied()
}

/// When it happened, else when it was first seen.
pub(super) fn time(record: &LogRecord) -> Option<Timestamp> {
    let nanoseconds = [record.time_unix_nano, record.observed_time_unix_nano];
    let known = nanoseconds.into_iter().find(|time| *time > 0)?;
    i64::try_from(known / 1_000_000).ok().map(Timestamp)
}

/// Source: OpenTelemetry, Logs Data Model, "Field: `SeverityNumber`".
pub(super) fn severity(record: &LogRecord) -> Option<Severity> {
    Some(match record.severity_number {
        1..=4 => Severity::Trace,
        5..=8 => Severity::Debug,
        9..=12 => Severity::Info,
        13..=16 => Severity::Warn,
        17..=20 => Severity::Error,
        21..=24 => Severity::Critical,
        _ => return None,
    })
}

/// An attribute of the sender, if it is a text.
pub(super) fn attribute<'a>(resource: Option<&'a Resource>, key: &str) -> Option<&'a str> {
    let attribute = resource?.attributes.iter().find(|attribute| attribute.key == key)?;
    match &attribute.value.as_ref()?.value {
        Some(Value::Text(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn json(value: &Value) -> Json {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Bool(bool) => (*bool).into(),
        Value::Int(int) => (*int).into(),
        // What is no number of JSON becomes null.
        Value::Double(double) => (*double).into(),
        Value::Array(array) => array.values.iter().map(any_value).collect::<Vec<Json>>().into(),
        Value::Map(map) => object(&map.values),
        Value::Bytes(bytes) => base64(bytes).into(),
    }
}

fn any_value(value: &AnyValue) -> Json {
    value.value.as_ref().map_or(Json::Null, json)
}

fn object(attributes: &[KeyValue]) -> Json {
    let member = |it: &KeyValue| (it.key.clone(), it.value.as_ref().map_or(Json::Null, any_value));
    Json::Object(attributes.iter().map(member).collect::<Map<String, Json>>())
}

/// As JSON writes bytes. Source: protobuf, "`ProtoJSON` Format".
fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::otlp::message::Request;

    fn records(logs: &str) -> Vec<LogRecord> {
        let request = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{logs}]}}]}}]}}"#);
        let request: Request = serde_json::from_str(&request).unwrap();
        request.resource_logs[0].scope_logs[0].log_records.clone()
    }

    #[test]
    fn a_text_is_the_text_and_everything_else_is_json() {
        for (record, expected) in [
            (r#"{"body":{"stringValue":"paid\nand gone"}}"#, Some("paid\nand gone")),
            (r#"{"body":{"intValue":"9007199254740993"}}"#, Some("9007199254740993")),
            (r#"{"body":{"doubleValue":0.5}}"#, Some("0.5")),
            (r#"{"body":{"doubleValue":"NaN"}}"#, Some("null")),
            (r#"{"body":{"boolValue":true}}"#, Some("true")),
            (r#"{"body":{"bytesValue":"AP8="}}"#, Some("AP8=")),
            (
                r#"{"body":{"kvlistValue":{"values":[{"key":"b","value":{"intValue":1}},{"key":"a","value":{"arrayValue":{"values":[{"stringValue":"x"},{}]}}}]}}}"#,
                Some(r#"{"a":["x",null],"b":1}"#),
            ),
            (
                r#"{"attributes":[{"key":"event","value":{"stringValue":"login"}}]}"#,
                Some(r#"{"event":"login"}"#),
            ),
            (r#"{"body":{"stringValue":""}}"#, None),
            (r#"{"body":{}}"#, None),
            ("{}", None),
        ] {
            assert_eq!(text(&records(record)[0]).as_deref(), expected, "{record}");
        }
        let bytes = AnyValue { value: Some(Value::Bytes(vec![0, 255])) };
        assert_eq!(any_value(&bytes), "AP8=");
    }

    #[test]
    fn a_whole_record_is_an_object_with_everything_it_has() {
        let attributes = r#""attributes":[{"key":"time","value":{"intValue":7}}]"#;
        let ids = r#""traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174""#;
        for (record, expected) in [
            (r#""body":{"stringValue":"paid \"1\""}"#, Some(r#"{"body":"paid \"1\""}"#)),
            (
                &format!(
                    r#""body":{{"stringValue":"x"}},"severityNumber":18,"eventName":"e",{attributes},{ids}"#
                ),
                Some(
                    r#"{"body":"x","severity":"ERROR","event_name":"e","attributes":{"time":7},"trace_id":"5b8efff798038103d269b633813fc60c","span_id":"eee19b7ec3c1b174"}"#,
                ),
            ),
            // An object stays as it came, digits, order and all.
            (
                &format!(
                    r#""body":{{"stringValue":" {{\"b\": 1.50, \"a\":{{}}}} \n"}},"severityText":"warn",{attributes}"#
                ),
                Some(r#"{"b": 1.50, "a":{},"severity":"warn","attributes":{"time":7}}"#),
            ),
            (
                &format!(
                    r#""body":{{"stringValue":"{{\"severity\":\"x\"}}"}},"severityText":"warn",{attributes}"#
                ),
                Some(r#"{"severity":"x","attributes":{"time":7}}"#),
            ),
            (
                &format!(r#""body":{{"stringValue":"{{}}"}},{attributes}"#),
                Some(r#"{"attributes":{"time":7}}"#),
            ),
            (
                r#""body":{"kvlistValue":{"values":[{"key":"n","value":{"intValue":1}}]}},"severityNumber":1"#,
                Some(r#"{"n":1,"severity":"TRACE"}"#),
            ),
            (r#""body":{"arrayValue":{"values":[{"boolValue":true}]}}"#, Some(r#"{"body":[true]}"#)),
            (r#""body":{"stringValue":"{\"broken\":"}"#, Some(r#"{"body":"{\"broken\":"}"#)),
            (attributes, Some(r#"{"attributes":{"time":7}}"#)),
            // What is no id, or the one that stands for none, is none.
            (
                r#""body":{"stringValue":"x"},"traceId":"W47/95gDgQPSabYzgT/GDA==","spanId":"0000000000000000","severityNumber":25"#,
                Some(r#"{"body":"x"}"#),
            ),
            (r#""body":{"stringValue":""},"severityNumber":9"#, None),
            (ids, None),
        ] {
            assert_eq!(whole(&records(&format!("{{{record}}}"))[0]).as_deref(), expected, "{record}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0..48_u8], 0..120),
            json in "[\\[\\]{}:,\"a0-9]{0,40}",
            value in "(\"[a-z0-9.-]{0,5}\"|-?[0-9]{0,20}|null|\\{\\}|\\[\\])",
        ) {
            let all = [
                Request::decode(bytes.as_slice()).ok(),
                serde_json::from_str(&json).ok(),
                serde_json::from_str(&format!(
                    r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"timeUnixNano":{value},"body":{{"intValue":{value}}}}},{{"body":{{"doubleValue":{value},"arrayValue":{value}}}}}]}}]}}]}}"#
                )).ok(),
            ];
            for logs in all.into_iter().flatten().flat_map(|request: Request| request.resource_logs) {
                for record in logs.scope_logs.iter().flat_map(|scope| &scope.log_records) {
                    if let Some(whole) = whole(record) {
                        serde_json::from_str::<Map<String, Json>>(&whole).unwrap();
                    }
                    let _ = (text(record), time(record), severity(record));
                }
            }
        }
    }

    #[test]
    fn time_and_severity_are_those_of_the_record() {
        let all = records(
            r#"{"timeUnixNano":"1795381912125999999","observedTimeUnixNano":"5","severityNumber":17},
               {"observedTimeUnixNano":2000000,"severityNumber":99},{"severityNumber":24}"#,
        );
        let found: Vec<_> = all.iter().map(|it| (time(it).map(|it| it.0), severity(it))).collect();
        assert_eq!(
            found,
            [
                (Some(1_795_381_912_125), Some(Severity::Error)),
                (Some(2), None),
                (None, Some(Severity::Critical))
            ]
        );
    }
}
