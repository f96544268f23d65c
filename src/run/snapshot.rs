//! Snapshots: the fold and the writer's memory with the offset they stand at, both or neither.
//!
//! A snapshot is disposable: without one the journal is folded from its start. One of another version, or a damaged
//! one, is refused with its name and never silently skipped.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use watchbell_journal::Disk;
use watchbell_journal::disk::Access;
use watchbell_model::{InstallationId, Offset};

use super::fold::FoldSnapshot;
use super::writer::AdmissionSnapshot;

/// The version that is written and read.
const VERSION: u32 = 1;

/// How many snapshots are kept; the older one is a second chance against a disk that lied.
const KEPT: usize = 2;

#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    version: u32,
    installation: InstallationId,
    next: Offset,
    crc32c: u32,
}

/// What a snapshot holds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// The writer's memory.
    pub admission: AdmissionSnapshot,
    /// The fold.
    pub fold: FoldSnapshot,
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is of another version.
    #[error("snapshot {path} has version {version}; this Watchbell reads version {VERSION}")]
    Version {
        /// The file.
        path: PathBuf,
        /// What it has.
        version: u32,
    },
    /// It is not what was written.
    #[error("snapshot {path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        reason: String,
    },
    /// It could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
}

/// The newest snapshot in `folder`, if there is one.
///
/// # Errors
/// [`SnapshotError`] if it cannot be used.
pub fn newest(
    disk: &dyn Disk,
    folder: &Path,
    installation: InstallationId,
) -> Result<Option<Snapshot>, SnapshotError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| SnapshotError::Io { path, source }
    };
    disk.create_folder(folder).map_err(io(folder))?;
    let Some(name) = names(disk, folder).map_err(io(folder))?.pop() else { return Ok(None) };
    let path = folder.join(name);
    let file = disk.open(&path, Access::Read).map_err(io(&path))?;
    let mut bytes = vec![0; usize::try_from(file.len().map_err(io(&path))?).unwrap_or(usize::MAX)];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], filled as u64).map_err(io(&path))? {
            0 => break,
            read => filled += read,
        }
    }
    decode(&bytes[..filled], &path, installation).map(Some)
}

/// The offset of the newest snapshot, by its name; 0 without one.
///
/// # Errors
/// [`SnapshotError::Io`].
pub fn newest_offset(disk: &dyn Disk, folder: &Path) -> Result<u64, SnapshotError> {
    let io = |source| SnapshotError::Io { path: folder.to_owned(), source };
    disk.create_folder(folder).map_err(io)?;
    let newest = names(disk, folder).map_err(io)?.pop();
    Ok(newest.and_then(|name| name.strip_suffix(".snapshot")?.parse().ok()).unwrap_or(0))
}

fn decode(bytes: &[u8], path: &Path, installation: InstallationId) -> Result<Snapshot, SnapshotError> {
    let damaged = |reason: String| SnapshotError::Damaged { path: path.to_owned(), reason };
    let end =
        bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("its head is cut off".into()))?;
    let (head, body) = (&bytes[..end], &bytes[end + 1..]);
    let head: Head = serde_json::from_slice(head).map_err(|error| damaged(error.to_string()))?;
    if head.version != VERSION {
        return Err(SnapshotError::Version { path: path.to_owned(), version: head.version });
    }
    if head.installation != installation {
        return Err(damaged(format!("it belongs to installation {}", head.installation)));
    }
    if head.crc32c != crc32c::crc32c(body) {
        return Err(damaged("its checksum does not fit".into()));
    }
    serde_json::from_slice(body).map_err(|error| damaged(error.to_string()))
}

/// The file names of whole snapshots, oldest first. Unfinished ones have another ending.
fn names(disk: &dyn Disk, folder: &Path) -> std::io::Result<Vec<String>> {
    let whole = |name: &String| Path::new(name).extension().is_some_and(|extension| extension == "snapshot");
    let mut names: Vec<String> = disk.list(folder)?.into_iter().filter(whole).collect();
    names.sort();
    Ok(names)
}

/// Writes snapshots on a thread of its own, so that detection does not wait for the disk.
pub struct SnapshotWriter {
    jobs: Option<SyncSender<Snapshot>>,
    thread: Option<JoinHandle<()>>,
}

impl SnapshotWriter {
    /// Keeps snapshots in `folder`.
    pub fn new(disk: Arc<dyn Disk>, folder: PathBuf, installation: InstallationId) -> SnapshotWriter {
        let (jobs, waiting) = sync_channel::<Snapshot>(1);
        let thread = std::thread::spawn(move || {
            for snapshot in waiting {
                let next = snapshot.fold.next;
                match write(disk.as_ref(), &folder, installation, &snapshot) {
                    Ok(bytes) => tracing::debug!(%next, bytes, "snapshot written"),
                    // A snapshot only saves time at the next start: go on without it.
                    Err(error) => tracing::warn!(%error, "snapshot not written; the next start takes longer"),
                }
            }
        });
        SnapshotWriter { jobs: Some(jobs), thread: Some(thread) }
    }

    /// Writes one; waits while two others are on their way.
    pub fn write(&self, admission: AdmissionSnapshot, fold: FoldSnapshot) {
        if let Some(jobs) = &self.jobs {
            // The thread ends only when this end is dropped.
            let _ = jobs.send(Snapshot { admission, fold });
        }
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
}

fn write(
    disk: &dyn Disk,
    folder: &Path,
    installation: InstallationId,
    snapshot: &Snapshot,
) -> Result<usize, SnapshotError> {
    let next = snapshot.fold.next;
    let body = serde_json::to_vec(snapshot).expect("a snapshot has text keys and finite numbers");
    let head = Head {
        format: "watchbell-snapshot".to_owned(),
        version: VERSION,
        installation,
        next,
        crc32c: crc32c::crc32c(&body),
    };
    let mut bytes = serde_json::to_vec(&head).expect("a head has only texts and numbers");
    bytes.push(b'\n');
    bytes.extend(body);
    let path = folder.join(format!("{:020}.snapshot", next.0));
    let unfinished = path.with_extension("unfinished");
    let kept = || {
        // Left behind by a crash in the middle of the next lines.
        let _ = disk.remove(&unfinished);
        let file = disk.open(&unfinished, Access::Create)?;
        file.write_at(&bytes, 0)?;
        file.sync_data()?;
        disk.rename(&unfinished, &path)?;
        disk.sync_folder(folder)?;
        let names = names(disk, folder)?;
        names[..names.len().saturating_sub(KEPT)].iter().try_for_each(|name| disk.remove(&folder.join(name)))
    };
    kept().map_err(|source| SnapshotError::Io { path: path.clone(), source })?;
    Ok(bytes.len())
}
