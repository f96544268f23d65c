//! One object: the rows of one partition as a Parquet file in memory.
//!
//! Rows are encoded and compressed some thousands at a time, each column into pages of its own, which are joined when a
//! row group is full: held as they came, the rows of a large object would be more memory than all else, and fresh
//! memory takes longer to get than to fill.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use parquet::basic::{
    Compression, Encoding, LogicalType, Repetition, TimeUnit, Type as PhysicalType, ZstdLevel,
};
use parquet::column::page::{CompressedPage, PageWriteSpec, PageWriter};
use parquet::column::writer::{ColumnWriter, get_column_writer, get_typed_column_writer_mut};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr, WriterVersion};
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::types::{ColumnPath, SchemaDescriptor, Type, TypePtr};
use watchbell_model::{EventFlags, EventId};

use crate::collector::{Columns, Names, Texts};
use crate::partition::Partition;
use crate::{ArchiveError, FORMAT};

/// Most rows in a row group: what a reader takes up at once. A multiple of [`Writer::ROWS`].
const GROUP_ROWS_MAX: usize = 32 * Writer::ROWS;

/// An object to be put into a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Path below the archive's root; the same rows give the same one.
    pub path: String,
    /// Events in it, at least one.
    pub events: u64,
    /// The Parquet file.
    pub bytes: Bytes,
}

/// What a column is compressed and read by.
pub(crate) enum Kind {
    /// A time in milliseconds.
    Time,
    /// A text that is often the same from row to row.
    Name,
    /// A text that is nearly always another.
    Text,
    /// Texts that begin alike.
    Id,
}

/// The columns of format 1, in order: name, kind, and whether every row has a value.
pub(crate) const COLUMNS: [(&str, Kind, Repetition); 10] = [
    ("event_id", Kind::Id, Repetition::REQUIRED),
    ("timestamp", Kind::Time, Repetition::REQUIRED),
    ("ingestion_time", Kind::Time, Repetition::REQUIRED),
    ("log_group", Kind::Name, Repetition::REQUIRED),
    ("log_stream", Kind::Name, Repetition::REQUIRED),
    ("app", Kind::Name, Repetition::REQUIRED),
    ("severity", Kind::Name, Repetition::REQUIRED),
    ("message", Kind::Text, Repetition::REQUIRED),
    ("fields", Kind::Text, Repetition::OPTIONAL),
    ("flags", Kind::Name, Repetition::OPTIONAL),
];

static SCHEMA: LazyLock<TypePtr> = LazyLock::new(|| {
    let fields = COLUMNS.iter().map(|(name, kind, repetition)| {
        let (physical, logical) = match kind {
            Kind::Time => (PhysicalType::INT64, LogicalType::timestamp(true, TimeUnit::MILLIS)),
            Kind::Name | Kind::Text | Kind::Id => (PhysicalType::BYTE_ARRAY, LogicalType::String),
        };
        let field = Type::primitive_type_builder(name, physical)
            .with_repetition(*repetition)
            .with_logical_type(Some(logical));
        Arc::new(field.build().expect("the type fits its logical type"))
    });
    let schema = Type::group_type_builder("event").with_fields(fields.collect());
    Arc::new(schema.build().expect("a group of fields is a schema"))
});

static DESCRIPTOR: LazyLock<SchemaDescriptor> = LazyLock::new(|| SchemaDescriptor::new(SCHEMA.clone()));

/// zstd level 1: level 3 costs half as much again and saves nothing on logs.
static PROPERTIES: LazyLock<WriterPropertiesPtr> = LazyLock::new(|| {
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).expect("level 1 exists")))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true);
    for (name, kind, _) in &COLUMNS {
        let column = ColumnPath::from(*name);
        let (encoding, statistics) = match kind {
            Kind::Name => continue,
            Kind::Time => (Encoding::DELTA_BINARY_PACKED, EnabledStatistics::Chunk),
            Kind::Text => (Encoding::PLAIN, EnabledStatistics::None),
            Kind::Id => (Encoding::DELTA_BYTE_ARRAY, EnabledStatistics::None),
        };
        properties = properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column.clone(), encoding)
            .set_column_statistics_enabled(column, statistics);
    }
    Arc::new(properties.build())
});

/// An object in the making.
pub(crate) struct Writer {
    partition: Partition,
    app: ByteArray,
    severity: ByteArray,
    file: SerializedFileWriter<Vec<u8>>,
    group: Vec<Column>,
    group_rows: usize,
    first: EventId,
    last: EventId,
    events: u64,
}

impl Writer {
    /// Rows to be handed over at once; all but the last time exactly so many, or row groups would end elsewhere.
    pub(crate) const ROWS: usize = 8192;

    /// An object without rows; `first` is the first that will come.
    pub(crate) fn new(partition: Partition, first: EventId) -> Result<Writer, ArchiveError> {
        let file = SerializedFileWriter::new(Vec::new(), SCHEMA.clone(), PROPERTIES.clone());
        Ok(Writer {
            app: ByteArray::from(partition.app.as_str()),
            severity: ByteArray::from(partition.severity.as_str()),
            file: file.map_err(|error| ArchiveError::malformed(&partition.path(), error.to_string()))?,
            partition,
            group: Vec::new(),
            group_rows: 0,
            first,
            last: first,
            events: 0,
        })
    }

    /// Adds rows, at least one.
    pub(crate) fn add(&mut self, columns: Columns) -> Result<(), ArchiveError> {
        self.write(columns).map_err(|error| ArchiveError::malformed(&self.path(), error.to_string()))
    }

    /// The object.
    pub(crate) fn finish(mut self) -> Result<Object, ArchiveError> {
        let (path, events) = (self.path(), self.events);
        let metadata = [
            ("watchbell.format", FORMAT.to_owned()),
            ("watchbell.installation", self.first.installation.to_string()),
            ("watchbell.first_event", self.first.to_string()),
            ("watchbell.last_event", self.last.to_string()),
            ("watchbell.app", self.partition.app.clone()),
        ];
        for (key, value) in metadata {
            self.file.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        let bytes = self.close_group().and_then(|()| self.file.into_inner());
        let bytes = bytes.map_err(|error| ArchiveError::malformed(&path, error.to_string()))?;
        Ok(Object { path, events, bytes: bytes.into() })
    }

    fn path(&self) -> String {
        let (folder, first, last) = (self.partition.path(), self.first, self.last);
        format!("{folder}/{first}_{:012}-{:06}.parquet", last.offset.0, last.line)
    }

    fn write(&mut self, columns: Columns) -> ParquetResult<()> {
        let rows = columns.event_ids.len();
        self.last = *columns.event_ids.last().expect("there is a row");
        self.events += rows as u64;
        if self.group_rows == GROUP_ROWS_MAX {
            self.close_group()?;
        }
        if self.group.is_empty() {
            self.group = (0..COLUMNS.len()).map(Column::new).collect();
        }
        self.group_rows += rows;
        let [event_id, timestamp, ingestion_time, log_group, log_stream, app, severity, message, field, flag] =
            self.group.as_mut_slice()
        else {
            unreachable!("a column for each of COLUMNS")
        };
        let (event_ids, messages) =
            (Slices::new(event_ids(&columns.event_ids)), Slices::new(columns.messages));
        let fields = Slices::new(columns.fields);
        event_id.texts(None, (0..rows).map(|row| event_ids.get(row)))?;
        timestamp.times(&columns.timestamps)?;
        ingestion_time.times(&columns.ingestion_times)?;
        log_group.names(&columns.log_groups)?;
        log_stream.names(&columns.log_streams)?;
        app.texts(None, (0..rows).map(|_| self.app.clone()))?;
        severity.texts(None, (0..rows).map(|_| self.severity.clone()))?;
        message.texts(None, (0..rows).map(|row| messages.get(row)))?;
        field.texts(Some(&columns.has_fields), (0..fields.ends.len()).map(|place| fields.get(place)))?;
        let is_flagged = |flags: &EventFlags| *flags != EventFlags::default() && !flags.names().is_empty();
        let flagged: Vec<bool> = columns.flags.iter().map(is_flagged).collect();
        let names =
            columns.flags.iter().filter(|flags| is_flagged(flags)).map(|flags| flags.names().join(","));
        flag.texts(Some(&flagged), names.map(|names| names.into_bytes().into()))
    }

    fn close_group(&mut self) -> ParquetResult<()> {
        let mut group = self.file.next_row_group()?;
        for column in self.group.drain(..) {
            let closed = column.writer.close()?;
            group.append_column(&column.pages.into_bytes()?, closed)?;
        }
        self.group_rows = 0;
        group.close().map(drop)
    }
}

/// A column of a row group in the making.
struct Column {
    writer: ColumnWriter<'static>,
    pages: Pages,
}

impl Column {
    /// The column at this place of [`COLUMNS`].
    fn new(place: usize) -> Column {
        let pages = Pages(Arc::new(Mutex::new(TrackedWrite::new(Vec::new()))));
        let writer = get_column_writer(DESCRIPTOR.column(place), PROPERTIES.clone(), Box::new(pages.clone()));
        Column { writer, pages }
    }

    fn times(&mut self, times: &[i64]) -> ParquetResult<()> {
        get_typed_column_writer_mut::<Int64Type>(&mut self.writer).write_batch(times, None, None).map(drop)
    }

    fn names(&mut self, names: &Names) -> ParquetResult<()> {
        let values: Vec<ByteArray> =
            names.distinct.names.iter().map(|name| ByteArray::from(&**name)).collect();
        self.texts(None, names.rows.iter().map(|place| values[*place as usize].clone()))
    }

    /// One text for each row, or one for each `true` of `present`.
    fn texts(
        &mut self,
        present: Option<&[bool]>,
        texts: impl Iterator<Item = ByteArray>,
    ) -> ParquetResult<()> {
        let texts: Vec<ByteArray> = texts.collect();
        let levels: Option<Vec<i16>> = present.map(|rows| rows.iter().map(|has| i16::from(*has)).collect());
        let writer = get_typed_column_writer_mut::<ByteArrayType>(&mut self.writer);
        writer.write_batch(&texts, levels.as_deref(), None).map(drop)
    }
}

/// The finished pages of a column; a column's writer and its row group both hold them.
#[derive(Clone)]
struct Pages(Arc<Mutex<TrackedWrite<Vec<u8>>>>);

impl Pages {
    fn lock(&self) -> MutexGuard<'_, TrackedWrite<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn into_bytes(self) -> ParquetResult<Bytes> {
        let pages = std::mem::replace(&mut *self.lock(), TrackedWrite::new(Vec::new()));
        Ok(pages.into_inner()?.into())
    }
}

impl PageWriter for Pages {
    fn write_page(&mut self, page: CompressedPage) -> ParquetResult<PageWriteSpec> {
        SerializedPageWriter::new(&mut *self.lock()).write_page(page)
    }

    fn close(&mut self) -> ParquetResult<()> {
        Ok(())
    }
}

/// The ids as texts. Formatting each was about a tenth of the whole cost: within an entry only the line is new.
fn event_ids(ids: &[EventId]) -> Texts {
    let mut texts = Texts::default();
    let mut head = (None, String::new());
    for id in ids {
        if head.0 != Some(id.offset) {
            let first = EventId { line: 0, ..*id }.to_string();
            head = (Some(id.offset), first.trim_end_matches('0').to_owned());
        }
        texts.bytes.extend(head.1.as_bytes());
        texts.bytes.extend(line_digits(id.line).iter().skip_while(|digit| **digit == 0));
        texts.ends.push(texts.bytes.len());
    }
    texts
}

/// The line as [`EventId`] prints it, at least six digits; bytes before them are 0.
fn line_digits(line: u32) -> [u8; 10] {
    let mut digits = [0; 10];
    let mut rest = line;
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        if place < 6 || rest > 0 {
            *digit = b'0' + (rest % 10) as u8;
        }
        rest /= 10;
    }
    digits
}

/// Texts in one shared buffer, taken out without a copy.
struct Slices {
    bytes: Bytes,
    ends: Vec<usize>,
}

impl Slices {
    fn new(texts: Texts) -> Slices {
        Slices { bytes: texts.bytes.into(), ends: texts.ends }
    }

    fn get(&self, place: usize) -> ByteArray {
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        self.bytes.slice(start..self.ends[place]).into()
    }
}

#[cfg(test)]
mod tests {
    use watchbell_model::{InstallationId, Offset};

    use super::*;

    #[test]
    fn event_ids_are_written_as_they_print() {
        let id =
            |offset, line| EventId { installation: InstallationId([0; 8]), offset: Offset(offset), line };
        let lines = [0, 1, 10, 999_999, 1_000_000, u32::MAX];
        let ids: Vec<_> =
            [0, 10, u64::MAX].into_iter().flat_map(|offset| lines.map(|line| id(offset, line))).collect();
        let texts = Slices::new(event_ids(&ids));
        for (place, id) in ids.iter().enumerate() {
            assert_eq!(texts.get(place).as_utf8().unwrap(), id.to_string());
        }
    }
}
