//! A filter pattern: the language it is in, and the one question every language answers.

use std::collections::BTreeMap;
use std::fmt;

use crate::cursor::Cursor;
use crate::delimited::Delimited;
use crate::error::PatternError;
use crate::json::JsonPattern;
use crate::line::Line;
use crate::term::Terms;

/// How long a pattern may be, in characters.
///
/// Source: CloudWatch Logs API Reference, `PutMetricFilter`, `filterPattern`.
pub const PATTERN_CHARS_MAX: usize = 1024;

/// A checked filter pattern.
///
/// Two patterns are equal if their texts are.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    language: Language,
    has_regex: bool,
}

/// The language a pattern is written in, told by its first character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternKind {
    /// Empty or only white space: every event matches.
    MatchAll,
    /// Words, phrases and regexes. `""` is one of these: the empty phrase, which is in every event.
    Terms,
    /// `{ … }`: conditions on a JSON object.
    Json,
    /// `[ … ]`: conditions on the tokens of a line.
    SpaceDelimited,
}

#[derive(Clone)]
pub(crate) enum Language {
    MatchAll,
    Terms(Terms),
    Json(JsonPattern),
    Delimited(Delimited),
}

impl Pattern {
    /// Reads a filter pattern of up to [`PATTERN_CHARS_MAX`] characters.
    ///
    /// # Errors
    /// [`PatternError`], with the place, for text that is in none of the languages or beyond a limit.
    ///
    /// Source: spec section 1.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if let Some((end, _)) = text.char_indices().nth(PATTERN_CHARS_MAX) {
            return Err(PatternError::new(
                end..text.len(),
                format!("the pattern is longer than {PATTERN_CHARS_MAX} characters"),
            )
            .help("split it into several filters on the same metric"));
        }
        let mut cursor = Cursor::new(text);
        let language = match cursor.peek() {
            None => Language::MatchAll,
            Some('{') => Language::Json(JsonPattern::parse(&mut cursor)?),
            Some('[') => Language::Delimited(Delimited::parse(&mut cursor)?),
            Some(_) => Language::Terms(Terms::parse(&mut cursor)?),
        };
        Ok(Self { text: text.to_owned(), language, has_regex: cursor.regexes > 0 })
    }

    /// The pattern as it was given, white space around it included.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The language the pattern is in.
    pub fn kind(&self) -> PatternKind {
        match self.language {
            Language::MatchAll => PatternKind::MatchAll,
            Language::Terms(_) => PatternKind::Terms,
            Language::Json(_) => PatternKind::Json,
            Language::Delimited(_) => PatternKind::SpaceDelimited,
        }
    }

    /// Whether a `%regex%` stands in the pattern: a log group may have only so many filters with one.
    pub fn has_regex(&self) -> bool {
        self.has_regex
    }

    /// Whether an event with this text matches.
    pub fn matches(&self, message: &str) -> bool {
        self.matches_line(&Line::new(message))
    }

    /// [`Pattern::matches`] for an event that other patterns and selectors look at too.
    pub fn matches_line(&self, line: &Line<'_>) -> bool {
        match &self.language {
            Language::MatchAll => true,
            Language::Terms(terms) => terms.matches(line.message()),
            Language::Json(json) => json.matches(line),
            Language::Delimited(delimited) => delimited.matches(line),
        }
    }

    /// The values `TestMetricFilter` reports for an event that matches; `None` for one that does not.
    ///
    /// A space-delimited pattern gives `$name` for named fields and `$3` (position from 1) for the others, with the
    /// token's text. The other languages give an empty map: what to take from a JSON event is a [`crate::Selector`]'s
    /// to say.
    ///
    /// Source: spec sections 2 (12), 4.5 and 5.4.
    pub fn extract(&self, message: &str) -> Option<BTreeMap<String, String>> {
        match &self.language {
            Language::Delimited(delimited) => delimited.extract(&Line::new(message)),
            _ => self.matches(message).then(BTreeMap::new),
        }
    }

    pub(crate) fn language(&self) -> &Language {
        &self.language
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Pattern").field(&self.text).finish()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl std::str::FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::parse(text)
    }
}
