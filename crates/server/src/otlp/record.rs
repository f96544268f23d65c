//! A log record as a log event: its text, its time, how grave it is, and who sent it.

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
