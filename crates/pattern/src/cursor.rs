//! A place in a pattern's text, with what is counted over the whole pattern.
//!
//! All positions are bytes of the text as it was given, so that an error can point into it. The white space
//! around the pattern is outside the cursor's reach.

use std::ops::Range;

use crate::error::PatternError;

/// White space between the words of a pattern.
pub(crate) const WHITE_SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

pub(crate) struct Cursor<'p> {
    text: &'p str,
    at: usize,
    end: usize,
    /// Regexes read so far; bounded by `REGEXES_PER_PATTERN_MAX`.
    pub(crate) regexes: usize,
    /// Selectors with a wildcard read so far; bounded by `WILDCARDS_PER_PATTERN_MAX`.
    pub(crate) wildcards: usize,
}

impl<'p> Cursor<'p> {
    /// Starts at the first character of `text` that is not white space.
    pub(crate) fn new(text: &'p str) -> Self {
        let end = text.trim_end_matches(WHITE_SPACE).len();
        let at = end - text[..end].trim_start_matches(WHITE_SPACE).len();
        Self { text, at, end, regexes: 0, wildcards: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Goes back to a place that `at` named before.
    pub(crate) fn rewind(&mut self, at: usize) {
        self.at = at;
    }

    pub(crate) fn rest(&self) -> &'p str {
        &self.text[self.at..self.end]
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.end
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Steps over `token` if it comes next.
    pub(crate) fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    pub(crate) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'p str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !wanted(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    pub(crate) fn skip_white_space(&mut self) {
        self.take_while(|c| WHITE_SPACE.contains(&c));
    }

    /// The text read since `start`.
    pub(crate) fn since(&self, start: usize) -> Range<usize> {
        start..self.at
    }

    /// The span of the next character; empty at the end.
    pub(crate) fn here(&self) -> Range<usize> {
        self.at..self.at + self.peek().map_or(0, char::len_utf8)
    }

    /// The word or symbol that comes next, for an error message; empty at the end.
    fn next_word(&self) -> &'p str {
        let rest = self.rest();
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..word.max(self.here().len())]
    }

    /// The span of the word or symbol that comes next.
    pub(crate) fn next_span(&self) -> Range<usize> {
        self.at..self.at + self.next_word().len()
    }

    /// What comes next, for an error message.
    pub(crate) fn found(&self) -> String {
        match self.next_word() {
            "" => "the end of the pattern".to_owned(),
            word => format!("\"{word}\""),
        }
    }

    /// Refuses anything that still stands after the `closer` of the pattern.
    pub(crate) fn expect_end(&mut self, closer: char) -> Result<(), PatternError> {
        self.skip_white_space();
        if self.is_at_end() {
            return Ok(());
        }
        Err(PatternError::new(self.at..self.end, format!("unexpected text after the closing \"{closer}\""))
            .help("a pattern is in one language only; remove this text"))
    }

    /// From `start` to the next white space: the word a reader would see there.
    pub(crate) fn word_from(&self, start: usize) -> &'p str {
        let rest = &self.text[start..self.end];
        &rest[..rest.find(WHITE_SPACE).unwrap_or(rest.len())]
    }

    /// Reads a quoted text; the cursor stands on the opening quote.
    ///
    /// A backslash makes the closing quote or a backslash literal; before anything else it is itself.
    pub(crate) fn quoted(&mut self) -> Result<String, PatternError> {
        let opening = self.here();
        let quote = self.bump().expect("the caller saw the opening quote");
        let mut text = String::new();
        while let Some(c) = self.bump() {
            if c == quote {
                return Ok(text);
            }
            let escapes = c == '\\' && self.peek().is_some_and(|next| next == quote || next == '\\');
            text.push(if escapes { self.bump().expect("peeked") } else { c });
        }
        Err(PatternError::new(opening, format!("the quote {quote} is never closed")).help(format!(
            "end the text with {quote}; inside it write \\{quote} for a quote and \\\\ for a backslash"
        )))
    }
}

/// How `text` is written in double quotes.
pub(crate) fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
