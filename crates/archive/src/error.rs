//! What can go wrong with an archive.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// Why the archive could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The folder cannot be made or opened.
    #[error("archive folder {}: {source} ({})", folder.display(), way_out(source.kind()))]
    Folder {
        /// As given.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The object store refused or could not be reached. Trying again later may help; nothing is lost by it.
    #[error("archive object {path}: {source} ({})", store_way_out(source))]
    Store {
        /// The object, or the whole store's root as an empty path.
        path: String,
        /// What the store said.
        source: object_store::Error,
    },
    /// The object is none of Watchbell's, is damaged, or needs another version. Trying again does not help.
    #[error("archive object {path}: {what}")]
    Malformed {
        /// The object.
        path: String,
        /// What is wrong with it.
        what: String,
    },
}

impl ArchiveError {
    pub(crate) fn malformed(path: &str, what: impl Into<String>) -> ArchiveError {
        ArchiveError::Malformed { path: path.to_owned(), what: what.into() }
    }

    pub(crate) fn store(path: impl Into<String>, source: object_store::Error) -> ArchiveError {
        ArchiveError::Store { path: path.into(), source }
    }
}

/// What a person can do about an error of the system.
fn way_out(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "a part of the path is a file: name another folder, or move the file away"
        }
        ErrorKind::PermissionDenied => "let Watchbell's user write there, or name another folder",
        ErrorKind::ReadOnlyFilesystem => {
            "the file system is read-only: mount it writable, or name another folder"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "make room there; events wait in the journal meanwhile"
        }
        ErrorKind::NotFound => "it is gone: was it moved or unmounted?",
        _ => "see what the system says; events wait in the journal meanwhile",
    }
}

/// As [`way_out`], for the system's error inside a store's error.
fn store_way_out(error: &object_store::Error) -> &'static str {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return way_out(error.kind());
        }
        cause = error.source();
    }
    match error {
        object_store::Error::NotFound { .. } => way_out(ErrorKind::NotFound),
        _ => way_out(ErrorKind::Other),
    }
}
