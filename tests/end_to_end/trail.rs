//! `watchbell trail`: read, verified, and tampering found.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use watchbell_journal::{Journal, NewEntry, Options, RealDisk};
use watchbell_model::{Entry, InstallationId};

use crate::support::http::post;
use crate::support::process::{Up, run, said};
use crate::support::records::{frames, record, trail};
use crate::support::site::Site;

fn used() -> Site {
    let site = Site::new("[log_groups.\"shop/app\"]\n");
    let up = Up::start(&site);
    assert_eq!(post(up.address, "shop/app", &[], b"line\n").status, 200);
    up.stop();
    site
}

/// Writes the journal again, with right checksums, after `change` has had its way with each entry.
fn rewritten(site: &Site, to: &Path, change: impl Fn(&mut Entry) -> bool) {
    let identity = fs::read(site.data().join("installation.json")).unwrap();
    let identity: Value = serde_json::from_slice(&identity).unwrap();
    let installation: InstallationId = identity["installation"].as_str().unwrap().parse().unwrap();
    let folder = to.join("journal");
    fs::create_dir_all(to).unwrap();
    let (mut journal, _) = Journal::open(Arc::new(RealDisk), &folder, Options::new(installation.0)).unwrap();
    for frame in frames(&site.data()) {
        let mut entry = record(&frame).entry;
        if change(&mut entry) {
            let payload = entry.encode();
            let (kind, flags, time_ms) = (frame.kind, frame.flags, frame.time_ms);
            journal.append_batch(&[NewEntry { kind, flags, time_ms, payload: &payload, rest: &[] }]).unwrap();
        }
    }
}

#[test]
fn ls_prints_every_record_as_text_and_as_json() {
    let site = used();
    let expected = trail(&site.data());
    let (code, text, _) = said(&run(&site, &["trail", "ls"]));
    assert_eq!(code, Some(0));
    assert_eq!(text.lines().count(), expected.len());
    for word in ["watchbell.start", "configuration.load", "archive.write", "watchbell.stop"] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
    let (code, json, _) = said(&run(&site, &["trail", "ls", "--format", "json"]));
    assert_eq!(code, Some(0));
    let found: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected: Vec<Value> = expected.iter().map(|record| serde_json::to_value(record).unwrap()).collect();
    assert_eq!(found, expected);
}

#[test]
fn verify_holds_while_watchbell_runs_and_after_it() {
    let site = used();
    let up = Up::start(&site);
    assert_eq!(run(&site, &["trail", "verify"]).status.code(), Some(0));
    up.kill();
    let (code, json, _) = said(&run(&site, &["--format", "json", "trail", "verify"]));
    let answer: Value = serde_json::from_str(&json).unwrap();
    let last = trail(&site.data()).pop().unwrap();
    assert_eq!((code, &answer["holds"]), (Some(0), &true.into()));
    assert_eq!((&answer["records"], &answer["last_hash"]), (&(last.number + 1).into(), &last.hash.into()));
}

#[test]
fn verify_finds_a_record_that_was_changed_and_one_that_was_removed() {
    let site = used();
    let is_load =
        |entry: &Entry| matches!(entry, Entry::Trail(record) if record.action == "configuration.load");
    let changed = site.path("changed");
    rewritten(&site, &changed, |entry| {
        if let Entry::Trail(record) = entry
            && record.action == "configuration.load"
        {
            record.resource = "harmless.toml".into();
        }
        true
    });
    let removed = site.path("removed");
    rewritten(&site, &removed, |entry| !is_load(entry));
    let untouched = site.path("untouched");
    rewritten(&site, &untouched, |_| true);
    for (folder, code) in [(&changed, 1), (&removed, 1), (&untouched, 0)] {
        let folder = folder.to_str().unwrap();
        let output = run(&site, &["trail", "verify", "--data-dir", folder]);
        assert_eq!(output.status.code(), Some(code), "{folder}: {output:?}");
        let (_, json, _) = said(&run(&site, &["trail", "verify", "--format", "json", "--data-dir", folder]));
        let answer: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&answer["holds"], answer["problem"].is_null()), (&(code == 0).into(), code == 0));
    }
}

#[test]
fn a_folder_without_a_journal_is_an_io_error() {
    let site = Site::new("[log_groups.\"shop/app\"]\n");
    for verb in ["ls", "verify"] {
        let (code, stdout, stderr) = said(&run(&site, &["trail", verb]));
        assert_eq!((code, stdout.as_str()), (Some(74), ""));
        assert!(stderr.contains("has no journal") && stderr.contains("help: "), "{stderr}");
    }
}
