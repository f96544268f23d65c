//! A log event and what names it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Timestamp;

/// The place of an entry in the journal: 0 for the first ever written, one more for each entry after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl Offset {
    /// The offset after this one.
    #[must_use]
    pub fn next(self) -> Offset {
        Offset(self.0 + 1)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one data folder for ever; random, made with the folder. Prints as 16 hexadecimal digits.
///
/// 64 bits: among a million installations two share an id with a probability of 3 in 10^8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstallationId(pub [u8; 8]);

impl fmt::Display for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl FromStr for InstallationId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?} is not an installation id of 16 hexadecimal digits");
        if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(refused());
        }
        Ok(InstallationId(u64::from_str_radix(text, 16).map_err(|_| refused())?.to_be_bytes()))
    }
}

impl Serialize for InstallationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for InstallationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Names one log event for ever: installation, journal offset of its batch, line within the batch.
///
/// Prints as `<installation>-<offset>-<line>`, offset and line padded so that text order is event order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// The data folder the event was accepted into.
    pub installation: InstallationId,
    /// The entry that holds the event.
    pub offset: Offset,
    /// The event's index in that entry, from 0.
    pub line: u32,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:012}-{:06}", self.installation, self.offset.0, self.line)
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for EventId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?} is not an event id");
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or_else(refused);
        let installation = next()?.parse()?;
        let offset = Offset(next()?.parse().map_err(|_| refused())?);
        let line = next()?.parse().map_err(|_| refused())?;
        match parts.next() {
            None => Ok(EventId { installation, offset, line }),
            Some(_) => Err(refused()),
        }
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What happened to a line on its way in. A set of flags, kept with the event for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventFlags(pub u8);

impl EventFlags {
    /// The line was longer than [`crate::LINE_BYTES_MAX`]; the rest was dropped and counted.
    pub const CUT: EventFlags = EventFlags(1);
    /// The text continues a line that had been accepted without its line end.
    pub const CONTINUED: EventFlags = EventFlags(2);
    /// Bytes that were not UTF-8 were replaced with U+FFFD.
    pub const REPAIRED: EventFlags = EventFlags(4);
    /// Something that must not be stored was taken out, and `[redacted:WHAT]` stands in its place.
    pub const REDACTED: EventFlags = EventFlags(8);

    /// Both sets together.
    #[must_use]
    pub fn with(self, other: EventFlags) -> EventFlags {
        EventFlags(self.0 | other.0)
    }

    /// Whether every flag of `other` is set.
    pub fn has(self, other: EventFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names of the flags that are set: `cut`, `continued`, `repaired`, `redacted`.
    pub fn names(self) -> Vec<&'static str> {
        [
            (Self::CUT, "cut"),
            (Self::CONTINUED, "continued"),
            (Self::REPAIRED, "repaired"),
            (Self::REDACTED, "redacted"),
        ]
        .into_iter()
        .filter(|(flag, _)| self.has(*flag))
        .map(|(_, name)| name)
        .collect()
    }
}

/// One log event of a batch, borrowed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Index in the batch, from 0.
    pub line: u32,
    /// When it happened, if the line said so; otherwise the batch's ingestion time counts.
    pub timestamp: Option<Timestamp>,
    /// What happened to it on its way in.
    pub flags: EventFlags,
    /// How grave it is, if its source said so; otherwise its text tells.
    pub severity: Option<Severity>,
    /// The text as stored, without its line end.
    pub message: &'a str,
}

/// How grave an event is, as its own level or its parser says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing in the event tells.
    Unknown,
    /// Finer than debug.
    Trace,
    /// For developers.
    Debug,
    /// Ordinary.
    Info,
    /// Not yet wrong.
    Warn,
    /// Something failed.
    Error,
    /// Everything failed.
    Critical,
}

impl Severity {
    /// Every one, from the least known to the gravest.
    pub const ALL: [Severity; 7] = [
        Severity::Unknown,
        Severity::Trace,
        Severity::Debug,
        Severity::Info,
        Severity::Warn,
        Severity::Error,
        Severity::Critical,
    ];

    /// `unknown`, `trace`, `debug`, `info`, `warn`, `error` or `critical`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Unknown => "unknown",
            Severity::Trace => "trace",
            Severity::Debug => "debug",
            Severity::Info => "info",
            Severity::Warn => "warn",
            Severity::Error => "error",
            Severity::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_ids_read_back_and_sort_as_text() {
        let id = |offset, line| EventId {
            installation: InstallationId(*b"\x0f23456\x00\x01"),
            offset: Offset(offset),
            line,
        };
        let (a, b, c) = (id(9, 0), id(10, 0), id(10, 7));
        assert!(a.to_string() < b.to_string() && b.to_string() < c.to_string());
        assert_eq!(c.to_string().parse(), Ok(c));
        assert!("0f-1".parse::<EventId>().is_err());
        assert!("+f23456789012345-1-1".parse::<EventId>().is_err());
    }

    #[test]
    fn flags_name_themselves() {
        assert_eq!(EventFlags::CUT.with(EventFlags::REPAIRED).names(), ["cut", "repaired"]);
        assert!(EventFlags::default().names().is_empty());
    }
}
