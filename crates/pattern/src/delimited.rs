//! Space-delimited patterns: names and conditions for the tokens of an event, from left to right.
//!
//! Source: spec section 5. Without an ellipsis the last field takes the rest of the line; with one, the fields
//! behind it count from the right.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::cursor::Cursor;
use crate::error::PatternError;
use crate::expression::{self, Expression};
use crate::line::Line;
use crate::number::Number;
use crate::path::is_name;
use crate::token::{self, is_white_space};
use crate::value::{Comparison, Scalar};

#[derive(Debug, Clone)]
pub(crate) struct Delimited {
    pub(crate) fields: Vec<Field>,
    /// How many fields stand before the `...`; `None` without one.
    pub(crate) ellipsis: Option<usize>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Field {
    /// Without the dollar sign; `None` for an empty entry.
    pub(crate) name: Option<String>,
    pub(crate) conditions: Option<Expression<Comparison>>,
}

/// What one position of the line got: a token, or for the last field the rest of the line.
struct Value<'p, 'm> {
    /// `None` for a token that no field of the pattern stands for.
    field: Option<&'p Field>,
    text: &'m str,
}

/// What a selector asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FieldSelector {
    Name(String),
    /// Counted from 1; only positions without a name can be asked for.
    Position(usize),
}

impl Delimited {
    /// Reads the whole pattern; the cursor stands on the opening bracket.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, PatternError> {
        let opening = cursor.here();
        cursor.bump();
        let mut pattern = Self { fields: Vec::new(), ellipsis: None };
        cursor.skip_white_space();
        // An empty list is not a list of one unnamed field: it leaves every token its own position.
        if cursor.peek() != Some(']') {
            pattern.entry(cursor)?;
            while cursor.eat(",") {
                pattern.entry(cursor)?;
            }
        }
        if cursor.is_at_end() {
            return Err(PatternError::new(opening, "the bracket \"[\" is never closed")
                .help("end the pattern with ]; to look for the character itself, quote it: \"[\""));
        }
        if !cursor.eat("]") {
            return Err(expression::unexpected(cursor, "\",\", \"]\""));
        }
        cursor.expect_end(']')?;
        Ok(pattern)
    }

    pub(crate) fn matches(&self, line: &Line<'_>) -> bool {
        self.line_up(line).is_some_and(|values| all_hold(&values))
    }

    /// The extracted values of an event that matches, by `$name` or `$position`.
    pub(crate) fn extract(&self, line: &Line<'_>) -> Option<BTreeMap<String, String>> {
        let values = self.line_up(line).filter(|values| all_hold(values))?;
        let (named, unnamed): (Vec<_>, Vec<_>) =
            values.iter().zip(1..).partition(|(value, _)| value.name().is_some());
        // Names come last: one that reads as a position wins over the position, as it does for a selector.
        let entries = unnamed.into_iter().chain(named).map(|(value, position): (&Value<'_, '_>, usize)| {
            let key = value.name().map_or_else(|| format!("${position}"), |name| format!("${name}"));
            (key, value.text.to_owned())
        });
        Some(entries.collect())
    }

    /// The text `selector` stands for, whether or not the conditions hold; `None` if the line is too short.
    pub(crate) fn select<'m>(&self, selector: &FieldSelector, line: &Line<'m>) -> Option<&'m str> {
        let values = self.line_up(line)?;
        let value = match selector {
            FieldSelector::Name(name) => values.iter().find(|value| value.name() == Some(name))?,
            FieldSelector::Position(position) => {
                values.get(position - 1).filter(|value| value.name().is_none())?
            }
        };
        Some(value.text)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().filter_map(|field| field.name.as_deref())
    }

    /// What stands at a position (from 1) in every event: `Err` if no event has an unnamed value there.
    pub(crate) fn check_position(&self, position: usize) -> Result<(), String> {
        let is_open = self.ellipsis.is_some() || self.fields.is_empty();
        let fixed = self.ellipsis.unwrap_or(self.fields.len());
        if position == 0 {
            return Err("positions count from 1".to_owned());
        }
        if position > fixed {
            return if is_open { Ok(()) } else { Err(format!("the pattern has only {fixed} fields")) };
        }
        match &self.fields[position - 1].name {
            Some(name) => Err(format!("position {position} has the name ${name}")),
            None => Ok(()),
        }
    }

    /// Which text each position gets; `None` if the line has too few tokens.
    fn line_up<'m>(&self, line: &Line<'m>) -> Option<Vec<Value<'_, 'm>>> {
        let tokens = line.tokens();
        let surplus = tokens.len().checked_sub(self.fields.len())?;
        let (before, after) = match self.ellipsis {
            Some(before) => self.fields.split_at(before),
            None if tokens.is_empty() => return None,
            None if self.fields.is_empty() => (&[][..], &[][..]),
            None => return Some(self.line_up_to_the_end(line.message(), tokens)),
        };
        let fields =
            before.iter().map(Some).chain(std::iter::repeat_n(None, surplus)).chain(after.iter().map(Some));
        Some(fields.zip(tokens).map(|(field, token)| Value { field, text: token.text }).collect())
    }

    /// A field a token; if there are more tokens, the last field takes the raw rest of the line.
    fn line_up_to_the_end<'m>(&self, message: &'m str, tokens: &[token::Token<'m>]) -> Vec<Value<'_, 'm>> {
        let last = self.fields.len() - 1;
        let values = self.fields.iter().zip(tokens).enumerate().map(|(i, (field, token))| {
            let swallows = i == last && tokens.len() > self.fields.len();
            let rest = || message[token.span.start..].trim_end_matches(is_white_space);
            Value { field: Some(field), text: if swallows { rest() } else { token.text } }
        });
        values.collect()
    }

    /// One entry between commas, up to the next comma or bracket.
    fn entry(&mut self, cursor: &mut Cursor<'_>) -> Result<(), PatternError> {
        cursor.skip_white_space();
        let start = cursor.at();
        if cursor.eat("...") {
            if self.ellipsis.replace(self.fields.len()).is_some() {
                return Err(PatternError::new(cursor.since(start), "only one ellipsis is allowed")
                    .help("leave entries empty for single unnamed fields: [a, , b]"));
            }
        } else if matches!(cursor.peek(), None | Some(',' | ']')) {
            self.fields.push(Field::default());
        } else {
            let (field, name) = field(cursor)?;
            if self.fields.iter().any(|other| other.name == field.name) {
                return Err(PatternError::new(name, "the field name is used twice")
                    .help("give each field its own name, and put all conditions of a field in one entry"));
            }
            self.fields.push(field);
        }
        cursor.skip_white_space();
        match cursor.peek() {
            None | Some(',' | ']') => Ok(()),
            Some(_) => Err(expression::unexpected(cursor, "\",\", \"]\"")),
        }
    }
}

impl<'p> Value<'p, '_> {
    fn name(&self) -> Option<&'p str> {
        self.field.and_then(|field| field.name.as_deref())
    }
}

/// A named field with or without conditions, and the place of its name.
fn field(cursor: &mut Cursor<'_>) -> Result<(Field, Range<usize>), PatternError> {
    let start = cursor.at();
    let name = cursor.take_while(is_name);
    let span = cursor.since(start);
    cursor.skip_white_space();
    if !name.is_empty() && matches!(cursor.peek(), None | Some(',' | ']')) {
        return Ok((Field { name: Some(name.to_owned()), conditions: None }, span));
    }
    cursor.rewind(start);
    let mut own: Option<(String, Range<usize>)> = None;
    let conditions = Expression::parse(cursor, &mut |cursor| {
        let start = cursor.at();
        let name = field_name(cursor)?;
        let (own, _) = own.get_or_insert_with(|| (name.to_owned(), cursor.since(start)));
        if own != name {
            return Err(PatternError::new(
                cursor.since(start),
                format!("a condition of \"{own}\" cannot test \"{name}\""),
            )
            .help("a field's conditions test that field only; separate fields with commas"));
        }
        cursor.skip_white_space();
        Comparison::parse(cursor)?.ok_or_else(|| {
            PatternError::new(cursor.here(), format!("expected an operator or \",\" after \"{name}\""))
                .help("separate fields with commas; operators are = != > >= < <=")
        })
    })?;
    let (name, span) = own.expect("an expression has at least one condition");
    Ok((Field { name: Some(name), conditions: Some(conditions) }, span))
}

fn field_name<'p>(cursor: &mut Cursor<'p>) -> Result<&'p str, PatternError> {
    let name = cursor.take_while(is_name);
    if name.is_empty() {
        return Err(PatternError::new(
            cursor.here(),
            format!("expected a field name, found {}", cursor.found()),
        )
        .help("names are letters, digits, _ and -; to look for text in brackets, quote it: \"[text]\""));
    }
    Ok(name)
}

fn all_hold(values: &[Value<'_, '_>]) -> bool {
    values.iter().all(|value| {
        let conditions = value.field.and_then(|field| field.conditions.as_ref());
        conditions.is_none_or(|it| it.holds(&|comparison: &Comparison| comparison.holds(scalar(value.text))))
    })
}

/// A token that reads as a number is compared like a JSON number, any other like a string.
fn scalar(text: &str) -> Scalar<'_> {
    if Number::read(text).is_some() { Scalar::Number(text) } else { Scalar::Text(text) }
}
