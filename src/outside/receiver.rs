//! The webhook's other end: what a tool for people on call would be.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::stopwatch;

/// One message.
#[derive(Clone)]
pub(crate) struct Arrival {
    /// When all of it was here.
    pub(crate) at: Instant,
    pub(crate) alarm: String,
    pub(crate) state: String,
    pub(crate) severity: String,
    pub(crate) summary: String,
}

/// Everything that has arrived.
pub(crate) struct Inbox {
    key: hmac::Key,
    arrivals: Mutex<Vec<Arrival>>,
    refused: watch::Sender<usize>,
    arrived: watch::Sender<usize>,
}

impl Inbox {
    /// An empty one, for messages signed with these bytes.
    pub(crate) fn new(key: &[u8]) -> Arc<Inbox> {
        let (key, arrivals) = (hmac::Key::new(hmac::HMAC_SHA256, key), Mutex::default());
        Arc::new(Inbox { key, arrivals, refused: watch::Sender::new(0), arrived: watch::Sender::new(0) })
    }

    /// Messages whose signature was good.
    pub(crate) fn verified(&self) -> usize {
        *self.arrived.borrow()
    }

    /// Messages whose signature was missing or wrong, or that could not be read.
    pub(crate) fn refused(&self) -> usize {
        *self.refused.borrow()
    }

    /// The first message from number `from` on that `wanted` takes; `None` if there was none within `limit`.
    pub(crate) async fn find(
        &self,
        from: usize,
        limit: Duration,
        wanted: impl Fn(&Arrival) -> bool,
    ) -> Option<(usize, Arrival)> {
        let look = || {
            let arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
            arrivals.iter().enumerate().skip(from).find(|(_, it)| wanted(it)).map(|(i, it)| (i, it.clone()))
        };
        let mut arrived = self.arrived.subscribe();
        let found = async {
            loop {
                arrived.mark_unchanged();
                if let Some(found) = look() {
                    return Some(found);
                }
                arrived.changed().await.ok()?;
            }
        };
        tokio::time::timeout(limit, found).await.ok().flatten()
    }

    fn take(&self, at: Instant, headers: &HeaderMap, body: &[u8]) -> StatusCode {
        let signed = signature_fits(&self.key, headers, body);
        let Some(arrival) = signed.then(|| arrival(at, body)).flatten() else {
            self.refused.send_modify(|refused| *refused += 1);
            return StatusCode::UNAUTHORIZED;
        };
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
        self.arrived.send_modify(|arrived| *arrived += 1);
        StatusCode::NO_CONTENT
    }
}

/// Serves until the task is dropped.
pub(crate) async fn serve(listener: TcpListener, inbox: Arc<Inbox>) -> std::io::Result<()> {
    let take = async |State(inbox): State<Arc<Inbox>>, headers: HeaderMap, body: Bytes| {
        inbox.take(stopwatch::now(), &headers, &body)
    };
    axum::serve(listener, Router::new().route("/hook", post(take)).with_state(inbox)).await
}

/// As Standard Webhooks has it: HMAC-SHA256 over `id.timestamp.body`, behind `v1,` in base64.
fn signature_fits(key: &hmac::Key, headers: &HeaderMap, body: &[u8]) -> bool {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut signed = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).into_bytes();
    signed.extend(body);
    let signature = header("webhook-signature").strip_prefix("v1,");
    let signature = signature.and_then(|encoded| STANDARD.decode(encoded).ok());
    signature.is_some_and(|signature| hmac::verify(key, &signed, &signature).is_ok())
}

fn arrival(at: Instant, body: &[u8]) -> Option<Arrival> {
    let message: Value = serde_json::from_slice(body).ok()?;
    let text = |key| message.get(key)?.as_str().map(str::to_owned);
    Some(Arrival {
        at,
        alarm: text("alarm")?,
        state: text("state")?,
        severity: text("severity")?,
        summary: text("summary")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_message_with_a_good_signature_counts() {
        let body = br#"{"alarm":"a","state":"ALARM","severity":"error","summary":"ALARM a"}"#;
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"key"), &[b"m-1.17.", &body[..]].concat());
        let signature = format!("v1,{}", STANDARD.encode(tag));
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("webhook-id", "m-1"), ("webhook-timestamp", "17"), ("webhook-signature", &signature)]
        {
            headers.insert(name, value.parse().unwrap());
        }
        let (inbox, other) = (Inbox::new(b"key"), Inbox::new(b"another key"));
        assert_eq!(inbox.take(stopwatch::now(), &headers, body), StatusCode::NO_CONTENT);
        assert_eq!(inbox.take(stopwatch::now(), &headers, b"{}"), StatusCode::UNAUTHORIZED);
        assert_eq!(other.take(stopwatch::now(), &headers, body), StatusCode::UNAUTHORIZED);
        assert_eq!(inbox.take(stopwatch::now(), &HeaderMap::new(), body), StatusCode::UNAUTHORIZED);
        assert_eq!([inbox.verified(), inbox.refused(), other.verified(), other.refused()], [1, 2, 0, 1]);
    }
}
