//! Reads an expression, and checks what each part gives.
//!
//! ```text
//! expression = unary { operator unary }              OR, AND, comparisons, + -, * /: the later, the tighter
//! unary      = "-" unary | primary [ "^" unary ]
//! primary    = number | id | "(" expression ")" | "[" expression { "," expression } "]"
//!            | "METRICS" "(" [ text ] ")" | "IF" "(" expression "," expression [ "," expression ] ")"
//!            | "FILL" "(" expression "," ( "REPEAT" | "LINEAR" | expression ) ")" | FUNCTION "(" expression ")"
//! ```

use std::ops::Range;

use super::MATH_CHARS_MAX;
use super::node::{Filler, Function, Kind, NOT_AVAILABLE, Node, Operator};
use crate::cursor::Cursor;
use crate::error::ExpressionError;
use crate::reference::Reference;

/// What can stand where a value is needed, for an error message.
const OPERAND: &str = "a number, an id, a function or \"(\"";

type Parsed = Result<(Node, Kind), ExpressionError>;

pub(super) fn parse(text: &str, metrics: &[&str]) -> Result<(Node, Kind, Vec<Reference>), ExpressionError> {
    let cursor = Cursor::new(text, "expression", "m1 / m2 * 100", MATH_CHARS_MAX)?;
    let mut parser = Parser { cursor, metrics, ids: Vec::new() };
    let start = parser.cursor.at();
    let (node, kind) = parser.expression(1)?;
    if !parser.cursor.is_at_end() {
        return Err(parser.unexpected("an operator"));
    }
    if kind == Kind::List {
        return Err(ExpressionError::new(
            parser.cursor.since(start),
            "the result is a list of series; an alarm watches one",
        )
        .help("join them with SUM, AVG, MIN or MAX, or take one with FIRST or LAST"));
    }
    Ok((node, kind, parser.ids))
}

struct Parser<'t> {
    cursor: Cursor<'t>,
    metrics: &'t [&'t str],
    ids: Vec<Reference>,
}

impl Parser<'_> {
    /// What binds at least as tight as `precedence`.
    fn expression(&mut self, precedence: u8) -> Parsed {
        let start = self.cursor.at();
        let (mut left, mut kind) = self.unary()?;
        let mut compared = false;
        loop {
            let at = self.cursor.at();
            let Some(operator) = self.operator(precedence) else { return Ok((left, kind)) };
            let place = self.cursor.since(at);
            if compared && operator.is_comparison() {
                return Err(ExpressionError::new(place, "comparisons cannot be chained")
                    .help("compare twice and join: a < b AND b < c"));
            }
            compared = operator.is_comparison();
            let (right, right_kind) = self.expression(operator.precedence() + 1)?;
            let span = self.cursor.since(start);
            kind = joined(operator, kind, right_kind).map_err(|message| {
                ExpressionError::new(span, message)
                    .help("join the list first with SUM, AVG, MIN or MAX, or name each series")
            })?;
            left = Node::Binary(operator, Box::new(left), Box::new(right));
        }
    }

    /// Steps over an operator that binds at least as tight as `precedence`. `^` is read by `unary`.
    fn operator(&mut self, precedence: u8) -> Option<Operator> {
        let rest = self.cursor.rest();
        let written = Operator::ALL.iter().chain(&[("&&", Operator::And), ("||", Operator::Or)]);
        let (text, operator) = written.copied().find(|(text, operator)| {
            *operator != Operator::Power
                && if text.starts_with(char::is_alphabetic) {
                    self.cursor.word() == *text
                } else {
                    rest.starts_with(text)
                }
        })?;
        if operator.precedence() < precedence {
            return None;
        }
        self.cursor.eat(text);
        Some(operator)
    }

    fn unary(&mut self) -> Parsed {
        let sign = self.cursor.next_span();
        if self.cursor.eat("-") {
            let (inner, kind) = self.nested(sign, Self::unary)?;
            return Ok((Node::Negate(Box::new(inner)), kind));
        }
        let start = self.cursor.at();
        let (base, base_kind) = self.primary()?;
        let caret = self.cursor.next_span();
        if !self.cursor.eat("^") {
            return Ok((base, base_kind));
        }
        let (exponent, exponent_kind) = self.nested(caret, Self::unary)?;
        let span = self.cursor.since(start);
        let kind = joined(Operator::Power, base_kind, exponent_kind)
            .map_err(|message| ExpressionError::new(span, message).help("name each series"))?;
        Ok((Node::Binary(Operator::Power, Box::new(base), Box::new(exponent)), kind))
    }

    fn primary(&mut self) -> Parsed {
        let span = self.cursor.next_span();
        let at = self.cursor.at();
        match self.cursor.peek() {
            Some('(') => {
                self.cursor.eat("(");
                let inner = self.nested(span.clone(), |parser| parser.expression(1))?;
                self.close(span, ")")?;
                Ok(inner)
            }
            Some('[') => self.list(span),
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_ascii_lowercase() => {
                let word = self.cursor.word();
                if !word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                    return Err(ExpressionError::new(span, format!("\"{word}\" is no id"))
                        .help("an id has the letters a to z and A to Z, digits and _, and starts with a lower-case letter"));
                }
                if self.cursor.rest()[word.len()..].trim_start().starts_with('(') {
                    return Err(self.no_function(word, span));
                }
                self.cursor.eat(word);
                self.ids.push(Reference { name: word.to_owned(), span: self.cursor.since(at) });
                Ok((Node::Id(word.to_owned()), Kind::Series))
            }
            Some(c) if c.is_alphabetic() || c == '_' => self.call(span),
            _ => Err(self.unexpected(OPERAND)),
        }
    }

    fn number(&mut self) -> Parsed {
        let at = self.cursor.at();
        let mut text = self.cursor.take_while(|c| c.is_alphanumeric() || matches!(c, '.' | '_')).to_owned();
        // The sign of an exponent: 1e-3, but not 1e - 3.
        if text.ends_with(['e', 'E']) && self.cursor.rest().starts_with(['+', '-']) {
            text.extend(self.cursor.bump());
            text.push_str(self.cursor.take_while(char::is_alphanumeric));
        }
        let span = self.cursor.since(at);
        self.cursor.skip_white_space();
        let plain =
            text.starts_with(|c: char| c.is_ascii_digit()) && !text.ends_with('.') && !text.contains(".e");
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && plain => Ok((Node::Number(number), Kind::Scalar)),
            Ok(number) if !number.is_finite() => {
                Err(ExpressionError::new(span, format!("the number {text} is too large"))
                    .help("the largest is about 1.8e308"))
            }
            _ => Err(ExpressionError::new(span, format!("\"{text}\" is no number"))
                .help("write numbers as 5, 0.25 or 1e6; an id starts with a lower-case letter")),
        }
    }

    fn list(&mut self, opening: Range<usize>) -> Parsed {
        self.cursor.eat("[");
        let mut items = Vec::new();
        loop {
            let start = self.cursor.at();
            let (item, kind) = self.nested(opening.clone(), |parser| parser.expression(1))?;
            if kind == Kind::Scalar {
                return Err(ExpressionError::new(
                    self.cursor.since(start),
                    "a list holds series, not numbers",
                )
                .help("make it a series: TIME_SERIES(5)"));
            }
            items.push(item);
            if !self.cursor.eat(",") {
                break;
            }
        }
        self.close(opening, "]")?;
        Ok((Node::List(items), Kind::List))
    }

    /// A word that starts with no lower-case letter: a function, or a mistake.
    fn call(&mut self, span: Range<usize>) -> Parsed {
        let name = self.cursor.word();
        let function = Function::ALL.iter().find(|(known, _)| *known == name).map(|(_, function)| *function);
        if function.is_none() && !matches!(name, "METRICS" | "IF" | "FILL") {
            return Err(self.no_function(name, span));
        }
        self.cursor.eat(name);
        let opening = self.cursor.next_span();
        if !self.cursor.eat("(") {
            return Err(ExpressionError::new(
                opening,
                format!("found {}, expected \"(\"", self.cursor.found()),
            )
            .help(format!("{name} is a function; ids start with a lower-case letter")));
        }
        let result = self.nested(span.clone(), |parser| match (name, function) {
            ("METRICS", _) => parser.metrics(span.start, &opening),
            ("IF", _) => parser.condition(),
            ("FILL", _) => parser.fill(),
            (_, function) => parser.argument(function.expect("looked up"), span.start),
        })?;
        // METRICS closes itself: its ids have the span of the whole call.
        if name != "METRICS" {
            if matches!(result.0, Node::Call(..)) && self.cursor.rest().starts_with(',') {
                return Err(ExpressionError::new(
                    self.cursor.next_span(),
                    format!("{name} takes one argument"),
                )
                .help(format!("for several series give a list: {name}([m1, m2])")));
            }
            self.close(opening, ")")?;
        }
        Ok(result)
    }

    fn argument(&mut self, function: Function, start: usize) -> Parsed {
        let at = self.cursor.at();
        let (argument, kind) = self.expression(1)?;
        let span = self.cursor.since(at);
        if function == Function::Period {
            let known = matches!(&argument, Node::Id(id) if self.metrics.contains(&id.as_str()));
            if !known {
                return Err(ExpressionError::new(span, "PERIOD takes the id of a metric")
                    .help("name a metric that stands beside the expression: PERIOD(m1)"));
            }
        }
        let name = function.as_str();
        let result = function.result(kind).ok_or_else(|| match kind {
            Kind::Scalar => {
                ExpressionError::new(span.clone(), format!("{name} takes series, and this is a number"))
                    .help(format!("give it a series: {name}(m1); TIME_SERIES(5) makes one of a number"))
            }
            Kind::Series if function == Function::TimeSeries => ExpressionError::new(
                start..span.end,
                "TIME_SERIES takes a number, and this is a series already",
            )
            .help("leave TIME_SERIES out"),
            Kind::Series => {
                ExpressionError::new(span.clone(), format!("{name} takes a list, and this is one series"))
                    .help(format!("write {name}([m1, m2]) or {name}(METRICS())"))
            }
            Kind::List => ExpressionError::new(span.clone(), format!("{name} takes no list"))
                .help("join the list first with SUM, AVG, MIN or MAX"),
        })?;
        Ok((Node::Call(function, Box::new(argument)), result))
    }

    fn metrics(&mut self, start: usize, opening: &Range<usize>) -> Parsed {
        let containing = if self.cursor.peek() == Some('"') { Some(self.cursor.quoted()?) } else { None };
        if containing.is_none() && !self.cursor.is_at_end() && self.cursor.peek() != Some(')') {
            return Err(ExpressionError::new(
                self.cursor.next_span(),
                format!("found {}, expected \")\" or a text in quotes", self.cursor.found()),
            )
            .help("METRICS() gives all metrics, METRICS(\"errors\") those whose id contains errors"));
        }
        self.close(opening.clone(), ")")?;
        let span = self.cursor.since(start);
        let text = containing.as_deref().unwrap_or("");
        let ids: Vec<String> =
            self.metrics.iter().filter(|id| id.contains(text)).map(|id| (*id).to_owned()).collect();
        if ids.is_empty() {
            let message = match &containing {
                Some(text) => format!("no metric has \"{text}\" in its id"),
                None => "there is no metric beside this expression".to_owned(),
            };
            return Err(
                ExpressionError::new(span, message).help("METRICS() takes metrics, not other expressions")
            );
        }
        self.ids.extend(ids.iter().map(|id| Reference { name: id.clone(), span: span.clone() }));
        Ok((Node::Metrics { containing, ids }, Kind::List))
    }

    fn condition(&mut self) -> Parsed {
        let (condition, mut kind) = self.one_value("IF")?;
        if !self.cursor.eat(",") {
            return Err(self
                .unexpected("\",\" and the value where the condition holds")
                .help("write IF(condition, value) or IF(condition, value, otherwise)"));
        }
        let (then, then_kind) = self.one_value("IF")?;
        let mut otherwise = None;
        if then_kind == Kind::Series {
            kind = Kind::Series;
        }
        if self.cursor.eat(",") {
            let (value, otherwise_kind) = self.one_value("IF")?;
            if otherwise_kind == Kind::Series {
                kind = Kind::Series;
            }
            otherwise = Some(Box::new(value));
        }
        Ok((Node::If { condition: Box::new(condition), then: Box::new(then), otherwise }, kind))
    }

    fn fill(&mut self) -> Parsed {
        let at = self.cursor.at();
        let (filled, kind) = self.expression(1)?;
        if kind == Kind::Scalar {
            return Err(ExpressionError::new(
                self.cursor.since(at),
                "FILL takes series, and this is a number",
            )
            .help("give it a series: FILL(m1, 0)"));
        }
        if !self.cursor.eat(",") {
            return Err(self
                .unexpected("\",\" and what to fill with")
                .help("write FILL(m1, 0), FILL(m1, REPEAT) or FILL(m1, LINEAR)"));
        }
        let filler = if self.cursor.eat_word("REPEAT") {
            Filler::Repeat
        } else if self.cursor.eat_word("LINEAR") {
            Filler::Linear
        } else {
            Filler::With(Box::new(self.one_value("FILL")?.0))
        };
        Ok((Node::Fill(Box::new(filled), filler), kind))
    }

    /// A number or a series, no list.
    fn one_value(&mut self, function: &str) -> Parsed {
        let at = self.cursor.at();
        let (node, kind) = self.expression(1)?;
        if kind == Kind::List {
            return Err(ExpressionError::new(
                self.cursor.since(at),
                format!("{function} takes no list here"),
            )
            .help("join the list first with SUM, AVG, MIN or MAX"));
        }
        Ok((node, kind))
    }

    fn nested(&mut self, span: Range<usize>, read: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        self.cursor.enter(span)?;
        let inner = read(self);
        self.cursor.leave();
        inner
    }

    fn close(&mut self, opening: Range<usize>, closer: &str) -> Result<(), ExpressionError> {
        let expected = if closer == "]" { "\"]\", \",\" or an operator" } else { "\")\" or an operator" };
        if self.cursor.is_at_end() || self.cursor.rest().starts_with(closer) {
            self.cursor.close(opening, closer)
        } else {
            Err(self.unexpected(expected))
        }
    }

    /// The error for something that stands where only `expected` could.
    fn unexpected(&self, expected: &str) -> ExpressionError {
        let error = ExpressionError::new(
            self.cursor.next_span(),
            format!("found {}, expected {expected}", self.cursor.found()),
        );
        match self.cursor.word() {
            "and" | "And" => return error.help("operators are upper case: AND"),
            "or" | "Or" => return error.help("operators are upper case: OR"),
            "NOT" | "not" => return error.help("there is no NOT; compare with zero: (m1 > 5) == 0"),
            _ => {}
        }
        error.help(match self.cursor.peek() {
            Some('=') => "to compare write ==",
            Some('!') => "there is no negation; compare with zero: (m1 > 5) == 0",
            Some('&') => "write AND or &&",
            Some('|') => "write OR or ||",
            Some('*') if self.cursor.before().ends_with('*') => "a power is written ^",
            Some('"' | '\'' | '“' | '”' | '‘' | '’') => {
                "only METRICS takes a text, in plain double quotes: METRICS(\"errors\")"
            }
            Some('%') => "there is no remainder; for per cent write m1 / m2 * 100",
            None => "the expression ends too early",
            Some(_) if expected == OPERAND => {
                "an operator stands between two values, a function around its arguments: SUM([m1, m2]) / m3"
            }
            Some(_) => "join parts with + - * / ^, a comparison, AND or OR",
        })
    }

    fn no_function(&self, name: &str, span: Range<usize>) -> ExpressionError {
        let upper = name.to_ascii_uppercase();
        let known = Function::ALL.iter().map(|(name, _)| *name).chain(["FILL", "IF", "METRICS"]);
        if let Some((_, instead)) = NOT_AVAILABLE.iter().find(|(name, _)| *name == upper) {
            return ExpressionError::new(span, format!("the function {upper} is not available"))
                .help(*instead);
        }
        if known.clone().any(|known| known == upper) {
            return ExpressionError::new(span, format!("functions are upper case, and this is \"{name}\""))
                .help(format!("write {upper}"));
        }
        if matches!(name, "AND" | "OR" | "NOT" | "REPEAT" | "LINEAR") {
            return self.unexpected(OPERAND);
        }
        if self.cursor.rest()[name.len()..].trim_start().starts_with('(') {
            let mut names: Vec<&str> = known.collect();
            names.sort_unstable();
            return ExpressionError::new(span, format!("there is no function \"{name}\""))
                .help(format!("there are {}", names.join(", ")));
        }
        ExpressionError::new(span, format!("\"{name}\" is no id"))
            .help("an id starts with a lower-case letter")
    }
}

/// What an operator gives for operands of these kinds.
fn joined(operator: Operator, left: Kind, right: Kind) -> Result<Kind, String> {
    match (left, right) {
        (Kind::List, Kind::List) => Err(format!("\"{}\" cannot join two lists", operator.as_str())),
        (Kind::List, _) | (_, Kind::List) if operator.is_arithmetic() => Ok(Kind::List),
        (Kind::List, _) | (_, Kind::List) => Err(format!("\"{}\" takes no list", operator.as_str())),
        (Kind::Scalar, Kind::Scalar) => Ok(Kind::Scalar),
        (Kind::Scalar | Kind::Series, Kind::Scalar | Kind::Series) => Ok(Kind::Series),
    }
}
