//! The first and the last lines of a file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use watchbell_model::{BYTE_ORDER_MARK, Kept, Timestamp, without_end};

/// Bytes that are read from either end of a file.
pub(crate) const PIECE_BYTES: u64 = 1024 * 1024;

/// Lines of one file, without the empty ones.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) path: PathBuf,
    /// The user named the file, not only its folder.
    pub(crate) named: bool,
    /// When the file was last written to: no line arrived later, which tells the year of times without one.
    pub(crate) written: Timestamp,
    pub(crate) lines: Vec<String>,
    /// Lines are missing before the one with this number, from 0; `None`: every line of the file is here.
    pub(crate) gap: Option<usize>,
}

/// Why a file is of no use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Skipped {
    #[error("it is compressed; `watchbell up` follows files that grow")]
    Compressed,
    #[error("it is not text")]
    Binary,
    #[error("it has no lines yet")]
    Empty,
    #[error("no line ends in its first or last MiB")]
    LongLine,
    #[error("it does not look like a log; name the file itself if it is one")]
    NoLog,
}

impl Sample {
    /// Reads both ends of the file.
    pub(crate) fn read(path: &Path, named: bool) -> io::Result<Result<Sample, Skipped>> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        let length = metadata.len();
        let since = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let written = Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        let mut head = Vec::new();
        (&mut file).take(PIECE_BYTES).read_to_end(&mut head)?;
        if head.is_empty() {
            return Ok(Err(Skipped::Empty));
        }
        if is_compressed(&head) {
            return Ok(Err(Skipped::Compressed));
        }
        if head.contains(&0) {
            return Ok(Err(Skipped::Binary));
        }
        let mut lines = Vec::new();
        let whole = length <= PIECE_BYTES;
        // A byte order mark belongs to no line.
        let head = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&head);
        take(head, whole, &mut lines);
        let gap = (!whole).then_some(lines.len());
        if !whole {
            let mut tail = Vec::new();
            file.seek(SeekFrom::Start(length.saturating_sub(PIECE_BYTES).max(PIECE_BYTES)))?;
            file.take(PIECE_BYTES).read_to_end(&mut tail)?;
            // The first line began before it.
            let start = memchr::memchr(b'\n', &tail).map_or(tail.len(), |end| end + 1);
            take(&tail[start..], true, &mut lines);
        }
        let sample = Sample { path: path.to_owned(), named, written, lines, gap };
        Ok(match sample.lines.is_empty() {
            false => Ok(sample),
            true if whole => Err(Skipped::Empty),
            true => Err(Skipped::LongLine),
        })
    }
}

impl Sample {
    /// The lines, in runs without gaps.
    pub(crate) fn pieces(&self) -> [&[String]; 2] {
        let (head, tail) = self.lines.split_at(self.gap.unwrap_or(self.lines.len()));
        [head, tail]
    }
}

/// The lines of a piece; the last one may be cut unless the piece ends where the file does.
fn take(piece: &[u8], to_the_end: bool, lines: &mut Vec<String>) {
    for line in piece.split_inclusive(|byte| *byte == b'\n') {
        let text = Kept::of(without_end(line)).text;
        if !text.trim().is_empty() && (to_the_end || line.ends_with(b"\n")) {
            lines.push(text.into_owned());
        }
    }
}

/// gzip, bzip2, xz and zstd, by their first bytes.
fn is_compressed(head: &[u8]) -> bool {
    let magics: [&[u8]; 4] = [b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"];
    magics.iter().any(|magic| head.starts_with(magic))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Sample, Skipped> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        std::fs::write(&path, bytes).unwrap();
        Sample::read(&path, true).unwrap()
    }

    #[test]
    fn lines_without_ends_and_blanks_are_kept() {
        let sample = read(b"one\r\n\n  \ntwo \xff\nthree").unwrap();
        assert_eq!(sample.lines, ["one", "two \u{fffd}", "three"]);
        assert_eq!(sample.gap, None);
        assert_eq!(read(b"\xef\xbb\xbf2026-11-22\n").unwrap().lines, ["2026-11-22"]);
    }

    #[test]
    fn of_a_long_file_both_ends_are_read_and_no_cut_line() {
        let lines: Vec<String> = (0..400_000).map(|number| format!("line {number:>6}")).collect();
        let sample = read(lines.join("\n").as_bytes()).unwrap();
        let [head, tail] = sample.pieces();
        assert!(!head.is_empty() && !tail.is_empty());
        assert_eq!(sample.lines.first().unwrap(), &lines[0]);
        assert_eq!(sample.lines.last(), lines.last());
        assert!(sample.lines.iter().all(|line| line.len() == lines[0].len()));
        let mut found = sample.lines.clone();
        found.dedup();
        assert_eq!(found.len(), sample.lines.len(), "no line is there twice");
    }

    #[test]
    fn what_is_no_text_is_said() {
        assert_eq!(read(b"\x1f\x8b\x08abc").unwrap_err(), Skipped::Compressed);
        assert_eq!(read(b"a\0b\n").unwrap_err(), Skipped::Binary);
        assert_eq!(read(b"").unwrap_err(), Skipped::Empty);
        assert_eq!(read(b"\n\n").unwrap_err(), Skipped::Empty);
        assert_eq!(read(&vec![b'a'; 3_000_000]).unwrap_err(), Skipped::LongLine);
    }
}
