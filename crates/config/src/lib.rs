//! The file: the text of a `watchbell.toml` in, a checked [`Plan`] out, or every mistake at once.
//!
//! Promise: a plan mentions only what exists and holds only values that work; every problem points at the text
//! to change; a secret that stands in the file is never repeated.
//! Not here: reading the file, the clock, what a plan does (`engine`), the values of secrets.

mod access;
mod agent;
mod alarm;
mod archive;
mod aws;
mod clock;
mod composite;
mod duration;
mod email;
mod fleet;
mod function;
mod http;
mod input;
mod journal;
mod keys;
mod log_group;
mod maintenance;
mod mask;
mod metric_filter;
mod mute;
mod name;
mod names;
mod nearest;
mod network;
mod path;
mod place;
mod plan;
mod problem;
mod quantity;
mod queue;
mod rate;
mod reader;
mod redaction;
mod render;
mod schedule;
mod schema;
mod secret;
mod size;
mod test_case;
mod topic;
mod watched;
mod web_address;

use std::path::Path;

use toml::de::DeTable;
use watchbell_model::Plan;

pub use clock::spell_ms;
pub use duration::parse_ms;
pub use keys::{KEYS, Key, Kind, OnAws, Presence};
pub use place::place;
pub use problem::{Level, Problem};
pub use render::{PROBLEMS_SHOWN_MAX, PlacedProblem, Report, render, report};
pub use schema::schema;
pub use test_case::{CheckedTests, Expected, TestCase, TestLine, check_tests};

/// A file's text and what is needed to understand it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The file as the user named it; stands in messages.
    pub name: &'a str,
    /// What is in it.
    pub text: &'a str,
    /// The folder, absolute, that relative paths in it are relative to.
    pub folder: &'a Path,
}

/// The outcome of a check.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The plan, if there is no error among the problems.
    pub plan: Option<Plan>,
    /// Tests of the plan that stand beside it, those without mistakes.
    pub tests: Vec<TestCase>,
    /// Every mistake, in file order.
    pub problems: Vec<Problem>,
}

/// Reads a whole file.
pub fn check(source: &Source<'_>) -> Checked {
    let (document, syntax) = DeTable::parse_recoverable(source.text);
    let syntax = syntax.iter().map(|error| syntax_problem(source.text, error)).collect();
    let context = reader::Context::new(source, syntax, document.get_ref().contains_key("aws"));
    let (plan, tests) = plan::read(&context, document.get_ref());
    let problems = context.into_problems();
    let usable = problems.iter().all(|problem| problem.level != Level::Error);
    Checked { plan: plan.filter(|_| usable), tests, problems }
}

/// What the TOML parser says, in our words' form. Its messages never repeat the text.
fn syntax_problem(text: &str, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(text.len()..text.len());
    match (error.message(), text.get(span.clone())) {
        // All that stands there is a name.
        ("duplicate key", Some(key)) => {
            Problem::error(span, format!("duplicate key {}", problem::quote(key.trim_matches(['"', '\'']))))
                .help("keep one of them")
        }
        (message, _) => Problem::error(span, message),
    }
}
