//! Laws on random input: nothing panics, and the answers of one pattern agree with each other.

use proptest::prelude::*;
use watchbell_pattern::{Pattern, Selector};

/// Texts made of the language's own pieces: many are valid patterns, the others are nearly so.
fn pattern_text() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "b",
        "12",
        "-",
        "?",
        "\"",
        "\"x y\"",
        "\\",
        "%",
        "%a.c%",
        "%[a-c]{1,2}%",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        ",",
        "...",
        " ",
        "$.a",
        "$.b[0]",
        "$.*",
        "$.['a b']",
        "=",
        "!=",
        ">",
        "<=",
        "&&",
        "||",
        "IS NULL",
        "NOT EXISTS",
        "*",
        "a*b",
        "1e3",
        "é",
        "[a, b=12, ",
        "{ $.a = ",
        "[..., ",
        "]",
        " }",
    ];
    prop_oneof![
        prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..14)
            .prop_map(|pieces| pieces.concat()),
        ".{0,40}",
        "[a-z%{}()\\[\\]^$*+?.\\\\|,0-9-]{0,12}".prop_map(|body| format!("%{body}%")),
    ]
}

fn message() -> impl Strategy<Value = String> {
    let pieces = [
        "a", "b", "12", " ", "\t", "\"", "[", "]", "{", "}", "\"a\":", "\"a b\":", ",", "null", "[1]", "é",
        "\\", "x y",
    ];
    prop_oneof![
        prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..14)
            .prop_map(|pieces| pieces.concat()),
        prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..9)
            .prop_map(|pieces| format!("{{\"a\":{},\"b\":[12]}}", pieces.concat())),
        ".{0,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(4000), ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused_with_a_place_in_it(text in pattern_text()) {
        match Pattern::parse(&text) {
            Ok(pattern) => {
                prop_assert_eq!(pattern.as_str(), &text);
                prop_assert_eq!(&Pattern::parse(pattern.as_str()).expect("it was valid"), &pattern);
            }
            Err(error) => {
                prop_assert!(text.get(error.span.clone()).is_some(), "{:?}", error);
                prop_assert!(!error.message.is_empty() && error.help.is_some());
            }
        }
    }

    #[test]
    fn bytes_of_any_kind_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let text = String::from_utf8_lossy(&bytes);
        for text in [text.to_string(), format!("{{{text}}}"), format!("[{text}]"), format!("%{text}%")] {
            if let Err(error) = Pattern::parse(&text) {
                prop_assert!(text.get(error.span).is_some());
            }
        }
    }

    #[test]
    fn extraction_succeeds_exactly_when_the_event_matches(text in pattern_text(), message in message()) {
        if let Ok(pattern) = Pattern::parse(&text) {
            prop_assert_eq!(pattern.extract(&message).is_some(), pattern.matches(&message));
        }
    }

    #[test]
    fn a_selector_gives_what_extraction_gives(
        entries in prop::collection::vec(prop::sample::select(vec!["", "a", "b", "2", "...", "c=*x*"]), 0..5),
        message in message(),
        key in prop::sample::select(vec!["$a", "$b", "$c", "$1", "$2", "$3", "$4"]),
    ) {
        let Ok(pattern) = Pattern::parse(&format!("[{}]", entries.join(","))) else { return Ok(()) };
        let Some(extracted) = pattern.extract(&message) else { return Ok(()) };
        let selected = Selector::parse(key, &pattern).ok().and_then(|it| it.value(&message).map(String::from));
        prop_assert_eq!(selected.as_ref(), extracted.get(key));
    }

    #[test]
    fn selectors_of_any_text_are_read_or_refused(text in pattern_text(), message in message()) {
        for pattern in ["{ $.a = * }", "[a, , ..., b]", "[]", "x"] {
            let pattern = Pattern::parse(pattern).expect("a valid pattern");
            match Selector::parse(&text, &pattern) {
                Ok(selector) => drop(selector.value(&message)),
                Err(error) => prop_assert!(text.get(error.span).is_some()),
            }
        }
    }
}

#[test]
fn counted_repetitions_are_bounded_because_a_search_may_hold_them_all_at_once() {
    let total = watchbell_pattern::REGEX_REPETITIONS_MAX;
    for (body, fits) in [
        (format!("[ab]{{{total}}}"), true),
        (format!("a{{,{}}}b{{1}}", total - 1), true),
        (format!("a{{{total}}}b{{1}}"), false),
        (format!("a{{2,{}}}", total + 1), false),
        (format!("a{{{},}}", total + 1), false),
        ("a{4294967295}b{4294967295}".to_owned(), false),
    ] {
        assert_eq!(Pattern::parse(&format!("%{body}%")).is_ok(), fits, "{body}");
    }
}

#[test]
fn long_hostile_events_are_matched_in_good_time() {
    // Each of these was chosen to make a search that starts over at every position take hours.
    let size = 1 << 20;
    let events = [
        "a".repeat(size),
        "[a ".repeat(size / 3),
        "\"a ".repeat(size / 3),
        "[".repeat(size),
        "{\"a\":".repeat(size / 5),
    ];
    let patterns = [
        "aaaab \"aab\"",
        "%a*a*a*b%",
        "[a=a*a*b, ..., z]",
        "[]",
        "{ $.a.a.a.*.a = *a*a*b }",
        "{ $.*.a NOT EXISTS }",
    ];
    for pattern in patterns.map(|text| Pattern::parse(text).expect("a valid pattern")) {
        for event in &events {
            pattern.matches(event);
        }
    }
}

#[test]
fn the_largest_patterns_do_not_exhaust_the_stack() {
    for text in
        ["(".repeat(1022), "($.a=1||".repeat(127), "!".repeat(1022), "$.a".repeat(340), "%[".repeat(500)]
    {
        assert!(Pattern::parse(&format!("{{{text}}}")).is_err());
        assert!(Pattern::parse(&format!("[{text}]")).is_err());
    }
    assert!(Pattern::parse(&format!("{{$.a{}=1}}", "[0]".repeat(339))).is_ok());
    assert!(Pattern::parse(&format!("{{{}$.a=1{}}}", "(".repeat(128), ")".repeat(128))).is_ok());
}
