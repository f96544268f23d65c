//! Functions: what is done with the messages of a queue, as planned.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{GroupName, MetricTransformation, ParseKind, SecretRef, Url};

/// How often what a function raised may come back to functions: an event that was raised so often by one function after
/// another is not raised again, it becomes a dead letter.
///
/// Source of the number: AWS Lambda Developer Guide, recursive loop detection, "approximately 16 times".
pub const HOPS_MAX: u32 = 16;

/// A function as planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// The queue whose messages it gets; no other function has it.
    pub queue: String,
    /// What is done with each event, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// A program in VRL that runs after the steps: its file, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// What is made of the events that come out of the steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub raise: Vec<Raise>,
    /// Who is told of the events that come out of the steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Hook>,
    /// What is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Remedy>,
    /// How many workers it has.
    pub workers: Workers,
}

/// A web address that gets events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    /// Where to.
    pub url: Url,
    /// Signs each request, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<SecretRef>,
    /// A filter pattern that an event, as the steps leave it, has to match; the empty one matches all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub when: String,
}

/// A command that is run for a state change of an alarm, and what holds it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    /// The program, a name or an absolute path, and its arguments, as they stand in the file.
    pub run: Vec<String>,
    /// Whether it is run; if not, it is only said that it would be.
    pub armed: bool,
    /// A filter pattern that the state change, as it came, has to match.
    pub when: String,
    /// A command whose exit code has to be 0, if given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_if: Vec<String>,
    /// What it works on: of commands with the same target one runs at a time.
    pub target: String,
    /// How often it is run in an hour at most.
    pub per_hour_max: u32,
    /// How long it may take, in milliseconds; the same for `only_if`.
    pub timeout_ms: i64,
    /// How long after its end it is looked whether the alarm is OK, in milliseconds, if at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_after_ms: Option<i64>,
}

/// How many messages a function works on at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workers {
    /// At least; 1 or more.
    pub min: u32,
    /// At most; not less than `min`.
    pub max: u32,
}

/// Something that is done with an event's fields. Names of fields are paths: `a.b` is `b` in the object `a`, unless the
/// event has a field that is called `a.b`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Reads fields out of the event's text. An event that has not this form fails.
    Parse(ParseKind),
    /// Gives fields these values.
    Set(BTreeMap<String, Value>),
    /// Calls fields otherwise: old names and new ones.
    Rename(BTreeMap<String, String>),
    /// Removes fields.
    Drop(Vec<String>),
    /// Adds what a file knows.
    Lookup(Lookup),
    /// Says how grave it is, in the field `severity`.
    Severity(Mapping),
    /// Says which application it is about, in the field `app`.
    App(Mapping),
}

/// What a file of rows adds to an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lookup {
    /// The file, absolute: CSV with a first line of names, or JSON, an array of objects.
    pub file: String,
    /// The event's field whose value is looked for.
    pub key: String,
    /// The file's column that it is looked for in.
    pub column: String,
    /// The event's field that gets the row, an object without `column`.
    pub field: String,
}

/// How a field gets one of a few words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mapping {
    /// The field that it depends on; without one the word is `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Words by what that field holds; `*` stands for any run of characters. The longest key that fits counts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub map: BTreeMap<String, String>,
    /// The word if none fits; without one the field stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// What is made of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Raise {
    /// A filter pattern that the event, as the steps leave it, has to match; the empty one matches all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub when: String,
    /// What it becomes.
    pub to: RaiseTo,
}

/// What an event becomes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RaiseTo {
    /// An event of a log group.
    LogGroup(GroupName),
    /// A value of a metric.
    Metric(MetricTransformation),
}

impl Function {
    /// The log group that it raises events into; there is at most one.
    pub fn log_group(&self) -> Option<&GroupName> {
        self.raise.iter().find_map(|raise| match &raise.to {
            RaiseTo::LogGroup(group) => Some(group),
            RaiseTo::Metric(_) => None,
        })
    }

    /// The metrics that it raises.
    pub fn metrics(&self) -> impl Iterator<Item = &MetricTransformation> {
        self.raise.iter().filter_map(|raise| match &raise.to {
            RaiseTo::Metric(metric) => Some(metric),
            RaiseTo::LogGroup(_) => None,
        })
    }

    /// The files that it looks things up in.
    pub fn lookups(&self) -> impl Iterator<Item = &Lookup> {
        self.steps.iter().filter_map(|step| match step {
            Step::Lookup(lookup) => Some(lookup),
            _ => None,
        })
    }
}
