//! Commands for state changes of alarms, and what holds them back.
//!
//! Promise: nothing of an event is in the arguments, the path or the folder of a command; no shell is asked. A start is on
//! disk before the process is there, so that it counts, and is not repeated, also if Watchbell is killed. Whatever was
//! done or held back is in the audit trail.
//! Not here: what a command leaves behind in a session of its own.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use watchbell_model::{Remedy, TrailOutcome};

use super::pool::InForce;
use super::worker::{Lease, Passing, Worker};
use crate::run::remedies::{END, START};
use crate::run::trail::TrailDraft;

/// Bytes that are kept of what a command says on each of its outputs; the rest is read and dropped.
pub const OUTPUT_BYTES_MAX: usize = 4 * 1024;

/// Bytes of an environment variable that is made of an event.
const VARIABLE_BYTES_MAX: usize = 4 * 1024;

/// Where programs without a path are looked for; it is the `PATH` of every command.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long a command may go on once Watchbell stops.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// How long output is awaited of what a command has left behind.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

/// How long a message is kept at least while its target is busy, in milliseconds.
const LOCK_MS: i64 = 10_000;
/// How much longer than the command may take, in milliseconds.
const MORE_MS: i64 = 5000;

/// The audit record of a command that is held back.
const HELD_BACK: &str = "command.held_back";
/// The audit record of a command that is not armed.
const DRY_RUN: &str = "command.dry_run";

/// How a command ended.
struct Ended {
    how: String,
    is_ok: bool,
    output: [Vec<u8>; 2],
}

/// One command for one state change.
pub(super) struct Run<'a> {
    pub(super) worker: &'a Worker,
    pub(super) in_force: &'a InForce,
    pub(super) remedy: &'a Remedy,
    /// Which life of which message: its name and when it was enqueued.
    pub(super) life: String,
    /// The state change, as it came.
    pub(super) text: &'a str,
}

impl Run<'_> {
    /// Runs it, unless something holds it back. `Ok(Some(…))` says why it did not work.
    ///
    /// # Errors
    /// [`Passing`] if the message cannot be kept so long.
    pub(super) fn go(&self, lease: &mut Lease) -> Result<Option<String>, Passing> {
        let name = &self.worker.pool.name;
        let argv = spell(&self.remedy.run);
        if !self.remedy.armed {
            tracing::info!(function = name, command = argv, "dry run: armed = true would run this");
            self.record(DRY_RUN, TrailOutcome::Done, &[("command", &argv)]);
            return Ok(None);
        }
        let lock = self
            .worker
            .shared
            .targets
            .lock(&self.remedy.target, || self.worker.keep(lease, LOCK_MS, 3 * LOCK_MS))?;
        if let Some(reason) = self.held_back() {
            tracing::warn!(function = name, command = argv, reason, "a command is held back");
            self.record(HELD_BACK, TrailOutcome::Denied, &[("command", &argv), ("reason", &reason)]);
            return Ok(None);
        }
        let needed_ms = self.remedy.timeout_ms + MORE_MS;
        self.worker.keep(lease, needed_ms, needed_ms)?;
        if !self.remedy.only_if.is_empty() {
            let ended = self.execute(&self.remedy.only_if);
            if !ended.is_ok {
                let reason = format!("only_if: {}", ended.how);
                tracing::info!(function = name, command = argv, reason, "a command is held back");
                let output = self.output(&ended);
                let details = [("command", &argv), ("reason", &reason), ("output", &output)];
                self.record(HELD_BACK, TrailOutcome::Denied, &details);
                return Ok(None);
            }
        }
        self.worker.keep(lease, needed_ms, needed_ms)?;
        let start = self.draft(START).detail("command", &argv).detail("target", &self.remedy.target);
        if !self.worker.shared.durable(start) {
            return Err(Passing { reason: "the journal takes nothing".to_owned(), after: None });
        }
        tracing::warn!(function = name, command = argv, alarm = self.alarm(), "a command runs");
        let ended = self.execute(&self.remedy.run);
        drop(lock);
        let outcome = if ended.is_ok { TrailOutcome::Done } else { TrailOutcome::Failed };
        let output = self.output(&ended);
        let mut end = self.draft(END).outcome(outcome).detail("ended", &ended.how).detail("output", &output);
        if let Some(after_ms) = self.remedy.check_after_ms {
            end = end.detail("check_at_ms", self.worker.shared.clock.now().plus_ms(after_ms).0);
        }
        self.worker.shared.durable(end);
        tracing::warn!(function = name, command = argv, ended = ended.how, output, "a command has ended");
        Ok((!ended.is_ok).then(|| format!("command {argv}: {}", ended.how)))
    }

    /// Why it is not run.
    fn held_back(&self) -> Option<String> {
        let name = &self.worker.pool.name;
        let fold = self.worker.shared.fold.look();
        if fold.remedies.has_started(name, &self.life) {
            return Some("it was started for this message before; it is not known to what end".to_owned());
        }
        let recent = fold.remedies.in_last_hour(name, self.worker.shared.clock.now());
        let is_too_often = recent >= self.remedy.per_hour_max as usize;
        is_too_often
            .then(|| format!("it was started {recent} times in the last hour, per_hour allows no more"))
    }

    fn draft(&self, action: &'static str) -> TrailDraft {
        let name = &self.worker.pool.name;
        let draft = TrailDraft::done(action, name).by(format!("function {name}"));
        let draft = draft.detail("run", &self.life).detail("alarm", self.alarm());
        match self.event().pointer("/detail/dimensions") {
            Some(dimensions) => draft.detail("dimensions", dimensions),
            None => draft,
        }
    }

    fn record(&self, action: &'static str, outcome: TrailOutcome, details: &[(&str, &String)]) {
        let draft = self.draft(action).outcome(outcome);
        let draft = details.iter().fold(draft, |draft, (name, value)| draft.detail(name, value));
        self.worker.shared.writer.trail(draft);
    }

    fn event(&self) -> Value {
        serde_json::from_str(self.text).unwrap_or(Value::Null)
    }

    fn alarm(&self) -> String {
        text(&self.event(), "/detail/alarmName")
    }

    /// What it said, without what must not be stored.
    fn output(&self, ended: &Ended) -> String {
        let said = ended.output.iter().map(|bytes| self.in_force.redactor.kept(bytes).text.trim().to_owned());
        said.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
    }

    fn execute(&self, argv: &[String]) -> Ended {
        let shared = &self.worker.shared;
        let timeout = Duration::from_millis(self.remedy.timeout_ms.unsigned_abs());
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).env_clear().envs(self.environment()).current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        shared.runtime.block_on(execute(command, self.text.as_bytes(), timeout, shared.stopping.clone()))
    }

    /// The environment: nothing of Watchbell's own.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let event = self.event();
        let of_event = |name, path: &str| (name, variable(&text(&event, path)));
        vec![
            ("PATH", PATH.to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("WATCHBELL_FUNCTION", self.worker.pool.name.clone()),
            ("WATCHBELL_TARGET", self.remedy.target.clone()),
            ("WATCHBELL_MESSAGE", self.life.clone()),
            of_event("WATCHBELL_ALARM", "/detail/alarmName"),
            of_event("WATCHBELL_STATE", "/detail/state/value"),
            of_event("WATCHBELL_PREVIOUS_STATE", "/detail/previousState/value"),
            of_event("WATCHBELL_REASON", "/detail/state/reason"),
        ]
    }
}

/// The text at a place of an event; empty if there is none.
fn text(event: &Value, path: &str) -> String {
    event.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn variable(value: &str) -> String {
    let mut value = value.replace('\0', " ");
    value.truncate(value.floor_char_boundary(VARIABLE_BYTES_MAX));
    value
}

/// A command for people.
fn spell(argv: &[String]) -> String {
    argv.join(" ")
}

async fn execute(
    mut command: Command,
    input: &[u8],
    timeout: Duration,
    stopping: watch::Receiver<bool>,
) -> Ended {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            return Ended {
                how: format!("it cannot be started: {error}"),
                is_ok: false,
                output: Default::default(),
            };
        }
    };
    let [stdout, stderr] = [Captured::default(), Captured::default()];
    let (stdin, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let how = {
        let mut reading = std::pin::pin!(async {
            let write = async {
                if let Some(mut stdin) = stdin {
                    // Whoever does not read it need not.
                    let _ = stdin.write_all(input).await;
                }
            };
            tokio::join!(write, stdout.read(out), stderr.read(err));
        });
        let mut waiting = std::pin::pin!(ended(&mut child, timeout, stopping));
        let mut is_read = false;
        let how = loop {
            tokio::select! {
                how = &mut waiting => break how,
                () = &mut reading, if !is_read => is_read = true,
            }
        };
        if !is_read {
            let _ = tokio::time::timeout(LEFT_BEHIND, &mut reading).await;
        }
        how
    };
    let output = [stdout.kept(), stderr.kept()];
    match how {
        Ok(how) => Ended { is_ok: how == EXITED_OK, how, output },
        Err(how) => Ended { how, is_ok: false, output },
    }
}

const EXITED_OK: &str = "exit code 0";

/// Waits for the end; kills the process group if that takes too long.
async fn ended(
    child: &mut Child,
    timeout: Duration,
    mut stopping: watch::Receiver<bool>,
) -> Result<String, String> {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let stop = async {
        // An error means that the sender is gone: the process is at its end.
        let _ = stopping.wait_for(|stopping| *stopping).await;
        tokio::time::sleep(STOP_GRACE).await;
    };
    let why = tokio::select! {
        biased;
        status = child.wait() => {
            let status = status.map_err(|error| error.to_string())?;
            return Ok(match status.code() {
                Some(code) => format!("exit code {code}"),
                None => status.to_string(),
            });
        }
        () = tokio::time::sleep(timeout) => format!("killed after {} s", timeout.as_secs()),
        () = stop => "killed because watchbell stops".to_owned(),
    };
    // It has not been waited for, so the group's number is still its own.
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait().await;
    Err(why)
}

/// The beginning of an output.
#[derive(Default)]
struct Captured(std::sync::Mutex<Vec<u8>>);

impl Captured {
    async fn read(&self, pipe: Option<impl AsyncRead + Unpin>) {
        let Some(mut pipe) = pipe else { return };
        let mut buffer = [0; 4096];
        while let Ok(bytes @ 1..) = pipe.read(&mut buffer).await {
            let mut kept = self.0.lock().expect("no panic while it is held");
            let room = OUTPUT_BYTES_MAX - kept.len();
            kept.extend_from_slice(&buffer[..bytes.min(room)]);
        }
    }

    fn kept(self) -> Vec<u8> {
        self.0.into_inner().expect("no panic while it is held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, timeout_ms: u64) -> (String, bool, String) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (_keep, stopping) = watch::channel(false);
        let mut command = Command::new("sh");
        command.args(["-c", script]).env_clear().env("PATH", PATH).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = runtime.block_on(execute(command, b"in", Duration::from_millis(timeout_ms), stopping));
        (ended.how, ended.is_ok, String::from_utf8(ended.output.concat()).unwrap())
    }

    #[test]
    fn a_command_gets_its_input_and_its_output_is_kept_up_to_a_bound() {
        assert_eq!(
            run("cat; echo ' out'; echo err >&2", 60_000),
            ("exit code 0".into(), true, "in out\nerr\n".into())
        );
        let (how, is_ok, output) = run("head -c 1000000 /dev/zero | tr '\\0' x; exit 3", 60_000);
        assert_eq!((how.as_str(), is_ok, output.len()), ("exit code 3", false, OUTPUT_BYTES_MAX));
    }

    #[test]
    fn a_command_that_takes_too_long_is_killed_with_its_children() {
        let (how, is_ok, output) = run("sleep 600 & echo $!; wait", 300);
        assert_eq!((how.as_str(), is_ok), ("killed after 0 s", false));
        let child = output.trim();
        // It was told to die before; the kernel takes its time.
        let is_gone = |_: &usize| {
            std::thread::sleep(Duration::from_millis(10));
            let state = std::fs::read_to_string(format!("/proc/{child}/stat"));
            state.map_or(true, |state| state.contains(") Z "))
        };
        assert!((0..6000).find(is_gone).is_some(), "child {child} lives");
    }
}
