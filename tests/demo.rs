//! The demo from outside, as a newcomer runs it.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Runs `watchbell demo --once` with its temporary folder in `temporary`.
fn demo(temporary: &TempDir, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchbell"));
    command.args(["demo", "--once"]).args(more).env("TMPDIR", temporary.path());
    command.output().unwrap()
}

fn is_empty(folder: &TempDir) -> bool {
    folder.path().read_dir().unwrap().next().is_none()
}

#[test]
fn the_demo_tells_its_story_and_its_account_adds_up() {
    let temporary = tempfile::tempdir().unwrap();
    let output = demo(&temporary, &[]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));

    let account = told.lines().find_map(|line| line.trim().strip_prefix("lines        written ")).unwrap();
    let counts: Vec<u64> = account.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(counts.len() == 3 && counts[0] > 500 && counts.iter().all(|it| *it == counts[0]), "{account}");
    assert!(told.contains("each line once, word for word"), "{told}");

    let acts =
        ["What flows", "Something goes wrong", "The message a person gets", "It is repaired", "How fast"];
    let at =
        acts.map(|act| told.find(&format!("\n{act}\n")).unwrap_or_else(|| panic!("no {act:?} in {told}")));
    assert!(at.is_sorted(), "{told}");
    for alarm in ["http-5xx", "app-errors", "failed-logins"] {
        for state in ["ALARM", "OK   "] {
            let line = format!("  {state}  {alarm} ");
            assert_eq!(told.lines().filter(|it| it.starts_with(&line)).count(), 1, "{line:?} in {told}");
        }
    }
    assert!(!told.contains('\x1b'), "a pipe gets no colours: {told:?}");
    let widest = told.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(100), "{widest:?} columns in {told}");
    assert!(is_empty(&temporary), "a demo that went well leaves nothing behind");
}

#[test]
fn the_demo_for_programs_is_one_object_in_a_folder_that_is_kept() {
    let (temporary, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let output = demo(&temporary, &["--format", "json", "--dir", kept.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["lines"]["written"], report["lines"]["archived"]);
    assert_eq!(report["lines"]["each_once"], true);
    assert_eq!(report["trail"]["holds"], true);
    assert_eq!(report["latency_ms"]["firings"], 100);
    assert!(is_empty(&temporary) && kept.path().join("watchbell.toml").is_file());
}

#[test]
fn a_line_that_was_never_journaled_is_found_by_the_account() {
    let kept = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchbell"));
    command.arg("demo").arg("--dir").arg(kept.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut demo = command.spawn().unwrap();
    let mut told = BufReader::new(demo.stdout.take().unwrap()).lines();
    assert!(told.any(|line| line.unwrap().contains("Ctrl-C ends it")), "it ended before its end");
    std::fs::write(kept.path().join("logs/unwatched.log"), "nobody follows this file\n").unwrap();
    kill_process(Pid::from_raw(demo.id().cast_signed()).unwrap(), Signal::INT).unwrap();
    let account = told.map(Result::unwrap).find(|line| line.starts_with("  lines        written ")).unwrap();
    let mut stderr = String::new();
    demo.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(demo.wait().unwrap().code(), Some(1), "{stderr}");
    assert!(account.contains(" \u{2260} journaled "), "{account}");
    assert!(stderr.starts_with("error: the account does not balance: lines written "), "{stderr}");
}
