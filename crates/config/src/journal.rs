//! `[journal]`

use watchbell_model::JournalBound;

use crate::reader::Table;

/// Least and most of `max_size`, in bytes: a few segments, so that the oldest can go while the newest is written.
const MAX_SIZE: [u64; 2] = [256 << 20, 16 << 40];
/// Least and most of `max_age`, in milliseconds.
const MAX_AGE_MS: [i64; 2] = [3_600_000, 3650 * 86_400_000];

/// The bound of the journal. `None` if it is wrong, which is noted.
pub(crate) fn read(root: &mut Table<'_>) -> Option<JournalBound> {
    let Some(field) = root.field("journal") else { return Some(JournalBound::DEFAULT) };
    let mut table = field.table("[journal]".into())?;
    let max_size_bytes = match table.field("max_size") {
        None => Some(JournalBound::DEFAULT.max_size_bytes),
        Some(field) => field.size_bytes().filter(|bytes| {
            let fits = (MAX_SIZE[0]..=MAX_SIZE[1]).contains(bytes);
            if !fits {
                field.refuse(format!("{} is out of range", field.title()), "write \"256MiB\" to \"16TiB\"");
            }
            fits
        }),
    };
    let max_age_ms = match table.field("max_age") {
        None => Some(JournalBound::DEFAULT.max_age_ms),
        Some(field) => field.duration_ms().filter(|ms| {
            let fits = (MAX_AGE_MS[0]..=MAX_AGE_MS[1]).contains(ms);
            if !fits {
                field.refuse(format!("{} is out of range", field.title()), "write \"1h\" to \"3650d\"");
            }
            fits
        }),
    };
    table.finish();
    Some(JournalBound { max_size_bytes: max_size_bytes?, max_age_ms: max_age_ms? })
}
