//! JSON patterns: conditions on the members of an event that is one JSON object.
//!
//! Source: spec section 4. An event that is anything else matches nothing, `NOT EXISTS` included. A condition
//! holds if any node its selector leads to satisfies it.

use crate::cursor::Cursor;
use crate::document::{Document, Json, NodeIndex, unescape};
use crate::error::PatternError;
use crate::expression::{self, Expression};
use crate::line::Line;
use crate::path::Path;
use crate::value::{Comparison, Scalar};

#[derive(Debug, Clone)]
pub(crate) struct JsonPattern {
    pub(crate) expression: Expression<Condition>,
}

#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) path: Path,
    pub(crate) test: Test,
}

#[derive(Debug, Clone)]
pub(crate) enum Test {
    Comparison(Comparison),
    IsNull,
    IsTrue,
    IsFalse,
    NotExists,
}

impl JsonPattern {
    /// Reads the whole pattern; the cursor stands on the opening brace.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, PatternError> {
        let opening = cursor.here();
        cursor.bump();
        cursor.skip_white_space();
        if cursor.peek() == Some('}') {
            return Err(PatternError::new(
                opening.start..cursor.here().end,
                "a JSON pattern needs a condition",
            )
            .help("write { $.key = * }; an empty pattern matches every event"));
        }
        let expression = Expression::parse(cursor, &mut condition)?;
        if cursor.is_at_end() {
            return Err(
                PatternError::new(opening, "the brace \"{\" is never closed").help("end the pattern with }")
            );
        }
        if !cursor.eat("}") {
            return Err(expression::unexpected(cursor, "\"}\""));
        }
        cursor.expect_end('}')?;
        Ok(Self { expression })
    }

    pub(crate) fn matches(&self, line: &Line<'_>) -> bool {
        line.document()
            .is_some_and(|document| self.expression.holds(&|condition: &Condition| condition.holds(document)))
    }
}

impl Condition {
    fn holds(&self, document: &Document<'_>) -> bool {
        let nodes = self.path.select(document);
        match self.test {
            Test::NotExists => nodes.is_empty(),
            _ => nodes.into_iter().any(|node| self.test.holds(document, node)),
        }
    }
}

impl Test {
    fn holds(&self, document: &Document<'_>, node: NodeIndex) -> bool {
        match (self, document.value(node)) {
            (Self::Comparison(comparison), Json::Number(number)) => comparison.holds(Scalar::Number(number)),
            (Self::Comparison(comparison), Json::String(raw)) => {
                comparison.holds(Scalar::Text(&unescape(raw)))
            }
            (Self::IsNull, Json::Null) | (Self::IsTrue, Json::True) | (Self::IsFalse, Json::False) => true,
            // Recorded from the live service: an array that holds a null counts as null.
            (Self::IsNull, Json::Array) => {
                document.every_child(node).into_iter().any(|child| document.value(child) == Json::Null)
            }
            _ => false,
        }
    }
}

fn condition(cursor: &mut Cursor<'_>) -> Result<Condition, PatternError> {
    let path = Path::parse(cursor)?;
    cursor.skip_white_space();
    let test = match Comparison::parse(cursor)? {
        Some(comparison) => Test::Comparison(comparison),
        None => keyword_test(cursor)?,
    };
    Ok(Condition { path, test })
}

/// `IS NULL`, `IS TRUE`, `IS FALSE` or `NOT EXISTS`.
fn keyword_test(cursor: &mut Cursor<'_>) -> Result<Test, PatternError> {
    let span = cursor.next_span();
    match word(cursor) {
        "IS" => is_test(cursor),
        "NOT" => {
            cursor.skip_white_space();
            let span = cursor.next_span();
            match word(cursor) {
                "EXISTS" => Ok(Test::NotExists),
                _ => Err(PatternError::new(span, "NOT must be followed by EXISTS")
                    .help("write NOT EXISTS; to negate a comparison use !=")),
            }
        }
        "EXISTS" => Err(PatternError::new(span, "EXISTS alone is not supported")
            .help("write = * to ask for any number or text")),
        other => {
            let error = PatternError::new(span, "expected an operator after the selector");
            Err(match other.to_ascii_uppercase().as_str() {
                "IS" | "NOT" | "EXISTS" => {
                    error.help("keywords are written in capitals: IS NULL, NOT EXISTS")
                }
                _ => error.help("operators are = != > >= < <=, IS NULL, IS TRUE, IS FALSE and NOT EXISTS"),
            })
        }
    }
}

fn is_test(cursor: &mut Cursor<'_>) -> Result<Test, PatternError> {
    cursor.skip_white_space();
    let span = cursor.next_span();
    match word(cursor) {
        "NULL" => Ok(Test::IsNull),
        "TRUE" => Ok(Test::IsTrue),
        "FALSE" => Ok(Test::IsFalse),
        "NOT" => Err(PatternError::new(span, "IS NOT is not supported")
            .help("write = * for any number or text, IS TRUE or IS FALSE for a boolean")),
        _ => Err(PatternError::new(span, "IS must be followed by NULL, TRUE or FALSE")
            .help("keywords are written in capitals; compare other values with =")),
    }
}

fn word<'p>(cursor: &mut Cursor<'p>) -> &'p str {
    cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_')
}
