//! Rows come in journal order; objects go out by partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchbell_model::{EventFlags, EventId, Severity, Timestamp};

use crate::object::Writer;
use crate::partition::{Partition, clamped};
use crate::{ArchiveError, Object};

/// One event, as the archive keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Its name.
    pub event_id: EventId,
    /// When it happened. Every value is kept; the date of the partition is the nearest one that exists.
    pub timestamp: Timestamp,
    /// When it was accepted.
    pub ingestion_time: Timestamp,
    /// The log group.
    pub log_group: &'a str,
    /// The log stream.
    pub stream: &'a str,
    /// The app; any text.
    pub app: &'a str,
    /// How grave it is.
    pub severity: Severity,
    /// The text as stored.
    pub message: &'a str,
    /// Its parsed fields, a JSON object.
    pub fields: Option<&'a str>,
    /// What happened to it on its way in.
    pub flags: EventFlags,
}

/// Milliseconds in a UTC day.
const DAY_MS: i64 = 86_400_000;

/// Gathers the rows of one archive plan and makes objects of them.
///
/// Holds what has been compressed so far, and some thousand rows as they came for each partition; the caller decides by
/// [`Collector::text_bytes`] when to close.
#[derive(Default)]
pub struct Collector {
    apps: Distinct,
    /// By day since 1970, place in `apps`, and severity.
    partitions: BTreeMap<(i64, u32, Severity), Rows>,
    last: Option<EventId>,
    text_bytes: usize,
}

impl Collector {
    /// Adds a row.
    ///
    /// # Errors
    /// [`ArchiveError::Malformed`] if Parquet cannot hold the rows, as with a message over 2 GiB.
    ///
    /// # Panics
    /// If it does not come after the one before in the same journal: it would stand in the archive twice, or
    /// under a name that lies.
    pub fn push(&mut self, row: &Row<'_>) -> Result<(), ArchiveError> {
        let follows = |last: EventId| last.installation == row.event_id.installation && last < row.event_id;
        assert!(self.last.is_none_or(follows), "rows come in journal order, but {} does not", row.event_id);
        self.last = Some(row.event_id);
        self.text_bytes += row.message.len() + row.fields.map_or(0, str::len);
        let day = clamped(row.timestamp).0.div_euclid(DAY_MS);
        let partition = (day, self.apps.place(row.app), row.severity);
        let rows = self.partitions.entry(partition).or_default();
        rows.waiting.push(row);
        if rows.waiting.event_ids.len() == Writer::ROWS {
            let date = Timestamp(day * DAY_MS).utc_date();
            rows.write(|| Partition { date, app: row.app.to_owned(), severity: row.severity })?;
        }
        Ok(())
    }

    /// Bytes of messages and fields so far.
    pub fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// The objects, in the order of their paths; none if there is no row.
    ///
    /// # Errors
    /// As [`Collector::push`].
    pub fn finish(self) -> Result<Vec<Object>, ArchiveError> {
        let apps = self.apps.names;
        let build = |((day, app, severity), rows): (_, Rows)| {
            let date = Timestamp(day * DAY_MS).utc_date();
            rows.finish(|| Partition { date, app: apps[app as usize].to_string(), severity })
        };
        let mut objects: Vec<Object> = self.partitions.into_iter().map(build).collect::<Result<_, _>>()?;
        objects.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(objects)
    }
}

/// The rows of one partition.
#[derive(Default)]
struct Rows {
    /// Those before; none while all of them wait.
    written: Option<Writer>,
    waiting: Columns,
}

impl Rows {
    /// Hands over what waits.
    fn write(&mut self, partition: impl FnOnce() -> Partition) -> Result<(), ArchiveError> {
        let columns = std::mem::take(&mut self.waiting);
        let Some(first) = columns.event_ids.first() else { return Ok(()) };
        let writer = match &mut self.written {
            Some(writer) => writer,
            none => none.insert(Writer::new(partition(), *first)?),
        };
        writer.add(columns)
    }

    fn finish(mut self, partition: impl FnOnce() -> Partition) -> Result<Object, ArchiveError> {
        self.write(partition)?;
        self.written.expect("a partition has a row").finish()
    }
}

/// Many texts in one buffer.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        self.bytes.extend(text.as_bytes());
        self.ends.push(self.bytes.len());
    }
}

/// Different texts, each with its place.
#[derive(Debug, Default)]
pub(crate) struct Distinct {
    pub(crate) names: Vec<Arc<str>>,
    places: BTreeMap<Arc<str>, u32>,
    last: u32,
}

impl Distinct {
    /// Where the name stands in `names` from now on.
    fn place(&mut self, name: &str) -> u32 {
        // Rows of one stream come together, so the last name is nearly always this one too.
        if self.names.get(self.last as usize).is_some_and(|last| **last == *name) {
            return self.last;
        }
        self.last = self.places.get(name).copied().unwrap_or_else(|| {
            let place = u32::try_from(self.names.len()).expect("a collector has fewer than 2^32 rows");
            let name: Arc<str> = name.into();
            self.names.push(name.clone());
            self.places.insert(name, place);
            place
        });
        self.last
    }
}

/// Texts of which few are different: each once, and which one each row has.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) distinct: Distinct,
    pub(crate) rows: Vec<u32>,
}

impl Names {
    fn push(&mut self, name: &str) {
        self.rows.push(self.distinct.place(name));
    }
}

/// The rows of one partition, column by column.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub(crate) event_ids: Vec<EventId>,
    pub(crate) timestamps: Vec<i64>,
    pub(crate) ingestion_times: Vec<i64>,
    pub(crate) log_groups: Names,
    pub(crate) log_streams: Names,
    pub(crate) messages: Texts,
    /// One for each row that has fields.
    pub(crate) fields: Texts,
    /// For each row, whether it has.
    pub(crate) has_fields: Vec<bool>,
    pub(crate) flags: Vec<EventFlags>,
}

impl Columns {
    fn push(&mut self, row: &Row<'_>) {
        self.event_ids.push(row.event_id);
        self.timestamps.push(row.timestamp.0);
        self.ingestion_times.push(row.ingestion_time.0);
        self.log_groups.push(row.log_group);
        self.log_streams.push(row.stream);
        self.messages.push(row.message);
        self.has_fields.push(row.fields.is_some());
        if let Some(fields) = row.fields {
            self.fields.push(fields);
        }
        self.flags.push(row.flags);
    }
}
