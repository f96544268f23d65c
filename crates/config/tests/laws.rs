//! Laws that hold for every text, good or bad.

use std::path::Path;

use proptest::prelude::*;
use watchbell_config::{Checked, PROBLEMS_SHOWN_MAX, Source, check, render, report};

const GOOD: [&str; 3] = [
    include_str!("cases/design.toml"),
    include_str!("cases/access.toml"),
    include_str!("cases/minimal.toml"),
];

/// Holds a secret in every place that takes one; each is spelled `hunter2`.
const WITH_SECRETS: &str = r#"version = 1
[tokens.ci]
value = "hunter2"
roles = "shipper"
[topics.ops]
slack = { webhook_url = "hunter2" }
webhook = [{ url = "https://me:hunter2@h/x", signing_key = 'hunter2' }]
email = { password = "hunter2" }
[tokens.two]
value = """
hunter2"""
"#;

fn source(text: &str) -> Source<'_> {
    Source { name: "watchbell.toml", text, folder: Path::new("/etc/watchbell") }
}

/// Checks and draws a text; gives what is shown.
fn shown(text: &str) -> String {
    let source = source(text);
    let Checked { plan, problems, .. } = check(&source);
    for (number, problem) in problems.iter().enumerate() {
        assert!(text.get(problem.span.clone()).is_some(), "{:?} is no part of the text", problem.span);
        assert!(!problem.message.is_empty());
        // It walks over the whole text each time; a megabyte of errors has very many problems.
        if number < PROBLEMS_SHOWN_MAX {
            assert!(problem.line_column(&source).0 <= text.split('\n').count());
        }
    }
    assert!(problems.is_sorted_by_key(|problem| problem.span.start));
    assert!(plan.is_some() || !problems.is_empty(), "neither a plan nor a reason");
    let json = serde_json::to_string(&report(&problems, &source)).expect("a report is plain data");
    render(&problems, &source, false) + &render(&problems, &source, true) + &json
}

/// Pieces that meet the reader's branches more often than random characters do.
fn toml_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("[alarms.x]\n"),
        Just("[log_groups.\"a/b\"]\n"),
        Just("[[topics.o.webhook]]\n"),
        Just("metric = "),
        Just("period = "),
        Just("\"60s\"\n"),
        Just("{ env = \"A\" }\n"),
        Just("["),
        Just("]"),
        Just("{"),
        Just("}"),
        Just("\n"),
        Just("\r\n"),
        Just("= "),
        Just(","),
        Just("\"\"\""),
        Just("'"),
        Just("\""),
        Just("é"),
        Just("1e999"),
        Just("a"),
        Just("."),
        Just("# x\n"),
        Just("\u{feff}"),
        Just("value = "),
        Just("[tokens.t]\n"),
        Just("\\u00"),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        shown(&text);
    }

    #[test]
    fn anything_like_toml_is_answered(text in toml_like()) {
        shown(&text);
    }

    #[test]
    fn any_damaged_file_is_answered(
        which in 0..GOOD.len(),
        from in 0_usize..2000,
        length in 0_usize..60,
        instead in toml_like(),
    ) {
        let good = GOOD[which];
        let from = good.floor_char_boundary(from.min(good.len()));
        let to = good.ceil_char_boundary((from + length).min(good.len()));
        shown(&[&good[..from], &instead, &good[to..]].concat());
    }
}

/// Where what is shown for `text` holds a secret.
fn shown_secret(text: &str) -> Option<String> {
    let shown = shown(text);
    let line = shown.lines().find(|line| line.contains("hunter2"))?;
    Some(format!("{line}\n--- shown for\n{text}\n"))
}

#[test]
fn no_slip_of_a_finger_shows_a_secret() {
    let mut found = Vec::new();
    for at in (0..WITH_SECRETS.len()).filter(|at| WITH_SECRETS.is_char_boundary(*at)) {
        let (before, after) = WITH_SECRETS.split_at(at);
        let without = &after[after.chars().next().map_or(0, char::len_utf8)..];
        for slip in ["", "\"", "'", "\n", "=", "[", "]", "{", "}", ",", "#", " ", "x"] {
            found.extend(shown_secret(&[before, slip, after].concat()));
            found.extend(shown_secret(&[before, slip, without].concat()));
        }
    }
    assert!(
        found.is_empty(),
        "{} slips, first {}",
        found.len(),
        found.iter().map(|f| f.lines().next().unwrap().to_owned() + "\n").collect::<String>()
    );
}

#[test]
fn no_truncated_file_shows_a_secret() {
    let found: Vec<String> =
        WITH_SECRETS.char_indices().filter_map(|(at, _)| shown_secret(&WITH_SECRETS[..at])).collect();
    assert!(found.is_empty(), "{} places, first {}", found.len(), found[0]);
}

/// Long enough for every problem that is shown, far from what a megabyte of errors could give.
const SHOWN_BYTES_MAX: usize = PROBLEMS_SHOWN_MAX * 4_000;

#[test]
fn a_megabyte_of_errors_gives_a_bounded_answer() {
    use std::fmt::Write;
    let (mut many, mut wide) = (String::from("version = 1\n"), String::from("version = 1\nx = ["));
    for number in 0.. {
        write!(
            many,
            "[alarms.a{number}]\nmetric_filter = \"m{number}\"\nnotify = \"t\"\nperiod = 5\nx = 1\n"
        )
        .unwrap();
        if many.len() > 1 << 20 {
            break;
        }
    }
    while wide.len() < 1 << 20 {
        wide.push_str("oops ");
    }
    for text in [&many, &wide, &"[".repeat(1 << 20), &"\"a\"=1\n".repeat(1 << 17), &"é".repeat(1 << 19)] {
        let shown = shown(text);
        assert!(shown.len() < SHOWN_BYTES_MAX, "{} bytes", shown.len());
    }
}

#[test]
fn only_some_problems_are_shown_but_all_are_counted() {
    let text = "version = 1\n".to_owned() + &"[topics.t.console]\n[topics.t.console]\n".repeat(150);
    let checked = check(&source(&text));
    assert!(checked.problems.len() > PROBLEMS_SHOWN_MAX);
    let rendered = render(&checked.problems, &source(&text), false);
    let last = rendered.lines().last().unwrap();
    let counted = format!(
        "{} errors",
        checked.problems.iter().filter(|it| it.level == watchbell_config::Level::Error).count()
    );
    assert!(last.starts_with(&counted) && last.ends_with("of which 100 are shown"), "{last}");
    assert_eq!(report(&checked.problems, &source(&text)).problems.len(), PROBLEMS_SHOWN_MAX);
}
