//! The same journal gives the same decisions, byte for byte: folded live, from its start, and from a snapshot.

use std::fs;
use std::path::Path;

use watchbell::run::fold::Fold;
use watchbell::run::snapshot;
use watchbell_engine::Engine;
use watchbell_journal::RealDisk;
use watchbell_model::{Decisions, Entry, InstallationId, Offset, Record, Transition};

use crate::support::http::post;
use crate::support::input::{lf, sshd};
use crate::support::receiver::Receiver;
use crate::support::records::{frames, record, records, transitions};
use crate::support::running::{InProcess, START};
use crate::support::site::{Site, copy_folder};

fn body(receiver: &Receiver, condition: &str) -> String {
    let mut body = format!(
        "[log_groups.\"ssh/auth\"]\nfiles = [\"auth.log\"]\n[topics.ops.webhook]\nurl = \"{}\"\n\
         [metric_filters.failed]\nlog_group = \"ssh/auth\"\npattern = '\"Failed password\"'\n\
         metric = {{ namespace = \"Ssh\", name = \"Failed\", value = \"1\" }}\n",
        receiver.url()
    );
    for (name, statistic, rest) in [
        ("burst", "Sum", "datapoints = \"1 of 1\"\nmissing_data = \"not_breaching\""),
        ("twice", "SampleCount", "datapoints = \"2 of 3\"\nmissing_data = \"missing\""),
        ("steady", "Average", "datapoints = \"2 of 2\"\nmissing_data = \"ignore\""),
    ] {
        let alarm = format!(
            "[alarms.{name}]\nmetric_filter = \"failed\"\nstatistic = \"{statistic}\"\nperiod = \"60s\"\n\
             condition = \"{condition}\"\nnotify = [\"ops\"]\n{rest}\n"
        );
        body.push_str(&alarm);
    }
    body
}

/// Minutes with and without lines; ends when everything is folded.
fn minutes(running: &InProcess, site: &Site, events: &mut u64, counts: &[usize]) {
    for count in counts {
        site.append("auth.log", lf(&sshd(0..*count)));
        *events += *count as u64;
        running.wait_for_events("ssh/auth", *events);
        running.clock.wind_ms(60_000);
    }
}

/// A history with alarms of every kind, a reload in the middle and a restart.
fn history(receiver: &Receiver) -> Site {
    let site = Site::new(&body(receiver, ">= 1"));
    site.append("auth.log", "before\n");
    let mut events = 1;
    let running = InProcess::start(&site, START);
    running.wait_for_events("ssh/auth", 1);
    minutes(&running, &site, &mut events, &[9, 0, 9, 9, 0, 0, 0, 0, 0, 0]);
    site.configure(&body(receiver, ">= 20"));
    running.reload(&site).unwrap();
    minutes(&running, &site, &mut events, &[9, 60, 90, 0]);
    let now = START.plus_ms(14 * 60_000);
    running.drain();
    let running = InProcess::start(&site, now);
    minutes(&running, &site, &mut events, &[60, 60, 3, 0, 0, 0, 0, 0, 0, 0]);
    let answer = post(running.address(), "ssh/auth", &[], &lf(&sshd(0..60)));
    assert_eq!(answer.status, 200);
    running.wait_for_deliveries();
    running.drain();
    site
}

fn installation(data: &Path) -> InstallationId {
    let identity: serde_json::Value =
        serde_json::from_slice(&fs::read(data.join("installation.json")).unwrap()).unwrap();
    identity["installation"].as_str().unwrap().parse().unwrap()
}

/// The bytes of every journaled entry of decisions from `from` on.
fn journaled(data: &Path, from: Offset) -> Vec<Vec<u8>> {
    let is_decisions = |frame: &watchbell_journal::Entry| matches!(record(frame).entry, Entry::Decisions(decisions) if decisions.cause >= from);
    frames(data).into_iter().filter(is_decisions).map(|frame| frame.payload).collect()
}

fn derived(records: &[Record], mut step: impl FnMut(&Record) -> Vec<Decisions>) -> Vec<Vec<u8>> {
    records.iter().flat_map(&mut step).map(|decisions| Entry::Decisions(decisions).encode()).collect()
}

#[test]
fn folding_the_whole_journal_again_gives_the_journaled_decisions_byte_for_byte() {
    let receiver = Receiver::start();
    let site = history(&receiver);
    let journaled = journaled(&site.data(), Offset(0));
    assert!(transitions(&site.data()).len() >= 8, "the history has only {:?}", transitions(&site.data()));
    let mut engine = Engine::new(installation(&site.data()));
    let derived = derived(&records(&site.data()), |record| {
        Decisions::entries(record.offset, 0, engine.step(record).unwrap())
    });
    assert_eq!(derived, journaled);
    assert_eq!(engine.unconfirmed().len(), 0);
    let (alarms, oks) = receiver.states().into_iter().partition::<Vec<_>, _>(|state| state == "ALARM");
    assert!(alarms.len() >= oks.len() && !oks.is_empty(), "{alarms:?} {oks:?}");
}

#[test]
fn when_the_process_gets_to_look_at_the_clock_changes_no_transition() {
    let changes = || {
        let site = history(&Receiver::start());
        let change = |it: Transition| (it.at, it.alarm, it.from, it.to, it.early, it.datapoints, it.notify);
        let mut changes: Vec<_> = transitions(&site.data()).into_iter().map(change).collect();
        changes.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        changes
    };
    // Two runs tick at other moments, so their journals differ; what they decide must not.
    assert_eq!(changes(), changes());
}

#[test]
fn folding_from_a_snapshot_gives_the_same_as_folding_everything() {
    let receiver = Receiver::start();
    let site = history(&receiver);
    let all = records(&site.data());
    let installation = installation(&site.data());
    let mut whole = Fold::new(installation);
    for record in &all {
        whole.apply(record).unwrap();
    }
    // The snapshot of the first stop, so that there is something to fold after it.
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&site.data().join("snapshots"), copy.path());
    let mut names: Vec<_> = fs::read_dir(copy.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert_eq!(names.len(), 2);
    fs::remove_file(names.pop().unwrap()).unwrap();
    let snapshot = snapshot::newest(&RealDisk, copy.path(), installation).unwrap().unwrap();
    let mut fold = Fold::restore(installation, snapshot.fold).unwrap();
    let from = fold.next;
    assert!(from > Offset(0) && from < whole.next, "{from}");
    let derived =
        derived(&all[usize::try_from(from.0).unwrap()..], |record| fold.apply(record).unwrap().decisions);
    let journaled = journaled(&site.data(), from);
    assert!(!journaled.is_empty());
    assert_eq!(derived, journaled);
    let state = |fold: &Fold| serde_json::to_string(&fold.snapshot()).unwrap();
    assert_eq!(state(&fold), state(&whole));
}
