//! An expression as text: one way of writing for each tree, with as few parentheses as it can be read back with.

use std::fmt;

use super::node::{Filler, NEGATE_PRECEDENCE, Node, Operator};
use crate::cursor::quote;

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Display writes 1e300 with 301 digits.
            Node::Number(number) if *number != 0.0 && !(1e-6..1e16).contains(number) => {
                write!(f, "{number:e}")
            }
            Node::Number(number) => write!(f, "{number}"),
            Node::Id(id) => f.write_str(id),
            Node::Metrics { containing: None, .. } => f.write_str("METRICS()"),
            Node::Metrics { containing: Some(text), .. } => write!(f, "METRICS({})", quote(text)),
            Node::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Node::Negate(inner) => {
                f.write_str("-")?;
                inner.within(NEGATE_PRECEDENCE, f)
            }
            Node::Binary(Operator::Power, base, exponent) => {
                base.within(Operator::Power.precedence() + 1, f)?;
                f.write_str(" ^ ")?;
                exponent.within(NEGATE_PRECEDENCE, f)
            }
            Node::Binary(operator, left, right) => {
                let precedence = operator.precedence();
                // a < b < c is refused, so a comparison is put into parentheses on either side.
                left.within(precedence + u8::from(operator.is_comparison()), f)?;
                write!(f, " {} ", operator.as_str())?;
                right.within(precedence + 1, f)
            }
            Node::If { condition, then, otherwise: None } => write!(f, "IF({condition}, {then})"),
            Node::If { condition, then, otherwise: Some(otherwise) } => {
                write!(f, "IF({condition}, {then}, {otherwise})")
            }
            Node::Fill(filled, Filler::With(value)) => write!(f, "FILL({filled}, {value})"),
            Node::Fill(filled, Filler::Repeat) => write!(f, "FILL({filled}, REPEAT)"),
            Node::Fill(filled, Filler::Linear) => write!(f, "FILL({filled}, LINEAR)"),
            Node::Call(function, argument) => write!(f, "{}({argument})", function.as_str()),
        }
    }
}

impl Node {
    /// Prints it where only what binds at least as tight as `precedence` can stand.
    fn within(&self, precedence: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = match self {
            Node::Binary(operator, ..) => operator.precedence(),
            Node::Negate(_) => NEGATE_PRECEDENCE,
            _ => u8::MAX,
        };
        if own < precedence { write!(f, "({self})") } else { fmt::Display::fmt(self, f) }
    }
}
