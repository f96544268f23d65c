//! Term patterns: words, phrases and regexes that an event must, must not or may contain.
//!
//! Source: spec section 2. Every item is searched in the whole event text, line breaks included, inside longer
//! words too, case sensitively. There are no wildcards and no keywords.

use ::regex::Regex;

use crate::cursor::{Cursor, WHITE_SPACE, quote};
use crate::error::PatternError;
use crate::regex;

#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) required: Vec<Term>,
    pub(crate) excluded: Vec<Term>,
    /// Has an effect only when nothing is required or excluded.
    pub(crate) optional: Vec<Term>,
}

#[derive(Debug, Clone)]
pub(crate) enum Term {
    Text(String),
    Regex(Regex),
}

impl Terms {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, PatternError> {
        let mut terms = Self { required: Vec::new(), excluded: Vec::new(), optional: Vec::new() };
        while !cursor.is_at_end() {
            let list = match cursor.peek() {
                Some('?') => &mut terms.optional,
                Some('-') => &mut terms.excluded,
                _ => &mut terms.required,
            };
            list.push(item(cursor)?);
            cursor.skip_white_space();
        }
        Ok(terms)
    }

    pub(crate) fn matches(&self, message: &str) -> bool {
        if self.required.is_empty() && self.excluded.is_empty() {
            return self.optional.iter().any(|term| term.is_in(message));
        }
        self.required.iter().all(|term| term.is_in(message))
            && !self.excluded.iter().any(|term| term.is_in(message))
    }
}

impl Term {
    fn is_in(&self, message: &str) -> bool {
        match self {
            Self::Text(text) => message.contains(text.as_str()),
            Self::Regex(regex) => regex.is_match(message),
        }
    }
}

/// One item with its sign, and the white space or end that must follow it.
fn item(cursor: &mut Cursor<'_>) -> Result<Term, PatternError> {
    let start = cursor.at();
    if !cursor.eat("?") {
        cursor.eat("-");
    }
    let sign = cursor.since(start);
    let word_start = cursor.at();
    let term = match cursor.peek() {
        Some('"') => Term::Text(cursor.quoted()?),
        Some('%') => Term::Regex(regex::parse(cursor)?),
        Some(c) if is_word(c) => Term::Text(cursor.take_while(|c| is_word(c) || c == '-').to_owned()),
        None | Some(' ' | '\t' | '\r' | '\n') => {
            return Err(PatternError::new(sign, "a sign needs a term directly behind it")
                .help("write -word, ?word, or quote the sign to look for it: \"-\""));
        }
        Some('-' | '?') if !sign.is_empty() => {
            return Err(PatternError::new(cursor.here(), "a term has only one sign").help(format!(
                "to look for the sign itself, quote it: {}",
                quote(cursor.word_from(word_start))
            )));
        }
        Some(c) => return Err(refused_character(cursor, c, word_start)),
    };
    match cursor.peek() {
        Some(c) if !WHITE_SPACE.contains(&c) => Err(refused_character(cursor, c, word_start)),
        _ => Ok(term),
    }
}

fn refused_character(cursor: &Cursor<'_>, c: char, word_start: usize) -> PatternError {
    let word = cursor.word_from(word_start);
    if word.starts_with(['"', '%']) {
        return PatternError::new(cursor.here(), "terms are separated by white space")
            .help("put a space between the two terms");
    }
    PatternError::new(cursor.here(), format!("\"{c}\" is not allowed in an unquoted term"))
        .help(format!("quote it: {} (a term is plain text: it has no wildcards)", quote(word)))
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
