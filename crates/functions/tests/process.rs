//! Functions and lines with what becomes of them, one file each. `UPDATE=1` rewrites the outcomes; the diff is the
//! review.
//!
//! A file has the parts `--- function`, keys of a `[functions.f]`; `--- file NAME`, which it looks things up in;
//! `--- events`, a message of a line each; `--- outcome`, in which events count from 0.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

use watchbell_config::{Source, check, render};
use watchbell_functions::process::{Input, InputEvent, Program, Table};
use watchbell_model::{Function, HOPS_MAX, Sample, Timestamp};

const OUTCOME: &str = "--- outcome\n";

/// Two log groups to raise into, and a queue.
const HEAD: &str = "version = 1\n[log_groups.\"shop/app\"]\n[log_groups.\"shop/alerts\"]\n\
                    [queues.q]\nlog_groups = \"shop/app\"\n[functions.f]\nqueue = \"q\"\n";

fn function(keys: &str) -> Function {
    let text = format!("{HEAD}{keys}");
    let source = Source { name: "watchbell.toml", text: &text, folder: Path::new("/x") };
    let mut checked = check(&source);
    let plan = checked.plan.take().unwrap_or_else(|| panic!("{}", render(&checked.problems, &source, false)));
    plan.functions["f"].clone()
}

fn program(function: &Function, files: &BTreeMap<&str, &str>) -> Program {
    let mut tables = BTreeMap::new();
    for lookup in function.lookups() {
        let content = files[lookup.file.strip_prefix("/x/").unwrap()];
        let table = Arc::new(Table::read(content, &lookup.column).unwrap());
        tables.insert((lookup.file.clone(), lookup.column.clone()), table);
    }
    Program::new(function, &tables, files.get("program.vrl").copied()).unwrap()
}

fn input<'a>(lines: impl IntoIterator<Item = &'a str>) -> Input {
    let event = |text: &str| InputEvent { timestamp: Timestamp(1000), text: text.to_owned() };
    Input { events: lines.into_iter().map(event).collect(), hops: 0, backfill: false }
}

fn spell(sample: &Sample) -> String {
    let mut text = format!("{}/{} {}", sample.metric.namespace, sample.metric.name, sample.value);
    for (name, value) in &sample.dimensions {
        write!(text, " {name}={value}").unwrap();
    }
    text
}

fn outcome(case: &str) -> String {
    let mut parts: BTreeMap<&str, &str> = BTreeMap::new();
    for part in case.split("--- ").skip(1) {
        let (name, content) = part.split_once('\n').unwrap();
        parts.insert(name, content);
    }
    let files = parts.iter().filter_map(|(name, content)| Some((name.strip_prefix("file ")?, *content)));
    let program = program(&function(parts["function"]), &files.collect());
    let outcome = program.process(&input(parts["events"].lines()));
    let mut out = String::new();
    for (index, event) in &outcome.events {
        writeln!(out, "{index} becomes {}", event.text()).unwrap();
    }
    for raised in &outcome.raised {
        writeln!(out, "raised {}", raised.text).unwrap();
    }
    for sample in &outcome.samples {
        writeln!(out, "value {}", spell(sample)).unwrap();
    }
    for failed in &outcome.failed {
        writeln!(out, "{} failed: {}", failed.index, failed.reason).unwrap();
    }
    out
}

#[test]
fn functions_do_what_the_cases_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    let mut differences = Vec::new();
    for path in cases {
        let case = fs::read_to_string(&path).unwrap();
        let (before, expected) = case.split_once(OUTCOME).unwrap();
        let found = outcome(before);
        if env::var_os("UPDATE").is_some() {
            fs::write(&path, format!("{before}{OUTCOME}{found}")).unwrap();
        } else if found != expected {
            differences.push(format!("{}\n--- expected\n{expected}--- found\n{found}", path.display()));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn an_event_that_functions_have_raised_too_often_is_not_raised_again() {
    let program = program(&function("raise = { log_group = \"shop/alerts\" }\n"), &BTreeMap::new());
    let raised = |hops| {
        let outcome = program.process(&Input { hops, ..input(["again"]) });
        (outcome.raised.len(), outcome.failed.len())
    };
    assert_eq!([raised(HOPS_MAX - 1), raised(HOPS_MAX)], [(1, 0), (0, 1)]);
}

#[test]
fn what_was_there_before_its_group_was_watched_is_raised_as_an_event_and_counts_in_no_metric() {
    let raise =
        "raise = [{ log_group = \"shop/alerts\" }, { metric = { namespace = \"Shop\", name = \"All\" } }]\n";
    let program = program(&function(raise), &BTreeMap::new());
    let outcome = program.process(&Input { backfill: true, ..input(["old"]) });
    assert_eq!((outcome.raised.len(), outcome.samples.len()), (1, 0));
}

#[test]
fn a_message_raises_no_more_than_its_bound_and_the_events_beyond_fail() {
    let program = program(&function("raise = { log_group = \"shop/alerts\" }\n"), &BTreeMap::new());
    let line = "x".repeat(1024 * 1024);
    let outcome = program.process(&input(std::iter::repeat_n(line.as_str(), 6)));
    let failed: Vec<u32> = outcome.failed.iter().map(|failed| failed.index).collect();
    assert_eq!((outcome.raised.len(), failed), (4, vec![4, 5]));
    let longer = format!("{line}x");
    assert_eq!(program.process(&input([longer.as_str(), "short"])).failed[0].index, 0);
}
