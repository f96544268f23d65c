//! `watchbell functions`: how the functions of a running `watchbell up` do, and what one makes of the lines of a file.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use watchbell_functions::process::{Input, InputEvent, Keep, Outcome};
use watchbell_model::{LINE_BYTES_MAX, Sample, Timestamp, without_end};
use watchbell_notify::visible;

use super::file::File;
use super::server::Place;
use super::table::aligned;
use super::{Format, Global, finding, say, written};
use crate::run::functions::load::load;
use crate::{ExitStatus, Failure, out};

/// Shows functions, or tries one.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  watchbell functions                        how each does: workers, what it did, why it scaled\n  \
                        watchbell functions test enrich app.log    what it would make of these lines; nothing is kept\n  \
                        tail app.log | watchbell functions test enrich - --format json\n\n\
                        Without a verb it asks a running watchbell up; a token's role must allow watchbell:GetStatus.\n\
                        Exit code 1: a line failed."
)]
pub(super) struct Options {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What else to do.
#[derive(Subcommand)]
enum Verb {
    /// Run a function over the lines of a file: print what becomes of each, keep nothing, post nothing, run nothing
    Test {
        /// The function
        name: String,
        /// The file; - for standard input
        file: PathBuf,
    },
}

pub(super) fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    match &options.verb {
        None => list(global, options),
        Some(Verb::Test { name, file }) => test(global, name, file),
    }
}

fn list(global: &Global, options: &Options) -> Result<(), Failure> {
    let answer: Value = options.place.server(global)?.status_page("/functions")?;
    written(match global.format {
        Format::Json => out::line(&answer.to_string()),
        Format::Text => out::text(&table(answer["functions"].as_array().map_or(&[][..], Vec::as_slice))),
    })
}

/// One row a function, then why it has so many workers and what failed last.
fn table(functions: &[Value]) -> String {
    let head = ["FUNCTION", "QUEUE", "WORKERS", "MESSAGES", "EVENTS", "FAILED", "RAISED", "AGAIN"];
    let mut rows = vec![head.map(str::to_owned)];
    let text = |value: &Value| visible(value.as_str().unwrap_or_default());
    for function in functions {
        let workers = &function["workers"];
        let raised =
            function["raised_events"].as_u64().unwrap_or(0) + function["raised_values"].as_u64().unwrap_or(0);
        rows.push([
            text(&function["function"]),
            text(&function["queue"]),
            format!("{} ({}-{})", workers["now"], workers["min"], workers["max"]),
            function["messages"].to_string(),
            function["events"].to_string(),
            function["failed_events"].to_string(),
            raised.to_string(),
            function["tried_again"].to_string(),
        ]);
    }
    let mut shown = String::new();
    for (number, row) in aligned(&rows).lines().enumerate() {
        shown += row;
        shown.push('\n');
        let Some(function) = number.checked_sub(1).map(|at| &functions[at]) else { continue };
        let scaled = &function["last_scaled"];
        if scaled.is_object() {
            let (at, reason) = (text(&scaled["at"]), text(&scaled["reason"]));
            writeln!(shown, "  workers {} to {} at {at}: {reason}", scaled["from"], scaled["to"])
                .expect("a string takes all");
        }
        if let Some(error) = function["last_error"].as_str() {
            writeln!(shown, "  last error: {}", visible(error)).expect("a string takes all");
        }
    }
    shown
}

fn test(global: &Global, name: &str, file: &Path) -> Result<(), Failure> {
    let (plan, _) = File::read(&global.config)?.plan()?;
    let unready = |error: &dyn std::fmt::Display| Failure::new(ExitStatus::Configuration, error);
    let functions = load(&plan).map_err(|errors| {
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        unready(&all.join("\n       "))
    })?;
    let Some(loaded) = functions.get(name) else {
        let names: Vec<&str> = functions.keys().map(String::as_str).collect();
        let failure = Failure::new(ExitStatus::Usage, format!("the file has no function \"{name}\""));
        return Err(failure.help(format!("it has: {}", names.join(", "))));
    };
    let unreadable = |error: &std::io::Error| Failure::io(file.display(), error);
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(|error| unreadable(&error))?)
    };
    let mut lines = BufReader::new(input);
    let (mut line, mut number, mut counts) = (Vec::new(), 0_u64, Counts::default());
    loop {
        line.clear();
        // A line that is longer comes in pieces; `up` cuts it.
        let mut limited = lines.by_ref().take(LINE_BYTES_MAX as u64);
        if limited.read_until(b'\n', &mut line).map_err(|error| unreadable(&error))? == 0 {
            break;
        }
        number += 1;
        let text = String::from_utf8_lossy(without_end(line.strip_suffix(b"\n").unwrap_or(&line)));
        let event = InputEvent { timestamp: Timestamp(0), text };
        let runs = loaded.program.commands(&event);
        let input = Input { events: vec![event], hops: 0, backfill: false };
        let outcome = loaded.program.process(&input, Keep::All);
        counts.add(&outcome);
        let posts = outcome.events.iter().any(|event| event.posts);
        let told = Tried { number, outcome, posts, runs };
        written(match global.format {
            Format::Json => out::line(&told.json().to_string()),
            Format::Text => out::text(&told.text()),
        })?;
    }
    say(&format!(
        "{number} lines: {} events and {} values raised, {} failed; nothing was kept",
        counts.raised, counts.values, counts.failed
    ));
    if counts.failed > 0 { Err(finding()) } else { Ok(()) }
}

#[derive(Default)]
struct Counts {
    raised: usize,
    values: usize,
    failed: usize,
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        self.raised += outcome.raised.len();
        self.values += outcome.samples.len();
        self.failed += outcome.failed.len();
    }
}

/// What became of one line.
struct Tried {
    number: u64,
    outcome: Outcome,
    posts: bool,
    runs: bool,
}

impl Tried {
    fn text(&self) -> String {
        let mut shown = String::new();
        let mut line = |what: &str, text: &str| {
            writeln!(shown, "{:>6}  {what:<8}  {}", self.number, visible(text)).expect("a string takes all");
        };
        for event in &self.outcome.events {
            line("becomes", &event.text);
        }
        for _ in &self.outcome.raised {
            line("raised", "into the log group of the function");
        }
        for sample in &self.outcome.samples {
            line("value", &spell(sample));
        }
        if self.posts {
            line("posts", "the webhook would get it");
        }
        if self.runs {
            line("runs", "the command is for it");
        }
        for failed in &self.outcome.failed {
            line("failed", &failed.reason);
        }
        shown
    }

    fn json(&self) -> Value {
        json!({
            "line": self.number,
            "becomes": self.outcome.events.first().map(|event| &event.text),
            "raised": !self.outcome.raised.is_empty(),
            "values": self.outcome.samples,
            "posts": self.posts,
            "runs": self.runs,
            "failed": self.outcome.failed.first().map(|failed| &failed.reason),
        })
    }
}

fn spell(sample: &Sample) -> String {
    let mut text = format!("{}/{} {}", sample.metric.namespace, sample.metric.name, sample.value);
    for (name, value) in &sample.dimensions {
        write!(text, " {name}={value}").expect("a string takes all");
    }
    text
}
