//! What every frame and file carries, and what is derived from the journal and kept nowhere else.

use std::collections::BTreeMap;
use std::fs;

use watchbell_model::{Entry, EventId, InstallationId, Record, Source};

use crate::support::eventually;
use crate::support::http::post;
use crate::support::input::{lf, sshd};
use crate::support::records::{archived, batches, frames, records};
use crate::support::running::{InProcess, START};
use crate::support::site::Site;

const BODY: &str = r#"
[log_groups."ssh/auth"]
files = ["*.log"]
[log_groups."shop/app"]
[metric_filters.failed]
log_group = "ssh/auth"
pattern = '"Failed password"'
metric = { namespace = "Ssh", name = "Failed", value = "1" }
[alarms.failed]
metric_filter = "failed"
statistic = "Sum"
period = "60s"
condition = ">= 1"
notify = ["ops"]
[topics.ops.console]
"#;

/// A run with two files, two requests, ticks and an alarm, in which the clock goes back by an hour, and another run.
fn used() -> (Site, BTreeMap<String, u64>) {
    let site = Site::new(BODY);
    site.append("a.log", lf(&sshd(0..10)));
    site.append("b.log", lf(&sshd(10..20)));
    let running = InProcess::start(&site, START);
    running.wait_for_events("ssh/auth", 20);
    running.clock.wind_ms(120_000);
    let is_tick = |record: &Record| matches!(record.entry, Entry::Tick);
    eventually("time alone has been noticed", || records(&site.data()).iter().any(is_tick));
    assert_eq!(post(running.address(), "shop/app", &[], b"before\n").status, 200);
    running.clock.wind_ms(-3_600_000);
    assert_eq!(post(running.address(), "shop/app", &[], b"after\n").status, 200);
    site.append("a.log", lf(&sshd(20..30)));
    running.wait_for_events("ssh/auth", 30);
    running.drain();
    let running = InProcess::start(&site, START.plus_ms(-3_600_000));
    site.append("b.log", "unfinished");
    assert_eq!(post(running.address(), "shop/app", &[], b"after the restart\n").status, 200);
    let checkpoints = running.look(|fold| {
        fold.checkpoints.iter().map(|(_, checkpoint)| (checkpoint.path.clone(), checkpoint.end)).collect()
    });
    running.drain();
    (site, checkpoints)
}

#[test]
fn every_file_and_frame_names_its_format_its_version_and_the_installation() {
    let (site, _) = used();
    let identity: serde_json::Value =
        serde_json::from_slice(&fs::read(site.data().join("installation.json")).unwrap()).unwrap();
    assert_eq!((&identity["format"], &identity["version"]), (&"watchbell-data".into(), &1.into()));
    let hex = identity["installation"].as_str().unwrap();
    let installation: InstallationId = hex.parse().unwrap();
    let (mut segments, mut snapshots, mut objects) = (0, 0, 0);
    for (path, bytes) in site.files() {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("segment") => {
                segments += 1;
                assert!(bytes.starts_with(b"watchbell-journal\0"));
                assert_eq!((&bytes[24..28], &bytes[32..40]), (&1_u32.to_le_bytes()[..], &installation.0[..]));
                let mut at = 64;
                // Behind the last frame of a segment zeros fill its page.
                while bytes.get(at).is_some_and(|byte| *byte != 0) {
                    assert_eq!(&bytes[at..at + 4], b"WBF1", "at {at}");
                    assert_eq!(bytes[at + 16..at + 24], installation.0, "at {at}");
                    let payload = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap());
                    at += 56 + payload as usize;
                }
                assert!(bytes[at.min(bytes.len())..].iter().all(|byte| *byte == 0));
            }
            Some("snapshot") => {
                snapshots += 1;
                let head = bytes.split(|byte| *byte == b'\n').next().unwrap();
                let head: serde_json::Value = serde_json::from_slice(head).unwrap();
                assert_eq!((&head["format"], &head["version"]), (&"watchbell-snapshot".into(), &1.into()));
                assert_eq!(head["installation"], hex);
            }
            Some("parquet") => {
                objects += 1;
                for text in ["watchbell.format", "watchbell.installation", hex] {
                    assert!(
                        memchr::memmem::find(&bytes, text.as_bytes()).is_some(),
                        "{text} {}",
                        path.display()
                    );
                }
                assert!(path.file_name().unwrap().to_str().unwrap().starts_with(hex));
            }
            _ => {}
        }
    }
    assert!(segments >= 1 && snapshots >= 1 && objects >= 1, "{segments} {snapshots} {objects}");
    assert_eq!(frames(&site.data()).iter().map(|frame| frame.epoch).max(), Some(2), "one for each start");
}

#[test]
fn ingestion_time_never_runs_backwards_though_the_clock_does() {
    let (site, _) = used();
    let times: Vec<i64> = frames(&site.data()).iter().map(|frame| frame.time_ms).collect();
    assert!(times.is_sorted());
    assert_eq!(times.last(), Some(&START.plus_ms(120_000).0));
    let events = archived(&site.path("data/archive"));
    assert!(events.iter().map(|event| event.ingestion_time).is_sorted());
}

#[test]
fn checkpoints_are_what_the_journal_says_and_reach_the_end_of_each_file() {
    let (site, seen) = used();
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    for (_, _, batch) in batches(&site.data()) {
        let Source::File { path, range, .. } = batch.source else { continue };
        let end = ends.entry(path).or_default();
        assert_eq!(*end, range.start, "each batch begins where the one before ended");
        *end = range.end;
    }
    for (path, end) in &ends {
        assert_eq!(*end, fs::metadata(path).unwrap().len(), "{path}");
    }
    let unfinished = "unfinished".len() as u64;
    let expected = ends.into_iter().map(|(path, end)| {
        let taken_at_the_drain = if path.ends_with("b.log") { unfinished } else { 0 };
        (path, end - taken_at_the_drain)
    });
    assert_eq!(seen, expected.collect());
}

#[test]
fn an_event_has_the_same_id_text_and_time_in_the_journal_and_in_the_archive() {
    let (site, _) = used();
    let installation = archived(&site.path("data/archive"))[0].event_id.installation;
    let mut expected = Vec::new();
    for (offset, time, batch) in batches(&site.data()) {
        for event in batch.events() {
            let id = EventId { installation, offset, line: event.line };
            expected.push((id, event.message.to_owned(), time, batch.stream.clone()));
        }
    }
    let found: Vec<_> = archived(&site.path("data/archive"))
        .into_iter()
        .map(|event| (event.event_id, event.message, event.ingestion_time, event.stream))
        .collect();
    assert_eq!(found.len(), 34);
    assert_eq!(found, expected);
}

#[test]
fn plans_ticks_and_archive_plans_are_entries_and_one_start_gives_one_plan() {
    let (site, _) = used();
    let records = records(&site.data());
    let count = |name: &str| records.iter().filter(|record| record.entry.kind_name() == name).count();
    assert_eq!(count("plan"), 1, "the second start found the same plan in force");
    assert!(count("tick") >= 1);
    assert_eq!((count("archive plan"), count("archive done")), (2, 2));
    let mut planned = None;
    for record in &records {
        match &record.entry {
            Entry::ArchivePlan(plan) => planned = Some(*plan),
            Entry::ArchiveDone(done) => {
                assert_eq!(Some(done.plan), planned.take(), "planned before it is done");
            }
            _ => {}
        }
    }
}
