//! Slack refuses a message that is too large; an alarm with long names, texts and lines must still arrive.

use proptest::prelude::*;
use serde_json::Value;
use watchbell_model::{Transition, TransitionFilter, Watched};

use super::{burst, message, rule};

/// Every text of the Slack form: its `text`, and what stands in blocks.
fn texts(slack: &Value) -> Vec<&str> {
    let blocks = slack["attachments"][0]["blocks"].as_array().unwrap();
    let objects = blocks.iter().flat_map(|block| match block["elements"].as_array() {
        Some(elements) => elements.iter().collect(),
        None => vec![&block["text"]],
    });
    objects.map(|object| object["text"].as_str().unwrap()).chain(slack["text"].as_str()).collect()
}

fn assert_within_limits(transition: &Transition) {
    let slack = message(transition).slack();
    assert!(slack["attachments"][0]["blocks"].as_array().unwrap().len() <= 50);
    for text in texts(&slack) {
        assert!(
            !text.is_empty() && text.encode_utf16().count() <= 3000,
            "{} units",
            text.encode_utf16().count()
        );
        assert!(!text.replace("<https://wiki.example.com/5xx>", "").contains(['<', '>']), "{text}");
        assert!(matches!(text.matches("```").count(), 0 | 2), "{text}");
    }
}

#[test]
fn very_many_and_very_long_parts_fit_into_slack() {
    let mut transition = burst();
    let long = "<&`日\u{1b}".repeat(1000);
    transition.alarm.clone_from(&long);
    let Watched::Stat(stat) = &mut rule(&mut transition).watched else { panic!() };
    stat.metric.namespace.clone_from(&long);
    transition.rule.description = Some(format!("{long}\n").repeat(30));
    let filter =
        TransitionFilter { name: long.clone(), pattern: long.clone(), ..transition.filters[0].clone() };
    transition.filters = vec![filter; 40];
    let mut line = transition.first_lines[0].clone();
    line.message.clone_from(&long);
    line.stream = format!("/{long}");
    transition.first_lines = vec![line; 40];
    transition.datapoints = vec![transition.datapoints[0]; 200];
    assert_within_limits(&transition);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_log_text_breaks_out_of_the_slack_form(text in "([`<>&!@\\PC\\n]|```|<!here>){0,80}", stream: String) {
        let mut transition = burst();
        transition.first_lines[0].message = text;
        transition.first_lines[0].stream = stream;
        assert_within_limits(&transition);
    }

    #[test]
    fn no_log_text_adds_a_line_to_the_console_form(text: String, stream: String) {
        let lines = |transition: &Transition| message(transition).text(80, false).lines().count();
        let mut transition = burst();
        transition.last_lines[0].stream = "elsewhere".to_owned();
        let before = lines(&transition);
        transition.last_lines[0].message = text;
        transition.last_lines[0].stream = format!("not a file {stream}");
        prop_assert_eq!(lines(&transition), before);
    }
}
