//! The journal's bound: what is over it goes, nothing durable is lost by that, and everything reads on across the border.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use watchbell::run::records::{DECISIONS, TRAIL, decision, trail as trail_of};
use watchbell::run::{Sizes, data_folder};
use watchbell_journal::{Disk, ModelDisk, Reader, RealDisk};
use watchbell_model::{Entry, Offset, Plan, ReleaseReason, Timestamp, Transition};

use crate::support::http::{post, request};
use crate::support::process::{run, said};
use crate::support::receiver::Receiver;
use crate::support::records::{archived, record, records, trail, transitions};
use crate::support::running::{InProcess, START};
use crate::support::site::Site;
use crate::support::{eventually, eventually_some};

/// So that a journal of some hundred kilobytes has many segments.
const SIZES: Sizes = Sizes { segment_bytes_max: 32 << 10, snapshot_every_bytes: 32 << 10 };
const MAX_SIZE: u64 = 512 << 10;
/// Long before the present, however far a test winds its clock.
const LONG_AGO: Timestamp = Timestamp(START.0 - 60 * 86_400_000);

fn site(receiver: &Receiver) -> Site {
    Site::new(&format!(
        "[log_groups.\"shop/app\"]\nlateness = \"0s\"\n[metric_filters.errors]\nlog_group = \"shop/app\"\n\
         pattern = 'ERROR'\nmetric = {{ namespace = \"S\", name = \"E\", value = \"1\" }}\n[alarms.errors]\n\
         metric_filter = \"errors\"\nstatistic = \"Sum\"\nperiod = \"60s\"\ncondition = \">= 1\"\n\
         missing_data = \"not_breaching\"\nnotify = [\"ops\"]\n[topics.ops.webhook]\nurl = \"{}\"\n\
         [queues.events]\nlog_groups = [\"shop/*\"]\nvisibility_timeout = \"1s\"\nmax_receives = 1\nretention = \"14d\"\n",
        receiver.url()
    ))
}

/// The plan with a bound that a test can fill.
fn bounded(site: &Site) -> Plan {
    let mut plan = site.plan();
    plan.journal.max_size_bytes = MAX_SIZE;
    plan
}

fn start(site: &Site, now: Timestamp) -> InProcess {
    InProcess::start_with(&bounded(site), now, Arc::new(RealDisk), SIZES)
}

fn line(number: usize) -> String {
    format!("ERROR number {number} {}", "x".repeat(2000))
}

/// Sends a line, again while the journal is full.
fn send(address: SocketAddr, number: usize) {
    eventually("the line is taken", || {
        let answer = post(address, "shop/app", &[], format!("{}\n", line(number)).as_bytes());
        assert!([200, 507].contains(&answer.status), "{}", answer.body);
        answer.status == 200
    });
}

fn segments_bytes(site: &Site) -> u64 {
    let files = fs::read_dir(site.data().join("journal")).unwrap().map(Result::unwrap);
    let segments = files.filter(|file| file.path().extension().is_some_and(|it| it == "segment"));
    segments.map(|file| file.metadata().map_or(0, |it| it.len())).sum()
}

fn released(running: &InProcess) -> Offset {
    running.look(|fold| fold.released.before)
}

/// Every number of a line in the archive, in the order of the journal.
fn archived_lines(site: &Site) -> Vec<String> {
    let events = archived(&site.data().join("archive")).into_iter();
    events.filter(|event| event.log_group == "shop/app").map(|event| event.message).collect()
}

fn json_of(site: &Site, arguments: &[&str]) -> Value {
    let (code, stdout, stderr) = said(&run(site, &[arguments, &["--format", "json"]].concat()));
    assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn over_the_bound_the_oldest_part_goes_and_every_line_decision_and_trail_record_is_kept_once() {
    let receiver = Receiver::start();
    let site = site(&receiver);
    let running = start(&site, LONG_AGO);
    let (alarms, lines) = (60, 600);
    for number in 0..lines {
        send(running.address(), number);
        if number % (lines / alarms) == 0 {
            running.wait_for_state("errors", "ALARM");
            running.clock.wind_ms(600_000);
            running.wait_for_state("errors", "OK");
        }
    }
    running.wait_for_deliveries();
    eventually("the journal is within its bound", || segments_bytes(&site) <= MAX_SIZE);
    eventually("and a good part has gone", || released(&running).0 > 400);
    running.drain();

    let expected: Vec<String> = (0..lines).map(line).collect();
    assert_eq!(archived_lines(&site), expected, "every line once, in order");
    let first = records(&site.data())[0].offset;
    assert!(first > Offset(0));
    let mut kept: Vec<_> = archived(&site.data().join("archive"));
    kept.retain(|event| event.log_group != "shop/app");
    let ids: Vec<_> = kept.iter().map(|event| event.event_id).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "a record is in the archive twice");

    let gone = kept.iter().filter(|event| event.event_id.offset < first);
    let of_trail = gone.clone().filter(|event| event.log_group == TRAIL);
    let mut numbers: Vec<u64> = of_trail.map(|event| trail_of(&event.message).unwrap().number).collect();
    numbers.extend(trail(&site.data()).iter().map(|record| record.number));
    assert!((0..).zip(&numbers).all(|(expected, number)| expected == *number), "{numbers:?}");
    let verified = json_of(&site, &["trail", "verify"]);
    assert_eq!((&verified["holds"], &verified["records"]), (&json!(true), &json!(numbers.len())));
    let (code, listed, _) = said(&run(&site, &["trail", "ls"]));
    assert_eq!((code, listed.lines().count()), (Some(0), numbers.len()));

    let of_decisions = gone.filter(|event| event.log_group == DECISIONS && event.stream == "decisions");
    let decided = of_decisions.map(|event| decision(&event.message).unwrap().decision);
    let mut changes: Vec<Transition> = decided.filter_map(|it| it.transition().cloned()).collect();
    changes.extend(transitions(&site.data()));
    let states: Vec<String> = changes.iter().map(|it| it.to.to_string()).collect();
    let told = receiver.states();
    // The lines after the last OK ring once more.
    assert_eq!(states.iter().filter(|state| *state == "ALARM").count(), alarms + 1);
    assert_eq!(states[states.len() - told.len()..], told, "what was told is what was decided");

    let oldest = changes.iter().find(|it| it.to.to_string() == "ALARM").unwrap();
    let at = oldest.at.to_string();
    let explained = json_of(&site, &["explain", "errors", "--at", &at]);
    let state = &explained["decided"][0];
    assert_eq!((&state["to"], &state["reason"]), (&json!("ALARM"), &json!(oldest.reason)), "{explained}");
    assert!(state["first_lines"][0]["message"].as_str().unwrap().starts_with("ERROR number 0 "));
    let newest = json_of(&site, &["explain", "errors"]);
    assert_eq!(newest["states"][0]["state"], "OK", "{newest}");
    assert_eq!(json_of(&site, &["journal", "check"])["first"], json!(first.0));
    let (code, ..) = said(&run(&site, &["journal", "stat"]));
    assert_eq!(code, Some(0));
    let (code, shown, _) = said(&run(&site, &["tail", "--no-follow"]));
    assert_eq!((code, shown.lines().last().unwrap().contains("number 599")), (Some(0), true));
}

#[test]
fn a_journal_that_may_not_go_takes_no_lines_goes_on_telling_and_recovers_by_itself() {
    let receiver = Receiver::start();
    let site = site(&receiver);
    let date = LONG_AGO.to_string()[..10].to_owned();
    let blocked = site.data().join("archive").join(format!("date={date}"));
    fs::create_dir_all(site.data().join("archive")).unwrap();
    fs::write(&blocked, "in the way").unwrap();
    let running = start(&site, LONG_AGO);
    let mut taken = 0;
    let refused = eventually_some("a line is refused", || {
        let answer = post(running.address(), "shop/app", &[], format!("{}\n", line(taken)).as_bytes());
        taken += usize::from(answer.status == 200);
        (answer.status != 200).then_some(answer)
    });
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (507, &json!("journal_full")),
        "{}",
        refused.body
    );
    assert!(refused.body.contains("not archived yet"), "{}", refused.body);
    let ready = request(running.address(), "GET", "/readyz", &[], b"").unwrap();
    assert!(ready.status == 503 && ready.body.contains("journal.max_size"), "{}", ready.body);
    receiver.wait_for(1);
    running.clock.wind_ms(600_000);
    receiver.wait_for(2);
    assert_eq!(receiver.states(), ["ALARM", "OK"], "decided and told meanwhile");
    assert_eq!(released(&running), Offset(0));

    fs::remove_file(&blocked).unwrap();
    send(running.address(), taken);
    running.drain();
    assert_eq!(archived_lines(&site), (0..=taken).map(line).collect::<Vec<_>>());
}

#[test]
fn messages_of_a_queue_go_with_the_journal_counted_and_dead_letters_stay() {
    let receiver = Receiver::start();
    let site = site(&receiver);
    let running = start(&site, LONG_AGO);
    let ask = |running: &InProcess, path: &str, body: &Value| {
        let answer = request(
            running.address(),
            "POST",
            &format!("/queues/events/{path}"),
            &[],
            body.to_string().as_bytes(),
        );
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    };
    send(running.address(), 0);
    assert_eq!(ask(&running, "receive", &json!({}))["messages"].as_array().unwrap().len(), 1);
    running.clock.wind_ms(2000);
    assert_eq!(ask(&running, "receive", &json!({}))["messages"], json!([]), "it is a dead letter now");
    let figures =
        |running: &InProcess| request(running.address(), "GET", "/queues/events", &[], b"").unwrap().json();
    assert_eq!(figures(&running)["dead"], 1);
    let lines = 500;
    for number in 1..lines {
        send(running.address(), number);
    }
    eventually("much of the journal has gone", || released(&running).0 > 500);
    let before = released(&running);
    let after = figures(&running);
    let (visible, expired) = (after["visible"].as_u64().unwrap(), after["expired"].as_u64().unwrap());
    assert_eq!((visible + expired, &after["dead"]), (lines as u64 - 1, &json!(1)));
    assert!(expired > 0);
    running.drain();

    // Its state is the same after a restart, and what it still holds can be had.
    let running = start(&site, LONG_AGO.plus_ms(3_600_000));
    assert_eq!(released(&running), before);
    assert_eq!(figures(&running)["visible"], visible);
    ask(&running, "redrive", &json!({ "all": true }));
    let mut texts = Vec::new();
    loop {
        let messages = ask(&running, "receive", &json!({ "max": 10, "visibility_timeout_s": 3600 }));
        let messages = messages["messages"].as_array().unwrap().clone();
        if messages.is_empty() {
            break;
        }
        let text = |message: &Value| message["events"][0]["message"].as_str().unwrap().to_owned();
        texts.extend(messages.iter().map(text));
    }
    assert_eq!(texts[0], line(0), "the dead letter has its payload");
    let newest: Vec<String> = (lines - usize::try_from(visible).unwrap()..lines).map(line).collect();
    assert_eq!(texts[1..], newest);
    running.drain();
}

#[test]
fn what_a_crash_leaves_says_itself_what_has_gone_and_opens() {
    let receiver = Receiver::start();
    let (site, disk) = (site(&receiver), ModelDisk::new());
    let running = InProcess::start_with(&bounded(&site), LONG_AGO, Arc::new(disk.clone()), SIZES);
    let mut gone = BTreeSet::new();
    for number in 0..600 {
        send(running.address(), number);
        if number % 10 != 0 {
            continue;
        }
        // In the middle of whatever goes on just now.
        let crashed = disk.fork();
        crashed.crash(|i| number % 20 == 0 && i % 2 == 0);
        let crashed: Arc<dyn Disk> = Arc::new(crashed);
        let mut reader = Reader::open_oldest(&crashed, &site.data().join("journal")).unwrap();
        let first = Offset(reader.next_offset());
        let mut said = Offset(0);
        while let Some(frame) = reader.next().unwrap() {
            if let Entry::Release(release) = record(&frame).entry {
                said = release.before;
            }
        }
        assert!(
            first <= said,
            "entries before {first} are gone, and only those before {said} are said to be"
        );
        gone.insert(first);
        let opened = data_folder::open(&crashed, &site.data(), SIZES.segment_bytes_max, LONG_AGO);
        let opened = opened.unwrap_or_else(|failure| panic!("{failure}"));
        assert!(opened.fold.released.before >= first);
    }
    assert!(gone.len() > 3, "hardly anything went: {gone:?}");
    running.drain();
}

#[test]
fn a_message_on_its_way_survives_that_its_decision_goes_and_a_restart() {
    let receiver = Receiver::start();
    receiver.answer(500);
    let site = site(&receiver);
    let running = start(&site, LONG_AGO);
    for number in 0..500 {
        send(running.address(), number);
    }
    eventually("the decision has gone", || released(&running).0 > 500);
    let id = receiver.wait_for(1)[0].json()["id"].clone();
    running.drain();
    receiver.answer(200);
    let running = start(&site, LONG_AGO.plus_ms(3_600_000));
    eventually("it is told", || receiver.posts().iter().any(|post| post.status == 200));
    let told = receiver.posts().into_iter().find(|post| post.status == 200).unwrap();
    assert_eq!((told.json()["state"].clone(), told.json()["id"].clone()), (json!("ALARM"), id));
    running.drain();
}

#[test]
fn what_is_too_old_goes_by_segments_and_the_entry_says_why() {
    let receiver = Receiver::start();
    let site = site(&receiver);
    let mut plan = site.plan();
    plan.journal.max_age_ms = 3_600_000;
    let running = InProcess::start_with(&plan, LONG_AGO, Arc::new(RealDisk), SIZES);
    for number in 0..40 {
        send(running.address(), number);
    }
    running.clock.wind_ms(1_800_000);
    send(running.address(), 40);
    assert_eq!(released(&running), Offset(0), "nothing is an hour old");
    running.clock.wind_ms(1_800_000);
    eventually("what is older than an hour has gone", || released(&running) > Offset(0));
    running.drain();
    let entries = records(&site.data());
    let releases: Vec<_> = entries
        .iter()
        .filter_map(|record| match &record.entry {
            Entry::Release(release) => Some(release),
            _ => None,
        })
        .collect();
    assert!(releases.iter().all(|release| release.reason == ReleaseReason::Age) && !releases.is_empty());
    assert_eq!(entries[0].offset, releases.last().unwrap().before);
    assert_eq!(archived_lines(&site).len(), 41);
}

#[test]
fn a_journal_whose_beginning_is_only_in_a_lost_snapshot_does_not_start_and_says_what_to_do() {
    let receiver = Receiver::start();
    let site = site(&receiver);
    let running = start(&site, LONG_AGO);
    for number in 0..500 {
        send(running.address(), number);
    }
    eventually("some of it has gone", || released(&running).0 > 0);
    running.drain();
    fs::remove_dir_all(site.data().join("snapshots")).unwrap();
    let (code, _, stderr) = said(&run(&site, &["up"]));
    assert_eq!(code, Some(74), "{stderr}");
    for part in ["the journal begins at entry", "no snapshot", "watchbell restore"] {
        assert!(stderr.contains(part), "{part} is not in {stderr}");
    }
}
