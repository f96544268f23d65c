//! `watchbell init`: what it writes is good, and nothing that was there is lost.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::process::{run, said, watchbell};
use crate::support::site::Site;

/// Logs of every kind in a folder without a file for them.
fn logs() -> Site {
    let site = Site::new("");
    std::fs::remove_file(site.config()).unwrap();
    std::fs::create_dir(site.path("logs")).unwrap();
    let sshd = |second| {
        format!("Nov 22 06:55:{second:02} shop sshd[7]: Failed password for root from 10.0.0.1 port 9 ssh2\n")
    };
    site.write("logs/auth.log", (0..12).map(sshd).collect::<String>());
    site.write(
        "logs/app.jsonl",
        "{\"level\":\"info\",\"ts\":1795381912}\n{\"level\":\"error\",\"ts\":1795381913}\n",
    );
    site.write(
        "logs/access.log",
        "::1 - - [17/May/2026:10:05:03 +0000] \"GET / HTTP/1.1\" 503 1 \"-\" \"x\"\n",
    );
    site.write("logs/jobs.log", "2026-11-22 18:01:47,978 ERROR [main] disk\n  at x.y(Z.java)\n");
    site.write("logs/jobs.log.1", "2026-11-21 18:01:47,978 INFO [main] fine\n");
    site.write("logs/old.log.gz", b"\x1f\x8b\x08\0");
    site.write("logs/.hidden", "2026-11-22 18:01:47 ERROR x\n");
    site.write("logs/README", "what these files are\n");
    site
}

fn in_zone(mut command: Command, zone: &str) -> Command {
    command.env("TZ", zone);
    command
}

#[test]
fn init_writes_a_good_file_and_says_what_it_saw() {
    let site = logs();
    let (code, stdout, stderr) = said(&in_zone(watchbell(&site, &["init", "logs"]), "UTC").output().unwrap());
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
    assert!(
        stderr.contains(
            "12 match, 12 with one ip in the busiest minute; the alarm would ring in 1 of 1 minute"
        ),
        "{stderr}"
    );
    assert!(stderr.contains("old.log.gz: left out, it is compressed"), "{stderr}");
    assert!(
        stderr.contains("README: left out, it does not look like a log") && !stderr.contains("hidden"),
        "{stderr}"
    );
    assert!(
        stderr.ends_with("watchbell.toml is written; watchbell replay shows what it would have done, watchbell up does it\n"),
        "{stderr}"
    );
    let (code, stdout, stderr) = said(&run(&site, &["check"]));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.contains("4 log groups, 4 metric filters, 4 alarms, 1 topic"), "{stdout}");
    let (code, stdout, stderr) = said(&run(&site, &["test"]));
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    assert!(stdout.contains("4 passed, 0 failed"), "{stdout}");
    let plan = site.plan();
    let globs: Vec<String> = plan.log_groups.values().map(|group| group.files.concat()).collect();
    let names = ["access.log", "app.jsonl", "auth.log", "jobs.log"];
    assert_eq!(globs, names.map(|name| site.path("logs").join(name).to_string_lossy().into_owned()));
}

#[test]
fn init_names_the_zone_of_the_machine() {
    let site = logs();
    let mut command =
        in_zone(watchbell(&site, &["init", "logs/auth.log", "logs/app.jsonl", "-o", "-"]), "Asia/Tokyo");
    let (code, stdout, stderr) = said(&command.output().unwrap());
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(stdout.matches("zone = \"Asia/Tokyo\"").count(), 1, "{stdout}");
    assert!(!site.config().exists());
}

#[test]
fn init_leaves_a_file_that_is_there_unless_forced() {
    let site = logs();
    site.write("watchbell.toml", "mine");
    let (code, stdout, stderr) = said(&run(&site, &["init", "logs"]));
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.contains("watchbell.toml is there already") && stderr.contains("--force"), "{stderr}");
    assert_eq!(std::fs::read_to_string(site.config()).unwrap(), "mine");
    assert_eq!(run(&site, &["init", "logs", "--output", "other.toml"]).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(site.config()).unwrap(), "mine");
    assert_eq!(run(&site, &["init", "logs", "--force"]).status.code(), Some(0));
    assert_eq!(run(&site, &["check"]).status.code(), Some(0));
}

#[test]
fn init_as_json_has_every_figure() {
    let site = logs();
    let output = run(&site, &["init", "logs/app.jsonl", "logs/old.log.gz", "-o", "-", "--format", "json"]);
    let (code, stdout, stderr) = said(&output);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert!(report["text"].as_str().unwrap().starts_with("# Made by"), "{report}");
    let group = &report["log_groups"][0];
    assert_eq!(
        (&group["parse"], &group["lines"], &group["lines_with_time"]),
        (&json!("json"), &json!(2), &json!(2))
    );
    let rule = &group["rules"][0];
    assert_eq!(rule["pattern"], "{ $.level = \"error\" }");
    assert_eq!((&rule["matching"], &rule["busiest_minute"]), (&json!(1), &json!(1)));
    assert_eq!(report["skipped"][0]["file"], "logs/old.log.gz");
}

#[test]
fn init_without_lines_writes_nothing() {
    let site = logs();
    let (code, _, stderr) = said(&run(&site, &["init", "logs/old.log.gz"]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("none of these files has lines"), "{stderr}");
    let (code, _, stderr) = said(&run(&site, &["init", "logs/missing.log"]));
    assert_eq!(code, Some(74));
    assert!(stderr.contains("logs/missing.log"), "{stderr}");
    assert_eq!(run(&site, &["init"]).status.code(), Some(2));
    assert!(!site.config().exists());
}
