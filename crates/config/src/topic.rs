//! `[topics.NAME]`

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeValue;
use watchbell_model::{Channel, Subscription, Topic, Url};

use crate::problem::Problem;
use crate::reader::{Field, Table};
use crate::web_address::{self, WebAddressError};
use crate::{email, name, secret};

/// Reads every topic; `told` are the topics that some alarm tells.
pub(crate) fn read(root: &mut Table<'_>, told: &BTreeSet<String>) -> BTreeMap<String, Topic> {
    let mut topics = BTreeMap::new();
    for (name, entry) in root.named("topics", "topic") {
        name::check(entry.context, &name::TOPIC, name.value, name.span.clone());
        let Some(table) = entry.entry(&name) else { continue };
        if !told.contains(name.value) {
            let message = format!("no alarm tells {}", table.title);
            let help = "name it in an alarm's notify, or remove it";
            table.context.report_absence(Problem::warning(name.span.clone(), message).help(help));
        }
        topics.insert(name.value.to_owned(), read_one(table));
    }
    topics
}

/// The topic; subscriptions that are wrong are noted and left out.
fn read_one(mut table: Table<'_>) -> Topic {
    let mut channels: Vec<Channel> = Vec::new();
    let mut is_empty = true;
    for kind in KINDS {
        let Some(field) = table.field(kind) else { continue };
        is_empty &= field.value().as_array().is_some_and(|items| items.is_empty());
        let tables = field.tables(&format!("{kind} of {}", table.title));
        channels.extend(tables.into_iter().filter_map(|table| channel(kind, table)));
    }
    if is_empty && !table.has_refused_keys() {
        let message = format!("{} has no subscription", table.title);
        let help = "write console = {}, or webhook, slack, email or sms";
        table.context.report_absence(Problem::error(table.place.clone(), message).help(help));
    }
    table.finish();
    Topic { subscriptions: numbered(channels) }
}

/// The kinds of channels, in the order of a topic's subscriptions.
const KINDS: [&str; 5] = ["console", "webhook", "slack", "email", "sms"];

/// The channel that a table under the key `kind` describes.
fn channel(kind: &str, table: Table<'_>) -> Option<Channel> {
    match kind {
        "webhook" => webhook(table),
        "slack" => slack(table),
        "email" => email::email(table),
        "sms" => email::sms(table),
        _ => {
            table.finish();
            Some(Channel::Console)
        }
    }
}

/// Names each subscription after its channel's kind, from the second of a kind on with a number.
fn numbered(channels: Vec<Channel>) -> Vec<Subscription> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut subscriptions = Vec::new();
    for channel in channels {
        let count = counts.entry(channel.kind()).or_default();
        *count += 1;
        let name =
            if *count == 1 { channel.kind().to_owned() } else { format!("{}-{count}", channel.kind()) };
        subscriptions.push(Subscription { name, channel });
    }
    subscriptions
}

fn webhook(mut table: Table<'_>) -> Option<Channel> {
    let url = table.need("url").and_then(|field| url(&field));
    let signing_key = match table.field("signing_key") {
        Some(field) => secret::read(&field).map(Some),
        None => Some(None),
    };
    table.finish();
    Some(Channel::Webhook { url: url?, signing_key: signing_key? })
}

fn slack(mut table: Table<'_>) -> Option<Channel> {
    let webhook_url = table.need("webhook_url").and_then(|field| secret::read(&field));
    table.finish();
    Some(Channel::Slack { webhook_url: webhook_url? })
}

/// A web address, or a reference to a secret one. The address is never repeated in a message.
pub(crate) fn url(field: &Field<'_>) -> Option<Url> {
    let DeValue::String(text) = field.value() else {
        if field.value().is_table() {
            return secret::read(field).map(Url::Secret);
        }
        field.mismatch();
        return None;
    };
    match web_address::parse(text) {
        Ok(address) => {
            if address.is_exposed {
                let message = format!("{} sends messages without encryption", field.title());
                let problem =
                    Problem::warning(field.span(), message).help("write https:// if the receiver has it");
                field.context.report(problem);
            }
            return Some(Url::Literal(text.clone().into_owned()));
        }
        Err(WebAddressError::HoldsPassword) => {
            let message = format!("{} holds a password, which must not stand in the file", field.title());
            field.refuse(
                message,
                "put the whole address in a secret: url = { env = \"NAME\" } or { file = \"path\" }",
            );
        }
        Err(WebAddressError::Malformed(reason)) => {
            field.refuse(
                format!("{} {reason}", field.title()),
                "write \"https://…\", or { env = \"NAME\" } if it is secret",
            );
        }
    }
    None
}
