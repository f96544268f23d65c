//! Child processes: `watchbell up` as a user would start it, and what else this program is.
//!
//! Promise: whoever holds a child ends in any way that it can see, the child has ended. A child that reads its standard
//! input also ends when we are killed. `kill -9` of us leaves `watchbell up` running: it has no special code for us.

use std::ffi::OsStr;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus as Ended, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{sleep, timeout};

use super::web::Web;
use crate::{ExitStatus, Failure};

/// How long a child may take until it can be used.
const START_LIMIT: Duration = Duration::from_secs(10);

/// How long a child may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Between two looks at a child that starts.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Lines of its log that a child which has died leaves behind on the terminal.
const LAST_LINES: usize = 8;

/// A child with its name and log.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    /// Kept apart from the child: waiting for a child closes the input that it still has.
    stdin: Option<ChildStdin>,
    log: PathBuf,
}

impl Process {
    /// This program with other arguments, which prints where it listens; and where that is. Its log goes to `log`.
    pub(crate) async fn listening(
        name: &'static str,
        arguments: &[&OsStr],
        log: PathBuf,
    ) -> Result<(Process, SocketAddr), Failure> {
        let mut command = ourselves()?;
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(create(&log)?);
        let mut child = Process::start(name, command, log)?;
        let stdout = child.child.stdout.take().expect("it was asked for");
        let mut address = String::new();
        let read = timeout(START_LIMIT, BufReader::new(stdout).read_line(&mut address)).await;
        match (read, address.trim().parse()) {
            (Ok(Ok(_)), Ok(address)) => Ok((child, address)),
            _ => Err(child.failure("did not say where it listens")),
        }
    }

    /// `watchbell up` with this file; and where it listens. Its standard output goes to `stdout`, its log to `log`.
    pub(crate) async fn up(
        config: &Path,
        stdout: &Path,
        log: PathBuf,
        environment: &[(&str, &str)],
    ) -> Result<(Process, SocketAddr), Failure> {
        let mut command = ourselves()?;
        command.arg("up").arg("-c").arg(config).args(["--log", "json"]);
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(create(stdout)?).stderr(create(&log)?);
        let mut up = Process::start("watchbell up", command, log)?;
        let ready = timeout(START_LIMIT, up.ready()).await;
        match ready {
            Ok(Some(address)) => Ok((up, address)),
            Ok(None) => Err(up.failure("has ended at its start")),
            Err(_) => Err(up.failure(&format!("was not ready within {} s", START_LIMIT.as_secs()))),
        }
    }

    fn start(name: &'static str, mut command: Command, log: PathBuf) -> Result<Process, Failure> {
        // A process group of its own: Ctrl-C reaches the demo alone, which then ends the children in order.
        let child = command.process_group(0).kill_on_drop(true).spawn();
        let mut child = child.map_err(|error| {
            Failure::new(ExitStatus::Unavailable, format!("{name} cannot be started: {error}"))
        })?;
        let stdin = child.stdin.take();
        Ok(Process { name, child, stdin, log })
    }

    /// Where it listens, once it is ready; `None` if it has ended.
    async fn ready(&mut self) -> Option<SocketAddr> {
        loop {
            if let Some(address) = logged_address(&self.log)
                && Web::new(address).get("/readyz").await.is_ok_and(|(status, _)| status.is_success())
            {
                return Some(address);
            }
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return None;
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Resolves when it ends without having been asked to.
    pub(crate) async fn died(&mut self) -> Failure {
        match self.child.wait().await {
            Ok(ended) => self.failure(&format!("has ended on its own ({ended})")),
            Err(error) => self.failure(&error.to_string()),
        }
    }

    /// Its number, as long as it has not ended.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) -> Result<(), Failure> {
        let killed = self.child.kill().await;
        killed.map_err(|error| self.failure(&error.to_string()))
    }

    /// Closes its standard input and waits for its end.
    pub(crate) async fn close(mut self) -> Result<(), Failure> {
        drop(self.stdin.take());
        self.end().await
    }

    /// Sends SIGTERM and waits for its end.
    pub(crate) async fn terminate(self) -> Result<(), Failure> {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(pid) = pid {
            // An error means that it has ended already; that is told below.
            let _ = kill_process(pid, Signal::TERM);
        }
        self.end().await
    }

    async fn end(mut self) -> Result<(), Failure> {
        match timeout(STOP_LIMIT, self.child.wait()).await {
            Ok(Ok(ended)) if ended.success() => Ok(()),
            Ok(Ok(ended)) => Err(self.failure(&ended_badly(ended))),
            Ok(Err(error)) => Err(self.failure(&error.to_string())),
            Err(_) => Err(self.failure(&format!("did not end within {} s", STOP_LIMIT.as_secs()))),
        }
    }

    /// What went wrong, and the end of its log.
    fn failure(&self, what: &str) -> Failure {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n  ");
        let last = if last.is_empty() { "(nothing)" } else { &last };
        Failure::new(
            ExitStatus::Unavailable,
            format!("{} {what}; the end of {}:\n  {last}", self.name, self.log.display()),
        )
    }
}

fn ended_badly(ended: Ended) -> String {
    format!("ended with {ended}")
}

/// This program again.
fn ourselves() -> Result<Command, Failure> {
    let program = std::env::current_exe();
    Ok(Command::new(
        program.map_err(|error| {
            Failure::new(ExitStatus::Unavailable, format!("where this program is: {error}"))
        })?,
    ))
}

fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|error| Failure::io(path.display(), &error))
}

/// The address that `watchbell up` names in its log.
fn logged_address(log: &Path) -> Option<SocketAddr> {
    let text = std::fs::read_to_string(log).ok()?;
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let watching = events.into_iter().find(|event| event["message"] == "watching")?;
    watching["address"].as_str()?.parse().ok()
}
