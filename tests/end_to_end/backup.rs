//! `watchbell backup` and `watchbell restore`: whole or refused, also under load and across `kill -9`.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};
use watchbell::backup::{MANIFEST, restore, take};
use watchbell::run::Sizes;
use watchbell_journal::RealDisk;

use crate::support::eventually;
use crate::support::http::post;
use crate::support::process::{Up, run, said, watchbell};
use crate::support::records::archived;
use crate::support::running::{InProcess, START};
use crate::support::site::Site;

const GROUP: &str = "[log_groups.\"shop/app\"]\n";

fn line(number: usize) -> String {
    format!("number {number} {}", "x".repeat(2000))
}

/// A site with a line or two that was used and stopped.
fn used() -> Site {
    let site = Site::new(GROUP);
    let up = Up::start(&site);
    assert_eq!(post(up.address, "shop/app", &[], b"first\nsecond\n").status, 200);
    up.stop();
    site
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn backups_under_load_with_segments_going_hold_every_line_acknowledged_before() {
    let site = Site::new(GROUP);
    let mut plan = site.plan();
    plan.journal.max_size_bytes = 512 << 10;
    let sizes = Sizes { segment_bytes_max: 32 << 10, snapshot_every_bytes: 32 << 10 };
    let running = InProcess::start_with(&plan, START, Arc::new(RealDisk), sizes);
    let (acknowledged, enough) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !enough.load(Ordering::SeqCst) {
                let number = acknowledged.load(Ordering::SeqCst);
                let answer =
                    post(running.address(), "shop/app", &[], format!("{}\n", line(number)).as_bytes());
                assert!([200, 507].contains(&answer.status), "{}", answer.body);
                acknowledged.fetch_add(usize::from(answer.status == 200), Ordering::SeqCst);
            }
        });
        eventually("the oldest part of the journal has gone", || {
            running.look(|fold| fold.released.before.0 > 0)
        });
        for round in 0..3 {
            let released = running.look(|fold| fold.released.before);
            let before = acknowledged.load(Ordering::SeqCst);
            let copy = site.path(&format!("copy-{round}"));
            let manifest = take(&site.data(), &copy, START).unwrap_or_else(|failure| panic!("{failure}"));
            assert!(manifest.first >= released && manifest.first.0 > 0);
            check_restored(&copy, before, &sizes);
            eventually("more of it has gone", || running.look(|fold| fold.released.before > released));
        }
        enough.store(true, Ordering::SeqCst);
    });
    running.drain();
}

/// Restores the copy, runs it, and looks for each of the first `lines` lines, once.
fn check_restored(copy: &Path, lines: usize, sizes: &Sizes) {
    let site = Site::new(GROUP);
    restore(copy, &site.data()).unwrap_or_else(|failure| panic!("{failure}"));
    let running = InProcess::start_with(&site.plan(), START, Arc::new(RealDisk), *sizes);
    running.drain();
    let found: Vec<String> = archived(&site.data().join("archive"))
        .into_iter()
        .filter(|event| event.log_group == "shop/app")
        .map(|event| event.message)
        .collect();
    assert!(found.len() >= lines, "{} of {lines} lines", found.len());
    assert_eq!(found, (0..found.len()).map(line).collect::<Vec<_>>(), "each once, in order");
    let (code, stdout, stderr) = said(&run(&site, &["trail", "verify"]));
    assert_eq!(code, Some(0), "{stdout}{stderr}");
}

#[test]
fn a_backup_of_a_running_watchbell_says_what_it_has_and_starts_elsewhere() {
    let site = used();
    let up = Up::start(&site);
    assert_eq!(post(up.address, "shop/app", &[], b"third\n").status, 200);
    let copy = site.path("copy");
    let (code, stdout, stderr) = said(&run(&site, &["backup", text(&copy), "--format", "json"]));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let told: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&told["first"], &told["verified"]), (&json!(0), &json!(true)), "{told}");
    assert!(told["objects"].as_u64() > Some(0), "{told}");
    up.stop();

    let elsewhere = Site::new(GROUP);
    let (code, stdout, stderr) = said(&run(&elsewhere, &["restore", text(&copy)]));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("restored to") && stdout.contains("all verified"), "{stdout}");
    let up = Up::start(&elsewhere);
    up.wait_for_events("shop/app", 3);
    up.stop();
    let (code, shown, _) = said(&run(&elsewhere, &["tail", "--no-follow"]));
    assert_eq!((code, shown.lines().count()), (Some(0), 3), "{shown}");
}

#[test]
fn what_a_kill_9_leaves_of_a_backup_is_refused() {
    let site = used();
    // Large enough that the copy takes longer than a look.
    File::create(site.data().join("archive/large.parquet")).unwrap().set_len(512 << 20).unwrap();
    let copy = site.path("copy");
    let mut child = watchbell(&site, &["backup", text(&copy)]).spawn().unwrap();
    eventually("the copy is begun", || copy.join("archive").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!copy.join(MANIFEST).exists(), "it was done before it was killed");
    let target = site.path("restored");
    let (code, _, stderr) = said(&run(&site, &["restore", text(&copy), "--data-dir", text(&target)]));
    assert_eq!(code, Some(78), "{stderr}");
    assert!(stderr.contains("is no finished backup") && stderr.contains("help: "), "{stderr}");
    assert!(!target.exists());
}

#[test]
fn a_restore_touches_no_folder_with_something_in_it_and_takes_no_damaged_copy() {
    let site = used();
    let (copy, target) = (site.path("copy"), site.path("restored"));
    assert_eq!(run(&site, &["backup", text(&copy)]).status.code(), Some(0));
    let (code, _, stderr) = said(&run(&site, &["backup", text(&copy)]));
    assert_eq!(code, Some(74), "{stderr}");
    assert!(stderr.contains("is not empty"), "{stderr}");
    let before = fs::read(site.data().join("installation.json")).unwrap();
    let (code, _, stderr) = said(&run(&site, &["restore", text(&copy)]));
    assert_eq!(code, Some(74), "{stderr}");
    assert!(stderr.contains("is not empty"), "{stderr}");
    assert_eq!(fs::read(site.data().join("installation.json")).unwrap(), before);

    let segment = copy.join("journal/00000000000000000000.segment");
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let restored = |from: &Path| said(&run(&site, &["restore", text(from), "--data-dir", text(&target)]));
    let (code, _, stderr) = restored(&copy);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("00000000000000000000.segment: it is not as it was"), "{stderr}");
    assert!(fs::read_dir(&target).unwrap().next().is_none(), "nothing is restored");
    bytes[middle] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    assert_eq!(restored(&copy).0, Some(0));
    let (code, _, stderr) = restored(&site.data());
    assert_eq!(code, Some(78), "a data folder is no backup: {stderr}");
}
