//! Reads an object back.

use std::panic;

use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::basic::Repetition;
use parquet::column::reader::ColumnReader;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use watchbell_model::{EventFlags, EventId, Severity, Timestamp};

use crate::ArchiveError;
use crate::footer::Footer;
use crate::object::COLUMNS;
use crate::partition::severity_of;
use crate::store::location;

/// One event, as it came back from the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its name.
    pub event_id: EventId,
    /// When it happened.
    pub timestamp: Timestamp,
    /// When it was accepted.
    pub ingestion_time: Timestamp,
    /// The log group.
    pub log_group: String,
    /// The log stream.
    pub stream: String,
    /// The app.
    pub app: String,
    /// How grave it is.
    pub severity: Severity,
    /// The text.
    pub message: String,
    /// Its parsed fields, a JSON object.
    pub fields: Option<String>,
    /// What happened to it on its way in.
    pub flags: EventFlags,
}

/// All events of one object, in event order; holds the whole object in memory.
///
/// # Errors
/// [`ArchiveError::Store`] if the store cannot give it, [`ArchiveError::Malformed`] if it is damaged or of another
/// format.
pub async fn read(store: &dyn ObjectStore, path: &str) -> Result<Vec<StoredEvent>, ArchiveError> {
    let refused = |error| ArchiveError::store(path, error);
    let object = store.get(&location(path)?).await.map_err(refused)?;
    let bytes = object.bytes().await.map_err(refused)?;
    // The parquet crate asserts on some kinds of damage, and a damaged object must stop nothing else.
    panic::catch_unwind(|| decode(path, bytes))
        .unwrap_or_else(|_| Err(ArchiveError::malformed(path, "is damaged: no reader can take it")))
}

fn decode(path: &str, bytes: Bytes) -> Result<Vec<StoredEvent>, ArchiveError> {
    let damaged = |error: ParquetError| ArchiveError::malformed(path, error.to_string());
    let reader = SerializedFileReader::new(bytes).map_err(damaged)?;
    Footer::check(path, reader.metadata())?;
    let mut events = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(damaged)?;
        events.extend(events_of(&*group).map_err(damaged)?);
    }
    Ok(events)
}

fn events_of(group: &dyn RowGroupReader) -> ParquetResult<Vec<StoredEvent>> {
    if group.num_columns() != COLUMNS.len() {
        return Err(wrong("it has other columns than its format"));
    }
    let rows =
        usize::try_from(group.metadata().num_rows()).map_err(|_| wrong("its row count is negative"))?;
    let mut event_ids = texts(group, 0, rows)?;
    let (timestamps, ingestion_times) = (times(group, 1, rows)?, times(group, 2, rows)?);
    let mut log_groups = texts(group, 3, rows)?;
    let mut streams = texts(group, 4, rows)?;
    let mut apps = texts(group, 5, rows)?;
    let mut severities = texts(group, 6, rows)?;
    let mut messages = texts(group, 7, rows)?;
    let mut fields = texts(group, 8, rows)?;
    let mut flags = texts(group, 9, rows)?;
    let mut events = Vec::with_capacity(rows);
    for (row, (timestamp, ingestion_time)) in timestamps.into_iter().zip(ingestion_times).enumerate() {
        let take =
            |column: &mut Vec<Option<String>>| column[row].take().ok_or_else(|| wrong("a value is missing"));
        events.push(StoredEvent {
            event_id: take(&mut event_ids)?.parse().map_err(ParquetError::General)?,
            timestamp: Timestamp(timestamp),
            ingestion_time: Timestamp(ingestion_time),
            log_group: take(&mut log_groups)?,
            stream: take(&mut streams)?,
            app: take(&mut apps)?,
            severity: severity_of(&take(&mut severities)?).ok_or_else(|| wrong("a severity is unknown"))?,
            message: take(&mut messages)?,
            fields: fields[row].take(),
            flags: flags[row].take().map_or(Ok(EventFlags::default()), |names| flags_of(&names))?,
        });
    }
    Ok(events)
}

fn wrong(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}

fn flags_of(names: &str) -> ParquetResult<EventFlags> {
    let known = [EventFlags::CUT, EventFlags::CONTINUED, EventFlags::REPAIRED, EventFlags::REDACTED];
    names.split(',').try_fold(EventFlags::default(), |flags, name| {
        let flag = known.into_iter().find(|flag| flag.names() == [name]);
        flag.map(|flag| flags.with(flag)).ok_or_else(|| wrong("a flag is unknown"))
    })
}

/// One value for each row.
fn times(group: &dyn RowGroupReader, column: usize, rows: usize) -> ParquetResult<Vec<i64>> {
    let ColumnReader::Int64ColumnReader(mut reader) = group.get_column_reader(column)? else {
        return Err(wrong("a time is no number"));
    };
    let mut values = Vec::new();
    while reader.read_records(rows, None, None, &mut values)?.0 > 0 {}
    if values.len() == rows { Ok(values) } else { Err(wrong("a column has too few or too many rows")) }
}

/// One text or its absence for each row.
fn texts(group: &dyn RowGroupReader, column: usize, rows: usize) -> ParquetResult<Vec<Option<String>>> {
    let ColumnReader::ByteArrayColumnReader(mut reader) = group.get_column_reader(column)? else {
        return Err(wrong("a text is no text"));
    };
    let (mut levels, mut values) = (Vec::new(), Vec::<ByteArray>::new());
    while reader.read_records(rows, Some(&mut levels), None, &mut values)?.0 > 0 {}
    let required = COLUMNS[column].2 == Repetition::REQUIRED;
    let present: Vec<bool> =
        if required { vec![true; rows] } else { levels.iter().map(|level| *level == 1).collect() };
    if present.len() != rows || present.iter().filter(|has| **has).count() != values.len() {
        return Err(wrong("a column has too few or too many rows"));
    }
    let mut values = values.into_iter();
    let text = |value: ByteArray| value.as_utf8().map(str::to_owned);
    present.into_iter().map(|has| if has { values.next().map(text).transpose() } else { Ok(None) }).collect()
}
