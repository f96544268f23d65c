//! The writer: opens the log, appends batches, rolls segments.
//!
//! Promise: an append that returned `Ok` is on disk. After the first failed write or sync the writer stops for
//! good. It never repeats a sync: after a failed fsync the kernel may drop the data and report the next fsync
//! as a success, so only a fresh open, which reads and writes the tail again, can say what is there.

use std::io::IoSlice;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, Lock};
use crate::error::JournalError;
use crate::format::{FRAME_HEADER_BYTES, FileHeader, FrameHeader, Installation, PAYLOAD_BYTES_MAX};
use crate::reader::{Reader, Readers};
use crate::recovery::{self, Found};
use crate::segment::{self, FIRST_FRAME};
use crate::spare::Upkeep;

/// The length a segment does not exceed, unless a single frame alone does.
pub const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// Frames are gathered until they have so many bytes, then written: few calls, and what the operating system copies is
/// still in the processor's cache.
pub const WRITE_BYTES: usize = 1 << 20;

/// The length of the reserve: the largest batch that can be on its way when the disk is full, and room for what is
/// decided and told until there is space again.
pub const RESERVE_BYTES: u64 = 32 << 20;

/// From this length on, the rest of a payload is written from where it stands instead of being copied behind its
/// beginning.
const UNCOPIED_BYTES_MIN: usize = 1 << 10;

/// Behind the last frame of a write, zeros fill what is left of its page: else the operating system would have to read
/// the page of a file that was written before, to keep the part that is stale.
pub const PAGE_BYTES: u64 = 4 << 10;

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
    /// What the operating system keeps files in: [`PAGE_BYTES`] except in tests.
    pub page_bytes: u64,
    /// How much room is set aside for when the disk is full, in bytes: [`RESERVE_BYTES`] except in tests.
    pub reserve_bytes: u64,
    /// Segments that hold only entries below this offset are not read at the open, only their headers: a snapshot
    /// stands for them. 0 checks everything.
    pub trusted_below: u64,
}

impl Options {
    /// The usual options for this installation.
    pub fn new(installation: Installation) -> Self {
        Self {
            installation,
            segment_bytes_max: SEGMENT_BYTES_MAX,
            write_bytes: WRITE_BYTES,
            page_bytes: PAGE_BYTES,
            reserve_bytes: RESERVE_BYTES,
            trusted_below: 0,
        }
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
    upkeep: Upkeep,
    _lock: Box<dyn Lock>,
}

impl Journal {
    /// Opens the journal in `folder` for writing; makes it if it is not there.
    ///
    /// Reads and checks all segments that [`Options::trusted_below`] does not excuse. A torn last write is cut off; entries of it that are whole stay, although
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
        let found = recovery::find(disk.as_ref(), folder, &options)?;
        let recovery = found.recovery();
        let header =
            FileHeader { installation: options.installation, base_offset: found.next, epoch: recovery.epoch };
        let settled = found.settle(disk.as_ref(), folder)?;
        let upkeep = Upkeep::open(Arc::clone(&disk), folder, &options, found.first)?;
        let (file, path, bytes) = if let (Some(file), Some(last)) = (settled, &found.last) {
            (file, segment::path(folder, last.base_offset), last.bytes)
        } else {
            let (file, path) = upkeep.begin_segment(&header)?;
            (file, path, FIRST_FRAME)
        };
        let journal = Self {
            options,
            epoch: recovery.epoch,
            next: found.next,
            file,
            path,
            bytes,
            buffer: Vec::new(),
            stopped: None,
            readers: Readers::new(disk, folder, options.installation, found.next),
            upkeep,
            _lock: lock,
        };
        Ok((journal, recovery))
    }

    /// Appends the entries in order and makes them durable with one sync (one per segment, if the batch
    /// crosses into a new one). Gives their offsets. An empty batch does nothing.
    ///
    /// # Errors
    /// [`JournalError::TooLarge`]: nothing was written, the journal goes on.
    /// [`JournalError::Io`]: the disk failed, or is full and the reserve is used up; none of the batch is acknowledged, though some of it may be
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
            let (count, end) = match self.write_what_fits(entries) {
                Err(error) if error.is_out_of_space() => {
                    self.go_on_in_stock(error)?;
                    continue;
                }
                written => written?,
            };
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
        let (mut count, mut end) = (0, self.bytes);
        let mut write = Write::new(&mut self.buffer, end);
        for (sequence, entry) in (self.next..).zip(entries) {
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
            write.gather(&header, entry);
            count += 1;
            end = frame_end;
            if write.bytes >= self.options.write_bytes as u64 {
                write.carry_out(self.file.as_ref()).map_err(JournalError::io("write", &self.path))?;
            }
        }
        write.fill_page(self.options.page_bytes);
        write.carry_out(self.file.as_ref()).map_err(JournalError::io("write", &self.path))?;
        Ok((count, end))
    }

    /// Begins the next segment. The old one is durable already: every write to it was synced.
    fn roll(&mut self) -> Result<(), JournalError> {
        (self.file, self.path) = self.upkeep.begin_segment(&self.header())?;
        self.bytes = FIRST_FRAME;
        Ok(())
    }

    /// The disk is full, so the segment cannot grow: goes on in a file that has its room already.
    fn go_on_in_stock(&mut self, full: JournalError) -> Result<(), JournalError> {
        // What was written of this batch must not stand before the place where it will be.
        self.file.truncate(self.bytes).map_err(JournalError::io("cut", &self.path))?;
        self.file.sync_data().map_err(JournalError::io("sync", &self.path))?;
        let begun = self.upkeep.begin_segment_in_stock(&self.header())?;
        (self.file, self.path) = begun.ok_or(full)?;
        self.bytes = FIRST_FRAME;
        Ok(())
    }

    fn header(&self) -> FileHeader {
        FileHeader { installation: self.options.installation, base_offset: self.next, epoch: self.epoch }
    }

    /// Whether the disk is full: what is appended now uses up the reserve, so nothing that can wait should be.
    pub fn is_short(&self) -> bool {
        self.upkeep.is_short()
    }

    /// Whether it is time to make a spare: half of the segment is full, so that small journals stay small.
    pub fn wants_spare(&self) -> bool {
        self.bytes > self.options.segment_bytes_max / 2 && self.upkeep.wants_spare()
    }

    /// How many segments have been begun since it was opened.
    pub fn segments_begun(&self) -> u64 {
        self.upkeep.begun()
    }

    /// A handle that lets old segments go and keeps a spare ready, for another thread.
    pub fn upkeep(&self) -> Upkeep {
        self.upkeep.clone()
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
        self.upkeep.first_offset()
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

/// Frames on their way to the disk: all but large texts copied into a buffer, in pieces around the texts.
struct Write<'a> {
    buffer: &'a mut Vec<u8>,
    /// Each large text, with the length of the buffer before it.
    texts: Vec<(usize, &'a [u8])>,
    /// Where it goes in the file.
    at: u64,
    bytes: u64,
}

impl<'a> Write<'a> {
    fn new(buffer: &'a mut Vec<u8>, at: u64) -> Self {
        buffer.clear();
        Self { buffer, texts: Vec::new(), at, bytes: 0 }
    }

    fn gather(&mut self, header: &FrameHeader, entry: &NewEntry<'a>) {
        header.encode_beginning(entry.payload, entry.rest, self.buffer);
        if entry.rest.len() < UNCOPIED_BYTES_MIN {
            self.buffer.extend_from_slice(entry.rest);
        } else {
            self.texts.push((self.buffer.len(), entry.rest));
        }
        self.bytes += (FRAME_HEADER_BYTES + entry.payload_bytes()) as u64;
    }

    fn fill_page(&mut self, page_bytes: u64) {
        let end = self.at + self.bytes;
        let zeros = end.next_multiple_of(page_bytes) - end;
        self.buffer.resize(self.buffer.len() + usize::try_from(zeros).expect("less than a page"), 0);
        self.bytes += zeros;
    }

    /// Writes what has been gathered.
    fn carry_out(&mut self, file: &dyn DiskFile) -> std::io::Result<()> {
        let mut pieces = Vec::with_capacity(self.texts.len() * 2 + 1);
        let mut from = 0;
        for (until, text) in &self.texts {
            pieces.push(IoSlice::new(&self.buffer[from..*until]));
            pieces.push(IoSlice::new(text));
            from = *until;
        }
        pieces.push(IoSlice::new(&self.buffer[from..]));
        if self.bytes > 0 {
            file.write_pieces_at(&pieces, self.at)?;
        }
        drop(pieces);
        self.at += self.bytes;
        self.bytes = 0;
        self.texts.clear();
        self.buffer.clear();
        Ok(())
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
