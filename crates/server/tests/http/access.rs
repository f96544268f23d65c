//! Who may call: tokens and roles, and no web page.

use watchbell_model::{Action, Source};
use watchbell_server::{Denied, DeniedReason};

use crate::client::Served;
use crate::host::Recorder;

const ROUTES: [&str; 8] = [
    "GET /",
    "GET /readyz",
    "GET /metrics",
    "GET /sources",
    "POST /ingest/shop/app",
    "POST /ingest/not/there",
    "GET /nothing",
    "GET /ingest/shop/app",
];

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[tokio::test]
async fn once_there_is_a_token_only_healthz_is_open() {
    let served = Served::with_tokens();
    let forged = bearer("forged");
    for line in ROUTES {
        for (headers, code, reason) in
            [("", "no_token", DeniedReason::NoToken), (&forged, "unknown_token", DeniedReason::UnknownToken)]
        {
            let answer = served.call(line, headers, "x").await;
            assert_eq!(answer.error(), (401, code.to_owned()), "{line}");
            assert!(answer.has("www-authenticate: bearer"), "{}", answer.head);
            assert!(
                !answer.body.contains("forged") && !answer.body.contains("shop/access"),
                "{}",
                answer.body
            );
            let denied = served.host.denied.lock().unwrap().pop().unwrap();
            assert_eq!((denied.token, denied.reason), (None, reason));
        }
    }
    assert_eq!(served.get("/healthz").await.status, 200);
    assert!(served.host.batches().is_empty());
}

#[tokio::test]
async fn a_token_may_do_what_its_roles_allow_and_no_more() {
    let served = Served::with_tokens();
    for (token, line, status) in [
        ("shipper", "POST /ingest/shop/app", 200),
        ("shipper", "POST /ingest/%2Faws%2Fx%23y", 403),
        ("shipper", "POST /ingest/shop%2F..%2Fbank", 404),
        ("shipper", "GET /metrics", 403),
        ("shipper", "GET /readyz", 403),
        ("shipper", "GET /sources", 403),
        ("shipper", "GET /", 200),
        ("shipper", "GET /nothing", 404),
        ("monitor", "GET /metrics", 200),
        ("monitor", "GET /readyz", 200),
        ("monitor", "GET /sources", 200),
        ("monitor", "POST /ingest/shop/app", 403),
        ("monitor", "POST /ingest/watchbell", 403),
    ] {
        let answer = served.call(line, &bearer(&format!("{token}-value")), "x").await;
        assert_eq!(answer.status, status, "{token}: {line}");
    }
    let batches = served.host.batches();
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].source, Source::Http { principal: "token shipper".into(), batch_id: None });
}

#[tokio::test]
async fn a_denial_is_told_to_the_host() {
    let served = Served::with_tokens();
    let answer = served.call("POST /ingest/bank/app", &bearer("shipper-value"), "x").await;
    assert_eq!(answer.error(), (403, "not_allowed".to_owned()));
    assert_eq!(answer.message(), "no role of token \"shipper\" allows logs:PutLogEvents on \"bank/app\"");
    let denied = Denied {
        token: Some("shipper".to_owned()),
        action: Some(Action::PutLogEvents),
        resource: "bank/app".to_owned(),
        reason: DeniedReason::NotAllowed,
    };
    assert_eq!(*served.host.denied.lock().unwrap(), [denied]);
}

#[tokio::test]
async fn a_token_learns_only_of_groups_that_it_may_write_to() {
    let served = Served::with_tokens();
    let answer = served.call("POST /ingest/shop/nothing-like-it", &bearer("shipper-value"), "x").await;
    assert_eq!(answer.help(), "log groups here: shop/access, shop/app");
}

#[tokio::test]
async fn a_reload_takes_effect_with_the_next_request() {
    let served = Served::start(Recorder::new());
    assert_eq!(served.get("/metrics").await.status, 200);
    served.host.ask_for_tokens();
    assert_eq!(served.get("/metrics").await.status, 401);
}

#[tokio::test]
async fn a_name_that_was_rebound_to_loopback_reaches_nothing() {
    let served = Served::start(Recorder::new());
    let port = served.address.port();
    for (line, hosts, status) in [
        ("POST /ingest/shop/app", format!("Host: evil.example:{port}\r\n"), 421),
        ("POST /ingest/shop/app", "Host: 127.0.0.1\r\n".to_owned(), 421),
        ("POST /ingest/shop/app", String::new(), 400),
        ("POST /ingest/shop/app", format!("Host: localhost:{port}\r\nHost: evil.example\r\n"), 400),
        (
            &format!("POST http://evil.example:{port}/ingest/shop/app"),
            format!("Host: localhost:{port}\r\n"),
            421,
        ),
        ("GET /", format!("Host: evil.example:{port}\r\n"), 421),
        ("GET /nothing", format!("Host: evil.example:{port}\r\n"), 421),
        ("GET /healthz", format!("Host: [::1]:{port}\r\n"), 200),
        (&format!("GET http://localhost:{port}/healthz"), format!("Host: localhost:{port}\r\n"), 200),
    ] {
        let request = format!("{line} HTTP/1.1\r\n{hosts}Content-Length: 1\r\n\r\nx");
        assert_eq!(served.send(request.as_bytes()).await.status, status, "{line} {hosts}");
    }
    assert!(served.host.batches().is_empty());
}

#[tokio::test]
async fn pages_of_other_sites_may_not_post() {
    let served = Served::start(Recorder::new());
    let port = served.address.port();
    let cases = [
        ("https://evil.example".to_owned(), 403),
        ("null".to_owned(), 403),
        ("http://localhost:1".to_owned(), 403),
        (format!("https://localhost:{port}"), 403),
        (format!("http://localhost:{port}\r\nOrigin: https://evil.example"), 403),
        (format!("http://localhost:{port}"), 200),
    ];
    for (origin, status) in &cases {
        let headers = format!("Origin: {origin}\r\nContent-Type: text/plain\r\n");
        assert_eq!(served.call("POST /ingest/shop/app", &headers, "x").await.status, *status, "{origin}");
    }
    assert_eq!(served.host.batches().len(), 1);
}
