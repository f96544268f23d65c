//! What a person reads when an expression or a rule is refused: the cases with their rendered errors.
//!
//! `UPDATE=1` writes the files anew; the diff is the review.

use std::path::Path;

use watchbell_expression::{AlarmRule, ExpressionError, MetricMath};

#[test]
fn every_refused_expression_points_at_the_place_and_says_the_way_out() {
    check("math_refusals.txt", |text| MetricMath::parse(text, &["m1", "m2"]).err());
}

#[test]
fn every_refused_rule_points_at_the_place_and_says_the_way_out() {
    check("rule_refusals.txt", |text| AlarmRule::parse(text).err());
}

fn check(name: &str, refuse: impl Fn(&str) -> Option<ExpressionError>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
    let written = std::fs::read_to_string(&file).expect("the file of refusals");
    let rendered: Vec<String> = written
        .split("\n\n")
        .map(|case| {
            let text = case.trim_start_matches('\n').lines().next().expect("a case has a first line");
            if text.starts_with("# ") {
                return case.trim_end().to_owned();
            }
            let error = refuse(text).unwrap_or_else(|| panic!("not refused: {text}"));
            let before = text[..error.span.start].chars().count();
            let width = text[error.span.clone()].chars().count().max(1);
            let help = error.help.as_deref().unwrap_or_else(|| panic!("no way out: {text}: {error}"));
            format!("{text}\n{}{} {error}\n    = help: {help}", " ".repeat(before), "^".repeat(width))
        })
        .collect();
    let rendered = rendered.join("\n\n") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &rendered).expect("the file of refusals can be written");
        return;
    }
    assert_eq!(rendered, written, "run with UPDATE=1 and review the diff");
}

#[test]
fn an_empty_text_is_refused() {
    for text in ["", " ", "\t\n"] {
        for error in [MetricMath::parse(text, &[]).unwrap_err(), AlarmRule::parse(text).unwrap_err()] {
            assert_eq!(error.span, 0..text.len());
            assert!(error.message.ends_with("is empty") && error.help.is_some());
        }
    }
}

#[test]
fn metrics_are_needed_for_metrics() {
    let error = MetricMath::parse("SUM(METRICS())", &[]).unwrap_err();
    assert_eq!(error.message, "there is no metric beside this expression");
}
