//! Plans and timelines with the decisions they give, one file each. `UPDATE=1` rewrites the decisions; the diff is the
//! review.
//!
//! A file has three parts: `--- plan`, a `watchbell.toml` without its version; `--- timeline`, lines of
//! `HH:MM:SS[.mmm] [@HH:MM:SS] log-group text`, where `@` is when the event happened if that is not when it arrived, and
//! `HH:MM:SS` alone lets time pass; `--- decisions`. Every instant that an alarm waits for gets its tick. A line `HH:MM:SS
//! plan` puts the plan in force that stands in a part `--- next plan` after the first.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use watchbell_config::{Source as File, check};
use watchbell_engine::{Engine, Snapshot};
use watchbell_model::{
    BatchBuilder, Decision, Decisions, Dimensions, Entry, EventFlags, GroupName, InstallationId, Offset,
    Plan, Record, Source, Timestamp,
};

const INSTALLATION: InstallationId = InstallationId(*b"testtest");
/// 2027-01-15, a Friday.
const MIDNIGHT: i64 = 1_800_000_000_000 - 1_800_000_000_000 % 86_400_000;

struct Case {
    plan: Plan,
    next_plan: Option<Plan>,
    timeline: Vec<Step>,
}

/// What happens at a time, in milliseconds since midnight.
struct Step {
    at: i64,
    what: What,
}

enum What {
    Tick,
    Plan,
    Event { group: GroupName, happened: Option<i64>, text: String },
}

fn clock(text: &str) -> Option<i64> {
    let (whole, ms) = text.split_once('.').unwrap_or((text, "0"));
    let parts: Vec<i64> = whole.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [h, m, s] = parts[..] else { return None };
    Some(((h * 60 + m) * 60 + s) * 1000 + ms.parse::<i64>().ok()?)
}

fn step(line: &str) -> Step {
    let mut words = line.splitn(2, ' ');
    let at = clock(words.next().unwrap()).unwrap_or_else(|| panic!("no time in {line:?}"));
    let Some(rest) = words.next() else { return Step { at, what: What::Tick } };
    if rest == "plan" {
        return Step { at, what: What::Plan };
    }
    let (happened, rest) = match rest.strip_prefix('@').and_then(|rest| rest.split_once(' ')) {
        Some((time, rest)) => (clock(time), rest),
        None => (None, rest),
    };
    let (group, text) = rest.split_once(' ').unwrap();
    let what = What::Event { group: GroupName::new(group).unwrap(), happened, text: text.to_owned() };
    Step { at, what }
}

fn read(path: &Path) -> (Case, String) {
    let text = fs::read_to_string(path).unwrap();
    let mut parts = ["--- plan\n", "--- timeline\n", "--- decisions\n"].iter();
    let head = text.strip_prefix(*parts.next().unwrap()).unwrap();
    let (plan, rest) = head.split_once(*parts.next().unwrap()).unwrap();
    let (timeline, decisions) = rest.split_once(*parts.next().unwrap()).unwrap();
    let (plan, next_plan) = match plan.split_once("--- next plan\n") {
        Some((plan, next)) => (plan, Some(next)),
        None => (plan, None),
    };
    let read_plan = |text: &str| {
        let text = format!("version = 1\n{text}");
        let checked = check(&File { name: "watchbell.toml", text: &text, folder: Path::new("/x") });
        checked.plan.unwrap_or_else(|| panic!("{}: {:?}", path.display(), checked.problems))
    };
    let (plan, next_plan) = (read_plan(plan), next_plan.map(read_plan));
    let timeline = timeline.lines().filter(|line| !line.is_empty()).map(step).collect();
    (Case { plan, next_plan, timeline }, decisions.to_owned())
}

/// The journal of a case, and what is decided in it.
struct Run {
    engine: Engine,
    /// Between any two records the engine is written down and read back.
    restarts: bool,
    offset: u64,
    told: String,
}

impl Run {
    fn record(&mut self, at: i64, entry: Entry) {
        if self.restarts {
            let json = serde_json::to_string(&self.engine.snapshot()).unwrap();
            let snapshot: Snapshot = serde_json::from_str(&json).unwrap();
            self.engine = Engine::restore(INSTALLATION, snapshot).unwrap();
        }
        let record = Record { offset: Offset(self.offset), time: Timestamp(MIDNIGHT + at), entry };
        self.offset += 1;
        let items = self.engine.step(&record).unwrap();
        for item in &items {
            writeln!(self.told, "{}", spell(item)).unwrap();
        }
        if !items.is_empty() {
            self.record(at, Entry::Decisions(Decisions { cause: record.offset, first: 0, items }));
        }
    }

    /// Lets every instant before `at` pass.
    fn pass(&mut self, at: i64) {
        while let Some(wake) = self.engine.next_wake().filter(|wake| wake.0 < MIDNIGHT + at) {
            self.record(wake.0 - MIDNIGHT + 1, Entry::Tick);
        }
    }
}

fn time(at: Timestamp) -> String {
    let ms = at.0 - MIDNIGHT;
    let (s, ms) = (ms / 1000, ms % 1000);
    let fraction = if ms == 0 { String::new() } else { format!(".{ms:03}") };
    format!("{:02}:{:02}:{:02}{fraction}", s / 3600, s / 60 % 60, s % 60)
}

fn who(alarm: &str, dimensions: &Dimensions) -> String {
    let pairs: Vec<String> = dimensions.iter().map(|(name, value)| format!("{name} {value}")).collect();
    if pairs.is_empty() { alarm.to_owned() } else { format!("{alarm} [{}]", pairs.join(", ")) }
}

fn spell(decision: &Decision) -> String {
    match decision {
        Decision::Transition(it) => {
            let mut text =
                format!("{} {}: {} -> {}", time(it.at), who(&it.alarm, &it.dimensions), it.from, it.to);
            for (flag, word) in [(it.early, " early"), (it.late, " late"), (!it.notify.is_empty(), " told")] {
                text.push_str(if flag { word } else { "" });
            }
            if let Some(rule) = &it.muted {
                write!(text, " muted by {rule}").unwrap();
            }
            if let Some(by) = it.suppressed_by {
                write!(text, " suppressed by {by:?}").unwrap();
            }
            let lines: Vec<&str> =
                it.first_lines.iter().chain(&it.last_lines).map(|line| line.message.as_str()).collect();
            write!(text, "\n    {}", it.reason).unwrap();
            if !lines.is_empty() {
                write!(text, "\n    {} matched: {}", it.matched, lines.join(" | ")).unwrap();
            }
            text
        }
        Decision::Released { at, transition } => {
            format!(
                "{} {}: {} told now",
                time(*at),
                who(&transition.alarm, &transition.dimensions),
                transition.to
            )
        }
        Decision::Correction(it) => {
            let value = |value: Option<f64>| value.map_or("no data".to_owned(), |value| value.to_string());
            let (before, after) = (value(it.before.value), value(it.after.value));
            format!(
                "{}: correction of {}: {before} -> {after}",
                who(&it.alarm, &it.dimensions),
                time(it.before.start)
            )
        }
        Decision::SeriesLimit(it) => {
            format!("{}: more than {} series, {}", it.filter, it.series_max, who("first", &it.refused))
        }
    }
}

fn decisions(case: &Case, restarts: bool) -> String {
    let mut run = Run { engine: Engine::new(INSTALLATION), restarts, offset: 0, told: String::new() };
    let start = case.timeline.first().map_or(0, |step| step.at);
    run.record(start, Entry::Plan(Box::new(case.plan.clone())));
    for step in &case.timeline {
        run.pass(step.at);
        let (group, happened, text) = match &step.what {
            What::Tick => {
                run.record(step.at, Entry::Tick);
                continue;
            }
            What::Plan => {
                run.record(step.at, Entry::Plan(Box::new(case.next_plan.clone().unwrap())));
                continue;
            }
            What::Event { group, happened, text } => (group, happened, text),
        };
        let mut builder = BatchBuilder::default();
        builder.push(text, happened.map(|at| Timestamp(MIDNIGHT + at)), EventFlags::default());
        let source = Source::Http { principal: "loopback".into(), batch_id: None };
        let batch = builder.build(group.clone(), "web-1".into(), source, false);
        run.record(step.at, Entry::Batch(batch));
    }
    run.told
}

#[test]
fn every_timeline_gives_its_decisions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/timelines");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    let mut wrong = String::new();
    for path in paths {
        let (case, expected) = read(&path);
        let found = decisions(&case, false);
        assert_eq!(decisions(&case, true), found, "{}: restarts change decisions", path.display());
        if env::var_os("UPDATE").is_some() {
            let text = fs::read_to_string(&path).unwrap();
            let head = &text[..text.find("--- decisions\n").unwrap()];
            fs::write(&path, format!("{head}--- decisions\n{found}")).unwrap();
        } else if found != expected {
            write!(wrong, "{}\n{found}\n", path.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "not as the files say (UPDATE=1 rewrites them):\n{wrong}");
}
