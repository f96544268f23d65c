//! The disk as this crate sees it, and the real one.
//!
//! Two implementers: [`RealDisk`] and [`crate::ModelDisk`], which can crash and fail on request. Written data
//! is durable after [`DiskFile::sync_data`], a file's name after [`Disk::sync_folder`]; nothing else is.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FallocateFlags, OFlags};

/// Pieces handed to the operating system with one call; it takes 1024 at most (`IOV_MAX`).
const PIECES_MAX: usize = 1000;

/// How much is written at once where a file is filled with zeros.
const ZEROS_BYTES: usize = 1 << 20;

/// What direct writes must be aligned to: no block of a disk is larger.
const ALIGNMENT: usize = 4096;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The file exists and is only read.
    Read,
    /// The file exists and is read and written.
    Write,
    /// The file is made now, to be read and written; it is an error if it exists.
    Create,
}

/// Files and folders by name. Errors are the file system's, with its kinds (`NotFound`, `StorageFull`, …).
#[expect(clippy::missing_errors_doc, reason = "one sentence on the trait holds for every method")]
pub trait Disk: Send + Sync {
    /// Makes the folder and its parents where missing, for the owner only; its name is durable on return.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;
    /// The names of the folder's files, in any order.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// Opens a file.
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>>;
    /// Makes a file of so many zeros, which are on the disk on return (its name after `sync_folder`): writing over them
    /// later needs no space, and its sync changes nothing but data. `false` if `go_on` said no before it was done; the
    /// file is then incomplete.
    fn create_zeroed(&self, path: &Path, bytes: u64, go_on: &dyn Fn() -> bool) -> io::Result<bool>;
    /// Makes a file of so many zeros for which the disk has set room aside (durable as with `create_zeroed`): writing over
    /// them succeeds when the disk is full.
    fn create_reserved(&self, path: &Path, bytes: u64) -> io::Result<()>;
    /// How many bytes the file system of this folder still takes from this process.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64>;
    /// Removes a file; durable after `sync_folder`.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Gives a file another name, replacing what had it; durable after `sync_folder` of the folder of `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in the folder durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Takes the lock file at `path`, made if missing, until the result is dropped or the process ends.
    /// `WouldBlock` if it is held already.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>>;
}

/// An open file. Errors are the file system's.
#[expect(clippy::missing_errors_doc, reason = "one sentence on the trait holds for every method")]
#[expect(clippy::len_without_is_empty, reason = "asking whether a file is empty helps nobody here")]
pub trait DiskFile: Send + Sync {
    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Reads up to `buffer.len()` bytes from `position`; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at `position`. After an error any part of them may have been written.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;
    /// Writes the pieces, one behind the other, as [`DiskFile::write_at`] would their concatenation.
    fn write_pieces_at(&self, pieces: &[IoSlice<'_>], position: u64) -> io::Result<()>;
    /// Cuts the file to `bytes`; durable after `sync_data`.
    fn truncate(&self, bytes: u64) -> io::Result<()>;
    /// Makes the file's bytes and length durable.
    fn sync_data(&self) -> io::Result<()>;
}

/// A lock that is held while this lives.
pub trait Lock: Send + Sync {}

/// The operating system's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        if !folder.is_dir() {
            if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                self.create_folder(parent)?;
            }
            // What is in it is for its owner only: log text is not everybody's business.
            match fs::DirBuilder::new().mode(0o700).create(folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        // Also when it was there already: whoever made it may have died before this sync.
        match folder.parent() {
            Some(parent) if parent.as_os_str().is_empty() => self.sync_folder(Path::new(".")),
            Some(parent) => self.sync_folder(parent),
            None => Ok(()),
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(access != Access::Read).create_new(access == Access::Create);
        Ok(Box::new(options.open(path)?))
    }

    fn create_zeroed(&self, path: &Path, bytes: u64, go_on: &dyn Fn() -> bool) -> io::Result<bool> {
        // Past the page cache where the file system can: a third of the processor's time, and nothing useful is
        // pushed out of memory.
        match create_zeroed(path, bytes, go_on, OFlags::DIRECT) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                // Some file systems say only at the first write that they cannot.
                let _ = fs::remove_file(path);
                create_zeroed(path, bytes, go_on, OFlags::empty())
            }
            result => result,
        }
    }

    fn create_reserved(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            Err(rustix::io::Errno::OPNOTSUPP) => {
                drop(file);
                fs::remove_file(path)?;
                self.create_zeroed(path, bytes, &|| true).map(drop)
            }
            allocated => {
                allocated?;
                file.sync_all()
            }
        }
    }

    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        let room = rustix::fs::statvfs(folder)?;
        Ok(room.f_bavail.saturating_mul(room.f_frsize))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

fn create_zeroed(path: &Path, bytes: u64, go_on: &dyn Fn() -> bool, flags: OFlags) -> io::Result<bool> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).custom_flags(flags.bits().cast_signed());
    let file = options.open(path)?;
    let zeros = vec![0; ZEROS_BYTES + ALIGNMENT];
    let zeros = &zeros[zeros.as_ptr().align_offset(ALIGNMENT)..][..ZEROS_BYTES];
    // Whole pieces, as direct writes must be; what is too much is cut off.
    for position in (0..bytes).step_by(ZEROS_BYTES) {
        if !go_on() {
            return Ok(false);
        }
        file.write_all_at(zeros, position)?;
    }
    file.set_len(bytes)?;
    file.sync_all()?;
    Ok(true)
}

impl Lock for File {}

impl DiskFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        loop {
            match FileExt::read_at(self, buffer, position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.write_all_at(bytes, position)
    }

    fn write_pieces_at(&self, pieces: &[IoSlice<'_>], mut position: u64) -> io::Result<()> {
        let mut pieces = pieces.to_vec();
        let mut rest = &mut pieces[..];
        IoSlice::advance_slices(&mut rest, 0); // empty pieces at the front: with only such, nothing would be written
        while !rest.is_empty() {
            match rustix::io::pwritev(self, &rest[..rest.len().min(PIECES_MAX)], position) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    IoSlice::advance_slices(&mut rest, written);
                    position += written as u64;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        // fdatasync: it also writes a changed length (fdatasync(2) names ftruncate as the example), but saves
        // the write of the modification time.
        File::sync_data(self)
    }
}
