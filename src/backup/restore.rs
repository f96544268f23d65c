//! Brings a copy back: beside its place first, so that it is there whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use watchbell_journal::{Disk, Reader, RealDisk};

use super::{Manifest, copy_file, make_empty_folder, sync_folders};
use crate::run::data_folder::{decode, journal_failure, journal_folder};
use crate::{ExitStatus, Failure};

/// Restores the copy `from` to `data_dir`, which is empty or not there.
///
/// # Errors
/// [`Failure`]; then nothing is in `data_dir`.
pub fn restore(from: &Path, data_dir: &Path) -> Result<Manifest, Failure> {
    let manifest = Manifest::read(from)?;
    make_empty_folder(data_dir)?;
    let beside = beside(data_dir);
    if beside.exists() {
        let message = format!("{} is left of a restore that was interrupted", beside.display());
        return Err(Failure::new(ExitStatus::InputOutput, message).help("remove it; nothing needs it"));
    }
    let restored = write(from, &beside, &manifest).and_then(|()| {
        fs::rename(&beside, data_dir).map_err(|error| Failure::io(data_dir.display(), &error))?;
        sync_folders(data_dir).map_err(|error| Failure::io(data_dir.display(), &error))
    });
    if restored.is_err() {
        // The failure says what matters; what is left is named at the next try.
        let _ = fs::remove_dir_all(&beside);
    }
    restored.map(|()| manifest)
}

fn beside(data_dir: &Path) -> PathBuf {
    let name = data_dir.file_name().unwrap_or_default().to_string_lossy();
    data_dir.with_file_name(format!("{name}.unfinished"))
}

fn write(from: &Path, to: &Path, manifest: &Manifest) -> Result<(), Failure> {
    make_empty_folder(to)?;
    for file in &manifest.files {
        let source = from.join(&file.path);
        let copied =
            copy_file(&source, to, &file.path).map_err(|error| Failure::io(source.display(), &error))?;
        if copied != *file {
            return Err(damaged(&source, "it is not as it was when the backup was made"));
        }
    }
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut reader = Reader::open_oldest(&disk, &journal_folder(to)).map_err(journal_failure)?;
    let first = reader.next_offset();
    while let Some(entry) = reader.next().map_err(journal_failure)? {
        decode(&entry)?;
    }
    if (first, reader.next_offset()) != (manifest.first.0, manifest.next.0) {
        let found = format!("entries {first}..{} are there", reader.next_offset());
        let expected = format!("{}..{} belong there", manifest.first, manifest.next);
        return Err(damaged(&journal_folder(from), &format!("{found}, {expected}")));
    }
    Ok(())
}

fn damaged(path: &Path, reason: &str) -> Failure {
    let failure = Failure::new(ExitStatus::Finding, format!("{}: {reason}", path.display()));
    failure.help("use another backup; nothing was restored")
}
