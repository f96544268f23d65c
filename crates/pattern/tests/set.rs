//! The set against the plain matcher: random sets of patterns on random batches of lines that nearly match.
//!
//! `PROPTEST_CASES` makes the run longer.

mod generate;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use watchbell_pattern::{Pattern, PatternSet, Scratch, Selector};

/// A batch's text and the ends of its lines.
fn batch(lines: &[String]) -> (String, Vec<u32>) {
    let mut text = String::new();
    let mut ends = Vec::new();
    for line in lines {
        text.push_str(line);
        ends.push(u32::try_from(text.len()).expect("a short text"));
        text.push('\n');
    }
    (text, ends)
}

fn by_set(set: &PatternSet, lines: &[String], scratch: &mut Scratch) -> Vec<(usize, usize)> {
    let (text, ends) = batch(lines);
    let mut found = Vec::new();
    set.matches(&text, &ends, scratch, |line, number, index| {
        assert_eq!(line.message(), lines[number]);
        found.push((number, index));
    });
    found
}

fn plainly(patterns: &[Pattern], lines: &[String]) -> Vec<(usize, usize)> {
    let pairs = (0..lines.len()).flat_map(|line| (0..patterns.len()).map(move |index| (line, index)));
    pairs.filter(|&(line, index)| patterns[index].matches(&lines[line])).collect()
}

proptest! {
    #[test]
    fn the_set_finds_what_the_patterns_find_one_by_one(
        texts in prop_oneof![generate::patterns(1..12), generate::patterns(12..120)],
        lines in prop::collection::vec(generate::line(), 0..12),
        more in prop::collection::vec(generate::line(), 0..4),
    ) {
        let patterns: Vec<Pattern> = texts.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
        let set = PatternSet::new(patterns.clone());
        let mut scratch = Scratch::default();
        prop_assert_eq!(by_set(&set, &lines, &mut scratch), plainly(&patterns, &lines));
        // What one call leaves in the buffers means nothing to the next, nor to another set.
        prop_assert_eq!(by_set(&set, &more, &mut scratch), plainly(&patterns, &more));
        let fewer = &patterns[..patterns.len() / 2];
        prop_assert_eq!(by_set(&PatternSet::new(fewer.to_vec()), &lines, &mut scratch), plainly(fewer, &lines));
    }

    #[test]
    fn one_pattern_alone_finds_the_same(text in generate::pattern(), lines in prop::collection::vec(generate::line(), 1..6)) {
        let Ok(pattern) = Pattern::parse(&text) else { return Ok(()) };
        let patterns = [pattern];
        let set = PatternSet::new(patterns.clone());
        prop_assert_eq!(by_set(&set, &lines, &mut Scratch::default()), plainly(&patterns, &lines));
    }

    #[test]
    fn a_selector_finds_the_same_in_a_shared_line(line in generate::line(), path in generate::path()) {
        let pattern = Pattern::parse("{ $.x = * }").expect("a valid pattern");
        let Ok(selector) = Selector::parse(&path, &pattern) else { return Ok(()) };
        let shared = watchbell_pattern::Line::new(&line);
        prop_assert_eq!(selector.value_in(&shared), selector.value(&line));
        prop_assert_eq!(selector.value_in(&shared), selector.value(&line));
    }
}

#[test]
fn most_generated_patterns_are_valid_and_some_match() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = (generate::patterns(40..41), prop::collection::vec(generate::line(), 40));
    let (texts, lines) = strategy.new_tree(&mut runner).expect("a tree").current();
    let patterns: Vec<Pattern> = texts.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
    assert!(patterns.len() >= 30, "{} of 40 are valid: {texts:?}", patterns.len());
    let matches = plainly(&patterns, &lines).len();
    assert!((40..1200).contains(&matches), "{matches} of 1600 match");
}

#[test]
fn equal_patterns_are_reported_under_each_index() {
    let texts = ["b", "a", "b", "", "a"];
    let set = PatternSet::new(texts.map(|text| Pattern::parse(text).unwrap()));
    let lines = ["a b", "b", "c"].map(String::from);
    let found = by_set(&set, &lines, &mut Scratch::default());
    assert_eq!(found, [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 2), (1, 3), (2, 3)]);
}

#[test]
fn a_text_that_goes_over_the_end_of_a_line_is_not_found() {
    let set = PatternSet::new(["\"first\nsecond\"", "\"line\n\""].map(|text| Pattern::parse(text).unwrap()));
    let apart = ["the first", "second line", "the first\nsecond", "line"].map(String::from);
    assert_eq!(by_set(&set, &apart, &mut Scratch::default()), [(2, 0)]);
}

#[test]
fn an_empty_set_and_an_empty_batch_match_nothing() {
    let mut scratch = Scratch::default();
    assert_eq!(by_set(&PatternSet::new([]), &["a".to_owned()], &mut scratch), []);
    assert!(PatternSet::new([]).is_empty());
    let set = PatternSet::new([Pattern::parse("").unwrap()]);
    assert_eq!((set.len(), by_set(&set, &[], &mut scratch)), (1, vec![]));
    assert_eq!(by_set(&set, &[String::new()], &mut scratch), [(0, 0)]);
}
