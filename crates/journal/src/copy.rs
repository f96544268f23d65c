//! A copy of a journal that another process may be writing and letting go.
//!
//! Promise: every entry of the copy was checked on its way, none is missing between the first and the last, and all of it
//! is on disk on return. Each entry stands as it stood, byte for byte; what is behind the end of a segment is not copied.

use std::path::Path;
use std::sync::Arc;

use crate::disk::{Access, Disk, DiskFile};
use crate::error::JournalError;
use crate::format::{FileHeader, FrameHeader};
use crate::reader::Reader;
use crate::segment::{self, FIRST_FRAME};

/// How much is gathered for one write.
const WRITE_BYTES: usize = 1 << 20;

/// How often it begins again because the oldest entries went while they were copied.
const TRIES_MAX: usize = 5;

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// The offset of the oldest entry.
    pub first: u64,
    /// The offset behind the newest one.
    pub next: u64,
    /// Bytes of the segments.
    pub bytes: u64,
}

/// Copies what is in the journal of folder `from` now into segments of folder `to`, which has none.
///
/// # Errors
/// [`JournalError::BeforeFirst`] if the oldest entries go faster than they are copied, and as [`Reader::next`]. What was
/// copied until then is removed.
pub fn copy(disk: &Arc<dyn Disk>, from: &Path, to: &Path) -> Result<Copied, JournalError> {
    disk.create_folder(to).map_err(JournalError::io("create folder", to))?;
    let mut tried = 1;
    loop {
        let copied = copy_once(disk, from, to);
        if copied.is_err() {
            for base in segment::bases(disk.as_ref(), to)? {
                let path = segment::path(to, base);
                disk.remove(&path).map_err(JournalError::io("remove", &path))?;
            }
        }
        match copied {
            Err(JournalError::BeforeFirst { .. }) if tried < TRIES_MAX => tried += 1,
            copied => return copied,
        }
    }
}

fn copy_once(disk: &Arc<dyn Disk>, from: &Path, to: &Path) -> Result<Copied, JournalError> {
    let mut reader = Reader::open_oldest(disk, from)?;
    let mut copied = Copied { first: reader.next_offset(), next: reader.next_offset(), bytes: 0 };
    let mut segment: Option<Segment> = None;
    while let Some((base_offset, header, payload)) = reader.step()? {
        if segment.as_ref().is_none_or(|segment| segment.base_offset != base_offset) {
            copied.bytes += segment.map_or(Ok(0), Segment::finish)?;
            segment = Some(Segment::begin(disk.as_ref(), to, base_offset, &header)?);
        }
        segment.as_mut().expect("one was begun").take(&header, payload)?;
        copied.next = header.sequence + 1;
    }
    copied.bytes += segment.map_or(Ok(0), Segment::finish)?;
    disk.sync_folder(to).map_err(JournalError::io("sync folder", to))?;
    Ok(copied)
}

/// A segment of the copy.
struct Segment {
    base_offset: u64,
    path: std::path::PathBuf,
    file: Box<dyn DiskFile>,
    written: u64,
    gathered: Vec<u8>,
}

impl Segment {
    fn begin(
        disk: &dyn Disk,
        to: &Path,
        base_offset: u64,
        first: &FrameHeader,
    ) -> Result<Self, JournalError> {
        let path = segment::path(to, base_offset);
        let file = disk.open(&path, Access::Create).map_err(JournalError::io("create", &path))?;
        let header = FileHeader { installation: first.installation, base_offset, epoch: first.epoch };
        file.write_at(&header.encode(), 0).map_err(JournalError::io("write", &path))?;
        Ok(Self { base_offset, path, file, written: FIRST_FRAME, gathered: Vec::new() })
    }

    fn take(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), JournalError> {
        header.encode_beginning(payload, &[], &mut self.gathered);
        if self.gathered.len() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), JournalError> {
        let written = self.file.write_at(&self.gathered, self.written);
        written.map_err(JournalError::io("write", &self.path))?;
        self.written += self.gathered.len() as u64;
        self.gathered.clear();
        Ok(())
    }

    /// Its length.
    fn finish(mut self) -> Result<u64, JournalError> {
        self.write()?;
        self.file.sync_data().map_err(JournalError::io("sync", &self.path))?;
        Ok(self.written)
    }
}
