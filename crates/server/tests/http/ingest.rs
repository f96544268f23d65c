//! What is accepted, and what is answered.

use std::io::ErrorKind;

use serde_json::json;
use watchbell_model::{EventFlags, LINE_BYTES_MAX, Source, Timestamp};
use watchbell_server::BODY_BYTES_MAX;

use crate::client::{Served, answer, gzip};
use crate::host::Recorder;

#[tokio::test]
async fn lines_become_the_events_of_one_batch() {
    let served = Served::start(Recorder::new());
    let answer = served.post("/ingest/shop/app?stream=web-1", "one\r\n\ntwo\0\nthree").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({
            "events": 3, "duplicate": false, "offset": 0, "first_event_id": "7265636f72646572-000000000000-000000",
            "empty_lines": 1, "not_json": 0, "cut_lines": 0, "dropped_bytes": 0, "repaired_lines": 0,
            "redacted_lines": 0,
        })
    );
    let batches = served.host.batches();
    assert_eq!(batches.len(), 1);
    assert_eq!((batches[0].group.as_str(), batches[0].stream.as_str()), ("shop/app", "web-1"));
    assert_eq!(batches[0].source, Source::Http { principal: "loopback".into(), batch_id: None });
    assert!(!batches[0].backfill);
    assert_eq!(served.host.messages(), ["one", "two\0", "three"]);
}

#[tokio::test]
async fn a_compressed_body_is_what_it_was() {
    let served = Served::start(Recorder::new());
    let body = b"one\ntwo\n";
    for (encoding, body) in [("zstd", zstd::encode_all(&body[..], 3).unwrap()), ("GZIP", gzip(body))] {
        let header = format!("Content-Encoding: {encoding}\r\n");
        assert_eq!(served.call("POST /ingest/shop/app", &header, body).await.status, 200);
    }
    assert_eq!(served.host.messages(), ["one", "two", "one", "two"]);
}

#[tokio::test]
async fn nothing_is_answered_before_the_batch_is_on_disk() {
    let served = Served::start(Recorder::with_disk(0));
    let mut stream = served.begin(&served.request("POST /ingest/shop/app", "", b"one")).await;
    served.host.batches_arrived(1).await;
    let early = stream.try_read(&mut [0]).unwrap_err();
    assert_eq!(early.kind(), ErrorKind::WouldBlock);
    served.host.disk.add_permits(1);
    assert_eq!(answer(&mut stream).await.status, 200);
}

#[tokio::test]
async fn a_bad_line_does_not_keep_good_ones_out() {
    let served = Served::start(Recorder::new());
    let long = vec![b'x'; 2 * LINE_BYTES_MAX];
    let body = [b"good\n\xff bad\n", &long[..], b"\nlast"].concat();
    let answer = served.post("/ingest/shop/app", body).await.json();
    assert_eq!((&answer["events"], &answer["cut_lines"]), (&json!(4), &json!(1)));
    assert_eq!((&answer["repaired_lines"], &answer["dropped_bytes"]), (&json!(1), &json!(LINE_BYTES_MAX)));
    let batch = served.host.batches().remove(0);
    let seen: Vec<_> = batch.events().map(|event| (event.message.len(), event.flags)).collect();
    let none = EventFlags::default();
    assert_eq!(seen, [(4, none), (7, EventFlags::REPAIRED), (LINE_BYTES_MAX, EventFlags::CUT), (4, none)]);
    assert_eq!(batch.event(1).message, "\u{fffd} bad");
}

#[tokio::test]
async fn lines_that_are_not_json_are_kept_and_counted() {
    let served = Served::start(Recorder::new());
    for kind in ["application/x-ndjson", "application/jsonl; charset=UTF-8", "Application/X-NDJSON"] {
        let headers = format!("Content-Type: {kind}\r\n");
        let answer = served.call("POST /ingest/shop/app", &headers, "{\"a\": 1}\nnot\n[1]\n").await.json();
        assert_eq!((&answer["events"], &answer["not_json"]), (&json!(3), &json!(1)), "{kind}");
    }
    assert_eq!(served.host.messages()[..3], ["{\"a\": 1}", "not", "[1]"]);
}

#[tokio::test]
async fn plain_text_has_several_names() {
    let served = Served::start(Recorder::new());
    for kind in ["text/plain", "text/plain;charset=\"utf-8\"", "application/x-www-form-urlencoded", ""] {
        let headers = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        let answer = served.call("POST /ingest/shop/app", &headers, "a=1&b=%20+\n").await;
        assert_eq!((answer.status, &answer.json()["not_json"]), (200, &json!(0)), "{kind}");
    }
    assert!(served.host.messages().iter().all(|message| message == "a=1&b=%20+"));
}

#[tokio::test]
async fn times_come_from_the_line_only_in_groups_that_say_so() {
    let served = Served::start(Recorder::new());
    let many = "7\nx\n".repeat(50_000); // large enough to be split on another thread
    for (path, body, first) in [
        ("/ingest/shop/access", "7\nx", Some(Timestamp(7))),
        ("/ingest/shop/access", &many, Some(Timestamp(7))),
        ("/ingest/shop/app", "7\nx", None),
    ] {
        assert_eq!(served.post(path, body).await.status, 200);
        let batch = served.host.batches().pop().unwrap();
        assert_eq!((batch.event(0).timestamp, batch.event(1).timestamp), (first, None), "{path}");
    }
}

#[tokio::test]
async fn a_body_without_events_stores_nothing() {
    let served = Served::start(Recorder::new());
    for (body, empty_lines) in [("", 0), ("\n\r\n", 2)] {
        let answer = served.post("/ingest/shop/app", body).await;
        assert_eq!(answer.status, 200);
        let answer = answer.json();
        assert_eq!((&answer["events"], &answer["empty_lines"]), (&json!(0), &json!(empty_lines)));
        assert_eq!((&answer["offset"], &answer["first_event_id"]), (&json!(null), &json!(null)));
    }
    assert!(served.host.batches().is_empty());
}

#[tokio::test]
async fn a_repeated_idempotency_key_is_acknowledged_as_what_it_is() {
    let served = Served::start(Recorder::new());
    let key = "~".repeat(255);
    let headers = format!("Idempotency-Key: {key}\r\n");
    for duplicate in [false, true] {
        let answer = served.call("POST /ingest/shop/app", &headers, "one\ntwo").await.json();
        assert_eq!((&answer["duplicate"], &answer["events"]), (&json!(duplicate), &json!(2)));
        assert_eq!(answer["offset"], json!(0));
    }
    let batches = served.host.batches();
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].source, Source::Http { principal: "loopback".into(), batch_id: Some(key) });
}

#[tokio::test]
async fn the_stream_is_http_unless_named() {
    let served = Served::start(Recorder::new());
    let longest = "\u{e9}".repeat(512);
    for (query, stream) in [
        ("", "http"),
        ("?stream=a%20b%2Fc+d", "a b/c d"),
        (&format!("?stream={}", "%C3%A9".repeat(512)), &longest),
    ] {
        assert_eq!(served.post(&format!("/ingest/shop/app{query}"), "x").await.status, 200);
        assert_eq!(served.host.batches().pop().unwrap().stream, stream);
    }
}

#[tokio::test]
async fn group_names_may_hold_slashes_and_encoded_characters() {
    let served = Served::start(Recorder::new());
    for path in ["/ingest//aws/x%23y", "/ingest/%2Faws%2Fx%23y"] {
        assert_eq!(served.post(path, "x").await.status, 200, "{path}");
        assert_eq!(served.host.batches().pop().unwrap().group.as_str(), "/aws/x#y");
    }
}

#[tokio::test]
async fn a_body_of_the_limit_is_accepted_in_one_piece_or_in_chunks() {
    let served = Served::start(Recorder::new());
    let mut body = vec![b'x'; BODY_BYTES_MAX];
    body.iter_mut().step_by(1024).for_each(|byte| *byte = b'\n');
    assert_eq!(served.post("/ingest/shop/app", &body).await.json()["events"], json!(8192));
    assert_eq!(served.send(&chunked(&served, &body)).await.json()["events"], json!(8192));
}

/// A request without `Content-Length`, in chunks of half a megabyte.
pub(crate) fn chunked(served: &Served, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST /ingest/shop/app HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
        served.address
    )
    .into_bytes();
    for chunk in body.chunks(512 * 1024) {
        request.extend(format!("{:x}\r\n", chunk.len()).bytes());
        request.extend_from_slice(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    request
}
