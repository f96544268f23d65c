//! Webhook and Slack against a server that answers well, badly or not at all.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use watchbell_model::Timestamp;
use watchbell_notify::{Client, Notifier, SendError, Slack, Timeouts, Webhook};

use super::message;
use super::server::{Answer, Server, http, nobody};

/// A path that nobody may get to see.
const PATH: &str = "/services/T012AB3CD/s3cr3tt0k3n";

fn webhook(url: &str, key: Option<&str>) -> Webhook {
    Webhook::new(Client::new().unwrap(), url, key, Arc::new(|| Timestamp(1_795_381_912_999))).unwrap()
}

/// Sends once to a server that gives `answer`; what is said about it never holds the secret.
async fn told(answer: Answer) -> Result<(), SendError> {
    let server = Server::start(vec![answer]);
    let outcome = webhook(&server.url(PATH), None).send(&message()).await;
    if let Err(error) = &outcome {
        assert_is_discreet(error, &server.address.to_string());
    }
    outcome
}

fn assert_is_discreet(error: &SendError, host: &str) {
    let reason = format!("{error} {error:?}");
    assert!(reason.contains(host), "{reason}");
    assert!(!["services", "T012", "s3cr3t"].iter().any(|part| reason.contains(part)), "{reason}");
}

fn again(outcome: Result<(), SendError>) -> (String, Option<Duration>) {
    match outcome {
        Err(SendError::Again { reason, after }) => (reason, after),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_signed_webhook_arrives_with_its_headers_and_the_same_id_each_time() {
    let server =
        Server::start(vec![http("500 Internal Server Error", "", ""), http("204 No Content", "", "")]);
    let webhook = webhook(&server.url(PATH), Some("open sesame"));
    webhook.send(&message()).await.unwrap_err();
    webhook.send(&message()).await.unwrap();
    let (first, second) = (server.request(), server.request());
    assert_eq!(first, second);
    let (head, body) = first.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with(&format!("POST {PATH} HTTP/1.1\r\n")), "{head}");
    for header in [
        "content-type: application/json",
        "webhook-id: 0f00000000000001-12.0",
        "webhook-timestamp: 1795381912",
        "webhook-signature: v1,",
        "user-agent: watchbell/",
    ] {
        assert!(head.to_ascii_lowercase().contains(&format!("\r\n{header}")), "{header} is not in {head}");
    }
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), message().json());
}

#[tokio::test]
async fn a_webhook_without_a_key_is_not_signed() {
    let server = Server::start(vec![http("200 OK", "", "thanks")]);
    webhook(&server.url("/"), None).send(&message()).await.unwrap();
    assert!(!server.request().contains("webhook-signature"));
}

#[tokio::test]
async fn slack_gets_its_own_form() {
    let server = Server::start(vec![http("200 OK", "", "ok")]);
    let slack = Slack::new(Client::new().unwrap(), &server.url(PATH)).unwrap();
    slack.send(&message()).await.unwrap();
    let request = server.request();
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), message().slack());
}

#[tokio::test]
async fn what_the_receiver_says_is_part_of_the_reason() {
    let (reason, after) = again(told(http("400 Bad Request", "", "invalid_payload\x1b[2J\n")).await);
    assert!(reason.ends_with(r"answered 400 Bad Request: invalid_payload\u{1b}[2J"), "{reason}");
    assert_eq!(after, None);
    let (reason, _) = again(told(http("599 ", "", &"ä".repeat(9000))).await);
    assert!(reason.ends_with(&format!("answered 599: {}…", "ä".repeat(199))), "{reason}");
}

#[tokio::test]
async fn every_refusal_may_be_tried_again() {
    for status in
        ["401 Unauthorized", "403 Forbidden", "404 Not Found", "408 Request Timeout", "410 Gone", "503 Busy"]
    {
        let (reason, _) = again(told(http(status, "", "")).await);
        assert!(reason.contains(&format!("answered {}", &status[..3])), "{reason}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_busy_is_left_alone_for_as_long_as_it_asks() {
    let (_, after) = again(told(http("429 Too Many Requests", "retry-after: 17\r\n", "")).await);
    assert_eq!(after, Some(Duration::from_secs(17)));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_not_repeated() {
    let elsewhere = format!("location: http://{}{PATH}\r\n", nobody());
    let (reason, _) = again(told(http("307 Temporary Redirect", &elsewhere, "moved")).await);
    assert!(
        reason.ends_with("answered 307 Temporary Redirect; redirects are not followed, set the new address")
    );
}

#[tokio::test]
async fn an_answer_that_repeats_the_address_is_not_repeated() {
    let (reason, _) = again(told(http("404 Not Found", "", &format!("Cannot POST {PATH}"))).await);
    assert!(
        reason.ends_with("answered 404 Not Found; its text repeats the address and is left out"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_still_leaves_the_status() {
    let broken = Answer::Bytes("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 500\r\n\r\nupstream".to_owned());
    let (reason, _) = again(told(broken).await);
    assert!(reason.ends_with("answered 502 Bad Gateway: upstream"), "{reason}");
}

#[tokio::test]
async fn a_receiver_that_says_nothing_is_given_up_on_in_time() {
    let server = Server::start(vec![Answer::Silence]);
    let timeouts = Timeouts { request: Duration::from_millis(50), ..Timeouts::default() };
    let slack = Slack::new(Client::with_timeouts(timeouts).unwrap(), &server.url(PATH)).unwrap();
    let outcome = slack.send(&message()).await;
    assert_is_discreet(outcome.as_ref().unwrap_err(), &server.address.to_string());
    assert!(again(outcome).0.ends_with("no answer within 50ms"));
}

#[tokio::test]
async fn a_connection_that_is_refused_reset_or_talks_nonsense_may_be_tried_again() {
    let url = format!("http://{}{PATH}", nobody());
    let refused = webhook(&url, None).send(&message()).await;
    assert!(again(refused).0.contains("Connection refused"));
    again(told(Answer::Reset).await);
    again(told(Answer::Bytes("SSH-2.0-OpenSSH_9.9\r\n\r\n".to_owned())).await);
    again(told(Answer::Bytes(String::new())).await);
}

#[test]
fn a_malformed_address_is_never_tried() {
    let client = Client::new().unwrap();
    let outcomes = [
        Slack::new(client.clone(), "hooks.slack.com/s3cr3t").err(),
        Webhook::new(client.clone(), "file:///s3cr3t", None, Arc::new(|| Timestamp(0))).err(),
        Webhook::new(client, "https://example.com", Some("whsec_s3cr3t!"), Arc::new(|| Timestamp(0))).err(),
    ];
    for outcome in outcomes {
        let Some(SendError::Never { reason }) = outcome else { panic!("{outcome:?}") };
        assert!(!reason.contains("s3cr3t"), "{reason}");
    }
}
