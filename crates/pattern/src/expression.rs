//! Conditions joined by `&&`, `||` and parentheses, shared by JSON and space-delimited patterns.
//!
//! Source: spec section 4. Parentheses bind first, then `&&`, then `||`. There is no negation.

use crate::cursor::Cursor;
use crate::error::PatternError;

/// How deep parentheses may be nested. Ours: CloudWatch names no limit, a stack has one.
pub const PARENTHESES_DEPTH_MAX: usize = 128;

#[derive(Debug, Clone)]
pub(crate) enum Expression<C> {
    Condition(C),
    All(Vec<Expression<C>>),
    Any(Vec<Expression<C>>),
}

impl<C> Expression<C> {
    /// Reads an expression whose conditions are read by `condition`; what follows it is the caller's to check.
    pub(crate) fn parse(
        cursor: &mut Cursor<'_>,
        condition: &mut impl FnMut(&mut Cursor<'_>) -> Result<C, PatternError>,
    ) -> Result<Self, PatternError> {
        Self::any(cursor, condition, 0)
    }

    pub(crate) fn holds(&self, test: &impl Fn(&C) -> bool) -> bool {
        match self {
            Self::Condition(condition) => test(condition),
            Self::All(parts) => parts.iter().all(|part| part.holds(test)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(test)),
        }
    }

    fn any(
        cursor: &mut Cursor<'_>,
        condition: &mut impl FnMut(&mut Cursor<'_>) -> Result<C, PatternError>,
        depth: usize,
    ) -> Result<Self, PatternError> {
        let mut parts = vec![Self::all(cursor, condition, depth)?];
        while next_is(cursor, "||") {
            parts.push(Self::all(cursor, condition, depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Self::Any(parts) })
    }

    fn all(
        cursor: &mut Cursor<'_>,
        condition: &mut impl FnMut(&mut Cursor<'_>) -> Result<C, PatternError>,
        depth: usize,
    ) -> Result<Self, PatternError> {
        let mut parts = vec![Self::primary(cursor, condition, depth)?];
        while next_is(cursor, "&&") {
            parts.push(Self::primary(cursor, condition, depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Self::All(parts) })
    }

    fn primary(
        cursor: &mut Cursor<'_>,
        condition: &mut impl FnMut(&mut Cursor<'_>) -> Result<C, PatternError>,
        depth: usize,
    ) -> Result<Self, PatternError> {
        cursor.skip_white_space();
        let opening = cursor.here();
        if cursor.peek() == Some('!') {
            return Err(PatternError::new(opening, "there is no negation")
                .help("negate each comparison instead: != in place of ="));
        }
        if !cursor.eat("(") {
            return condition(cursor).map(Self::Condition);
        }
        if depth == PARENTHESES_DEPTH_MAX {
            return Err(PatternError::new(
                opening,
                format!("parentheses are nested deeper than {PARENTHESES_DEPTH_MAX}"),
            )
            .help("remove parentheses: && already binds tighter than ||"));
        }
        let inner = Self::any(cursor, condition, depth + 1)?;
        match cursor.peek() {
            Some(')') => {
                cursor.bump();
                Ok(inner)
            }
            None | Some('}' | ']' | ',') => {
                Err(PatternError::new(opening, "the parenthesis \"(\" is never closed").help("add a \")\""))
            }
            Some(_) => Err(unexpected(cursor, "\")\"")),
        }
    }
}

fn next_is(cursor: &mut Cursor<'_>, operator: &str) -> bool {
    cursor.skip_white_space();
    cursor.eat(operator)
}

/// The error for something that stands where an expression could only go on or meet one of `closers`.
pub(crate) fn unexpected(cursor: &Cursor<'_>, closers: &str) -> PatternError {
    let message = format!("found {}, expected {closers}, \"&&\" or \"||\"", cursor.found());
    let error = PatternError::new(cursor.next_span(), message);
    match cursor.word_from(cursor.at()) {
        "AND" | "and" | "&" => error.help("write &&"),
        "OR" | "or" | "|" => error.help("write ||"),
        _ => error.help("a value with spaces or symbols needs double quotes"),
    }
}
