//! Files on the shelf that become segments: the spare and the reserve.
//!
//! A segment in a file that was written before is written with overwriting alone: its sync changes no metadata, and
//! no page or block is looked for. The *spare* is the oldest segment, when nobody needs it any more, or a file of zeros.
//! Without one the next segment is a new file that grows as it is written: slower, and just as safe.
//!
//! The *reserve* is a file for which the disk has set room aside. It is taken only when the disk is full, so that what
//! is on its way, and what the process itself has to say, still gets written.
//!
//! Names, each made durable before the next step: `<base>.segment` → `spare` when it is let go; header written into
//! the file, then → `<base>.segment` when it is taken; `….unfinished` → `spare` or `reserve` when it was made.
//! What a former life left in the file never counts: its sequences are all below the new base.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Access, Disk, DiskFile};
use crate::error::JournalError;
use crate::format::{FILE_HEADER_BYTES, FileHeader, Installation};
use crate::journal::Options;
use crate::segment::{self, FIRST_FRAME};

/// The name of the spare.
const SPARE: &str = "spare";

/// The name of a spare that is being filled with zeros.
const UNFINISHED: &str = "spare.unfinished";

/// The name of the reserve.
const RESERVE: &str = "reserve";

/// The name of a reserve that is being made.
const RESERVE_UNFINISHED: &str = "reserve.unfinished";

/// A reserve is made only where so many would fit: else the disk would be full again at once.
const RESERVE_FREE_FACTOR: u64 = 2;

/// A spare of zeros is made only where so many would fit: it must not be what fills the disk.
const FREE_FACTOR: u64 = 16;

/// Lets old segments go and keeps a spare ready, beside the writer: for a thread of its own, as both wait for the disk.
#[derive(Clone)]
pub struct Upkeep {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    spare_bytes: u64,
    reserve_bytes: u64,
    shared: Arc<Shared>,
}

/// A segment as it is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    /// The offset of its first entry.
    pub base_offset: u64,
    /// The length of its file, in bytes.
    pub bytes: u64,
}

struct Shared {
    /// Whoever gives or takes a name holds this.
    shelf: Mutex<Shelf>,
    /// The offset of the oldest entry.
    first: AtomicU64,
    /// Segments begun.
    begun: AtomicU64,
}

struct Shelf {
    spare: Spare,
    has_reserve: bool,
}

/// Whether there is a spare.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spare {
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
        options: &Options,
        first: u64,
    ) -> Result<Self, JournalError> {
        let names = disk.list(folder).map_err(JournalError::io("list", folder))?;
        let take_or_remove = |name: &str, is_usable: &dyn Fn(&Path) -> Result<bool, JournalError>| {
            let path = folder.join(name);
            if !names.iter().any(|it| it == name) {
                return Ok(false);
            }
            if is_usable(&path)? {
                return Ok(true);
            }
            disk.remove(&path).map_err(JournalError::io("remove", &path)).map(|()| false)
        };
        take_or_remove(UNFINISHED, &|_| Ok(false))?;
        take_or_remove(RESERVE_UNFINISHED, &|_| Ok(false))?;
        let head_of = |path: &Path| Head::read(disk.as_ref(), path);
        let has_spare = take_or_remove(SPARE, &|path| {
            let head = head_of(path)?;
            Ok(head.is_zeros() || head.is_left_behind(options.installation, first))
        })?;
        let has_reserve = take_or_remove(RESERVE, &|path| {
            let head = head_of(path)?;
            Ok(head.is_zeros() && head.file_bytes == options.reserve_bytes)
        })?;
        let spare = if has_spare { Spare::Ready } else { Spare::Empty };
        let shelf = Mutex::new(Shelf { spare, has_reserve });
        Ok(Self {
            folder: folder.to_owned(),
            spare_bytes: options.segment_bytes_max,
            reserve_bytes: options.reserve_bytes,
            shared: Arc::new(Shared { shelf, first: AtomicU64::new(first), begun: AtomicU64::new(0) }),
            disk,
        })
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
            self.shelf().spare = Spare::GivenUp;
            // As little as possible stays behind; what does, the next start removes.
            let _ = self.disk.remove(&unfinished);
        }
        made
    }

    fn make_zeroed(&self, path: &Path, go_on: &dyn Fn() -> bool) -> Result<bool, JournalError> {
        self.look_for_room(self.spare_bytes, FREE_FACTOR, path)?;
        let made = self.disk.create_zeroed(path, self.spare_bytes, go_on);
        made.map_err(JournalError::io("fill with zeros", path))
    }

    /// Makes a reserve if there is none, on a disk that was full: it must have room for two by now.
    ///
    /// # Errors
    /// [`JournalError::Io`]; the disk is still too full.
    pub fn replenish(&self) -> Result<(), JournalError> {
        self.make_reserve(RESERVE_FREE_FACTOR)
    }

    /// The same at a start, when nothing says that the disk will be full soon: a small disk is used as far as it goes.
    ///
    /// # Errors
    /// As [`Upkeep::replenish`].
    pub fn reserve_at_start(&self) -> Result<(), JournalError> {
        self.make_reserve(1)
    }

    fn make_reserve(&self, free_factor: u64) -> Result<(), JournalError> {
        if !self.is_short() {
            return Ok(());
        }
        let unfinished = self.folder.join(RESERVE_UNFINISHED);
        self.look_for_room(self.reserve_bytes, free_factor, &unfinished)?;
        let made = self.disk.create_reserved(&unfinished, self.reserve_bytes);
        if let Err(error) = made {
            let _ = self.disk.remove(&unfinished); // what stays behind, the next start removes
            return Err(JournalError::io("set room aside in", &unfinished)(error));
        }
        let mut shelf = self.shelf();
        self.disk
            .rename(&unfinished, &self.folder.join(RESERVE))
            .map_err(JournalError::io("rename", &unfinished))?;
        self.sync_folder()?;
        shelf.has_reserve = true;
        Ok(())
    }

    /// Whether there is no reserve: the disk is full. Nothing that can wait should be appended.
    pub fn is_short(&self) -> bool {
        !self.shelf().has_reserve
    }

    fn look_for_room(&self, bytes: u64, factor: u64, path: &Path) -> Result<(), JournalError> {
        let free = self.disk.free_bytes(&self.folder);
        let free = free.map_err(JournalError::io("read the free space of", &self.folder))?;
        if free / factor < bytes {
            let error = io::Error::new(io::ErrorKind::StorageFull, "the disk is nearly full");
            return Err(JournalError::io("set room aside in", path)(error));
        }
        Ok(())
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

    /// The segments, oldest first; the last one is written to.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn segments(&self) -> Result<Vec<SegmentFile>, JournalError> {
        let bases = segment::bases(self.disk.as_ref(), &self.folder)?;
        let file_of = |base_offset| {
            let path = segment::path(&self.folder, base_offset);
            let file = self.disk.open(&path, Access::Read).map_err(JournalError::io("open", &path))?;
            let bytes = file.len().map_err(JournalError::io("read the length of", &path))?;
            Ok(SegmentFile { base_offset, bytes })
        };
        bases.into_iter().map(file_of).collect()
    }

    /// How long a full segment is, in bytes.
    pub fn segment_bytes(&self) -> u64 {
        self.spare_bytes
    }

    /// How many segments have been begun since the journal was opened: whether there is another one by now.
    pub fn begun(&self) -> u64 {
        self.shared.begun.load(Ordering::Acquire)
    }

    /// The offset of the oldest entry.
    pub fn first_offset(&self) -> u64 {
        self.shared.first.load(Ordering::Acquire)
    }

    /// Whether [`Upkeep::prepare`] would make a spare.
    pub fn wants_spare(&self) -> bool {
        self.shelf().spare == Spare::Empty
    }

    /// Makes a file the spare, or removes it if there is one already.
    fn put(&self, path: &Path) -> Result<(), JournalError> {
        let mut shelf = self.shelf();
        if shelf.spare == Spare::Ready {
            self.disk.remove(path).map_err(JournalError::io("remove", path))?;
        } else {
            self.disk.rename(path, &self.folder.join(SPARE)).map_err(JournalError::io("rename", path))?;
        }
        // Also before the next segment is let go: a crash must not leave a hole in the log.
        self.sync_folder()?;
        shelf.spare = Spare::Ready;
        Ok(())
    }

    /// Makes the segment of this header: in the spare, else in a new file, else, if the disk is full, in the reserve. Its
    /// header and its name are durable on return, before any frame is written.
    pub(crate) fn begin_segment(&self, header: &FileHeader) -> Result<Begun, JournalError> {
        let path = segment::path(&self.folder, header.base_offset);
        let mut shelf = self.shelf();
        if shelf.spare == Spare::Ready {
            return self.begin_in_stock(&mut shelf, header, path);
        }
        let begun = self.disk.open(&path, Access::Create).map_err(JournalError::io("create", &path));
        match begun.and_then(|file| write_header(file, header, &path)) {
            Ok(file) => {
                shelf.spare = Spare::Empty;
                self.sync_folder()?;
                self.shared.begun.fetch_add(1, Ordering::Release);
                Ok((file, path))
            }
            // What was made of the new file is replaced by the reserve, which takes its name.
            Err(error) if error.is_out_of_space() && shelf.has_reserve => {
                self.begin_in_stock(&mut shelf, header, path)
            }
            Err(error) => Err(error),
        }
    }

    /// The same where the disk is full, so not in a new file. `None` if neither spare nor reserve is there.
    pub(crate) fn begin_segment_in_stock(&self, header: &FileHeader) -> Result<Option<Begun>, JournalError> {
        let mut shelf = self.shelf();
        if shelf.spare != Spare::Ready && !shelf.has_reserve {
            return Ok(None);
        }
        let path = segment::path(&self.folder, header.base_offset);
        self.begin_in_stock(&mut shelf, header, path).map(Some)
    }

    fn begin_in_stock(
        &self,
        shelf: &mut Shelf,
        header: &FileHeader,
        path: PathBuf,
    ) -> Result<Begun, JournalError> {
        let is_spare = shelf.spare == Spare::Ready;
        let stock = self.folder.join(if is_spare { SPARE } else { RESERVE });
        let file = self.disk.open(&stock, Access::Write).map_err(JournalError::io("open", &stock))?;
        let file = write_header(file, header, &stock)?;
        self.disk.rename(&stock, &path).map_err(JournalError::io("rename", &stock))?;
        // With a reserve on the way, another spare may be made again.
        shelf.spare = Spare::Empty;
        shelf.has_reserve &= is_spare;
        self.sync_folder()?;
        self.shared.begun.fetch_add(1, Ordering::Release);
        Ok((file, path))
    }

    fn sync_folder(&self) -> Result<(), JournalError> {
        self.disk.sync_folder(&self.folder).map_err(JournalError::io("sync folder", &self.folder))
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shared.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A segment that was begun: its file and its name.
type Begun = (Box<dyn DiskFile>, PathBuf);

fn write_header(
    file: Box<dyn DiskFile>,
    header: &FileHeader,
    path: &Path,
) -> Result<Box<dyn DiskFile>, JournalError> {
    file.write_at(&header.encode(), 0).map_err(JournalError::io("write", path))?;
    file.sync_data().map_err(JournalError::io("sync", path))?;
    Ok(file)
}

/// The first bytes of a file on the shelf. What is in it must never be taken for entries to come.
struct Head {
    bytes: Vec<u8>,
    file_bytes: u64,
}

impl Head {
    fn read(disk: &dyn Disk, path: &Path) -> Result<Self, JournalError> {
        let file = disk.open(path, Access::Read).map_err(JournalError::io("open", path))?;
        let bytes =
            segment::read_range(file.as_ref(), 0, FIRST_FRAME).map_err(JournalError::io("read", path))?;
        let file_bytes = file.len().map_err(JournalError::io("read the length of", path))?;
        Ok(Self { bytes, file_bytes })
    }

    /// It was made for this, and never used.
    fn is_zeros(&self) -> bool {
        self.bytes.len() == FILE_HEADER_BYTES && self.bytes.iter().all(|byte| *byte == 0)
    }

    /// It was a segment that the log has left behind. Else it was put there by somebody, or is from a journal that was
    /// replaced by an older copy.
    fn is_left_behind(&self, installation: Installation, first: u64) -> bool {
        FileHeader::decode(&self.bytes)
            .is_ok_and(|header| header.installation == installation && header.base_offset < first)
    }
}
