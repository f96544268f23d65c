//! The messages of OTLP that are needed, in both of their forms: protobuf and JSON. What else a message has is skipped.
//!
//! Source: opentelemetry-proto 1.x, `collector/logs/v1/logs_service.proto`, `logs/v1/logs.proto`, `common/v1/common.proto`;
//! OTLP Specification, "JSON Protobuf Encoding"; google/rpc/status.proto.

use prost::{Message, Oneof};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// `ExportLogsServiceRequest`
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Request {
    #[prost(message, repeated, tag = "1")]
    pub(super) resource_logs: Vec<ResourceLogs>,
}

/// What one program, on one machine, logged.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ResourceLogs {
    #[prost(message, optional, tag = "1")]
    pub(super) resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub(super) scope_logs: Vec<ScopeLogs>,
}

/// Who logged.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub(super) attributes: Vec<KeyValue>,
}

/// What one library in it logged.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ScopeLogs {
    #[prost(message, repeated, tag = "2")]
    pub(super) log_records: Vec<LogRecord>,
}

/// One record.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogRecord {
    /// 0: not known.
    #[prost(fixed64, tag = "1")]
    #[serde(deserialize_with = "unsigned")]
    pub(super) time_unix_nano: u64,
    #[prost(fixed64, tag = "11")]
    #[serde(deserialize_with = "unsigned")]
    pub(super) observed_time_unix_nano: u64,
    /// 1 to 24; 0: not known.
    #[prost(int32, tag = "2")]
    pub(super) severity_number: i32,
    /// As the sender's own logger names it; may be empty.
    #[prost(string, tag = "3")]
    pub(super) severity_text: String,
    #[prost(message, optional, tag = "5")]
    pub(super) body: Option<AnyValue>,
    #[prost(message, repeated, tag = "6")]
    pub(super) attributes: Vec<KeyValue>,
    /// 16 bytes, or none.
    #[prost(bytes = "vec", tag = "9")]
    #[serde(deserialize_with = "hex")]
    pub(super) trace_id: Vec<u8>,
    /// 8 bytes, or none.
    #[prost(bytes = "vec", tag = "10")]
    #[serde(deserialize_with = "hex")]
    pub(super) span_id: Vec<u8>,
    /// What kind of event it is; may be empty.
    #[prost(string, tag = "12")]
    pub(super) event_name: String,
}

/// An attribute.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<AnyValue>,
}

/// Any value, also none.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(try_from = "JsonValue")]
pub(super) struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(super) value: Option<Value>,
}

/// What a value may be.
#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Value {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Array(ArrayValue),
    #[prost(message, tag = "6")]
    Map(KeyValueList),
    #[prost(bytes, tag = "7")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(super) struct KeyValueList {
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<KeyValue>,
}

/// How JSON writes a value.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names of OTLP")]
struct JsonValue {
    string_value: Option<String>,
    bool_value: Option<bool>,
    int_value: Option<serde_json::Value>,
    double_value: Option<serde_json::Value>,
    array_value: Option<ArrayValue>,
    kvlist_value: Option<KeyValueList>,
    /// In Base64.
    bytes_value: Option<String>,
}

impl TryFrom<JsonValue> for AnyValue {
    type Error = String;

    fn try_from(json: JsonValue) -> Result<AnyValue, String> {
        let JsonValue {
            string_value,
            bool_value,
            int_value,
            double_value,
            array_value,
            kvlist_value,
            bytes_value,
        } = json;
        let int = int_value.map(|it| number(&it).ok_or_else(|| format!("intValue {it}"))).transpose()?;
        let double =
            double_value.map(|it| number(&it).ok_or_else(|| format!("doubleValue {it}"))).transpose()?;
        let value = string_value
            .map(Value::Text)
            .or(bool_value.map(Value::Bool))
            .or(int.map(Value::Int))
            .or(double.map(Value::Double))
            .or(array_value.map(Value::Array))
            .or(kvlist_value.map(Value::Map))
            // As it came: it becomes text again in any case.
            .or(bytes_value.map(Value::Text));
        Ok(AnyValue { value })
    }
}

/// A number, which JSON may write as a text.
fn number<T: std::str::FromStr>(value: &serde_json::Value) -> Option<T> {
    match value {
        serde_json::Value::String(text) => text.parse().ok(),
        serde_json::Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

fn unsigned<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    number(&value).ok_or_else(|| D::Error::custom(format!("{value} is no time in nanoseconds")))
}

/// Bytes that JSON writes in hexadecimal digits. What is no such text is none: an id is not worth a line.
fn hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    let digit = |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    Ok(bytes.collect::<Option<_>>().unwrap_or_default())
}

/// `ExportLogsServiceResponse`
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response {
    #[prost(message, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) partial_success: Option<PartialSuccess>,
}

/// What was not taken, and why.
#[derive(Clone, PartialEq, Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartialSuccess {
    #[prost(int64, tag = "1")]
    #[serde(serialize_with = "as_text")]
    pub(super) rejected_log_records: i64,
    #[prost(string, tag = "2")]
    pub(super) error_message: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn as_text<S: serde::Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

/// `google.rpc.Status`: what a refused request is answered with.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct Status {
    /// Of `google.rpc.Code`.
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
}
