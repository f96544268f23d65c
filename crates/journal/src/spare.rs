//! The spare: a file on the shelf that becomes the next segment.
//!
//! A segment in a file that was written before is written with overwriting alone: its sync changes no metadata, and
//! no page or block is looked for. The spare is the oldest segment, when nobody needs it any more, or a file of zeros.
//! Without one the next segment is a new file that grows as it is written: slower, and just as safe.
//!
//! Names, each made durable before the next step: `<base>.segment` → `spare` when it is let go; header written into
//! `spare`, then `spare` → `<base>.segment` when it is taken; `spare.unfinished` → `spare` when zeros were written.
//! What a former life left in the file never counts: its sequences are all below the new base.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Access, Disk, DiskFile};
use crate::error::JournalError;
use crate::format::{FILE_HEADER_BYTES, FileHeader, Installation};
use crate::segment::{self, FIRST_FRAME};

/// The name of the spare.
const SPARE: &str = "spare";

/// The name of a spare that is being filled with zeros.
const UNFINISHED: &str = "spare.unfinished";

/// A spare of zeros is made only where so many would fit: it must not be what fills the disk.
const FREE_FACTOR: u64 = 16;

/// Lets old segments go and keeps a spare ready, beside the writer: for a thread of its own, as both wait for the disk.
#[derive(Clone)]
pub struct Upkeep {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    bytes: u64,
    shared: Arc<Shared>,
}

struct Shared {
    /// Whoever gives or takes the name holds this.
    shelf: Mutex<Shelf>,
    /// The offset of the oldest entry.
    first: AtomicU64,
}

/// Whether there is a spare.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shelf {
    Empty,
    /// Making one failed: nobody tries again before the next segment.
    GivenUp,
    Ready,
}

impl Upkeep {
    /// Looks what an earlier process left behind; `first` is the base of the oldest segment.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        folder: &Path,
        installation: Installation,
        bytes: u64,
        first: u64,
    ) -> Result<Self, JournalError> {
        let names = disk.list(folder).map_err(JournalError::io("list", folder))?;
        let remove = |name: &str| {
            let path = folder.join(name);
            disk.remove(&path).map_err(JournalError::io("remove", &path))
        };
        if names.iter().any(|name| name == UNFINISHED) {
            remove(UNFINISHED)?;
        }
        let mut has_spare = names.iter().any(|name| name == SPARE);
        if has_spare && !is_usable(disk.as_ref(), &folder.join(SPARE), installation, first)? {
            remove(SPARE)?;
            has_spare = false;
        }
        let shelf = Mutex::new(if has_spare { Shelf::Ready } else { Shelf::Empty });
        let shared = Arc::new(Shared { shelf, first: AtomicU64::new(first) });
        Ok(Self { disk, folder: folder.to_owned(), bytes, shared })
    }

    /// Writes a spare of zeros if there is none and the disk has room for many. `false` if `go_on` said no meanwhile.
    ///
    /// # Errors
    /// [`JournalError::Io`], once for each segment: the journal goes on without a spare.
    pub fn prepare(&self, go_on: &dyn Fn() -> bool) -> Result<bool, JournalError> {
        if !self.wants_spare() {
            return Ok(true);
        }
        let unfinished = self.folder.join(UNFINISHED);
        let made = self.make_zeroed(&unfinished, go_on);
        if let Ok(true) = made {
            self.put(&unfinished)?;
        } else {
            *self.shelf() = Shelf::GivenUp;
            // As little as possible stays behind; what does, the next start removes.
            let _ = self.disk.remove(&unfinished);
        }
        made
    }

    fn make_zeroed(&self, path: &Path, go_on: &dyn Fn() -> bool) -> Result<bool, JournalError> {
        let free = self.disk.free_bytes(&self.folder);
        if free.map_err(JournalError::io("read the free space of", &self.folder))? / FREE_FACTOR < self.bytes
        {
            let error = io::Error::new(io::ErrorKind::StorageFull, "the disk is nearly full");
            return Err(JournalError::io("fill with zeros", path)(error));
        }
        self.disk.create_zeroed(path, self.bytes, go_on).map_err(JournalError::io("fill with zeros", path))
    }

    /// Lets the segments go that hold only entries below `offset`, oldest first; how many. The newest one stays.
    ///
    /// The first one becomes the spare, if there is none.
    ///
    /// # Errors
    /// [`JournalError::Io`]; the rest stays for the next time.
    pub fn release(&self, offset: u64) -> Result<usize, JournalError> {
        let bases = segment::bases(self.disk.as_ref(), &self.folder)?;
        let mut released = 0;
        for ends in bases.windows(2) {
            let [base, end] = *ends else { unreachable!("windows of two") };
            if end > offset {
                break;
            }
            // Before the file changes: whoever finds other frames in it learns that it has gone.
            self.shared.first.store(end, Ordering::Release);
            self.put(&segment::path(&self.folder, base))?;
            released += 1;
        }
        Ok(released)
    }

    /// The offset of the oldest entry.
    pub fn first_offset(&self) -> u64 {
        self.shared.first.load(Ordering::Acquire)
    }

    /// Whether [`Upkeep::prepare`] would make a spare.
    pub fn wants_spare(&self) -> bool {
        *self.shelf() == Shelf::Empty
    }

    /// Makes a file the spare, or removes it if there is one already.
    fn put(&self, path: &Path) -> Result<(), JournalError> {
        let mut shelf = self.shelf();
        if *shelf == Shelf::Ready {
            self.disk.remove(path).map_err(JournalError::io("remove", path))?;
        } else {
            self.disk.rename(path, &self.folder.join(SPARE)).map_err(JournalError::io("rename", path))?;
        }
        // Also before the next segment is let go: a crash must not leave a hole in the log.
        self.disk.sync_folder(&self.folder).map_err(JournalError::io("sync folder", &self.folder))?;
        *shelf = Shelf::Ready;
        Ok(())
    }

    /// Makes the segment of this header, in the spare if there is one; its header and its name are durable on return,
    /// before any frame is written.
    pub(crate) fn begin_segment(
        &self,
        header: &FileHeader,
    ) -> Result<(Box<dyn DiskFile>, PathBuf), JournalError> {
        let path = segment::path(&self.folder, header.base_offset);
        let mut shelf = self.shelf();
        let is_ready = *shelf == Shelf::Ready;
        let spare = self.folder.join(SPARE);
        let (made, access) = if is_ready { (&spare, Access::Write) } else { (&path, Access::Create) };
        let file = self.disk.open(made, access).map_err(JournalError::io("open", made))?;
        file.write_at(&header.encode(), 0).map_err(JournalError::io("write", made))?;
        file.sync_data().map_err(JournalError::io("sync", made))?;
        if is_ready {
            self.disk.rename(&spare, &path).map_err(JournalError::io("rename", &spare))?;
        }
        *shelf = Shelf::Empty;
        self.disk.sync_folder(&self.folder).map_err(JournalError::io("sync folder", &self.folder))?;
        Ok((file, path))
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shared.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether what is in the file can never be taken for entries to come: zeros, or a segment that the log has left
/// behind. Anything else was put there by somebody, or is from a journal that was replaced by an older copy.
fn is_usable(
    disk: &dyn Disk,
    path: &Path,
    installation: Installation,
    first: u64,
) -> Result<bool, JournalError> {
    let file = disk.open(path, Access::Read).map_err(JournalError::io("open", path))?;
    let head = segment::read_range(file.as_ref(), 0, FIRST_FRAME).map_err(JournalError::io("read", path))?;
    if head.len() == FILE_HEADER_BYTES && head.iter().all(|byte| *byte == 0) {
        return Ok(true);
    }
    let is_ours = |header: FileHeader| header.installation == installation && header.base_offset < first;
    Ok(FileHeader::decode(&head).is_ok_and(is_ours))
}
