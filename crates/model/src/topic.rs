//! Topics and their subscriptions: whom to tell, and through what.

use serde::{Deserialize, Serialize};

use crate::SecretRef;

/// A web address, or where one that is secret is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Url {
    /// As written in the file.
    Literal(String),
    /// A secret.
    Secret(SecretRef),
}

/// Through what a message goes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Channel {
    /// The standard output of `watchbell up`.
    Console,
    /// An HTTP POST of JSON.
    Webhook {
        /// Where to.
        url: Url,
        /// Signs each message, if given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signing_key: Option<SecretRef>,
    },
    /// A Slack incoming webhook.
    Slack {
        /// Slack's address is a secret: whoever has it can post.
        webhook_url: SecretRef,
    },
}

impl Channel {
    /// `console`, `webhook` or `slack`.
    pub fn kind(&self) -> &'static str {
        match self {
            Channel::Console => "console",
            Channel::Webhook { .. } => "webhook",
            Channel::Slack { .. } => "slack",
        }
    }
}

/// One receiver of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its name within the topic: the channel's kind, from the second of a kind on with a number: `webhook-2`.
    pub name: String,
    /// Through what.
    pub channel: Channel,
}

/// A topic as planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Everyone who is told.
    pub subscriptions: Vec<Subscription>,
}
