//! A webhook: messages as JSON by HTTP POST, signed if there is a key.

use std::sync::Arc;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use watchbell_model::Timestamp;

use crate::address::Address;
use crate::signature::SigningKey;
use crate::{BoxFuture, Client, Message, Notifier, SendError};

/// Tells the time; handed in, since no library here reads a clock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Posts [`Message::json`] to one address.
///
/// Every request has the header `webhook-id`, the message's id, the same in every attempt, and `webhook-timestamp`,
/// the attempt's time in seconds since 1970; with a key also `webhook-signature`, as Standard Webhooks has it.
pub struct Webhook {
    client: Client,
    address: Address,
    key: Option<SigningKey>,
    clock: Clock,
}

impl Webhook {
    /// A webhook at `url`. `signing_key` is `whsec_` with base64, or any other text, which is taken as its bytes.
    ///
    /// # Errors
    /// [`SendError::Never`] for an address that is not `http` or `https`, and for a malformed key.
    pub fn new(
        client: Client,
        url: &str,
        signing_key: Option<&str>,
        clock: Clock,
    ) -> Result<Webhook, SendError> {
        let key = signing_key.map(SigningKey::new).transpose()?;
        Ok(Webhook { client, address: Address::new(url)?, key, clock })
    }

    /// Posts a body that is no [`Message`] once, with the same headers; `id` is the same in every attempt.
    ///
    /// # Errors
    /// With the status of the answer, if there was one.
    pub async fn post(&self, id: &str, body: Vec<u8>) -> Result<(), (Option<u16>, SendError)> {
        let headers = self.headers(id, &body);
        self.client.post_once(&self.address, headers, body).await
    }

    fn headers(&self, id: &str, body: &[u8]) -> HeaderMap {
        let timestamp_s = (self.clock)().0.div_euclid(1000);
        let signature = self.key.as_ref().map(|key| ("webhook-signature", key.sign(id, timestamp_s, body)));
        [("webhook-id", id.to_owned()), ("webhook-timestamp", timestamp_s.to_string())]
            .into_iter()
            .chain(signature)
            .map(|(name, value)| {
                let value = HeaderValue::try_from(value).expect("ids, numbers and base64 are visible ASCII");
                (HeaderName::from_static(name), value)
            })
            .collect()
    }
}

impl Notifier for Webhook {
    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), SendError>> {
        let body = message.json().to_string().into_bytes();
        let headers = self.headers(&message.id(), &body);
        Box::pin(self.client.post(&self.address, headers, body))
    }
}
