//! Selectors for metric values and dimensions: which one value of an event to publish.
//!
//! Source: spec section 6.

use std::borrow::Cow;

use crate::Pattern;
use crate::cursor::Cursor;
use crate::delimited::{Delimited, FieldSelector};
use crate::document::{Json, unescape};
use crate::error::PatternError;
use crate::line::Line;
use crate::path::{Path, is_name};
use crate::pattern::Language;

/// A place in an event: `$.a.b[0]` for a JSON pattern, `$name` or `$3` for a space-delimited one.
///
/// The selector of a space-delimited pattern lines the event up as that pattern does; a member selected from a
/// JSON event need not appear in the pattern.
#[derive(Debug, Clone)]
pub struct Selector {
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Member(Path),
    Field(Delimited, FieldSelector),
}

impl Selector {
    /// Reads `text` as a selector for events that match `pattern`.
    ///
    /// # Errors
    /// [`PatternError`], with a span in `text`, if it is not a selector, has a wildcard, names a field the pattern
    /// does not have, or if the pattern is one of terms (or empty), from which nothing can be selected.
    ///
    /// Source: spec section 6, `metricValue` and `dimensions`.
    pub fn parse(text: &str, pattern: &Pattern) -> Result<Self, PatternError> {
        let source = match pattern.language() {
            Language::Json(_) => Source::Member(member(text)?),
            Language::Delimited(delimited) => Source::Field(delimited.clone(), field(text, delimited)?),
            Language::MatchAll | Language::Terms(_) => {
                return Err(PatternError::new(
                    0..text.len(),
                    "a pattern of terms has no fields to select from",
                )
                .help(
                    "use a JSON pattern { $.key = * }, a space-delimited pattern [a, b], or a plain number",
                ));
            }
        };
        Ok(Self { source })
    }

    /// The selected number or string of an event, as text: numbers as spelled in the event, strings unescaped.
    ///
    /// `None` means: publish nothing for this event. The value is missing, null, a boolean or a container, the
    /// event is not a JSON object, or it has fewer tokens than the pattern has fields. The pattern's conditions are
    /// not looked at: ask [`Pattern::matches`] first. Whether a string reads as a number is for [`crate::number`].
    pub fn value<'m>(&self, message: &'m str) -> Option<Cow<'m, str>> {
        self.value_in(&Line::new(message))
    }

    /// [`Selector::value`] of an event that other patterns and selectors look at too.
    pub fn value_in<'m>(&self, line: &Line<'m>) -> Option<Cow<'m, str>> {
        match &self.source {
            Source::Field(delimited, selector) => delimited.select(selector, line).map(Cow::Borrowed),
            Source::Member(path) => {
                let document = line.document()?;
                match document.value(*path.select(document).first()?) {
                    Json::Number(number) => Some(Cow::Borrowed(number)),
                    Json::String(raw) => Some(unescape(raw)),
                    _ => None,
                }
            }
        }
    }
}

fn member(text: &str) -> Result<Path, PatternError> {
    if !text.starts_with("$.") {
        return Err(PatternError::new(0..text.len(), "a selector for a JSON pattern starts with \"$.\"")
            .help("write $.key, $.key[0] or $.['any key']"));
    }
    let mut cursor = Cursor::new(text);
    let path = Path::parse(&mut cursor)?;
    if cursor.at() < text.len() {
        return Err(PatternError::new(cursor.at()..text.len(), "unexpected text after the selector")
            .help("a selector names one value: $.key, $.key[0] or $.['any key']"));
    }
    if path.has_wildcard() {
        return Err(PatternError::new(0..text.len(), "a wildcard cannot select one value")
            .help("name the element: $.items[0].id"));
    }
    Ok(path)
}

fn field(text: &str, delimited: &Delimited) -> Result<FieldSelector, PatternError> {
    let refused = |message: String, help: String| Err(PatternError::new(0..text.len(), message).help(help));
    let names: Vec<String> = delimited.names().map(|name| format!("${name}")).collect();
    let has = if names.is_empty() {
        "the pattern names no fields: use a position such as $1".to_owned()
    } else {
        format!("the pattern has {}", names.join(", "))
    };
    let Some(name) = text.strip_prefix('$').filter(|name| !name.is_empty() && name.chars().all(is_name))
    else {
        return refused(
            "a selector for a space-delimited pattern is \"$\" and a field name or position".to_owned(),
            has,
        );
    };
    if delimited.names().any(|other| other == name) {
        return Ok(FieldSelector::Name(name.to_owned()));
    }
    // Digits that are no usize are a position no line has.
    let Some(position) = name.parse().ok().filter(|_| name.chars().all(|c| c.is_ascii_digit())) else {
        return refused(format!("the pattern has no field \"{name}\""), has);
    };
    match delimited.check_position(position) {
        Ok(()) => Ok(FieldSelector::Position(position)),
        Err(reason) => refused(reason, has),
    }
}
