//! `watchbell agent --to cloudwatch` from outside: real files, a real process that is killed, and an endpoint that keeps the
//! rules of CloudWatch Logs.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]

mod fake;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use self::fake::{Fake, Fault, now_ms};

/// How often [`eventually`] looks, and how often at most.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS_MAX: usize = 6000;

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..LOOKS_MAX {
        if holds() {
            return;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    panic!("never happened: {what}");
}

/// A folder with a file that ships to a fake.
struct Site {
    folder: TempDir,
    fake: Fake,
}

impl Site {
    fn new(groups: &[&str], body: &str) -> Site {
        let site = Site { folder: tempfile::tempdir().unwrap(), fake: Fake::start(groups) };
        let endpoint = site.fake.address;
        let text = format!(
            "version = 1\ndata_dir = \"data\"\n[aws]\nregion = \"eu-central-1\"\nendpoint = \"http://{endpoint}\"\n{body}"
        );
        fs::write(site.path("watchbell.toml"), text).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchbell"));
        command.args(["agent", "--to", "cloudwatch"]).args(more).current_dir(self.folder.path());
        for name in ["WATCHBELL_CONFIG", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"] {
            command.env_remove(name);
        }
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_CONFIG_FILE", "/dev/null");
        command.stdin(Stdio::null());
        command
    }

    fn start(&self) -> Agent {
        let number = (0..usize::MAX).find(|it| !self.path(&format!("log-{it}")).exists()).unwrap();
        let log = self.path(&format!("log-{number}"));
        let stderr = fs::File::create(&log).unwrap();
        Agent { child: self.command(&["--log", "json"]).stderr(stderr).spawn().unwrap(), log }
    }

    fn check(&self) -> Output {
        self.command(&["--check"]).output().unwrap()
    }

    /// Waits until so many events are there, in all streams of the group.
    fn wait_for_events(&self, group: &str, events: usize) {
        eventually(&format!("{events} events"), || {
            let found: usize = self.fake.state().messages(group).values().sum();
            assert!(found <= events, "{found} events, more than {events}: {:?}", self.fake.state().calls);
            found == events
        });
    }

    fn assert_each_once(&self, group: &str, expected: &str) {
        let state = self.fake.state();
        let found = state.messages(group);
        let expected: BTreeMap<String, usize> = expected.lines().map(|line| (line.to_owned(), 1)).collect();
        let lost: Vec<_> = expected.keys().filter(|line| !found.contains_key(*line)).take(5).collect();
        let other: Vec<_> =
            found.iter().filter(|(line, times)| expected.get(*line) != Some(times)).take(5).collect();
        assert!(lost.is_empty() && other.is_empty(), "lost {lost:?}, doubled or not ours {other:?}");
        assert_eq!(state.violations, Vec::<String>::new());
    }
}

/// A running agent, killed when dropped.
struct Agent {
    child: Child,
    log: PathBuf,
}

impl Agent {
    fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.log).unwrap();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn wait_for_log(&self, text: &str) {
        eventually(text, || self.log().iter().any(|event| event.to_string().contains(text)));
    }

    fn signal(&self, name: &str) {
        let kill = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.child.id())).status();
        assert!(kill.unwrap().success());
    }

    fn stop(mut self) {
        self.signal("TERM");
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", fs::read_to_string(&self.log).unwrap());
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const FILES: &str = "[log_groups.app]\nfiles = [\"app.log\"]\n";

fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.fold(String::new(), |mut text, number| {
        writeln!(text, "line {number} of a stream that is counted").unwrap();
        text
    })
}

#[test]
fn whatever_is_in_the_files_calls_keep_the_limits_and_what_is_refused_is_counted() {
    let site = Site::new(
        &["app"],
        "[log_groups.app]\nfiles = [\"*.log\"]\ntimestamp = { format = \"%Y-%m-%dT%H:%M:%S%z\" }\n",
    );
    let hour = 60 * 60 * 1000;
    let at = |hours: i64| {
        let instant = jiff::Timestamp::from_millisecond(now_ms() + hours * hour).unwrap();
        instant.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()
    };
    // Out of order, over four days, with one that is too old and one that is too far ahead; then more than a call may have.
    let mut times: Vec<i64> = (0..200).map(|number| -(number * 37 % 96)).collect();
    times.extend([-15 * 24, 3]);
    let dated: Vec<String> =
        times.iter().enumerate().map(|(number, hours)| format!("{} dated {number}", at(*hours))).collect();
    site.append("app.log", &format!("{}\n", dated.join("\n")));
    site.append("a:b.log", &lines(0..12_000));
    let long = "ä".repeat(watchbell_model::LINE_BYTES_MAX / 2);
    site.append("long.log", &format!("\n{long}\nafter\n"));
    let agent = site.start();
    site.wait_for_events("app", 200 + 12_000 + 2);
    for text in ["more than 14 days ago", "more than 2 hours ahead", "no empty lines"] {
        agent.wait_for_log(text);
    }
    agent.stop();
    let state = site.fake.state();
    assert_eq!(state.violations, Vec::<String>::new());
    let found = state.messages("app");
    assert!(found.values().all(|times| *times == 1));
    assert!(dated[..200].iter().all(|line| found.contains_key(line)));
    assert!(found.keys().any(|line| line.ends_with("ä… [cut]")));
    let streams: Vec<&String> = state.groups["app"].keys().collect();
    assert!(streams.len() == 3 && streams.iter().any(|name| name.contains("a_b.log-")), "{streams:?}");
}

#[test]
fn throttling_lost_answers_and_errors_neither_lose_nor_double() {
    let site = Site::new(&["app"], FILES);
    site.fake.state().faults.extend([
        Fault::Error(400, "ThrottlingException"),
        Fault::StoreAndReset,
        Fault::Reset,
        Fault::Error(400, "ExpiredTokenException"),
        Fault::StoreAndFail,
    ]);
    site.append("app.log", &lines(0..20));
    let agent = site.start();
    site.wait_for_events("app", 20);
    // The same words at the same instant are lines of their own.
    site.append("app.log", &lines(20..40));
    agent.wait_for_log("AWS does not accept the credentials");
    agent.signal("HUP");
    site.wait_for_events("app", 40);
    site.append("app.log", &lines(40..60));
    site.wait_for_events("app", 60);
    eventually("every fault was met", || site.fake.state().faults.is_empty());
    agent.stop();
    site.assert_each_once("app", &lines(0..60));
}

#[test]
fn an_agent_that_is_killed_while_a_call_is_made_sends_each_line_once() {
    let site = Site::new(&["app"], FILES);
    for (number, fault) in [Fault::StoreAndHang, Fault::Hang].into_iter().enumerate() {
        let first = number * 100;
        site.append("app.log", &lines(first..first + 50));
        site.fake.state().faults.push_back(fault);
        let agent = site.start();
        eventually("a call is made", || site.fake.state().hung == number + 1);
        site.append("app.log", &lines(first + 50..first + 100));
        agent.kill();
        let agent = site.start();
        site.wait_for_events("app", first + 100);
        agent.stop();
    }
    site.assert_each_once("app", &lines(0..200));
}

#[test]
fn equal_lines_are_counted_when_it_is_looked_for_a_call() {
    let site = Site::new(
        &["app"],
        "[log_groups.app]\nfiles = [\"app.log\"]\ntimestamp = { format = \"%Y-%m-%dT%H:%M:%S%z\" }\n",
    );
    let now = jiff::Timestamp::from_millisecond(now_ms()).unwrap();
    let line = now.strftime("%Y-%m-%dT%H:%M:%S+0000 the same words\n").to_string();
    site.append("app.log", &line);
    let agent = site.start();
    site.wait_for_events("app", 1);
    // What is there already looks like the call that has not arrived.
    site.fake.state().faults.push_back(Fault::Hang);
    site.append("app.log", &line);
    eventually("a call is made", || site.fake.state().hung == 1);
    agent.kill();
    let agent = site.start();
    site.wait_for_events("app", 2);
    agent.stop();
    site.wait_for_events("app", 2);
}

#[test]
fn a_missing_group_is_said_and_what_waits_comes_once_it_is_there() {
    let site = Site::new(&["other"], FILES);
    site.append("app.log", &lines(0..10));
    let said = site.check();
    let stderr = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.code(), Some(69), "{stderr}");
    assert!(stderr.contains("has no log group app") && stderr.contains("watchbell aws deploy"), "{stderr}");
    let agent = site.start();
    agent.wait_for_log("log group app does not exist");
    site.fake.state().groups.insert("app".to_owned(), BTreeMap::new());
    assert!(site.check().status.success());
    agent.signal("HUP");
    site.wait_for_events("app", 10);
    agent.stop();
    site.assert_each_once("app", &lines(0..10));
}
