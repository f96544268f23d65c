//! Comparisons of one field with one value, shared by JSON and space-delimited patterns.
//!
//! Source: spec section 4.3. Only numbers and strings can be compared: for anything else, and for what is
//! absent, neither `=` nor `!=` holds, so callers ask only about a [`Scalar`].

use std::cmp::Ordering;

use ::regex::Regex;

use crate::cursor::{Cursor, WHITE_SPACE, quote};
use crate::error::PatternError;
use crate::number::Number;
use crate::regex;
use crate::wildcard::WildcardText;

/// What can be compared: a number as spelled in the event, or a text.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scalar<'a> {
    Number(&'a str),
    Text(&'a str),
}

#[derive(Debug, Clone)]
pub(crate) enum Comparison {
    Equal(Value),
    NotEqual(Value),
    /// The bound is spelled as in the pattern; it reads as a number.
    Ordered(Order, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// An unquoted number, spelled as in the pattern.
    Number(String),
    Text(WildcardText),
    Regex(Regex),
}

impl<'a> Scalar<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Number(text) | Self::Text(text) => text,
        }
    }
}

impl Comparison {
    /// Reads an operator and its value; `None` if no operator comes next.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Option<Self>, PatternError> {
        let start = cursor.at();
        // Longest first: "=" is also the end of the others.
        let Some(operator) = ["!=", ">=", "<=", "=", ">", "<"].into_iter().find(|it| cursor.eat(it)) else {
            return Ok(None);
        };
        if operator == "=" && cursor.eat("=") {
            return Err(PatternError::new(cursor.since(start), "\"==\" is not an operator").help("write ="));
        }
        cursor.skip_white_space();
        let value_start = cursor.at();
        let value = Value::parse(cursor, operator)?;
        let order = match operator {
            "=" => return Ok(Some(Self::Equal(value))),
            "!=" => return Ok(Some(Self::NotEqual(value))),
            "<" => Order::Less,
            "<=" => Order::LessOrEqual,
            ">" => Order::Greater,
            _ => Order::GreaterOrEqual,
        };
        match value {
            Value::Number(bound) => Ok(Some(Self::Ordered(order, bound))),
            Value::Text(_) | Value::Regex(_) => Err(PatternError::new(
                cursor.since(value_start),
                format!("\"{operator}\" needs an unquoted number"),
            )
            .help("text is compared with = and != only")),
        }
    }

    pub(crate) fn holds(&self, scalar: Scalar<'_>) -> bool {
        match self {
            Self::Equal(value) => value.equals(scalar),
            Self::NotEqual(value) => !value.equals(scalar),
            Self::Ordered(order, bound) => match scalar {
                Scalar::Number(number) => compare(number, bound).is_some_and(|it| order.allows(it)),
                Scalar::Text(_) => false,
            },
        }
    }
}

impl Order {
    pub(crate) fn allows(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Value {
    fn parse(cursor: &mut Cursor<'_>, operator: &str) -> Result<Self, PatternError> {
        match cursor.peek() {
            Some('"') => Ok(Self::Text(WildcardText::new(&cursor.quoted()?))),
            Some('%') => Ok(Self::Regex(regex::parse(cursor)?)),
            None | Some('}' | ']' | ')' | ',' | '&' | '|') => {
                Err(PatternError::new(cursor.here(), format!("missing value after \"{operator}\"")).help(
                    "write a number, a word, \"a text\" or %a regex%; \"\" is the empty text, * is any value",
                ))
            }
            Some(_) => Self::bare(cursor),
        }
    }

    fn bare(cursor: &mut Cursor<'_>) -> Result<Self, PatternError> {
        let start = cursor.at();
        let text = cursor.take_while(|c| c.is_ascii_alphanumeric() || "_-.+*".contains(c));
        match cursor.peek() {
            Some('=' | '<' | '>' | '!') if text.is_empty() => {
                return Err(PatternError::new(
                    cursor.here(),
                    format!("found {}, expected a value", cursor.found()),
                )
                .help("operators are = != > >= < <="));
            }
            Some(c) if !WHITE_SPACE.contains(&c) && !"})],&|".contains(c) => {
                let word = cursor.word_from(start);
                let word = word.strip_suffix(['}', ')', ']', ',']).unwrap_or(word).trim_matches('\'');
                return Err(PatternError::new(
                    cursor.here(),
                    format!("\"{c}\" is not allowed in an unquoted value"),
                )
                .help(format!("put the value in double quotes: {}", quote(word))));
            }
            _ => {}
        }
        if text == "null" {
            return Err(PatternError::new(cursor.since(start), "an unquoted null is not a value")
                .help("write IS NULL after a JSON selector for a null, or \"null\" for the text"));
        }
        Ok(if Number::read(text).is_some() {
            Self::Number(text.to_owned())
        } else {
            Self::Text(WildcardText::new(text))
        })
    }

    fn equals(&self, scalar: Scalar<'_>) -> bool {
        match (self, scalar) {
            (Self::Number(ours), Scalar::Number(theirs)) => {
                compare(theirs, ours).is_some_and(Ordering::is_eq)
            }
            (Self::Number(ours), Scalar::Text(theirs)) => ours == theirs,
            (Self::Text(text), scalar) => text.matches(scalar.text()),
            (Self::Regex(regex), scalar) => regex.is_match(scalar.text()),
        }
    }
}

/// `None` only if one of the two does not read as a number, which their makers rule out.
fn compare(left: &str, right: &str) -> Option<Ordering> {
    Some(Number::read(left)?.compare(Number::read(right)?))
}
