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
    /// Mail.
    Email(Email),
    /// Text messages.
    Sms {
        /// Telephone numbers as in E.164: `+491701234567`.
        to: Vec<String>,
    },
}

/// Mail to some people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email {
    /// Addresses.
    pub to: Vec<String>,
    /// The sender's address; on AWS it is Amazon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The server: `smtp://host:587` (with STARTTLS) or `smtps://host:465`; on AWS it is Amazon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smtp: Option<String>,
    /// Who logs in there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// With which password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
}

impl Channel {
    /// `console`, `webhook`, `slack`, `email` or `sms`.
    pub fn kind(&self) -> &'static str {
        match self {
            Channel::Console => "console",
            Channel::Webhook { .. } => "webhook",
            Channel::Slack { .. } => "slack",
            Channel::Email(_) => "email",
            Channel::Sms { .. } => "sms",
        }
    }

    /// Whether `watchbell up` sends through it; this version leaves mail and text messages to AWS.
    pub fn is_embedded(&self) -> bool {
        !matches!(self, Channel::Email(_) | Channel::Sms { .. })
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
