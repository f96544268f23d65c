//! `watchbell tail`: lines of a running or stopped `watchbell up`, read from its journal alone.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::process::{Up, run, said, watchbell};
use crate::support::site::Site;
use crate::support::{eventually, eventually_some};

const GROUPS: &str = "[log_groups.\"shop/app\"]\nfiles = [\"app.log\"]\nparse = \"json\"\n\
                      [log_groups.\"shop/auth\"]\nfiles = [\"auth.log\"]\n";

const APP: &str =
    "{\"level\":\"error\",\"ts\":1795381912,\"n\":1}\n{\"level\":\"info\",\"ts\":1795381913,\"n\":2}\n";

/// A site whose journal has two lines of one group and two of another.
fn filled() -> (Site, Up) {
    let site = Site::new(GROUPS);
    site.write("app.log", APP);
    site.write("auth.log", "Failed password for root\nfine \x1b[31m line\n");
    let up = Up::start(&site);
    up.wait_for_events("shop/app", 2);
    up.wait_for_events("shop/auth", 2);
    (site, up)
}

/// A `watchbell tail` that goes on, and the file that holds what it printed.
fn following(site: &Site, arguments: &[&str]) -> Child {
    let stdout = File::create(site.path("tail.txt")).unwrap();
    let arguments: Vec<&str> = ["tail"].into_iter().chain(arguments.iter().copied()).collect();
    watchbell(site, &arguments).stdout(stdout).spawn().unwrap()
}

fn printed(site: &Site) -> String {
    std::fs::read_to_string(site.path("tail.txt")).unwrap()
}

fn interrupt(child: &Child) {
    let kill = Command::new("sh").arg("-c").arg(format!("kill -INT {}", child.id())).status();
    assert!(kill.unwrap().success());
}

fn end_of(mut child: Child) -> Option<i32> {
    eventually_some("watchbell tail ends", || child.try_wait().unwrap()).code()
}

#[test]
fn tail_shows_what_a_stopped_one_has_by_pattern_and_group() {
    let (site, up) = filled();
    up.stop();
    let (code, stdout, stderr) = said(&run(&site, &["tail", "--no-follow", "--log-group", "shop/auth"]));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{stdout}");
    assert!(lines[0].ends_with("Z shop/auth auth.log  Failed password for root"), "{stdout}");
    assert!(lines[1].ends_with("fine \\u{1b}[31m line"), "what steers a terminal is written out: {stdout}");
    let (_, stdout, _) = said(&run(&site, &["tail", "--no-follow", "{ $.n = 2 }"]));
    assert_eq!(
        stdout,
        "2026-11-22T21:11:53.000Z shop/app app.log  {\"level\":\"info\",\"ts\":1795381913,\"n\":2}\n"
    );
    let (_, stdout, _) = said(&run(&site, &["tail", "--no-follow", "--since", "0s"]));
    assert_eq!(stdout, "", "nothing arrived since now");
    let (_, stdout, _) = said(&run(&site, &["tail", "--no-follow", "--since", "1h", "--data-dir", "data"]));
    assert_eq!(stdout.lines().count(), 4, "{stdout}");
}

#[test]
fn tail_as_json_names_each_event() {
    let (site, up) = filled();
    let output = run(&site, &["tail", "--no-follow", "--log-group", "shop/app", "--format", "json"]);
    let (code, stdout, _) = said(&output);
    assert_eq!(code, Some(0));
    let events: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 2, "{stdout}");
    let event = events[0].as_object().unwrap();
    let keys: Vec<&str> = event.keys().map(String::as_str).collect();
    let expected =
        ["event_id", "flags", "ingestion_time", "log_group", "message", "severity", "stream", "timestamp"];
    assert_eq!(keys, expected);
    assert_eq!(
        (&event["severity"], &event["timestamp"]),
        (&json!("error"), &json!("2026-11-22T21:11:52.000Z"))
    );
    assert!(event["event_id"].as_str().unwrap().ends_with("-000000"), "{stdout}");
    assert!(events[1]["event_id"].as_str().unwrap() > event["event_id"].as_str().unwrap(), "{stdout}");
    up.stop();
}

#[test]
fn tail_follows_and_ends_well_when_interrupted() {
    let (site, up) = filled();
    let child = following(&site, &["NEW"]);
    // Lines that arrive before it looks are not new: one after the other, until it shows one.
    let mut number = 0;
    eventually("a new line is shown", || {
        number += 1;
        site.append("auth.log", format!("NEW {number}\n"));
        printed(&site).contains("NEW ")
    });
    site.append("auth.log", "other\nNEW and last\n");
    eventually("the last line is shown", || printed(&site).ends_with("NEW and last\n"));
    let shown = printed(&site);
    assert!(!shown.contains("other") && !shown.contains("Failed"), "{shown}");
    // It goes on when `up` is started again.
    up.stop();
    let up = Up::start(&site);
    site.append("auth.log", "NEW life\n");
    eventually("a line of the next one is shown", || printed(&site).ends_with("NEW life\n"));
    interrupt(&child);
    assert_eq!(end_of(child), Some(0));
    up.stop();
}

#[test]
fn tail_ends_when_nobody_reads_it() {
    let (site, up) = filled();
    let mut child = watchbell(&site, &["tail"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(end_of(child), Some(0));
    up.stop();
}

#[test]
fn tail_refuses_what_cannot_be_meant() {
    let site = Site::new(GROUPS);
    let (code, _, stderr) = said(&run(&site, &["tail"]));
    assert_eq!(code, Some(74));
    assert!(stderr.contains("has no journal"), "{stderr}");
    Up::start(&site).stop();
    let (code, _, stderr) = said(&run(&site, &["tail", "--log-group", "shop/ap"]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("no log group is called \"shop/ap\"") && stderr.contains("shop/app"), "{stderr}");
    let (code, _, stderr) = said(&run(&site, &["tail", "ERR*"]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("is not allowed in an unquoted term"), "{stderr}");
    assert_eq!(run(&site, &["tail", "--since", "10"]).status.code(), Some(2));
}
