//! A follower: one file, read from its checkpoint on.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use watchbell_model::{
    Batch, Fingerprint, GroupName, LINE_BYTES_MAX, LogGroup, Loss, LossReason, Source, Timestamp,
};
use watchbell_parse::Timestamps;

use super::super::checkpoint::{Checkpoint, FileId};
use super::lines::{Taken, take, take_beginning};

/// Bytes that are read at once, and so the size of a batch; a longer line is read as a whole.
pub(super) const READ_BYTES_MAX: usize = 256 * 1024;

/// How long an unterminated last line must have been quiet before it is accepted, in milliseconds.
pub(super) const QUIET_MS: i64 = 1000;

/// How long a file that was moved away is still read after it last grew, in milliseconds: a program may go on writing
/// to it until it opens the new one.
pub(super) const MOVED_AWAY_MS: i64 = 5 * 60 * 1000;

/// The fingerprint of no bytes at all.
const NOTHING_SEEN: Fingerprint = Fingerprint { bytes: 0, hash: 0xe3b0_c442_98fc_1c14 };

/// What one look at a file gave.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// To be journaled; its range ends where the file has been read to now.
    pub(crate) batch: Option<Batch>,
    /// To be journaled after it.
    pub(crate) losses: Vec<Loss>,
    /// There is more to read at once.
    pub(crate) more: bool,
}

/// A file that is being followed.
pub(crate) struct Follower {
    pub(crate) group: GroupName,
    pub(crate) path: String,
    /// The same without symbolic links: changes may be told under this name.
    pub(crate) real_path: PathBuf,
    pub(crate) id: FileId,
    /// Since when the path leads elsewhere.
    pub(crate) moved_away: Option<Timestamp>,
    /// Bytes that wait for their line end.
    pub(crate) rest_bytes: u64,
    file: File,
    timestamps: Timestamps,
    fingerprint: Fingerprint,
    /// The length when it was last looked at, or opened.
    length: u64,
    position: u64,
    continued: bool,
    backfill_until: u64,
    /// The length last seen, and when it was first seen.
    seen: (u64, Timestamp),
    /// How far a line that is too long has been looked through for its end.
    scanned_to: u64,
    not_text: bool,
}

impl Follower {
    /// Opens a file that was never seen: it is read from its beginning.
    pub(crate) fn open(
        path: &Path,
        name: &GroupName,
        group: &LogGroup,
        now: Timestamp,
    ) -> io::Result<Follower> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok(Follower {
            group: name.clone(),
            path: path.to_string_lossy().into_owned(),
            real_path: path.canonicalize()?,
            id: FileId { device: metadata.dev(), inode: metadata.ino() },
            moved_away: None,
            rest_bytes: 0,
            file,
            timestamps: timestamps(group),
            fingerprint: NOTHING_SEEN,
            length: metadata.len(),
            position: 0,
            continued: false,
            backfill_until: 0,
            seen: (0, now),
            scanned_to: 0,
            not_text: false,
        })
    }

    /// Goes on where `checkpoint` stands, if this is still the file it was made of.
    pub(crate) fn resume(&mut self, checkpoint: &Checkpoint) -> io::Result<bool> {
        let same = self.begins_like(checkpoint.fingerprint)?;
        if same {
            self.fingerprint = checkpoint.fingerprint;
            self.position = checkpoint.end;
            self.continued = checkpoint.unterminated;
            self.backfill_until = checkpoint.backfill_until;
        }
        Ok(same)
    }

    /// Where it stands, to be resumed from.
    pub(crate) fn checkpoint(&self, now: Timestamp) -> Checkpoint {
        Checkpoint {
            group: self.group.clone(),
            path: self.path.clone(),
            fingerprint: self.fingerprint,
            end: self.position,
            unterminated: self.continued,
            backfill_until: self.backfill_until,
            at: now,
        }
    }

    /// Everything that is there now counts as there before watching began. Gives a batch without events: it carries the
    /// mark, so that a crash in the middle of the old lines does not make the rest of them new.
    pub(crate) fn mark_backfill(&mut self) -> io::Result<Batch> {
        self.backfill_until = self.file.metadata()?.len();
        self.fingerprint = self.fingerprint_up_to(self.backfill_until)?;
        Ok(self.batch(Taken::default(), self.position..self.position, true))
    }

    /// Skips what is there now. Gives a batch without events: it carries the checkpoint.
    pub(crate) fn skip_to_end(&mut self) -> io::Result<Batch> {
        let start = self.position;
        self.position = self.file.metadata()?.len();
        self.fingerprint = self.fingerprint_up_to(self.position)?;
        Ok(self.batch(Taken::default(), start..self.position, true))
    }

    /// Follows the group's settings after a reload.
    pub(crate) fn reconfigure(&mut self, group: &LogGroup) {
        self.timestamps = timestamps(group);
    }

    /// Bytes that have not been handed over, as of the last look: not read yet, or waiting for their line end.
    pub(crate) fn unread_bytes(&self) -> u64 {
        if self.not_text { 0 } else { self.length.saturating_sub(self.position) }
    }

    /// Whether everything has been read and nothing more can be expected.
    pub(crate) fn is_finished(&self, now: Timestamp) -> bool {
        let quiet_ms = now.ms_since(self.seen.1);
        self.moved_away.is_some_and(|since| now.ms_since(since) >= MOVED_AWAY_MS && quiet_ms >= MOVED_AWAY_MS)
            && self.rest_bytes == 0
    }

    /// Reads on, up to [`READ_BYTES_MAX`]. With `all` a rest without line end is taken at once.
    pub(crate) fn look(&mut self, now: Timestamp, all: bool) -> io::Result<Look> {
        let mut look = Look::default();
        let length = self.file.metadata()?.len();
        self.length = length;
        let shrunk = length < self.seen.0;
        if length != self.seen.0 {
            self.seen = (length, now);
        }
        if length < self.position || (length > self.position && !self.begins_like(self.fingerprint)?) {
            look.losses.push(self.loss(LossReason::Truncated, 0));
            self.start_over(length)?;
        } else if shrunk {
            // Only bytes that had been seen and not taken yet are gone.
            look.losses.push(self.loss(LossReason::Truncated, 0));
            self.scanned_to = self.position;
        }
        if length == self.position || self.is_not_text(&mut look)? {
            self.rest_bytes = 0;
            return Ok(look);
        }
        let rest_too = all || now.ms_since(self.seen.1) >= QUIET_MS;
        let start = self.position;
        let mut backfill = start < self.backfill_until;
        let mut taken = Taken::default();
        if backfill {
            taken = self.take(now, self.backfill_until, false)?;
        }
        if taken.bytes == 0 {
            // A line that began before watching did and ends after it is new.
            backfill &= length <= self.backfill_until;
            taken = self.take(now, length, rest_too)?;
        }
        self.rest_bytes = length - start - taken.bytes as u64;
        look.more = taken.bytes > 0 && self.rest_bytes > 0;
        if taken.bytes > 0 {
            let position = start + taken.bytes as u64;
            // Whatever can fail comes first: bytes are passed only together with their batch.
            self.fingerprint = self.fingerprint_up_to(position)?;
            self.position = position;
            self.continued = taken.unterminated;
            self.scanned_to = position;
            if taken.cut_bytes > 0 {
                look.losses.push(self.loss(LossReason::LineTooLong, taken.cut_bytes));
            }
            look.batch = Some(self.batch(taken, start..self.position, backfill));
        }
        Ok(look)
    }

    /// Takes what is whole between the position and `length`.
    fn take(&mut self, now: Timestamp, length: u64, rest_too: bool) -> io::Result<Taken> {
        let timestamp = |line: &str| self.timestamps.of(line, now);
        for read_max in [READ_BYTES_MAX, LINE_BYTES_MAX + 2] {
            let buffer = self.read(self.position..length.min(self.position + read_max as u64))?;
            let to_the_end = self.position + buffer.len() as u64 == length;
            let taken = take(buffer, self.continued, rest_too && to_the_end, &timestamp);
            if taken.bytes > 0 || to_the_end {
                return Ok(taken);
            }
        }
        // The line is too long to be held: look for its end piece by piece.
        self.scanned_to = self.scanned_to.max(self.position + LINE_BYTES_MAX as u64);
        let mut end = None;
        while end.is_none() && self.scanned_to < length {
            let piece = self.read(self.scanned_to..length.min(self.scanned_to + READ_BYTES_MAX as u64))?;
            if piece.is_empty() {
                break;
            }
            end = memchr::memchr(b'\n', &piece).map(|at| self.scanned_to + at as u64);
            self.scanned_to += piece.len() as u64;
        }
        let (line_bytes, line_end) = match end {
            Some(end) => (end - self.position, 1),
            None if rest_too => (self.scanned_to - self.position, 0),
            None => return Ok(Taken::default()),
        };
        // A character more than is kept, so that the cut finds the end of one.
        let held = line_bytes.min(LINE_BYTES_MAX as u64 + 4);
        let beginning = self.read(self.position..self.position + held)?;
        let mut taken = take_beginning(&beginning, line_bytes, self.continued, &timestamp);
        taken.bytes = usize::try_from(line_bytes + line_end).unwrap_or(usize::MAX);
        taken.unterminated = end.is_none();
        Ok(taken)
    }

    fn batch(&self, taken: Taken, range: Range<u64>, backfill: bool) -> Batch {
        let source = Source::File {
            path: self.path.clone(),
            device: self.id.device,
            inode: self.id.inode,
            fingerprint: self.fingerprint,
            range,
            unterminated: taken.unterminated,
            backfill_until: self.backfill_until,
        };
        taken.events.build(self.group.clone(), self.path.clone(), source, backfill)
    }

    pub(crate) fn loss(&self, reason: LossReason, bytes: u64) -> Loss {
        Loss { group: self.group.clone(), stream: self.path.clone(), reason, bytes }
    }

    /// The file was truncated or rewritten. If its beginning is the one we know, it was only shortened.
    fn start_over(&mut self, length: u64) -> io::Result<()> {
        let shortened = self.fingerprint.bytes > 0 && self.begins_like(self.fingerprint)?;
        if shortened {
            self.position = length;
        } else {
            self.position = 0;
            self.fingerprint = NOTHING_SEEN;
        }
        self.continued = false;
        self.backfill_until = 0;
        self.scanned_to = 0;
        self.not_text = false;
        Ok(())
    }

    /// Compressed and binary files are not followed; said once.
    fn is_not_text(&mut self, look: &mut Look) -> io::Result<bool> {
        if self.position == 0 && !self.not_text {
            let beginning = self.read(0..u64::from(Fingerprint::BYTES_MAX))?;
            if is_binary(&beginning) {
                self.not_text = true;
                look.losses.push(self.loss(LossReason::NotText, 0));
            }
        }
        Ok(self.not_text)
    }

    fn begins_like(&self, fingerprint: Fingerprint) -> io::Result<bool> {
        let beginning = self.read(0..u64::from(fingerprint.bytes))?;
        Ok(beginning.len() == fingerprint.bytes as usize && hash(&beginning) == fingerprint.hash)
    }

    fn fingerprint_up_to(&self, position: u64) -> io::Result<Fingerprint> {
        let wanted = position.min(u64::from(Fingerprint::BYTES_MAX));
        if u64::from(self.fingerprint.bytes) >= wanted {
            return Ok(self.fingerprint);
        }
        let beginning = self.read(0..wanted)?;
        let bytes = u32::try_from(beginning.len()).unwrap_or(Fingerprint::BYTES_MAX);
        Ok(Fingerprint { bytes, hash: hash(&beginning) })
    }

    /// The bytes of `range` that are there.
    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let bytes = range.end.saturating_sub(range.start);
        let mut buffer = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        let mut file = &self.file;
        file.seek(SeekFrom::Start(range.start))?;
        file.take(bytes).read_to_end(&mut buffer)?;
        Ok(buffer)
    }
}

/// The first eight bytes of the SHA-256, big-endian.
fn hash(bytes: &[u8]) -> u64 {
    let digest = digest(&SHA256, bytes);
    u64::from_be_bytes(digest.as_ref()[..8].try_into().expect("SHA-256 has 32 bytes"))
}

/// A known compressed format, or NUL among bytes that are not UTF-8.
fn is_binary(beginning: &[u8]) -> bool {
    const COMPRESSED: [&[u8]; 4] = [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\0"];
    let is_text = match std::str::from_utf8(beginning) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(), // only the end is cut in the middle of a character
    };
    COMPRESSED.iter().any(|magic| beginning.starts_with(magic)) || (beginning.contains(&0) && !is_text)
}

/// What finds the times of a group's lines.
fn timestamps(group: &LogGroup) -> Timestamps {
    Timestamps::new(group.parse, &group.timestamp).expect("the plan was checked")
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;

    use watchbell_model::{ParseKind, StartAt, TimestampFrom};

    use super::*;

    struct Fixture {
        folder: tempfile::TempDir,
        now: i64,
    }

    impl Fixture {
        fn new() -> Fixture {
            Fixture { folder: tempfile::tempdir().unwrap(), now: 0 }
        }

        fn append(&self, bytes: &[u8]) {
            let path = self.folder.path().join("a.log");
            OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(bytes).unwrap();
        }

        fn rewrite(&self, bytes: &[u8]) {
            std::fs::write(self.folder.path().join("a.log"), bytes).unwrap();
        }

        fn open(&self) -> Follower {
            let group = LogGroup {
                files: vec![],
                app: "a".into(),
                parse: ParseKind::Plain,
                timestamp: TimestampFrom::Arrival,
                lateness_ms: 0,
                start: StartAt::Beginning,
            };
            let path = self.folder.path().join("a.log");
            Follower::open(&path, &GroupName::new("g").unwrap(), &group, Timestamp(self.now)).unwrap()
        }

        /// Texts of all events until nothing more comes, and losses.
        fn read(&self, follower: &mut Follower, all: bool) -> (Vec<String>, Vec<(LossReason, u64)>) {
            let (mut texts, mut losses) = (Vec::new(), Vec::new());
            loop {
                let look = follower.look(Timestamp(self.now), all).unwrap();
                losses.extend(look.losses.iter().map(|loss| (loss.reason, loss.bytes)));
                texts.extend(look.batch.iter().flat_map(Batch::events).map(|event| event.message.to_owned()));
                if !look.more {
                    return (texts, losses);
                }
            }
        }
    }

    #[test]
    fn lines_come_once_and_an_unfinished_one_waits_for_its_end_or_for_quiet() {
        let mut fixture = Fixture::new();
        fixture.append(b"one\ntw");
        let mut follower = fixture.open();
        assert_eq!(fixture.read(&mut follower, false).0, ["one"]);
        fixture.append(b"o\nthr");
        assert_eq!(fixture.read(&mut follower, false).0, ["two"]);
        fixture.now += QUIET_MS;
        assert_eq!(fixture.read(&mut follower, false).0, ["thr"]);
        assert_eq!(fixture.read(&mut follower, false).0, [""; 0]);
        fixture.append(b"ee\nfour\n");
        assert_eq!(fixture.read(&mut follower, false).0, ["ee", "four"]);
    }

    #[test]
    fn a_checkpoint_resumes_the_same_file_only() {
        let fixture = Fixture::new();
        fixture.append(b"one\ntwo\n");
        let mut follower = fixture.open();
        fixture.read(&mut follower, false);
        let kept = follower.checkpoint(Timestamp(0));
        fixture.append(b"three\n");
        let mut again = fixture.open();
        assert!(again.resume(&kept).unwrap());
        assert_eq!(fixture.read(&mut again, false).0, ["three"]);
        fixture.rewrite(b"other\ncontent\nthat is longer\n");
        let mut other = fixture.open();
        assert!(!other.resume(&kept).unwrap());
        assert_eq!(fixture.read(&mut other, false).0, ["other", "content", "that is longer"]);
    }

    #[test]
    fn truncation_is_noticed_also_when_the_file_has_grown_again() {
        let fixture = Fixture::new();
        fixture.append(b"one\ntwo\n");
        let mut follower = fixture.open();
        fixture.read(&mut follower, false);
        fixture.rewrite(b"");
        assert_eq!(fixture.read(&mut follower, false).1, [(LossReason::Truncated, 0)]);
        fixture.append(b"three\n");
        assert_eq!(fixture.read(&mut follower, false), (vec!["three".into()], vec![]));
        fixture.rewrite(b"four and more than before\n");
        assert_eq!(
            fixture.read(&mut follower, false),
            (vec!["four and more than before".into()], vec![(LossReason::Truncated, 0)])
        );
    }

    #[test]
    fn a_file_that_lost_only_its_end_is_not_read_twice() {
        let fixture = Fixture::new();
        fixture.append(b"one\ntwo\n");
        let mut follower = fixture.open();
        let first = follower.look(Timestamp(0), false).unwrap();
        assert!(first.batch.is_some());
        follower.fingerprint = Fingerprint { bytes: 4, hash: hash(b"one\n") };
        fixture.rewrite(b"one\n");
        assert_eq!(fixture.read(&mut follower, false), (vec![], vec![(LossReason::Truncated, 0)]));
        fixture.append(b"three\n");
        assert_eq!(fixture.read(&mut follower, false).0, ["three"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_counted_and_its_neighbours_are_whole() {
        let fixture = Fixture::new();
        fixture.append(b"before\n");
        fixture.append(&vec![b'x'; 20_000_000]);
        let mut follower = fixture.open();
        assert_eq!(fixture.read(&mut follower, false).0, ["before"]);
        fixture.append(b"xx\nafter\n");
        let (texts, losses) = fixture.read(&mut follower, false);
        assert_eq!(texts.iter().map(String::len).collect::<Vec<_>>(), [LINE_BYTES_MAX, 5]);
        assert_eq!(losses, [(LossReason::LineTooLong, 20_000_002 - LINE_BYTES_MAX as u64)]);
    }

    #[test]
    fn an_endless_line_that_shrinks_is_looked_through_again() {
        let mut fixture = Fixture::new();
        fixture.append(&vec![b'x'; 5_600_000]);
        let mut follower = fixture.open();
        assert_eq!(fixture.read(&mut follower, false), (vec![], vec![]));
        fixture.rewrite(&vec![b'x'; 2_000_000]);
        assert_eq!(fixture.read(&mut follower, false).1, [(LossReason::Truncated, 0)]);
        fixture.now += QUIET_MS;
        let (texts, losses) = fixture.read(&mut follower, false);
        assert_eq!(texts.iter().map(String::len).collect::<Vec<_>>(), [LINE_BYTES_MAX]);
        assert_eq!(losses, [(LossReason::LineTooLong, 2_000_000 - LINE_BYTES_MAX as u64)]);
        fixture.append(b"\nnext\n");
        assert_eq!(fixture.read(&mut follower, false).0, ["next"]);
    }

    #[test]
    fn a_line_one_byte_over_the_limit_is_cut_and_the_next_one_is_whole() {
        for over in 1..6 {
            let fixture = Fixture::new();
            fixture.append(&vec![b'x'; LINE_BYTES_MAX + over]);
            fixture.append(b"\nnext\n");
            let mut follower = fixture.open();
            let (texts, losses) = fixture.read(&mut follower, false);
            assert_eq!(texts.iter().map(String::len).collect::<Vec<_>>(), [LINE_BYTES_MAX, 4], "{over}");
            assert_eq!(losses, [(LossReason::LineTooLong, over as u64)]);
        }
    }

    #[test]
    fn an_endless_line_is_taken_on_drain() {
        let fixture = Fixture::new();
        fixture.append(&vec![b'x'; 3_000_000]);
        let mut follower = fixture.open();
        let (texts, losses) = fixture.read(&mut follower, true);
        assert_eq!(texts.len(), 1);
        assert_eq!(losses, [(LossReason::LineTooLong, 3_000_000 - LINE_BYTES_MAX as u64)]);
        fixture.append(b"end\n");
        assert_eq!(fixture.read(&mut follower, true).0, ["end"]);
    }

    #[test]
    fn binary_and_compressed_files_are_refused_once() {
        for content in [&b"\x1f\x8b\x08\x00text"[..], b"\x7fELF\x02\x01\0\0\xff\xfe", b"BZh9"] {
            let fixture = Fixture::new();
            fixture.append(content);
            let mut follower = fixture.open();
            assert_eq!(fixture.read(&mut follower, true), (vec![], vec![(LossReason::NotText, 0)]));
            assert_eq!(fixture.read(&mut follower, true), (vec![], vec![]));
        }
        assert!(!is_binary("text with NUL \0 and \u{e9}".as_bytes()));
        assert!(!is_binary(b"latin-1 \xe9t\xe9"));
        assert!(!is_binary(&"\u{20ac}".as_bytes()[..2]));
    }

    #[test]
    fn what_was_there_before_is_backfill_and_a_line_across_the_border_is_new() {
        let fixture = Fixture::new();
        fixture.append(b"old 1\nold 2\nhalf");
        let mut follower = fixture.open();
        follower.mark_backfill().unwrap();
        fixture.append(b" new\nnew 2\n");
        let first = follower.look(Timestamp(0), false).unwrap().batch.unwrap();
        let second = follower.look(Timestamp(0), false).unwrap().batch.unwrap();
        assert_eq!((first.backfill, first.len()), (true, 2));
        assert_eq!((second.backfill, second.event(0).message), (false, "half new"));
        assert_eq!(second.len(), 2);
    }

    #[test]
    fn what_was_there_before_stays_backfill_after_a_crash() {
        let fixture = Fixture::new();
        fixture.append(b"old 1\nold 2\n");
        let mut follower = fixture.open();
        assert!(follower.mark_backfill().unwrap().is_empty());
        let mut again = fixture.open();
        assert!(again.resume(&follower.checkpoint(Timestamp(0))).unwrap());
        fixture.append(b"new\n");
        let old = again.look(Timestamp(0), false).unwrap().batch.unwrap();
        let new = again.look(Timestamp(0), false).unwrap().batch.unwrap();
        assert_eq!((old.backfill, old.len(), new.backfill, new.len()), (true, 2, false, 1));
    }

    #[test]
    fn the_fingerprint_of_nothing_is_the_hash_of_nothing() {
        assert_eq!(NOTHING_SEEN.hash, hash(b""));
    }

    #[test]
    fn skipping_to_the_end_leaves_a_checkpoint() {
        let fixture = Fixture::new();
        fixture.append(b"old\n");
        let mut follower = fixture.open();
        let batch = follower.skip_to_end().unwrap();
        assert!(batch.is_empty());
        let mut again = fixture.open();
        assert!(again.resume(&follower.checkpoint(Timestamp(0))).unwrap());
        fixture.append(b"new\n");
        assert_eq!(fixture.read(&mut again, false).0, ["new"]);
    }
}
