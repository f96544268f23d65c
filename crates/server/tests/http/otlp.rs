//! Log records of OpenTelemetry: both forms, what is rejected, what is refused.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use watchbell_model::{Severity, Source, Timestamp};
use watchbell_server::{IngestError, OTLP_BODY_BYTES_MAX};

use crate::client::{Answer, Served};
use crate::host::Recorder;

const JSON: &str = "content-type: application/json\r\n";
const PROTOBUF: &str = "content-type: application/x-protobuf\r\n";

/// The records of one service.
fn logs(service: &str, records: &Value) -> Value {
    json!({
        "resource": { "attributes": [
            { "key": "service.name", "value": { "stringValue": service } },
            { "key": "host.name", "value": { "stringValue": "web:1" } },
        ] },
        "scopeLogs": [{ "scope": { "name": "x" }, "logRecords": records, "schemaUrl": "y" }],
    })
}

fn body(text: &str) -> Value {
    json!([{ "body": { "stringValue": text } }])
}

async fn post(served: &Served, headers: &str, body: impl AsRef<[u8]>) -> Answer {
    served.call("POST /v1/logs", headers, body).await
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A field of protobuf that has a length, written by hand so that two readers of the specification meet.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap();
    assert!(length < 128);
    [&[number << 3 | 2, length], content].concat()
}

#[tokio::test]
async fn records_in_json_go_to_the_group_that_names_their_service() {
    let served = Served::start(Recorder::new());
    let records = json!([
        {
            "timeUnixNano": "1795381912125000000", "severityNumber": 17, "severityText": "ERROR",
            "body": { "stringValue": "paid\nand gone" },
            "attributes": [{ "key": "a", "value": { "intValue": "1" } }], "traceId": "5b8efff798038103d269b633813fc60c",
        },
        { "body": { "kvlistValue": { "values": [{ "key": "n", "value": { "doubleValue": 1.5 } }] } } },
    ]);
    let all =
        json!({ "resourceLogs": [logs("shop", &records), logs("site", &body("7")), logs("x", &records)] });
    let answer = post(&served, JSON, all.to_string()).await;
    assert_eq!((answer.status, answer.json()), (200, json!({})));
    let mut batches = served.host.batches();
    batches.sort_by(|a, b| a.group.cmp(&b.group));
    let groups: Vec<_> = batches.iter().map(|it| (it.group.as_str(), it.stream.as_str())).collect();
    assert_eq!(groups, [("/aws/x#y", "web_1"), ("shop/access", "web_1"), ("shop/app", "web_1")]);
    let app: Vec<_> = batches[2].events().map(|it| (it.message, it.timestamp, it.severity)).collect();
    let time = Some(Timestamp(1_795_381_912_125));
    assert_eq!(app, [("paid\nand gone", time, Some(Severity::Error)), ("{\"n\":1.5}", None, None)]);
    // A group that is read as JSON has all of it.
    let whole: Vec<_> = batches[0].events().map(|it| it.message).collect();
    let first = r#"{"body":"paid\nand gone","severity":"ERROR","attributes":{"a":1},"trace_id":"5b8efff798038103d269b633813fc60c"}"#;
    assert_eq!(whole, [first, "{\"n\":1.5}"]);
    // The group's own timestamps come first.
    assert_eq!(batches[1].timestamp(0), Some(Timestamp(7)));
    assert_eq!(batches[0].source, Source::Http { principal: "loopback".into(), batch_id: None });
}

#[tokio::test]
async fn records_in_protobuf_may_come_with_gzip_and_are_answered_likewise() {
    let served = Served::start(Recorder::new());
    let attribute = [field(1, b"service.name"), field(2, &field(1, b"shop"))].concat();
    let resource = field(1, &field(1, &attribute));
    let time = [&[1 << 3 | 1_u8], 1_795_381_912_125_000_000_u64.to_le_bytes().as_slice()].concat();
    let severity = [2 << 3, 9_u8];
    let ids = [field(9, &[0xab; 16]), field(10, &[1; 8])].concat();
    let record = [time.as_slice(), &severity, &field(5, &field(1, b"hello")), &ids].concat();
    let request = field(1, &[resource, field(2, &field(2, &record))].concat());
    for (headers, bytes) in [
        (PROTOBUF.to_owned(), request.clone()),
        (format!("{PROTOBUF}content-encoding: gzip\r\n"), gzip(&request)),
    ] {
        let answer = post(&served, &headers, bytes).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        assert!(answer.has("content-type: application/x-protobuf"), "{}", answer.head);
        let batch = served.host.batches().pop().unwrap();
        let event = batch.event(0);
        let time = Some(Timestamp(1_795_381_912_125));
        assert_eq!((event.message, event.timestamp, event.severity), ("hello", time, Some(Severity::Info)));
        assert_eq!(batch.stream, "otlp");
    }
    assert_eq!(served.host.batches().len(), 2);
}

#[tokio::test]
async fn what_no_group_takes_is_rejected_and_counted_and_the_rest_is_stored() {
    let served = Served::start(Recorder::new());
    let two = json!([{ "body": { "stringValue": "a" } }, { "body": { "stringValue": "b" } }]);
    let empty = json!([{}, { "body": { "stringValue": "kept" } }]);
    let all = json!({ "resourceLogs": [logs("bank", &two), logs("shop", &empty), { "scopeLogs": [] }] });
    let answer = post(&served, JSON, all.to_string()).await.json();
    let partial = &answer["partialSuccess"];
    assert_eq!(partial["rejectedLogRecords"], "3");
    let message = partial["errorMessage"].as_str().unwrap();
    assert!(message.contains("\"bank\"") && message.contains("1 records have neither"), "{message}");
    assert_eq!(served.host.messages(), ["kept"]);
    assert_eq!(*served.host.rejected.lock().unwrap(), [(3, "bank".to_owned())]);
    let nothing = post(&served, JSON, "{}").await;
    assert_eq!((nothing.status, nothing.json()), (200, json!({})));
}

#[tokio::test]
async fn a_refusal_has_the_form_of_otlp_and_says_whether_to_come_again() {
    let served = Served::start(Recorder::new());
    let one = json!({ "resourceLogs": [logs("shop", &body("x"))] }).to_string();
    for (error, status, retry) in [
        (IngestError::NoSpace, 503, "retry-after: 30"),
        (IngestError::Overloaded, 503, "retry-after: 1"),
        (IngestError::Failed("EIO".into()), 503, ""),
        (IngestError::Refused("no".into()), 422, ""),
    ] {
        *served.host.error.lock().unwrap() = Some(error);
        let answer = post(&served, JSON, &one).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.json()["message"].as_str().is_some_and(|text| !text.is_empty()));
        assert!(retry.is_empty() || answer.has(retry), "{}", answer.head);
    }
    *served.host.error.lock().unwrap() = None;
    let large = format!("{{\"resourceLogs\":[]{}}}", " ".repeat(OTLP_BODY_BYTES_MAX));
    let deep = format!("{{\"resourceLogs\":{}", "[".repeat(10_000));
    for (headers, bytes, status) in [
        (JSON.to_owned(), b"{\"resourceLogs\":7}".to_vec(), 400),
        (JSON.to_owned(), deep.into_bytes(), 400),
        (PROTOBUF.to_owned(), b"\x0a\x7f".to_vec(), 400),
        (format!("{JSON}content-encoding: gzip\r\n"), b"no gzip".to_vec(), 400),
        (format!("{JSON}content-encoding: gzip\r\n"), gzip(large.as_bytes()), 413),
        (JSON.to_owned(), large.clone().into_bytes(), 413),
        (format!("{JSON}content-encoding: br\r\n"), one.clone().into_bytes(), 415),
        ("content-type: text/plain\r\n".to_owned(), one.clone().into_bytes(), 415),
    ] {
        assert_eq!(post(&served, &headers, bytes).await.status, status, "{headers}");
    }
    assert!(served.host.batches().is_empty());
}

#[tokio::test]
async fn a_token_may_send_only_to_its_groups() {
    let served = Served::with_tokens();
    let of = |service: &str| json!({ "resourceLogs": [logs(service, &body("x"))] }).to_string();
    let with = |token: &str| format!("{JSON}authorization: Bearer {token}\r\n");
    assert_eq!(post(&served, JSON, of("shop")).await.status, 401);
    assert_eq!(post(&served, &with("wrong"), of("shop")).await.status, 401);
    let refused = post(&served, &with("shipper-value"), of("x")).await;
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!(7)));
    assert_eq!(post(&served, &with("monitor-value"), of("shop")).await.status, 403);
    assert_eq!(post(&served, &with("shipper-value"), of("shop")).await.status, 200);
    assert_eq!(
        served.host.batches()[0].source,
        Source::Http { principal: "token shipper".into(), batch_id: None }
    );
    assert_eq!(served.host.denied.lock().unwrap().len(), 4);
}
