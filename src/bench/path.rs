//! The whole path: a file appears, its lines are read, journaled and matched, by what `up` runs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use watchbell_config::{Source, check, render};
use watchbell_corpus::Corpus;
use watchbell_journal::RealDisk;
use watchbell_model::{GroupName, Plan};

use super::cpu;
use super::kind::Kind;
use super::place::Place;
use crate::run::clock::SystemClock;
use crate::run::{Running, Setup, Sizes, console};
use crate::{ExitStatus, Failure};

/// Between two looks whether all lines have been matched.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Threads of the async runtime: HTTP, messages, and writing of archive objects.
const RUNTIME: &str = "bench-runtime";

/// The part of a thread's name that Linux keeps.
const ARCHIVER: &str = "watchbell-archi";

/// What the path took, in seconds of processor time.
pub(super) struct Taken {
    /// Until every line was matched and on disk, without the archiver.
    pub(super) seconds: f64,
    pub(super) shares: Shares,
    /// Until the process would have ended, everything archived.
    pub(super) seconds_with_archive: f64,
    /// Events that each filter matched.
    pub(super) matched: Vec<u64>,
}

/// Who took it, as shares of 1.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Shares {
    /// Reads files, finds lines and times.
    pub(crate) collector: f64,
    /// Encodes, writes and syncs.
    pub(crate) writer: f64,
    /// Matches, keeps metrics and alarms.
    pub(crate) fold: f64,
    /// Snapshots, file notifications.
    pub(crate) other: f64,
}

/// Runs the patterns as metric filters, the first so many with an alarm, over the logs as a file.
pub(super) fn measure(
    kind: Kind,
    corpus: &Corpus,
    patterns: &[String],
    alarms: usize,
    place: &Place,
) -> Result<Taken, Failure> {
    let place = place.part("path")?;
    let logs = place.part("logs")?;
    let log = place.write("ready.log", corpus.batches.iter().map(|batch| &batch.text))?;
    let plan = plan(kind, patterns, alarms, &place)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name(RUNTIME)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::new(ExitStatus::Unavailable, error))?;
    let setup = Setup {
        plan: plan.clone(),
        clock: Arc::new(SystemClock),
        disk: Arc::new(RealDisk),
        console: console(|_| Ok(())),
        colour: false,
        sizes: Sizes::default(),
    };
    let running = Running::start(setup, runtime.handle())?;
    let watched = Watched { running: &running, place: &place };
    let start = watched
        .until(|running| running.fold().look().engine.plan().is_some_and(|(_, in_force)| *in_force == plan));
    let (process, own) = (cpu::of_process(), watchbell_corpus::cpu::of_thread());
    let seen = start.and_then(|()| watched.one_file(&log, &logs.path("app.log"), corpus.lines() as u64));
    let matched = watched.matched(patterns.len());
    // Also when it went wrong: its folder can go only after it.
    let drained = runtime.block_on(running.drain());
    let (seconds, shares) = seen?;
    drained?;
    let seconds_with_archive = (cpu::of_process() - process) - (watchbell_corpus::cpu::of_thread() - own);
    Ok(Taken { seconds, shares, seconds_with_archive, matched })
}

/// A running Watchbell, looked at again and again.
struct Watched<'a> {
    running: &'a Running,
    place: &'a Place,
}

impl Watched<'_> {
    fn until(&self, holds: impl Fn(&Running) -> bool) -> Result<(), Failure> {
        while !holds(self.running) {
            self.place.go_on()?;
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// Lets a file appear and waits until its lines are matched and on disk. What that took.
    fn one_file(&self, ready: &Path, appeared: &Path, lines: u64) -> Result<(f64, Shares), Failure> {
        let before = cpu::by_thread("self")?;
        fs::rename(ready, appeared).map_err(|error| Failure::io(appeared.display(), &error))?;
        let group = GroupName::new(GROUP).expect("a good name");
        self.until(|running| {
            let fold = running.fold().look();
            let events = fold.engine.counters().groups.get(&group).map_or(0, |counters| counters.events);
            events >= lines && *running.durable().borrow() >= fold.next
        })?;
        Ok(shares(&before, &cpu::by_thread("self")?))
    }

    /// Events that each filter has matched.
    fn matched(&self, filters: usize) -> Vec<u64> {
        let fold = self.running.fold().look();
        let counters = &fold.engine.counters().filters;
        (0..filters).map(|index| counters.get(&filter(index)).map_or(0, |filter| filter.matched)).collect()
    }
}

/// What all threads took that belong to detection, and who of them.
fn shares(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> (f64, Shares) {
    let of = |is_meant: &dyn Fn(&str) -> bool| -> f64 {
        let all = after.iter().filter(|(name, _)| is_meant(name));
        all.map(|(name, seconds)| seconds - before.get(name).unwrap_or(&0.0)).sum()
    };
    let [collector, writer, fold] =
        ["watchbell-colle", "watchbell-write", "watchbell-fold"].map(|thread| of(&|name| name == thread));
    // This one waits and looks.
    let own = fs::read_to_string("/proc/thread-self/comm").unwrap_or_default();
    let not_detection = [own.trim_end(), RUNTIME, ARCHIVER];
    let all = of(&|name| !not_detection.contains(&name));
    let other = all - collector - writer - fold;
    let shares =
        Shares { collector: collector / all, writer: writer / all, fold: fold / all, other: other / all };
    (all, shares)
}

/// The group that gets the logs.
pub(super) const GROUP: &str = "bench/app";

/// The name of a filter.
fn filter(index: usize) -> String {
    format!("f{index:05}")
}

/// What a user would have written.
fn plan(kind: Kind, patterns: &[String], alarms: usize, place: &Place) -> Result<Plan, Failure> {
    let text = config_text(kind, patterns, alarms, "*.log");
    let folder = place.path("");
    let source = Source { name: "bench.toml", text: &text, folder: &folder };
    let checked = check(&source);
    checked.plan.ok_or_else(|| Failure::new(ExitStatus::Defect, render(&checked.problems, &source, false)))
}

/// The same as text: the group's files are those in `logs` with such a name.
pub(super) fn config_text(kind: Kind, patterns: &[String], alarms: usize, files: &str) -> String {
    let mut text = format!(
        "version = 1\ndata_dir = \"data\"\n[http]\nlisten = \"127.0.0.1:0\"\n[topics.ops]\nconsole = {{}}\n\
         [log_groups.\"{GROUP}\"]\nfiles = [\"logs/{files}\"]\nparse = \"{}\"\n",
        kind.parse()
    );
    for (index, pattern) in patterns.iter().enumerate() {
        let name = filter(index);
        // A JSON string is a TOML string.
        let pattern = serde_json::Value::from(pattern.as_str());
        let put = writeln!(
            text,
            "[metric_filters.{name}]\nlog_group = \"{GROUP}\"\npattern = {pattern}\n\
             metric = {{ namespace = \"Bench\", name = \"{name}\" }}"
        );
        put.expect("a string takes all");
    }
    for name in (0..alarms).map(filter) {
        let put = writeln!(
            text,
            "[alarms.{name}]\nmetric_filter = \"{name}\"\nstatistic = \"Sum\"\nperiod = \"60s\"\n\
             condition = \"> 1000000000000\"\nmissing_data = \"not_breaching\"\nnotify = [\"ops\"]"
        );
        put.expect("a string takes all");
    }
    text
}
