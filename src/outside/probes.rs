//! Latency probes: alarms that one line each makes certain, so that many firings can be timed.
//!
//! Measured is the time from the return of `write` on a followed file to the moment the whole webhook has been
//! received: noticing the file, reading, parsing, the journal's sync, detection, the decision's sync and the POST.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;

use super::receiver::Inbox;
use super::stopwatch;

/// How many alarms are timed.
pub(super) const COUNT: usize = 100;

/// Between two probes: each meets a Watchbell that is busy with the shop only.
const PACE: Duration = Duration::from_millis(50);

/// How long one message may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The log that the probes are written to, within the folder of logs.
const LOG: &str = "probe.log";

fn name(number: usize) -> String {
    format!("probe-{number:03}")
}

/// What the demo adds to the shop's file.
pub(super) fn config_text() -> String {
    let mut text = format!(
        "\n# Added by `watchbell demo`: {COUNT} latency probes. One line in {LOG} makes one alarm certain.\n\n\
         [log_groups.\"probe/latency\"]\nfiles = [\"logs/{LOG}\"]\nlateness = \"1s\"\n\n\
         [topics.stopwatch]\n\
         webhook = {{ url = {{ env = \"SHOP_HOOK\" }}, signing_key = {{ env = \"SHOP_HOOK_KEY\" }} }}\n"
    );
    let mut add = |line: String| writeln!(text, "{line}").expect("writing to a string");
    add("\n[metric_filters]".to_owned());
    for name in (1..=COUNT).map(name) {
        add(format!(
            "{name} = {{ log_group = \"probe/latency\", pattern = '\"{name}\"', \
             metric = {{ namespace = \"Probe\", name = \"{name}\" }} }}"
        ));
    }
    add("\n[alarms]".to_owned());
    for name in (1..=COUNT).map(name) {
        add(format!(
            "{name} = {{ metric_filter = \"{name}\", period = \"10s\", condition = \">= 1\", \
             severity = \"info\", notify = \"stopwatch\" }}"
        ));
    }
    text
}

/// Makes the log before Watchbell starts.
pub(super) fn open(logs: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(logs.join(LOG))
}

/// Writes one line after the other and times each one's message; `done` counts them.
///
/// # Errors
/// A sentence that says which one did not come.
pub(super) async fn run(
    mut log: File,
    inbox: &Inbox,
    done: watch::Sender<usize>,
) -> Result<Vec<Duration>, String> {
    let mut measured = Vec::with_capacity(COUNT);
    for name in (1..=COUNT).map(name) {
        let line = format!("{name} written by watchbell demo\n");
        log.write_all(line.as_bytes()).map_err(|error| format!("{LOG}: {error}"))?;
        let written = stopwatch::now();
        let found = inbox.find(0, LIMIT, |it| it.alarm == name && it.state == "ALARM").await;
        let Some((_, arrival)) = found else {
            return Err(format!("no message about {name} within {} s of its line", LIMIT.as_secs()));
        };
        // A message can be here before `write` has returned to us.
        measured.push(arrival.at.saturating_duration_since(written));
        done.send_replace(measured.len());
        tokio::time::sleep(PACE).await;
    }
    Ok(measured)
}
