//! What a writer does before its first append: check every segment, cut a torn last write, and make sure that
//! what it found is durable.

use std::path::Path;

use crate::disk::{Access, Disk, DiskFile};
use crate::error::JournalError;
use crate::format::{Installation, Invalid};
use crate::journal::Options;
use crate::segment::{self, Frames};

/// What a torn write is overwritten with, as often as needed.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A checked log. Nothing has been changed on disk yet.
pub(crate) struct Found {
    /// The base offset of the oldest segment.
    pub(crate) first: u64,
    /// The offset the next entry gets.
    pub(crate) next: u64,
    /// The epoch of the next writer: one above the highest in the log.
    pub(crate) next_epoch: u32,
    /// The segment to go on with; none in an empty log.
    pub(crate) last: Option<Last>,
    /// A segment file whose writer died while making it.
    unfinished: Option<u64>,
}

/// The last segment, as far as it is valid.
pub(crate) struct Last {
    pub(crate) base_offset: u64,
    /// Where the valid frames end.
    pub(crate) bytes: u64,
    /// How much behind that has traces of a write that was never acknowledged.
    pub(crate) torn_bytes: u64,
    /// From here to `bytes`, no later frame says that the data was durable.
    unproven_from: u64,
}

/// Reads and checks the log, all of it that is not trusted.
///
/// Headers of all segments come first, so that a segment of a newer release or of another installation is
/// named as such and not as damage.
pub(crate) fn find(disk: &dyn Disk, folder: &Path, options: &Options) -> Result<Found, JournalError> {
    let installation = options.installation;
    let mut bases = segment::bases(disk, folder)?;
    let first = bases.first().copied().unwrap_or(0);
    let unfinished = unfinished(disk, folder, installation, &bases)?;
    if unfinished.is_some() {
        bases.pop();
    }
    let mut found = Found { first, next: first, next_epoch: 1, last: None, unfinished };
    for (i, &base) in bases.iter().enumerate() {
        // Everything before a segment's base was durable before that segment's file was made.
        let durable_below = bases.get(i + 1).copied().or(unfinished);
        if bases.get(i + 1).is_some_and(|next| *next <= options.trusted_below) {
            continue;
        }
        found.take(disk, folder, installation, base, durable_below)?;
    }
    Ok(found)
}

/// The last segment, if its making was cut short. In any other segment that is damage.
fn unfinished(
    disk: &dyn Disk,
    folder: &Path,
    installation: Installation,
    bases: &[u64],
) -> Result<Option<u64>, JournalError> {
    for (i, &base) in bases.iter().enumerate() {
        if Frames::open(disk, folder, base, Some(installation))?.is_some() {
            continue;
        }
        if i + 1 == bases.len() {
            return Ok(Some(base));
        }
        return Err(JournalError::Damaged {
            file: segment::path(folder, base),
            position: 0,
            reason: "the file header is unreadable, and later segments exist".to_owned(),
        });
    }
    Ok(None)
}

impl Found {
    /// Checks the segment that begins where the log ends so far. `durable_below` is the base of the segment
    /// after it, if there is one.
    fn take(
        &mut self,
        disk: &dyn Disk,
        folder: &Path,
        installation: Installation,
        base_offset: u64,
        durable_below: Option<u64>,
    ) -> Result<(), JournalError> {
        let opened = Frames::open(disk, folder, base_offset, Some(installation))?;
        let mut frames = opened.expect("its header was readable a moment ago");
        frames.raise_epoch(self.next_epoch - 1);
        // What stands in a segment from the next one's base on is not of this log.
        let (end, unproven_from) = read_to_end(&mut frames, durable_below.unwrap_or(u64::MAX))?;
        let torn_until = match durable_below {
            Some(base) if frames.sequence() < base => return Err(frames.damaged(end)),
            Some(_) => frames.position(),
            None => {
                let behind = frames.behind()?;
                if behind.was_durable {
                    return Err(frames.damaged(end));
                }
                behind.torn_until
            }
        };
        self.next = frames.sequence();
        self.next_epoch = frames.next_epoch()?;
        let bytes = frames.position();
        self.last = Some(Last { base_offset, bytes, torn_bytes: torn_until - bytes, unproven_from });
        Ok(())
    }

    /// Brings the disk to the state that was found, and makes that state durable. Gives the last segment's
    /// file, open for writing.
    pub(crate) fn settle(
        &self,
        disk: &dyn Disk,
        folder: &Path,
    ) -> Result<Option<Box<dyn DiskFile>>, JournalError> {
        if let Some(base) = self.unfinished {
            let path = segment::path(folder, base);
            disk.remove(&path).map_err(JournalError::io("remove", &path))?;
        }
        // Also when nothing was removed: a writer may have died between making a segment and this sync.
        disk.sync_folder(folder).map_err(JournalError::io("sync folder", folder))?;
        self.last.as_ref().map(|last| last.settle(disk, folder)).transpose()
    }
}

impl Last {
    fn settle(&self, disk: &dyn Disk, folder: &Path) -> Result<Box<dyn DiskFile>, JournalError> {
        let path = segment::path(folder, self.base_offset);
        let file = disk.open(&path, Access::Write).map_err(JournalError::io("open", &path))?;
        // With zeros, not by making the file shorter: a file that was written before stays so. What is cut is gone for
        // good: else a frame of it could be taken for one of this writer, who may have the same epoch.
        let end = self.bytes + self.torn_bytes;
        for at in (self.bytes..end).step_by(ZEROS.len()) {
            let zeros = &ZEROS[..ZEROS.len().min(usize::try_from(end - at).unwrap_or(usize::MAX))];
            file.write_at(zeros, at).map_err(JournalError::io("cut the torn end of", &path))?;
        }
        // If the last writer stopped because its sync failed, the kernel may hold that data as clean although
        // it is not on the disk: a sync alone would then succeed and save nothing. Writing the same bytes
        // once more makes them dirty again.
        let bytes = segment::read_range(file.as_ref(), self.unproven_from, self.bytes)
            .map_err(JournalError::io("read", &path))?;
        file.write_at(&bytes, self.unproven_from).map_err(JournalError::io("write", &path))?;
        file.sync_data().map_err(JournalError::io("sync", &path))?;
        Ok(file)
    }
}

/// Why the frames end, and from where on no frame proves that the ones before it were durable.
///
/// Frames from `before` on are not looked at.
fn read_to_end(frames: &mut Frames, before: u64) -> Result<(Invalid, u64), JournalError> {
    // Without a frame not even the file header is proven.
    let mut unproven_from = 0;
    loop {
        if frames.sequence() >= before {
            return Ok((Invalid::End, unproven_from));
        }
        match frames.peek()? {
            Ok(header) => {
                // The first frame of a write: what stands before it was durable.
                if header.committed == header.sequence {
                    unproven_from = frames.position();
                }
                frames.pass(&header);
            }
            Err(end) => return Ok((end, unproven_from)),
        }
    }
}
