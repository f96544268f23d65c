//! The system's journal through `journalctl`, which is a script here: nothing is lost and nothing comes twice.

use serde_json::Value;
use watchbell_model::Severity;

use crate::support::eventually;
use crate::support::http;
use crate::support::journalctl::{FOLLOWS, entries, expected, write_script};
use crate::support::process::Up;
use crate::support::records::{archived, batches};
use crate::support::site::Site;

const GROUP: &str = "[log_groups.system]\njournald = { command = \"./journalctl\", units = [\"a.service\", \"b.service\"] }\n";

fn messages(site: &Site) -> Vec<String> {
    let all = batches(&site.data());
    all.iter()
        .flat_map(|(_, _, batch)| batch.events().map(|it| it.message.to_owned()).collect::<Vec<_>>())
        .collect()
}

fn journald(up: &Up) -> Value {
    let rows = http::get(up.address, "/sources").json();
    let rows = rows["sources"].as_array().unwrap();
    rows.iter().find(|row| row["path"] == "journald").cloned().unwrap_or_default()
}

#[test]
fn entries_come_once_and_in_order_through_kills() {
    let site = Site::new(GROUP);
    write_script(&site, FOLLOWS);
    site.append("journal.json", entries(0..50));
    let mut up = Some(Up::start(&site));
    for round in 1..5 {
        std::thread::scope(|scope| {
            let site = &site;
            scope.spawn(move || {
                for number in round * 50..round * 50 + 50 {
                    site.append("journal.json", entries(number..number + 1));
                }
            });
            up.take().unwrap().kill();
            up = Some(Up::start(site));
        });
    }
    let up = up.unwrap();
    up.wait_for_events("system", 250);
    let rows = http::get(up.address, "/sources").json();
    let (mut read, mut journaled) = (0, 0);
    for row in rows["sources"].as_array().unwrap() {
        read += row["read_bytes"].as_u64().unwrap();
        journaled += row["journaled_bytes"].as_u64().unwrap();
    }
    let bytes = std::fs::metadata(site.path("journal.json")).unwrap().len();
    assert_eq!((read, journaled), (bytes, bytes));
    up.stop();
    assert_eq!(messages(&site), expected(0..250));
    let mut events = archived(&site.path("data/archive"));
    events.sort_by_key(|event| event.event_id);
    let of =
        |number: usize| (events[number].stream.as_str(), events[number].severity, events[number].timestamp.0);
    assert_eq!(of(0), ("a.service", Severity::Error, 1_795_381_912_000));
    assert_eq!(of(4), ("b.service", Severity::Info, 1_795_381_912_004));
    let arguments = std::fs::read_to_string(site.path("arguments.txt")).unwrap();
    let first = "--output=json --all --quiet --unit=a.service --unit=b.service --follow --no-tail";
    assert_eq!(arguments.lines().next(), Some(first));
}

#[test]
fn a_journalctl_that_is_absent_or_ends_is_told_and_tried_again() {
    let site = Site::new(GROUP);
    site.append("journal.json", "not an entry\n");
    site.append("journal.json", entries(1..3));
    site.append("journal.json", "{\"__CURSOR\":\"c4\",\"__REALTIME_TIMESTAMP\":\"1\"}\n");
    let up = Up::start(&site);
    eventually("it is told that the program is absent", || journald(&up)["state"] == "error");
    let reason = journald(&up)["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("./journalctl: No such file"), "{reason}");
    write_script(&site, "#!/bin/sh\necho no permission >&2\nexit 3\n");
    let told = "./journalctl ended with exit status: 3: no permission";
    eventually("it is told what the program says", || journald(&up)["reason"] == told);
    write_script(&site, FOLLOWS);
    up.wait_for_events("system", 2);
    eventually("what is no message is counted", || {
        let row = journald(&up);
        row["state"] == "following" && row["dropped_bytes"]["unreadable"].as_u64() > Some(40)
    });
    up.stop();
}

#[test]
fn with_start_end_only_what_comes_later_is_read_also_after_a_stop() {
    let site = Site::new(&format!("{GROUP}start = \"end\"\n"));
    write_script(&site, FOLLOWS);
    site.append("journal.json", entries(0..20));
    let up = Up::start(&site);
    eventually("the end was marked", || !batches(&site.data()).is_empty());
    up.kill();
    site.append("journal.json", entries(20..30));
    let up = Up::start(&site);
    up.wait_for_events("system", 10);
    up.stop();
    assert_eq!(messages(&site), expected(20..30));
}

#[test]
fn entries_from_before_the_first_start_are_old() {
    let site = Site::new(GROUP);
    write_script(&site, FOLLOWS);
    let old = entries(0..10).replace("179538191", "100000000");
    site.append("journal.json", old);
    let far = entries(10..15).replace("179538191", "999999999");
    let up = Up::start(&site);
    eventually("the old ones are in the journal", || messages(&site).len() == 10);
    up.kill();
    site.append("journal.json", far);
    let up = Up::start(&site);
    eventually("the new ones as well", || messages(&site).len() == 15);
    up.stop();
    let backfill: Vec<(bool, usize)> =
        batches(&site.data()).iter().map(|(_, _, batch)| (batch.backfill, batch.len())).collect();
    let of = |old: bool| {
        backfill.iter().filter(|(backfill, _)| *backfill == old).map(|(_, events)| events).sum::<usize>()
    };
    assert_eq!((of(true), of(false)), (10, 5));
}
