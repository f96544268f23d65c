//! Events of several lines: whole or not at all, through pieces, kills and rotation, and the same in a replay.

use serde_json::Value;
use watchbell_model::{EventFlags, Source};

use crate::support::eventually;
use crate::support::http::post;
use crate::support::input::pieces;
use crate::support::process::{Up, run, said};
use crate::support::records::{archived, batches, messages};
use crate::support::site::{Site, append};

const GROUP: &str =
    "[log_groups.app]\nfiles = [\"app.log\"]\nmultiline = { preset = \"java\", timeout = \"60s\" }\n";

/// What a shop in Java might write: every third event has a trace.
fn events(numbers: std::ops::Range<usize>) -> Vec<String> {
    let event = |number: usize| {
        let (minute, second) = (number / 60 % 60, number % 60);
        let head = format!("2026-11-22 06:{minute:02}:{second:02},125");
        match number % 3 {
            0 => format!(
                "{head} ERROR [main] shop.Cart - cannot pay {number}\njava.lang.IllegalStateException: no bank\n\tat shop.Cart.pay(Cart.java:{number})\nCaused by: java.io.IOException: {number}\n\t... 12 more"
            ),
            _ => format!("{head} INFO  [main] shop.Cart - {number} items"),
        }
    };
    numbers.map(event).collect()
}

#[test]
fn events_of_several_lines_come_whole_and_once_through_pieces_kills_and_rotation() {
    let site = Site::new(GROUP);
    let events = events(0..900);
    let log = site.path("app.log");
    append(&log, b"2026-11-22 05:00:00,000 INFO  first\n");
    let mut up = Some(Up::start(&site));
    for (number, part) in events.chunks(300).enumerate() {
        let bytes = (part.join("\n") + "\n").into_bytes();
        let pieces = pieces(&bytes, 300);
        std::thread::scope(|scope| {
            scope.spawn(|| pieces.iter().for_each(|piece| append(&log, piece)));
            up.take().unwrap().kill();
            up = Some(Up::start(&site));
        });
        if number < 2 {
            // What stands at the end of the old file waits for more until the timeout; it ends with the process.
            up.take().unwrap().stop();
            site.rename("app.log", &format!("app.log.{}", 9 - number));
            append(&log, b"");
            up = Some(Up::start(&site));
        }
    }
    up.unwrap().stop();
    let mut expected = vec!["2026-11-22 05:00:00,000 INFO  first".to_owned()];
    expected.extend(events);
    let mut found = messages(&site.data());
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    // The position is never inside an event: each batch begins where one does.
    for (_, _, batch) in batches(&site.data()).iter().filter(|(_, _, batch)| !batch.is_empty()) {
        let Source::File { range, .. } = &batch.source else { panic!("{batch:?}") };
        let text_bytes: u64 = batch.message_bytes() + batch.len() as u64;
        assert_eq!(range.end - range.start, text_bytes);
        assert!(
            batch
                .events()
                .all(|event| event.message.starts_with("2026-") && event.flags == EventFlags::default())
        );
    }
}

#[test]
fn the_last_event_is_taken_after_its_timeout_and_what_comes_later_is_flagged() {
    let site = Site::new(&GROUP.replace("60s", "100ms"));
    site.append("app.log", "INFO first\n");
    let up = Up::start(&site);
    up.wait_for_events("app", 1);
    site.append("app.log", "ERROR it broke\njava.lang.Error: x\n\tat a.B.c(B.java:1)\n");
    up.wait_for_events("app", 2);
    site.append("app.log", "\tat a.B.d(B.java:2)\n");
    up.wait_for_events("app", 3);
    up.stop();
    let events = archived(&site.path("data/archive"));
    let mut seen: Vec<_> = events.iter().map(|event| (event.message.as_str(), event.flags)).collect();
    seen.sort_by_key(|(message, _)| *message);
    assert_eq!(
        seen,
        [
            ("\tat a.B.d(B.java:2)", EventFlags::CONTINUED),
            ("ERROR it broke\njava.lang.Error: x\n\tat a.B.c(B.java:1)", EventFlags::default()),
            ("INFO first", EventFlags::default()),
        ]
    );
}

#[test]
fn a_replay_puts_lines_together_as_up_does() {
    let rules = "timestamp = { format = \"%Y-%m-%d %H:%M:%S\" }\n\
                 [metric_filters.broken]\nlog_group = \"app\"\npattern = '\"cannot pay\" \"Caused by: java.io.IOException\"'\n\
                 metric = { namespace = \"Shop\", name = \"Broken\" }\n[topics.ops]\nconsole = {}\n\
                 [alarms.broken]\nmetric_filter = \"broken\"\nperiod = \"60s\"\ncondition = \">= 20\"\n\
                 missing_data = \"not_breaching\"\nnotify = [\"ops\"]\n";
    let site = Site::new(&format!("{GROUP}{rules}"));
    site.write("app.log", events(0..90).join("\n") + "\n");
    let (code, stdout, stderr) = said(&run(&site, &["replay", "--format", "json"]));
    assert_eq!(code, Some(0), "{stderr}");
    let alarms = stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    assert!(
        alarms.map(|it| it.to_string()).any(|it| it.contains("\"ALARM\"") && it.contains("broken")),
        "{stdout}"
    );
    let up = Up::start(&site);
    eventually("the first events are in", || !batches(&site.data()).is_empty());
    up.stop();
    assert_eq!(messages(&site.data()), events(0..90));
}

#[test]
fn lines_of_one_request_are_put_together() {
    let site = Site::new(GROUP);
    let up = Up::start(&site);
    let text = events(0..300).join("\n");
    assert_eq!(post(up.address, "app", &[], text.as_bytes()).json()["events"], 300);
    let json = [("Content-Type", "application/x-ndjson")];
    assert_eq!(post(up.address, "app", &json, b"{}\n  {}\n").json()["events"], 2);
    up.stop();
    assert_eq!(messages(&site.data())[..300], events(0..300));
}
