//! What the engine decided: alarm state changes, with everything a message about them needs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Alarm, AlarmState, Dimensions, EventId, GroupName, MetricName, Offset, Timestamp};

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
    /// The value is a percentile from a sketch: off by 1 % of itself at most.
    #[serde(default, skip_serializing_if = "crate::skip::is_false")]
    pub estimated: bool,
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

/// An alarm that a composite alarm's rule names, as it was when that changed state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// Its name.
    pub alarm: String,
    /// Its state.
    pub state: AlarmState,
}

/// A subscription, by its topic and its name there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Recipient {
    /// The topic.
    pub topic: String,
    /// The subscription within the topic.
    pub subscription: String,
}

/// An alarm went from one state to another.
///
/// Holds the rule as it was, so that a message can be written after the plan has changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// The alarm's name.
    pub alarm: String,
    /// Which of its states, for an alarm that has one for each value of some dimensions.
    #[serde(default, skip_serializing_if = "Dimensions::is_empty")]
    pub dimensions: Dimensions,
    /// The state before.
    pub from: AlarmState,
    /// The state now.
    pub to: AlarmState,
    /// When it was decided: the evaluation instant, or for an early ALARM the arrival of the line that made it certain.
    pub at: Timestamp,
    /// Fired before its newest slot was complete, because no later value could have changed the outcome.
    pub early: bool,
    /// Events that came after their slot had been decided made the difference.
    #[serde(default, skip_serializing_if = "crate::skip::is_false")]
    pub late: bool,
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
    /// For a composite alarm: the alarms that its rule names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Child>,
    /// The alarm as planned.
    pub rule: Alarm,
    /// The plan that was in force.
    pub plan: Offset,
    /// Whom to tell, as the plan had it. Empty for a change that is nobody's business: into `INSUFFICIENT_DATA`, or an
    /// OK without an ALARM message before it.
    pub notify: Vec<Recipient>,
    /// The mute rule that holds the messages back, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted: Option<String>,
    /// What an actions suppressor holds the messages back with, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppressed_by: Option<SuppressedBy>,
}

impl Transition {
    /// Whether the messages wait.
    pub fn is_held_back(&self) -> bool {
        self.muted.is_some() || self.suppressed_by.is_some()
    }

    /// What holds the messages back, for people: `the mute rule nightly`.
    pub fn held_back_by(&self) -> Option<String> {
        match (&self.muted, self.suppressed_by) {
            (Some(rule), _) => Some(format!("the mute rule {rule}")),
            (None, Some(_)) => self.rule.suppressor().map(|it| format!("the suppressor {}", it.alarm)),
            (None, None) => None,
        }
    }
}

/// Why an actions suppressor holds messages back, in CloudWatch's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SuppressedBy {
    /// It may yet go into `ALARM`.
    WaitPeriod,
    /// It is in `ALARM`.
    Alarm,
    /// It was in `ALARM` a moment ago.
    ExtensionPeriod,
}

/// Late events changed a datapoint that had been decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correction {
    /// The alarm that looks at it.
    pub alarm: String,
    /// Which of its states.
    #[serde(default, skip_serializing_if = "Dimensions::is_empty")]
    pub dimensions: Dimensions,
    /// What it was.
    pub before: Datapoint,
    /// What it is now.
    pub after: Datapoint,
}

/// A metric has as many combinations of dimension values as it may have; more go to [`crate::OTHER`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesLimit {
    /// The metric.
    pub metric: MetricName,
    /// The metric filter that brought the one too many.
    pub filter: String,
    /// How many are let in.
    pub series_max: u32,
    /// What was not.
    pub refused: Dimensions,
}

/// Something the engine decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Decision {
    /// An alarm changed state.
    Transition(Box<Transition>),
    /// A mute rule's time is over: the change that it held back is told now.
    Released {
        /// When.
        at: Timestamp,
        /// The change, with those who are told.
        transition: Box<Transition>,
    },
    /// A decided datapoint changed.
    Correction(Correction),
    /// A metric has too many series. Said at most once an hour for a metric.
    SeriesLimit(SeriesLimit),
}

impl Decision {
    /// The change that is to be told because of it, if there is one.
    pub fn told(&self) -> Option<&Transition> {
        match self {
            Decision::Transition(transition) | Decision::Released { transition, .. } => Some(transition),
            Decision::Correction(_) | Decision::SeriesLimit(_) => None,
        }
    }

    /// The change of state that it is, if it is one.
    pub fn transition(&self) -> Option<&Transition> {
        match self {
            Decision::Transition(transition) => Some(transition),
            _ => None,
        }
    }
}

/// Decisions that one entry caused, as an entry of their own; as several if they are many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decisions {
    /// The entry that caused them.
    pub cause: Offset,
    /// The index of the first one among all that the entry caused.
    pub first: u32,
    /// In the order in which they were made.
    pub items: Vec<Decision>,
}

impl Decisions {
    /// About how large such an entry gets, in bytes; the next decision goes into another one.
    pub const BYTES_MAX: usize = 1024 * 1024;

    /// All decisions that the entry at `cause` caused, from the index `first` on, in as many entries as they need.
    pub fn entries(cause: Offset, first: u32, items: Vec<Decision>) -> Vec<Decisions> {
        let (mut entries, mut bytes): (Vec<Decisions>, usize) = (Vec::new(), 0);
        for (index, item) in (first..).zip(items) {
            let size = serde_json::to_vec(&item).map_or(0, |json| json.len());
            if bytes + size > Self::BYTES_MAX || entries.is_empty() {
                entries.push(Decisions { cause, first: index, items: Vec::new() });
                bytes = 0;
            }
            entries.last_mut().expect("one was just pushed if there was none").items.push(item);
            bytes += size;
        }
        entries
    }

    /// Every decision with its id.
    pub fn with_ids(&self) -> impl Iterator<Item = (DecisionId, &Decision)> {
        (self.first..).zip(&self.items).map(|(index, item)| (DecisionId { offset: self.cause, index }, item))
    }
}
