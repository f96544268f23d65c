//! Latency probes: alarms that one line each makes certain, so that many firings can be timed.
//!
//! Measured is the time from the return of `write` on a followed file to the moment the whole webhook has been
//! received: noticing the file, reading, parsing, the journal's sync, detection, the decision's sync and the POST.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use super::receiver::Inbox;
use super::stopwatch;

/// The environment variable with the URL that messages go to.
pub(crate) const HOOK: &str = "PROBE_HOOK";

/// The environment variable with the key that signs them.
pub(crate) const HOOK_KEY: &str = "PROBE_HOOK_KEY";

/// Between two probes: each meets a Watchbell that does not work on the one before.
const PACE: Duration = Duration::from_millis(50);

/// How long one message may take before something is wrong: a slow machine is not.
const LIMIT: Duration = Duration::from_secs(30);

/// The log that the probes are written to, within the folder of logs.
const LOG: &str = "probe.log";

fn name(number: usize) -> String {
    format!("probe-{number:03}")
}

/// The tables that so many probes need in a file, which stands in the folder that has `logs`.
pub(crate) fn config_text(count: usize) -> String {
    let mut text = format!(
        "\n# Latency probes: each is a line in {LOG} that makes one alarm certain.\n\n\
         [log_groups.\"probe/latency\"]\nfiles = [\"logs/{LOG}\"]\nlateness = \"1s\"\n\n\
         [topics.stopwatch]\n\
         webhook = {{ url = {{ env = \"{HOOK}\" }}, signing_key = {{ env = \"{HOOK_KEY}\" }} }}\n"
    );
    let mut add = |line: String| writeln!(text, "{line}").expect("writing to a string");
    add("\n[metric_filters]".to_owned());
    for name in (1..=count).map(name) {
        add(format!(
            "{name} = {{ log_group = \"probe/latency\", pattern = '\"{name}\"', \
             metric = {{ namespace = \"Probe\", name = \"{name}\" }} }}"
        ));
    }
    add("\n[alarms]".to_owned());
    for name in (1..=count).map(name) {
        add(format!(
            "{name} = {{ metric_filter = \"{name}\", period = \"10s\", condition = \">= 1\", \
             severity = \"info\", notify = \"stopwatch\" }}"
        ));
    }
    text
}

/// The probes that have not been sent.
pub(crate) struct Probes {
    log: File,
    next: usize,
}

impl Probes {
    /// Makes the log, before Watchbell starts.
    pub(crate) fn open(logs: &Path) -> io::Result<Probes> {
        let log = OpenOptions::new().append(true).create(true).open(logs.join(LOG))?;
        Ok(Probes { log, next: 1 })
    }

    /// Writes the next line and times its message, then pauses.
    ///
    /// # Errors
    /// A sentence that says which one did not come.
    pub(crate) async fn one(&mut self, inbox: &Inbox) -> Result<Duration, String> {
        let name = name(self.next);
        self.next += 1;
        let line = format!("{name} written by watchbell\n");
        self.log.write_all(line.as_bytes()).map_err(|error| format!("{LOG}: {error}"))?;
        let written = stopwatch::now();
        let found = inbox.find(0, LIMIT, |it| it.alarm == name && it.state == "ALARM").await;
        let Some((_, arrival)) = found else {
            return Err(format!("no message about {name} within {} s of its line", LIMIT.as_secs()));
        };
        tokio::time::sleep(PACE).await;
        // A message can be here before `write` has returned to us.
        Ok(arrival.at.saturating_duration_since(written))
    }
}
