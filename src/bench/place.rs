//! The folder that a bench works in, gone when the bench is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{ExitStatus, Failure};

/// A folder that is removed with everything in it.
pub(super) struct Place {
    folder: PathBuf,
    parent: PathBuf,
    interrupted: Arc<AtomicBool>,
}

impl Place {
    /// Makes one in `parent`.
    pub(super) fn make(parent: &Path) -> Result<Place, Failure> {
        let failure = |error: std::io::Error| {
            let failure = Failure::io(format!("folder {}", parent.display()), &error);
            failure.help(
                "name a folder on the disk that the data would be on: watchbell bench detect --dir FOLDER",
            )
        };
        let parent_path = parent.canonicalize().map_err(failure)?;
        let folder = parent_path.join(format!("watchbell-bench-{}", std::process::id()));
        fs::create_dir(&folder).map_err(failure)?;
        Ok(Place { folder, parent: parent_path, interrupted: watch_for_interrupt()? })
    }

    /// The folder that it was made in.
    pub(super) fn parent(&self) -> &Path {
        &self.parent
    }

    /// A new, empty folder in it; gone when it is dropped.
    pub(super) fn part(&self, name: &str) -> Result<Place, Failure> {
        let folder = self.folder.join(name);
        fs::create_dir(&folder).map_err(|error| Failure::io(folder.display(), &error))?;
        Ok(Place { folder, parent: self.folder.clone(), interrupted: Arc::clone(&self.interrupted) })
    }

    /// An error once Ctrl-C was pressed: whoever asks ends, so that the folder goes.
    pub(super) fn go_on(&self) -> Result<(), Failure> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Failure::new(ExitStatus::Finding, "interrupted; nothing is left behind"));
        }
        Ok(())
    }

    /// Of something in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file and waits until it is on disk, so that it burdens nobody later.
    pub(super) fn write(
        &self,
        name: &str,
        pieces: impl Iterator<Item = impl AsRef<[u8]>>,
    ) -> Result<PathBuf, Failure> {
        let path = self.path(name);
        let written = fs::File::create(&path).and_then(|mut file| {
            for piece in pieces {
                std::io::Write::write_all(&mut file, piece.as_ref())?;
            }
            file.sync_all()
        });
        written.map_err(|error| Failure::io(path.display(), &error))?;
        Ok(path)
    }

    /// What it is on, as `/proc/self/mounts` names it: the file system and its device.
    pub(super) fn file_system(&self) -> String {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mounts = mounts.lines().filter_map(|line| {
            let mut fields = line.split(' ');
            let (device, folder, kind) = (fields.next()?, fields.next()?, fields.next()?);
            self.folder.starts_with(folder).then_some((folder.len(), format!("{kind} on {device}")))
        });
        // Of two at the same place the later one counts.
        mounts.max_by_key(|(length, _)| *length).map_or_else(|| "unknown".to_owned(), |(_, text)| text)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            crate::cli::say(&format!("{} could not be removed: {error}", self.folder.display()));
        }
    }
}

/// Becomes true with Ctrl-C.
fn watch_for_interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let unavailable = |error: std::io::Error| Failure::new(ExitStatus::Unavailable, error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unavailable)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    // It waits until the process ends.
    std::thread::Builder::new()
        .name("bench-interrupt".to_owned())
        .spawn(move || {
            if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
                flag.store(true, Ordering::Relaxed);
            }
        })
        .map_err(unavailable)?;
    Ok(interrupted)
}
