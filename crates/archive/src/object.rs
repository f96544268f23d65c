//! One object: the rows of one partition as a Parquet file in memory.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use parquet::basic::{
    Compression, Encoding, LogicalType, Repetition, TimeUnit, Type as PhysicalType, ZstdLevel,
};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr, WriterVersion};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type, TypePtr};
use watchbell_model::{EventFlags, EventId};

use crate::collector::{Columns, Names, Texts};
use crate::partition::Partition;
use crate::{ArchiveError, FORMAT};

/// Most rows in a row group: what a reader takes up at once.
const GROUP_ROWS_MAX: usize = 262_144;

/// Rows handed to a column at once: as many as Parquet's own writer takes up at once, so that pages end at the same rows.
const WRITE_ROWS: usize = 1024;

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

/// Makes the object of one partition; `columns` holds at least one row.
pub(crate) fn build(partition: &Partition, columns: Columns) -> Result<Object, ArchiveError> {
    let (first, last) = columns.event_ids.first().zip(columns.event_ids.last()).expect("there is a row");
    let name = format!("{first}_{:012}-{:06}.parquet", last.offset.0, last.line);
    let path = format!("{}/{name}", partition.path());
    let metadata = [
        ("watchbell.format", FORMAT.to_owned()),
        ("watchbell.installation", first.installation.to_string()),
        ("watchbell.first_event", first.to_string()),
        ("watchbell.last_event", last.to_string()),
        ("watchbell.app", partition.app.clone()),
    ];
    let events = columns.event_ids.len() as u64;
    let bytes = write(partition, columns, properties(&metadata))
        .map_err(|error| ArchiveError::malformed(&path, error.to_string()))?;
    Ok(Object { path, events, bytes: bytes.into() })
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

/// zstd level 1: level 3 costs half as much again and saves nothing on logs.
fn properties(metadata: &[(&str, String)]) -> WriterPropertiesPtr {
    let metadata = metadata.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone()));
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).expect("level 1 exists")))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_key_value_metadata(Some(metadata.collect()));
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
}

fn write(partition: &Partition, columns: Columns, properties: WriterPropertiesPtr) -> ParquetResult<Vec<u8>> {
    let mut writer = SerializedFileWriter::new(Vec::new(), SCHEMA.clone(), properties)?;
    let rows = columns.event_ids.len();
    let app = ByteArray::from(partition.app.as_str());
    let severity = ByteArray::from(partition.severity.as_str());
    let (log_groups, log_streams) = (values_of(&columns.log_groups), values_of(&columns.log_streams));
    let (messages, fields) = (Slices::new(columns.messages), Slices::new(columns.fields));
    let mut fields_written = 0;
    for start in (0..rows).step_by(GROUP_ROWS_MAX) {
        let range = start..rows.min(start + GROUP_ROWS_MAX);
        let name = |names: &Names, values: &[ByteArray], row: usize| values[names.rows[row] as usize].clone();
        let has_fields = &columns.has_fields[range.clone()];
        let fields_end = fields_written + has_fields.iter().filter(|has| **has).count();
        let flags = &columns.flags[range.clone()];

        let mut group = writer.next_row_group()?;
        let event_ids = Slices::new(event_ids(&columns.event_ids[range.clone()]));
        write_texts(&mut group, None, (0..range.len()).map(|place| event_ids.get(place)))?;
        write_times(&mut group, &columns.timestamps[range.clone()])?;
        write_times(&mut group, &columns.ingestion_times[range.clone()])?;
        write_texts(&mut group, None, range.clone().map(|row| name(&columns.log_groups, &log_groups, row)))?;
        write_texts(
            &mut group,
            None,
            range.clone().map(|row| name(&columns.log_streams, &log_streams, row)),
        )?;
        write_texts(&mut group, None, range.clone().map(|_| app.clone()))?;
        write_texts(&mut group, None, range.clone().map(|_| severity.clone()))?;
        write_texts(&mut group, None, range.map(|row| messages.get(row)))?;
        write_texts(
            &mut group,
            Some(has_fields),
            (fields_written..fields_end).map(|place| fields.get(place)),
        )?;
        let is_flagged = |flags: &EventFlags| *flags != EventFlags::default() && !flags.names().is_empty();
        let flagged: Vec<bool> = flags.iter().map(is_flagged).collect();
        let names = flags.iter().filter(|flags| is_flagged(flags)).map(|flags| flags.names().join(","));
        write_texts(&mut group, Some(&flagged), names.map(|names| names.into_bytes().into()))?;
        group.close()?;
        fields_written = fields_end;
    }
    writer.into_inner()
}

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

fn write_times(group: &mut Group<'_>, times: &[i64]) -> ParquetResult<()> {
    let mut column = group.next_column()?.expect("the schema has this column");
    column.typed::<Int64Type>().write_batch(times, None, None)?;
    column.close()
}

/// One text for each row, or one for each `true` of `present`.
///
/// All texts of a row group at once would be 10 MB of fresh memory for each column.
fn write_texts(
    group: &mut Group<'_>,
    present: Option<&[bool]>,
    mut texts: impl Iterator<Item = ByteArray>,
) -> ParquetResult<()> {
    let mut column = group.next_column()?.expect("the schema has this column");
    let writer = column.typed::<ByteArrayType>();
    let mut some = Vec::with_capacity(WRITE_ROWS);
    match present {
        None => loop {
            some.clear();
            some.extend(texts.by_ref().take(WRITE_ROWS));
            if some.is_empty() {
                break;
            }
            writer.write_batch(&some, None, None)?;
        },
        Some(rows) => {
            let mut levels = Vec::with_capacity(WRITE_ROWS);
            for rows in rows.chunks(WRITE_ROWS) {
                levels.clear();
                levels.extend(rows.iter().map(|has| i16::from(*has)));
                some.clear();
                some.extend(texts.by_ref().take(rows.iter().filter(|has| **has).count()));
                writer.write_batch(&some, Some(&levels), None)?;
            }
        }
    }
    column.close()
}

fn values_of(names: &Names) -> Vec<ByteArray> {
    names.distinct.names.iter().map(|name| ByteArray::from(&**name)).collect()
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
