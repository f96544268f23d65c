//! What rules make of states: `cases/rules.txt`; and their limits.

use std::path::Path;

use watchbell_expression::AlarmRule;
use watchbell_model::AlarmState;

fn state(name: &str) -> AlarmState {
    match name {
        "a" | "b" => AlarmState::Alarm,
        "c" | "my alarm" => AlarmState::Ok,
        "d" => AlarmState::InsufficientData,
        other => panic!("no alarm \"{other}\""),
    }
}

#[test]
fn every_rule_holds_or_not() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/rules.txt");
    let cases = std::fs::read_to_string(file).expect("the file of cases");
    for line in cases.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (rule, expected) = line.split_once("=> ").expect("a rule and what it gives");
        let rule = AlarmRule::parse(rule).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(rule.holds(&state).to_string(), expected, "{line}");
    }
}

#[test]
fn a_rule_is_printed_with_few_parentheses() {
    for (written, printed) in [
        ("((ALARM( \"a\" )))", "ALARM(a)"),
        ("(ALARM(a)AND OK(b))OR TRUE", "ALARM(a) AND OK(b) OR TRUE"),
        ("ALARM(a) AND (OK(b) OR TRUE)", "ALARM(a) AND (OK(b) OR TRUE)"),
        ("NOT (NOT (ALARM(a) AND FALSE))", "NOT NOT (ALARM(a) AND FALSE)"),
        ("AT_LEAST(050%,NOT OK,(a,\"b c\"))", "AT_LEAST(50%, NOT OK, (a, \"b c\"))"),
        (r#"ALARM("a\"b\\c")"#, r#"ALARM("a\"b\\c")"#),
    ] {
        assert_eq!(AlarmRule::parse(written).map(|rule| rule.to_string()).as_deref(), Ok(printed));
    }
}

#[test]
fn names_stand_in_the_order_of_the_text_with_their_places() {
    let text = r#"ALARM(b) AND AT_LEAST(1, OK, ("my \"best\" alarm", b, a\b, "c\d")) OR OK(arn:aws:cloudwatch:eu-west-1:1:alarm:x)"#;
    let rule = AlarmRule::parse(text).unwrap();
    let names: Vec<(&str, &str)> =
        rule.names().iter().map(|name| (name.name.as_str(), &text[name.span.clone()])).collect();
    let arn = "arn:aws:cloudwatch:eu-west-1:1:alarm:x";
    assert_eq!(
        names,
        [
            ("b", "b"),
            ("my \"best\" alarm", r#""my \"best\" alarm""#),
            ("b", "b"),
            ("a\\b", "a\\b"),
            ("c\\d", r#""c\d""#),
            (arn, arn),
        ]
    );
}

#[test]
fn the_length_limit_counts_characters() {
    let fits = format!("ALARM(\"{}\")", "é".repeat(10_231));
    assert!(AlarmRule::parse(&fits).is_ok());
    let error = AlarmRule::parse(&format!("{fits} ")).unwrap_err();
    assert_eq!(error.span, fits.len()..fits.len() + 1);
}

#[test]
fn a_hundred_different_alarms_and_no_more() {
    let rule = |alarms: usize| {
        let names: Vec<String> = (0..alarms).map(|i| format!("ALARM(a{i})")).collect();
        format!("{} OR ALARM(a0)", names.join(" OR "))
    };
    assert!(AlarmRule::parse(&rule(100)).is_ok());
    let error = AlarmRule::parse(&rule(101)).unwrap_err();
    assert_eq!((error.message.as_str(), &rule(101)[error.span]), ("a rule names at most 100 alarms", "a100"));
}

#[test]
fn five_hundred_elements_and_no_more() {
    let rule = |elements: usize| format!("(ALARM(a)){}", " OR TRUE".repeat(elements - 2));
    assert!(AlarmRule::parse(&rule(500)).is_ok());
    let error = AlarmRule::parse(&rule(501)).unwrap_err();
    assert_eq!(error.message, "a rule has at most 500 elements");
    assert_eq!(error.span, rule(501).len() - 4..rule(501).len());
}

#[test]
fn the_depth_is_bounded() {
    for open in ["(", "NOT "] {
        let nested = |depth: usize| {
            format!(
                "{}TRUE{}",
                open.repeat(depth),
                if open == "(" { ")".repeat(depth) } else { String::new() }
            )
        };
        assert!(AlarmRule::parse(&nested(128)).is_ok(), "{open}");
        let error = AlarmRule::parse(&nested(129)).unwrap_err();
        assert_eq!((error.message.as_str(), error.span.start), ("nested deeper than 128", 128 * open.len()));
    }
}
