//! What can go wrong with a journal, told with the place, the reason and the way out.

use std::io;
use std::path::{Path, PathBuf};

use crate::format::{Installation, PAYLOAD_BYTES_MAX, VERSION};

/// Why a journal could not be opened, appended to or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Entries that were durable can no longer be read. Nothing was changed on disk.
    #[error(
        "journal segment \"{}\" is damaged at byte {position}: {reason}; nothing was changed: \
         restore this file from a backup, and check the disk",
        file.display()
    )]
    Damaged {
        /// The segment file.
        file: PathBuf,
        /// Where the first unreadable frame begins, in bytes from the start of the file.
        position: u64,
        /// What is wrong there.
        reason: String,
    },
    /// A newer release wrote this segment.
    #[error(
        "journal segment \"{}\" has format version {version}, this release reads up to version {VERSION}; \
         use a release that reads version {version}",
        file.display()
    )]
    Newer {
        /// The segment file.
        file: PathBuf,
        /// The version needed to read it.
        version: u32,
    },
    /// The segment belongs to another data folder.
    #[error(
        "journal segment \"{}\" belongs to installation {}, this data folder is installation {}; \
         put the file back where it came from",
        file.display(), hex(*found), hex(*expected)
    )]
    OtherInstallation {
        /// The segment file.
        file: PathBuf,
        /// The installation the file names.
        found: Installation,
        /// The installation that was asked for.
        expected: Installation,
    },
    /// Another process has the journal open for writing.
    #[error("journal is in use by another process (lock file \"{}\"); stop that process first", lock.display())]
    InUse {
        /// The lock file the other process holds.
        lock: PathBuf,
    },
    /// An entry of the batch is over the limit; nothing of the batch was written, and the journal goes on.
    #[error(
        "entry {index} of the batch has {bytes} bytes, the limit is {PAYLOAD_BYTES_MAX}; \
         split it into smaller entries"
    )]
    TooLarge {
        /// Which entry of the batch, counted from 0.
        index: usize,
        /// The length of its payload.
        bytes: usize,
    },
    /// A reader was asked to start before the oldest entry.
    #[error("journal no longer holds entry {wanted}; read from {first}, the oldest one")]
    BeforeFirst {
        /// The offset asked for.
        wanted: u64,
        /// The oldest offset in the journal.
        first: u64,
    },
    /// A reader was asked to start after the end: its cursor is not from this journal, or the journal was
    /// replaced by an older copy.
    #[error(
        "journal has no entry {wanted} yet, the next one will be {next}; \
         if the journal was restored from a backup, restore what was derived from it too"
    )]
    AfterEnd {
        /// The offset asked for.
        wanted: u64,
        /// The offset the next entry will have.
        next: u64,
    },
    /// An earlier write or sync failed, so this writer accepts nothing more.
    #[error(
        "journal stopped after an earlier failure: {cause}; \
         put that right and open the journal again (restart the process)"
    )]
    Stopped {
        /// The first failure, in words.
        cause: String,
    },
    /// The disk refused.
    #[error("cannot {operation} \"{}\": {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The disk's answer.
        source: io::Error,
    },
}

impl JournalError {
    /// For `map_err`: an I/O error with what was tried, and where.
    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, path: path.to_owned(), source }
    }

    /// Whether the disk, or what its owner may use of it, is full.
    pub(crate) fn is_out_of_space(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        matches!(self, Self::Io { source, .. } if full.contains(&source.kind()))
    }
}

fn hex(installation: Installation) -> String {
    format!("{:016x}", u64::from_be_bytes(installation))
}
