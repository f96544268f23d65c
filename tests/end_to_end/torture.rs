//! A real `up` under load, killed at random moments: nothing is lost, nothing comes twice, everyone is told.
//!
//! `cargo xtask torture --kills N` kills more often than the default; the seed of a run is printed and can be given.

#![expect(clippy::print_stderr, reason = "a long run says how far it is")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use watchbell_archive::StoredEvent;
use watchbell_engine::Engine;
use watchbell_model::{Decisions, Entry, EventFlags, EventId, InstallationId, Record};

use crate::support::eventually;
use crate::support::http::{get, request};
use crate::support::process::{Starting, Up, run, said};
use crate::support::receiver::Receiver;
use crate::support::records::{archived, records};
use crate::support::site::Site;

/// How often it is killed if nobody says.
const KILLS: usize = 10;

/// Lines of one write to the file, and of one request.
const LINES: usize = 20;

/// How many kills the load goes on before everything is looked at and old files are removed.
const KILLS_PER_ROUND: usize = 10;

const HEAD: &str = r#"
[log_groups.app]
files = ["app.log"]
[log_groups.web]
[metric_filters.errors]
log_group = "app"
pattern = "[number, host, level=ERROR, hash]"
metric = { namespace = "App", name = "Errors", dimensions = { host = "$host" } }
[alarms.errors-of-a-host]
metric_filter = "errors"
each = "host"
period = "10s"
condition = ">= 2"
missing_data = "not_breaching"
notify = ["ops"]
[alarms.errors-of-the-web]
log_group = "web"
pattern = "ERROR"
period = "10s"
notify = ["ops"]
[queues.events]
log_groups = ["app", "web"]
visibility_timeout = "1s"
max_receives = 1000
[log_groups.derived]
[queues.work]
log_groups = ["app"]
visibility_timeout = "1s"
max_receives = 1000
[functions.derive]
queue = "work"
raise = [{ log_group = "derived" }]
workers = { min = 2, max = 2 }
"#;

/// `SplitMix64`: the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// Line `number` of a stream. Hosts come and go, so that their alarms do.
fn line(number: usize) -> String {
    let level = if number % 7 == 3 { "ERROR" } else { "ok" };
    format!(
        "{number} host{} {level} {:016x}\n",
        number / 100 % 300,
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    )
}

fn lines(from: usize) -> String {
    (from..from + LINES).map(line).collect()
}

/// What the load and those who kill share.
#[derive(Clone, Default)]
struct Stage {
    /// Where `up` serves, while it does.
    address: Arc<Mutex<Option<SocketAddr>>>,
    is_over: Arc<AtomicBool>,
}

impl Stage {
    fn set(&self, address: Option<SocketAddr>) {
        *self.address.lock().unwrap() = address;
    }

    fn address(&self) -> Option<SocketAddr> {
        *self.address.lock().unwrap()
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// The pace of a program that does something; nobody waits for Watchbell in it.
    fn pace(random: &mut Random) {
        std::thread::sleep(Duration::from_millis(1 + random.below(20)));
    }
}

/// Writes numbered lines to a file that is rotated by renaming, whether anybody reads it or not.
fn log(site: &Site, stage: &Stage, from: usize, mut random: Random) -> JoinHandle<usize> {
    let (folder, stage) = (site.path(""), stage.clone());
    std::thread::spawn(move || {
        let site = Site::existing(&folder);
        let mut written = from;
        while !stage.is_over() {
            site.append("app.log", lines(written));
            written += LINES;
            if random.one_in(12) {
                rotate(&site);
            }
            Stage::pace(&mut random);
        }
        written
    })
}

fn rotated(site: &Site) -> Vec<String> {
    let names = (1..).map(|number| format!("app.log.{number}"));
    names.take_while(|name| site.path(name).exists()).collect()
}

fn rotate(site: &Site) {
    let there = rotated(site);
    for (number, name) in there.iter().enumerate().rev() {
        site.rename(name, &format!("app.log.{}", number + 2));
    }
    site.rename("app.log", "app.log.1");
}

/// Sends numbered lines under batch ids, each again until it is acknowledged.
fn send(stage: &Stage, from: usize, mut random: Random) -> JoinHandle<usize> {
    let stage = stage.clone();
    std::thread::spawn(move || {
        let mut sent = from;
        let mut is_acknowledged = true;
        // A batch without an answer may be stored: only the same one again says so.
        while !(stage.is_over() && is_acknowledged) {
            let (id, body) = (format!("batch-{sent}"), lines(sent));
            let headers = [("Idempotency-Key", id.as_str())];
            let post = |address| request(address, "POST", "/ingest/web", &headers, body.as_bytes());
            match stage.address().map(post) {
                Some(Ok(answer)) if answer.status == 200 => (sent, is_acknowledged) = (sent + LINES, true),
                Some(Ok(answer)) => assert_eq!(answer.status, 503, "{}", answer.body),
                Some(Err(_)) => is_acknowledged = false,
                None => {}
            }
            Stage::pace(&mut random);
        }
        sent
    })
}

/// Receives messages and deletes them. Gives the ids of all events that it has seen.
fn work(stage: &Stage, mut random: Random) -> JoinHandle<BTreeSet<String>> {
    let stage = stage.clone();
    std::thread::spawn(move || {
        let mut seen = BTreeSet::new();
        while !stage.is_over() {
            if let Some(address) = stage.address() {
                receive(address, &mut seen);
            }
            Stage::pace(&mut random);
        }
        seen
    })
}

fn receive(address: SocketAddr, seen: &mut BTreeSet<String>) {
    let call = |verb: &str, body: &Value| {
        let body = body.to_string();
        let answer =
            request(address, "POST", &format!("/queues/events/{verb}"), &[], body.as_bytes()).ok()?;
        (answer.status == 200).then(|| answer.json())
    };
    let Some(answer) = call("receive", &json!({ "max": 10 })) else { return };
    let mut receipts = Vec::new();
    for message in answer["messages"].as_array().unwrap() {
        let ids = message["events"].as_array().unwrap().iter();
        seen.extend(ids.map(|event| event["id"].as_str().unwrap().to_owned()));
        receipts.push(message["receipt"].clone());
    }
    if !receipts.is_empty() {
        // If it does not arrive, the messages come again.
        let _ = call("delete", &json!({ "receipts": receipts }));
    }
}

/// Starts it, lets it work for a moment, and kills it: while it starts, works, or stops.
fn kill_once(site: &Site, stage: &Stage, random: &mut Random) {
    let mut up = Starting::spawn(site, &[]);
    for _ in 0..random.below(350) {
        let address = up.address();
        stage.set(address);
        std::thread::sleep(Duration::from_millis(2));
    }
    if random.one_in(4) {
        // Then it archives.
        up.signal("TERM");
        std::thread::sleep(Duration::from_millis(random.below(150)));
    }
    stage.set(None);
    up.kill();
}

/// What has been written and seen over all rounds.
#[derive(Default)]
struct Account {
    written: usize,
    sent: usize,
    received: BTreeSet<String>,
}

/// Load and kills, then everything is let through.
fn round(site: &Site, receiver: &Receiver, kills: usize, account: &mut Account, random: &mut Random) {
    let stage = Stage::default();
    let mut part = || Random(random.next());
    let log = log(site, &stage, account.written, part());
    let send = send(&stage, account.sent, part());
    let work = work(&stage, part());
    for _ in 0..kills {
        receiver.answer(if random.one_in(5) { 503 } else { 200 });
        kill_once(site, &stage, random);
    }
    receiver.answer(200);
    let up = Up::start(site);
    stage.set(Some(up.address));
    stage.is_over.store(true, Ordering::SeqCst);
    account.written = log.join().unwrap();
    account.sent = send.join().unwrap();
    account.received.extend(work.join().unwrap());
    up.wait_for_events("app", account.written as u64);
    up.wait_for_events("web", account.sent as u64);
    eventually("both queues are empty", || {
        receive(up.address, &mut account.received);
        ["events", "work"].iter().all(|queue| {
            let queue = get(up.address, &format!("/queues/{queue}")).json();
            queue["visible"] == 0 && queue["in_flight"] == 0
        })
    });
    assert_balanced(site, &up);
    up.stop();
    for name in rotated(site) {
        fs::remove_file(site.path(&name)).unwrap();
    }
}

fn assert_balanced(site: &Site, up: &Up) {
    let address = up.address.to_string();
    let (code, stdout, stderr) = said(&run(site, &["sources", "--format", "json", "--address", &address]));
    assert_eq!(code, Some(0), "{stderr}");
    let answer: Value = serde_json::from_str(&stdout).unwrap();
    for source in answer["sources"].as_array().unwrap() {
        assert_eq!(source["read_bytes"], source["journaled_bytes"], "{source}");
    }
}

/// The lines of a group: what a stop cut in two is one line again.
fn texts(events: &[StoredEvent], group: &str) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for event in events.iter().filter(|event| event.log_group == group) {
        match texts.last_mut().filter(|_| event.flags.has(EventFlags::CONTINUED)) {
            Some(before) => before.push_str(&event.message),
            None => texts.push(event.message.clone()),
        }
    }
    texts
}

fn assert_archived(site: &Site, account: &Account) {
    let events = archived(&site.data().join("archive"));
    let mut ids: BTreeMap<EventId, usize> = BTreeMap::new();
    for event in &events {
        *ids.entry(event.event_id).or_default() += 1;
    }
    let twice: Vec<_> = ids.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "archived more than once: {twice:?}");
    for (group, count) in [("app", account.written), ("web", account.sent)] {
        let mut found = texts(&events, group);
        found.sort_by_key(|text| text.split(' ').next().and_then(|number| number.parse::<usize>().ok()));
        let expected: Vec<String> = (0..count).map(|number| line(number).trim_end().to_owned()).collect();
        let differs = found.iter().zip(&expected).position(|(found, expected)| found != expected);
        let place = differs.unwrap_or(found.len().min(expected.len()));
        assert!(
            found == expected,
            "{group}: {} lines of {}, from {place} on: {:?}",
            found.len(),
            expected.len(),
            &found[place..found.len().min(place + 3)]
        );
    }
    // What the function raised of each event.
    let messages = |group: &str| {
        let of_group = events.iter().filter(|event| event.log_group == group);
        let mut messages: Vec<&str> = of_group.map(|event| event.message.as_str()).collect();
        messages.sort_unstable();
        messages
    };
    assert!(messages("derived") == messages("app"), "the function raised other events, or not each once");
    let is_received = |event: &&StoredEvent| event.log_group != "derived";
    let missed: Vec<_> = events
        .iter()
        .filter(is_received)
        .map(|event| event.event_id)
        .filter(|id| !account.received.contains(&id.to_string()))
        .collect();
    assert!(missed.is_empty(), "never received from the queue: {missed:?}");
}

/// Folds the journal again: the same decisions, each once and in the same order.
fn assert_decided(records: &[Record], installation: InstallationId) -> Vec<Decisions> {
    let mut engine = Engine::new(installation);
    let mut derived = Vec::new();
    let mut journaled = Vec::new();
    for record in records {
        derived.extend(Decisions::entries(record.offset, 0, engine.step(record).unwrap()));
        if let Entry::Decisions(decisions) = &record.entry {
            journaled.push(decisions.clone());
        }
    }
    assert!(derived == journaled, "{} decisions derived, {} journaled", derived.len(), journaled.len());
    journaled
}

/// Every change of state that somebody is to be told was delivered, under its id, and nothing else was.
fn assert_told(decisions: &[Decisions], receiver: &Receiver, installation: InstallationId) -> usize {
    let with_ids = decisions.iter().flat_map(Decisions::with_ids);
    let told = with_ids.filter(|(_, it)| it.told().is_some_and(|transition| !transition.notify.is_empty()));
    let expected: BTreeSet<String> = told.map(|(id, _)| format!("{installation}-{id}")).collect();
    let mut bodies: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut delivered = BTreeSet::new();
    for post in receiver.posts() {
        let id = post.header("webhook-id").unwrap().to_owned();
        assert!(expected.contains(&id), "{id} was told and never decided");
        let first = bodies.entry(id.clone()).or_insert_with(|| post.body.clone());
        assert_eq!(*first, post.body, "{id} is told in other words");
        if post.status == 200 {
            delivered.insert(id);
        }
    }
    assert_eq!(delivered, expected);
    expected.len()
}

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

#[test]
fn nothing_is_lost_or_doubled_however_often_it_is_killed() {
    let kills = number("WATCHBELL_KILLS").map_or(KILLS, |kills| usize::try_from(kills).unwrap());
    let seed = number("WATCHBELL_SEED").unwrap_or_else(|| std::process::id().into());
    eprintln!("WATCHBELL_KILLS={kills} WATCHBELL_SEED={seed}");
    let mut random = Random(seed);
    let receiver = Receiver::start();
    let site = Site::new(&format!("{HEAD}[topics.ops.webhook]\nurl = \"{}\"\n", receiver.url()));
    site.write("app.log", "");
    // Its files are new from here on: what was there before would ring nobody.
    Up::start(&site).stop();

    let mut account = Account::default();
    let mut left = kills;
    while left > 0 {
        let now = left.min(KILLS_PER_ROUND);
        round(&site, &receiver, now, &mut account, &mut random);
        left -= now;
        eprintln!("{} kills, {} lines, {} sent", kills - left, account.written, account.sent);
    }
    let up = Up::start(&site);
    eventually("everything is told", || up.metric("watchbell_messages_waiting") == 0);
    up.stop();

    assert_archived(&site, &account);
    let identity: Value =
        serde_json::from_slice(&fs::read(site.data().join("installation.json")).unwrap()).unwrap();
    let installation = identity["installation"].as_str().unwrap().parse().unwrap();
    let decisions = assert_decided(&records(&site.data()), installation);
    let told = assert_told(&decisions, &receiver, installation);
    assert!(told >= kills / 2, "only {told} changes of state in {kills} kills");
    eprintln!("{told} changes of state, each told");
    for verb in [["trail", "verify"], ["journal", "check"]] {
        let (code, stdout, stderr) = said(&run(&site, &verb));
        assert_eq!(code, Some(0), "{verb:?}: {stdout} {stderr}");
    }
}
