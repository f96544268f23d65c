//! A rule as text: one way of writing for each tree.

use std::fmt;

use super::parse::is_bare;
use super::{Needed, Node};
use crate::cursor::quote;

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Constant(true) => f.write_str("TRUE"),
            Node::Constant(false) => f.write_str("FALSE"),
            Node::State(state, name) => write!(f, "{state}({})", written(name)),
            Node::AtLeast { needed, not, state, names } => {
                let needed = match needed {
                    Needed::Count(count) => count.to_string(),
                    Needed::Percent(percent) => format!("{percent}%"),
                };
                let names: Vec<String> = names.iter().map(|name| written(name)).collect();
                let not = if *not { "NOT " } else { "" };
                write!(f, "AT_LEAST({needed}, {not}{state}, ({}))", names.join(", "))
            }
            Node::Not(inner) => {
                f.write_str("NOT ")?;
                inner.within(3, f)
            }
            Node::All(parts) => joined(parts, " AND ", 3, f),
            Node::Any(parts) => joined(parts, " OR ", 2, f),
        }
    }
}

impl Node {
    /// Prints it where only what binds at least as tight as `precedence` can stand.
    fn within(&self, precedence: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = match self {
            Node::Any(_) => 1,
            Node::All(_) => 2,
            _ => 3,
        };
        if own < precedence { write!(f, "({self})") } else { fmt::Display::fmt(self, f) }
    }
}

fn joined(parts: &[Node], operator: &str, precedence: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_str(operator)?;
        }
        part.within(precedence, f)?;
    }
    Ok(())
}

fn written(name: &str) -> String {
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { quote(name) }
}
