//! Topics and their subscriptions.

use super::found::{Lost, Properties, arn_name};
use super::node::Node;

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Told {
    Email(String),
    Sms(String),
}

/// Reads a topic: its name, and its own subscriptions.
pub(super) fn read(properties: &mut Properties) -> Result<(String, Vec<Told>), Lost> {
    let name = properties.need_text("TopicName")?;
    let mut told = Vec::new();
    // Those that are not known come as they are, one by one.
    for item in properties.items("Subscription")? {
        let subscribed = match item {
            Node::Map(map) => subscribed(&mut Properties::new(map)),
            Node::Unknown(reason) => Err(reason),
            _ => Err("it is no object".to_owned()),
        };
        match subscribed {
            Ok(one) => told.push(one),
            Err(reason) => properties.remark(format!("a subscription is not taken over: {reason}")),
        }
    }
    Ok((name, told))
}

/// Reads a subscription: the topic that it is of, and who is told.
pub(super) fn subscription(properties: &mut Properties) -> Result<(String, Told), Lost> {
    let arn = properties.need_text("TopicArn")?;
    let name = name(&arn).ok_or_else(|| format!("TopicArn cannot be {arn:?}"))?;
    let told = subscribed(properties)?;
    for key in ["FilterPolicy", "FilterPolicyScope"] {
        if properties.take(key)?.is_some() {
            properties.remark(format!("{key} is not taken over: it gets every message of the topic"));
        }
    }
    Ok((name, told))
}

fn subscribed(properties: &mut Properties) -> Result<Told, Lost> {
    let protocol = properties.need_text("Protocol")?;
    let endpoint = properties.need_text("Endpoint");
    match protocol.as_str() {
        "email" => Ok(Told::Email(endpoint?)),
        "email-json" => Err("mail with JSON in it is not available; Protocol email is".to_owned()),
        "sms" => Ok(Told::Sms(endpoint?)),
        // The address may hold a key, and is not repeated.
        "http" | "https" => {
            Err("its receiver expects the messages of SNS; a webhook has Watchbell's own".to_owned())
        }
        "sqs" => Err("write a queue with alarms = true instead".to_owned()),
        "lambda" => Err("write a function on a queue with alarms = true instead".to_owned()),
        other => Err(format!("Protocol {other:?} is not available")),
    }
}

/// The name of the topic that an ARN is of.
pub(super) fn name(arn: &str) -> Option<String> {
    arn_name(arn, "sns", "").filter(|name| !name.is_empty() && !name.contains(':')).map(str::to_owned)
}
