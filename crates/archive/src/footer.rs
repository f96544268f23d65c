//! A footer: what an object says about itself at its end.

use std::panic;

use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::{ArchiveError, FORMAT};

/// How much of an object's end is read first: nearly every footer is shorter.
const TAIL_BYTES: u64 = 16 * 1024;

/// The end of every Parquet file: the length of the footer (u32, little-endian) and `PAR1`.
const END_BYTES: usize = 8;

/// What is taken from a footer.
pub(crate) struct Footer {
    /// Rows.
    pub(crate) events: u64,
    /// The app, as it is.
    pub(crate) app: String,
}

impl Footer {
    /// Reads the footer only, in one or two requests.
    pub(crate) async fn read(store: &dyn ObjectStore, object: &ObjectMeta) -> Result<Footer, ArchiveError> {
        let path = object.location.as_ref();
        let damaged = || ArchiveError::malformed(path, "is cut off, or is no Parquet file");
        let refused = |error| ArchiveError::store(path, error);
        if object.size < END_BYTES as u64 {
            return Err(damaged());
        }
        let tail_start = object.size.saturating_sub(TAIL_BYTES);
        let mut tail = store.get_range(&object.location, tail_start..object.size).await.map_err(refused)?;
        let (rest, end) = tail.split_last_chunk::<END_BYTES>().ok_or_else(damaged)?;
        let [a, b, c, d, magic @ ..] = *end;
        if magic != *b"PAR1" {
            return Err(damaged());
        }
        let footer_bytes = u32::from_le_bytes([a, b, c, d]) as usize;
        if footer_bytes > rest.len() {
            let whole = (footer_bytes + END_BYTES) as u64;
            let start = object.size.checked_sub(whole).ok_or_else(damaged)?;
            tail = store.get_range(&object.location, start..object.size).await.map_err(refused)?;
        }
        let footer_end = tail.len().checked_sub(END_BYTES).ok_or_else(damaged)?;
        let footer_start = footer_end.checked_sub(footer_bytes).ok_or_else(damaged)?;
        let footer = &tail[footer_start..footer_end];
        // As in `read`: the parquet crate asserts on some kinds of damage.
        let metadata = panic::catch_unwind(|| ParquetMetaDataReader::decode_metadata(footer))
            .map_err(|_| damaged())?
            .map_err(|error| ArchiveError::malformed(path, error.to_string()))?;
        Footer::check(path, &metadata)
    }

    /// Takes what is needed; refuses an object of another format.
    pub(crate) fn check(path: &str, metadata: &ParquetMetaData) -> Result<Footer, ArchiveError> {
        let file = metadata.file_metadata();
        let value = |key: &str| {
            let pairs = file.key_value_metadata().into_iter().flatten();
            pairs.filter(|pair| pair.key == key).find_map(|pair| pair.value.clone())
        };
        match value("watchbell.format") {
            Some(format) if format == FORMAT => {}
            Some(format) => {
                let what = format!("is of format {format}; this version reads format {FORMAT}");
                return Err(ArchiveError::malformed(path, what));
            }
            None => return Err(ArchiveError::malformed(path, "was not written by Watchbell")),
        }
        let events = u64::try_from(file.num_rows());
        let (Ok(events), Some(app)) = (events, value("watchbell.app")) else {
            return Err(ArchiveError::malformed(path, "does not say what it holds"));
        };
        Ok(Footer { events, app })
    }
}
