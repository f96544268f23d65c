//! One segment file, read frame by frame.
//!
//! [`Frames`] says what stands at the next place: a frame of this log, or why not. Whether "why not" is the
//! end of the log or damage is for `recovery` (on open) and `reader` (while a writer runs) to say.

use std::io;
use std::path::{Path, PathBuf};

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
        if self.ahead().is_empty() {
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

    /// Whether a later frame of this segment says that the entry expected here was durable once.
    pub(crate) fn next_was_durable(&self) -> Result<bool, JournalError> {
        let rest = read_range(self.file.as_ref(), self.position, self.bytes()?)
            .map_err(JournalError::io("read", &self.path))?;
        let proves = |at: usize| match FrameHeader::peek(&rest[at..]) {
            // The cheap tests first: a checksum over every "WBF1" in a payload would be slow.
            Ok((header, _)) => {
                header.installation == self.installation
                    && header.epoch >= self.epoch
                    && header.sequence > self.sequence
                    && header.committed > self.sequence
                    && FrameHeader::decode(&rest[at..]).is_ok()
            }
            Err(_) => false,
        };
        let last = rest.len().saturating_sub(FRAME_HEADER_BYTES - 1);
        Ok((0..last).any(|at| rest[at..].starts_with(&FRAME_MAGIC) && proves(at)))
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
