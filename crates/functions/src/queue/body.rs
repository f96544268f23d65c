//! What a receiver gets to see of a message: its payload as JSON.

use serde::Serialize;
use serde_json::{Value, json};
use watchbell_model::{
    Batch, Decision, DecisionId, Decisions, Entry, EventId, InstallationId, MessageId, Record, Timestamp,
};

use super::event::state_change;

#[derive(Serialize)]
struct Event<'a> {
    id: EventId,
    #[serde(serialize_with = "watchbell_model::rfc3339::time")]
    timestamp: Timestamp,
    message: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<&'static str>,
}

/// The payload of `message`, which `record` holds; `None` if it does not.
///
/// Log events are `{"log_group", "log_stream", "events": [{"id", "timestamp", "message", "flags"}]}`, with `"backfill":
/// true` if they were there before their group was first watched, and `"hops"` if functions raised them; the state change
/// of an alarm is `{"event": …}` in the shape of EventBridge.
pub fn body(record: &Record, message: MessageId, installation: InstallationId) -> Option<Value> {
    if record.offset != message.offset {
        return None;
    }
    match &record.entry {
        Entry::Batch(batch) => log_events(record, batch, message, installation),
        Entry::Decisions(decisions) => alarm(decisions, message, installation),
        _ => None,
    }
}

fn log_events(
    record: &Record,
    batch: &Batch,
    message: MessageId,
    installation: InstallationId,
) -> Option<Value> {
    if message.last as usize >= batch.len() {
        return None;
    }
    let event = |line: u32| {
        let event = batch.event(line as usize);
        Event {
            id: EventId { installation, offset: record.offset, line },
            timestamp: event.timestamp.unwrap_or(record.time),
            message: event.message,
            flags: event.flags.names(),
        }
    };
    let events: Vec<Event<'_>> = (message.first..=message.last).map(event).collect();
    let mut body = json!({ "log_group": batch.group, "log_stream": batch.stream, "events": events });
    if batch.backfill {
        body["backfill"] = json!(true);
    }
    if batch.hops() > 0 {
        body["hops"] = json!(batch.hops());
    }
    Some(body)
}

fn alarm(decisions: &Decisions, message: MessageId, installation: InstallationId) -> Option<Value> {
    let (id, decision): (DecisionId, &Decision) = decisions.with_ids().nth(message.first as usize)?;
    Some(json!({ "event": state_change(decision.transition()?, id, installation) }))
}
