//! All tests, with what they need installed first.
//!
//! Promise: ends with the exit code of `cargo test`; the last line of standard output is the sum of all
//! test programs, each of which cargo only counts for itself.
//! Not here: formatting and lints (`ci`).

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::step::{self, Failure, Stopwatch};
use crate::tools;
use crate::workspace::Workspace;

/// How long the output may stay open after the last test program has ended.
const OUTPUT_CLOSES_WITHIN: Duration = Duration::from_secs(10);

/// `arguments` go to `cargo test`; a package named there replaces the whole workspace.
///
/// # Errors
/// A tool cannot be installed, a test fails, or a test left a process running.
pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<(), Failure> {
    let programs = tools::virtual_environment(workspace, "venv", "tests/tools/requirements.txt")?;
    let mut cargo_test = workspace.cargo();
    let lints = tools::virtual_environment(workspace, "templates", "tests/tools/templates.txt")?;
    cargo_test.args(cargo_arguments(arguments)).env("WATCHBELL_TEST_PYTHON", programs.join("python"));
    cargo_test.env("WATCHBELL_TEST_TEMPLATES", lints);
    let mut tally = Tally::default();
    let mut outcome = run_step("tests", &mut cargo_test, &mut tally);
    if outcome.is_ok() && !names_packages(arguments) {
        outcome =
            run_step("tests on an emulator of AWS", &mut on_emulator(workspace, arguments)?, &mut tally);
    }
    writeln!(io::stdout(), "{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.ignored)
        .map_err(|error| Failure::io("standard output", &error))?;
    outcome
}

/// Runs a test program in a network that only has a loopback; whatever it starts ends with it.
const IN_PRIVATE_NETWORK: [&str; 6] =
    ["unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"];

/// Brings the loopback up (`SIOCSIFFLAGS` with `IFF_UP` and `IFF_RUNNING`), which not every machine has a program for.
const WITH_LOOPBACK: &str = "import fcntl, os, socket, struct, sys; \
    fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 0x41)); os.execv(sys.argv[1], sys.argv[1:])";

/// The tests of the client of AWS. The emulator opens ports on every address of the machine, so it gets a network of its
/// own, as the tests demand.
fn on_emulator(workspace: &Workspace, arguments: &[OsString]) -> Result<Command, Failure> {
    let programs = tools::virtual_environment(workspace, "ministack", "tests/aws/requirements.txt")?;
    let python = programs.join("python");
    let python =
        python.to_str().ok_or_else(|| Failure::unavailable("the target directory is not UTF-8".into()))?;
    let runner = [&IN_PRIVATE_NETWORK[..], &[python, "-c", WITH_LOOPBACK]].concat();
    let runner: Vec<String> = runner.iter().map(|word| format!("{word:?}")).collect();
    let mut cargo_test = workspace.cargo();
    cargo_test.args(["test", "--locked", "--package", "watchbell", "--features", "aws", "--test", "aws"]);
    // These need no emulator, and the same build.
    cargo_test.args(["--lib", "--test", "cloudwatch"]);
    cargo_test.arg("--config").arg(format!("target.'cfg(unix)'.runner = [{}]", runner.join(", ")));
    cargo_test.args(arguments);
    cargo_test.env("WATCHBELL_TEST_MINISTACK", python);
    // Anything will do, and nobody's own may be used.
    cargo_test.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    Ok(cargo_test)
}

/// Runs a test command to its end and adds what it counts.
fn run_step(name: &str, command: &mut Command, tally: &mut Tally) -> Result<(), Failure> {
    step::announce(name, command);
    let stopwatch = Stopwatch::start();
    let (status, counted) = run_tallied(command, io::stdout())?;
    tally.passed += counted.passed;
    tally.failed += counted.failed;
    tally.ignored += counted.ignored;
    step::finish(name, status, stopwatch.elapsed())
}

fn names_packages(arguments: &[OsString]) -> bool {
    let for_cargo = arguments.split(|argument| argument == "--").next().unwrap_or_default();
    for_cargo
        .iter()
        .filter_map(|argument| argument.to_str())
        .any(|argument| argument.starts_with("-p") || argument.starts_with("--package"))
}

/// `--workspace` would make cargo ignore `-p`.
fn cargo_arguments(arguments: &[OsString]) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec!["test".into(), "--locked".into()];
    if !names_packages(arguments) {
        all.push("--workspace".into());
    }
    all.extend_from_slice(arguments);
    all
}

/// Runs `command` to its end; its standard output goes to `copy` and is counted.
fn run_tallied(
    command: &mut Command,
    copy: impl Write + Send + 'static,
) -> Result<(ExitStatus, Tally), Failure> {
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|error| step::cannot_start(command, &error))?;
    let tally = tally_aside(&mut child, copy);
    let status = child.wait().map_err(|error| Failure::io("waiting for cargo", &error))?;
    // A process that a test left behind keeps the output open: without a limit that would hang for ever.
    let tally = tally.recv_timeout(OUTPUT_CLOSES_WITHIN).map_err(|_| {
        Failure::finding(
            "tests: a process started by a test is still running and holds the output open".into(),
        )
    })?;
    Ok((status, tally.map_err(|error| Failure::io("output of the tests", &error))?))
}

/// Starts a thread that reads the child's output and sends the tally at its end.
fn tally_aside(
    child: &mut Child,
    mut copy: impl Write + Send + 'static,
) -> mpsc::Receiver<io::Result<Tally>> {
    let output = child.stdout.take().expect("run_tallied has asked for a pipe");
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || sender.send(Tally::of(output, &mut copy)));
    receiver
}

/// How many tests ended how, over all test programs of a run.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    /// Reads `output` to its end and copies it to `copy`.
    fn of(output: impl Read, copy: &mut impl Write) -> io::Result<Self> {
        let mut tally = Self::default();
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line)? > 0 {
            copy.write_all(&line)?;
            copy.flush()?;
            tally.add(&String::from_utf8_lossy(&line));
            line.clear();
        }
        Ok(tally)
    }

    /// Adds the counts if `line` closes a test program: `test result: ok. 3 passed; 0 failed; …`.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split(';') {
            match count.trim().split_once(' ').map(|(number, outcome)| (number.parse::<u64>(), outcome)) {
                Some((Ok(number), "passed")) => self.passed += number,
                Some((Ok(number), "failed")) => self.failed += number,
                Some((Ok(number), "ignored")) => self.ignored += number,
                _ => {} // measured, filtered out, the time it took
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cargo_line(arguments: &[&str]) -> String {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        cargo_arguments(&arguments).join(" ".as_ref()).into_string().unwrap()
    }

    #[test]
    fn all_packages_are_tested_unless_one_is_named() {
        assert_eq!(cargo_line(&[]), "test --locked --workspace");
        assert_eq!(cargo_line(&["--", "burst"]), "test --locked --workspace -- burst");
        assert_eq!(cargo_line(&["-p", "xtask"]), "test --locked -p xtask");
        assert_eq!(cargo_line(&["-pxtask"]), "test --locked -pxtask");
        assert_eq!(cargo_line(&["--package=xtask"]), "test --locked --package=xtask");
    }

    #[test]
    fn option_behind_the_separator_names_no_package() {
        assert_eq!(cargo_line(&["--", "-p"]), "test --locked --workspace -- -p");
    }

    #[test]
    fn tally_sums_all_test_programs_and_copies_their_output() {
        let output = "running 2 tests\n\
            test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.01s\n\
            caf\u{e9}\n\
            test result: FAILED. 5 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        let mut copy = Vec::new();
        let tally = Tally::of(output.as_bytes(), &mut copy).unwrap();
        assert_eq!(tally, Tally { passed: 7, failed: 3, ignored: 1 });
        assert_eq!(copy, output.as_bytes());
    }

    #[test]
    fn tally_passes_on_bytes_that_are_not_text() {
        let mut copy = Vec::new();
        let tally = Tally::of(&b"\xff\xfe\ntest result: ok. 1 passed; 0 failed\n"[..], &mut copy).unwrap();
        assert_eq!(tally.passed, 1);
        assert!(copy.starts_with(b"\xff\xfe\n"));
    }

    #[test]
    fn exit_code_of_the_tests_is_kept() {
        let script = "echo 'test result: FAILED. 0 passed; 1 failed'; exit 101";
        let (status, tally) = run_tallied(Command::new("sh").args(["-c", script]), io::sink()).unwrap();
        assert_eq!((status.code(), tally.failed), (Some(101), 1));
    }
}
