//! `watchbell` as a child process.

use std::ffi::OsStr;
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};

use serde_json::Value;

use super::site::Site;
use super::{eventually, eventually_some, http};

/// The program with these arguments, in the site's folder.
pub(crate) fn watchbell(site: &Site, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchbell"));
    command.args(arguments).current_dir(site.path("")).env_remove("WATCHBELL_CONFIG").stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(site: &Site, arguments: &[&str]) -> Output {
    watchbell(site, arguments).output().unwrap()
}

/// Its exit code, standard output and standard error.
pub(crate) fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// `watchbell up` or `watchbell agent` as it starts. Killed when dropped, so that no test leaves one behind.
pub(crate) struct Starting {
    child: Child,
    stderr: PathBuf,
}

impl Starting {
    /// Starts it and does not wait.
    pub(crate) fn spawn(site: &Site, environment: &[(&str, &OsStr)]) -> Starting {
        Starting::spawn_verb(site, "up", environment, Stdio::null())
    }

    fn spawn_verb(site: &Site, verb: &str, environment: &[(&str, &OsStr)], input: Stdio) -> Starting {
        let number = (0..usize::MAX).find(|number| !site.path(&stderr_name(*number)).exists()).unwrap();
        let stderr = site.path(&stderr_name(number));
        let stdout = site.path(&format!("stdout-{number}.txt"));
        let mut command = watchbell(site, &[verb, "--log", "json"]);
        command.stdin(input);
        command.stdout(File::create(stdout).unwrap()).stderr(File::create(&stderr).unwrap());
        Starting { child: command.envs(environment.iter().copied()).spawn().unwrap(), stderr }
    }

    /// Where it serves, as soon as it watches.
    ///
    /// # Panics
    /// If it has ended before.
    pub(crate) fn address(&mut self) -> Option<SocketAddr> {
        self.has_logged("watching")?["address"].as_str()?.parse().ok()
    }

    /// The event of its log with this message.
    fn has_logged(&mut self, message: &str) -> Option<Value> {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("ended with {status}: {}", std::fs::read_to_string(&self.stderr).unwrap());
        }
        events(&self.stderr).into_iter().find(|event| event["message"] == message)
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.child.id())).status();
        assert!(kill.unwrap().success());
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running `watchbell up`, or `watchbell agent`, which has no address.
pub(crate) struct Up {
    process: Starting,
    pub(crate) address: SocketAddr,
}

impl Up {
    /// Starts it and waits until it watches.
    pub(crate) fn start(site: &Site) -> Up {
        Up::start_with(site, &[])
    }

    /// The same with these environment variables.
    pub(crate) fn start_with(site: &Site, environment: &[(&str, &OsStr)]) -> Up {
        Up::watching(Starting::spawn(site, environment))
    }

    /// The same with a standard input that the test writes.
    pub(crate) fn start_piped(site: &Site) -> (Up, ChildStdin) {
        let mut process = Starting::spawn_verb(site, "up", &[], Stdio::piped());
        let input = process.child.stdin.take().unwrap();
        (Up::watching(process), input)
    }

    fn watching(mut process: Starting) -> Up {
        let address = eventually_some("watchbell up says where it serves", || process.address());
        Up { process, address }
    }

    /// Starts `watchbell agent` and waits until it ships.
    pub(crate) fn start_agent(site: &Site) -> Up {
        let mut process = Starting::spawn_verb(site, "agent", &[], Stdio::null());
        eventually_some("watchbell agent ships", || process.has_logged("shipping"));
        Up { process, address: SocketAddr::from(([127, 0, 0, 1], 0)) }
    }

    /// What it has logged so far; lines that are not JSON are left out.
    pub(crate) fn log(&self) -> Vec<Value> {
        events(&self.process.stderr)
    }

    /// Everything it has written to standard error.
    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(&self.process.stderr).unwrap()
    }

    /// Waits until a line of its log has this message.
    pub(crate) fn wait_for_log(&self, message: &str) {
        eventually(message, || {
            self.log().iter().any(|event| event["message"].as_str().is_some_and(|it| it.contains(message)))
        });
    }

    /// The value of one line of `/metrics`, 0 if it is not there.
    pub(crate) fn metric(&self, line: &str) -> u64 {
        let text = http::get(self.address, "/metrics").body;
        let found = text.lines().find_map(|known| known.strip_prefix(line)?.strip_prefix(' '));
        found.map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until that many events of the group are in the journal and folded.
    pub(crate) fn wait_for_events(&self, group: &str, events: u64) {
        let line = format!("watchbell_incoming_log_events_total{{log_group=\"{group}\"}}");
        eventually(&format!("{events} events of {group}"), || {
            let seen = self.metric(&line);
            assert!(seen <= events, "{seen} events of {group}, more than {events}");
            seen == events
        });
    }

    /// `kill -9`.
    pub(crate) fn kill(self) {
        self.process.kill();
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// SIGTERM; everything must end well.
    pub(crate) fn stop(self) {
        let stderr = self.process.stderr.clone();
        let status = self.terminate();
        assert!(status.success(), "{status}: {}", std::fs::read_to_string(stderr).unwrap());
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        eventually_some("it ends", || self.process.child.try_wait().unwrap())
    }
}

fn stderr_name(number: usize) -> String {
    format!("stderr-{number}.txt")
}

fn events(path: &PathBuf) -> Vec<Value> {
    let bytes = std::fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
