//! A full disk: new lines are refused or wait, what is in is decided and told, and it recovers by itself.

use std::path::Path;
use std::sync::Arc;

use watchbell_journal::{ModelDisk, Reader};
use watchbell_model::Entry;

use crate::support::eventually;
use crate::support::http::{post, request};
use crate::support::receiver::Receiver;
use crate::support::records::record;
use crate::support::running::{InProcess, START};
use crate::support::site::Site;

fn site(receiver: &Receiver) -> Site {
    Site::new(&format!(
        "[log_groups.\"shop/app\"]\nfiles = [\"app.log\"]\n[metric_filters.errors]\nlog_group = \"shop/app\"\n\
         pattern = 'ERROR'\nmetric = {{ namespace = \"S\", name = \"E\", value = \"1\" }}\n[alarms.errors]\n\
         metric_filter = \"errors\"\nstatistic = \"Sum\"\nperiod = \"60s\"\ncondition = \">= 1\"\n\
         missing_data = \"not_breaching\"\nnotify = [\"ops\"]\n[topics.ops.webhook]\nurl = \"{}\"\n",
        receiver.url()
    ))
}

/// Sends lines until one is refused for want of room; how many were taken.
fn fill(running: &InProcess, line: &[u8]) -> u64 {
    for taken in 0..100 {
        let answer = post(running.address(), "shop/app", &[], line);
        match answer.status {
            200 => {}
            507 => return taken,
            other => panic!("status {other}"),
        }
    }
    panic!("the disk is full and takes everything");
}

/// The text of every event in the journal.
fn lines(site: &Site, disk: &ModelDisk) -> Vec<String> {
    let folder = site.data().join("journal");
    let mut reader = Reader::open(Arc::new(disk.clone()), Path::new(&folder), 0).unwrap();
    let mut lines = Vec::new();
    while let Some(frame) = reader.next().unwrap() {
        if let Entry::Batch(batch) = record(&frame).entry {
            lines.extend(batch.events().map(|event| event.message.to_owned()));
        }
    }
    lines
}

#[test]
fn a_full_disk_refuses_new_lines_goes_on_deciding_and_telling_and_recovers_by_itself() {
    let receiver = Receiver::start();
    let (site, disk) = (site(&receiver), ModelDisk::new());
    let running = InProcess::start_on(&site, START, Arc::new(disk.clone()));
    assert_eq!(post(running.address(), "shop/app", &[], b"fine\n").status, 200);

    disk.set_full(true);
    let line = format!("ERROR {}\n", "x".repeat(5000));
    let taken = fill(&running, line.as_bytes());
    assert!(taken >= 1, "the line that meets the full disk goes into the reserve");
    receiver.wait_for(1);
    running.clock.wind_ms(600_000);
    receiver.wait_for(2);
    assert_eq!(receiver.states(), ["ALARM", "OK"], "decided and told from the reserve");
    let ready = request(running.address(), "GET", "/readyz", &[], b"").unwrap();
    assert_eq!(ready.status, 503);
    site.append("app.log", "from a file\n");
    assert_eq!(running.events("shop/app"), 1 + taken);

    disk.set_full(false);
    running.wait_for_events("shop/app", 2 + taken);
    eventually("lines are taken again", || {
        post(running.address(), "shop/app", &[], b"at last\n").status == 200
    });
    running.drain();
    disk.crash(|_| false);
    let found = lines(&site, &disk);
    assert_eq!(found.len() as u64, 3 + taken);
    assert_eq!((found[0].as_str(), found.iter().filter(|line| *line == "from a file").count()), ("fine", 1));
}

#[test]
fn a_stop_while_the_disk_is_full_ends_and_the_next_start_takes_what_waited() {
    let receiver = Receiver::start();
    let (site, disk) = (site(&receiver), ModelDisk::new());
    let running = InProcess::start_on(&site, START, Arc::new(disk.clone()));
    disk.set_full(true);
    let taken = fill(&running, format!("{}\n", "x".repeat(5000)).as_bytes());
    site.append("app.log", "from a file\n");
    running.drain();
    disk.set_full(false);
    let running = InProcess::start_on(&site, START.plus_ms(1000), Arc::new(disk.clone()));
    running.wait_for_events("shop/app", taken + 1);
    running.drain();
    assert_eq!(lines(&site, &disk).last().unwrap(), "from a file");
}
