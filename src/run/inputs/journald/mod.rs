//! Entries of the system's journal, which `journalctl` follows for us.
//!
//! The cursor of the last entry stands in each batch, and batches are in the order of the entries: wherever a crash cuts
//! our journal, reading goes on behind its last batch, so nothing is lost and nothing comes twice. An entry is stored as its
//! message; its unit is the log stream, its priority the severity, and the time is that of the system's journal.

mod entry;

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use watchbell_intake::stream_name;
use watchbell_model::{
    self as model, Batch, BatchBuilder, GroupName, LossReason, OTHER, Source, StartAt, Taken, Timestamp,
};

use self::entry::{Entry, Line};
use super::pipe::{Stop, Woken, read};
use super::{Hands, Reading};
use crate::run::cursors::{Cursor, Cursors};
use crate::run::sources::SourceState;

/// The name of the input among the sources.
const NAME: &str = "journald";

/// Bytes that are read, and journaled, at a time.
const READ_BYTES: usize = 256 * 1024;

/// Longest entry that is read, in bytes of JSON; a longer one is dropped and counted.
const ENTRY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Log streams of one log group since the start; entries of further units go to the stream `(other)`.
const UNITS_MAX: usize = 1000;

/// How long to wait until `journalctl` is started again: first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// What is kept of what `journalctl` says on standard error, in bytes.
const COMPLAINT_BYTES_MAX: usize = 1024;

/// Follows the system's journal for one log group.
pub(super) struct Journald {
    group: GroupName,
    settings: model::Journald,
    start: StartAt,
    cursor: Option<String>,
    backfill_until: Timestamp,
    hands: Hands,
    stop: Stop,
    units: BTreeSet<String>,
    /// Bytes that are in no batch yet.
    next: Taken,
}

/// Why reading ended.
enum Ended {
    /// It was told to stop.
    Stopped,
    /// `journalctl` ended; whether anything had come of it, and what it said.
    Child { had_entries: bool, reason: String },
}

impl Journald {
    pub(super) fn new(
        group: GroupName,
        settings: model::Journald,
        start: StartAt,
        cursors: &Cursors,
        hands: Hands,
        stop: Stop,
    ) -> Journald {
        let (cursor, backfill_until) = match cursors.get(&group) {
            Some(Cursor { cursor, backfill_until }) => (Some(cursor.clone()), *backfill_until),
            None => (None, hands.clock.now()),
        };
        Journald {
            group,
            settings,
            start,
            cursor,
            backfill_until,
            hands,
            stop,
            units: BTreeSet::new(),
            next: Taken::default(),
        }
    }

    /// Follows until it is told to stop.
    pub(super) fn run(mut self) {
        let (first, most) = AGAIN;
        let mut again = first;
        let mut told = String::new();
        loop {
            let ended = self.skip_to_end().and_then(|()| self.follow());
            let (had_entries, reason) = match ended {
                Ok(Ended::Stopped) => return,
                Ok(Ended::Child { had_entries, reason }) => (had_entries, reason),
                Err(error) => (false, format!("{}: {error}", self.settings.command)),
            };
            if had_entries {
                again = first;
            }
            if told != reason {
                tracing::error!(log_group = %self.group, reason, "the system's journal is not read; will try again");
            }
            self.hands.tell(&self.group, NAME, SourceState::Error, Some(reason.clone()));
            told = reason;
            if self.stop.sleep(again) {
                return;
            }
            again = (again * 2).min(most);
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.settings.command);
        // Without --all a long field is null.
        command.args(["--output=json", "--all", "--quiet"]);
        command.args(self.settings.units.iter().map(|unit| format!("--unit={unit}")));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// With `start = "end"`, and before anything was read: journals where the end is now, so that what comes while the
    /// process is stopped is not skipped as well.
    fn skip_to_end(&mut self) -> io::Result<()> {
        if self.start == StartAt::Beginning || self.cursor.is_some() {
            return Ok(());
        }
        let output = self.command().arg("--lines=1").output()?;
        let (Line::Entry(Entry { cursor, .. }) | Line::WithoutMessage(cursor)) = Line::read(&output.stdout)
        else {
            // It is empty: all that comes is new.
            return Ok(());
        };
        self.cursor = Some(cursor);
        let mark = self.batch(NAME.to_owned(), BatchBuilder::default(), Taken::default(), true);
        // If it is not taken the process is at its end, and the next start marks anew.
        self.hands.hand_over_replayable(mark.into_iter().collect());
        Ok(())
    }

    fn follow(&mut self) -> io::Result<Ended> {
        let mut command = self.command();
        command.args(["--follow", "--no-tail"]);
        command.args(self.cursor.iter().map(|cursor| format!("--after-cursor={cursor}")));
        let mut child = command.spawn()?;
        self.hands.tell(&self.group, NAME, SourceState::Following, None);
        let read = self.read_from(&mut child);
        // It has ended, or is no more needed.
        let _ = child.kill();
        let status = child.wait()?;
        let Some((had_entries, complaint)) = read? else { return Ok(Ended::Stopped) };
        let complaint = complaint.trim();
        let said = if complaint.is_empty() { String::new() } else { format!(": {complaint}") };
        let reason = format!("{} ended with {status}{said}", self.settings.command);
        Ok(Ended::Child { had_entries, reason })
    }

    /// Reads until the child has nothing more: whether it had entries, and what it complained of; or until it is time to
    /// stop: nothing.
    fn read_from(&mut self, child: &mut Child) -> io::Result<Option<(bool, String)>> {
        let mut out = child.stdout.take().expect("it is piped");
        let mut err = child.stderr.take().expect("it is piped");
        let (mut buffer, mut complaint, mut had_entries, mut err_ended) =
            (Vec::new(), Vec::new(), false, false);
        // Bytes of an entry that is too long.
        let mut skipped = None;
        loop {
            let woken = if err_ended {
                self.stop.wait(&[&out], None)?
            } else {
                self.stop.wait(&[&out, &err], None)?
            };
            match woken {
                // What of an entry has come is read again after the next start.
                Woken::Stopped => return Ok(None),
                Woken::Ready(1) => {
                    err_ended = read(&mut err, &mut complaint, COMPLAINT_BYTES_MAX)? == 0;
                    complaint.truncate(COMPLAINT_BYTES_MAX);
                }
                Woken::Ready(_) | Woken::Quiet => {
                    if read(&mut out, &mut buffer, READ_BYTES)? == 0 {
                        // What it has not said by now it said before it ended.
                        let _ = err.take(COMPLAINT_BYTES_MAX as u64).read_to_end(&mut complaint);
                        return Ok(Some((had_entries, String::from_utf8_lossy(&complaint).into_owned())));
                    }
                    if !self.take(&mut buffer, &mut skipped) {
                        return Ok(None);
                    }
                    had_entries = true;
                }
            }
        }
    }

    /// Journals the whole lines of `buffer`; false if our journal does not take them, and takes nothing more.
    fn take(&mut self, buffer: &mut Vec<u8>, skipped: &mut Option<u64>) -> bool {
        let Some(end) = memchr::memrchr(b'\n', buffer) else {
            if skipped.is_some() || buffer.len() > ENTRY_BYTES_MAX {
                *skipped.get_or_insert(0) += buffer.len() as u64;
                buffer.clear();
            }
            return true;
        };
        let rest = buffer.split_off(end + 1);
        let mut lines = buffer.as_slice();
        let mut round = Round::default();
        if let Some(bytes) = skipped.take() {
            let end = memchr::memchr(b'\n', lines).expect("there is a line end") + 1;
            self.next.bytes += bytes + end as u64;
            self.next.drop_bytes(LossReason::LineTooLong, bytes + end as u64);
            lines = &lines[end..];
        }
        let reading = self.hands.settings.of(&self.group);
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            self.next.bytes += line.len() as u64;
            match Line::read(line) {
                Line::Entry(entry) => self.add(&mut round, &reading, entry),
                Line::WithoutMessage(cursor) => {
                    self.next.drop_bytes(LossReason::Unreadable, line.len() as u64);
                    self.close(&mut round);
                    self.cursor = Some(cursor);
                }
                Line::Unreadable => self.next.drop_bytes(LossReason::Unreadable, line.len() as u64),
            }
        }
        self.close(&mut round);
        if self.next.bytes > 0 && self.cursor.is_some() {
            // What was no entry belongs to no unit.
            let taken = std::mem::take(&mut self.next);
            round.batches.extend(self.batch(NAME.to_owned(), BatchBuilder::default(), taken, false));
        }
        *buffer = rest;
        self.hands.hand_over_replayable(round.batches)
    }

    fn add(&mut self, round: &mut Round, reading: &Reading, entry: Entry) {
        let Entry { cursor, time, severity, unit, message } = entry;
        let (stream, backfill) = (self.stream(&unit), time < self.backfill_until);
        if round.open.as_ref().is_none_or(|open| (&open.stream, open.backfill) != (&stream, backfill)) {
            self.close(round);
            let (events, taken) = Default::default();
            round.open = Some(Open { stream, backfill, events, taken });
        }
        let Some(open) = &mut round.open else { unreachable!("it was just opened") };
        let kept = reading.redactor.kept(&message);
        let bytes = std::mem::take(&mut self.next);
        open.taken.bytes += bytes.bytes;
        for (reason, bytes) in bytes.dropped_bytes {
            open.taken.drop_bytes(reason, bytes);
        }
        open.taken.drop_bytes(LossReason::LineTooLong, kept.dropped_bytes as u64);
        let timestamp = reading.timestamps.of(&kept.text, time).unwrap_or(time);
        open.events.push(&kept.text, Some(timestamp), kept.flags);
        if let Some(severity) = severity {
            open.events.grave(severity);
        }
        self.cursor = Some(cursor);
    }

    /// Ends the batch of one unit.
    fn close(&mut self, round: &mut Round) {
        if let Some(Open { stream, backfill, events, taken }) = round.open.take() {
            round.batches.extend(self.batch(stream, events, taken, backfill));
        }
    }

    /// A batch up to the cursor; none before the first entry.
    fn batch(&self, stream: String, events: BatchBuilder, taken: Taken, backfill: bool) -> Option<Batch> {
        let (cursor, backfill_until) = (self.cursor.clone()?, self.backfill_until);
        let source = Source::Journald { cursor, backfill_until, taken };
        Some(events.build(self.group.clone(), stream, source, backfill))
    }

    /// The log stream of a unit.
    fn stream(&mut self, unit: &str) -> String {
        let stream = stream_name(unit);
        if self.units.contains(&stream) {
            return stream;
        }
        if self.units.len() >= UNITS_MAX {
            return OTHER.to_owned();
        }
        self.hands.tell(&self.group, &stream, SourceState::Following, None);
        self.units.insert(stream.clone());
        stream
    }
}

/// What is made of what was read at once.
#[derive(Default)]
struct Round {
    batches: Vec<Batch>,
    /// The batch that is being put together.
    open: Option<Open>,
}

struct Open {
    stream: String,
    backfill: bool,
    events: BatchBuilder,
    taken: Taken,
}
