//! One segment file, read frame by frame.
//!
//! [`Frames`] says what stands at the next place: a frame of this log, or why not. Whether "why not" is the
//! end of the log or damage is for `recovery` (on open) and `reader` (while a writer runs) to say.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memchr::memmem;

use crate::disk::{Access, Disk, DiskFile};
use crate::error::JournalError;
use crate::format::{
    BadFileHeader, FILE_HEADER_BYTES, FRAME_HEADER_BYTES, FRAME_MAGIC, FileHeader, FrameHeader, Installation,
    Invalid,
};

/// How much is read at once: large enough that small frames cost no system call each.
const READ_BYTES: usize = 256 << 10;

/// Where the first frame of a segment begins.
pub(crate) const FIRST_FRAME: u64 = FILE_HEADER_BYTES as u64;

/// The file that holds the entries from `base_offset` on.
pub(crate) fn path(folder: &Path, base_offset: u64) -> PathBuf {
    folder.join(format!("{base_offset:020}.segment"))
}

/// The base offsets of all segments in the folder, ascending. This is the index: the entry at an offset is in
/// the segment with the largest base that is not above it.
pub(crate) fn bases(disk: &dyn Disk, folder: &Path) -> Result<Vec<u64>, JournalError> {
    let names = disk.list(folder).map_err(JournalError::io("list", folder))?;
    let mut bases: Vec<u64> = names.iter().filter_map(|name| base_offset(name)).collect();
    bases.sort_unstable();
    Ok(bases)
}

fn base_offset(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".segment")?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten()
}

/// The frames of one segment, in order, through a buffer.
pub(crate) struct Frames {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    base_offset: u64,
    installation: Installation,
    /// The position of the next frame in the file.
    position: u64,
    /// The sequence the next frame must have.
    sequence: u64,
    /// The epoch below which a frame does not count.
    epoch: u32,
    /// `buffer[..filled]` are the file's bytes from `buffer_position` on.
    buffer: Vec<u8>,
    filled: usize,
    buffer_position: u64,
    /// Where it was last looked for later frames, and what stood there then.
    looked_behind: Option<(u64, Vec<u8>)>,
}

/// What stands behind the last frame of the log.
pub(crate) struct Behind {
    /// A later frame says that the entry expected here was durable: this is damage.
    pub(crate) was_durable: bool,
    /// Up to here there are traces of writes that were never acknowledged.
    pub(crate) torn_until: u64,
}

impl Frames {
    /// Opens the segment with this base offset, at its first frame.
    ///
    /// `None` if its writer died while making it, before any frame: the header is unreadable and nothing
    /// follows it. Without `installation`, the file's own is taken.
    pub(crate) fn open(
        disk: &dyn Disk,
        folder: &Path,
        base_offset: u64,
        installation: Option<Installation>,
    ) -> Result<Option<Self>, JournalError> {
        let path = path(folder, base_offset);
        let file = disk.open(&path, Access::Read).map_err(JournalError::io("open", &path))?;
        let mut frames = Self {
            file,
            path,
            base_offset,
            installation: Installation::default(),
            position: FIRST_FRAME,
            sequence: base_offset,
            epoch: 0,
            buffer: Vec::new(),
            filled: 0,
            buffer_position: FIRST_FRAME,
            looked_behind: None,
        };
        let Some(header) = frames.file_header()? else { return Ok(None) };
        let expected = installation.unwrap_or(header.installation);
        if header.installation != expected {
            let found = header.installation;
            return Err(JournalError::OtherInstallation { file: frames.path, found, expected });
        }
        if header.base_offset != base_offset {
            let reason = format!("its header says that it begins at entry {}", header.base_offset);
            return Err(JournalError::Damaged { file: frames.path, position: 0, reason });
        }
        frames.installation = expected;
        frames.epoch = header.epoch;
        Ok(Some(frames))
    }

    fn file_header(&self) -> Result<Option<FileHeader>, JournalError> {
        // Not through the buffer, which a look at the header alone would fill for nothing.
        let mut bytes = [0; FILE_HEADER_BYTES];
        let read = self.file.read_at(&mut bytes, 0).map_err(JournalError::io("read", &self.path))?;
        match FileHeader::decode(&bytes[..read]) {
            Ok(header) => Ok(Some(header)),
            Err(BadFileHeader::OtherVersion(version)) => {
                Err(JournalError::Newer { file: self.path.clone(), version })
            }
            // Frames are written only once the header is durable: a bad header before frames is damage.
            Err(BadFileHeader::Unreadable) if self.bytes()? > FIRST_FRAME => Err(JournalError::Damaged {
                file: self.path.clone(),
                position: 0,
                reason: "the file header is unreadable".to_owned(),
            }),
            Err(BadFileHeader::Unreadable) => Ok(None),
        }
    }

    /// Looks at the next frame without going past it.
    pub(crate) fn peek(&mut self) -> Result<Result<FrameHeader, Invalid>, JournalError> {
        self.fill(FRAME_HEADER_BYTES)?;
        if self.ahead().iter().take(FRAME_HEADER_BYTES).all(|byte| *byte == 0) {
            return Ok(Err(Invalid::End));
        }
        if let Ok((_, payload_bytes)) = FrameHeader::peek(self.ahead()) {
            self.fill(FRAME_HEADER_BYTES + payload_bytes)?;
        }
        Ok(FrameHeader::decode(self.ahead()).and_then(|(header, _)| self.check(header)))
    }

    /// The frame that was just peeked at, and passed: its payload, which lives until the next call.
    pub(crate) fn pass(&mut self, header: &FrameHeader) -> &[u8] {
        let start = self.start() + FRAME_HEADER_BYTES;
        let (_, payload_bytes) = FrameHeader::peek(self.ahead()).expect("peeked at, and valid");
        self.position += (FRAME_HEADER_BYTES + payload_bytes) as u64;
        self.sequence = header.sequence + 1;
        self.epoch = header.epoch;
        &self.buffer[start..start + payload_bytes]
    }

    /// Whether an intact frame is the next one of this log.
    fn check(&self, header: FrameHeader) -> Result<FrameHeader, Invalid> {
        if header.installation != self.installation {
            return Err(Invalid::Installation);
        }
        if header.epoch < self.epoch {
            return Err(Invalid::Epoch(header.epoch));
        }
        // The very last u64 is refused because no entry could follow it.
        if header.sequence != self.sequence || header.sequence == u64::MAX {
            return Err(Invalid::Sequence(header.sequence));
        }
        Ok(header)
    }

    /// What stands behind the last frame of the log, up to the end of the file.
    pub(crate) fn behind(&self) -> Result<Behind, JournalError> {
        let end = self.bytes()?;
        let mut behind = Behind { was_durable: false, torn_until: self.position };
        let mut at = self.position;
        while at < end {
            // Frame headers may cross from one piece into the next.
            let piece = self.range(at, end.min(at + READ_BYTES as u64 + FRAME_HEADER_BYTES as u64 - 1))?;
            if at == self.position && piece.starts_with(&FRAME_MAGIC) && piece.len() < FRAME_HEADER_BYTES {
                // The file ends inside the header.
                behind.torn_until = end;
            }
            for found in memmem::find_iter(&piece, &FRAME_MAGIC).take_while(|found| *found < READ_BYTES) {
                if let Ok((header, payload_bytes)) = FrameHeader::peek(&piece[found..]) {
                    let frame = at + found as u64;
                    let frame_end = frame + (FRAME_HEADER_BYTES + payload_bytes) as u64;
                    self.look_at_later(&header, frame..frame_end.min(end), &mut behind)?;
                }
            }
            at += READ_BYTES as u64;
        }
        Ok(behind)
    }

    /// Takes note of what looks like a frame behind the end.
    fn look_at_later(
        &self,
        header: &FrameHeader,
        at: Range<u64>,
        behind: &mut Behind,
    ) -> Result<(), JournalError> {
        // The cheap tests first: a checksum over every "WBF1" in a payload would be slow. They fail for frames of the
        // file's former life and of earlier writers.
        let is_of_this_life = header.installation == self.installation
            && header.epoch >= self.epoch
            && header.sequence >= self.sequence;
        let is_here = at.start == self.position;
        if !is_of_this_life && !is_here {
            return Ok(());
        }
        let is_whole = FrameHeader::decode(&self.range(at.start, at.end)?).is_ok();
        // Here, one that is not whole was begun; what a former life left is whole, or does not begin here.
        let is_torn = if is_here { is_of_this_life || !is_whole } else { is_whole };
        if is_torn {
            behind.torn_until = behind.torn_until.max(at.end);
        }
        let is_later = header.sequence > self.sequence && header.committed > self.sequence;
        behind.was_durable |= is_of_this_life && is_whole && is_later && !is_here;
        Ok(())
    }

    /// Whether a later frame of this segment says that the entry expected here was durable once.
    ///
    /// Looks again only when there is reason to: a reader asks each time it finds nothing more.
    pub(crate) fn next_was_durable(&mut self) -> Result<bool, JournalError> {
        let here = self.range(self.position, self.position + FRAME_HEADER_BYTES as u64)?;
        let seems_begun = FrameHeader::peek(&here)
            .is_ok_and(|(header, _)| header.sequence == self.sequence && header.epoch >= self.epoch);
        let was_looked_at =
            self.looked_behind.as_ref().is_some_and(|(at, seen)| *at == self.position && *seen == here);
        if was_looked_at && !seems_begun {
            return Ok(false);
        }
        self.looked_behind = Some((self.position, here));
        Ok(self.behind()?.was_durable)
    }

    fn range(&self, from: u64, to: u64) -> Result<Vec<u8>, JournalError> {
        read_range(self.file.as_ref(), from, to).map_err(JournalError::io("read", &self.path))
    }

    /// Forgets what was read ahead: the writer may have completed it since.
    pub(crate) fn forget_ahead(&mut self) {
        self.filled = 0;
        self.buffer_position = self.position;
    }

    /// Tries to have `bytes` of the file ahead in the buffer; fewer are there only at the end of the file.
    fn fill(&mut self, bytes: usize) -> Result<(), JournalError> {
        if self.ahead().len() >= bytes {
            return Ok(());
        }
        let ahead = self.start()..self.filled;
        self.filled = ahead.len();
        self.buffer_position = self.position;
        if self.buffer.len() < bytes {
            let mut larger = vec![0; bytes.max(READ_BYTES)];
            larger[..ahead.len()].copy_from_slice(&self.buffer[ahead]);
            self.buffer = larger;
        } else {
            self.buffer.copy_within(ahead, 0);
        }
        while self.filled < bytes {
            let at = self.buffer_position + self.filled as u64;
            let read = self.file.read_at(&mut self.buffer[self.filled..], at);
            match read.map_err(JournalError::io("read", &self.path))? {
                0 => break,
                read => self.filled += read,
            }
        }
        Ok(())
    }

    /// Where the next frame begins in the buffer.
    fn start(&self) -> usize {
        usize::try_from(self.position - self.buffer_position).expect("the position is in the buffer")
    }

    fn ahead(&self) -> &[u8] {
        &self.buffer[self.start()..self.filled]
    }

    /// The length of the file now.
    pub(crate) fn bytes(&self) -> Result<u64, JournalError> {
        self.file.len().map_err(JournalError::io("read the length of", &self.path))
    }

    /// The error for an entry that should be here and is not.
    pub(crate) fn damaged(&self, reason: Invalid) -> JournalError {
        JournalError::Damaged {
            file: self.path.clone(),
            position: self.position,
            reason: format!("entry {} was stored here, but {reason}", self.sequence),
        }
    }

    pub(crate) fn base_offset(&self) -> u64 {
        self.base_offset
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(crate) fn installation(&self) -> Installation {
        self.installation
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The epoch of the next writer.
    pub(crate) fn next_epoch(&self) -> Result<u32, JournalError> {
        self.epoch.checked_add(1).ok_or_else(|| JournalError::Damaged {
            file: self.path.clone(),
            position: 0,
            reason: "its epoch is the last possible one, which no writer reaches".to_owned(),
        })
    }

    /// Goes on with the epoch of the segment before: frames of earlier writers do not count.
    pub(crate) fn raise_epoch(&mut self, epoch: u32) {
        self.epoch = self.epoch.max(epoch);
    }
}

/// The file's bytes from one position to another; fewer if the file ends before.
pub(crate) fn read_range(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(to.saturating_sub(from)).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut bytes[filled..], from + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
