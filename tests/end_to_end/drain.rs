//! SIGTERM under load: everything that was acknowledged is archived, once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::eventually;
use crate::support::http::request;
use crate::support::input::{lf, sshd};
use crate::support::process::Up;
use crate::support::records::messages;
use crate::support::site::Site;

const BODY: &str = "[log_groups.\"shop/app\"]\n[log_groups.\"ssh/auth\"]\nfiles = [\"auth.log\"]\n";

/// Posts numbered lines from two connections until the server goes away; gives those that were acknowledged.
fn load(up: &Up, acknowledged: &Mutex<Vec<String>>, enough: &AtomicBool) {
    std::thread::scope(|scope| {
        for sender in 0..2 {
            scope.spawn(move || {
                for number in 0.. {
                    let lines: Vec<String> =
                        (0..20).map(|line| format!("{sender}-{number}-{line}")).collect();
                    match request(up.address, "POST", "/ingest/shop/app", &[], &lf(&lines)) {
                        Ok(answer) if answer.status == 200 => acknowledged.lock().unwrap().extend(lines),
                        _ => return,
                    }
                    enough.store(number >= 10, Ordering::SeqCst);
                }
            });
        }
        eventually("the load is on", || enough.load(Ordering::SeqCst));
        up.signal("TERM");
    });
}

fn check(site: &Site, acknowledged: Vec<String>) {
    let archived = messages(&site.data());
    let mut distinct = archived.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), archived.len(), "a line is archived twice");
    for line in acknowledged {
        assert!(distinct.binary_search(&line).is_ok(), "{line} was acknowledged and is not archived");
    }
}

#[test]
fn a_stop_under_load_archives_everything_that_was_acknowledged_and_ends_well() {
    let site = Site::new(BODY);
    let lines = sshd(0..5000);
    let mut up = Up::start(&site);
    site.append("auth.log", lf(&lines));
    let (acknowledged, enough) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    load(&up, &acknowledged, &enough);
    let status = up.wait();
    assert!(status.success(), "{status}: {}", up.stderr());
    let mut expected = acknowledged.into_inner().unwrap();
    expected.extend(lines);
    check(&site, expected);
    // Nothing was left for the next start to do.
    let before = messages(&site.data()).len();
    Up::start(&site).stop();
    assert_eq!(messages(&site.data()).len(), before);
}

#[test]
fn a_kill_9_under_load_loses_nothing_that_was_acknowledged() {
    let site = Site::new(BODY);
    let up = Up::start(&site);
    let (acknowledged, enough) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (address, acknowledged, enough) = (up.address, &acknowledged, &enough);
        for sender in 0..3 {
            scope.spawn(move || {
                for number in 0.. {
                    let line = format!("{sender}-{number}");
                    match request(address, "POST", "/ingest/shop/app", &[], line.as_bytes()) {
                        Ok(answer) if answer.status == 200 => acknowledged.lock().unwrap().push(line),
                        _ => return,
                    }
                    enough.store(number >= 30, Ordering::SeqCst);
                }
            });
        }
        eventually("the load is on", || enough.load(Ordering::SeqCst));
        up.kill();
    });
    Up::start(&site).stop();
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() >= 30);
    check(&site, acknowledged);
}

#[test]
fn a_stop_right_after_the_start_ends_well() {
    let site = Site::new(BODY);
    site.append("auth.log", lf(&sshd(0..5000)));
    Up::start(&site).stop();
    assert_eq!(messages(&site.data()), sshd(0..5000));
}
