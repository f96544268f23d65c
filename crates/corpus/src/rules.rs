//! Patterns made up for measuring.
//!
//! As in a log group that many teams watch: about ten usual words, a few that the data does hold, and mostly names that do
//! not occur today. Text: 60 % one term, 20 % two terms, 10 % one term without another, 10 % a regex. JSON: two or three
//! conditions over seven paths. Delimited: conditions on one or two fields of an access line.

use crate::corpus::{Corpus, SERVICES};
use crate::random::Random;

const USUAL: [&str; 10] = [
    "ERROR",
    "Exception",
    "timeout",
    "Failed password",
    "Out of memory",
    "deadlock",
    "FATAL",
    "refused",
    "panic",
    "connection reset",
];

/// Patterns for text: terms and regexes. A few stand in `corpus`.
pub fn text(count: usize, corpus: &Corpus) -> Vec<String> {
    let mut random = Random::new(11);
    let mut term = {
        let mut random = Random::new(12);
        move |i: usize| match i {
            0..10 => USUAL[i].to_owned(),
            _ if random.chance(2) => rare_word(&mut random, corpus),
            _ => {
                let bytes = 5 + random.below(21);
                random.identifier(bytes)
            }
        }
    };
    // So that ten filters already hold all four kinds in the stated shares.
    let pattern = |i: usize| match i % 10 {
        0..6 => format!("\"{}\"", term(i)),
        6 | 7 => format!("\"{}\" \"{}\"", term(i), random.of(&["request", "user", "from", "ms", "INFO"])),
        8 => format!("\"{}\" -\"{}\"", term(i), random.of(&["healthz", "retry", "session"])),
        _ => format!("%[0-9]+ .*{}.[a-z_]+=?[0-9]*%", regex_text(&term(i))),
    };
    (0..count).map(pattern).collect()
}

/// A word from anywhere in the data that is hardly ever in it: an address, an identifier.
fn rare_word(random: &mut Random, corpus: &Corpus) -> String {
    let number =
        |random: &mut Random, end: usize| usize::try_from(random.below(end as u64)).expect("below a length");
    loop {
        let batch = &corpus.batches[number(random, corpus.batches.len())];
        let at = number(random, batch.text.len() - 300);
        let word = batch.text[at..].split([' ', '\n', '"', '\\']).nth(1).unwrap_or_default();
        let sample = &corpus.batches[number(random, corpus.batches.len())];
        if (7..25).contains(&word.len()) && sample.text.matches(word).nth(1).is_none() {
            return word.to_owned();
        }
    }
}

/// `word` as the regex that finds it.
fn regex_text(word: &str) -> String {
    let escaped = |c: char| match c {
        ' ' | '_' | '0'..='9' | 'A'..='Z' | 'a'..='z' => c.to_string(),
        _ => format!("\\x{:02x}", u32::from(c)),
    };
    word.chars().map(escaped).collect()
}

/// Patterns for the JSON records.
pub fn json(count: usize) -> Vec<String> {
    let mut random = Random::new(21);
    let mut pattern = |i: usize| {
        let service = if random.chance(20) { random.of(&SERVICES).to_owned() } else { random.identifier(8) };
        let user = random.below(5_000_000);
        let host = random.below(4000);
        let latency = 500 + random.below(1500);
        let status = 400 + random.below(104);
        match i % 8 {
            0 => format!("{{ $.level = \"ERROR\" && $.service = \"{service}\" }}"),
            1 => {
                format!("{{ $.service = \"{service}\" && $.latency_ms > {latency} && $.http.status >= 500 }}")
            }
            2 => format!("{{ $.user.id = \"u-{user}\" && $.http.status = {status} }}"),
            3 => format!(
                "{{ $.http.path = \"/api/v2/{service}*\" && $.http.status = {status} && $.region = \"us-1\" }}"
            ),
            4 => format!("{{ $.host = \"node-{host}\" && $.level = \"WARN\" }}"),
            5 => {
                format!("{{ $.service = \"{service}\" && $.level != \"INFO\" && $.latency_ms >= {latency} }}")
            }
            6 => format!("{{ $.http.status = {status} && $.service = \"{service}\" }}"),
            _ => format!("{{ $.user.id = \"u-{user}\" && $.latency_ms > {latency} }}"),
        }
    };
    (0..count).map(&mut pattern).collect()
}

/// Patterns for access lines, field by field.
pub fn delimited(count: usize) -> Vec<String> {
    let mut random = Random::new(31);
    let mut pattern = |i: usize| {
        let name = random.identifier(8);
        let (status, bytes, third) = (400 + random.below(104), random.below(100_000), random.below(256));
        match i % 5 {
            0 => format!("[ip, id, user, time, request, status = {status}, bytes > {bytes}, ...]"),
            1 => format!("[ip = \"10.{third}.*\", id, user, time, request, status = 5*, ...]"),
            2 => format!("[ip, id, user = \"{name}\", ...]"),
            3 => format!("[ip, id, user, time, request = \"POST /api/{name}*\", status, ...]"),
            _ => format!("[ip, id, user, time, request = \"*{name}*\", status >= 500, ...]"),
        }
    };
    (0..count).map(&mut pattern).collect()
}
