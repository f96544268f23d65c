//! The journal's bound: says what of the journal is to go, waits until nobody needs it, and lets it go.
//!
//! Promise: nothing goes before the entry that says so is on disk; what recovery, the archive and queues need stays. If
//! the journal is as large as it may become and nothing may go, no line is taken until something may.
//! Not here: how a segment goes (`watchbell_journal::Upkeep::release`), who archives (`archiver`), who expires the
//! messages of queues (`broker`). They see what is to go in the [`Goal`].

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use watchbell_functions::queue::Releasing;
use watchbell_journal::{Disk, JournalError, Readers, SegmentFile, Upkeep};
use watchbell_model::{Entry, InstallationId, JournalBound, Offset, Release, ReleaseReason, Timestamp};

use super::clock::Clock;
use super::fold::SharedFold;
use super::snapshot::{Good, SnapshotError};
use super::writer::Writer;

/// Segments go before the journal is as large as it may become, by this part of it: so there is time to archive them.
const SLACK_PART: u64 = 8;

/// And by so many segments at least.
const SLACK_SEGMENTS: u64 = 2;

/// Text of dead letters that one queue keeps when their entries go, as a part of the journal's size.
const COPIED_PART: u64 = 16;

/// How long after a look at the ages of segments the next one is, in milliseconds.
const LOOK_AT_AGES_MS: i64 = 60_000;

/// How long after a snapshot was asked for it is asked for again, in milliseconds, if it did not come.
const ASK_FOR_SNAPSHOT_AGAIN_MS: i64 = 10_000;

/// What is to go; the others make it possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal {
    /// Entries before this one are to be archived now.
    pub archived: Offset,
    /// Messages of queues in these are to be expired, and dead letters copied: nobody else needs them.
    pub queues: Releasing,
}

impl Goal {
    /// Nothing is to go.
    pub const NOTHING: Goal = Goal { archived: Offset(0), queues: Releasing::NOTHING };
}

/// Who still needs what is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Archive,
    Snapshot,
    Queues,
}

impl Need {
    /// What the log and answers say.
    fn reason(self) -> &'static str {
        match self {
            Need::Archive => "its oldest entries are not archived yet",
            Need::Snapshot => "no snapshot covers its oldest entries yet",
            Need::Queues => "queues still hold messages in its oldest entries",
        }
    }
}

/// Why nothing could be let go this time; it is tried again.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error("the journal takes nothing more")]
    Stopping,
}

/// Keeps the journal within its bound. Beside the writer, on the upkeep thread.
pub(super) struct Bound {
    /// Lets segments go.
    pub upkeep: Upkeep,
    /// Reads how old they are.
    pub readers: Readers,
    /// Knows the bound and who needs what.
    pub fold: SharedFold,
    /// Takes the entry that says so.
    pub writer: Writer,
    /// Tells how old is too old.
    pub clock: Arc<dyn Clock>,
    /// Where snapshots are.
    pub disk: Arc<dyn Disk>,
    /// Their folder.
    pub snapshots: PathBuf,
    /// Whose they are.
    pub installation: InstallationId,
    /// Tells the others.
    pub goal: watch::Sender<Goal>,
    /// What was seen at the last look.
    pub seen: Seen,
}

/// What [`Bound`] remembers from one look to the next.
#[derive(Default)]
pub(super) struct Seen {
    /// Segments begun, the bound, and when ages were looked at; nothing is to be done as long as these stand.
    idle: Option<(u64, JournalBound, Timestamp)>,
    good: Good,
    /// The newest snapshot when another one was asked for, and when that was.
    asked_for_snapshot: Option<(Option<Offset>, Timestamp)>,
    troubled: bool,
}

/// What is to go.
struct Wanted {
    before: Offset,
    reason: ReleaseReason,
}

impl Bound {
    /// Looks whether something is to go, and lets it go if it may. Never waits for anybody but the disk.
    pub(super) fn look(&mut self) {
        match self.let_go() {
            Ok(()) => self.seen.troubled = false,
            Err(Trouble::Stopping) => {}
            Err(trouble) => {
                if !self.seen.troubled {
                    tracing::error!(%trouble, "nothing of the journal could be let go; will try again");
                }
                self.seen.troubled = true;
            }
        }
    }

    fn let_go(&mut self) -> Result<(), Trouble> {
        self.finish()?;
        let (now, bound) = (self.clock.now(), self.bound());
        let begun = self.upkeep.begun();
        if let Some((seen, of, at)) = self.seen.idle
            && (seen, of) == (begun, bound)
            && now.ms_since(at).abs() < LOOK_AT_AGES_MS
        {
            return Ok(());
        }
        let segments = self.upkeep.segments()?;
        let Some(wanted) = self.wanted(&segments, bound, now)? else {
            self.goal.send_replace(Goal::NOTHING);
            self.writer.set_journal_full(None);
            self.seen.idle = Some((begun, bound, now));
            return Ok(());
        };
        self.seen.idle = None;
        let (before, need) = self.may_go(&wanted, &segments, bound)?;
        if before > self.released() {
            let release = Release { before, reason: wanted.reason };
            self.writer
                .append_told(Entry::Release(release))
                .blocking_recv()
                .map_err(|_| Trouble::Stopping)
                .and_then(|appended| appended.map_err(|_| Trouble::Stopping))
                .map(|receipt| self.fold.wait_for(receipt.offset))?;
            self.finish()?;
        }
        let bytes: u64 = self.upkeep.segments()?.iter().map(|segment| segment.bytes).sum();
        let full = need.filter(|_| bytes > bound.max_size_bytes).map(|need| {
            format!("the journal is as large as it may become (journal.max_size), and {}", need.reason())
        });
        self.writer.set_journal_full(full);
        Ok(())
    }

    /// Lets go what was journaled to go, as far as that is on disk; also what a crash interrupted.
    fn finish(&self) -> Result<(), JournalError> {
        let released = self.released();
        if released > Offset(self.upkeep.first_offset()) {
            let segments = self.upkeep.release(released.0)?;
            if segments > 0 {
                tracing::info!(segments, before = %released, "the oldest part of the journal has gone");
            }
        }
        Ok(())
    }

    fn released(&self) -> Offset {
        let released = self.fold.look().released;
        let is_durable = released.said_at.0 < self.readers.next_offset();
        if is_durable { released.before } else { Offset(0) }
    }

    fn bound(&self) -> JournalBound {
        self.fold.look().engine.plan().map(|(_, plan)| plan.journal).unwrap_or_default()
    }

    /// What is to go: whole segments, the oldest ones, never the newest.
    fn wanted(
        &self,
        segments: &[SegmentFile],
        bound: JournalBound,
        now: Timestamp,
    ) -> Result<Option<Wanted>, JournalError> {
        let slack = (bound.max_size_bytes / SLACK_PART).max(SLACK_SEGMENTS * self.upkeep.segment_bytes());
        let enough = bound.max_size_bytes.saturating_sub(slack);
        let mut bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
        let mut wanted = None;
        for pair in segments.windows(2) {
            let [oldest, next] = *pair else { unreachable!("windows of two") };
            let reason = if bytes > enough {
                ReleaseReason::Size
            } else if self.is_old(next, bound, now)? {
                ReleaseReason::Age
            } else {
                break;
            };
            wanted = Some(Wanted { before: Offset(next.base_offset), reason });
            bytes -= oldest.bytes;
        }
        Ok(wanted)
    }

    /// Whether the segment before this one has only entries that are too old: this one's first entry is.
    fn is_old(&self, next: SegmentFile, bound: JournalBound, now: Timestamp) -> Result<bool, JournalError> {
        // The newest segment may have no entry yet.
        let first = self.readers.reader(next.base_offset)?.next()?;
        Ok(first.is_some_and(|first| now.ms_since(Timestamp(first.time_ms)) >= bound.max_age_ms))
    }

    /// Up to where what is wanted may go now, and who is in the way of the rest.
    fn may_go(
        &mut self,
        wanted: &Wanted,
        segments: &[SegmentFile],
        bound: JournalBound,
    ) -> Result<(Offset, Option<Need>), Trouble> {
        let (archived, kept) = {
            let fold = self.fold.look();
            (fold.backlog.oldest().unwrap_or(wanted.before), fold.backlog.records().kept)
        };
        let covered = self.covered(wanted.before)?;
        let (before, need) = [(archived.min(kept), Need::Archive), (covered, Need::Snapshot)]
            .into_iter()
            .min_by_key(|(offset, _)| *offset)
            .filter(|(offset, _)| *offset < wanted.before)
            .map_or((wanted.before, None), |(offset, need)| (offset, Some(need)));
        let base =
            segments.iter().map(|segment| Offset(segment.base_offset)).filter(|base| *base <= before).max();
        let before = base.unwrap_or_default();
        let copied_bytes_max = bound.max_size_bytes / COPIED_PART;
        let queues = Releasing { before, copied_bytes_max };
        self.goal.send_if_modified(|goal| {
            let new = Goal { archived: wanted.before, queues };
            std::mem::replace(goal, new) != new
        });
        if self.fold.look().queues.need_before(before) {
            return Ok((self.released(), Some(Need::Queues)));
        }
        Ok((before, need))
    }

    /// Up to where the journal may go for all that recovery needs: the second newest snapshot, so that the newest one may be
    /// damaged. Asks for snapshots that cover what is `wanted`.
    fn covered(&mut self, wanted: Offset) -> Result<Offset, SnapshotError> {
        let good = self.seen.good.look(self.disk.as_ref(), &self.snapshots, self.installation)?;
        let newest = good.last().copied();
        // If nothing was written since, another one would be the same.
        if let Some(newest) = newest.filter(|newest| newest.0 >= self.readers.next_offset()) {
            return Ok(newest);
        }
        let second = good.len().checked_sub(2).map_or(Offset(0), |at| good[at]);
        let now = self.clock.now();
        let was_asked = self
            .seen
            .asked_for_snapshot
            .is_some_and(|(of, at)| of == newest && now.ms_since(at).abs() < ASK_FOR_SNAPSHOT_AGAIN_MS);
        if second < wanted && !was_asked {
            self.seen.asked_for_snapshot = Some((newest, now));
            self.writer.snapshot();
        }
        Ok(second)
    }
}
