//! Selectors into a JSON event: `$.user.tags[0]`, `$.items[*].id`, `$.['cluster.name']`.
//!
//! Source: spec sections 4 (grammar) and 4.2 (meaning).

use std::fmt;

use crate::cursor::{Cursor, quote};
use crate::document::{Document, NodeIndex, ROOT};
use crate::error::PatternError;

/// How many wildcards one selector may have.
pub const WILDCARDS_PER_SELECTOR_MAX: usize = 1;
/// How many wildcards all selectors of one pattern may have together.
pub const WILDCARDS_PER_PATTERN_MAX: usize = 3;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path {
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Member(String),
    Element(usize),
    /// Every element of an array or member of an object.
    Every,
}

impl Path {
    /// Reads a selector; the cursor stands where its `$.` must be.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, PatternError> {
        let start = cursor.at();
        if !cursor.eat("$.") {
            return Err(not_a_selector(cursor));
        }
        let mut path = Self { steps: vec![step(cursor)?] };
        loop {
            match cursor.peek() {
                Some('.') => {
                    cursor.bump();
                    path.steps.push(step(cursor)?);
                }
                Some('[') => path.steps.push(bracket(cursor)?),
                _ => break,
            }
        }
        let wildcards = path.steps.iter().filter(|step| matches!(step, Step::Every)).count();
        if wildcards > WILDCARDS_PER_SELECTOR_MAX {
            return Err(PatternError::new(cursor.since(start), "a selector may have only one wildcard")
                .help("name all but one element of the path: $.items[*].id"));
        }
        cursor.wildcards += wildcards;
        if cursor.wildcards > WILDCARDS_PER_PATTERN_MAX {
            return Err(PatternError::new(
                cursor.since(start),
                format!("a pattern may have only {WILDCARDS_PER_PATTERN_MAX} wildcards"),
            )
            .help("name elements, or split the pattern into several filters"));
        }
        Ok(path)
    }

    pub(crate) fn has_wildcard(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Every))
    }

    /// Every node the path leads to: at most one without a wildcard.
    pub(crate) fn select(&self, document: &Document<'_>) -> Vec<NodeIndex> {
        let mut nodes = vec![ROOT];
        for step in &self.steps {
            nodes = match step {
                Step::Member(key) => {
                    nodes.into_iter().filter_map(|node| document.member(node, key)).collect()
                }
                Step::Element(index) => {
                    nodes.into_iter().filter_map(|node| document.element(node, *index)).collect()
                }
                Step::Every => nodes.into_iter().flat_map(|node| document.every_child(node)).collect(),
            };
        }
        nodes
    }
}

/// As it is written, with brackets only where they are needed.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        self.steps.iter().enumerate().try_for_each(|(number, step)| match step {
            Step::Member(key) if !key.is_empty() && key.chars().all(is_name) => write!(f, ".{key}"),
            step => {
                // What follows the dollar sign begins with a dot.
                f.write_str(if number == 0 { "." } else { "" })?;
                match step {
                    Step::Member(key) => write!(f, "[{}]", quote(key)),
                    Step::Element(index) => write!(f, "[{index}]"),
                    Step::Every => f.write_str("[*]"),
                }
            }
        })
    }
}

fn not_a_selector(cursor: &Cursor<'_>) -> PatternError {
    let error = PatternError::new(
        cursor.next_span(),
        format!("found {}, expected a selector that starts with \"$.\"", cursor.found()),
    );
    match cursor.peek() {
        Some('"') => {
            error.help("EventBridge patterns are another language; here write { $.key = \"value\" }")
        }
        _ => error.help("write a condition such as $.level = \"ERROR\""),
    }
}

/// What follows a dot.
fn step(cursor: &mut Cursor<'_>) -> Result<Step, PatternError> {
    if cursor.peek() == Some('[') {
        return bracket(cursor);
    }
    if cursor.eat("*") {
        return Ok(Step::Every);
    }
    let start = cursor.at();
    let name = cursor.take_while(is_name);
    match cursor.peek() {
        Some('.') if name.is_empty() => {
            Err(PatternError::new(cursor.here(), "\"..\" is not supported")
                .help("name every level of the path"))
        }
        Some(c) if !(c.is_whitespace() || ".[=!<>&|(){}],\"%".contains(c)) => {
            let key = cursor.word_from(start);
            let key = &key[..key.find(['.', '[', '=', '!', '<', '>', ')', '}']).unwrap_or(key.len())];
            Err(PatternError::new(cursor.here(), format!("\"{c}\" is not allowed in an unquoted key"))
                .help(format!("put the key in brackets and quotes: [{}]", quote(key))))
        }
        _ if name.is_empty() => Err(PatternError::new(
            cursor.here(),
            format!("found {}, expected a key, an index or \"*\"", cursor.found()),
        )
        .help("a selector looks like $.user.tags[0]; it has no spaces outside quotes")),
        _ => Ok(Step::Member(name.to_owned())),
    }
}

/// `[0]`, `[*]`, `['key']` or `["key"]`.
fn bracket(cursor: &mut Cursor<'_>) -> Result<Step, PatternError> {
    let start = cursor.at();
    cursor.bump();
    let step = match cursor.peek() {
        Some('*') => {
            cursor.bump();
            Step::Every
        }
        Some('"' | '\'') => Step::Member(cursor.quoted()?),
        Some(c) if c.is_ascii_digit() => {
            let digits = cursor.take_while(|c| c.is_ascii_digit());
            let index = digits.parse().map_err(|_| {
                PatternError::new(cursor.since(start + 1), "the index is larger than any array")
                    .help("count from 0")
            })?;
            Step::Element(index)
        }
        Some('-') => {
            return Err(PatternError::new(cursor.here(), "an index cannot be negative").help("count from 0"));
        }
        _ => return Err(bad_bracket(cursor)),
    };
    match cursor.peek() {
        Some(']') => {
            cursor.bump();
            Ok(step)
        }
        Some(':') => Err(PatternError::new(cursor.here(), "slices are not supported")
            .help("name one element, or use [*] for all")),
        _ => Err(bad_bracket(cursor)),
    }
}

fn bad_bracket(cursor: &Cursor<'_>) -> PatternError {
    PatternError::new(
        cursor.next_span(),
        format!("found {}, expected an index, \"*\" or a quoted key", cursor.found()),
    )
    .help("write [0], [*] or ['any key']")
}

/// A character of an unquoted key, or of a field name in a space-delimited pattern.
pub(crate) fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}
