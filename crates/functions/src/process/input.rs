//! The events of a message, out of its payload.

use serde_json::{Value, json};
use watchbell_model::{MessageId, Timestamp};

/// An event as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputEvent {
    /// When it happened.
    pub timestamp: Timestamp,
    /// Its text; of an alarm's state change, the event of EventBridge as JSON.
    pub text: String,
}

/// A message as a function sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its events.
    pub events: Vec<InputEvent>,
    /// How many functions had a hand in them.
    pub hops: u32,
    /// They were there before their log group was first watched.
    pub backfill: bool,
}

impl Input {
    /// What the payload of a message holds; `None` if it is none.
    pub fn of_body(body: &Value) -> Option<Input> {
        let events = match (body.get("events"), body.get("event")) {
            (Some(Value::Array(events)), _) => events.iter().map(event).collect::<Option<Vec<_>>>()?,
            (None, Some(change)) => {
                let timestamp = time(change.pointer("/detail/state/timestamp")?.as_str()?)?;
                vec![InputEvent { timestamp, text: change.to_string() }]
            }
            _ => return None,
        };
        let hops = body.get("hops").and_then(Value::as_u64).and_then(|hops| u32::try_from(hops).ok());
        let backfill = body.get("backfill").and_then(Value::as_bool).unwrap_or(false);
        Some(Input { events, hops: hops.unwrap_or(0), backfill })
    }
}

fn event(event: &Value) -> Option<InputEvent> {
    let text = event.get("message")?.as_str()?.to_owned();
    Some(InputEvent { timestamp: time(event.get("timestamp")?.as_str()?)?, text })
}

/// Also as EventBridge spells it: `+0000` for `Z`.
fn time(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.replace("+0000", "Z").parse().ok()?;
    Some(Timestamp(at.as_millisecond()))
}

/// The event at `index` of `message`, whose payload is `body`, as a message of its own.
pub fn single(message: MessageId, body: &Value, index: u32) -> (MessageId, Value) {
    let at = message.first + index;
    let mut one = body.clone();
    if let Some(events) = body.get("events") {
        one["events"] = json!([events.get(index as usize)]);
    }
    (MessageId { first: at, last: at, ..message }, one)
}
