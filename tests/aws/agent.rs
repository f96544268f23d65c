//! `watchbell agent --to cloudwatch` against the emulator, read back with another client.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::emulator::{Emulator, REGION, emulator};

const GROUP: &str = "agent/auth";

/// How often it is looked, and how often at most.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS_MAX: usize = 2400;

fn start(folder: &TempDir) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchbell"));
    command.args(["agent", "--to", "cloudwatch"]).current_dir(folder.path());
    command.env("AWS_EC2_METADATA_DISABLED", "true").stdin(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// The messages of the group.
fn messages(emulator: &Emulator) -> Vec<String> {
    let streams = emulator.ask("logs", "describe_log_streams", &json!({ "logGroupName": GROUP }));
    let streams: Vec<&Value> = streams["logStreams"].as_array().unwrap().iter().collect();
    let mut messages = Vec::new();
    for stream in streams {
        let mut arguments = json!({
            "logGroupName": GROUP, "logStreamName": stream["logStreamName"], "startFromHead": true
        });
        loop {
            let page = emulator.ask("logs", "get_log_events", &arguments);
            let events = page["events"].as_array().unwrap();
            messages.extend(events.iter().map(|event| event["message"].as_str().unwrap().to_owned()));
            if events.is_empty() || page["nextForwardToken"] == arguments["nextToken"] {
                break;
            }
            arguments["nextToken"] = page["nextForwardToken"].clone();
        }
    }
    messages
}

fn wait_for(emulator: &Emulator, holds: impl Fn(&[String]) -> bool) -> Vec<String> {
    for _ in 0..LOOKS_MAX {
        let found = messages(emulator);
        if holds(&found) {
            return found;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    panic!("never happened, and {} lines are there", messages(emulator).len());
}

/// Lines as a login daemon writes them; many within one second.
fn lines(numbers: std::ops::Range<usize>) -> String {
    let line = |number: usize| {
        let (pid, user, port) = (20_000 + number / 4, number % 7, 30_000 + number);
        format!("sshd[{pid}]: Failed password for invalid user u{user} from 192.0.2.7 port {port} ssh2\n")
    };
    numbers.map(line).collect()
}

#[test]
fn every_line_of_a_log_is_in_its_group_once_after_a_kill_in_the_middle() {
    let emulator = emulator();
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "version = 1\ndata_dir = \"data\"\n[log_groups.\"{GROUP}\"]\nfiles = [\"auth.log\"]\n\
         [aws]\nname = \"agent\"\nregion = \"{REGION}\"\nendpoint = \"{}\"\n",
        emulator.endpoint
    );
    fs::write(folder.path().join("watchbell.toml"), text).unwrap();
    emulator.ask("logs", "create_log_group", &json!({ "logGroupName": GROUP }));
    let whole = lines(0..2000);
    fs::write(folder.path().join("auth.log"), lines(0..900)).unwrap();
    let mut agent = start(&folder);
    wait_for(emulator, |found| !found.is_empty());
    // The rest comes while it dies.
    let mut file = OpenOptions::new().append(true).open(folder.path().join("auth.log")).unwrap();
    file.write_all(&whole.as_bytes()[lines(0..900).len()..]).unwrap();
    agent.kill().unwrap();
    agent.wait().unwrap();
    let mut agent = start(&folder);
    let mut found = wait_for(emulator, |found| found.len() >= 2000);
    agent.kill().unwrap();
    agent.wait().unwrap();
    let mut expected: Vec<&str> = whole.lines().collect();
    found.sort();
    expected.sort_unstable();
    assert_eq!(found, expected);
}
