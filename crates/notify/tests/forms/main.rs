//! What messages look like: each `*.transition.json` has its three forms beside it.
//!
//! `UPDATE=1` writes the forms anew; the diff is the review.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]

mod limits;
mod wording;

use std::path::{Path, PathBuf};
use std::{env, fs};

use watchbell_model::{AlarmKind, DecisionId, InstallationId, MetricAlarm, Offset, Transition};
use watchbell_notify::{Message, TEXT_WIDTH};

fn message(transition: &Transition) -> Message {
    let id = DecisionId { offset: Offset(12), index: 0 };
    Message::new(InstallationId([0x0f, 0, 0, 0, 0, 0, 0, 1]), id, transition)
}

fn transition(file: &Path) -> Transition {
    let text = fs::read_to_string(file).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forms")
}

fn burst() -> Transition {
    transition(&folder().join("burst.transition.json"))
}

fn rule(transition: &mut Transition) -> &mut MetricAlarm {
    let AlarmKind::Metric(rule) = &mut transition.rule.kind else { panic!("a metric alarm") };
    rule
}

fn transition_files() -> Vec<PathBuf> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.to_string_lossy().ends_with(".transition.json")).collect();
    files.sort();
    files
}

#[test]
fn every_transition_reads_as_the_files_beside_it_say() {
    let mut differing = Vec::new();
    for file in transition_files() {
        let message = message(&transition(&file));
        let forms = [
            ("text", message.text(TEXT_WIDTH, false)),
            ("webhook.json", format!("{:#}\n", message.json())),
            ("slack.json", format!("{:#}\n", message.slack())),
        ];
        for (extension, form) in forms {
            let expected = PathBuf::from(file.to_string_lossy().replace("transition.json", extension));
            if env::var_os("UPDATE").is_some() {
                fs::write(&expected, &form).unwrap();
            } else if fs::read_to_string(&expected).unwrap_or_default() != form {
                differing.push(format!("{}\n{form}", expected.display()));
            }
        }
    }
    assert!(differing.is_empty(), "not as the files say (UPDATE=1 rewrites them):\n{}", differing.join("\n"));
}

#[test]
fn colour_is_on_the_state_only() {
    for file in transition_files() {
        let transition = transition(&file);
        let plain = message(&transition).text(TEXT_WIDTH, false);
        let coloured = message(&transition).text(TEXT_WIDTH, true);
        let (state, code) = (transition.to, ["1;32", "1;31", "1;33"][transition.to as usize]);
        assert_eq!(coloured, plain.replacen(state.as_str(), &format!("\x1b[{code}m{state}\x1b[0m"), 1));
    }
}

#[test]
fn no_text_has_a_control_character_but_the_line_feeds_of_the_message() {
    for file in transition_files() {
        let text = message(&transition(&file)).text(TEXT_WIDTH, false);
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text}");
        let foreign = text.lines().find(|line| line.starts_with("OK ") && line.contains("all is well"));
        assert_eq!(foreign, None, "log text must not begin a line");
        assert!(
            text.ends_with("\n\n") && !text.trim_end().contains("\n\n"),
            "one empty line, at the end: {text}"
        );
    }
}
