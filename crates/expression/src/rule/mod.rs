//! Alarm rules: what a composite alarm makes of the states of other alarms.
//!
//! Source: CloudWatch API Reference, `PutCompositeAlarm`, `AlarmRule`; spec section 6.

mod parse;
mod print;

use std::fmt;

use watchbell_model::AlarmState;

use crate::error::ExpressionError;
use crate::reference::Reference;

/// The longest rule, in characters.
pub const RULE_CHARS_MAX: usize = 10_240;
/// How many different alarms a rule may name.
pub const RULE_ALARMS_MAX: usize = 100;
/// How many elements a rule may have: each alarm named, `TRUE`, `FALSE` and pair of grouping parentheses is one.
pub const RULE_ELEMENTS_MAX: usize = 500;

/// The rule of a composite alarm. Equal if it asks the same in the same order; spaces, needless parentheses and
/// quotes do not count. `Display` prints it in one way only.
#[derive(Debug, Clone)]
pub struct AlarmRule {
    node: Node,
    names: Vec<Reference>,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Constant(bool),
    State(AlarmState, String),
    AtLeast { needed: Needed, not: bool, state: AlarmState, names: Vec<String> },
    Not(Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Needed {
    Count(usize),
    Percent(usize),
}

impl AlarmRule {
    /// Reads a rule.
    ///
    /// # Errors
    /// With the place of the first mistake. Among them: more than [`RULE_CHARS_MAX`] characters,
    /// [`RULE_ALARMS_MAX`] alarms or [`RULE_ELEMENTS_MAX`] elements, nested deeper than [`crate::DEPTH_MAX`].
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        let (node, names) = parse::parse(text)?;
        Ok(Self { node, names })
    }

    /// Every alarm in the rule, in the order of the text, as often as it is named. A name or an ARN, as written.
    pub fn names(&self) -> &[Reference] {
        &self.names
    }

    /// Whether the rule holds: the composite alarm is in `ALARM` then, else in `OK`.
    ///
    /// `state` is the state of the alarm of that name.
    pub fn holds(&self, state: &dyn Fn(&str) -> AlarmState) -> bool {
        self.node.holds(state)
    }
}

impl Node {
    fn holds(&self, state_of: &dyn Fn(&str) -> AlarmState) -> bool {
        match self {
            Node::Constant(value) => *value,
            Node::State(state, name) => state_of(name) == *state,
            Node::AtLeast { needed, not, state, names } => {
                let holds = names.iter().filter(|name| (state_of(name) == *state) != *not).count();
                holds >= needed.count(names.len())
            }
            Node::Not(inner) => !inner.holds(state_of),
            Node::All(parts) => parts.iter().all(|part| part.holds(state_of)),
            Node::Any(parts) => parts.iter().any(|part| part.holds(state_of)),
        }
    }
}

impl Needed {
    /// How many of `alarms` it takes; percentages round up.
    fn count(self, alarms: usize) -> usize {
        match self {
            Needed::Count(count) => count,
            Needed::Percent(percent) => (alarms * percent).div_ceil(100),
        }
    }
}

impl PartialEq for AlarmRule {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl fmt::Display for AlarmRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(formatter)
    }
}
