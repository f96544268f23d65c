//! Queues over HTTP: what was received, deleted, given up and redriven stays so across `kill -9`.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use watchbell_journal::{Journal, NewEntry, Options, RealDisk};
use watchbell_model::{
    BatchBuilder, Entry, EventFlags, GroupName, InstallationId, QueueChange, Source, TrailOutcome,
};

use crate::support::http::{Answer, get, post, request};
use crate::support::process::Up;
use crate::support::records::{records, trail};
use crate::support::running::{InProcess, START};
use crate::support::site::Site;
use crate::support::{eventually, eventually_some};

const QUEUE: &str = "[log_groups.\"shop/app\"]\n[log_groups.\"bank/app\"]\n\
                     [queues.events]\nlog_groups = [\"shop/*\"]\nvisibility_timeout = \"1h\"\nmax_receives = 2\n";

fn call(address: SocketAddr, path: &str, body: &Value) -> Answer {
    request(address, "POST", &format!("/queues/{path}"), &[], body.to_string().as_bytes()).unwrap()
}

fn receive(address: SocketAddr, body: &Value) -> Vec<Value> {
    let answer = call(address, "events/receive", body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["messages"].as_array().unwrap().clone()
}

fn figures(address: SocketAddr) -> Value {
    get(address, "/queues/events").json()
}

fn send(address: SocketAddr, group: &str, lines: &str) {
    let answer = post(address, &format!("{group}?stream=web-1"), &[], lines.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// The texts of a message's events.
fn texts(message: &Value) -> Vec<&str> {
    message["events"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap()).collect()
}

#[test]
fn a_received_message_stays_received_across_kill_9_and_its_handle_still_deletes_it() {
    let site = Site::new(QUEUE);
    let up = Up::start(&site);
    send(up.address, "shop/app", "one\ntwo\n");
    send(up.address, "bank/app", "not for this queue\n");
    send(up.address, "shop/app", "three\n");
    let messages = receive(up.address, &json!({ "max": 10 }));
    assert_eq!(messages.iter().map(texts).collect::<Vec<_>>(), [vec!["one", "two"], vec!["three"]]);
    let first = &messages[0];
    assert_eq!((&first["log_group"], &first["log_stream"]), (&json!("shop/app"), &json!("web-1")));
    assert_eq!(first["receives"], 1);
    assert_eq!(first["events"][1]["id"].as_str().unwrap().rsplit('-').next(), Some("000001"));
    up.kill();

    let up = Up::start(&site);
    assert_eq!(receive(up.address, &json!({ "max": 10 })), Vec::<Value>::new(), "both are still hidden");
    assert_eq!((&figures(up.address)["in_flight"], &figures(up.address)["visible"]), (&json!(2), &json!(0)));
    let receipts = json!({ "receipts": [first["receipt"]] });
    let answer = call(up.address, "events/delete", &receipts);
    assert_eq!((answer.status, &answer.json()["deleted"]), (200, &receipts["receipts"]));
    let back = json!({ "receipts": [messages[1]["receipt"]], "visibility_timeout_s": 0 });
    assert_eq!(call(up.address, "events/visibility", &back).status, 200);
    up.kill();

    let up = Up::start(&site);
    assert_eq!(call(up.address, "events/delete", &receipts).status, 200, "deleting again is no mistake");
    let again = receive(up.address, &json!({ "max": 10 }));
    assert_eq!((again.len(), texts(&again[0]), &again[0]["receives"]), (1, vec!["three"], &json!(2)));
    assert_eq!(again[0]["id"], messages[1]["id"]);
    let stale = call(up.address, "events/delete", &json!({ "receipts": [messages[1]["receipt"]] }));
    assert_eq!((stale.status, &stale.json()["error"]["code"]), (409, &json!("stale_receipt")));
    let both = json!({ "receipts": [messages[1]["receipt"], again[0]["receipt"]] });
    let some = call(up.address, "events/delete", &both);
    assert_eq!((some.status, &some.json()["deleted"][0]), (200, &again[0]["receipt"]));
    assert_eq!(some.json()["refused"][0]["code"], "stale_receipt");
    // A clean stop leaves a snapshot; the queue is in it.
    up.stop();
    let up = Up::start(&site);
    let figures = figures(up.address);
    let seen = ["visible", "in_flight", "dead", "received", "deleted", "expired"].map(|key| &figures[key]);
    assert_eq!(seen, [0, 0, 0, 3, 2, 0].map(|count| json!(count)).each_ref());
    up.stop();
}

#[test]
fn a_message_that_was_received_too_often_is_a_dead_letter_with_its_payload_and_can_be_redriven() {
    let site = Site::new(QUEUE);
    let up = Up::start(&site);
    send(up.address, "shop/app", "poison\n");
    let at_once = json!({ "visibility_timeout_s": 0 });
    let received: Vec<Value> = (0..2).flat_map(|_| receive(up.address, &at_once)).collect();
    assert_eq!([&received[0]["receives"], &received[1]["receives"]], [1, 2]);
    assert_eq!(receive(up.address, &at_once), Vec::<Value>::new());
    up.kill();

    let up = Up::start(&site);
    let dead = get(up.address, "/queues/events/dead").json();
    let letter = &dead["dead_letters"][0];
    assert_eq!(
        (texts(letter), &letter["receives"], &letter["id"]),
        (vec!["poison"], &json!(2), &received[0]["id"])
    );
    assert_eq!(letter["reason"], "received 2 times and never deleted");
    let gone = call(up.address, "events/delete", &json!({ "receipts": [received[1]["receipt"]] }));
    assert_eq!((gone.status, &gone.json()["error"]["code"]), (409, &json!("dead_letter")));
    let unknown = call(up.address, "events/redrive", &json!({ "messages": ["x"] }));
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (409, &json!("no_such_dead_letter")));
    let redriven = call(up.address, "events/redrive", &json!({ "messages": [letter["id"]] }));
    assert_eq!((redriven.status, redriven.json()), (200, json!({ "redriven": 1 })));
    up.kill();

    let up = Up::start(&site);
    let again = receive(up.address, &json!({}));
    assert_eq!(
        (texts(&again[0]), &again[0]["receives"], &again[0]["id"]),
        (vec!["poison"], &json!(1), &letter["id"])
    );
    assert_eq!(again[0]["events"], received[0]["events"], "the copy is what was offered");
    let stale = call(up.address, "events/delete", &json!({ "receipts": [received[1]["receipt"]] }));
    assert_eq!(stale.json()["error"]["code"], "stale_receipt");
    assert_eq!(call(up.address, "events/delete", &json!({ "receipts": [again[0]["receipt"]] })).status, 200);
    let figures = figures(up.address);
    let seen =
        ["visible", "in_flight", "dead", "dead_lettered", "redriven", "deleted"].map(|key| &figures[key]);
    assert_eq!(seen, [0, 0, 0, 1, 1, 1].map(|count| json!(count)).each_ref());
    up.stop();
    let redrives: Vec<_> =
        trail(&site.data()).into_iter().filter(|it| it.action == "sqs:StartMessageMoveTask").collect();
    assert_eq!(redrives.len(), 1);
    let record = &redrives[0];
    assert_eq!((record.actor.as_str(), record.resource.as_str()), ("loopback", "events"));
    assert_eq!((record.outcome, record.detail["messages"].as_str()), (TrailOutcome::Done, "1"));
    let copies = records(&site.data()).into_iter().filter_map(|record| match record.entry {
        Entry::Queue(changes) => Some(changes.changes),
        _ => None,
    });
    let dead = copies.flatten().filter(|change| matches!(change, QueueChange::Dead(_))).count();
    assert_eq!(dead, 1);
}

#[test]
fn a_long_poll_wakes_when_a_line_of_its_queue_arrives() {
    let site = Site::new(QUEUE);
    // No time passes here, so only a line can end a wait.
    let running = InProcess::start(&site, START);
    let address = running.address();
    let wait = move || receive(address, &json!({ "wait_s": 20 }));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(wait);
        send(address, "bank/app", "not for this queue\n");
        send(address, "shop/app", "here\n");
        assert_eq!(texts(&waiting.join().unwrap()[0]), ["here"]);
    });
    running.drain();
}

#[test]
fn a_wait_for_nothing_ends_in_time() {
    let site = Site::new(QUEUE);
    let running = InProcess::start(&site, START);
    let address = running.address();
    let waiting = std::thread::spawn(move || receive(address, &json!({ "wait_s": 5 })));
    eventually("five seconds after it began to wait", || {
        running.clock.wind_ms(1000);
        waiting.is_finished()
    });
    assert_eq!(waiting.join().unwrap(), Vec::<Value>::new());
    running.drain();
}

#[test]
fn what_nobody_deletes_comes_back_and_what_is_too_old_is_counted_and_gone() {
    let site = Site::new(
        "[log_groups.\"shop/app\"]\n[queues.events]\nlog_groups = \"*\"\nretention = \"60s\"\n\
         dead_letter_retention = \"2m\"\nmax_receives = 1\n",
    );
    let running = InProcess::start(&site, START);
    let address = running.address();
    send(address, "shop/app", "first\n");
    assert_eq!(receive(address, &json!({})).len(), 1);
    running.clock.wind_ms(30_000);
    send(address, "shop/app", "second\n");
    let second = receive(address, &json!({ "visibility_timeout_s": 3600 }));
    assert_eq!(texts(&second[0]), ["second"], "the first was received once and is a dead letter");
    assert_eq!((&figures(address)["dead"], &figures(address)["oldest_age_s"]), (&json!(1), &json!(0)));
    running.clock.wind_ms(60_000);
    let expired = |count: u64| {
        eventually_some(&format!("{count} have expired"), || {
            let figures = figures(address);
            (figures["expired"] == count).then_some(figures)
        })
    };
    assert_eq!(expired(1)["in_flight"], 0, "the second is gone, though somebody works on it");
    let gone = json!({ "receipts": [second[0]["receipt"]], "visibility_timeout_s": 5 });
    assert_eq!(call(address, "events/visibility", &gone).json()["error"]["code"], "gone");
    running.clock.wind_ms(30_000);
    assert_eq!(expired(2)["dead"], 0, "the dead letter is as old as its message");
    running.drain();
}

#[test]
fn alarm_state_changes_come_in_the_shape_of_eventbridge() {
    let site = Site::new(
        "[log_groups.\"shop/app\"]\n[alarms.errors]\nlog_group = \"shop/app\"\npattern = \"ERROR\"\nperiod = \"60s\"\n\
         description = \"it broke\"\n[queues.events]\nalarms = true\n",
    );
    let running = InProcess::start(&site, START);
    let address = running.address();
    send(address, "shop/app", "ERROR disk\n");
    running.wait_for_state("errors", "ALARM");
    let find = || receive(address, &json!({ "max": 10, "visibility_timeout_s": 600 })).into_iter().next();
    let message = eventually_some("a message", find);
    let event = &message["event"];
    assert_eq!(
        (&event["source"], &event["detail-type"]),
        (&json!("aws.cloudwatch"), &json!("CloudWatch Alarm State Change"))
    );
    assert_eq!(event["resources"], json!(["arn:aws:cloudwatch:local:000000000000:alarm:errors"]));
    assert_eq!(event["time"], "2026-11-22T21:12:00Z");
    let detail = &event["detail"];
    assert_eq!((&detail["alarmName"], &detail["state"]["value"]), (&json!("errors"), &json!("ALARM")));
    assert_eq!(detail["previousState"]["value"], "INSUFFICIENT_DATA");
    assert_eq!(detail["state"]["timestamp"], "2026-11-22T21:12:00.000+0000");
    assert_eq!(detail["configuration"]["description"], "it broke");
    let metric = &detail["configuration"]["metrics"][0]["metricStat"];
    assert_eq!((&metric["period"], &metric["stat"]), (&json!(60), &json!("Sum")));
    running.drain();
}

#[test]
fn a_queue_sees_what_comes_after_the_plan_that_has_it_and_ends_with_it() {
    let site = Site::new("[log_groups.\"shop/app\"]\n");
    let running = InProcess::start(&site, START);
    let address = running.address();
    send(address, "shop/app", "before\n");
    let unknown = call(address, "events/receive", &json!({}));
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (404, &json!("no_such_queue")));
    site.configure(QUEUE);
    running.reload(&site).unwrap();
    send(address, "shop/app", "after\n");
    assert_eq!(texts(&receive(address, &json!({ "max": 10 }))[0]), ["after"]);
    site.configure("[log_groups.\"shop/app\"]\n");
    running.reload(&site).unwrap();
    assert_eq!(call(address, "events/receive", &json!({})).status, 404);
    site.configure(QUEUE);
    running.reload(&site).unwrap();
    assert_eq!(figures(address)["received"], 0, "it begins anew");
    running.drain();
}

#[test]
fn more_messages_than_are_known_by_name_all_come_out_once_also_after_a_crash() {
    const BATCHES: usize = 10_400;
    let site = Site::new(QUEUE);
    let running = InProcess::start(&site, START);
    running.drain();
    std::fs::remove_dir_all(site.data().join("snapshots")).unwrap();
    append_batches(&site, BATCHES);

    let up = Up::start(&site);
    let mut seen = Vec::new();
    let drain = |up: &Up, until: usize, seen: &mut Vec<String>| {
        while seen.len() < until {
            let messages = receive(up.address, &json!({ "max": 10 }));
            assert!(!messages.is_empty(), "after {}: {}", seen.len(), figures(up.address));
            seen.extend(messages.iter().map(|message| texts(message)[0].to_owned()));
        }
    };
    assert_eq!(figures(up.address)["visible"], BATCHES);
    drain(&up, 10_200, &mut seen);
    up.kill();
    let up = Up::start(&site);
    assert_eq!(
        (&figures(up.address)["visible"], &figures(up.address)["in_flight"]),
        (&json!(200), &json!(10_200))
    );
    drain(&up, BATCHES, &mut seen);
    assert_eq!(receive(up.address, &json!({ "max": 10 })), Vec::<Value>::new());
    let expected: Vec<String> = (0..BATCHES).map(|number| format!("line {number}")).collect();
    assert!(seen == expected, "every message once, in order");
    up.stop();
}

/// Puts so many batches of one line at the end of the site's journal.
fn append_batches(site: &Site, batches: usize) {
    let identity = std::fs::read_to_string(site.data().join("installation.json")).unwrap();
    let identity: Value = serde_json::from_str(&identity).unwrap();
    let installation: InstallationId = identity["installation"].as_str().unwrap().parse().unwrap();
    let options = Options::new(installation.0);
    let (mut journal, _) = Journal::open(Arc::new(RealDisk), &site.data().join("journal"), options).unwrap();
    let entry = |number: usize| {
        let mut builder = BatchBuilder::default();
        builder.push(&format!("line {number}"), None, EventFlags::default());
        let source = Source::Http { principal: "loopback".into(), batch_id: None };
        Entry::Batch(builder.build(GroupName::new("shop/app").unwrap(), "s".into(), source, false))
    };
    let entries: Vec<Entry> = (0..batches).map(entry).collect();
    let payloads: Vec<Vec<u8>> = entries.iter().map(Entry::encode).collect();
    let frame = |(entry, payload): (&Entry, &'_ Vec<u8>)| (entry.kind(), payload.clone());
    let frames: Vec<(u16, Vec<u8>)> = entries.iter().zip(&payloads).map(frame).collect();
    let new: Vec<NewEntry<'_>> = frames
        .iter()
        .map(|(kind, payload)| NewEntry { kind: *kind, flags: 0, time_ms: now_ms(), payload, rest: &[] })
        .collect();
    journal.append_batch(&new).unwrap();
}

/// The process that reads this later has the real clock; nothing here may be too old for it.
fn now_ms() -> i64 {
    let modified = std::fs::metadata("/proc/self").unwrap().modified().unwrap();
    let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

#[test]
fn a_token_may_do_with_a_queue_what_its_role_says_and_learns_of_no_other() {
    let site = Site::new(
        "[log_groups.\"shop/app\"]\n[queues.events]\nlog_groups = \"*\"\n[queues.secret]\nlog_groups = \"*\"\n\
         [roles.worker]\nallow = [\"sqs:ReceiveMessage\", \"sqs:GetQueueAttributes\"]\non = \"events\"\n\
         [tokens.w]\nvalue = { env = \"W_TOKEN\" }\nroles = \"worker\"\n",
    );
    let up = Up::start_with(&site, &[("W_TOKEN", "w-value".as_ref())]);
    let token = [("Authorization", "Bearer w-value")];
    let ask = |method, path: &str| request(up.address, method, path, &token, b"{}").unwrap();
    assert_eq!(ask("POST", "/queues/events/receive").status, 200);
    let queues = ask("GET", "/queues").json();
    assert_eq!(queues["queues"].as_array().unwrap().len(), 1);
    assert_eq!(queues["queues"][0]["queue"], "events");
    for (method, path) in [
        ("POST", "/queues/events/delete"),
        ("POST", "/queues/events/visibility"),
        ("POST", "/queues/events/redrive"),
        ("POST", "/queues/secret/receive"),
        ("GET", "/queues/secret"),
        ("GET", "/queues/secret/dead"),
        ("POST", "/queues/unknown/receive"),
    ] {
        assert_eq!(ask(method, path).status, 403, "{method} {path}");
    }
    assert_eq!(get(up.address, "/queues").status, 401);
    up.stop();
    let denied: Vec<_> =
        trail(&site.data()).into_iter().filter(|it| it.outcome == TrailOutcome::Denied).collect();
    assert_eq!((denied.len(), denied[0].detail["action"].as_str()), (8, "sqs:DeleteMessage"));
}

#[test]
fn metrics_tell_what_a_queue_holds_and_alarms_can_watch_it() {
    let alarm = |name: &str, metric: &str, statistic: &str, condition: &str| {
        format!(
            "[alarms.{name}]\nmetric = {{ namespace = \"Watchbell\", name = \"{metric}\" }}\n\
             dimensions = {{ QueueName = \"events\" }}\nstatistic = \"{statistic}\"\nperiod = \"10s\"\n\
             condition = \"{condition}\"\nmissing_data = \"ignore\"\n"
        )
    };
    let site = Site::new(&format!(
        "{QUEUE}{}{}{}",
        alarm("old", "ApproximateAgeOfOldestMessage", "Maximum", "> 25"),
        alarm("deep", "ApproximateNumberOfMessagesVisible", "Maximum", ">= 2"),
        alarm("poison", "NumberOfMessagesDeadLettered", "Sum", ">= 1"),
    ));
    let running = InProcess::start(&site, START);
    let address = running.address();
    send(address, "shop/app", "one\n");
    send(address, "shop/app", "two\n");
    send(address, "shop/app", "three\n");
    running.clock.wind_ms(10_000);
    running.wait_for_state("deep", "ALARM");
    let at_once = json!({ "visibility_timeout_s": 0 });
    for _ in 0..3 {
        receive(address, &at_once);
    }
    assert_eq!(receive(address, &json!({})).len(), 1);
    running.wait_for_state("poison", "ALARM");
    let metrics = get(address, "/metrics").body;
    for (metric, value) in [
        ("messages_visible", 1),
        ("messages_in_flight", 1),
        ("dead_letters", 1),
        ("oldest_message_age_seconds", 10),
        ("received_messages_total", 4),
        ("deleted_messages_total", 0),
        ("dead_lettered_messages_total", 1),
        ("expired_messages_total", 0),
    ] {
        let line = format!("watchbell_queue_{metric}{{queue=\"events\"}} {value}\n");
        assert!(metrics.contains(&line), "no {line}in\n{metrics}");
    }
    running.clock.wind_ms(20_000);
    running.wait_for_state("old", "ALARM");
    running.drain();
}
