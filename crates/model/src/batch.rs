//! A batch: log events of one stream that were accepted together, with where they came from.

use std::net::IpAddr;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::entry::EntryError;
use crate::{
    Event, EventFlags, GroupName, MessageId, QueueChanges, Severity, Shipped, Taken, Timestamp, Transport,
};

/// What a part of a file looks like: its beginning, or what stands before a position.
///
/// Together with device and inode two of them are a file's identity. `bytes` grows with the file up to
/// [`Fingerprint::BYTES_MAX`]; where other bytes stand now, it is another file on the same inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// How many bytes were hashed.
    pub bytes: u32,
    /// The first eight bytes of their SHA-256, big-endian.
    pub hash: u64,
}

impl Fingerprint {
    /// How much is looked at.
    pub const BYTES_MAX: u32 = 1024;
}

/// Where a batch came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// A followed file. The end of `range` is the file's checkpoint: there is no other.
    File {
        /// The path under which it was read, for people; identity is the next three.
        path: String,
        /// Device number.
        device: u64,
        /// Inode number.
        inode: u64,
        /// What its beginning looked like.
        fingerprint: Fingerprint,
        /// What stood right before the end of `range`; `None` in what the first versions wrote.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tail: Option<Fingerprint>,
        /// The bytes that this batch stands for, line ends and dropped bytes included.
        range: Range<u64>,
        /// The last line had no line end yet.
        #[serde(default, skip_serializing_if = "crate::skip::is_false")]
        unterminated: bool,
        /// Bytes before this were there before the group was first watched; 0 if none were.
        #[serde(default, skip_serializing_if = "is_zero")]
        backfill_until: u64,
        /// Bytes of `range` that are in no event: the ends of lines that were too long.
        #[serde(default, skip_serializing_if = "is_zero")]
        dropped_bytes: u64,
    },
    /// A request.
    Http {
        /// Who sent it: `token NAME`, or `loopback`.
        principal: String,
        /// The client's own name for this batch; a repeated one is acknowledged, not stored again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        batch_id: Option<String>,
    },
    /// A function, which raised these events of a message. They stand in one entry with what becomes of that message, so
    /// that they are there exactly once, however often it was worked on.
    Function {
        /// The function's name.
        function: String,
        /// The message.
        message: MessageId,
        /// How many functions, this one included, had a hand in the events, one after another.
        hops: u32,
        /// What becomes of the message.
        done: Box<QueueChanges>,
    },
    /// An agent, which took it in on its machine.
    Agent {
        /// Who sent it: `token NAME`, or `loopback`.
        principal: String,
        /// Which agent, and where it stands in its journal.
        shipped: Shipped,
        /// Where the agent had it from.
        origin: Box<Source>,
    },
    /// Entries of the system's journal.
    Journald {
        /// The last of them: reading goes on behind it. There is no other checkpoint.
        cursor: String,
        /// Entries before this were there before the group was first watched.
        #[serde(default)]
        backfill_until: Timestamp,
        /// What they are.
        taken: Taken,
    },
    /// Standard input.
    Stdin {
        /// What was read.
        taken: Taken,
    },
    /// Messages of syslog.
    Syslog {
        /// How they were sent.
        transport: Transport,
        /// From which address.
        peer: IpAddr,
        /// What they are.
        taken: Taken,
    },
}

impl Source {
    /// What a batch from an input stands for, wherever it was taken in; files and requests say it in their own way.
    pub fn taken(&self) -> Option<&Taken> {
        match self.origin() {
            Source::Journald { taken, .. } | Source::Stdin { taken } | Source::Syslog { taken, .. } => {
                Some(taken)
            }
            _ => None,
        }
    }

    /// Where the events came from in the first place, on whatever machine.
    pub fn origin(&self) -> &Source {
        match self {
            Source::Agent { origin, .. } => origin.origin(),
            _ => self,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Log events of one stream, accepted together. Immutable once built.
///
/// The text of all events stands in one buffer, each followed by a line feed, so that one scan can cover it.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The log group.
    pub group: GroupName,
    /// The log stream: a file's path, or what the sender named.
    pub stream: String,
    /// Where it came from.
    pub source: Source,
    /// These lines were there before their group was first watched: kept and archived, but in no metric.
    pub backfill: bool,
    text: String,
    ends: Vec<u32>,
    timestamps: Vec<i64>,
    flags: Vec<u8>,
    /// A letter for each event; empty if no source said anything.
    severities: String,
}

/// In `severities`: the source did not say.
const NO_SEVERITY: char = '-';

/// The first letter of a severity's name: no two are alike.
fn letter_of(severity: Severity) -> char {
    severity.as_str().chars().next().expect("every severity has a name")
}

fn severity_of(letter: u8) -> Option<Severity> {
    Severity::ALL.into_iter().find(|severity| letter_of(*severity) == char::from(letter))
}

/// In `timestamps`: the line has no time of its own.
const NO_TIMESTAMP: i64 = i64::MIN;

#[derive(Serialize, Deserialize)]
struct Head {
    group: GroupName,
    stream: String,
    source: Source,
    #[serde(default, skip_serializing_if = "crate::skip::is_false")]
    backfill: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    severities: String,
}

impl Batch {
    /// How many functions had a hand in its events, one after another.
    pub fn hops(&self) -> u32 {
        if let Source::Function { hops, .. } = &self.source { *hops } else { 0 }
    }

    /// The same events as another source brought them. Those without a time of their own happened `at`.
    #[must_use]
    pub fn brought(mut self, stream: String, source: Source, at: Timestamp) -> Batch {
        self.timestamps.resize(self.ends.len(), NO_TIMESTAMP);
        self.timestamps.iter_mut().filter(|time| **time == NO_TIMESTAMP).for_each(|time| *time = at.0);
        Batch { stream, source, ..self }
    }

    /// How many events it holds.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it holds no event; such a batch only moves a file's checkpoint.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The text of all events, each followed by a line feed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where each event ends in [`Batch::text`]: at a line feed that is not part of it.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Bytes of log text, without line ends.
    pub fn message_bytes(&self) -> u64 {
        (self.text.len() - self.ends.len()) as u64
    }

    /// When the event at `line` happened, if it says so.
    pub fn timestamp(&self, line: usize) -> Option<Timestamp> {
        self.timestamps.get(line).copied().filter(|t| *t != NO_TIMESTAMP).map(Timestamp)
    }

    /// The times of those events that say when they happened.
    pub fn timestamps(&self) -> impl Iterator<Item = Timestamp> {
        self.timestamps.iter().copied().filter(|t| *t != NO_TIMESTAMP).map(Timestamp)
    }

    /// The event at `line`, from 0.
    pub fn event(&self, line: usize) -> Event<'_> {
        let start = if line == 0 { 0 } else { self.ends[line - 1] as usize + 1 };
        Event {
            line: u32::try_from(line).expect("a batch has fewer than 2^32 events: their ends are u32"),
            timestamp: self.timestamp(line),
            flags: EventFlags(self.flags.get(line).copied().unwrap_or(0)),
            severity: self.severities.as_bytes().get(line).and_then(|letter| severity_of(*letter)),
            message: &self.text[start..self.ends[line] as usize],
        }
    }

    /// How many events have all of these flags.
    pub fn flagged(&self, flags: EventFlags) -> usize {
        self.flags.iter().filter(|known| EventFlags(**known).has(flags)).count()
    }

    /// All events, in order.
    pub fn events(&self) -> impl Iterator<Item = Event<'_>> {
        (0..self.len()).map(|line| self.event(line))
    }

    /// Format 1: length and JSON of the head; number of events; whether timestamps and flags follow; ends (u32),
    /// timestamps (i64), flags (u8) as columns; the text. Little-endian.
    /// This is all but the text.
    pub(crate) fn encode_beginning(&self) -> Vec<u8> {
        let head = Head {
            group: self.group.clone(),
            stream: self.stream.clone(),
            source: self.source.clone(),
            backfill: self.backfill,
            severities: self.severities.clone(),
        };
        let head = serde_json::to_vec(&head).expect("a head has only texts and numbers");
        let columns = self.ends.len() * 4 + self.timestamps.len() * 8 + self.flags.len();
        let mut out = Vec::with_capacity(head.len() + columns + 10);
        out.extend(length_u32(head.len()).to_le_bytes());
        out.extend(&head);
        out.extend(length_u32(self.ends.len()).to_le_bytes());
        out.push(u8::from(!self.timestamps.is_empty()));
        out.push(u8::from(!self.flags.is_empty()));
        out.extend(self.ends.iter().flat_map(|end| end.to_le_bytes()));
        out.extend(self.timestamps.iter().flat_map(|time| time.to_le_bytes()));
        out.extend(&self.flags);
        out
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Batch, EntryError> {
        let mut rest = payload;
        let head_bytes = take_u32(&mut rest)? as usize;
        let head: Head = serde_json::from_slice(take(&mut rest, head_bytes)?)
            .map_err(|error| EntryError::Malformed { what: format!("batch head: {error}") })?;
        let count = take_u32(&mut rest)? as usize;
        let present = take(&mut rest, 2)?;
        let (timestamped, flagged) = (present[0] == 1, present[1] == 1);
        let ends: Vec<u32> = take(&mut rest, count.saturating_mul(4))?
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| u32::from_le_bytes(*bytes))
            .collect();
        let timestamps = take(&mut rest, if timestamped { count.saturating_mul(8) } else { 0 })?;
        let timestamps =
            timestamps.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
        let flags = take(&mut rest, if flagged { count } else { 0 })?.to_vec();
        let text = String::from_utf8(rest.to_vec()).map_err(|_| malformed("batch text is not UTF-8"))?;
        if !ends_fit(&ends, text.as_bytes()) {
            return Err(malformed("line ends do not fit the text"));
        }
        let Head { group, stream, source, backfill, severities } = head;
        if !severities.is_empty() && severities.len() != ends.len() {
            return Err(malformed("severities do not fit the events"));
        }
        Ok(Batch { group, stream, source, backfill, text, ends, timestamps, flags, severities })
    }
}

/// Every end is at a line feed, they rise, and the last one ends the text.
fn ends_fit(ends: &[u32], text: &[u8]) -> bool {
    let rising = ends.windows(2).all(|pair| pair[0] < pair[1]);
    let at_line_feeds = ends.iter().all(|end| text.get(*end as usize) == Some(&b'\n'));
    let covers = ends.last().map_or(0, |end| *end as usize + 1) == text.len();
    rising && at_line_feeds && covers
}

fn length_u32(length: usize) -> u32 {
    u32::try_from(length).expect("the builder keeps a batch under 4 GiB")
}

fn malformed(what: &str) -> EntryError {
    EntryError::Malformed { what: what.to_owned() }
}

fn take<'a>(rest: &mut &'a [u8], bytes: usize) -> Result<&'a [u8], EntryError> {
    let (taken, left) = rest.split_at_checked(bytes).ok_or_else(|| malformed("batch ends too early"))?;
    *rest = left;
    Ok(taken)
}

fn take_u32(rest: &mut &[u8]) -> Result<u32, EntryError> {
    let bytes = take(rest, 4)?;
    Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes were taken")))
}

/// Gathers events into a [`Batch`].
#[derive(Debug, Default)]
pub struct BatchBuilder {
    text: String,
    ends: Vec<u32>,
    timestamps: Vec<i64>,
    flags: Vec<u8>,
    severities: String,
}

impl BatchBuilder {
    /// Adds one event. Without a timestamp it counts as happening when it is accepted.
    pub fn push(&mut self, message: &str, timestamp: Option<Timestamp>, flags: EventFlags) {
        let line = self.ends.len();
        self.text.push_str(message);
        self.ends.push(length_u32(self.text.len()));
        self.text.push('\n');
        if let Some(timestamp) = timestamp {
            self.timestamps.resize(line, NO_TIMESTAMP);
            self.timestamps.push(timestamp.0);
        }
        if flags != EventFlags::default() {
            self.flags.resize(line, 0);
            self.flags.push(flags.0);
        }
    }

    /// The lines of a text, each with its line feed, as events without flags; `timestamp` finds their times.
    pub fn of_lines(lines: String, timestamp: impl Fn(&str) -> Option<Timestamp>) -> BatchBuilder {
        let mut ends = Vec::with_capacity(lines.len() / 64);
        let mut timestamps = Vec::new();
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', lines.as_bytes()) {
            if let Some(timestamp) = timestamp(&lines[start..end]) {
                timestamps.resize(ends.len(), NO_TIMESTAMP);
                timestamps.push(timestamp.0);
            }
            ends.push(length_u32(end));
            start = end + 1;
        }
        assert_eq!(start, lines.len(), "the last line has its line feed");
        BatchBuilder { text: lines, ends, timestamps, flags: Vec::new(), severities: String::new() }
    }

    /// Adds flags to the event at `line`.
    pub fn flag(&mut self, line: usize, flags: EventFlags) {
        if self.flags.len() <= line {
            self.flags.resize(line + 1, 0);
        }
        self.flags[line] |= flags.0;
    }

    /// The source says of the event that was added last how grave it is.
    pub fn grave(&mut self, severity: Severity) {
        let line = self.ends.len().checked_sub(1).expect("an event was added");
        self.severities.truncate(line);
        self.fill_severities(line);
        self.severities.push(letter_of(severity));
    }

    fn fill_severities(&mut self, lines: usize) {
        self.severities.extend((self.severities.len()..lines).map(|_| NO_SEVERITY));
    }

    /// How many events were added.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether none was added.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of text so far, line ends included.
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// The batch.
    pub fn build(mut self, group: GroupName, stream: String, source: Source, backfill: bool) -> Batch {
        if !self.timestamps.is_empty() {
            self.timestamps.resize(self.ends.len(), NO_TIMESTAMP);
        }
        if !self.flags.is_empty() {
            self.flags.resize(self.ends.len(), 0);
        }
        if !self.severities.is_empty() {
            self.fill_severities(self.ends.len());
        }
        let BatchBuilder { text, ends, timestamps, flags, severities } = self;
        Batch { group, stream, source, backfill, text, ends, timestamps, flags, severities }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn http() -> Source {
        Source::Http { principal: "loopback".into(), batch_id: Some("b-1".into()) }
    }

    fn group() -> GroupName {
        GroupName::new("shop/app").unwrap()
    }

    fn encoded(batch: &Batch) -> Vec<u8> {
        [&batch.encode_beginning(), batch.text().as_bytes()].concat()
    }

    #[test]
    fn events_come_back_as_they_went_in() {
        let mut builder = BatchBuilder::default();
        builder.push("first", None, EventFlags::default());
        builder.push("", Some(Timestamp(7)), EventFlags::default());
        builder.push("two\nlines", None, EventFlags::CUT);
        let batch = builder.build(group(), "s".into(), http(), false);
        let events: Vec<_> = batch.events().map(|e| (e.message, e.timestamp, e.flags)).collect();
        let none = EventFlags::default();
        assert_eq!(
            events,
            [("first", None, none), ("", Some(Timestamp(7)), none), ("two\nlines", None, EventFlags::CUT)]
        );
        assert_eq!(batch.message_bytes(), 14);
        assert_eq!(batch.ends(), [5, 6, 16]);
    }

    #[test]
    fn what_an_agent_brought_has_a_time_and_says_where_it_came_from() {
        let mut builder = BatchBuilder::default();
        builder.push("first", Some(Timestamp(7)), EventFlags::default());
        builder.push("second", None, EventFlags::CUT);
        let shipped = Shipped {
            agent: crate::InstallationId(*b"theagent"),
            host: "web-1".into(),
            offset: crate::Offset(4),
            accepted: Timestamp(9),
        };
        let source = Source::Agent { principal: "token a".into(), shipped, origin: Box::new(http()) };
        let batch = builder.build(group(), "/x".into(), http(), true);
        let batch = batch.brought("web-1/x".into(), source, Timestamp(9));
        let events: Vec<_> = batch.events().map(|e| (e.message, e.timestamp.unwrap().0, e.flags)).collect();
        assert_eq!(events, [("first", 7, EventFlags::default()), ("second", 9, EventFlags::CUT)]);
        assert_eq!(batch.source.origin(), &http());
        assert!(batch.backfill);
        assert_eq!(Batch::decode(&encoded(&batch)).unwrap(), batch);
    }

    #[test]
    fn a_source_may_say_how_grave_some_events_are() {
        let mut builder = BatchBuilder::default();
        for (message, severity) in [("a", None), ("b", Some(Severity::Error)), ("c", None)] {
            builder.push(message, None, EventFlags::default());
            if let Some(severity) = severity {
                builder.grave(severity);
            }
        }
        let batch = builder.build(group(), "s".into(), http(), false);
        let back = Batch::decode(&encoded(&batch)).unwrap();
        let severities: Vec<_> = back.events().map(|event| event.severity).collect();
        assert_eq!((severities, &back), (vec![None, Some(Severity::Error), None], &batch));
        let fewer = String::from_utf8(encoded(&batch)).unwrap().replace("\"-e-\"", "\"-e\" ");
        assert!(Batch::decode(fewer.as_bytes()).is_err());
        for severity in Severity::ALL {
            assert_eq!(severity_of(u8::try_from(letter_of(severity)).unwrap()), Some(severity));
        }
    }

    #[test]
    fn a_batch_without_events_is_allowed() {
        let batch = BatchBuilder::default().build(group(), "s".into(), http(), true);
        assert_eq!(Batch::decode(&encoded(&batch)).unwrap(), batch);
        assert!(batch.is_empty());
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(lines in prop::collection::vec(("[a-z\u{e9}\n ]{0,12}", prop::option::of(0..9_i64), 0..8_u8), 0..9)) {
            let mut builder = BatchBuilder::default();
            for (message, timestamp, flags) in &lines {
                builder.push(message, timestamp.map(Timestamp), EventFlags(*flags));
            }
            let batch = builder.build(group(), "s".into(), http(), false);
            let back = Batch::decode(&encoded(&batch)).unwrap();
            prop_assert_eq!(&back, &batch);
            let events: Vec<_> = back.events().map(|e| (e.message.to_owned(), e.timestamp.map(|t| t.0), e.flags.0)).collect();
            prop_assert_eq!(events, lines);
        }

        #[test]
        fn many_lines_at_once_are_the_same_as_one_by_one(lines in prop::collection::vec("[a-z\u{e9}]{0,3}", 0..9)) {
            let timestamp = |line: &str| line.find('e').map(|at| Timestamp(i64::try_from(at).unwrap()));
            let mut one_by_one = BatchBuilder::default();
            for line in &lines {
                one_by_one.push(line, timestamp(line), EventFlags::default());
            }
            let text = lines.join("\n") + if lines.is_empty() { "" } else { "\n" };
            let at_once = BatchBuilder::of_lines(text, timestamp);
            let [one_by_one, at_once] =
                [one_by_one, at_once].map(|builder| builder.build(group(), "s".into(), http(), false));
            prop_assert_eq!(at_once, one_by_one);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..400_usize) {
            let _ = Batch::decode(&bytes);
            let mut builder = BatchBuilder::default();
            builder.push("some text", Some(Timestamp(1)), EventFlags::CUT);
            let mut encoded = encoded(&builder.build(group(), "s".into(), http(), false));
            for (i, byte) in bytes.iter().enumerate() {
                let at = (i * 7 + cut) % encoded.len();
                encoded[at] = *byte;
            }
            if let Ok(batch) = Batch::decode(&encoded) {
                batch.events().for_each(drop);
            }
        }
    }
}
