//! A disk in memory that keeps what a real disk would keep, and loses what it may lose.
//!
//! For tests, here and in other crates. Every write waits, in pieces of at most 512 bytes (what a disk writes
//! at once), until its file is synced; every name until its folder is. [`ModelDisk::crash`] then keeps any
//! choice of what waits. A failed sync is as bad as on Linux: the data can still be read, but no later sync
//! makes it durable; only writing it again does.
//!
//! Not here: permissions, links, and folders that vanish (a folder is durable when made).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::disk::{Access, Disk, DiskFile, Lock};

/// The unit a disk writes at once, in bytes.
pub const SECTOR_BYTES: u64 = 512;

type FileId = usize;
type Names = BTreeMap<PathBuf, FileId>;

/// The disk; clones are the same disk.
#[derive(Clone, Default)]
pub struct ModelDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Default)]
struct State {
    folders: BTreeSet<PathBuf>,
    /// What a running program sees: names, and by `FileId` the bytes.
    names: Names,
    files: Vec<Vec<u8>>,
    /// What the disk holds.
    durable_names: Names,
    durable_files: Vec<Vec<u8>>,
    /// What waits for a sync, oldest first.
    waiting: Vec<Change>,
    locks: BTreeSet<PathBuf>,
    failing_write: Option<(usize, io::ErrorKind)>,
    failing_sync: Option<(usize, io::ErrorKind)>,
    operations_left: Option<usize>,
    is_full: bool,
}

#[derive(Clone)]
enum Change {
    Write {
        file: FileId,
        position: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        file: FileId,
        bytes: usize,
    },
    /// Names given (with a file) and taken away, all at once.
    Names {
        folder: PathBuf,
        names: Vec<(PathBuf, Option<FileId>)>,
    },
}

impl ModelDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// An independent copy of the disk as it is now, without its locks.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut state = self.state().clone();
        state.locks.clear();
        state.heal();
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// How many changes wait for a sync.
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// The machine loses power and comes back: of the changes that wait for a sync, oldest first from 0, those
    /// for which `keep` is true reached the disk. Locks are free again, injected failures are gone.
    ///
    /// Files that are open must not be used afterwards.
    pub fn crash(&self, mut keep: impl FnMut(usize) -> bool) {
        let mut state = self.state();
        for (i, change) in std::mem::take(&mut state.waiting).iter().enumerate() {
            if keep(i) {
                state.make_durable(change);
            }
        }
        state.names = state.durable_names.clone();
        let durable_files = state.durable_files.clone();
        state.files = durable_files;
        state.locks.clear();
        state.heal();
    }

    /// The write after `writes` more fails with this kind. Half of its bytes get through, as when the disk
    /// is full.
    pub fn fail_write(&self, writes: usize, kind: io::ErrorKind) {
        self.state().failing_write = Some((writes, kind));
    }

    /// The sync (of a file or a folder) after `syncs` more fails with this kind.
    pub fn fail_sync(&self, syncs: usize, kind: io::ErrorKind) {
        self.state().failing_sync = Some((syncs, kind));
    }

    /// From now on the disk is full, or no longer: no file grows, no file is made, but what is there can be written over.
    pub fn set_full(&self, is_full: bool) {
        self.state().is_full = is_full;
    }

    /// After this many more operations that change the disk, each further one fails and does nothing, as if
    /// the program had been killed there.
    pub fn halt_after(&self, operations: usize) {
        self.state().operations_left = Some(operations);
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn contents(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.state();
        Ok(state.files[state.find(path)?].clone())
    }

    /// Puts a file with these bytes on the disk, durable at once: for damage and for files from elsewhere.
    pub fn set_contents(&self, path: &Path, bytes: Vec<u8>) {
        let mut state = self.state();
        let file = state.new_file();
        state.files[file].clone_from(&bytes);
        state.durable_files[file] = bytes;
        state.names.insert(path.to_owned(), file);
        state.durable_names.insert(path.to_owned(), file);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no operation panics half way")
    }
}

impl State {
    fn find(&self, path: &Path) -> io::Result<FileId> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn new_file(&mut self) -> FileId {
        self.files.push(Vec::new());
        self.durable_files.push(Vec::new());
        self.files.len() - 1
    }

    fn heal(&mut self) {
        self.is_full = false;
        self.failing_write = None;
        self.failing_sync = None;
        self.operations_left = None;
    }

    /// Counts an operation that changes the disk.
    fn operate(&mut self) -> io::Result<()> {
        match &mut self.operations_left {
            Some(0) => Err(io::Error::other("the program was halted here")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn change_names(&mut self, folder: &Path, names: Vec<(PathBuf, Option<FileId>)>) {
        give_names(&mut self.names, &names);
        self.waiting.push(Change::Names { folder: folder.to_owned(), names });
    }

    fn write(&mut self, file: FileId, bytes: &[u8], position: u64) {
        let mut at = position;
        let end = position + bytes.len() as u64;
        while at < end {
            let piece_end = end.min((at / SECTOR_BYTES + 1) * SECTOR_BYTES);
            let piece = bytes[index(at - position)..index(piece_end - position)].to_vec();
            put(&mut self.files[file], index(at), &piece);
            self.waiting.push(Change::Write { file, position: index(at), bytes: piece });
            at = piece_end;
        }
    }

    /// Takes the changes that a sync is about out of the queue.
    fn take_waiting(&mut self, concerns: impl Fn(&Change) -> bool) -> Vec<Change> {
        self.waiting.extract_if(.., |change| concerns(change)).collect()
    }

    fn make_durable(&mut self, change: &Change) {
        match change {
            Change::Write { file, position, bytes } => put(&mut self.durable_files[*file], *position, bytes),
            Change::Truncate { file, bytes } => self.durable_files[*file].truncate(*bytes),
            Change::Names { names, .. } => give_names(&mut self.durable_names, names),
        }
    }
}

fn give_names(names: &mut Names, changes: &[(PathBuf, Option<FileId>)]) {
    for (path, file) in changes {
        match file {
            Some(file) => names.insert(path.clone(), *file),
            None => names.remove(path),
        };
    }
}

/// Overwrites or extends; a gap before `position` is zeros.
fn put(file: &mut Vec<u8>, position: usize, bytes: &[u8]) {
    let end = position + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[position..end].copy_from_slice(bytes);
}

fn index(position: u64) -> usize {
    usize::try_from(position).expect("a model disk fits in memory")
}

/// Whether the failure is due now; counts down otherwise.
fn is_due(failure: &mut Option<(usize, io::ErrorKind)>) -> Option<io::ErrorKind> {
    match failure {
        Some((0, kind)) => {
            let kind = *kind;
            *failure = None;
            Some(kind)
        }
        Some((left, _)) => {
            *left -= 1;
            None
        }
        None => None,
    }
}

impl Disk for ModelDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        state.folders.extend(folder.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        if !state.folders.contains(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        let folder = path.parent().unwrap_or(Path::new(""));
        let file = match (access, state.find(path)) {
            (Access::Create, Ok(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Access::Create, Err(_)) if !state.folders.contains(folder) => {
                return Err(io::ErrorKind::NotFound.into());
            }
            (Access::Create, Err(_)) if state.is_full => return Err(io::ErrorKind::StorageFull.into()),
            (Access::Create, Err(_)) => {
                state.operate()?;
                let file = state.new_file();
                state.change_names(folder, vec![(path.to_owned(), Some(file))]);
                file
            }
            (_, found) => found?,
        };
        Ok(Box::new(ModelFile { disk: self.clone(), file }))
    }

    fn create_zeroed(&self, path: &Path, bytes: u64, go_on: &dyn Fn() -> bool) -> io::Result<bool> {
        let file = self.open(path, Access::Create)?;
        let zeros = vec![0; index(bytes)];
        if !go_on() {
            return Ok(false);
        }
        file.write_at(&zeros, 0)?;
        file.sync_data()?;
        Ok(true)
    }

    fn create_reserved(&self, path: &Path, bytes: u64) -> io::Result<()> {
        self.create_zeroed(path, bytes, &|| true).map(drop)
    }

    fn free_bytes(&self, _folder: &Path) -> io::Result<u64> {
        Ok(if self.state().is_full { 0 } else { u64::MAX })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.find(path)?;
        state.operate()?;
        state.change_names(path.parent().unwrap_or(Path::new("")), vec![(path.to_owned(), None)]);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let file = state.find(from)?;
        state.operate()?;
        let names = vec![(from.to_owned(), None), (to.to_owned(), Some(file))];
        state.change_names(to.parent().unwrap_or(Path::new("")), names);
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        if let Some(kind) = is_due(&mut state.failing_sync) {
            return Err(kind.into());
        }
        let is_here = |change: &Change| matches!(change, Change::Names { folder: of, .. } if of == folder);
        for change in state.take_waiting(is_here) {
            state.make_durable(&change);
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        if !self.state().locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(ModelLock { disk: self.clone(), path: path.to_owned() }))
    }
}

struct ModelFile {
    disk: ModelDisk,
    file: FileId,
}

impl DiskFile for ModelFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.file].len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let state = self.disk.state();
        let rest = state.files[self.file].get(index(position)..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate()?;
        if let Some(kind) = is_due(&mut state.failing_write) {
            state.write(self.file, &bytes[..bytes.len() / 2], position);
            return Err(kind.into());
        }
        let room = state.files[self.file].len().saturating_sub(index(position));
        if state.is_full && bytes.len() > room {
            state.write(self.file, &bytes[..room], position);
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.write(self.file, bytes, position);
        Ok(())
    }

    fn write_pieces_at(&self, pieces: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        self.write_at(&pieces.iter().flat_map(|piece| piece.iter().copied()).collect::<Vec<u8>>(), position)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate()?;
        state.files[self.file].truncate(index(bytes));
        state.waiting.push(Change::Truncate { file: self.file, bytes: index(bytes) });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate()?;
        let failure = is_due(&mut state.failing_sync);
        let is_ours = |change: &Change| match change {
            Change::Write { file, .. } | Change::Truncate { file, .. } => *file == self.file,
            Change::Names { .. } => false,
        };
        let changes = state.take_waiting(is_ours);
        if let Some(kind) = failure {
            // What waited stays readable, is taken for clean, and never reaches the disk.
            return Err(kind.into());
        }
        for change in &changes {
            state.make_durable(change);
        }
        Ok(())
    }
}

struct ModelLock {
    disk: ModelDisk,
    path: PathBuf,
}

impl Lock for ModelLock {}

impl Drop for ModelLock {
    fn drop(&mut self) {
        self.disk.state().locks.remove(&self.path);
    }
}
