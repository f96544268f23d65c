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
use watchbell_functions::process::{Input, InputEvent, Keep, Outcome, Program, Table};
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

fn input<'a>(lines: impl IntoIterator<Item = &'a str>) -> Input<'a> {
    let event = |text: &'a str| InputEvent { timestamp: Timestamp(1000), text: text.into() };
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
    let outcome = program.process(&input(parts["events"].lines()), Keep::All);
    let mut out = String::new();
    for event in &outcome.events {
        writeln!(out, "{} becomes {}", event.index, event.text).unwrap();
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
        let outcome = program.process(&Input { hops, ..input(["again"]) }, Keep::Posted);
        (outcome.raised.len(), outcome.failed.len())
    };
    assert_eq!([raised(HOPS_MAX - 1), raised(HOPS_MAX)], [(1, 0), (0, 1)]);
}

#[test]
fn what_was_there_before_its_group_was_watched_is_raised_as_an_event_and_counts_in_no_metric() {
    let raise =
        "raise = [{ log_group = \"shop/alerts\" }, { metric = { namespace = \"Shop\", name = \"All\" } }]\n";
    let program = program(&function(raise), &BTreeMap::new());
    let outcome = program.process(&Input { backfill: true, ..input(["old"]) }, Keep::Posted);
    assert_eq!((outcome.raised.len(), outcome.samples.len()), (1, 0));
}

/// Enough events that they are looked at in several goes.
#[test]
fn each_event_of_a_message_becomes_what_it_becomes_alone() {
    let keys = "steps = [{ parse = \"json\" }, { severity = { from = \"level\" } }, { rename = { a = \"b\" } }]\n\
                raise = [{ log_group = \"shop/alerts\", when = '{ $.severity = \"error\" }' },\n\
                { metric = { namespace = \"Shop\", name = \"Spent\", value = \"$.ms\" } },\n\
                { metric = { namespace = \"Shop\", name = \"Bs\", dimensions = { B = \"$.b\" } }, when = '{ $.b = * }' }]\n\
                webhook = { url = \"http://127.0.0.1:9/\", signing_key = { env = \"KEY\" }, when = '{ $.ms > 4000 }' }\n";
    let program = program(&function(keys), &BTreeMap::new());
    let line = |n: usize| match n % 5 {
        0 => format!("{{\"level\":\"ERR\",\"ms\":{n},\"text\":\"{}\"}}", "a \\u00e9 \\n".repeat(n % 50)),
        1 => format!("{{\"a\":\"{n}\",\"b\":1,\"ms\":\"{n}\"}}"),
        2 => format!("no JSON {n}"),
        3 => format!("{{\"ms\":1e400,\"n\":{n}}}"),
        _ => format!(" {{ \"level\" : \"info\", \"ms\" : {n}.5, \"b\" : null }} "),
    };
    let lines: Vec<String> = (0..6000).map(line).collect();
    let message = input(lines.iter().map(String::as_str));
    assert!(lines.iter().map(String::len).sum::<usize>() > 4 * 64 * 1024);
    for keep in [Keep::Posted, Keep::All] {
        let whole = program.process(&message, keep);
        let mut alone = Outcome::default();
        for at in 0..lines.len() {
            let one = program.process_part(&message, at..at + 1, keep);
            alone.events.extend(one.events);
            alone.raised.extend(one.raised);
            alone.samples.extend(one.samples);
            alone.failed.extend(one.failed);
        }
        assert!(whole == alone, "{keep:?}");
        assert_eq!((whole.raised.len(), whole.failed.len()), (1200, 2400));
        assert_eq!(whole.events.iter().filter(|event| event.posts).count(), 799, "numbers above 4000");
        assert_eq!(whole.events.len(), if keep == Keep::All { 3600 } else { 799 });
    }
}

#[test]
fn a_message_raises_no_more_than_its_bound_and_the_events_beyond_fail() {
    let program = program(&function("raise = { log_group = \"shop/alerts\" }\n"), &BTreeMap::new());
    let line = "x".repeat(1024 * 1024);
    let outcome = program.process(&input(std::iter::repeat_n(line.as_str(), 6)), Keep::Posted);
    let failed: Vec<u32> = outcome.failed.iter().map(|failed| failed.index).collect();
    assert_eq!((outcome.raised.len(), failed), (4, vec![4, 5]));
    let longer = format!("{line}x");
    assert_eq!(program.process(&input([longer.as_str(), "short"]), Keep::Posted).failed[0].index, 0);
}
