//! `watchbell queue`: the same from the command line.

use serde_json::Value;

use crate::support::http::post;
use crate::support::process::{Up, run, said};
use crate::support::site::Site;

const QUEUE: &str =
    "[log_groups.\"shop/app\"]\n[queues.events]\nlog_groups = [\"shop/*\"]\nmax_receives = 1\n";

/// What `watchbell queue …` says, and how it ends.
fn queue(site: &Site, up: &Up, arguments: &[&str]) -> (Option<i32>, String, String) {
    let address = up.address.to_string();
    said(&run(site, &[&["queue"], arguments, &["--address", &address]].concat()))
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn messages_are_received_deleted_looked_at_when_dead_and_redriven() {
    let site = Site::new(QUEUE);
    let up = Up::start(&site);
    for line in ["one\n", "two \u{1b}[2J\n"] {
        assert_eq!(post(up.address, "shop/app", &[], line.as_bytes()).status, 200);
    }
    let (code, stdout, _) =
        queue(&site, &up, &["receive", "events", "--max", "1", "--wait", "20s", "--format", "json"]);
    let messages = json_lines(&stdout);
    assert_eq!((code, messages.len(), &messages[0]["events"][0]["message"]), (Some(0), 1, &"one".into()));
    let receipt = messages[0]["receipt"].as_str().unwrap();
    assert_eq!(queue(&site, &up, &["delete", "events", receipt]).1, "1 deleted\n");

    let (_, stdout, _) = queue(&site, &up, &["receive", "events", "--visibility-timeout", "0s"]);
    assert!(stdout.contains("received 1") && stdout.contains("shop/app  two "), "{stdout}");
    assert!(!stdout.contains('\u{1b}'), "{stdout:?}");
    assert_eq!(queue(&site, &up, &["receive", "events"]), (Some(0), String::new(), String::new()));
    let (_, stdout, _) = queue(&site, &up, &["dead", "events", "--format", "json"]);
    let dead = json_lines(&stdout);
    assert_eq!((dead.len(), &dead[0]["reason"]), (1, &"received once and never deleted".into()));
    let (_, table, _) = queue(&site, &up, &["ls"]);
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((lines[0][0], lines[1][0]), ("QUEUE", "events"), "{table}");
    assert!(lines[1].ends_with(&["1", "2", "1", "0"]), "dead, received, deleted, expired: {table}");
    let id = dead[0]["id"].as_str().unwrap();
    assert_eq!(queue(&site, &up, &["redrive", "events", id]).1, "1 redriven\n");
    assert_eq!(queue(&site, &up, &["redrive", "events", "--all"]).1, "0 redriven\n");
    assert_eq!(queue(&site, &up, &["dead", "events"]).1, "");
    up.stop();
}

#[test]
fn what_is_refused_says_why_and_ends_with_its_code() {
    let site = Site::new(QUEUE);
    let up = Up::start(&site);
    for (arguments, code, words) in [
        (&["receive", "event"][..], 2, &["no queue \"event\"", "did you mean \"events\"?"][..]),
        (&["dead", "a/b"], 2, &["no queue"]),
        (&["delete", "events", "x"], 1, &["no receipt handle", "help: "]),
        (&["redrive", "events", "x"], 1, &["not among the dead letters"]),
        (&["redrive", "events"], 2, &["<IDS>"]),
        (&["receive", "events", "--wait", "21s"], 2, &["wait_s cannot be 21"]),
        (&["receive", "events", "--wait", "soon"], 2, &["does not start with a whole number"]),
    ] {
        let (ended, stdout, stderr) = queue(&site, &up, arguments);
        assert_eq!((ended, stdout.as_str()), (Some(code), ""), "{arguments:?}: {stderr}");
        assert!(words.iter().all(|word| stderr.contains(word)), "{arguments:?}: {stderr}");
    }
    up.stop();
    let nobody = said(&run(&site, &["queue", "ls", "--address", "127.0.0.1:1"]));
    assert!(nobody.0 == Some(69) && nobody.2.contains("is watchbell up running?"), "{nobody:?}");
}
