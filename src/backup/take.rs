//! Makes a copy. The order matters: objects that are named in the journal's copy must be in it, and no others that a
//! restored Watchbell would write again under another name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use watchbell_journal::{Copied, Disk, JournalError, Reader, RealDisk, copy};
use watchbell_model::{Entry, Offset, Timestamp};

use super::{
    CopiedFile, FORMAT, MANIFEST, Manifest, VERSION, copy_file, make_empty_folder, read_again, sync_folders,
    write_file,
};
use crate::run::data_folder::{self, decode, journal_failure, journal_folder};
use crate::run::snapshot;
use crate::{ExitStatus, Failure};

/// How often the journal is copied again, because what recovery needs went meanwhile.
const TRIES_MAX: usize = 5;

/// Copies a data folder into `to`, which is empty or not there. `watchbell up` may be running.
///
/// # Errors
/// [`Failure`]; then `to` has no manifest, and is no copy.
pub fn take(data_dir: &Path, to: &Path, now: Timestamp) -> Result<Manifest, Failure> {
    let installation = data_folder::installation(data_dir)?;
    make_empty_folder(to)?;
    let failed = |error: io::Error| Failure::io(to.display(), &error);
    let identity = copy_file(&data_dir.join("installation.json"), to, Path::new("installation.json"));
    let mut files = vec![identity.map_err(failed)?];
    // Before the journal: whatever is there now, the journal's copy says so.
    let mut objects = copy_objects(data_dir, to, all_objects(data_dir).map_err(failed)?)?;
    let (copied, snapshots) = copy_journal(data_dir, to, installation)?;
    files.extend(snapshots);
    // And what it says was written meanwhile.
    let said = objects_said(to)?;
    let missing = said.into_iter().filter(|path| !objects.contains_key(path)).collect();
    objects.extend(copy_objects(data_dir, to, missing)?);
    files.extend(objects.into_values());
    verify(to, &files)?;
    // Every entry of the journal's copy has just been read and checked.
    for base in fs::read_dir(journal_folder(to)).map_err(failed)? {
        let name = base.map_err(failed)?.file_name();
        files.push(read_again(to, &Path::new("journal").join(name)).map_err(failed)?);
    }
    let (first, next) = (Offset(copied.first), Offset(copied.next));
    let (format, version) = (FORMAT.to_owned(), VERSION);
    let manifest = Manifest { format, version, installation, made: now, first, next, files };
    sync_folders(to).map_err(failed)?;
    let bytes = serde_json::to_vec_pretty(&manifest).expect("texts and numbers, and paths that were texts");
    write_file(&bytes[..], to, Path::new("backup.unfinished")).map_err(failed)?;
    fs::rename(to.join("backup.unfinished"), to.join(MANIFEST)).map_err(failed)?;
    sync_folders(to).map_err(failed)?;
    Ok(manifest)
}

/// The journal, and snapshots that it goes on from.
fn copy_journal(
    data_dir: &Path,
    to: &Path,
    installation: watchbell_model::InstallationId,
) -> Result<(Copied, Vec<CopiedFile>), Failure> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let (from, target) = (journal_folder(data_dir), journal_folder(to));
    for _ in 0..TRIES_MAX {
        // First: then the newest of them is older than the end of the journal's copy.
        let snapshots = snapshot::good_files(&RealDisk, &data_dir.join("snapshots"), installation);
        let snapshots = snapshots.map_err(|error| Failure::new(ExitStatus::InputOutput, error))?;
        let copied = copy(&disk, &from, &target).map_err(|error| match error {
            JournalError::BeforeFirst { .. } => too_fast(),
            error => journal_failure(error),
        })?;
        let fits = |offset: &Offset| (copied.first..=copied.next).contains(&offset.0);
        let usable: BTreeMap<Offset, Vec<u8>> =
            snapshots.into_iter().filter(|(offset, _)| fits(offset)).collect();
        if copied.first == 0 || !usable.is_empty() {
            let write = |(offset, bytes): (Offset, Vec<u8>)| {
                let path = PathBuf::from(format!("snapshots/{:020}.snapshot", offset.0));
                write_file(&bytes[..], to, &path).map_err(|error| Failure::io(to.display(), &error))
            };
            return Ok((copied, usable.into_iter().map(write).collect::<Result<_, _>>()?));
        }
        fs::remove_dir_all(&target).map_err(|error| Failure::io(target.display(), &error))?;
    }
    Err(too_fast())
}

fn too_fast() -> Failure {
    let message = "the oldest part of the journal goes faster than it can be copied";
    Failure::new(ExitStatus::Unavailable, message)
        .help("raise journal.max_size, make the backup when less comes in, or write it to a faster disk")
}

/// Paths of all objects in the data folder's own archive, below it.
fn all_objects(data_dir: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let (mut found, mut folders) = (BTreeSet::new(), vec![PathBuf::from("archive")]);
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(data_dir.join(&folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                // What is being written has another ending.
                found.insert(path);
            }
        }
    }
    Ok(found)
}

fn copy_objects(
    data_dir: &Path,
    to: &Path,
    paths: BTreeSet<PathBuf>,
) -> Result<BTreeMap<PathBuf, CopiedFile>, Failure> {
    let mut copied = BTreeMap::new();
    for path in paths {
        match copy_file(&data_dir.join(&path), to, &path) {
            // Archived elsewhere.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::io(to.join(path).display(), &error)),
            Ok(file) => {
                copied.insert(path, file);
            }
        }
    }
    Ok(copied)
}

/// The objects that the journal's copy says were written.
fn objects_said(to: &Path) -> Result<BTreeSet<PathBuf>, Failure> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut reader = Reader::open_oldest(&disk, &journal_folder(to)).map_err(journal_failure)?;
    let mut said = BTreeSet::new();
    while let Some(entry) = reader.next().map_err(journal_failure)? {
        if let Entry::ArchiveDone(done) | Entry::RecordsDone(done) = decode(&entry)?.entry {
            said.extend(done.objects.iter().map(|object| Path::new("archive").join(&object.path)));
        }
    }
    Ok(said)
}

/// Reads everything again.
fn verify(to: &Path, files: &[CopiedFile]) -> Result<(), Failure> {
    for file in files {
        let found =
            read_again(to, &file.path).map_err(|error| Failure::io(to.join(&file.path).display(), &error))?;
        if found != *file {
            let message = format!("{} is not as it was written", to.join(&file.path).display());
            return Err(Failure::new(ExitStatus::Finding, message).help("check the disk of the backup"));
        }
    }
    Ok(())
}
