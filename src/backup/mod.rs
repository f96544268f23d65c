//! Copies of a data folder: made while `watchbell up` runs, checked, and brought back.
//!
//! Promise: a copy that has its [`MANIFEST`] is whole: everything that was acknowledged when it was begun is in it, and
//! every file of it was read again after it was written. One that has none is never restored.
//! Not here: an archive outside of the data folder; it is an object store of its own.

mod restore;
mod take;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use watchbell_model::{InstallationId, Offset, Timestamp};

pub use self::restore::restore;
pub use self::take::take;
use crate::{ExitStatus, Failure};

/// The file that is written last: what a copy holds.
pub const MANIFEST: &str = "backup.json";

/// The version of the manifest that is written and read.
const VERSION: u32 = 1;

const FORMAT: &str = "watchbell-backup";

/// How much is read at a time.
const PIECE_BYTES: usize = 1 << 20;

/// What a copy holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: String,
    version: u32,
    /// Whose copy it is.
    pub installation: InstallationId,
    /// When it was begun.
    pub made: Timestamp,
    /// The oldest entry of the journal.
    pub first: Offset,
    /// The entry after the newest one.
    pub next: Offset,
    /// Every file, by its path in the data folder.
    pub files: Vec<CopiedFile>,
}

/// One file of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedFile {
    /// Its path below the data folder.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// CRC32C of what is in it.
    pub crc32c: u32,
}

impl Manifest {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Objects of the archive among them.
    pub fn objects(&self) -> usize {
        self.files.iter().filter(|file| file.path.starts_with("archive")).count()
    }

    /// The manifest of a copy.
    ///
    /// # Errors
    /// [`Failure`] if there is none, so the copy was never finished, or it is of another version.
    pub fn read(copy: &Path) -> Result<Manifest, Failure> {
        let path = copy.join(MANIFEST);
        let bytes = fs::read(&path).map_err(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return Failure::io(path.display(), &error);
            }
            let message = format!("{} is no finished backup: it has no {MANIFEST}", copy.display());
            Failure::new(ExitStatus::Configuration, message)
                .help("what was interrupted cannot be restored; use another backup, or make one again")
        })?;
        let bad = |reason: String| {
            Failure::new(ExitStatus::Configuration, format!("{}: {reason}", path.display()))
                .help("use the watchbell that made it, or another backup")
        };
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        if manifest.format != FORMAT || manifest.version != VERSION {
            let Manifest { format, version, .. } = manifest;
            return Err(bad(format!("is {format} {version}, not {FORMAT} {VERSION}")));
        }
        Ok(manifest)
    }
}

/// Makes a folder for its owner only; it may be there if nothing is in it.
fn make_empty_folder(folder: &Path) -> Result<(), Failure> {
    let failure = |error: &io::Error| Failure::io(folder.display(), error);
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let failure = Failure::new(ExitStatus::InputOutput, format!("{} is not empty", folder.display()));
            Err(failure.help("name a folder that is empty or not there; nothing was changed"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_folder(folder).map_err(|error| failure(&error))
        }
        Err(error) => Err(failure(&error)),
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Copies a file and makes it durable; its name is, after [`sync_folders`].
fn copy_file(from: &Path, root: &Path, path: &Path) -> io::Result<CopiedFile> {
    let source = File::open(from)?;
    write_file(source, root, path)
}

fn write_file(mut source: impl Read, root: &Path, path: &Path) -> io::Result<CopiedFile> {
    let target = root.join(path);
    make_folder(target.parent().unwrap_or(root))?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(target)?;
    let (mut bytes, mut crc32c, mut piece) = (0, 0, vec![0; PIECE_BYTES]);
    loop {
        let read = source.read(&mut piece)?;
        if read == 0 {
            break;
        }
        file.write_all(&piece[..read])?;
        crc32c = crc32c::crc32c_append(crc32c, &piece[..read]);
        bytes += read as u64;
    }
    file.sync_all()?;
    Ok(CopiedFile { path: path.to_owned(), bytes, crc32c })
}

/// What is in a file that is there.
fn read_again(root: &Path, path: &Path) -> io::Result<CopiedFile> {
    let mut file = File::open(root.join(path))?;
    let (mut bytes, mut crc32c, mut piece) = (0, 0, vec![0; PIECE_BYTES]);
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(CopiedFile { path: path.to_owned(), bytes, crc32c });
        }
        crc32c = crc32c::crc32c_append(crc32c, &piece[..read]);
        bytes += read as u64;
    }
}

/// Makes the names of everything below a folder durable, and its own.
fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    File::open(folder)?.sync_all()?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
