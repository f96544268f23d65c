//! Reads a rule.
//!
//! ```text
//! rule   = all { "OR" all }
//! all    = unary { "AND" unary }
//! unary  = "NOT" unary | "(" rule ")" | "TRUE" | "FALSE" | STATE "(" alarm ")"
//!        | "AT_LEAST" "(" number [ "%" ] "," [ "NOT" ] STATE "," "(" alarm { "," alarm } ")" ")"
//! alarm  = name, bare or in double quotes
//! ```

use std::collections::BTreeSet;
use std::ops::Range;

use watchbell_model::AlarmState;

use super::{Needed, Node, RULE_ALARMS_MAX, RULE_CHARS_MAX, RULE_ELEMENTS_MAX};
use crate::cursor::Cursor;
use crate::error::ExpressionError;
use crate::reference::Reference;

type Parsed = Result<Node, ExpressionError>;

const STATES: [AlarmState; 3] = [AlarmState::Alarm, AlarmState::Ok, AlarmState::InsufficientData];

pub(super) fn parse(text: &str) -> Result<(Node, Vec<Reference>), ExpressionError> {
    let cursor = Cursor::new(text, "rule", "ALARM(a) AND ALARM(b)", RULE_CHARS_MAX)?;
    let mut parser = Parser { cursor, names: Vec::new(), different: BTreeSet::new(), elements: 0 };
    let node = parser.any()?;
    if !parser.cursor.is_at_end() {
        return Err(parser.unexpected("AND or OR"));
    }
    Ok((node, parser.names))
}

/// Whether `c` can stand in a name without quotes.
pub(super) fn is_bare(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '(' | ')' | ',' | '"')
}

struct Parser<'t> {
    cursor: Cursor<'t>,
    names: Vec<Reference>,
    different: BTreeSet<String>,
    elements: usize,
}

impl Parser<'_> {
    fn any(&mut self) -> Parsed {
        let mut parts = vec![self.all()?];
        while self.cursor.eat_word("OR") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Node::Any(parts) })
    }

    fn all(&mut self) -> Parsed {
        let mut parts = vec![self.unary()?];
        while self.cursor.eat_word("AND") {
            parts.push(self.unary()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Node::All(parts) })
    }

    fn unary(&mut self) -> Parsed {
        let span = self.cursor.next_span();
        if self.cursor.eat_word("NOT") {
            self.cursor.enter(span)?;
            let inner = self.unary()?;
            self.cursor.leave();
            return Ok(Node::Not(Box::new(inner)));
        }
        if self.cursor.eat("(") {
            self.element(span.clone())?;
            self.cursor.enter(span.clone())?;
            let inner = self.any()?;
            self.cursor.leave();
            self.close(span, "AND, OR or \")\"")?;
            return Ok(inner);
        }
        for (word, value) in [("TRUE", true), ("FALSE", false)] {
            if self.cursor.eat_word(word) {
                self.element(span)?;
                return Ok(Node::Constant(value));
            }
        }
        if self.cursor.eat_word("AT_LEAST") {
            return self.at_least();
        }
        let Some(state) = self.state() else { return Err(self.no_condition()) };
        let opening = self.open(&format!("the alarm follows in parentheses: {state}(name)"))?;
        let name = self.name()?;
        self.close(opening, "\")\"")?;
        Ok(Node::State(state, name))
    }

    /// The cursor stands behind `AT_LEAST`.
    fn at_least(&mut self) -> Parsed {
        const SHAPE: &str = "write AT_LEAST(2, ALARM, (a, b, c)) or AT_LEAST(50%, NOT OK, (a, b, c))";
        let opening = self.open(SHAPE)?;
        let at = self.cursor.at();
        let digits = self.cursor.take_while(|c| c.is_ascii_digit());
        self.cursor.skip_white_space();
        let percent = self.cursor.eat("%");
        let span = self.cursor.since(at);
        if digits.is_empty() {
            return Err(self.unexpected_with("a number", SHAPE));
        }
        // More digits than a number holds are too many in any case.
        let number = digits.parse().unwrap_or(usize::MAX);
        self.comma(SHAPE)?;
        let not = self.cursor.eat_word("NOT");
        let Some(state) = self.state() else {
            return Err(self.unexpected_with("ALARM, OK or INSUFFICIENT_DATA", SHAPE));
        };
        self.comma(SHAPE)?;
        let list = self.open(SHAPE)?;
        let mut names = vec![self.name()?];
        while self.cursor.eat(",") {
            names.push(self.name()?);
        }
        self.close(list, "\",\" or \")\"")?;
        self.close(opening, "\")\"")?;
        let most = if percent { 100 } else { names.len() };
        if !(1..=most).contains(&number) {
            let (message, help) = match (number, percent) {
                (0, _) => ("at least none always holds".to_owned(), "write 1 or more, or TRUE".to_owned()),
                (_, true) => (format!("{digits}% is more than all"), "write 1% to 100%".to_owned()),
                (_, false) => (
                    format!("at least {digits} of {most} never holds"),
                    format!("write 1 to {most}, or FALSE"),
                ),
            };
            return Err(ExpressionError::new(span, message).help(help));
        }
        let needed = if percent { Needed::Percent(number) } else { Needed::Count(number) };
        Ok(Node::AtLeast { needed, not, state, names })
    }

    fn state(&mut self) -> Option<AlarmState> {
        STATES.into_iter().find(|state| self.cursor.eat_word(state.as_str()))
    }

    fn name(&mut self) -> Result<String, ExpressionError> {
        let at = self.cursor.at();
        let quoted = self.cursor.peek() == Some('"');
        let name = if quoted { self.cursor.quoted()? } else { self.cursor.take_while(is_bare).to_owned() };
        let span = self.cursor.since(at);
        self.cursor.skip_white_space();
        if name.is_empty() {
            let (span, message) = if quoted {
                (span, "the name of the alarm is empty".to_owned())
            } else {
                (
                    self.cursor.next_span(),
                    format!("found {}, expected the name of an alarm", self.cursor.found()),
                )
            };
            return Err(ExpressionError::new(span, message).help("name an alarm: ALARM(errors)"));
        }
        if !quoted && !self.cursor.is_at_end() && !self.cursor.rest().starts_with([')', ',']) {
            let rest = self.cursor.rest();
            let end = rest.find([')', ',', '(', '"']).unwrap_or(rest.len());
            let whole = at..self.cursor.at() + rest[..end].trim_end().len();
            return Err(ExpressionError::new(
                whole,
                "a name with a space, parenthesis, comma or quote needs quotes",
            )
            .help("put it in double quotes: ALARM(\"my alarm\")"));
        }
        self.element(span.clone())?;
        self.different.insert(name.clone());
        if self.different.len() > RULE_ALARMS_MAX {
            return Err(ExpressionError::new(span, format!("a rule names at most {RULE_ALARMS_MAX} alarms"))
                .help("split it: a composite alarm may name composite alarms"));
        }
        self.names.push(Reference { name: name.clone(), span });
        Ok(name)
    }

    fn element(&mut self, span: Range<usize>) -> Result<(), ExpressionError> {
        self.elements += 1;
        if self.elements > RULE_ELEMENTS_MAX {
            return Err(ExpressionError::new(
                span,
                format!("a rule has at most {RULE_ELEMENTS_MAX} elements"),
            )
            .help("split it: alarms, TRUE, FALSE and pairs of parentheses count"));
        }
        Ok(())
    }

    fn open(&mut self, help: &str) -> Result<Range<usize>, ExpressionError> {
        let span = self.cursor.next_span();
        if self.cursor.eat("(") { Ok(span) } else { Err(self.unexpected_with("\"(\"", help)) }
    }

    fn comma(&mut self, help: &str) -> Result<(), ExpressionError> {
        if self.cursor.eat(",") { Ok(()) } else { Err(self.unexpected_with("\",\"", help)) }
    }

    fn close(&mut self, opening: Range<usize>, expected: &str) -> Result<(), ExpressionError> {
        if self.cursor.is_at_end() || self.cursor.rest().starts_with(')') {
            self.cursor.close(opening, ")")
        } else {
            Err(self.unexpected(expected))
        }
    }

    /// The error for something that stands where only a condition could.
    fn no_condition(&self) -> ExpressionError {
        let rest = self.cursor.rest();
        let name = &rest[..rest.find(|c| !is_bare(c)).unwrap_or(rest.len())];
        if !self.cursor.word().is_empty() && !is_keyword(self.cursor.word()) {
            let span = self.cursor.at()..self.cursor.at() + name.len();
            return if rest[name.len()..].trim_start().starts_with('(') {
                ExpressionError::new(span, format!("there is no state \"{name}\""))
                    .help("the states are ALARM, OK and INSUFFICIENT_DATA")
            } else {
                ExpressionError::new(span, format!("\"{name}\" alone says no state of an alarm"))
                    .help(format!("say which: ALARM({name})"))
            };
        }
        self.unexpected("ALARM, OK, INSUFFICIENT_DATA, AT_LEAST, TRUE, FALSE, NOT or \"(\"")
    }

    /// The error for something that stands where only `expected` could.
    fn unexpected(&self, expected: &str) -> ExpressionError {
        let word = self.cursor.word();
        let upper = word.to_ascii_uppercase();
        let help = match self.cursor.peek() {
            _ if word != upper && is_keyword(word) => format!("operators and states are upper case: {upper}"),
            None => "the rule ends too early".to_owned(),
            Some('&') => "write AND".to_owned(),
            Some('|') => "write OR".to_owned(),
            Some('!') => "write NOT".to_owned(),
            Some(',') => {
                "one alarm at a time: ALARM(a) OR ALARM(b), or AT_LEAST(1, ALARM, (a, b))".to_owned()
            }
            Some(_) => "write, for example, ALARM(a) AND NOT OK(\"the other\")".to_owned(),
        };
        self.unexpected_with(expected, &help)
    }

    fn unexpected_with(&self, expected: &str, help: &str) -> ExpressionError {
        let message = format!("found {}, expected {expected}", self.cursor.found());
        ExpressionError::new(self.cursor.next_span(), message).help(help)
    }
}

/// Whether `word` is one of the language's own, in upper or lower case.
fn is_keyword(word: &str) -> bool {
    const KEYWORDS: [&str; 9] =
        ["AND", "OR", "NOT", "ALARM", "OK", "INSUFFICIENT_DATA", "AT_LEAST", "TRUE", "FALSE"];
    KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word))
}
