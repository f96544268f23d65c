//! What a person reads when a pattern is refused: `cases/refusals.txt` holds patterns with their rendered errors.
//!
//! `UPDATE=1` writes the file anew; the diff is the review.

use std::fmt::Write;
use std::path::Path;

use watchbell_pattern::{Pattern, PatternError, Selector};

#[test]
fn every_refusal_points_at_the_place_and_says_the_way_out() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/refusals.txt");
    let written = std::fs::read_to_string(&file).expect("the file of refusals");
    let rendered: Vec<String> = written
        .split("\n\n")
        .map(|case| {
            let first = case.trim_start_matches('\n').lines().next().expect("a case has a first line");
            if first.starts_with("# ") { case.trim_end().to_owned() } else { render_case(first) }
        })
        .collect();
    let rendered = rendered.join("\n\n") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &rendered).expect("the file of refusals can be written");
        return;
    }
    assert_eq!(rendered, written, "run with UPDATE=1 and review the diff");
}

/// A case is a pattern, or a selector and its pattern with ` of ` between.
fn render_case(line: &str) -> String {
    match line.strip_prefix("selector ").and_then(|line| line.split_once(" of ")) {
        Some((selector, pattern)) => {
            let pattern = Pattern::parse(pattern).expect("the pattern of a refused selector is valid");
            let error = Selector::parse(selector, &pattern).expect_err(line);
            render(line, "selector ".len(), selector, &error)
        }
        None => render(line, 0, line, &Pattern::parse(line).expect_err(line)),
    }
}

fn render(line: &str, indent: usize, text: &str, error: &PatternError) -> String {
    let before = text[..error.span.start].chars().count() + indent;
    let width = text[error.span.clone()].chars().count().max(1);
    let help = error.help.as_deref().expect("every refusal has a way out");
    let mut out = String::new();
    write!(out, "{line}\n{}{} {error}\n    = help: {help}", " ".repeat(before), "^".repeat(width))
        .expect("writing to a string");
    out
}

#[test]
fn the_length_limit_counts_characters_and_points_at_the_surplus() {
    let fits = format!("\"{}\"", "é".repeat(1022));
    assert!(Pattern::parse(&fits).is_ok());
    let error = Pattern::parse(&format!("{fits} x")).expect_err("1026 characters");
    assert_eq!(error.span, fits.len()..fits.len() + 2);
    assert!(error.help.is_some());
}
