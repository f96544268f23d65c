//! A place in an expression's text, and how deep it is nested there.
//!
//! All positions are bytes of the text as it was given, so that an error can point into it.

use std::ops::Range;

use crate::error::ExpressionError;

/// How deep parentheses, lists, functions and negations may be nested. Ours: CloudWatch names no limit, a stack
/// has one.
pub const DEPTH_MAX: usize = 128;

pub(crate) struct Cursor<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Cursor<'t> {
    /// Starts at the beginning of `text`.
    ///
    /// # Errors
    /// A text of nothing but white space, or of more than `chars_max` characters. `what` names it.
    pub(crate) fn new(
        text: &'t str,
        what: &str,
        example: &str,
        chars_max: usize,
    ) -> Result<Self, ExpressionError> {
        if let Some((surplus, _)) = text.char_indices().nth(chars_max) {
            return Err(ExpressionError::new(
                surplus..text.len(),
                format!("the {what} is longer than {chars_max} characters"),
            )
            .help("split it in two: one may name the other"));
        }
        let mut cursor = Self { text, at: 0, depth: 0 };
        cursor.skip_white_space();
        if cursor.is_at_end() {
            return Err(ExpressionError::new(0..text.len(), format!("the {what} is empty"))
                .help(format!("write one, such as {example}")));
        }
        Ok(cursor)
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    pub(crate) fn before(&self) -> &'t str {
        &self.text[..self.at]
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Steps over `token`, and the white space behind it, if it comes next.
    pub(crate) fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
            self.skip_white_space();
        }
        found
    }

    /// The letters, digits and `_` that come next.
    pub(crate) fn word(&self) -> &'t str {
        let rest = self.rest();
        &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())]
    }

    /// Steps over `word`, and the white space behind it, if exactly this word comes next.
    pub(crate) fn eat_word(&mut self, word: &str) -> bool {
        self.word() == word && self.eat(word)
    }

    pub(crate) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !wanted(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    pub(crate) fn skip_white_space(&mut self) {
        self.take_while(char::is_whitespace);
    }

    /// The text from `start` to here, without the white space at its end.
    pub(crate) fn since(&self, start: usize) -> Range<usize> {
        start..start + self.text[start..self.at].trim_end().len()
    }

    /// The span of the word or symbol that comes next; empty at the end.
    pub(crate) fn next_span(&self) -> Range<usize> {
        let width = self.word().len().max(self.peek().map_or(0, char::len_utf8));
        self.at..self.at + width
    }

    /// What comes next, for an error message.
    pub(crate) fn found(&self) -> String {
        match &self.text[self.next_span()] {
            "" => "the end".to_owned(),
            word => format!("\"{word}\""),
        }
    }

    /// Steps over `closer`; what was opened at `opening` ends here.
    pub(crate) fn close(&mut self, opening: Range<usize>, closer: &str) -> Result<(), ExpressionError> {
        if self.eat(closer) {
            return Ok(());
        }
        if self.is_at_end() {
            let opener = &self.text[opening.clone()];
            return Err(ExpressionError::new(opening, format!("\"{opener}\" is never closed"))
                .help(format!("add a \"{closer}\"")));
        }
        Err(ExpressionError::new(self.next_span(), format!("found {}, expected \"{closer}\"", self.found())))
    }

    /// Goes one level deeper; `span` is what opens it. `leave` goes back.
    pub(crate) fn enter(&mut self, span: Range<usize>) -> Result<(), ExpressionError> {
        if self.depth == DEPTH_MAX {
            return Err(ExpressionError::new(span, format!("nested deeper than {DEPTH_MAX}"))
                .help("take a part out under a name of its own"));
        }
        self.depth += 1;
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Reads a text in double quotes, and the white space behind it; the cursor stands on the opening quote.
    ///
    /// A backslash makes a quote or a backslash literal; before anything else it is itself.
    pub(crate) fn quoted(&mut self) -> Result<String, ExpressionError> {
        let opening = self.next_span();
        self.bump();
        let mut text = String::new();
        while let Some(c) = self.bump() {
            if c == '"' {
                self.skip_white_space();
                return Ok(text);
            }
            let escaped = self.peek().filter(|&next| c == '\\' && matches!(next, '"' | '\\'));
            if escaped.is_some() {
                self.bump();
            }
            text.push(escaped.unwrap_or(c));
        }
        Err(ExpressionError::new(opening, "the quote \" is never closed")
            .help("end the text with \"; inside it write \\\" for a quote and \\\\ for a backslash"))
    }
}

/// How `text` is written in double quotes.
pub(crate) fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
