//! Snapshots: the fold and the writer's memory with the offset they stand at, both or neither.
//!
//! A snapshot is disposable: without one the journal is folded from its start. One of another version, or a damaged
//! one, is refused with its name and never silently skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use watchbell_journal::Disk;
use watchbell_journal::disk::Access;
use watchbell_model::{InstallationId, Offset, Timestamp};

use super::fold::FoldSnapshot;
use super::writer::AdmissionSnapshot;

/// The version that is written and read.
const VERSION: u32 = 1;

/// How many snapshots are kept: the two newest, of which the older one is a second chance against a disk that lied, and
/// some in between, from which the state at an older time can be folded.
const KEPT: usize = 8;

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
    let bytes = read(disk, &path).map_err(io(&path))?;
    decode(&bytes, &path, installation).map(Some)
}

/// The newest snapshot in `folder` that knows of nothing after `at`, and whose it is. Others may be writing snapshots.
///
/// # Errors
/// [`SnapshotError`] of the last one that could not be used, if none can.
pub fn newest_by(
    disk: &dyn Disk,
    folder: &Path,
    at: Timestamp,
) -> Result<Option<(InstallationId, Snapshot)>, SnapshotError> {
    let io = |source| SnapshotError::Io { path: folder.to_owned(), source };
    let mut unusable = None;
    for name in names(disk, folder).or_else(empty_if_missing).map_err(io)?.iter().rev() {
        let path = folder.join(name);
        let bytes = match read(disk, &path) {
            // Removed meanwhile: a newer one has come.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            read => read.map_err(io)?,
        };
        let whose = head(&bytes, &path).map(|(head, _)| head.installation);
        match whose.and_then(|whose| Ok((whose, decode(&bytes, &path, whose)?))) {
            Ok(found) if found.1.admission.last_time() <= at => return Ok(Some(found)),
            Ok(_) => {}
            Err(error) => unusable = Some(error),
        }
    }
    unusable.map_or(Ok(None), Err)
}

fn empty_if_missing(error: std::io::Error) -> std::io::Result<Vec<String>> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(Vec::new()) } else { Err(error) }
}

fn read(disk: &dyn Disk, path: &Path) -> std::io::Result<Vec<u8>> {
    let file = disk.open(path, Access::Read)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Every snapshot in `folder` that can be used, as it is in its file, by where it stands. Others may be writing snapshots.
///
/// # Errors
/// [`SnapshotError::Io`].
pub fn good_files(
    disk: &dyn Disk,
    folder: &Path,
    installation: InstallationId,
) -> Result<Vec<(Offset, Vec<u8>)>, SnapshotError> {
    let io = |source| SnapshotError::Io { path: folder.to_owned(), source };
    let mut good = Vec::new();
    for name in names(disk, folder).or_else(empty_if_missing).map_err(io)? {
        let path = folder.join(&name);
        // One that is not there any more was removed meanwhile.
        let Ok(bytes) = read(disk, &path) else { continue };
        if let Some(offset) = offset(&name).filter(|_| check(&bytes, &path, installation).is_ok()) {
            good.push((offset, bytes));
        }
    }
    Ok(good)
}

/// Which snapshots can be used; each is read once.
#[derive(Default)]
pub struct Good(BTreeMap<String, bool>);

impl Good {
    /// Where those in `folder` stand that can be used, oldest first.
    ///
    /// # Errors
    /// [`SnapshotError::Io`] if the folder cannot be listed.
    pub fn look(
        &mut self,
        disk: &dyn Disk,
        folder: &Path,
        installation: InstallationId,
    ) -> Result<Vec<Offset>, SnapshotError> {
        let io = |source| SnapshotError::Io { path: folder.to_owned(), source };
        let names = names(disk, folder).map_err(io)?;
        self.0.retain(|name, _| names.contains(name));
        let is_good = |name: &String| {
            let path = folder.join(name);
            let good = read(disk, &path).is_ok_and(|bytes| check(&bytes, &path, installation).is_ok());
            if !good {
                tracing::warn!(path = %path.display(), "a snapshot cannot be used");
            }
            good
        };
        let good = |name: &&String| *self.0.entry((*name).clone()).or_insert_with(|| is_good(name));
        Ok(names.iter().filter(good).filter_map(|name| offset(name)).collect())
    }
}

/// The offset of the newest snapshot, by its name; 0 without one.
///
/// # Errors
/// [`SnapshotError::Io`].
pub fn newest_offset(disk: &dyn Disk, folder: &Path) -> Result<u64, SnapshotError> {
    let io = |source| SnapshotError::Io { path: folder.to_owned(), source };
    disk.create_folder(folder).map_err(io)?;
    let newest = names(disk, folder).map_err(io)?.pop();
    Ok(newest.and_then(|name| offset(&name)).map_or(0, |offset| offset.0))
}

fn offset(name: &str) -> Option<Offset> {
    name.strip_suffix(".snapshot")?.parse().ok().map(Offset)
}

fn decode(bytes: &[u8], path: &Path, installation: InstallationId) -> Result<Snapshot, SnapshotError> {
    let body = check(bytes, path, installation)?;
    serde_json::from_slice(body)
        .map_err(|error| SnapshotError::Damaged { path: path.to_owned(), reason: error.to_string() })
}

/// The body, if it is as it was written.
fn check<'a>(bytes: &'a [u8], path: &Path, installation: InstallationId) -> Result<&'a [u8], SnapshotError> {
    let damaged = |reason: String| SnapshotError::Damaged { path: path.to_owned(), reason };
    let (head, body) = head(bytes, path)?;
    if head.version != VERSION {
        return Err(SnapshotError::Version { path: path.to_owned(), version: head.version });
    }
    if head.installation != installation {
        return Err(damaged(format!("it belongs to installation {}", head.installation)));
    }
    if head.crc32c != crc32c::crc32c(body) {
        return Err(damaged("its checksum does not fit".into()));
    }
    Ok(body)
}

fn head<'a>(bytes: &'a [u8], path: &Path) -> Result<(Head, &'a [u8]), SnapshotError> {
    let damaged = |reason: String| SnapshotError::Damaged { path: path.to_owned(), reason };
    let end =
        bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("its head is cut off".into()))?;
    let head = serde_json::from_slice(&bytes[..end]).map_err(|error| damaged(error.to_string()))?;
    Ok((head, &bytes[end + 1..]))
}

/// The file names of whole snapshots, oldest first. Unfinished ones have another ending.
fn names(disk: &dyn Disk, folder: &Path) -> std::io::Result<Vec<String>> {
    let whole = |name: &String| Path::new(name).extension().is_some_and(|extension| extension == "snapshot");
    let mut names: Vec<String> = disk.list(folder)?.into_iter().filter(whole).collect();
    names.sort();
    Ok(names)
}

/// Which of these snapshots, oldest first, are not kept: those before what the journal still has, and of the others those
/// that stand closest together. The two newest stay.
fn needless(mut offsets: Vec<Offset>, first: Offset) -> BTreeSet<Offset> {
    let newest = offsets.split_off(offsets.len().saturating_sub(2));
    let (needless, mut kept): (Vec<Offset>, Vec<Offset>) =
        offsets.into_iter().partition(|offset| *offset < first);
    let mut needless: BTreeSet<Offset> = needless.into_iter().collect();
    let end = newest.first().map_or(u64::MAX, |newest| newest.0);
    while kept.len() + newest.len() > KEPT {
        // The oldest one has the furthest reach.
        let gap = |at: &usize| kept.get(at + 1).map_or(end, |next| next.0) - kept[at - 1].0;
        let closest = (1..kept.len()).min_by_key(gap).expect("there are more than two");
        needless.insert(kept.remove(closest));
    }
    needless
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
        let offsets: Vec<Offset> = names.iter().filter_map(|name| offset(name)).collect();
        let needless = needless(offsets, snapshot.fold.released().before);
        let is_needless = |name: &&String| offset(name).is_some_and(|offset| needless.contains(&offset));
        names.iter().filter(is_needless).try_for_each(|name| disk.remove(&folder.join(name)))
    };
    kept().map_err(|source| SnapshotError::Io { path: path.clone(), source })?;
    Ok(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_newest_the_oldest_of_use_and_some_in_between_are_kept() {
        let mut kept: Vec<Offset> = Vec::new();
        for number in 1..=100 {
            kept.push(Offset(number * 10));
            let gone = needless(kept.clone(), Offset(25));
            kept.retain(|offset| !gone.contains(offset));
            assert!(kept.len() <= KEPT && kept.ends_with(&[Offset(number * 10)]));
        }
        assert_eq!((kept[0], kept[6]), (Offset(30), Offset(990)));
        let gaps = kept[..7].windows(2).map(|pair| pair[1].0 - pair[0].0);
        assert!(gaps.max().unwrap() <= 400, "{kept:?}");
        assert_eq!(needless(vec![Offset(1), Offset(2)], Offset(9)), BTreeSet::new(), "the two newest stay");
    }
}
