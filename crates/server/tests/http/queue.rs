//! What is asked of a queue, and how its answers go out.

use serde_json::json;
use watchbell_server::{QUEUE_BODY_BYTES_MAX, QueueAsk, QueueCall, QueueError};

use crate::client::Served;
use crate::host::Recorder;

fn asked(served: &Served) -> Vec<QueueAsk> {
    std::mem::take(&mut *served.host.asked.lock().unwrap())
}

#[tokio::test]
async fn what_is_asked_reaches_the_host_with_its_defaults() {
    let served = Served::start(Recorder::new());
    let receipts = || vec!["events.3.0.1.1".to_owned()];
    let receive =
        |max, wait_ms, visibility_timeout_ms| QueueCall::Receive { max, wait_ms, visibility_timeout_ms };
    for (line, body, call) in [
        ("POST /queues/events/receive", "", receive(1, 0, None)),
        ("POST /queues/events/receive", "{}", receive(1, 0, None)),
        (
            "POST /queues/events/receive",
            r#"{"max":10,"wait_s":20,"visibility_timeout_s":0}"#,
            receive(10, 20_000, Some(0)),
        ),
        (
            "POST /queues/events/delete",
            r#"{"receipts":["events.3.0.1.1"]}"#,
            QueueCall::Delete { receipts: receipts() },
        ),
        (
            "POST /queues/events/visibility",
            r#"{"receipts":["events.3.0.1.1"],"visibility_timeout_s":43200}"#,
            QueueCall::ChangeVisibility { receipts: receipts(), visibility_timeout_ms: 43_200_000 },
        ),
        ("POST /queues/events/redrive", r#"{"all":true}"#, QueueCall::Redrive { messages: None }),
        (
            "POST /queues/events/redrive",
            r#"{"messages":["a"]}"#,
            QueueCall::Redrive { messages: Some(vec!["a".to_owned()]) },
        ),
        ("GET /queues/events/dead", "", QueueCall::DeadLetters { after: None, max: 10 }),
        (
            "GET /queues/events/dead?after=a&max=100",
            "",
            QueueCall::DeadLetters { after: Some("a".to_owned()), max: 100 },
        ),
    ] {
        let answer = served.call(line, "", body).await;
        assert_eq!(
            (answer.status, answer.json()),
            (200, json!({ "messages": [] })),
            "{line}: {}",
            answer.body
        );
        let ask = QueueAsk { queue: "events".to_owned(), principal: "loopback".to_owned(), call };
        assert_eq!(asked(&served), [ask], "{line}");
    }
    assert_eq!(served.get("/queues/events").await.json()["visible"], 3);
    assert_eq!(served.get("/queues").await.json()["queues"][0]["queue"], "events");
}

#[tokio::test]
async fn what_is_out_of_range_is_refused_and_nothing_is_asked() {
    let served = Served::start(Recorder::new());
    let eleven = format!(r#"{{"receipts":[{}]}}"#, ["\"x\""; 11].join(","));
    for (line, body, code) in [
        ("POST /queues/events/receive", r#"{"max":0}"#, "out_of_range"),
        ("POST /queues/events/receive", r#"{"max":11}"#, "out_of_range"),
        ("POST /queues/events/receive", r#"{"wait_s":21}"#, "out_of_range"),
        ("POST /queues/events/receive", r#"{"wait_s":-1}"#, "out_of_range"),
        ("POST /queues/events/receive", r#"{"visibility_timeout_s":43201}"#, "out_of_range"),
        ("POST /queues/events/receive", r#"{"wait":1}"#, "bad_body"),
        ("POST /queues/events/receive", "[", "bad_body"),
        ("POST /queues/events/delete", "", "bad_body"),
        ("POST /queues/events/delete", r#"{"receipts":[]}"#, "bad_body"),
        ("POST /queues/events/delete", &eleven, "bad_body"),
        ("POST /queues/events/visibility", r#"{"receipts":["x"]}"#, "bad_body"),
        ("POST /queues/events/redrive", "", "bad_body"),
        ("POST /queues/events/redrive", r#"{"all":true,"messages":[]}"#, "bad_body"),
        ("GET /queues/events/dead?max=101", "", "out_of_range"),
        ("GET /queues/events/dead?x=1", "", "bad_query"),
    ] {
        assert_eq!(served.call(line, "", body).await.error(), (400, code.to_owned()), "{line} {body}");
    }
    let large = vec![b' '; QUEUE_BODY_BYTES_MAX + 1];
    let refused = served.post("/queues/events/receive", &large).await;
    assert_eq!(refused.error(), (413, "body_too_large".to_owned()));
    assert_eq!(asked(&served), []);
}

#[tokio::test]
async fn each_refusal_of_a_queue_has_its_status() {
    let served = Served::start(Recorder::new());
    let refused = QueueError::Refused { code: "stale_receipt", message: "stale".to_owned(), help: "ask" };
    for (error, status, code) in [
        (refused, 409, "stale_receipt"),
        (QueueError::OverLimit("120000".to_owned()), 429, "over_limit"),
        (QueueError::Overloaded, 503, "overloaded"),
        (QueueError::Stopping, 503, "stopping"),
        (QueueError::Failed("disk".to_owned()), 500, "queue_failed"),
    ] {
        *served.host.queue_answer.lock().unwrap() = Err(error);
        let answer = served.post("/queues/events/receive", "").await;
        assert_eq!(answer.error(), (status, code.to_owned()));
        let tells_when = answer.head.contains("\nretry-after: ");
        assert_eq!(tells_when, matches!(status, 429 | 503), "{}", answer.head);
    }
    let unknown = served.post("/queues/event/receive", "").await;
    assert_eq!(unknown.error(), (404, "no_such_queue".to_owned()));
    assert_eq!(unknown.help(), "did you mean \"events\"?");
}

#[tokio::test]
async fn a_token_may_do_with_a_queue_what_its_role_allows() {
    let served = Served::with_tokens();
    let worker = "Authorization: Bearer worker-value\r\n";
    assert_eq!(served.call("POST /queues/events/receive", worker, "").await.status, 200);
    assert_eq!(asked(&served)[0].principal, "token worker");
    for line in ["POST /queues/events/delete", "POST /queues/other/receive", "GET /queues/events"] {
        assert_eq!(served.call(line, worker, "").await.error(), (403, "not_allowed".to_owned()), "{line}");
    }
    let list = served.call("GET /queues", worker, "").await;
    assert_eq!((list.status, list.json()), (200, json!({ "queues": [] })));
    assert_eq!(asked(&served), []);
}
