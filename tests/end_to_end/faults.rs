//! A disk that fails and a clock that jumps: what happens, and that it goes on afterwards.

use std::io::ErrorKind;
use std::sync::Arc;

use watchbell::ExitStatus;
use watchbell_journal::ModelDisk;
use watchbell_model::Timestamp;

use crate::support::eventually;
use crate::support::http::{post, request};
use crate::support::receiver::Receiver;
use crate::support::records::{messages, transitions};
use crate::support::running::{InProcess, START};
use crate::support::site::Site;

const HOUR_MS: i64 = 3_600_000;

fn site(receiver: &Receiver) -> Site {
    Site::new(&format!(
        "[log_groups.app]\n[alarms.errors]\nlog_group = \"app\"\npattern = \"ERROR\"\nperiod = \"60s\"\nnotify = [\"ops\"]\n\
         [topics.ops.webhook]\nurl = \"{}\"\n",
        receiver.url()
    ))
}

fn send(running: &InProcess, line: &str) {
    let answer = post(running.address(), "app", &[], line.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// A sync that failed may have lost what it was for: nothing that waited for it is acknowledged, and the process ends.
#[test]
fn a_failed_sync_ends_the_process_and_what_was_acknowledged_is_there_after_the_restart() {
    let receiver = Receiver::start();
    let (site, disk) = (site(&receiver), ModelDisk::new());
    let running = InProcess::start_on(&site, START, Arc::new(disk.clone()));
    send(&running, "acknowledged\n");
    disk.fail_sync(0, ErrorKind::Other);
    let answer = request(running.address(), "POST", "/ingest/app", &[], b"not acknowledged\n");
    // 503 if the record in the audit trail of the line before met it first.
    assert!(answer.as_ref().is_ok_and(|answer| [500, 503].contains(&answer.status)), "{answer:?}");
    let failure = running.failure();
    assert_eq!(failure.status, ExitStatus::InputOutput, "{failure}");

    // Nothing that was not synced survives.
    disk.crash(|_| false);
    let running = InProcess::start_on(&site, START.plus_ms(1000), Arc::new(disk.clone()));
    running.wait_for_events("app", 1);
    send(&running, "ERROR after it\n");
    receiver.wait_for(1);
    running.wait_for_deliveries();
    running.drain();
    assert_eq!(messages(&site.data()), ["acknowledged", "ERROR after it"]);
}

/// The clock jumps an hour ahead, and back again, with lines in every hour of it.
#[test]
fn a_clock_that_jumps_an_hour_and_back_loses_no_line_and_alarms_go_on_once_it_has_caught_up() {
    let receiver = Receiver::start();
    let site = site(&receiver);
    let running = InProcess::start(&site, START);
    send(&running, "ERROR one\n");
    running.wait_for_state("errors", "ALARM");
    running.clock.wind_ms(HOUR_MS);
    send(&running, "fine\n");
    running.wait_for_state("errors", "OK");
    let ahead = START.plus_ms(HOUR_MS);

    running.clock.wind_ms(-HOUR_MS);
    send(&running, "ERROR two\n");
    running.wait_for_state("errors", "ALARM");
    // Nobody can tell how long this lasts: lines are accepted all the while, at the time that the journal has reached.
    send(&running, "fine too\n");
    running.clock.wind_ms(HOUR_MS + 5 * 60_000);
    running.wait_for_state("errors", "OK");
    send(&running, "ERROR three\n");
    running.wait_for_state("errors", "ALARM");
    running.wait_for_deliveries();
    eventually("five messages", || receiver.states() == ["ALARM", "OK", "ALARM", "OK", "ALARM"]);
    running.drain();
    assert_eq!(messages(&site.data()), ["ERROR one", "fine", "ERROR two", "fine too", "ERROR three"]);
    let times: Vec<Timestamp> = transitions(&site.data()).iter().map(|transition| transition.at).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(times[2] >= ahead, "{times:?}: the journal's time does not go back");
}
