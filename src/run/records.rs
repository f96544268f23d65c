//! Decisions, deliveries and the audit trail as log events: what is archived of them before the journal lets them go.
//!
//! Promise: what [`rows`] makes of a record, [`decision`] and [`trail`] read back as it was; a trail record keeps its hash.
//! All of them are of one app and one severity, so that the objects of one date stand in the journal's order.

use serde::{Deserialize, Serialize};
use serde_json::Error;
use watchbell_model::{Decision, DecisionId, Entry, Record, Severity, TrailRecord};

/// The log group of decisions and deliveries.
pub const DECISIONS: &str = "watchbell/decisions";
/// The log group of the audit trail.
pub const TRAIL: &str = "watchbell/trail";
/// The app of both.
pub const APP: &str = "watchbell";
/// The severity of both.
pub const SEVERITY: Severity = Severity::Info;

/// A record as a log event.
pub struct Kept {
    /// Its log group.
    pub log_group: &'static str,
    /// Its log stream: `decisions`, `deliveries` or `trail`.
    pub stream: &'static str,
    /// Its JSON.
    pub message: String,
}

/// A decision with its id, as it is archived.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptDecision {
    /// Names it.
    pub id: DecisionId,
    /// What was decided.
    #[serde(flatten)]
    pub decision: Decision,
}

/// What is kept of a record; nothing of most kinds.
pub fn rows(record: &Record) -> Vec<Kept> {
    match &record.entry {
        Entry::Decisions(decisions) => decisions
            .with_ids()
            .map(|(id, decision)| {
                let message = json(&KeptDecision { id, decision: decision.clone() });
                Kept { log_group: DECISIONS, stream: "decisions", message }
            })
            .collect(),
        Entry::Delivery(delivery) => {
            vec![Kept { log_group: DECISIONS, stream: "deliveries", message: json(delivery) }]
        }
        Entry::Trail(trail) => vec![Kept { log_group: TRAIL, stream: "trail", message: json(trail) }],
        _ => Vec::new(),
    }
}

/// A decision, from the message of an event of the stream `decisions`.
///
/// # Errors
/// It is none.
pub fn decision(message: &str) -> Result<KeptDecision, Error> {
    serde_json::from_str(message)
}

/// A trail record, from the message of an event of [`TRAIL`].
///
/// # Errors
/// It is none.
pub fn trail(message: &str) -> Result<TrailRecord, Error> {
    serde_json::from_str(message)
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("the model's types have string keys and finite numbers")
}
