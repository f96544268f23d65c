//! Something in a document that could be taken over, and how its properties are read.

use std::collections::BTreeSet;

use super::node::{Map, Node};

/// What it is, by its CloudFormation type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    LogGroup,
    MetricFilter,
    Alarm,
    CompositeAlarm,
    MuteRule,
    Topic,
    Subscription,
}

impl Kind {
    pub(super) const ALL: [Kind; 7] = [
        Kind::LogGroup,
        Kind::MetricFilter,
        Kind::Alarm,
        Kind::CompositeAlarm,
        Kind::MuteRule,
        Kind::Topic,
        Kind::Subscription,
    ];

    pub(super) fn cloudformation(self) -> &'static str {
        match self {
            Kind::LogGroup => "AWS::Logs::LogGroup",
            Kind::MetricFilter => "AWS::Logs::MetricFilter",
            Kind::Alarm => "AWS::CloudWatch::Alarm",
            Kind::CompositeAlarm => "AWS::CloudWatch::CompositeAlarm",
            Kind::MuteRule => "AWS::CloudWatch::AlarmMuteRule",
            Kind::Topic => "AWS::SNS::Topic",
            Kind::Subscription => "AWS::SNS::Subscription",
        }
    }

    /// As people say it.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Kind::LogGroup => "log group",
            Kind::MetricFilter => "metric filter",
            Kind::Alarm => "alarm",
            Kind::CompositeAlarm => "composite alarm",
            Kind::MuteRule => "mute rule",
            Kind::Topic => "topic",
            Kind::Subscription => "subscription",
        }
    }
}

/// Where something comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    pub(super) file: String,
    /// As its file calls it: `metric filter ErrorFilter`, `alarm "api errors"`.
    pub(super) what: String,
}

/// Something that could be taken over.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) origin: Origin,
    /// What it is called if no property says so.
    pub(super) id: String,
    pub(super) properties: Map,
    /// Placeholders in its properties: their names and values.
    pub(super) assumed: Vec<(String, String)>,
}

/// Why something is not taken over.
pub(super) type Lost = String;

/// Properties that are taken one by one; what remains in the end was not understood.
pub(super) struct Properties {
    map: Map,
    /// What is different from what was found.
    pub(super) remarks: Vec<String>,
}

impl Properties {
    pub(super) fn new(map: Map) -> Properties {
        Properties { map, remarks: Vec::new() }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    pub(super) fn remark(&mut self, remark: impl Into<String>) {
        self.remarks.push(remark.into());
    }

    /// The value, if there is one that is known.
    pub(super) fn take(&mut self, key: &str) -> Result<Option<Node>, Lost> {
        match self.map.remove(key) {
            None | Some(Node::Null) => Ok(None),
            Some(Node::Unknown(reason)) => Err(format!("{key}: {reason}")),
            Some(node) => Ok(Some(node)),
        }
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Lost> {
        match self.take(key)? {
            None => Ok(None),
            Some(Node::Text(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{key} is no text")),
        }
    }

    pub(super) fn need_text(&mut self, key: &str) -> Result<String, Lost> {
        self.text(key)?.ok_or_else(|| format!("it has no {key}"))
    }

    pub(super) fn parsed<T: std::str::FromStr>(&mut self, key: &str) -> Result<Option<T>, Lost> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|_| format!("{key} cannot be {text:?}"))
    }

    /// A whole number, as `3` or `3.0`.
    pub(super) fn whole(&mut self, key: &str) -> Result<Option<u32>, Lost> {
        let Some(number) = self.parsed::<f64>(key)? else { return Ok(None) };
        if number.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&number) {
            return Err(format!("{key} cannot be {number}"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "looked at right above")]
        let whole = number as u32;
        Ok(Some(whole))
    }

    pub(super) fn number(&mut self, key: &str) -> Result<Option<f64>, Lost> {
        match self.parsed::<f64>(key)? {
            Some(number) if !number.is_finite() => Err(format!("{key} is not a finite number")),
            number => Ok(number),
        }
    }

    pub(super) fn flag(&mut self, key: &str, default: bool) -> Result<bool, Lost> {
        match self.text(key)?.as_deref() {
            None => Ok(default),
            Some("true" | "True") => Ok(true),
            Some("false" | "False") => Ok(false),
            Some(other) => Err(format!("{key} cannot be {other:?}")),
        }
    }

    pub(super) fn inner(&mut self, key: &str) -> Result<Option<Properties>, Lost> {
        match self.take(key)? {
            None => Ok(None),
            Some(Node::Map(map)) => Ok(Some(Properties::new(map))),
            Some(_) => Err(format!("{key} is no object")),
        }
    }

    /// The items of a list; one value counts as a list of it.
    pub(super) fn items(&mut self, key: &str) -> Result<Vec<Node>, Lost> {
        Ok(match self.take(key)? {
            None => Vec::new(),
            Some(Node::List(items)) => items,
            Some(other) => vec![other],
        })
    }

    /// A list of objects with a key and a value each, as `[{Name: a, Value: b}]`.
    pub(super) fn pairs(&mut self, key: &str, name: &str) -> Result<Vec<(String, String)>, Lost> {
        let mut pairs = Vec::new();
        for item in self.items(key)? {
            let Node::Map(map) = item else { return Err(format!("{key} is no list of objects")) };
            let mut inner = Properties::new(map);
            let pair = inner.need_text(name).and_then(|name| Ok((name, inner.need_text("Value")?)));
            pairs.push(pair.map_err(|reason| format!("{key}: {reason}"))?);
        }
        Ok(pairs)
    }

    /// Says of each property that remains that it is not taken over, but of `silent` ones, which change nothing here.
    pub(super) fn finish(mut self, silent: &[&str]) -> Vec<String> {
        let silent: BTreeSet<&str> = silent.iter().copied().collect();
        for (key, value) in &self.map {
            if !value.is_nothing() && !silent.contains(key.as_str()) {
                self.remarks.push(format!("{key} is not taken over"));
            }
        }
        self.remarks
    }
}

/// The last part of an ARN, or the text if it is none: `arn:aws:sns:eu-central-1:123456789012:ops` gives `ops`.
pub(super) fn arn_name<'a>(text: &'a str, service: &str, kind: &str) -> Option<&'a str> {
    let mut parts = text.splitn(6, ':');
    let (arn, _partition, found) = (parts.next()?, parts.next()?, parts.next()?);
    let rest = parts.nth(2)?;
    (arn == "arn" && found == service).then(|| rest.strip_prefix(kind)).flatten()
}
