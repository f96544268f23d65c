//! The examples of the reference pages are valid.

use std::path::Path;

use watchbell_expression::{AlarmRule, MetricMath};

fn examples(page: &str, language: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(page);
    let text = std::fs::read_to_string(file).expect("the page");
    let mut inside = false;
    let mut examples = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == format!("```{language}");
        } else if inside {
            examples.push(line.to_owned());
        }
    }
    assert!(examples.len() > 3, "{page} has examples");
    examples
}

#[test]
fn the_examples_of_metric_math_are_read() {
    for example in examples("metric-math.md", "metric-math") {
        let parsed =
            MetricMath::parse(&example, &["m1", "m2", "errors", "errors4xx", "errors5xx", "requests"]);
        assert!(parsed.is_ok(), "{example}: {parsed:?}");
    }
}

#[test]
fn the_examples_of_alarm_rules_are_read() {
    for example in examples("composite-alarm.md", "alarm-rule") {
        let parsed = AlarmRule::parse(&example);
        assert!(parsed.is_ok(), "{example}: {parsed:?}");
    }
}
