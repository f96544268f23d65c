//! One step of a task: a command that is announced, run and timed.
//!
//! Promise: a step that fails names itself and passes on its command's exit code.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// Why a task stopped: what to tell, and the exit code (those of the `watchbell` program).
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) exit_code: u8,
}

impl Failure {
    /// The work was done and its result is not good enough.
    pub(crate) fn finding(message: String) -> Self {
        Self { message, exit_code: 1 }
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: String) -> Self {
        Self { message, exit_code: 2 }
    }

    /// Something outside is missing: a program, a package, the network.
    pub(crate) fn unavailable(message: String) -> Self {
        Self { message, exit_code: 69 }
    }

    /// Reading or writing did not work; `what` was being done.
    pub(crate) fn io(what: &str, error: &std::io::Error) -> Self {
        Self { message: format!("{what}: {error}"), exit_code: 74 }
    }
}

/// A running measurement of wall time.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "how long a step takes is a question about the real clock")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Says what is about to run.
pub(crate) fn announce(name: &str, command: &Command) {
    eprintln!("xtask: {name}: {}", line_of(command));
}

/// Runs `command` to its end as the step `name`.
///
/// # Errors
/// The command cannot be started (69), or ends with another status than success (its own exit code).
pub(crate) fn run(name: &str, command: &mut Command) -> Result<(), Failure> {
    announce(name, command);
    let stopwatch = Stopwatch::start();
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    finish(name, status, stopwatch.elapsed())
}

/// Tells how the step `name` ended.
pub(crate) fn finish(name: &str, status: ExitStatus, elapsed: Duration) -> Result<(), Failure> {
    let elapsed_s = elapsed.as_secs_f64();
    if status.success() {
        eprintln!("xtask: {name}: done in {elapsed_s:.1} s");
        return Ok(());
    }
    Err(Failure {
        message: format!("{name}: {status}, after {elapsed_s:.1} s"),
        exit_code: exit_code(status),
    })
}

/// The failure of a command whose program is not there or cannot run.
pub(crate) fn cannot_start(command: &Command, error: &std::io::Error) -> Failure {
    Failure::unavailable(format!("cannot start {}: {error}", command.get_program().display()))
}

/// A status without an exit code (killed by a signal) becomes 1.
fn exit_code(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The command as a person would type it, programs of the toolchain by their bare name.
fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words: Vec<_> = std::iter::once(name).chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_step_passes_on_the_exit_code() {
        let failure = run("step", Command::new("sh").args(["-c", "exit 101"])).unwrap_err();
        assert_eq!(failure.exit_code, 101);
    }

    #[test]
    fn step_killed_by_a_signal_fails_with_one() {
        let failure = run("step", Command::new("sh").args(["-c", "kill -9 $$"])).unwrap_err();
        assert_eq!(failure.exit_code, 1);
    }

    #[test]
    fn missing_program_is_unavailable() {
        let failure = run("step", &mut Command::new("no-such-program-of-ours")).unwrap_err();
        assert_eq!(failure.exit_code, 69);
        assert!(failure.message.contains("no-such-program-of-ours"), "{}", failure.message);
    }

    #[test]
    fn line_names_the_program_without_its_folder() {
        assert_eq!(line_of(Command::new("/opt/bin/cargo").args(["fmt", "--all"])), "cargo fmt --all");
    }
}
