//! What is not accepted, and how it is told.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use watchbell_server::{BODY_BYTES_MAX, CONCURRENT_BODIES_MAX, IngestError};

use crate::client::{Served, answer, gzip, soon};
use crate::host::Recorder;
use crate::ingest::chunked;

fn told(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_the_limit() {
    let served = Served::start(Recorder::new());
    let body = vec![b'\n'; 9 * 1024 * 1024];
    for body in [&body[..], &body[..=BODY_BYTES_MAX]] {
        for answer in
            [served.post("/ingest/shop/app", body).await, served.send(&chunked(&served, body)).await]
        {
            assert_eq!(answer.error(), told(413, "body_too_large"));
            assert!(answer.message().contains("8388608"), "{}", answer.message());
        }
    }
    assert!(served.host.batches().is_empty());
}

#[tokio::test]
async fn a_sender_that_waits_for_leave_is_refused_before_it_sends() {
    let served = Served::start(Recorder::new());
    let head = format!(
        "POST /ingest/shop/app HTTP/1.1\r\nHost: {}\r\nExpect: 100-continue\r\nContent-Length: 9000000\r\n\r\n",
        served.address
    );
    assert_eq!(served.send(head.as_bytes()).await.error(), told(413, "body_too_large"));
}

#[tokio::test]
async fn a_body_whose_lines_would_not_fit_an_entry_is_refused() {
    let served = Served::start(Recorder::new());
    let answer = served.post("/ingest/shop/app", "a\n".repeat(BODY_BYTES_MAX / 2)).await;
    assert_eq!(answer.error(), told(413, "batch_too_large"));
    assert!(served.host.batches().is_empty());
}

#[tokio::test]
async fn only_lines_are_taken() {
    let served = Served::start(Recorder::new());
    for (header, status, code) in [
        ("Content-Encoding: br", 415, "unsupported_encoding"),
        ("Content-Encoding: identity, gzip", 415, "unsupported_encoding"),
        ("Content-Encoding: identity\r\nContent-Encoding: zstd", 415, "unsupported_encoding"),
        ("Content-Type: application/json", 415, "unsupported_content_type"),
        ("Content-Type: text/plain; charset=iso-8859-1", 415, "unsupported_content_type"),
        ("Content-Type: ", 415, "unsupported_content_type"),
    ] {
        let answer = served.call("POST /ingest/shop/app", &format!("{header}\r\n"), "x").await;
        assert_eq!(answer.error(), told(status, code), "{header}");
    }
    let answer = served.call("POST /ingest/shop/app", "Content-Encoding: Identity\r\n", "x").await;
    assert_eq!(answer.status, 200);
    assert_eq!(served.host.batches().len(), 1);
}

#[tokio::test]
async fn a_body_that_is_not_what_its_encoding_says_is_refused() {
    let served = Served::start(Recorder::new());
    let whole = zstd::encode_all(&b"one line\n"[..], 3).unwrap();
    for (encoding, body) in [("zstd", &b"x"[..]), ("gzip", b"x"), ("zstd", &whole[..whole.len() - 1])] {
        let header = format!("Content-Encoding: {encoding}\r\n");
        let answer = served.call("POST /ingest/shop/app", &header, body).await;
        assert_eq!(answer.error(), told(400, "bad_encoding"), "{encoding}");
    }
    assert!(served.host.batches().is_empty());
}

#[tokio::test]
async fn a_small_body_that_becomes_a_large_one_is_refused() {
    let served = Served::start(Recorder::new());
    let large = vec![b'x'; BODY_BYTES_MAX + 1];
    for (encoding, body) in [("zstd", zstd::encode_all(&large[..], 3).unwrap()), ("gzip", gzip(&large))] {
        assert!(body.len() < BODY_BYTES_MAX / 100, "{}", body.len());
        let header = format!("Content-Encoding: {encoding}\r\n");
        let answer = served.call("POST /ingest/shop/app", &header, body).await;
        assert_eq!(answer.error(), told(413, "body_too_large"), "{encoding}");
    }
    assert!(served.host.batches().is_empty());
}

#[tokio::test]
async fn idempotency_keys_are_one_to_255_visible_characters() {
    let served = Served::start(Recorder::new());
    let long = "k".repeat(256);
    for key in ["", "a b", "\u{e9}", &long, "a\r\nIdempotency-Key: b"] {
        let answer = served.call("POST /ingest/shop/app", &format!("Idempotency-Key: {key}\r\n"), "x").await;
        assert_eq!(answer.error(), told(400, "bad_idempotency_key"), "{key}");
    }
    assert!(served.host.batches().is_empty());
}

#[tokio::test]
async fn stream_names_follow_cloudwatch() {
    let served = Served::start(Recorder::new());
    for (query, code) in [
        ("stream=", "bad_stream"),
        ("stream=a:b", "bad_stream"),
        ("stream=a*", "bad_stream"),
        ("stream=a%0Ab", "bad_stream"),
        ("stream=a%C2%85b", "bad_stream"),
        (&format!("stream={}", "x".repeat(513)), "bad_stream"),
        ("stream=/var/log/app.log", "bad_stream"),
        ("stream=%2Fvar%2Flog%2Fapp.log", "bad_stream"),
        ("stream=%FF", "bad_stream"),
        ("stream=caf%E9", "bad_stream"),
        ("stream=%C3&steam=%A9", "bad_query"),
        ("stream=a&stream=b", "bad_query"),
        ("steam=a", "bad_query"),
    ] {
        let answer = served.post(&format!("/ingest/shop/app?{query}"), "x").await;
        assert_eq!(answer.error(), told(400, code), "{query}");
    }
    assert!(served.host.batches().is_empty());
    let answer = served.post("/ingest/shop/app?stream=/var/log/app.log", "x").await;
    assert!(answer.help().contains("kept for followed files"), "{}", answer.help());
    for (query, stream) in [("caf%C3%A9/%EF%BF%BD", "café/\u{fffd}"), ("a+b%2Fc", "a b/c")] {
        assert_eq!(served.post(&format!("/ingest/shop/app?stream={query}"), "x").await.status, 200);
        assert_eq!(served.host.batches().last().unwrap().stream, stream);
    }
}

#[tokio::test]
async fn an_unknown_log_group_is_told_with_a_way_out() {
    let served = Served::start(Recorder::new());
    for (path, help) in [
        ("/ingest/shop/acess", "did you mean \"shop/access\"?"),
        ("/ingest/Shop/app", "did you mean \"shop/app\"?"),
        ("/ingest/bank", "log groups here: /aws/x#y, shop/access, shop/app"),
        (&format!("/ingest/{}", "x".repeat(5000)), "log groups here: /aws/x#y, shop/access, shop/app"),
    ] {
        let answer = served.post(path, "x").await;
        assert_eq!((answer.error(), answer.help().as_str()), (told(404, "no_such_log_group"), help));
    }
    assert_eq!(served.post("/ingest/shop%FF", "x").await.error(), told(400, "bad_path"));
    assert_eq!(served.post("/ingest/", "x").await.error(), told(404, "no_such_route"));
}

#[tokio::test]
async fn what_the_host_says_is_passed_on() {
    let served = Served::start(Recorder::new());
    for (error, expected, retry_after) in [
        (IngestError::Overloaded, told(503, "overloaded"), Some("retry-after: 1")),
        (IngestError::NoSpace, told(507, "disk_full"), Some("retry-after: 30")),
        (IngestError::JournalFull("no room".into()), told(507, "journal_full"), Some("retry-after: 30")),
        (IngestError::Stopping, told(503, "stopping"), Some("retry-after: 5")),
        (IngestError::Refused("no".into()), told(422, "refused"), None),
        (IngestError::Failed("disk \"full\"".into()), told(500, "not_stored"), None),
    ] {
        let message = error.to_string();
        *served.host.error.lock().unwrap() = Some(error);
        let answer = served.post("/ingest/shop/app", "x").await;
        assert_eq!((answer.error(), answer.message()), (expected, message));
        assert_eq!(answer.head.lines().find(|line| line.starts_with("retry-after")), retry_after);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_stores_nothing() {
    let served = Served::start(Recorder::new());
    for request in
        [served.request("POST /ingest/shop/app", "", b"one\ntwo\n"), chunked(&served, b"one\ntwo\n")]
    {
        let mut stream = served.begin(&request[..request.len() - 6]).await;
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        soon(stream.read_to_end(&mut answer)).await.unwrap();
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }
    assert!(served.host.batches().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_in_time_is_given_up() {
    let served = Served::start(Recorder::new());
    let request = served.request("POST /ingest/shop/app", "", b"one\ntwo\n");
    let mut stream = served.begin(&request[..request.len() - 1]).await;
    assert_eq!(answer(&mut stream).await.error(), told(408, "body_too_slow"));
    assert!(served.host.batches().is_empty());
}

#[tokio::test]
async fn more_bodies_than_memory_is_meant_for_are_refused_until_one_is_done() {
    let served = Served::start(Recorder::with_disk(0));
    let mut waiting = Vec::new();
    for _ in 0..CONCURRENT_BODIES_MAX {
        waiting.push(served.begin(&served.request("POST /ingest/shop/app", "", b"x")).await);
    }
    served.host.batches_arrived(64).await;
    let answer_to_one_more = served.post("/ingest/shop/app", "x").await;
    assert_eq!(answer_to_one_more.error(), told(503, "overloaded"));
    assert!(answer_to_one_more.has("retry-after: 1"));
    assert_eq!(served.get("/healthz").await.status, 200);
    served.host.disk.add_permits(65);
    for stream in &mut waiting {
        assert_eq!(answer(stream).await.status, 200);
    }
    assert_eq!(served.post("/ingest/shop/app", "x").await.status, 200);
}

#[tokio::test]
async fn a_body_of_unknown_length_counts_as_the_largest() {
    let served = Served::start(Recorder::with_disk(0));
    let mut waiting = Vec::new();
    for _ in 0..8 {
        waiting.push(served.begin(&chunked(&served, b"x")).await);
    }
    served.host.batches_arrived(8).await;
    assert_eq!(served.post("/ingest/shop/app", "x").await.error(), told(503, "overloaded"));
}

#[tokio::test]
async fn unknown_routes_and_wrong_methods_name_the_routes() {
    let served = Served::start(Recorder::new());
    let answer = served.get("/nothing").await;
    assert_eq!(answer.error(), told(404, "no_such_route"));
    assert!(answer.help().contains("POST /ingest/GROUP"), "{}", answer.help());
    for (line, allow) in [("GET /ingest/shop/app", "allow: post"), ("POST /metrics", "allow: get,head")] {
        let answer = served.call(line, "", "").await;
        assert_eq!(answer.error(), told(405, "wrong_method"), "{line}");
        assert!(answer.has(allow), "{}", answer.head);
    }
}
