//! Lines by HTTP: answered after they are on disk, repeated ones stored once, strangers kept out.

use crate::support::http::{get, post, request};
use crate::support::process::Up;
use crate::support::records::{archived, messages, trail};
use crate::support::site::Site;
use watchbell_model::TrailOutcome;

const GROUPS: &str = "[log_groups.\"shop/app\"]\n[log_groups.\"bank/app\"]\nparse = \"json\"\n";

#[test]
fn an_answer_means_on_disk_and_a_repeated_batch_id_is_stored_once_also_after_kill_9() {
    let site = Site::new(GROUPS);
    let mut up = Up::start(&site);
    for number in 0..3 {
        let key = format!("batch-{number}");
        let send = |up: &Up| {
            let body = format!("line {number} a\nline {number} b\n");
            let answer = post(up.address, "shop/app", &[("Idempotency-Key", &key)], body.as_bytes());
            assert_eq!(answer.status, 200, "{}", answer.body);
            answer.json()
        };
        let first = send(&up);
        assert_eq!((&first["events"], &first["duplicate"]), (&2.into(), &false.into()));
        up.kill();
        up = Up::start(&site);
        for _ in 0..2 {
            let again = send(&up);
            assert_eq!((&again["events"], &again["duplicate"]), (&2.into(), &true.into()));
            assert_eq!(
                (&again["offset"], &again["first_event_id"]),
                (&first["offset"], &first["first_event_id"])
            );
        }
    }
    up.stop();
    // A clean stop leaves a snapshot; ids are remembered across it too.
    let up = Up::start(&site);
    let again =
        post(up.address, "shop/app", &[("Idempotency-Key", "batch-0")], b"line 0 a\nline 0 b\n").json();
    assert_eq!(again["duplicate"], true);
    let other_group =
        post(up.address, "bank/app", &[("Idempotency-Key", "batch-0")], b"in the bank\n").json();
    assert_eq!(other_group["duplicate"], false, "an id is of one log group");
    up.stop();
    let mut expected: Vec<String> =
        (0..3).flat_map(|number| [format!("line {number} a"), format!("line {number} b")]).collect();
    expected.push("in the bank".into());
    assert_eq!(messages(&site.data()), expected);
}

#[test]
fn plain_lines_and_ndjson_become_events_with_stream_time_and_severity() {
    let site = Site::new(GROUPS);
    let up = Up::start(&site);
    let plain = post(up.address, "shop/app?stream=till-7", &[], b"ERROR one\r\n\ntwo");
    assert_eq!(plain.status, 200, "{}", plain.body);
    assert_eq!((&plain.json()["events"], &plain.json()["empty_lines"]), (&2.into(), &1.into()));
    let body = b"{\"time\":\"2026-11-22T21:00:00Z\",\"level\":\"warn\"}\nno json\n";
    let json = post(up.address, "bank/app", &[("Content-Type", "application/x-ndjson")], body);
    assert_eq!((&json.json()["events"], &json.json()["not_json"]), (&2.into(), &1.into()));
    assert_eq!(get(up.address, "/healthz").status, 200);
    assert_eq!(get(up.address, "/readyz").status, 200);
    assert!(get(up.address, "/metrics").body.ends_with("# EOF\n"));
    up.stop();
    let events = archived(&site.path("data/archive"));
    let seen: Vec<_> =
        events.iter().map(|it| (it.message.as_str(), it.stream.as_str(), it.severity.as_str())).collect();
    assert_eq!(seen[..2], [("ERROR one", "till-7", "error"), ("two", "till-7", "unknown")]);
    assert_eq!((seen[2].1, seen[2].2, seen[3].0), ("http", "warn", "no json"));
    assert_eq!(events[2].timestamp.to_string(), "2026-11-22T21:00:00.000Z");
}

#[test]
fn what_cannot_be_taken_is_refused_with_a_way_out() {
    let site = Site::new(GROUPS);
    let up = Up::start(&site);
    let unknown = post(up.address, "shop/ap", &[], b"x\n");
    assert_eq!(unknown.status, 404);
    assert!(unknown.json()["error"]["help"].as_str().unwrap().contains("shop/app"), "{}", unknown.body);
    assert_eq!(post(up.address, "shop/app?streem=x", &[], b"x\n").status, 400);
    assert_eq!(post(up.address, "shop/app", &[("Content-Encoding", "br")], b"x\n").status, 415);
    assert_eq!(get(up.address, "/ingest/shop/app").status, 405);
    assert_eq!(get(up.address, "/nowhere").status, 404);
    let foreign =
        request(up.address, "POST", "/ingest/shop/app", &[("Origin", "https://evil.example")], b"x\n");
    assert_eq!(foreign.unwrap().status, 403, "a web page may not send");
    up.stop();
    assert!(messages(&site.data()).is_empty());
}

#[test]
fn tokens_open_what_their_roles_allow_and_denied_calls_are_in_the_trail() {
    let site = Site::new(&format!(
        "{GROUPS}[[roles.shipper]]\nallow = \"logs:PutLogEvents\"\non = \"shop/*\"\n\
         [tokens.ci]\nvalue = {{ file = \"ci.token\" }}\nroles = \"shipper\"\n"
    ));
    site.write("ci.token", "hunter2-of-ci\n");
    let up = Up::start(&site);
    let shown = ("Authorization", "Bearer hunter2-of-ci");
    assert_eq!(post(up.address, "shop/app", &[], b"no token\n").status, 401);
    assert_eq!(post(up.address, "shop/app", &[("Authorization", "Bearer wrong-hunter")], b"x\n").status, 401);
    assert_eq!(post(up.address, "bank/app", &[shown], b"other group\n").status, 403);
    assert_eq!(get(up.address, "/metrics").status, 401);
    assert_eq!(request(up.address, "GET", "/metrics", &[shown], b"").unwrap().status, 403);
    assert_eq!(get(up.address, "/healthz").status, 200, "stays open");
    assert_eq!(post(up.address, "shop/app", &[shown], b"allowed\n").status, 200);
    up.stop();
    assert_eq!(messages(&site.data()), ["allowed"]);
    let denied: Vec<_> = trail(&site.data())
        .into_iter()
        .filter(|record| record.outcome == TrailOutcome::Denied)
        .map(|record| (record.actor, record.resource, record.detail["action"].clone()))
        .collect();
    let expected = [
        ("unknown caller", "shop/app", "logs:PutLogEvents"),
        ("unknown caller", "shop/app", "logs:PutLogEvents"),
        ("token ci", "bank/app", "logs:PutLogEvents"),
        ("unknown caller", "watchbell", "watchbell:GetMetrics"),
        ("token ci", "watchbell", "watchbell:GetMetrics"),
    ];
    let expected = expected.map(|(a, r, d)| (a.to_owned(), r.to_owned(), d.to_owned()));
    assert_eq!(denied, expected);
    for (path, bytes) in site.files() {
        for secret in ["hunter2-of-ci", "wrong-hunter"] {
            let found = memchr::memmem::find(&bytes, secret.as_bytes()).is_some();
            assert!(!found || path.ends_with("ci.token"), "{secret} stands in {}", path.display());
        }
    }
}
