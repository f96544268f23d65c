//! A follower: one file, read from its checkpoint on.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use watchbell_intake::{BEHIND_CUT_BYTES, Joiner, Redactor};
use watchbell_model::{
    BYTE_ORDER_MARK, Batch, Fingerprint, GroupName, LINE_BYTES_MAX, LogGroup, Loss, LossReason, Source,
    Timestamp,
};
use watchbell_parse::Timestamps;

use super::super::checkpoint::{Checkpoint, FileId};
use super::super::sources::{FileNow, SourceState};
use super::identity::{self, Likeness, Passed, is_beginning_of};
use super::lines::{Closed, Reading, Taken, take, take_beginning, take_joined};

/// Bytes that are read at once, and so the size of a batch; a longer line is read as a whole.
pub(super) const READ_BYTES_MAX: usize = 256 * 1024;

/// How long an unterminated last line must have been quiet before it is accepted, in milliseconds.
pub(super) const QUIET_MS: i64 = 1000;

/// How long a file that was moved away is still read after it last grew, in milliseconds: a program may go on writing
/// to it until it opens the new one.
pub(super) const MOVED_AWAY_MS: i64 = 5 * 60 * 1000;

/// What one look at a file gave.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// To be journaled; its range ends where the file has been read to now.
    pub(crate) batch: Option<Batch>,
    /// To be journaled after it.
    pub(crate) losses: Vec<Loss>,
    /// The file was truncated or rewritten; what had not been read may stand in a copy.
    pub(crate) truncated: Option<Truncated>,
    /// There is more to read at once.
    pub(crate) more: bool,
}

/// What was known of a file before it was truncated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Truncated {
    /// How far it had been read.
    pub(crate) before: Checkpoint,
    /// Bytes behind that which had been seen, and not read.
    pub(crate) unread_bytes: u64,
}

/// A file that is being followed.
pub(crate) struct Follower {
    pub(crate) group: GroupName,
    pub(crate) path: String,
    /// The same without symbolic links: changes may be told under this name.
    pub(crate) real_path: PathBuf,
    pub(crate) id: FileId,
    /// When the file came to be, as its file system says.
    pub(crate) born: SystemTime,
    /// Since when the path leads elsewhere.
    pub(crate) moved_away: Option<Timestamp>,
    /// Bytes that wait for their line end.
    pub(crate) rest_bytes: u64,
    /// Since when it has had unread bytes.
    behind_since: Option<Timestamp>,
    /// Why it could not be read when it was last looked at.
    pub(crate) error: Option<String>,
    file: File,
    timestamps: Timestamps,
    /// Puts lines together, and how long the last ones wait for more, in milliseconds.
    joiner: Option<(Joiner, i64)>,
    passed: Passed,
    /// The length when it was last looked at, or opened.
    length: u64,
    continued: bool,
    backfill_until: u64,
    /// When that was first seen.
    changed: Timestamp,
    /// How many names it has.
    links: u64,
    /// When the file was last written to, as its file system says; and whether it was so at the look before.
    modified: Option<SystemTime>,
    settled: bool,
    /// When it was first followed.
    first_at: Timestamp,
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
            id: identity::id(&metadata),
            born: identity::born(&metadata),
            moved_away: None,
            rest_bytes: 0,
            behind_since: None,
            error: None,
            links: metadata.nlink(),
            file,
            timestamps: timestamps(group),
            joiner: joiner(group),
            passed: Passed::NOTHING,
            length: metadata.len(),
            continued: false,
            backfill_until: 0,
            changed: now,
            modified: None,
            settled: false,
            first_at: now,
            scanned_to: 0,
            not_text: false,
        })
    }

    /// Goes on where `checkpoint` stands, if this is still the file it was made of.
    ///
    /// One that is shorter now is: the next look tells that it was truncated.
    pub(crate) fn resume(&mut self, checkpoint: &Checkpoint) -> io::Result<bool> {
        let same = passed(checkpoint).compare(&self.file)? != Likeness::Other;
        if same {
            self.go_on_from(checkpoint);
        }
        Ok(same)
    }

    /// Reads what a truncated file had, and nobody had read, from this copy of it; false if this is no copy.
    ///
    /// A copy that is older than the checkpoint is one as well: all of it has been read.
    pub(crate) fn resume_copy(&mut self, before: &Checkpoint) -> io::Result<bool> {
        match passed(before).compare(&self.file)? {
            Likeness::Other => return Ok(false),
            Likeness::Same => self.go_on_from(before),
            Likeness::Shorter => self.passed.reach(&self.file, self.length)?,
        }
        before.path.clone_into(&mut self.path);
        Ok(true)
    }

    fn go_on_from(&mut self, checkpoint: &Checkpoint) {
        self.passed = passed(checkpoint);
        self.first_at = checkpoint.first_at;
        self.continued = checkpoint.unterminated;
        self.backfill_until = checkpoint.backfill_until;
    }

    /// Whether `other` is a copy of this file, or of what this file was when it was last read, or becomes one.
    pub(crate) fn is_copied_by(&self, other: &Follower) -> io::Result<bool> {
        // In this order: by the time that the original is truncated, and compares no more, the copy is complete.
        if is_beginning_of(&other.file, other.length, &self.file)? {
            return Ok(true);
        }
        let is_alike =
            self.passed.beginning.bytes > 0 && self.passed.compare(&other.file)? != Likeness::Other;
        Ok(is_alike && !self.has_less_than(other)?)
    }

    /// Whether this file is as it was and shorter than `other`: then that one has lines of its own, however alike they begin.
    fn has_less_than(&self, other: &Follower) -> io::Result<bool> {
        let length = self.file.metadata()?.len();
        Ok(length < other.length && self.passed.compare(&self.file)? == Likeness::Same)
    }

    /// Whether nothing stands in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The length when it was last looked at, or opened.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Where it stands, to be resumed from.
    pub(crate) fn checkpoint(&self, now: Timestamp) -> Checkpoint {
        Checkpoint {
            group: self.group.clone(),
            path: self.path.clone(),
            fingerprint: self.passed.beginning,
            tail: self.passed.tail,
            end: self.passed.position,
            unterminated: self.continued,
            backfill_until: self.backfill_until,
            at: now,
            first_at: self.first_at,
        }
    }

    /// Everything that is there now counts as there before watching began. Gives a batch without events: it carries the
    /// mark, so that a crash in the middle of the old lines does not make the rest of them new.
    pub(crate) fn mark_backfill(&mut self) -> io::Result<Batch> {
        self.backfill_until = self.file.metadata()?.len();
        let mut beginning = Passed::NOTHING;
        beginning.reach(&self.file, self.backfill_until.min(u64::from(Fingerprint::BYTES_MAX)))?;
        self.passed.beginning = beginning.beginning;
        Ok(self.mark())
    }

    /// Skips what is there now. Gives a batch without events: it carries the checkpoint.
    pub(crate) fn skip_to_end(&mut self) -> io::Result<Batch> {
        let start = self.passed.position;
        self.passed.reach(&self.file, self.file.metadata()?.len())?;
        Ok(self.batch(Taken::default(), start..self.passed.position, true))
    }

    /// A batch without events that carries where it stands.
    pub(crate) fn mark(&self) -> Batch {
        self.batch(Taken::default(), self.passed.position..self.passed.position, true)
    }

    /// Follows the group's settings after a reload.
    pub(crate) fn reconfigure(&mut self, group: &LogGroup) {
        self.timestamps = timestamps(group);
        self.joiner = joiner(group);
    }

    /// Bytes that have not been handed over, as of the last look: not read yet, or waiting for their line end.
    pub(crate) fn unread_bytes(&self) -> u64 {
        if self.not_text { 0 } else { self.length.saturating_sub(self.passed.position) }
    }

    /// As others are told, `now`.
    pub(crate) fn tell(&mut self, now: Timestamp) -> FileNow {
        let unread_bytes = self.unread_bytes();
        self.behind_since = if unread_bytes == 0 { None } else { self.behind_since.or(Some(now)) };
        let reason = if self.not_text { Some("holds no text".to_owned()) } else { self.error.clone() };
        let state = match (&reason, self.moved_away, self.links) {
            (Some(_), ..) => SourceState::Error,
            (None, None, _) => SourceState::Following,
            (None, Some(_), 0) => SourceState::Deleted,
            (None, Some(_), _) => SourceState::Rotated,
        };
        let (path, behind_since) = (self.path.clone(), self.behind_since);
        FileNow { path, state, reason, unread_bytes, behind_since }
    }

    /// Whether everything has been read and nothing more can be expected.
    pub(crate) fn is_finished(&self, now: Timestamp) -> bool {
        let quiet_ms = now.ms_since(self.changed);
        self.moved_away.is_some_and(|since| now.ms_since(since) >= MOVED_AWAY_MS && quiet_ms >= MOVED_AWAY_MS)
            && self.rest_bytes == 0
    }

    /// Reads on, up to [`READ_BYTES_MAX`]. With `all` a rest without line end is taken at once.
    pub(crate) fn look(&mut self, now: Timestamp, all: bool, redactor: &Redactor) -> io::Result<Look> {
        let mut look = Look::default();
        let metadata = self.file.metadata()?;
        let length = metadata.len();
        self.links = metadata.nlink();
        let seen = std::mem::replace(&mut self.length, length);
        // A file may be rewritten to the length that was read. Clocks of file systems are coarse: what happens after this look
        // may bear the same time, so a time that is new is looked at twice.
        let modified = metadata.modified().ok();
        let may_be_rewritten = !self.settled || modified != self.modified;
        self.settled = modified == self.modified;
        self.modified = modified;
        if length != seen {
            self.changed = now;
        }
        let nothing_read = self.passed.position == 0 && length < seen;
        if length < self.passed.position
            || nothing_read
            || ((may_be_rewritten || length > self.passed.position)
                && self.passed.compare(&self.file)? != Likeness::Same)
        {
            look.truncated = Some(self.start_over(seen, now)?);
            look.more = true;
            return Ok(look);
        }
        if length < seen {
            // Only bytes that had been seen and not taken yet are gone.
            look.losses.push(self.loss(LossReason::Truncated, seen - length));
            self.scanned_to = self.passed.position;
            self.not_text = false;
        }
        if length == self.passed.position || self.is_not_text(&mut look)? {
            self.rest_bytes = 0;
            return Ok(look);
        }
        let closed = self.closed(all, now.ms_since(self.changed));
        let start = self.passed.position;
        let probe = Passed::probe(&self.file, start..length)?;
        let mut backfill = start < self.backfill_until;
        let mut taken = Taken::default();
        if backfill {
            // An event of several lines across the border is two.
            taken = self.take((now, redactor), self.backfill_until, Closed::AfterWholeLines)?;
        }
        if taken.bytes == 0 {
            // A line that began before watching did and ends after it is new.
            backfill &= length <= self.backfill_until;
            taken = self.take((now, redactor), length, closed)?;
        }
        self.rest_bytes = length - start - taken.bytes as u64;
        look.more = taken.bytes > 0 && self.rest_bytes > 0;
        if taken.bytes > 0 {
            let position = start + taken.bytes as u64;
            // Whatever can fail comes first: bytes are passed only together with their batch.
            let mut passed = self.passed;
            passed.reach(&self.file, position)?;
            // Rewritten in the middle of this: what was read, what it is known by and how long it was are of two files. The
            // length comes before the second probe: while that is as the first, nothing that was read is gone.
            if self.file.metadata()?.len() < length
                || self.passed.compare(&self.file)? != Likeness::Same
                || Passed::probe(&self.file, start..length)? != probe
            {
                return Ok(Look { more: true, ..Look::default() });
            }
            self.passed = passed;
            self.continued = taken.unterminated;
            self.scanned_to = position;
            if taken.cut_bytes > 0 {
                look.losses.push(self.loss(LossReason::LineTooLong, taken.cut_bytes));
            }
            look.batch = Some(self.batch(taken, start..position, backfill));
        }
        Ok(look)
    }

    /// What may be taken of a file that has been quiet for so long.
    fn closed(&self, all: bool, quiet_ms: i64) -> Closed {
        let joined_ms = self.joiner.as_ref().map_or(QUIET_MS, |(_, timeout_ms)| *timeout_ms);
        if all || quiet_ms >= QUIET_MS.max(joined_ms) {
            Closed::All
        } else if quiet_ms >= joined_ms {
            Closed::AfterWholeLines
        } else {
            Closed::ByTheNext
        }
    }

    /// Takes what is whole between the position and `length`.
    fn take(
        &mut self,
        (now, redactor): (Timestamp, &Redactor),
        length: u64,
        closed: Closed,
    ) -> io::Result<Taken> {
        let rest_too = closed == Closed::All;
        let timestamp = |line: &str| self.timestamps.of(line, now);
        let read = Reading { timestamp: &timestamp, redactor };
        for read_max in [READ_BYTES_MAX, LINE_BYTES_MAX + 2] {
            let mut buffer =
                self.read(self.passed.position..length.min(self.passed.position + read_max as u64))?;
            let to_the_end = self.passed.position + buffer.len() as u64 == length;
            let is_marked = self.passed.position == 0 && buffer.starts_with(BYTE_ORDER_MARK);
            let mark = if is_marked { BYTE_ORDER_MARK.len() } else { 0 };
            buffer.drain(..mark);
            let mut taken = match &self.joiner {
                None => take(buffer, self.continued, rest_too && to_the_end, &read),
                Some((joiner, _)) => {
                    // An event that is longer than what is held ends where it does not fit.
                    let full = read_max > READ_BYTES_MAX;
                    let closed = match (to_the_end, full) {
                        (true, _) => closed,
                        (false, true) => Closed::AfterWholeLines,
                        (false, false) => Closed::ByTheNext,
                    };
                    take_joined(&buffer, self.continued, closed, joiner, &read)
                }
            };
            if taken.bytes > 0 {
                taken.bytes += mark;
            }
            if taken.bytes > 0 || to_the_end {
                return Ok(taken);
            }
        }
        // The line is too long to be held: look for its end piece by piece.
        self.scanned_to = self.scanned_to.max(self.passed.position + LINE_BYTES_MAX as u64);
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
            Some(end) => (end - self.passed.position, 1),
            None if rest_too => (self.scanned_to - self.passed.position, 0),
            None => return Ok(Taken::default()),
        };
        // More than is kept, so that the cut finds the end of a character, and of what must not be stored.
        let held = line_bytes.min((LINE_BYTES_MAX + BEHIND_CUT_BYTES) as u64);
        let beginning = self.read(self.passed.position..self.passed.position + held)?;
        let mut taken = take_beginning(&beginning, line_bytes, self.continued, &read);
        taken.bytes = usize::try_from(line_bytes + line_end).unwrap_or(usize::MAX);
        taken.unterminated = end.is_none();
        Ok(taken)
    }

    fn batch(&self, taken: Taken, range: Range<u64>, backfill: bool) -> Batch {
        let source = Source::File {
            path: self.path.clone(),
            device: self.id.device,
            inode: self.id.inode,
            fingerprint: self.passed.beginning,
            tail: self.passed.tail,
            range,
            unterminated: taken.unterminated,
            backfill_until: self.backfill_until,
            dropped_bytes: taken.cut_bytes,
        };
        taken.events.build(self.group.clone(), self.path.clone(), source, backfill)
    }

    pub(crate) fn loss(&self, reason: LossReason, bytes: u64) -> Loss {
        let (group, stream) = (self.group.clone(), self.path.clone());
        Loss { group, stream, reason, bytes, shipped: None, times: 1 }
    }

    /// The file was truncated or rewritten; `seen` is the length it was last known to have. If it only lost its end, reading
    /// goes on at the new end, else at the beginning.
    fn start_over(&mut self, seen: u64, now: Timestamp) -> io::Result<Truncated> {
        let before = self.checkpoint(now);
        // Of a file that nothing had been read of, what is there now may be what was there before.
        let still_there = if before.end == 0 { self.length } else { before.end };
        let unread_bytes = seen.saturating_sub(still_there);
        let only_shortened =
            before.fingerprint.bytes > 0 && self.passed.compare(&self.file)? == Likeness::Shorter;
        self.passed = Passed::NOTHING;
        if only_shortened {
            self.passed.reach(&self.file, self.length)?;
        }
        self.continued = false;
        self.backfill_until = 0;
        self.scanned_to = 0;
        self.not_text = false;
        Ok(Truncated { before, unread_bytes })
    }

    /// Compressed and binary files are not followed; said once.
    fn is_not_text(&mut self, look: &mut Look) -> io::Result<bool> {
        if self.passed.position == 0 && !self.not_text {
            let beginning = self.read(0..u64::from(Fingerprint::BYTES_MAX))?;
            if is_binary(&beginning) {
                self.not_text = true;
                look.losses.push(self.loss(LossReason::NotText, 0));
            }
        }
        Ok(self.not_text)
    }

    /// The bytes of `range` that are there.
    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        identity::read(&self.file, range)
    }
}

/// What a checkpoint says has been passed.
fn passed(checkpoint: &Checkpoint) -> Passed {
    Passed { position: checkpoint.end, beginning: checkpoint.fingerprint, tail: checkpoint.tail }
}

/// A known compressed format, or NUL among bytes that are not UTF-8.
fn is_binary(beginning: &[u8]) -> bool {
    const COMPRESSED: [&[u8]; 8] = [
        b"\x1f\x8b",
        b"\x1f\x9d",
        b"\x28\xb5\x2f\xfd",
        b"BZh",
        b"\xfd7zXZ\0",
        b"PK\x03\x04",
        b"\x04\x22\x4d\x18",
        b"7z\xbc\xaf\x27\x1c",
    ];
    let is_text = match std::str::from_utf8(beginning) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(), // only the end is cut in the middle of a character
    };
    COMPRESSED.iter().any(|magic| beginning.starts_with(magic)) || (beginning.contains(&0) && !is_text)
}

/// What puts a group's lines together.
fn joiner(group: &LogGroup) -> Option<(Joiner, i64)> {
    let multiline = group.multiline.as_ref()?;
    Some((Joiner::new(multiline).expect("the plan was checked"), multiline.timeout_ms))
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
                multiline: None,
                retention_ms: None,
                inputs: watchbell_model::Inputs::default(),
            };
            let path = self.folder.path().join("a.log");
            Follower::open(&path, &GroupName::new("g").unwrap(), &group, Timestamp(self.now)).unwrap()
        }

        /// Texts of all events until nothing more comes, and losses.
        fn read(&self, follower: &mut Follower, all: bool) -> (Vec<String>, Vec<(LossReason, u64)>) {
            let (mut texts, mut losses) = (Vec::new(), Vec::new());
            loop {
                let look = follower.look(Timestamp(self.now), all, &Redactor::default()).unwrap();
                losses.extend(look.losses.iter().map(|loss| (loss.reason, loss.bytes)));
                let truncated = look.truncated.map(|it| (LossReason::Truncated, it.unread_bytes));
                losses.extend(truncated);
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
    fn a_byte_order_mark_belongs_to_no_line() {
        let fixture = Fixture::new();
        fixture.append("\u{feff}one\n\u{feff}two\n".as_bytes());
        let mut follower = fixture.open();
        assert_eq!(fixture.read(&mut follower, false).0, ["one", "\u{feff}two"]);
        fixture.append(b"three\n");
        assert_eq!(fixture.read(&mut follower, false).0, ["three"], "all of it has been passed");
    }

    #[test]
    fn a_file_that_lost_only_its_end_is_not_read_twice() {
        let fixture = Fixture::new();
        // What identifies a file must still stand there.
        let head = b"a line\n".repeat(200);
        fixture.append(&head);
        fixture.append(b"two\n");
        let mut follower = fixture.open();
        let first = follower.look(Timestamp(0), false, &Redactor::default()).unwrap();
        assert!(first.batch.is_some());
        fixture.rewrite(&head);
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
        assert_eq!(fixture.read(&mut follower, false).1, [(LossReason::Truncated, 3_600_000)]);
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
        let first = follower.look(Timestamp(0), false, &Redactor::default()).unwrap().batch.unwrap();
        let second = follower.look(Timestamp(0), false, &Redactor::default()).unwrap().batch.unwrap();
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
        let old = again.look(Timestamp(0), false, &Redactor::default()).unwrap().batch.unwrap();
        let new = again.look(Timestamp(0), false, &Redactor::default()).unwrap().batch.unwrap();
        assert_eq!((old.backfill, old.len(), new.backfill, new.len()), (true, 2, false, 1));
    }

    #[test]
    fn a_file_that_was_rewritten_behind_the_same_head_is_read_again() {
        let fixture = Fixture::new();
        let head = b"# the same head in every file\n".repeat(40);
        fixture.append(&[head.as_slice(), b"one\ntwo\n"].concat());
        let mut follower = fixture.open();
        fixture.read(&mut follower, false);
        let kept = follower.checkpoint(Timestamp(0));
        fixture.rewrite(&[head.as_slice(), b"six\nten\nmore\n"].concat());
        let (texts, losses) = fixture.read(&mut follower, false);
        assert_eq!(
            (&texts[40..], losses),
            (&["six", "ten", "more"].map(str::to_owned)[..], vec![(LossReason::Truncated, 0)])
        );
        assert!(!fixture.open().resume(&kept).unwrap(), "nor is it taken for the old one after a restart");
    }

    #[test]
    fn a_file_that_was_rewritten_to_the_same_length_is_read_again() {
        let fixture = Fixture::new();
        fixture.append(b"one\n");
        let mut follower = fixture.open();
        assert_eq!(fixture.read(&mut follower, false).0, ["one"]);
        fixture.rewrite(b"two\n");
        let again = (vec!["two".to_owned()], vec![(LossReason::Truncated, 0)]);
        assert_eq!(fixture.read(&mut follower, false), again);
    }

    #[test]
    fn what_was_seen_and_not_read_is_the_known_part_of_a_truncation() {
        let fixture = Fixture::new();
        fixture.append(b"one\nhalf a line");
        let mut follower = fixture.open();
        assert_eq!(fixture.read(&mut follower, false).0, ["one"]);
        fixture.rewrite(b"one\nhalf");
        assert_eq!(fixture.read(&mut follower, false), (vec![], vec![(LossReason::Truncated, 7)]));
        fixture.rewrite(b"");
        assert_eq!(fixture.read(&mut follower, false), (vec![], vec![(LossReason::Truncated, 4)]));
    }

    #[test]
    fn a_copy_goes_on_where_the_original_was_left_and_one_that_is_older_has_nothing_new() {
        let fixture = Fixture::new();
        fixture.append(b"one\ntwo\n");
        let mut follower = fixture.open();
        fixture.read(&mut follower, false);
        let before = follower.checkpoint(Timestamp(0));
        for (content, is_copy, rest) in [
            (&b"one\ntwo\nthree\nfour\n"[..], true, &["three", "four"][..]),
            (b"one\ntwo\n", true, &[]),
            (b"one\nTWO\nthree\n", false, &[]),
            (b"one\n", false, &[]),
        ] {
            fixture.rewrite(content);
            let mut copy = fixture.open();
            assert_eq!(copy.resume_copy(&before).unwrap(), is_copy);
            if is_copy {
                assert_eq!(fixture.read(&mut copy, false).0, rest);
            }
        }
        let long = b"a line of a long file\n".repeat(100);
        fixture.rewrite(&long);
        let mut follower = fixture.open();
        fixture.read(&mut follower, false);
        fixture.rewrite(&long[..1100]);
        let mut older = fixture.open();
        assert!(older.resume_copy(&follower.checkpoint(Timestamp(0))).unwrap());
        assert_eq!(fixture.read(&mut older, true).0, [""; 0]);
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
