//! Telling people: what a message about a decision says, and the receivers it goes to.
//!
//! A [`Message`] is made from a transition alone, so the same decision always gives the same message. A
//! [`Notifier`] makes one attempt to hand it over; [`backoff`] says when the next one is due.
//! Promise: log text cannot steer a terminal, ping a Slack channel or leave its code block; no error names more of
//! a receiver's address than its host.
//! Not here: whom to tell (`engine`), what became of it (the journal), clocks, standard output.

mod address;
mod answer;
mod backoff;
mod blocks;
mod client;
mod command;
mod console;
mod escape;
mod facts;
mod json;
mod message;
mod notifier;
mod recorder;
mod signature;
mod slack;
mod text;
mod webhook;

pub use backoff::{BACKOFF_MAX, GIVE_UP_AFTER, backoff, backoff_seed};
pub use client::{CONNECT_TIMEOUT, Client, ClientError, REQUEST_TIMEOUT, Timeouts};
pub use console::{Console, WriteText};
pub use escape::{visible, visible_cut};
pub use message::Message;
pub use notifier::{BoxFuture, Notifier, SendError};
pub use recorder::Recorder;
pub use slack::Slack;
pub use text::TEXT_WIDTH;
pub use webhook::{Clock, Webhook};
