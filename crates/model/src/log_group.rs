//! A log group: where its events come from and how they are read.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Inputs;

/// The name of a log group, 1 to 512 characters of `A-Z a-z 0-9 . - _ / #`.
///
/// Source: CloudWatch Logs API Reference, `CreateLogGroup`, `logGroupName`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupName(String);

/// Why a text is not the name of a log group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty, or over the limit.
    #[error("a log group name has 1 to {max} characters, this one has {length}", max = GroupName::CHARS_MAX)]
    Length {
        /// Characters found.
        length: usize,
    },
    /// A character that is not allowed.
    #[error("{character:?} is not allowed in a log group name (allowed: A-Z a-z 0-9 . - _ / #)")]
    Character {
        /// The first one.
        character: char,
    },
}

impl GroupName {
    /// Longest name, in characters.
    pub const CHARS_MAX: usize = 512;

    /// Checks and wraps a name.
    ///
    /// # Errors
    /// [`NameError`] if it is empty, too long or has a character that is not allowed.
    pub fn new(text: impl Into<String>) -> Result<GroupName, NameError> {
        let text = text.into();
        let length = text.chars().count();
        if length == 0 || length > Self::CHARS_MAX {
            return Err(NameError::Length { length });
        }
        match text.chars().find(|c| !(c.is_ascii_alphanumeric() || ".-_/#".contains(*c))) {
            Some(character) => Err(NameError::Character { character }),
            None => Ok(GroupName(text)),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first part of the name: what `app` defaults to. `shop/access` gives `shop`, `/aws/x` gives `aws`.
    pub fn first_part(&self) -> &str {
        self.0.split('/').find(|part| !part.is_empty()).unwrap_or(&self.0)
    }
}

impl TryFrom<String> for GroupName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        GroupName::new(text)
    }
}

impl From<GroupName> for String {
    fn from(name: GroupName) -> String {
        name.0
    }
}

impl Borrow<str> for GroupName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How a line's fields, time and severity are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParseKind {
    /// No fields; severity from the first level word of the text.
    Plain,
    /// One JSON object a line.
    Json,
    /// The combined or common access log of web servers.
    Combined,
    /// What a syslog daemon writes to files: time, host, program.
    Syslog,
    /// `key=value` pairs.
    Logfmt,
}

/// Where an event's timestamp comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimestampFrom {
    /// The time in the line, if its parser knows where to find one; otherwise its arrival. A time without a zone is UTC.
    Line,
    /// When it was accepted.
    Arrival,
    /// The time in the line, read as told; if there is none, its arrival.
    Written(WrittenTime),
}

/// How lines write their time, where their parser does not know it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenTime {
    /// The form, in the directives of `strptime`; `None`: where and how the parser knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The time begins after the first of these in the line; `None`: at its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The IANA time zone of times that name none; `None`: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// Where reading begins in a file that was never seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartAt {
    /// At its first byte.
    Beginning,
    /// At its end, if it was there when watching began.
    End,
}

/// What tells which lines belong to one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MultilineBy {
    /// Stack traces as Java and its relatives write them.
    Java,
    /// Tracebacks of Python.
    Python,
    /// Panics of Go.
    Go,
    /// Errors of Node.js.
    Node,
    /// Panics and errors of Rust.
    Rust,
    /// Exceptions of .NET.
    Dotnet,
    /// An event starts with a line that this regular expression matches; the lines between belong to it.
    Start(String),
}

/// How lines are put together into events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Multiline {
    /// What tells which lines belong together.
    pub by: MultilineBy,
    /// How long the last event of a file waits for more lines, in milliseconds.
    pub timeout_ms: i64,
    /// Most lines of an event; what comes after them begins the next one, which is flagged.
    pub lines_max: u32,
}

/// A log group as planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogGroup {
    /// Glob patterns of the files to follow, absolute. May be empty: HTTP only.
    pub files: Vec<String>,
    /// The application these logs belong to; a partition of the archive.
    pub app: String,
    /// How lines are read.
    pub parse: ParseKind,
    /// Where timestamps come from.
    pub timestamp: TimestampFrom,
    /// How long after a slot's end its events may still arrive before it is decided, in milliseconds.
    pub lateness_ms: i64,
    /// Where reading begins in files never seen before.
    pub start: StartAt,
    /// How lines are put together; `None`: each is an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiline: Option<Multiline>,
    /// How long events stay searchable outside the archive, in milliseconds; `None`: as long as the journal has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_ms: Option<i64>,
    /// Where else events come from.
    #[serde(default, skip_serializing_if = "Inputs::is_empty")]
    pub inputs: Inputs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_names_follow_cloudwatch() {
        assert!(GroupName::new("shop/access-1_a.b#c").is_ok());
        assert_eq!(GroupName::new(""), Err(NameError::Length { length: 0 }));
        assert_eq!(GroupName::new("a b"), Err(NameError::Character { character: ' ' }));
        assert!(GroupName::new("x".repeat(513)).is_err());
        assert_eq!(GroupName::new("/aws/lambda").unwrap().first_part(), "aws");
        assert_eq!(GroupName::new("shop").unwrap().first_part(), "shop");
        assert_eq!(GroupName::new("/").unwrap().first_part(), "/");
    }
}
