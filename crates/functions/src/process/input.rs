//! The events of a message, out of its payload.

use std::borrow::Cow;

use serde_json::{Value, json};
use watchbell_model::{Entry, InstallationId, MessageId, Record, Timestamp};

use crate::queue::body;

/// An event as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputEvent<'a> {
    /// When it happened.
    pub timestamp: Timestamp,
    /// Its text; of an alarm's state change, the event of EventBridge as JSON.
    pub text: Cow<'a, str>,
}

/// A message as a function sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// Its events.
    pub events: Vec<InputEvent<'a>>,
    /// How many functions had a hand in them.
    pub hops: u32,
    /// They were there before their log group was first watched.
    pub backfill: bool,
}

impl<'a> Input<'a> {
    /// What `message` holds, whose entry is `record`; `None` if it holds no such message. The same as its payload says, without
    /// putting that in words: a function sees many messages, and few of them go to somebody else.
    pub fn of_record(
        record: &'a Record,
        message: MessageId,
        installation: InstallationId,
    ) -> Option<Input<'a>> {
        let Entry::Batch(batch) = &record.entry else {
            return Some(Input::of_body(&body(record, message, installation)?)?.into_owned());
        };
        if record.offset != message.offset || message.last as usize >= batch.len() {
            return None;
        }
        let event = |line: u32| {
            let event = batch.event(line as usize);
            let timestamp = event.timestamp.unwrap_or(record.time);
            InputEvent { timestamp, text: Cow::Borrowed(event.message) }
        };
        let events = (message.first..=message.last).map(event).collect();
        Some(Input { events, hops: batch.hops(), backfill: batch.backfill })
    }

    /// What the payload of a message holds; `None` if it is none.
    pub fn of_body(body: &'a Value) -> Option<Input<'a>> {
        let events = match (body.get("events"), body.get("event")) {
            (Some(Value::Array(events)), _) => events.iter().map(event).collect::<Option<Vec<_>>>()?,
            (None, Some(change)) => {
                let timestamp = time(change.pointer("/detail/state/timestamp")?.as_str()?)?;
                vec![InputEvent { timestamp, text: Cow::Owned(change.to_string()) }]
            }
            _ => return None,
        };
        let hops = body.get("hops").and_then(Value::as_u64).and_then(|hops| u32::try_from(hops).ok());
        let backfill = body.get("backfill").and_then(Value::as_bool).unwrap_or(false);
        Some(Input { events, hops: hops.unwrap_or(0), backfill })
    }

    fn into_owned(self) -> Input<'static> {
        let own = |InputEvent { timestamp, text }: InputEvent<'_>| InputEvent {
            timestamp,
            text: Cow::Owned(text.into_owned()),
        };
        let events = self.events.into_iter().map(own).collect();
        Input { events, hops: self.hops, backfill: self.backfill }
    }
}

fn event(event: &Value) -> Option<InputEvent<'_>> {
    let text = Cow::Borrowed(event.get("message")?.as_str()?);
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

#[cfg(test)]
mod tests {
    use watchbell_model::{BatchBuilder, EventFlags, GroupName, Offset, Source};

    use super::*;

    #[test]
    fn a_record_gives_what_its_payload_says() {
        let installation = InstallationId(*b"eightbyt");
        let mut builder = BatchBuilder::default();
        for (message, at) in [("a", Some(Timestamp(1_795_381_920_123))), ("b \"\\ \u{e9}", None), ("c", None)]
        {
            builder.push(message, at, EventFlags::default());
        }
        let source = Source::Http { principal: "loopback".into(), batch_id: None };
        let batch = builder.build(GroupName::new("g").unwrap(), "s".into(), source, true);
        let record =
            Record { offset: Offset(7), time: Timestamp(1_795_381_930_456), entry: Entry::Batch(batch) };
        for (first, last) in [(0, 2), (1, 1), (0, 3), (3, 3)] {
            let message = MessageId { offset: Offset(7), first, last };
            let body = body(&record, message, installation);
            let of_body = body.as_ref().and_then(Input::of_body);
            assert_eq!(Input::of_record(&record, message, installation), of_body, "{first} to {last}");
            assert_eq!(of_body.is_some(), last < 3);
        }
        let elsewhere = MessageId { offset: Offset(8), first: 0, last: 0 };
        assert_eq!(Input::of_record(&record, elsewhere, installation), None);
    }
}
