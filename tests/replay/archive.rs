//! Replays of the archive.

use std::path::Path;

use tokio::runtime::Builder;
use watchbell_archive::{Collector, Row, open_folder, put};
use watchbell_model::{EventFlags, EventId, InstallationId, Offset, Plan, Timestamp};
use watchbell_parse::Timestamps;

use crate::support::folder::Folder;
use crate::support::logs::{at, json_line};

const PLAN: &str = r#"
[log_groups."shop/app"]
files = ["app.jsonl"]
parse = "json"
[metric_filters.errors]
log_group = "shop/app"
pattern = '{ $.level = "error" }'
metric = { namespace = "Shop", name = "Errors" }
[alarms.errors]
metric_filter = "errors"
period = "60s"
condition = ">= 3"
datapoints = "2 of 3"
missing_data = "not_breaching"
"#;

/// Puts `lines` into an archive as `watchbell up` would, in objects of `per_object` lines of each severity.
fn archive(folder: &Path, plan: &Plan, lines: &[String], per_object: usize) {
    let store = open_folder(folder).unwrap();
    let (name, group) = plan.log_groups.first_key_value().unwrap();
    let timestamps = Timestamps::new(group.parse, &group.timestamp).unwrap();
    let runtime = Builder::new_current_thread().build().unwrap();
    for (offset, lines) in (0..).zip(lines.chunks(per_object)) {
        let mut collector = Collector::default();
        for (line, text) in (0..).zip(lines) {
            let parsed = watchbell_parse::parse(group.parse, text);
            let row = Row {
                event_id: EventId { installation: InstallationId([7; 8]), offset: Offset(offset), line },
                timestamp: timestamps.of(text, Timestamp(0)).unwrap(),
                // All of it was read at once, much later: only when it happened counts.
                ingestion_time: Timestamp(4_000_000_000_000),
                log_group: name.as_str(),
                stream: "app.jsonl",
                app: "shop",
                severity: parsed.severity,
                message: text,
                fields: parsed.fields.as_deref(),
                flags: EventFlags::default(),
            };
            collector.push(&row).unwrap();
        }
        runtime.block_on(put(&store, collector.finish().unwrap())).unwrap();
    }
}

/// Two days of lines, errors among them in bursts, some of them a few seconds out of order.
fn lines() -> Vec<String> {
    let line = |number: i64| {
        let burst = number % 500 < 40;
        let jitter_s = number * 7919 % 5;
        json_line(
            at(number * 17 - jitter_s),
            if burst { "error" } else { "info" },
            &format!("number {number}"),
        )
    };
    (1..10_000).map(line).map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn the_archive_gives_the_same_timeline_as_the_files() {
    let folder = Folder::new(PLAN);
    let mut sorted = lines();
    archive(&folder.file("archive"), &folder.plan(), &sorted, 700);
    // The archive is replayed in the order in which events happened.
    sorted.sort();
    folder.write("app.jsonl", sorted.join("\n"));
    let from_files = folder.json(&["replay", "--all"], 0);
    let mut from_archive = folder.json(&["replay", "--all", "--archive", "archive"], 0);
    assert!(from_files["alarms"][0]["episodes"].as_array().unwrap().len() > 10, "{from_files}");
    for change in from_archive["changes"].as_array_mut().unwrap() {
        if let Some(line) = change.get_mut("first_line") {
            line["log_stream"] = folder.file("app.jsonl").to_str().unwrap().into();
        }
    }
    assert_eq!(from_archive["changes"], from_files["changes"]);
    assert_eq!(from_archive["lines"], from_files["lines"]);
}

#[test]
fn since_and_until_choose_days_of_the_archive() {
    let folder = Folder::new(PLAN);
    archive(&folder.file("archive"), &folder.plan(), &lines(), 700);
    let second_day = folder
        .json(&["replay", "--archive", "archive", "--since", "2026-11-23", "--until", "2026-11-23T00:10"], 0);
    let expected = lines()
        .iter()
        .filter(|line| ("2026-11-23T00:00".."2026-11-23T00:10").contains(&&line[9..25]))
        .count();
    assert!(expected > 20);
    assert_eq!(second_day["lines"], expected);
}

#[test]
fn a_folder_that_is_no_archive_is_an_error_and_is_not_made() {
    let folder = Folder::new(PLAN);
    let said = folder.run(&["replay", "--archive", "nowhere"]);
    assert_eq!(said.code, Some(74), "{said:?}");
    assert!(!folder.file("nowhere").exists());
    folder.write("empty/readme", "");
    let said = folder.run(&["replay", "--archive", "empty"]);
    assert!(said.code == Some(74) && said.stderr.contains("holds no objects"), "{said:?}");
}
