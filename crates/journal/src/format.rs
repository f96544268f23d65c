//! The bytes on disk: journal format, version 1.
//!
//! A journal is a folder of segment files named `<base offset, 20 digits>.segment`, a file `lock`, and the files of
//! `spare.rs`. All numbers are little-endian.
//!
//! **Segment file**: a file header, then frames back to back. It holds the entries from its base offset up to
//! the next segment's base offset. The header is durable, and so is the file's name, before the first frame
//! is written; everything in a segment is durable before the next segment is created. A file may have been a segment
//! before, or be made of zeros: what stands behind the last frame does not count.
//!
//! | file header, bytes | field |
//! | --- | --- |
//! | 0..24 | format name, `watchbell-journal`, padded with zeros |
//! | 24..28 | version, u32 |
//! | 28..32 | zero |
//! | 32..40 | installation id |
//! | 40..48 | base offset, u64: the sequence of the first frame |
//! | 48..52 | epoch, u32: of the writer that made the file |
//! | 52..60 | zero |
//! | 60..64 | CRC32C of bytes 0..60 |
//!
//! Name, version and checksum keep their places in every later version, so that an old release can name the
//! version it would need. A segment holds frames of one version: a newer writer begins a new segment.
//!
//! | frame header, bytes | field |
//! | --- | --- |
//! | 0..4 | `WBF1`: format name and version |
//! | 4..8 | payload length, u32, at most [`PAYLOAD_BYTES_MAX`] |
//! | 8..12 | CRC32C of bytes 0..8, 12..56 and the payload |
//! | 12..14 | kind, u16: the caller's |
//! | 14..16 | flags, u16: the caller's |
//! | 16..24 | installation id |
//! | 24..28 | epoch, u32: one more at every open for writing |
//! | 28..32 | zero |
//! | 32..40 | sequence, u64: the entry's offset; dense |
//! | 40..48 | committed, u64: every entry below it was durable when this frame was written |
//! | 48..56 | time, i64, milliseconds since 1970: the caller's |
//! | 56.. | payload |
//!
//! All frames that wait for the same sync carry the same `committed`: the sequence of the first of them.
//!
//! **End of the log**: the first frame whose magic, length, checksum or installation is wrong, whose sequence
//! is not the previous one plus 1, or whose epoch is below the previous one. Frames of a file's former life have
//! sequences below its base, so they never count. A segment that is not the last ends where the next one begins.
//!
//! **Torn or damaged?** An invalid frame where entry *k* is expected, in the last segment, is a write that was
//! never acknowledged, unless a valid frame after it (epoch not below, sequence above *k*) says
//! `committed` > *k*: then *k* was durable, and this is damage. Before the base of the next segment it is always damage.
//! Damage that only touches the very last write cannot be told from a torn write. A torn write is overwritten with
//! zeros, up to the last frame of it, before anything else is written.

use std::fmt;

use crc32c::{crc32c, crc32c_append};

/// The version this release writes, and the newest it reads.
pub const VERSION: u32 = 1;
/// Length of the header of a segment file.
pub const FILE_HEADER_BYTES: usize = 64;
/// Length of the header of a frame.
pub const FRAME_HEADER_BYTES: usize = 56;
/// The largest payload of an entry, in bytes. It bounds what a reader must hold in memory.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;

const FILE_NAME: &[u8; 24] = b"watchbell-journal\0\0\0\0\0\0\0";
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"WBF1";

/// The random identity of a data folder.
pub type Installation = [u8; 8];

/// The header of a segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileHeader {
    /// The data folder the file belongs to.
    pub installation: Installation,
    /// The sequence of the first frame.
    pub base_offset: u64,
    /// The epoch of the writer that made the file.
    pub epoch: u32,
}

/// Why a file header cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadFileHeader {
    /// Too short, another format, or the checksum differs.
    Unreadable,
    /// Intact, but of a version this release does not know.
    OtherVersion(u32),
}

impl FileHeader {
    /// The header as it stands at the beginning of a segment file.
    pub fn encode(&self) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = [0; FILE_HEADER_BYTES];
        bytes[0..24].copy_from_slice(FILE_NAME);
        bytes[24..28].copy_from_slice(&VERSION.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.installation);
        bytes[40..48].copy_from_slice(&self.base_offset.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.epoch.to_le_bytes());
        let checksum = crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads the header at the beginning of `bytes`.
    ///
    /// # Errors
    /// [`BadFileHeader`]; the version is only believed when the checksum holds.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadFileHeader> {
        let Some(bytes) = bytes.first_chunk::<FILE_HEADER_BYTES>() else {
            return Err(BadFileHeader::Unreadable);
        };
        if bytes[0..24] != *FILE_NAME || u32::from_le_bytes(array(bytes, 60)) != crc32c(&bytes[..60]) {
            return Err(BadFileHeader::Unreadable);
        }
        match u32::from_le_bytes(array(bytes, 24)) {
            VERSION => Ok(Self {
                installation: array(bytes, 32),
                base_offset: u64::from_le_bytes(array(bytes, 40)),
                epoch: u32::from_le_bytes(array(bytes, 48)),
            }),
            other => Err(BadFileHeader::OtherVersion(other)),
        }
    }
}

/// The header of a frame, without magic, length and checksum, which follow from the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// What kind of entry this is; the journal does not look at it.
    pub kind: u16,
    /// The caller's flags; the journal does not look at them.
    pub flags: u16,
    /// The data folder the frame belongs to.
    pub installation: Installation,
    /// The epoch of the writer.
    pub epoch: u32,
    /// The entry's offset.
    pub sequence: u64,
    /// Every entry with an offset below this was durable when the frame was written.
    pub committed: u64,
    /// Milliseconds since 1970, as the caller gave them.
    pub time_ms: i64,
}

/// Why the bytes at some place are not the next frame of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    /// Nothing stands here: the file ends, or holds only the zeros that it was made of.
    End,
    /// The file ends inside the frame.
    Short,
    /// No frame begins here.
    Magic,
    /// The length is over the limit.
    Length(u32),
    /// Header or payload are not as they were written.
    Checksum,
    /// A frame of another data folder.
    Installation,
    /// A frame of an earlier writer, left from before.
    Epoch(u32),
    /// A frame with another offset.
    Sequence(u64),
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("nothing stands here"),
            Self::Short => f.write_str("the file ends inside the frame"),
            Self::Magic => f.write_str("no frame begins here"),
            Self::Length(bytes) => write!(f, "the frame's length of {bytes} bytes is over the limit"),
            Self::Checksum => f.write_str("the checksum differs"),
            Self::Installation => f.write_str("the frame belongs to another installation"),
            Self::Epoch(epoch) => write!(f, "the frame is from the earlier epoch {epoch}"),
            Self::Sequence(sequence) => write!(f, "the frame holds entry {sequence}"),
        }
    }
}

impl FrameHeader {
    /// Appends the frame of this header and `payload` to `bytes`.
    ///
    /// `payload` must not be longer than [`PAYLOAD_BYTES_MAX`].
    pub fn encode(&self, payload: &[u8], bytes: &mut Vec<u8>) {
        self.encode_beginning(payload, &[], bytes);
    }

    /// The same for a payload in two pieces, of which the second is not appended.
    pub(crate) fn encode_beginning(&self, payload: &[u8], rest: &[u8], bytes: &mut Vec<u8>) {
        let payload_bytes = u32::try_from(payload.len() + rest.len()).expect("a payload is at most 16 MiB");
        let mut header = [0; FRAME_HEADER_BYTES];
        header[0..4].copy_from_slice(&FRAME_MAGIC);
        header[4..8].copy_from_slice(&payload_bytes.to_le_bytes());
        header[12..14].copy_from_slice(&self.kind.to_le_bytes());
        header[14..16].copy_from_slice(&self.flags.to_le_bytes());
        header[16..24].copy_from_slice(&self.installation);
        header[24..28].copy_from_slice(&self.epoch.to_le_bytes());
        header[32..40].copy_from_slice(&self.sequence.to_le_bytes());
        header[40..48].copy_from_slice(&self.committed.to_le_bytes());
        header[48..56].copy_from_slice(&self.time_ms.to_le_bytes());
        let checksum = crc32c_append(checksum(&header, payload), rest);
        header[8..12].copy_from_slice(&checksum.to_le_bytes());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(payload);
    }

    /// Reads the header at the beginning of `bytes` without checking the checksum; also gives the length of
    /// the payload that follows.
    ///
    /// # Errors
    /// [`Invalid::Short`], [`Invalid::Magic`] or [`Invalid::Length`].
    pub fn peek(bytes: &[u8]) -> Result<(Self, usize), Invalid> {
        let bytes = bytes.first_chunk::<FRAME_HEADER_BYTES>().ok_or(Invalid::Short)?;
        if array::<4>(bytes, 0) != FRAME_MAGIC {
            return Err(Invalid::Magic);
        }
        let payload_bytes = u32::from_le_bytes(array(bytes, 4));
        if payload_bytes as usize > PAYLOAD_BYTES_MAX {
            return Err(Invalid::Length(payload_bytes));
        }
        let header = Self {
            kind: u16::from_le_bytes(array(bytes, 12)),
            flags: u16::from_le_bytes(array(bytes, 14)),
            installation: array(bytes, 16),
            epoch: u32::from_le_bytes(array(bytes, 24)),
            sequence: u64::from_le_bytes(array(bytes, 32)),
            committed: u64::from_le_bytes(array(bytes, 40)),
            time_ms: i64::from_le_bytes(array(bytes, 48)),
        };
        Ok((header, payload_bytes as usize))
    }

    /// Reads the whole frame at the beginning of `bytes`, with its payload.
    ///
    /// # Errors
    /// As [`FrameHeader::peek`], and [`Invalid::Checksum`]. Whether the frame is the next one of a log is for
    /// the reader of that log to say.
    pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), Invalid> {
        let (header, payload_bytes) = Self::peek(bytes)?;
        let (head, rest) = bytes.split_at(FRAME_HEADER_BYTES);
        let payload = rest.get(..payload_bytes).ok_or(Invalid::Short)?;
        if u32::from_le_bytes(array(head, 8)) != checksum(head, payload) {
            return Err(Invalid::Checksum);
        }
        Ok((header, payload))
    }
}

/// The checksum of a frame: all of its header except the checksum's own place, then the payload.
fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    crc32c_append(crc32c_append(crc32c(&header[..8]), &header[12..]), payload)
}

/// The `N` bytes at `at`; the callers' places are constants inside the header.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a slice of N bytes")
}
