//! Data folders of every format stay readable: the committed ones open with all that they knew.
//!
//! `tests/fixtures/data-format-N` never changes once format N is released; its README says how it was made.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use watchbell::run::data_folder::{self, DataFolder};
use watchbell_journal::{Disk, RealDisk, SEGMENT_BYTES_MAX};
use watchbell_model::{DATA_FORMAT, Entry};

use crate::support::eventually;
use crate::support::http::post;
use crate::support::process::{Up, run};
use crate::support::receiver::Receiver;
use crate::support::records::{archived, records};
use crate::support::running::{InProcess, START};
use crate::support::site::{Site, copy_folder};

/// Set to a folder, the fixture is written there.
const MAKE: &str = "WATCHBELL_MAKE_FIXTURE";

/// Nobody listens on the discard port: the message stays on its way.
const RECEIVER: &str = "http://127.0.0.1:9/hook";

/// Three alarms that end in the three states.
fn body(receiver: &str) -> String {
    let mut body = format!(
        "[log_groups.\"shop/app\"]\nfiles = [\"app.log\"]\n\
         [metric_filters.errors]\nlog_group = \"shop/app\"\npattern = 'ERROR'\n\
         metric = {{ namespace = \"Shop\", name = \"Errors\", value = \"1\" }}\n\
         [topics.ops]\nconsole = {{}}\nwebhook = {{ url = \"{receiver}\" }}\n"
    );
    for (name, condition, missing_data) in
        [("burst", ">= 3", "ignore"), ("flood", "> 1000", "not_breaching"), ("unknown", "> 2000", "missing")]
    {
        let alarm = format!(
            "[alarms.{name}]\nmetric_filter = \"errors\"\nstatistic = \"Sum\"\nperiod = \"60s\"\n\
             condition = \"{condition}\"\nmissing_data = \"{missing_data}\"\nnotify = [\"ops\"]\n"
        );
        body.push_str(&alarm);
    }
    body
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/data-format-{DATA_FORMAT}/data"))
}

/// A copy of the fixture's data folder, opened.
fn opened() -> (TempDir, DataFolder) {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&fixture(), copy.path());
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let opened = data_folder::open(&disk, copy.path(), SEGMENT_BYTES_MAX, START)
        .unwrap_or_else(|failure| panic!("{failure}"));
    (copy, opened)
}

#[test]
fn the_fixture_opens_with_alarm_states_checkpoints_and_messages_on_their_way() {
    let (copy, opened) = opened();
    let fold = opened.fold;
    let states: Vec<_> = fold.engine.alarms().map(|(name, _, run)| (name, run.state.as_str())).collect();
    assert_eq!(states, [("burst", "ALARM"), ("flood", "OK"), ("unknown", "INSUFFICIENT_DATA")]);
    let checkpoints: Vec<_> = fold.checkpoints.iter().map(|(_, it)| (it.path.as_str(), it.end)).collect();
    assert_eq!(checkpoints, [("/srv/shop/app.log", 28)]);
    let waiting: Vec<_> = fold
        .outbox
        .waiting()
        .map(|it| (it.subscription.as_str(), it.attempts, it.transition.alarm.as_str()))
        .collect();
    assert_eq!(waiting, [("webhook", 2, "burst")]);
    let counters = fold.engine.counters().groups.values().next().unwrap();
    assert_eq!((counters.events, counters.backfill), (6, 1));
    assert!(fold.backlog.bytes() > 0, "the last line is not archived yet");
    assert_eq!(archived(&copy.path().join("archive")).len(), 5);
    drop(opened.journal);
    let data = copy.path().to_str().unwrap();
    let site = Site::new("");
    assert_eq!(run(&site, &["trail", "verify", "--data-dir", data]).status.code(), Some(0));
}

#[test]
fn the_fixture_has_every_kind_of_entry_but_a_loss() {
    let mut kinds: Vec<_> = records(&fixture()).iter().map(|record| record.entry.kind_name()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let expected =
        ["archive done", "archive plan", "batch", "decisions", "delivery", "plan", "tick", "trail"];
    assert_eq!(kinds, expected);
}

#[test]
fn the_fixture_goes_on_it_tells_what_waited_and_knows_the_batch_ids() {
    let receiver = Receiver::start();
    let site = Site::new(&body(&receiver.url()));
    copy_folder(&fixture(), &site.data());
    let up = Up::start(&site);
    let message = receiver.wait_for(1)[0].clone();
    assert_eq!((&message.json()["alarm"], &message.json()["state"]), (&"burst".into(), &"ALARM".into()));
    let lines = b"ERROR a\nERROR b\nERROR c\nfine\n";
    let again = post(up.address, "shop/app", &[("Idempotency-Key", "batch-1")], lines);
    up.stop();
    let first = records(&fixture()).into_iter().find_map(|record| match record.entry {
        Entry::Decisions(decisions) => Some(decisions),
        _ => None,
    });
    let identity: serde_json::Value =
        serde_json::from_slice(&fs::read(fixture().join("installation.json")).unwrap()).unwrap();
    let id = format!("{}-{}.0", identity["installation"].as_str().unwrap(), first.unwrap().cause);
    assert_eq!(message.header("webhook-id"), Some(id.as_str()));
    // A day is long over by the system's clock, but no time passes for an id until the next one comes.
    assert_eq!(again.json()["duplicate"], true, "{}", again.body);
    assert_eq!(archived(&site.path("data/archive")).len(), 6);
}

#[test]
fn a_fixture_is_written_when_asked_for() {
    let Some(folder) = std::env::var_os(MAKE).map(PathBuf::from) else { return };
    let site = Site::at(&folder, &body(RECEIVER));
    site.write("app.log", "from before\n");
    let running = InProcess::start(&site, START);
    running.wait_for_events("shop/app", 1);
    let lines = b"ERROR a\nERROR b\nERROR c\nfine\n";
    assert_eq!(post(running.address(), "shop/app", &[("Idempotency-Key", "batch-1")], lines).status, 200);
    running.clock.wind_ms(600_000);
    running.wait_for_state("flood", "OK");
    eventually("one attempt has failed", || attempts(&site) == [1]);
    running.drain();
    let running = InProcess::start(&site, START.plus_ms(900_000));
    site.append("app.log", "ERROR from file\n");
    running.wait_for_events("shop/app", 6);
    eventually("another attempt has failed", || attempts(&site) == [1, 2]);
    // Taken while it runs, as a crash would leave it: the last entries are in no snapshot.
    copy_folder(&site.data(), &site.path("taken"));
    running.drain();
    fs::remove_dir_all(site.data()).unwrap();
    site.rename("taken", "data");
    fs::remove_file(site.path("data/journal/lock")).unwrap();
}

/// Attempts to tell the webhook that are on disk.
fn attempts(site: &Site) -> Vec<u32> {
    let attempt = |record: watchbell_model::Record| match record.entry {
        Entry::Delivery(delivery) if delivery.subscription == "webhook" => Some(delivery.attempt),
        _ => None,
    };
    records(&site.data()).into_iter().filter_map(attempt).collect()
}
