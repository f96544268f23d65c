//! Readers: entries in order from any offset, while the writer goes on.
//!
//! A reader made by the journal gives durable entries only. One opened on the folder (by another process)
//! cannot know how far the writer's sync got: it gives what is whole on the file system, takes a partial last
//! frame as "nothing more yet", and needs no lock. Both go on into later appends and new segments.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::disk::Disk;
use crate::error::JournalError;
use crate::format::{FrameHeader, Installation};
use crate::segment::{self, Frames};

/// An entry as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the journal.
    pub offset: u64,
    /// Milliseconds since 1970, as the writer gave them.
    pub time_ms: i64,
    /// The epoch of the writer that appended it.
    pub epoch: u32,
    /// The writer's kind of entry.
    pub kind: u16,
    /// The writer's flags.
    pub flags: u16,
    /// The writer's bytes.
    pub payload: Vec<u8>,
}

/// Reads entries in order.
pub struct Reader {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    installation: Option<Installation>,
    /// The writer's durable end; without it, the reader looks at the files alone.
    durable_end: Option<Arc<AtomicU64>>,
    /// The segment being read; none while the folder has no segment yet.
    frames: Option<Frames>,
    /// The offset of the next entry.
    next: u64,
}

impl Reader {
    /// Opens the journal in `folder` for reading, from this offset on; another process may be writing it.
    ///
    /// # Errors
    /// [`JournalError::BeforeFirst`], [`JournalError::AfterEnd`], [`JournalError::Damaged`] (also if damage stands before `from` in its
    /// segment), [`JournalError::Newer`] and [`JournalError::Io`].
    pub fn open(disk: Arc<dyn Disk>, folder: &Path, from: u64) -> Result<Self, JournalError> {
        Self::open_at(disk, folder, None, None, from)
    }

    /// The same from the oldest entry on.
    ///
    /// # Errors
    /// As [`Reader::open`], but for the first.
    pub fn open_oldest(disk: &Arc<dyn Disk>, folder: &Path) -> Result<Self, JournalError> {
        let mut from = 0;
        loop {
            // While it is looked for, the oldest one may go.
            match Self::open(Arc::clone(disk), folder, from) {
                Err(JournalError::BeforeFirst { first, .. }) => from = first,
                result => return result,
            }
        }
    }

    fn open_at(
        disk: Arc<dyn Disk>,
        folder: &Path,
        installation: Option<Installation>,
        durable_end: Option<Arc<AtomicU64>>,
        from: u64,
    ) -> Result<Self, JournalError> {
        let bases = segment::bases(disk.as_ref(), folder)?;
        let first = bases.first().copied().unwrap_or(0);
        if from < first {
            return Err(JournalError::BeforeFirst { wanted: from, first });
        }
        let mut reader =
            Self { disk, folder: folder.to_owned(), installation, durable_end, frames: None, next: first };
        match reader.go_to(from, bases) {
            // The segment was let go meanwhile: say what is there now.
            Err(JournalError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let Reader { disk, folder, installation, durable_end, .. } = reader;
                Self::open_at(disk, &folder, installation, durable_end, from)
            }
            gone => gone.map(|()| reader),
        }
    }

    fn go_to(&mut self, from: u64, bases: Vec<u64>) -> Result<(), JournalError> {
        // Only the last segment can be unfinished; the one before it is then the one to read.
        for base in bases.into_iter().rev().skip_while(|base| *base > from) {
            if self.enter_segment(base)? {
                break;
            }
        }
        while self.next < from {
            if self.step()?.is_none() {
                return Err(JournalError::AfterEnd { wanted: from, next: self.next });
            }
        }
        Ok(())
    }

    /// Goes to the beginning of a segment; `false` if its writer died, or is busy, making it.
    fn enter_segment(&mut self, base_offset: u64) -> Result<bool, JournalError> {
        let opened = Frames::open(self.disk.as_ref(), &self.folder, base_offset, self.installation)?;
        let Some(mut frames) = opened else { return Ok(false) };
        if let Some(before) = &self.frames {
            frames.raise_epoch(before.epoch());
        }
        self.installation = Some(frames.installation());
        self.next = base_offset;
        self.frames = Some(frames);
        Ok(true)
    }

    /// The next entry; `None` if there is none yet: ask again after the next append.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] if an entry that was durable cannot be read; the reader stays before it.
    /// [`JournalError::OtherInstallation`], [`JournalError::Newer`] and [`JournalError::Io`].
    #[expect(clippy::should_implement_trait, reason = "fallible, and goes on after None: not an Iterator")]
    pub fn next(&mut self) -> Result<Option<Entry>, JournalError> {
        let Some((_, header, payload)) = self.step()? else { return Ok(None) };
        Ok(Some(Entry {
            offset: header.sequence,
            time_ms: header.time_ms,
            epoch: header.epoch,
            kind: header.kind,
            flags: header.flags,
            payload: payload.to_vec(),
        }))
    }

    /// Whose journal it is; `None` while the folder has no segment yet.
    pub fn installation(&self) -> Option<Installation> {
        self.installation
    }

    /// The offset of the entry that [`Reader::next`] gives next.
    pub fn next_offset(&self) -> u64 {
        self.next
    }

    /// Passes the next entry.
    pub(crate) fn step(&mut self) -> Result<Option<Passed<'_>>, JournalError> {
        loop {
            if self.durable_end.as_ref().is_some_and(|end| self.next >= end.load(Ordering::Acquire)) {
                // What stands behind the end now will be written over.
                self.frames.iter_mut().for_each(Frames::forget_ahead);
                return Ok(None);
            }
            let Some(header) = self.peek()? else {
                if self.find_more()? {
                    continue;
                }
                return Ok(None);
            };
            self.next = header.sequence + 1;
            let frames = self.frames.as_mut().expect("it was peeked at");
            return Ok(Some((frames.base_offset(), header, frames.pass(&header))));
        }
    }

    fn peek(&mut self) -> Result<Option<FrameHeader>, JournalError> {
        let Some(frames) = &mut self.frames else { return Ok(None) };
        Ok(frames.peek()?.ok())
    }

    /// No valid frame was seen: whether there is more to read by now, here or in the next segment.
    fn find_more(&mut self) -> Result<bool, JournalError> {
        let bases = segment::bases(self.disk.as_ref(), &self.folder)?;
        let here = self.frames.as_ref().map(Frames::base_offset);
        if here != Some(self.next) && bases.contains(&self.next) && self.enter_segment(self.next)? {
            return Ok(true);
        }
        let Some(frames) = &mut self.frames else { return Ok(false) };
        let was_durable = self.durable_end.is_some()
            || bases.last().is_some_and(|last| *last > self.next)
            || frames.next_was_durable()?;
        frames.forget_ahead();
        if !was_durable {
            return Ok(false);
        }
        // The writer may have completed the frame since the first look; then it is whole by now.
        let Err(reason) = frames.peek()? else { return Ok(true) };
        let damaged = frames.damaged(reason);
        // Or it let the segment go, and the file is another one now. It did so before it changed the file.
        let first = segment::bases(self.disk.as_ref(), &self.folder)?.first().copied().unwrap_or(0);
        Err(if first > self.next { JournalError::BeforeFirst { wanted: self.next, first } } else { damaged })
    }
}

/// An entry that was passed: the base offset of its segment, its header, and its payload.
pub(crate) type Passed<'a> = (u64, FrameHeader, &'a [u8]);

/// Makes readers of a journal that is open for writing in this process.
#[derive(Clone)]
pub struct Readers {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    installation: Installation,
    durable_end: Arc<AtomicU64>,
}

impl Readers {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        folder: &Path,
        installation: Installation,
        durable_end: u64,
    ) -> Self {
        let durable_end = Arc::new(AtomicU64::new(durable_end));
        Self { disk, folder: folder.to_owned(), installation, durable_end }
    }

    /// A reader from this offset on. It gives durable entries only.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn reader(&self, from: u64) -> Result<Reader, JournalError> {
        let durable_end = Some(Arc::clone(&self.durable_end));
        Reader::open_at(Arc::clone(&self.disk), &self.folder, Some(self.installation), durable_end, from)
    }

    /// The first offset above this one that a segment begins with; `None` if the newest segment has it.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn next_segment(&self, offset: u64) -> Result<Option<u64>, JournalError> {
        let bases = segment::bases(self.disk.as_ref(), &self.folder)?;
        Ok(bases.into_iter().find(|base| *base > offset))
    }

    /// The offset the next entry gets; everything below it is durable.
    pub fn next_offset(&self) -> u64 {
        self.durable_end.load(Ordering::Acquire)
    }

    pub(crate) fn publish(&self, durable_end: u64) {
        self.durable_end.store(durable_end, Ordering::Release);
    }
}
