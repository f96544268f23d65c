//! Redaction: what must not be stored is taken out of lines before anything else happens to them.
//!
//! Promise: no line more or less; what is taken out is replaced by `[redacted:WHAT]`, in a JSON record so that it stays JSON.
//! Time grows with the length of the text, also of one made to be slow. A line without a candidate costs a few searches for
//! fixed texts.
//! Not here: which secrets are known.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};
use regex::bytes::{Regex, RegexBuilder};
use watchbell_model::{EventFlags, Kept, Redaction};

use crate::find::{cards, emails, tokens};

/// Values of secrets that are shorter are not looked for, in bytes: they stand in lines that know nothing of them.
pub const SECRET_BYTES_MIN: usize = 6;

/// How far behind the cut of a line that is too long is looked, in bytes, so that nothing is left of what stands across it.
pub const BEHIND_CUT_BYTES: usize = 4096;

/// What a pattern may take once compiled, in bytes.
const COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// Why a pattern cannot be looked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedactorError {
    /// It is no regular expression, or too large.
    #[error("{0}")]
    Pattern(String),
    /// It would be found everywhere.
    #[error("it matches the empty text, which is everywhere")]
    Empty,
}

/// Takes out of lines what must not be stored.
#[derive(Default)]
pub struct Redactor {
    cards: bool,
    emails: bool,
    tokens: Option<tokens::Literals>,
    secrets: Option<AhoCorasick>,
    patterns: Vec<(String, Regex)>,
}

impl fmt::Debug for Redactor {
    /// Shows no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

/// Something that was found: where, and what it is.
type Found<'a> = (Range<usize>, &'a str);

impl Redactor {
    /// Looks for what `redaction` says, and for the values of `secrets`.
    ///
    /// # Errors
    /// The name of the first pattern that cannot be looked for, and why.
    pub fn new(redaction: &Redaction, secrets: &[String]) -> Result<Redactor, (String, RedactorError)> {
        let mut patterns = Vec::new();
        for (name, pattern) in &redaction.patterns {
            patterns.push((name.clone(), compile(pattern).map_err(|error| (name.clone(), error))?));
        }
        let secrets: Vec<String> = secrets.iter().flat_map(|secret| spellings(secret)).collect();
        Ok(Redactor {
            cards: redaction.cards,
            emails: redaction.emails,
            tokens: redaction.tokens.then(tokens::Literals::new),
            secrets: (!secrets.is_empty()).then(|| automaton(&secrets)),
            patterns,
        })
    }

    /// Whether there is nothing to look for.
    pub fn is_idle(&self) -> bool {
        !self.cards
            && !self.emails
            && self.tokens.is_none()
            && self.secrets.is_none()
            && self.patterns.is_empty()
    }

    /// `text` without what must not be stored, and the numbers of the lines that were changed, from 0; `None` if there is
    /// nothing.
    pub fn redact(&self, text: &str) -> Option<(String, Vec<usize>)> {
        let mut found: Vec<Found<'_>> = Vec::new();
        let bytes = text.as_bytes();
        if let Some(secrets) = &self.secrets {
            found.extend(secrets.find_iter(bytes).map(|it| (it.range(), "secret")));
        }
        if let Some(literals) = &self.tokens {
            tokens::find(literals, bytes, |range| found.push((range, "token")));
        }
        if self.cards {
            cards::find(bytes, |range| found.push((range, "card")));
        }
        if self.emails {
            emails::find(bytes, |range| found.push((range, "email")));
        }
        for (name, pattern) in &self.patterns {
            find_pattern(pattern, bytes, |range| found.push((range, name)));
        }
        (!found.is_empty()).then(|| replace(text, found))
    }

    /// What is kept of a line, or of the lines of an event: repaired, redacted, cut, in this order.
    pub fn kept<'a>(&self, line: &'a [u8]) -> Kept<'a> {
        if self.is_idle() {
            return Kept::of(line);
        }
        let repaired = String::from_utf8_lossy(line);
        let Some((text, _)) = self.redact(&repaired) else { return Kept::of(line) };
        let mut flags = EventFlags::REDACTED;
        if let Cow::Owned(_) = repaired {
            flags = flags.with(EventFlags::REPAIRED);
        }
        let kept = Kept::of(text.as_bytes());
        let (flags, dropped_bytes) = (flags.with(kept.flags), kept.dropped_bytes);
        Kept { text: Cow::Owned(kept.text.into_owned()), flags, dropped_bytes }
    }
}

fn compile(pattern: &str) -> Result<Regex, RedactorError> {
    let built =
        RegexBuilder::new(pattern).unicode(false).multi_line(true).size_limit(COMPILED_BYTES_MAX).build();
    let regex = built.map_err(|error| RedactorError::Pattern(error.to_string()))?;
    if regex.is_match(b"") { Err(RedactorError::Empty) } else { Ok(regex) }
}

/// How a secret may stand in a line: as it is, in JSON, in a web address. One of several lines is looked for line by line.
fn spellings(secret: &str) -> Vec<String> {
    let mut spellings = Vec::new();
    for line in secret.lines().filter(|line| line.len() >= SECRET_BYTES_MIN) {
        let json: String = line
            .chars()
            .flat_map(|c| if matches!(c, '"' | '\\') { vec!['\\', c] } else { vec![c] })
            .collect();
        let address: String = line
            .bytes()
            .map(|b| {
                let plain = b.is_ascii_alphanumeric() || b"-._~".contains(&b);
                if plain { char::from(b).to_string() } else { format!("%{b:02X}") }
            })
            .collect();
        spellings.extend([line.to_owned(), json, address]);
    }
    spellings.sort_unstable();
    spellings.dedup();
    spellings
}

fn automaton(texts: &[String]) -> AhoCorasick {
    let built = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(texts);
    built.expect("the secrets of a plan are few and short")
}

/// A pattern sees one line at a time. Of one with a group only what the first group matches is taken out.
fn find_pattern(pattern: &Regex, text: &[u8], mut found: impl FnMut(Range<usize>)) {
    // What matches within a line matches in all of them as well; usually nothing does.
    if !pattern.is_match(text) {
        return;
    }
    let mut start = 0;
    for line in text.split(|byte| *byte == b'\n') {
        for captures in pattern.captures_iter(line) {
            let part = captures.get(1).or(captures.get(0)).filter(|part| !part.is_empty());
            if let Some(part) = part {
                found(start + part.start()..start + part.end());
            }
        }
        start += line.len() + 1;
    }
}

/// Replaces what was found. What overlaps is one, and has the name of the first.
fn replace(text: &str, mut found: Vec<Found<'_>>) -> (String, Vec<usize>) {
    found.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
    let mut merged: Vec<Found<'_>> = Vec::new();
    for (range, what) in found {
        // Patterns of bytes may end within a character.
        let range = text.floor_char_boundary(range.start)..text.ceil_char_boundary(range.end);
        match merged.last_mut() {
            Some((last, _)) if range.start < last.end => last.end = last.end.max(range.end),
            _ => merged.push((range, what)),
        }
    }
    let mut out = String::with_capacity(text.len());
    let (mut lines, mut line, mut line_start, mut at) = (Vec::new(), 0, 0, 0);
    for (range, what) in merged {
        let between = &text[at..range.start];
        line += between.bytes().filter(|byte| *byte == b'\n').count();
        line_start = between.rfind('\n').map_or(line_start, |end| at + end + 1);
        out += between;
        let quote = if is_bare_in_json(&text[line_start..], range.start - line_start) { "\"" } else { "" };
        for part in [quote, "[redacted:", what, "]", quote] {
            out += part;
        }
        if lines.last() != Some(&line) {
            lines.push(line);
        }
        at = range.end;
    }
    out += &text[at..];
    (out, lines)
}

/// Whether the place `at` of a line is in a JSON record and in no text of it: a number.
fn is_bare_in_json(line: &str, at: usize) -> bool {
    let mut in_text = false;
    let mut escaped = false;
    for byte in line[..at].bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            _ => {}
        }
    }
    line.starts_with(['{', '[']) && !in_text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use watchbell_model::LINE_BYTES_MAX;

    use super::*;

    fn all() -> Redaction {
        Redaction {
            cards: true,
            tokens: true,
            emails: true,
            patterns: [("plate".into(), "plate=(\\w+)".into())].into(),
        }
    }

    fn redacted(text: &str) -> String {
        let secrets = ["hunter2-and-more".to_owned(), "a\"b\\c d".to_owned(), "short".to_owned()];
        let redactor = Redactor::new(&all(), &secrets).unwrap();
        redactor.redact(text).map_or_else(|| text.to_owned(), |(text, _)| text)
    }

    #[test]
    fn each_kind_is_taken_out_and_what_stands_around_it_stays() {
        for (line, expected) in [
            ("paid with 4111 1111 1111 1111, thanks", "paid with [redacted:card], thanks"),
            (
                "GET /x Authorization: Bearer abc.DEF-123_x HTTP",
                "GET /x Authorization: Bearer [redacted:token] HTTP",
            ),
            ("mail to jane.doe+x@mail.example.com now", "mail to [redacted:email] now"),
            ("password is hunter2-and-more.", "password is [redacted:secret]."),
            (
                "in json a\\\"b\\\\c d, in a link a%22b%5Cc%20d",
                "in json [redacted:secret], in a link [redacted:secret]",
            ),
            ("too short to be looked for: short", "too short to be looked for: short"),
            ("plate=HH4711 parked", "plate=[redacted:plate] parked"),
            ("a@example.com,b@example.com", "[redacted:email],[redacted:email]"),
        ] {
            assert_eq!(redacted(line), expected);
        }
    }

    #[test]
    fn a_json_record_stays_one() {
        assert_eq!(
            redacted(r#"{"card":4111111111111111,"text":"is, 4111111111111111, \"4111111111111111\""}"#),
            r#"{"card":"[redacted:card]","text":"is, [redacted:card], \"[redacted:card]\""}"#
        );
    }

    #[test]
    fn the_lines_that_were_changed_are_told() {
        let redactor = Redactor::new(&all(), &[]).unwrap();
        let text = "one\na@example.com b@example.com\nthree\nplate=1\n";
        let (out, lines) = redactor.redact(text).unwrap();
        assert_eq!(out, "one\n[redacted:email] [redacted:email]\nthree\nplate=[redacted:plate]\n");
        assert_eq!(lines, [1, 3]);
        assert!(redactor.redact("nothing here\nor here\n").is_none());
    }

    #[test]
    fn what_stands_across_the_cut_is_taken_out_before_it() {
        let redactor = Redactor::new(&all(), &["hunter2-and-more".to_owned()]).unwrap();
        let line = format!("{}hunter2-and-more{}", "x".repeat(LINE_BYTES_MAX - 8), "y".repeat(100));
        let kept = redactor.kept(line.as_bytes());
        assert!(
            !kept.text.contains("hunter2") && kept.text.ends_with("x[redacte"),
            "{}",
            &kept.text[LINE_BYTES_MAX - 20..]
        );
        assert!(kept.flags.has(EventFlags::REDACTED.with(EventFlags::CUT)));
        assert_eq!(
            redactor.kept(b"a\xff a@example.com").flags,
            EventFlags::REDACTED.with(EventFlags::REPAIRED)
        );
        assert_eq!(redactor.kept(b"plain").flags, EventFlags::default());
    }

    #[test]
    fn patterns_that_cannot_be_looked_for_are_refused_by_name() {
        for (pattern, reason) in [("(", "unclosed"), ("a*", "empty text")] {
            let redaction =
                Redaction { patterns: [("x".into(), pattern.into())].into(), ..Redaction::default() };
            let (name, error) = Redactor::new(&redaction, &[]).unwrap_err();
            assert!(name == "x" && error.to_string().contains(reason), "{error}");
        }
    }

    proptest! {
        #[test]
        fn lines_keep_their_number_and_together_are_as_one_by_one(
            lines in prop::collection::vec("[a-z@. :/0-9-]{0,30}|4111 ?1111 ?1111 ?1111|Bearer [a-z]{5,12}|h://u:p@h.de|\u{e9}@x.de", 0..8),
        ) {
            let redactor = Redactor::new(&all(), &["aaaaaa".to_owned()]).unwrap();
            let text = lines.join("\n");
            let one = |line: &String| redactor.redact(line).map_or_else(|| line.clone(), |(text, _)| text);
            let expected: Vec<String> = lines.iter().map(one).collect();
            let together = redactor.redact(&text).map_or(text, |(text, _)| text);
            prop_assert_eq!(together, expected.join("\n"));
        }
    }
}
