//! Slack: messages through an incoming webhook.

use reqwest::header::HeaderMap;

use crate::address::Address;
use crate::{BoxFuture, Client, Message, Notifier, SendError};

/// Posts [`Message::slack`] to one incoming webhook, whose address is a secret.
pub struct Slack {
    client: Client,
    address: Address,
}

impl Slack {
    /// The incoming webhook at `webhook_url`.
    ///
    /// # Errors
    /// [`SendError::Never`] for an address that is not `http` or `https`.
    pub fn new(client: Client, webhook_url: &str) -> Result<Slack, SendError> {
        Ok(Slack { client, address: Address::new(webhook_url)? })
    }
}

impl Notifier for Slack {
    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), SendError>> {
        let body = message.slack().to_string().into_bytes();
        Box::pin(self.client.post(&self.address, HeaderMap::new(), body))
    }
}
