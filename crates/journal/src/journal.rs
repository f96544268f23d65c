//! The writer: opens the log, appends batches, rolls segments.
//!
//! Promise: an append that returned `Ok` is on disk. After the first failed write or sync the writer stops for
//! good. It never repeats a sync: after a failed fsync the kernel may drop the data and report the next fsync
//! as a success, so only a fresh open, which reads and writes the tail again, can say what is there.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Access, Disk, DiskFile, Lock};
use crate::error::JournalError;
use crate::format::{FRAME_HEADER_BYTES, FileHeader, FrameHeader, Installation, PAYLOAD_BYTES_MAX};
use crate::reader::{Reader, Readers};
use crate::recovery::{self, Found};
use crate::segment::{self, FIRST_FRAME};

/// The length a segment does not exceed, unless a single frame alone does.
pub const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// Frames are gathered until they have so many bytes, then written: few calls, and what the operating system copies is
/// still in the processor's cache.
pub const WRITE_BYTES: usize = 256 << 10;

/// The write buffer kept between batches, in bytes; a larger one is given back.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

/// How a journal is opened.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The data folder's identity; segments of another one are refused.
    pub installation: Installation,
    /// The length at which the next segment begins, in bytes: [`SEGMENT_BYTES_MAX`] except in tests.
    pub segment_bytes_max: u64,
    /// How many bytes of frames are gathered for one write: [`WRITE_BYTES`] except in tests.
    pub write_bytes: usize,
}

impl Options {
    /// The usual options for this installation.
    pub fn new(installation: Installation) -> Self {
        Self { installation, segment_bytes_max: SEGMENT_BYTES_MAX, write_bytes: WRITE_BYTES }
    }
}

/// What was found when the journal was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// The offset of the oldest entry; equals `next_offset` if there is none.
    pub first_offset: u64,
    /// The offset the next entry gets.
    pub next_offset: u64,
    /// How many bytes of a torn last write were cut off; none of them was acknowledged.
    pub cut_bytes: u64,
    /// The epoch of this writer: one above the highest in the log.
    pub epoch: u32,
}

/// An entry to append.
#[derive(Debug, Clone, Copy)]
pub struct NewEntry<'a> {
    /// The caller's kind of entry.
    pub kind: u16,
    /// The caller's flags.
    pub flags: u16,
    /// Milliseconds since 1970; the journal only stores it.
    pub time_ms: i64,
    /// The payload, or its beginning.
    pub payload: &'a [u8],
    /// What follows it, so that a large text need not be copied; together at most [`PAYLOAD_BYTES_MAX`] bytes.
    pub rest: &'a [u8],
}

impl NewEntry<'_> {
    fn payload_bytes(&self) -> usize {
        self.payload.len() + self.rest.len()
    }
}

/// The one writer of a journal. The lock is released when it is dropped.
pub struct Journal {
    options: Options,
    epoch: u32,
    first: u64,
    /// The offset of the next entry; everything below it is durable.
    next: u64,
    file: Box<dyn DiskFile>,
    path: PathBuf,
    /// Where the next frame goes in `file`.
    bytes: u64,
    buffer: Vec<u8>,
    /// The first failure of a write or sync.
    stopped: Option<String>,
    readers: Readers,
    _lock: Box<dyn Lock>,
}

impl Journal {
    /// Opens the journal in `folder` for writing; makes it if it is not there.
    ///
    /// Reads and checks all segments. A torn last write is cut off; entries of it that are whole stay, although
    /// they were never acknowledged.
    ///
    /// # Errors
    /// [`JournalError::InUse`], [`JournalError::Damaged`], [`JournalError::Newer`],
    /// [`JournalError::OtherInstallation`] (in these cases no segment was changed) and [`JournalError::Io`].
    pub fn open(
        disk: Arc<dyn Disk>,
        folder: &Path,
        options: Options,
    ) -> Result<(Self, Recovery), JournalError> {
        disk.create_folder(folder).map_err(JournalError::io("create folder", folder))?;
        let lock = take_lock(disk.as_ref(), folder)?;
        let found = recovery::find(disk.as_ref(), folder, options.installation)?;
        let recovery = found.recovery();
        let header =
            FileHeader { installation: options.installation, base_offset: found.next, epoch: recovery.epoch };
        let (file, path, bytes) = match (found.settle(disk.as_ref(), folder)?, &found.last) {
            (Some(file), Some(last)) => (file, segment::path(folder, last.base_offset), last.bytes),
            _ => create_segment(disk.as_ref(), folder, &header)?,
        };
        let journal = Self {
            options,
            epoch: recovery.epoch,
            first: found.first,
            next: found.next,
            file,
            path,
            bytes,
            buffer: Vec::new(),
            stopped: None,
            readers: Readers::new(disk, folder, options.installation, found.next),
            _lock: lock,
        };
        Ok((journal, recovery))
    }

    /// Appends the entries in order and makes them durable with one sync (one per segment, if the batch
    /// crosses into a new one). Gives their offsets. An empty batch does nothing.
    ///
    /// # Errors
    /// [`JournalError::TooLarge`]: nothing was written, the journal goes on.
    /// [`JournalError::Io`]: the disk failed; none of the batch is acknowledged, though some of it may be
    /// there after the next open. From then on every call gives [`JournalError::Stopped`].
    pub fn append_batch(&mut self, entries: &[NewEntry<'_>]) -> Result<Range<u64>, JournalError> {
        if let Some(cause) = &self.stopped {
            return Err(JournalError::Stopped { cause: cause.clone() });
        }
        refuse_too_large(entries)?;
        let first = self.next;
        if let Err(error) = self.write_batch(entries) {
            self.stopped = Some(error.to_string());
            return Err(error);
        }
        Ok(first..self.next)
    }

    fn write_batch(&mut self, mut entries: &[NewEntry<'_>]) -> Result<(), JournalError> {
        while !entries.is_empty() {
            let (count, end) = self.write_what_fits(entries)?;
            if count == 0 {
                self.roll()?;
                continue;
            }
            self.file.sync_data().map_err(JournalError::io("sync", &self.path))?;
            self.bytes = end;
            self.next += count as u64;
            self.readers.publish(self.next);
            entries = &entries[count..];
        }
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        Ok(())
    }

    /// Writes as many of the entries as the segment still takes: how many, and where they end. An empty segment takes
    /// at least one.
    fn write_what_fits(&mut self, entries: &[NewEntry<'_>]) -> Result<(usize, u64), JournalError> {
        let (mut count, mut written) = (0, self.bytes);
        self.buffer.clear();
        for (sequence, entry) in (self.next..).zip(entries) {
            let end = written + self.buffer.len() as u64;
            let frame_end = end + (FRAME_HEADER_BYTES + entry.payload_bytes()) as u64;
            if frame_end > self.options.segment_bytes_max && end != FIRST_FRAME {
                break;
            }
            let header = FrameHeader {
                kind: entry.kind,
                flags: entry.flags,
                installation: self.options.installation,
                epoch: self.epoch,
                sequence,
                committed: self.next,
                time_ms: entry.time_ms,
            };
            header.encode_in_pieces(entry.payload, entry.rest, &mut self.buffer);
            count += 1;
            if self.buffer.len() >= self.options.write_bytes {
                written = self.write_buffer(written)?;
            }
        }
        Ok((count, self.write_buffer(written)?))
    }

    /// Writes what has been gathered. Gives where it ends.
    fn write_buffer(&mut self, at: u64) -> Result<u64, JournalError> {
        if !self.buffer.is_empty() {
            self.file.write_at(&self.buffer, at).map_err(JournalError::io("write", &self.path))?;
        }
        let end = at + self.buffer.len() as u64;
        self.buffer.clear();
        Ok(end)
    }

    /// Begins the next segment. The old one is durable already: every write to it was synced.
    fn roll(&mut self) -> Result<(), JournalError> {
        let header =
            FileHeader { installation: self.options.installation, base_offset: self.next, epoch: self.epoch };
        let (disk, folder) = self.readers.place();
        (self.file, self.path, self.bytes) = create_segment(disk, folder, &header)?;
        Ok(())
    }

    /// A reader in this process, from this offset on. It gives durable entries only.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn reader(&self, from: u64) -> Result<Reader, JournalError> {
        self.readers.reader(from)
    }

    /// A handle that makes readers on other threads, once the journal itself went to its writer thread.
    pub fn readers(&self) -> Readers {
        self.readers.clone()
    }

    /// The offset of the oldest entry; equals [`Journal::next_offset`] if there is none.
    pub fn first_offset(&self) -> u64 {
        self.first
    }

    /// The offset the next entry gets; everything below it is durable.
    pub fn next_offset(&self) -> u64 {
        self.next
    }

    /// The epoch of this writer.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }
}

impl Found {
    fn recovery(&self) -> Recovery {
        Recovery {
            first_offset: self.first,
            next_offset: self.next,
            cut_bytes: self.last.as_ref().map_or(0, |last| last.torn_bytes),
            epoch: self.next_epoch,
        }
    }
}

fn take_lock(disk: &dyn Disk, folder: &Path) -> Result<Box<dyn Lock>, JournalError> {
    let path = folder.join("lock");
    disk.lock(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => JournalError::InUse { lock: path },
        _ => JournalError::io("lock", &path)(error),
    })
}

fn refuse_too_large(entries: &[NewEntry<'_>]) -> Result<(), JournalError> {
    match entries.iter().position(|entry| entry.payload_bytes() > PAYLOAD_BYTES_MAX) {
        Some(index) => Err(JournalError::TooLarge { index, bytes: entries[index].payload_bytes() }),
        None => Ok(()),
    }
}

/// Makes a segment file; its header and its name are durable on return, before any frame is written.
fn create_segment(
    disk: &dyn Disk,
    folder: &Path,
    header: &FileHeader,
) -> Result<(Box<dyn DiskFile>, PathBuf, u64), JournalError> {
    let path = segment::path(folder, header.base_offset);
    let file = disk.open(&path, Access::Create).map_err(JournalError::io("create", &path))?;
    file.write_at(&header.encode(), 0).map_err(JournalError::io("write", &path))?;
    file.sync_data().map_err(JournalError::io("sync", &path))?;
    disk.sync_folder(folder).map_err(JournalError::io("sync folder", folder))?;
    Ok((file, path, FIRST_FRAME))
}
