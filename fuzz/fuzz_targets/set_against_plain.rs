//! A set of patterns finds in a batch what its patterns find one by one.
//!
//! Input: lines; those before the first empty line are patterns, the others events. `\x01` in an event is a line feed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell_pattern::{Pattern, PatternSet, Scratch};

fuzz_target!(|input: &str| {
    let (patterns, events) = input.split_once("\n\n").unwrap_or((input, ""));
    let patterns: Vec<Pattern> = patterns.lines().filter_map(|text| Pattern::parse(text).ok()).collect();
    let events: Vec<String> = events.split('\n').map(|event| event.replace('\u{1}', "\n")).collect();
    let mut text = String::new();
    let mut ends = Vec::new();
    for event in &events {
        text.push_str(event);
        ends.push(u32::try_from(text.len()).expect("a short text"));
        text.push('\n');
    }
    let mut found = Vec::new();
    PatternSet::new(patterns.clone())
        .matches(&text, &ends, &mut Scratch::default(), |_, line, pattern| found.push((line, pattern)));
    let pairs = (0..events.len()).flat_map(|line| (0..patterns.len()).map(move |pattern| (line, pattern)));
    let plainly: Vec<_> = pairs.filter(|&(line, pattern)| patterns[pattern].matches(&events[line])).collect();
    assert_eq!(found, plainly, "{patterns:?} {events:?}");
});
