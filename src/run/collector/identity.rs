//! What tells one file from another: device, inode, how it begins, and what stands before the place that was reached.
//!
//! An inode alone says nothing: it is given to the next file as soon as the last one is gone.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use ring::digest::{SHA256, digest};
use rustix::buffer::spare_capacity;
use watchbell_model::Fingerprint;

use super::super::checkpoint::FileId;

/// The fingerprint of no bytes at all.
const NOTHING: Fingerprint = Fingerprint { bytes: 0, hash: 0xe3b0_c442_98fc_1c14 };

/// What of a file has been passed: everything before `position`, and what it looked like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) position: u64,
    /// The first bytes of the file, at most [`Fingerprint::BYTES_MAX`]; those behind `position` only if they were old.
    pub(super) beginning: Fingerprint,
    /// The last bytes before `position`, once there are more than `beginning` has; `None` also if nobody looked.
    pub(super) tail: Option<Fingerprint>,
}

/// How a file compares to what was passed of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// It has the same bytes.
    Same,
    /// It begins alike and ends before the position.
    Shorter,
    /// It holds something else.
    Other,
}

impl Passed {
    /// A file of which nothing has been read.
    pub(super) const NOTHING: Passed = Passed { position: 0, beginning: NOTHING, tail: None };

    /// What has been passed of `file` when everything before `position` has.
    ///
    /// # Errors
    /// Also if the file is shorter than that by now.
    pub(super) fn reach(&mut self, file: &File, position: u64) -> io::Result<()> {
        let max = u64::from(Fingerprint::BYTES_MAX);
        let wanted = position.min(max);
        // Whatever can fail comes first: all of it or nothing.
        let beginning = if u64::from(self.beginning.bytes) >= wanted {
            self.beginning
        } else {
            fingerprint(&read_whole(file, 0..wanted)?)
        };
        let tail = match position.checked_sub(max) {
            None | Some(0) => None,
            Some(start) => Some(fingerprint(&read_whole(file, start..position)?)),
        };
        *self = Passed { position, beginning, tail };
        Ok(())
    }

    /// What stands at the beginning of `range`, as far as a fingerprint goes.
    pub(super) fn probe(file: &File, range: Range<u64>) -> io::Result<Fingerprint> {
        let end = range.end.min(range.start + u64::from(Fingerprint::BYTES_MAX));
        Ok(fingerprint(&read(file, range.start..end)?))
    }

    /// Whether `file` is the one that this was passed of, as far as its bytes tell.
    pub(super) fn compare(&self, file: &File) -> io::Result<Likeness> {
        let has = |range: Range<u64>, known: Fingerprint| -> io::Result<bool> {
            let bytes = read(file, range)?;
            Ok(bytes.len() == known.bytes as usize && fingerprint(&bytes) == known)
        };
        if !has(0..u64::from(self.beginning.bytes), self.beginning)? {
            return Ok(Likeness::Other);
        }
        if file.metadata()?.len() < self.position {
            return Ok(Likeness::Shorter);
        }
        let same = match self.tail {
            None => true,
            Some(tail) => has(self.position - u64::from(tail.bytes)..self.position, tail)?,
        };
        Ok(if same { Likeness::Same } else { Likeness::Other })
    }
}

/// Whether `copy`, which has `length` bytes, begins and ends like the first `length` bytes of `original`.
pub(super) fn is_beginning_of(copy: &File, length: u64, original: &File) -> io::Result<bool> {
    let max = u64::from(Fingerprint::BYTES_MAX);
    for range in [0..length.min(max), length.saturating_sub(max)..length] {
        let wanted = read(copy, range.clone())?;
        if wanted.len() as u64 != range.end - range.start || wanted != read(original, range)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Device and inode.
pub(super) fn id(metadata: &Metadata) -> FileId {
    FileId { device: metadata.dev(), inode: metadata.ino() }
}

/// When the file came to be; where the file system does not know, when it was last written.
pub(super) fn born(metadata: &Metadata) -> SystemTime {
    metadata.created().or_else(|_| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The bytes of `range` that are there.
pub(super) fn read(file: &File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let bytes = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
    // Not zeroed first: that would be a tenth of what reading costs.
    let mut buffer = Vec::with_capacity(bytes);
    while buffer.len() < bytes {
        let position = range.start + buffer.len() as u64;
        match rustix::io::pread(file, spare_capacity(&mut buffer), position) {
            Ok(0) => break,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    buffer.truncate(bytes);
    Ok(buffer)
}

fn read_whole(file: &File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let wanted = range.end - range.start;
    let bytes = read(file, range)?;
    if bytes.len() as u64 == wanted {
        return Ok(bytes);
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read"))
}

/// The first eight bytes of the SHA-256, big-endian.
fn fingerprint(bytes: &[u8]) -> Fingerprint {
    let digest = digest(&SHA256, bytes);
    let hash = u64::from_be_bytes(digest.as_ref()[..8].try_into().expect("SHA-256 has 32 bytes"));
    Fingerprint { bytes: u32::try_from(bytes.len()).expect("at most BYTES_MAX are hashed"), hash }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    fn file(content: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(content, 0).unwrap();
        file
    }

    fn passed(file: &File, position: u64) -> Passed {
        let mut passed = Passed::NOTHING;
        passed.reach(file, position).unwrap();
        passed
    }

    #[test]
    fn the_fingerprint_of_nothing_is_the_hash_of_nothing() {
        assert_eq!(NOTHING, fingerprint(b""));
    }

    #[test]
    fn a_file_is_told_from_another_by_its_beginning_and_by_what_stands_before_the_position() {
        let lines: Vec<u8> = (0..500).flat_map(|i| format!("line {i}\n").into_bytes()).collect();
        let end = lines.len() as u64;
        for position in [1, 7, 1023, 1024, 1025, 3000, end] {
            let passed = passed(&file(&lines), position);
            assert_eq!(passed.compare(&file(&lines)).unwrap(), Likeness::Same, "{position}");
            let grown = [lines.as_slice(), b"more\n"].concat();
            assert_eq!(passed.compare(&file(&grown)).unwrap(), Likeness::Same);
            let mut other = lines.clone();
            other[0] = b'L';
            assert_eq!(passed.compare(&file(&other)).unwrap(), Likeness::Other);
            let mut other = lines.clone();
            other[usize::try_from(position).unwrap() - 1] ^= 1;
            assert_eq!(passed.compare(&file(&other)).unwrap(), Likeness::Other, "{position}");
        }
        let all = passed(&file(&lines), end);
        assert_eq!(all.compare(&file(&lines[..2000])).unwrap(), Likeness::Shorter);
        assert_eq!(all.compare(&file(&lines[..100])).unwrap(), Likeness::Other);
    }

    #[test]
    fn the_fingerprint_of_a_small_file_grows_with_it() {
        let small = passed(&file(b"one\ntwo\n"), 4);
        assert_eq!((small.beginning.bytes, small.tail), (4, None));
        let mut grown = small;
        grown.reach(&file(b"one\ntwo\n"), 8).unwrap();
        assert_eq!(grown.beginning.bytes, 8);
        assert_eq!(grown.compare(&file(b"one\nTWO\n")).unwrap(), Likeness::Other);
        assert_eq!(small.compare(&file(b"one\nTWO\n")).unwrap(), Likeness::Same);
    }

    #[test]
    fn a_position_behind_the_end_is_not_reached() {
        let mut passed = Passed::NOTHING;
        assert!(passed.reach(&file(b"abc"), 4).is_err());
        assert_eq!(passed, Passed::NOTHING);
    }

    #[test]
    fn a_copy_in_the_making_is_a_beginning_of_its_original() {
        let lines: Vec<u8> = (0..500).flat_map(|i| format!("line {i}\n").into_bytes()).collect();
        for length in [1, 1000, 2000, lines.len()] {
            let copy = file(&lines[..length]);
            assert!(is_beginning_of(&copy, length as u64, &file(&lines)).unwrap());
            assert!(!is_beginning_of(&copy, length as u64, &file(&lines[..length - 1])).unwrap());
            assert!(!is_beginning_of(&copy, length as u64, &file(&lines[1..])).unwrap());
        }
    }
}
