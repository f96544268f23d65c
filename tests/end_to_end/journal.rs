//! `watchbell journal`: whole or not, what is in it, and its entries.

use std::fs;
use std::os::unix::fs::FileExt;

use serde_json::Value;

use crate::support::http::post;
use crate::support::process::{Up, run, said};
use crate::support::site::Site;

fn used() -> Site {
    let site = Site::new("[log_groups.\"shop/app\"]\n");
    let up = Up::start(&site);
    assert_eq!(post(up.address, "shop/app", &[], b"first \x1b[31m\nsecond\n").status, 200);
    up.stop();
    site
}

fn objects(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn check_says_whole_and_names_file_and_byte_of_damage() {
    let site = used();
    let (code, stdout, stderr) = said(&run(&site, &["journal", "check"]));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.starts_with("whole: entries 0.."), "{stdout}");

    let segment = site.data().join("journal/00000000000000000000.segment");
    let before = fs::read(&segment).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.write_all_at(b"X", 64 + 56 + 3).unwrap();
    let (code, stdout, stderr) = said(&run(&site, &["journal", "check"]));
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("00000000000000000000.segment\" is damaged at byte 64"), "{stderr}");
    let (code, stdout, _) = said(&run(&site, &["journal", "check", "--format", "json"]));
    let answer = &objects(&stdout)[0];
    assert_eq!((code, &answer["whole"], &answer["next"]), (Some(1), &false.into(), &0.into()));

    // Whole frames that hold what no entry is are found too.
    file.write_all_at(&before, 0).unwrap();
    let (code, ..) = said(&run(&site, &["journal", "check"]));
    assert_eq!(code, Some(0));
    let (code, _, stderr) = said(&run(&site, &["journal", "check", "--data-dir", "nowhere"]));
    assert_eq!(code, Some(74), "{stderr}");
}

#[test]
fn stat_counts_each_kind_and_names_each_file() {
    let site = used();
    let (code, stdout, _) = said(&run(&site, &["journal", "stat", "--format", "json"]));
    let stat = &objects(&stdout)[0];
    assert_eq!((code, &stat["first"], &stat["kinds"]["batch"]["entries"]), (Some(0), &0.into(), &1.into()));
    let entries: u64 =
        stat["kinds"].as_object().unwrap().values().map(|kind| kind["entries"].as_u64().unwrap()).sum();
    assert_eq!(stat["next"], entries);
    assert!(stat["files"]["00000000000000000000.segment"].as_u64().unwrap() > 64);
    assert_eq!(stat["files"]["reserve"], 32 << 20);
    let (code, stdout, _) = said(&run(&site, &["journal", "stat"]));
    assert_eq!(code, Some(0));
    assert!(stdout.contains(" batch ") && stdout.contains("reserve"), "{stdout}");
}

#[test]
fn dump_prints_the_entries_that_are_asked_for() {
    let site = used();
    let (code, all, _) = said(&run(&site, &["journal", "dump", "--format", "json"]));
    let all = objects(&all);
    assert_eq!(code, Some(0));
    assert!(all.iter().enumerate().all(|(offset, it)| it["offset"] == offset));
    let (_, batches, _) = said(&run(&site, &["journal", "dump", "--kind", "batch", "--format", "json"]));
    let batches = objects(&batches);
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0]["entry"]["events"][0]["message"], "first \u{1b}[31m");
    let (_, two, _) = said(&run(&site, &["journal", "dump", "--from", "1", "--count", "2"]));
    assert_eq!(two.lines().count(), 2);
    assert!(two.trim_start().starts_with("1 "), "{two}");
    assert!(!two.contains('\u{1b}'));
    let (code, _, stderr) = said(&run(&site, &["journal", "dump", "--from", "100000"]));
    assert_eq!(code, Some(74), "{stderr}");
}
