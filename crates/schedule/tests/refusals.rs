//! What a person reads when a schedule is refused: `cases/refusals.txt`.
//!
//! `UPDATE=1` writes the file anew; the diff is the review.

use std::path::Path;

use watchbell_schedule::{Limits, Part, Schedule, parse_duration};

#[test]
fn every_refusal_points_at_the_place_and_says_the_way_out() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/refusals.txt");
    let written = std::fs::read_to_string(&file).expect("the file of refusals");
    let rendered: Vec<String> = written.split("\n\n").map(render).collect();
    let rendered = rendered.join("\n\n") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &rendered).expect("the file of refusals can be written");
        return;
    }
    assert_eq!(rendered, written, "run with UPDATE=1 and review the diff");
}

/// A case is an expression, a duration or a zone.
fn render(case: &str) -> String {
    let text = case.trim_start_matches('\n').lines().next().expect("a case has a first line");
    let (part, value) = text.split_once(": ").unwrap_or((text.trim_end_matches(':'), ""));
    let error = match part {
        "duration" => parse_duration(value).map(|_| ()),
        "zone" => Schedule::parse("cron(0 2 * * *)", 60_000, value, Limits::NONE).map(|_| ()),
        _ => Schedule::parse(value, 60_000, "UTC", Limits::NONE).map(|_| ()),
    };
    let error = error.expect_err(text);
    let expected = match part {
        "duration" => Part::Duration,
        "zone" => Part::Zone,
        _ => Part::Expression,
    };
    assert_eq!(error.part, expected, "{text}");
    let before = part.len() + 2 + value[..error.span.start].chars().count();
    let width = value[error.span.clone()].chars().count().max(1);
    format!("{text}\n{}{} {error}\n    = help: {}", " ".repeat(before), "^".repeat(width), error.help)
}

#[test]
fn an_expression_has_at_most_256_characters() {
    let fits = format!("cron(0 2 * *{}*)", " ".repeat(242));
    assert_eq!(fits.len(), 256);
    assert!(Schedule::parse(&fits, 60_000, "UTC", Limits::NONE).is_ok());
    let error = Schedule::parse(&format!("{fits}é"), 60_000, "UTC", Limits::NONE).unwrap_err();
    assert_eq!((error.part, error.span), (Part::Expression, 256..258));
}

#[test]
fn durations_have_limits() {
    let parse = |duration_ms| Schedule::parse("cron(0 2 * * *)", duration_ms, "UTC", Limits::NONE);
    assert!(parse(60_000).is_ok() && parse(15 * 86_400_000).is_ok());
    for duration_ms in [i64::MIN, -1, 0, 59_999, 15 * 86_400_000 + 1, i64::MAX] {
        assert_eq!(parse(duration_ms).unwrap_err().part, Part::Duration, "{duration_ms}");
    }
}

#[test]
fn limits_leave_some_time() {
    let parse = |from_ms, until_ms| {
        let limits = Limits { from_ms: Some(from_ms), until_ms: Some(until_ms) };
        Schedule::parse("cron(0 2 * * *)", 60_000, "UTC", limits)
    };
    assert!(parse(1, 2).is_ok());
    assert_eq!(parse(2, 2).unwrap_err().part, Part::Limits);
    assert_eq!(parse(3, 2).unwrap_err().part, Part::Limits);
}
