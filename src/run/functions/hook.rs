//! Events by webhook: at least once, with the message's name as the idempotency key.

use serde_json::{Value, json};
use watchbell_functions::process::{Became, Failed};
use watchbell_model::{InstallationId, MessageId};
use watchbell_notify::{SendError, Webhook};

use super::worker::Passing;

/// Requests that one message makes at most in one go; if more are needed to find the events that are refused, those that
/// are left fail together.
const REQUESTS_MAX: usize = 64;

/// Answers that mean the content: 400 Bad Request, 413 Content Too Large, 422 Unprocessable Content. Any other may be
/// mended by the receiver or by its address.
const REFUSED: [u16; 3] = [400, 413, 422];

/// What is posted, and as what.
pub(super) struct Posting<'a> {
    pub(super) installation: InstallationId,
    pub(super) function: &'a str,
    pub(super) message: MessageId,
    pub(super) body: &'a Value,
}

impl Posting<'_> {
    /// Posts events; what the receiver refuses is halved until the events that it does not take stand alone. `keep` is
    /// called before each request.
    ///
    /// # Errors
    /// [`Passing`] if another attempt may work.
    pub(super) fn post(
        &self,
        webhook: &Webhook,
        events: &[Became],
        block_on: impl Fn(&Webhook, &str, Vec<u8>) -> Result<(), (Option<u16>, SendError)>,
        mut keep: impl FnMut() -> Result<(), Passing>,
    ) -> Result<Vec<Failed>, Passing> {
        let (mut left, mut failed, mut requests) = (vec![events], Vec::new(), 0);
        while let Some(part) = left.pop() {
            let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
            keep()?;
            requests += 1;
            let name = self.name(first.index, last.index);
            match block_on(webhook, &name, self.payload(&name, part)) {
                Ok(()) => {}
                Err((Some(status), error)) if REFUSED.contains(&status) => {
                    if part.len() == 1 || requests >= REQUESTS_MAX {
                        let reason = format!("webhook: {error}");
                        failed.extend(
                            part.iter().map(|event| Failed { index: event.index, reason: reason.clone() }),
                        );
                    } else {
                        let (front, back) = part.split_at(part.len() / 2);
                        left.extend([back, front]);
                    }
                }
                Err((_, error)) => {
                    let after = if let SendError::Again { after, .. } = &error { *after } else { None };
                    return Err(Passing { reason: format!("webhook: {error}"), after });
                }
            }
        }
        Ok(failed)
    }

    /// The name of a part of the message, which is a message of its own.
    fn name(&self, first: u32, last: u32) -> String {
        let MessageId { offset, first: base, .. } = self.message;
        MessageId { offset, first: base + first, last: base + last }.name(self.installation)
    }

    fn payload(&self, name: &str, part: &[Became]) -> Vec<u8> {
        let event = |event: &Became| {
            let (key, value) = if event.has_fields {
                ("fields", serde_json::from_str(&event.text).expect("fields are written as JSON"))
            } else {
                ("message", json!(event.text))
            };
            json!({ "timestamp": event.timestamp.to_string(), key: value })
        };
        let mut payload = json!({
            "id": name,
            "function": self.function,
            "events": part.iter().map(event).collect::<Vec<_>>(),
        });
        for key in ["log_group", "log_stream"] {
            if let Some(value) = self.body.get(key) {
                payload[key] = value.clone();
            }
        }
        payload.to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::Arc;

    use watchbell_model::{Offset, Timestamp};
    use watchbell_notify::Client;

    use super::*;

    /// What comes of `lines` if a receiver answers 422 to everything with "bad" in it; and the names that it saw.
    fn posted(lines: &[&str], status: u16) -> (Result<Vec<u32>, String>, Vec<String>) {
        let webhook =
            Webhook::new(Client::new().unwrap(), "http://127.0.0.1:9", None, Arc::new(|| Timestamp(0)));
        let event = |(index, line): (u32, &&str)| Became {
            index,
            timestamp: Timestamp(0),
            text: (*line).to_owned(),
            has_fields: false,
            posts: true,
        };
        let events: Vec<Became> = (0..).zip(lines).map(event).collect();
        let message =
            MessageId { offset: Offset(7), first: 10, last: 10 + u32::try_from(lines.len()).unwrap() - 1 };
        let body = json!({ "log_group": "shop/app" });
        let installation = InstallationId([0; 8]);
        let posting = Posting { installation, function: "f", message, body: &body };
        let seen = RefCell::new(Vec::new());
        let send = |_: &Webhook, name: &str, body: Vec<u8>| {
            let short = name.split_once('-').unwrap().1.to_owned();
            seen.borrow_mut().push(short);
            let is_bad = String::from_utf8(body).unwrap().contains("bad");
            let error = SendError::Again { reason: "receiver answered".to_owned(), after: None };
            if is_bad { Err((Some(status), error)) } else { Ok(()) }
        };
        let outcome = posting.post(&webhook.unwrap(), &events, send, || Ok(()));
        let failed = outcome.map(|failed| failed.iter().map(|failed| failed.index).collect());
        (failed.map_err(|passing: Passing| passing.reason), seen.into_inner())
    }

    #[test]
    fn a_refused_batch_is_halved_until_the_bad_event_stands_alone() {
        let (failed, names) = posted(&["a", "b", "bad", "d"], 422);
        assert_eq!(failed, Ok(vec![2]));
        let expected = ["000010-000013", "000010-000011", "000012-000013", "000012-000012", "000013-000013"];
        let expected: Vec<String> = expected.iter().map(|range| format!("000000000007-{range}")).collect();
        assert_eq!(names, expected, "each part has a name of its own, the same in every attempt");
        assert_eq!(posted(&["a", "b"], 422), (Ok(vec![]), vec!["000000000007-000010-000011".to_owned()]));
    }

    #[test]
    fn other_answers_are_tried_again_and_not_halved() {
        let (failed, names) = posted(&["a", "bad"], 503);
        assert_eq!((failed, names.len()), (Err("webhook: receiver answered".to_owned()), 1));
    }

    #[test]
    fn a_receiver_that_refuses_everything_is_asked_a_bounded_number_of_times() {
        let (failed, names) = posted(&["bad"; 200], 400);
        assert_eq!(failed.unwrap().len(), 200);
        assert!(names.len() <= 200, "{}", names.len());
    }
}
