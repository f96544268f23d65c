//! The Watchbell that an agent ships to: how a shipment gets there, and what its answer means.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, header};
use serde_json::Value;
use watchbell_model::{Agent, ShipmentBuilder, ShipmentHead};

use super::desk::Unshipped;
use crate::client::{Answer, Call, Client, NoAnswer};
use crate::{ExitStatus, Failure};

/// How long the answer to a shipment may take: the other side waits for its disk.
const SHIP_TIMEOUT: Duration = Duration::from_mins(1);

/// How hard shipments are compressed: log lines shrink to a tenth at the first level already.
const ZSTD_LEVEL: i32 = 1;

/// Longest message of an answer that is repeated, in characters.
const MESSAGE_CHARS_MAX: usize = 500;

/// What became of a shipment: it is on the other disk, or why not.
pub(super) type Sent = Result<(), Unshipped>;

/// Where shipments go.
#[derive(Clone)]
pub(super) struct Upstream {
    client: Client,
    url: String,
    headers: HeaderMap,
}

impl Upstream {
    /// The Watchbell that `agent` names; `token` is what it is shown.
    pub(super) fn new(agent: &Agent, token: Option<&str>) -> Result<Upstream, Failure> {
        let client = Client::new(agent.ca.as_deref().map(std::path::Path::new));
        let client =
            client.map_err(|error| Failure::new(ExitStatus::Configuration, format!("agent.ca: {error}")))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("zstd"));
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
                let reason = "agent.token has characters that no header may have";
                Failure::new(ExitStatus::Configuration, reason)
            })?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(Upstream { client, url: format!("{}/agents/shipments", agent.to), headers })
    }

    /// Sends once.
    pub(super) async fn send(&self, head: &ShipmentHead, entries: &ShipmentBuilder) -> Sent {
        let body = zstd::bulk::compress(&entries.build(head), ZSTD_LEVEL).expect("memory takes every write");
        let (url, headers) = (self.url.clone(), self.headers.clone());
        let call = Call { method: Method::POST, url, headers, body, timeout: SHIP_TIMEOUT };
        match self.client.call(call).await {
            Ok(answer) => judge(&answer),
            Err(NoAnswer { reason, help: None }) => Err(Unshipped::Again { reason, after: None }),
            Err(NoAnswer { reason, help }) => {
                Err(Unshipped::Refused { reason, help: help.map(str::to_owned) })
            }
        }
    }
}

/// What an answer means.
fn judge(answer: &Answer) -> Sent {
    let told: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let text = |name: &str| {
        let text = told["error"][name].as_str()?;
        Some(text.chars().take(MESSAGE_CHARS_MAX).filter(|c| !c.is_control()).collect::<String>())
    };
    let reason = match text("message") {
        Some(message) => format!("{} {message}", answer.status),
        None => format!("status {}", answer.status),
    };
    match answer.status {
        // Something else than a Watchbell may answer 200, too.
        200 if told["events"].is_u64() => Ok(()),
        200 => Err(Unshipped::Refused {
            reason: "it is no Watchbell that takes shipments".to_owned(),
            help: None,
        }),
        408 | 429 | 500..=599 => {
            Err(Unshipped::Again { reason, after: answer.retry_after_s.map(Duration::from_secs) })
        }
        _ => Err(Unshipped::Refused { reason, help: text("help") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str) -> Sent {
        judge(&Answer { status, retry_after_s: Some(30), body: body.as_bytes().to_vec() })
    }

    #[test]
    fn only_an_acknowledgement_counts_as_one_and_what_cannot_work_is_told_from_what_may() {
        assert_eq!(judged(200, r#"{"events":0,"duplicate":true}"#), Ok(()));
        assert!(matches!(judged(200, "<html>"), Err(Unshipped::Refused { .. })));
        let after = Some(Duration::from_secs(30));
        for status in [408, 429, 500, 502, 503, 507] {
            assert_eq!(
                judged(status, r#"{"error":{"message":"m"}}"#),
                Err(Unshipped::Again { reason: format!("{status} m"), after })
            );
        }
        for status in [301, 400, 401, 403, 404, 413, 415, 422] {
            let (reason, help) = (format!("{status} m\u{fffd}"), Some("h".to_owned()));
            let body = "{\"error\":{\"message\":\"m\u{fffd}\\u0007\",\"help\":\"h\"}}";
            assert_eq!(judged(status, body), Err(Unshipped::Refused { reason, help }));
        }
    }
}
