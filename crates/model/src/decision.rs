//! What the engine decided: alarm state changes, with everything a message about them needs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Alarm, AlarmState, EventId, GroupName, Offset, Timestamp};

/// Names one decision for ever: the entry that caused it, and its index among that entry's decisions.
///
/// Deciding again after a crash gives the same id, so a repeat is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DecisionId {
    /// The entry that caused it.
    pub offset: Offset,
    /// From 0.
    pub index: u32,
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.offset, self.index)
    }
}

/// One slot of an evaluation range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Datapoint {
    /// When the slot starts.
    pub start: Timestamp,
    /// The statistic's value; `None` if the slot had no samples.
    pub value: Option<f64>,
    /// How many values went into it.
    pub samples: u64,
    /// Whether the value breaches the threshold.
    pub breaching: bool,
}

/// A line that made a metric filter publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchedLine {
    /// The event.
    pub event_id: EventId,
    /// When it happened.
    pub timestamp: Timestamp,
    /// The log group.
    pub group: GroupName,
    /// The log stream, a file's path for followed files.
    pub stream: String,
    /// Its text; a long one is cut.
    pub message: String,
}

/// A metric filter that feeds an alarm, as it was when the alarm changed state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransitionFilter {
    /// The filter's name.
    pub name: String,
    /// Its log group.
    pub log_group: GroupName,
    /// Its pattern.
    pub pattern: String,
    /// What a matching event added: a number or a selector.
    pub value: String,
    /// What an event that did not match added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<f64>,
}

/// An alarm went from one state to another.
///
/// Holds the rule as it was, so that a message can be written after the plan has changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// The alarm's name.
    pub alarm: String,
    /// The state before.
    pub from: AlarmState,
    /// The state now.
    pub to: AlarmState,
    /// When it was decided: the evaluation instant, or for an early ALARM the arrival of the line that made it certain.
    pub at: Timestamp,
    /// Fired before its newest slot was complete, because no later value could have changed the outcome.
    pub early: bool,
    /// Why, in CloudWatch's words.
    pub reason: String,
    /// The slots that were looked at, oldest first.
    pub datapoints: Vec<Datapoint>,
    /// How many events matched in those slots.
    pub matched: u64,
    /// The first matching lines in breaching slots, oldest first.
    pub first_lines: Vec<MatchedLine>,
    /// The last ones, oldest first; none that is among the first.
    pub last_lines: Vec<MatchedLine>,
    /// The metric filters that feed the alarm.
    pub filters: Vec<TransitionFilter>,
    /// The alarm as planned.
    pub rule: Alarm,
    /// The plan that was in force.
    pub plan: Offset,
    /// Topics to tell. Empty for a change that is nobody's business: into `INSUFFICIENT_DATA`, or an OK without an
    /// ALARM message before it.
    pub notify: Vec<String>,
}

/// Something the engine decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Decision {
    /// An alarm changed state.
    Transition(Box<Transition>),
}

/// All decisions that one entry caused, as an entry of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decisions {
    /// The entry that caused them.
    pub cause: Offset,
    /// In the order in which they were made.
    pub items: Vec<Decision>,
}

impl Decisions {
    /// Every decision with its id.
    pub fn with_ids(&self) -> impl Iterator<Item = (DecisionId, &Decision)> {
        (0..).zip(&self.items).map(|(index, item)| (DecisionId { offset: self.cause, index }, item))
    }
}
