//! The archiver: writes what has been accepted to the archive, every event exactly once.
//!
//! The plan (a range of entries) is journaled before the first object is written, and objects are named after what is
//! in them, so a crash writes the same objects again.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::ObjectStore;
use tokio::runtime::Handle;
use tokio::sync::watch;
use watchbell_archive::{ArchiveError, Collector, Object, Row, put};
use watchbell_journal::{JournalError, Readers};
use watchbell_model::{
    ArchiveDone, ArchivePlan, Batch, Entry, EntryError, EventFlags, EventId, InstallationId, Offset,
    ParseKind, Plan, Record, Timestamp, TrailOutcome,
};

use super::backlog::Records;
use super::bound::Goal;
use super::clock::Clock;
use super::fold::SharedFold;
use super::records;
use super::trail::TrailDraft;
use super::writer::Writer;

/// Text that goes into one set of objects at most.
pub const OBJECT_TEXT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How long an accepted event waits for its object at most, in milliseconds.
pub const OBJECT_AGE_MS_MAX: i64 = 5 * 60 * 1000;

/// How often to look whether something is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long to wait at most before a failed round is tried again; it begins with [`LOOK_EVERY`] and doubles.
const TRY_AGAIN_MAX: Duration = Duration::from_mins(1);

/// Where objects go; replaced by a reload.
#[derive(Clone)]
pub struct Store(Arc<Mutex<Arc<dyn ObjectStore>>>);

impl Store {
    /// A store in force.
    pub fn new(store: Arc<dyn ObjectStore>) -> Store {
        Store(Arc::new(Mutex::new(store)))
    }

    /// Puts another in force.
    pub fn replace(&self, store: Arc<dyn ObjectStore>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = store;
    }

    fn get(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Why archiving did not work. It is tried again; the journal keeps what is not archived.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("entry {offset}: {error}")]
    Entry { offset: Offset, error: EntryError },
    #[error("entry {offset} is not in the journal")]
    Missing { offset: Offset },
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("the journal takes nothing more")]
    Stopping,
}

/// What a round archives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// Log events.
    Events,
    /// Decisions, deliveries and trail records.
    Records,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            What::Events => "events",
            What::Records => "records",
        }
    }

    fn plan(self, plan: ArchivePlan) -> Entry {
        match self {
            What::Events => Entry::ArchivePlan(plan),
            What::Records => Entry::RecordsPlan(plan),
        }
    }

    fn done(self, done: ArchiveDone) -> Entry {
        match self {
            What::Events => Entry::ArchiveDone(done),
            What::Records => Entry::RecordsDone(done),
        }
    }
}

/// The thread that archives.
pub struct Archiver {
    /// Part of every event id.
    pub installation: InstallationId,
    /// What waits, and the plan in force.
    pub fold: SharedFold,
    /// Read back from disk.
    pub readers: Readers,
    /// Where plans and outcomes go.
    pub writer: Writer,
    /// Where objects go.
    pub store: Store,
    /// Tells the age of what waits.
    pub clock: Arc<dyn Clock>,
    /// Entries that are about to go.
    pub goal: watch::Receiver<Goal>,
    /// A message asks for everything to be archived; the end of the channel ends the thread.
    pub drain: Receiver<()>,
}

impl Archiver {
    /// Archives until the channel ends. A drain ends when all is archived or an attempt has failed.
    pub fn run(self, runtime: &Handle) {
        let mut failures: u32 = 0;
        loop {
            let pause = LOOK_EVERY.saturating_mul(1 << failures.min(7)).min(TRY_AGAIN_MAX);
            let draining = match self.drain.recv_timeout(pause) {
                Ok(()) => true,
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match self.archive_due(draining, runtime) {
                Ok(()) => failures = 0,
                Err((plan, trouble)) => {
                    if failures == 0 {
                        tracing::error!(%trouble, "not archived; will try again, the journal keeps it");
                        let draft =
                            TrailDraft::done("archive.write", format!("entries {}..{}", plan.from, plan.to));
                        self.writer.trail(draft.outcome(TrailOutcome::Failed).detail("reason", trouble));
                    }
                    failures += 1;
                }
            }
        }
    }

    fn archive_due(&self, draining: bool, runtime: &Handle) -> Result<(), (ArchivePlan, Trouble)> {
        loop {
            // As far as its batches are archived: then that part can go while the rest is archived.
            while let Some(plan) = self.records_due().map_err(|(plan, error)| (plan, error.into()))? {
                self.carry_out(plan, What::Records, runtime).map_err(|trouble| (plan, trouble))?;
            }
            let Some(plan) = self.due(draining) else { return Ok(()) };
            self.carry_out(plan, What::Events, runtime).map_err(|trouble| (plan, trouble))?;
        }
    }

    /// What is to be archived now: an interrupted plan first, then what is old or large enough.
    fn due(&self, draining: bool) -> Option<ArchivePlan> {
        let fold = self.fold.look();
        let backlog = &fold.backlog;
        if backlog.planned().is_some() {
            return backlog.planned();
        }
        let old = backlog.since().is_some_and(|since| self.clock.now().ms_since(since) >= OBJECT_AGE_MS_MAX);
        let before = self.goal.borrow().archived;
        let goes = backlog.oldest().is_some_and(|oldest| oldest < before);
        let due = draining || old || goes || backlog.bytes() >= OBJECT_TEXT_BYTES_MAX;
        due.then(|| backlog.next_plan(OBJECT_TEXT_BYTES_MAX)).flatten()
    }

    /// Decisions, deliveries and trail records that are about to go: a segment of them at a time.
    fn records_due(&self) -> Result<Option<ArchivePlan>, (ArchivePlan, JournalError)> {
        let (Records { kept, planned }, oldest) = {
            let fold = self.fold.look();
            (fold.backlog.records(), fold.backlog.oldest())
        };
        let before = oldest.into_iter().fold(self.goal.borrow().archived, Offset::min);
        if planned.is_some() || kept >= before {
            return Ok(planned);
        }
        let all = ArchivePlan { from: kept, to: before };
        let end = self.readers.next_segment(kept.0).map_err(|error| (all, error))?;
        Ok(end.map(Offset).filter(|end| *end <= before).map(|to| ArchivePlan { to, ..all }))
    }

    fn carry_out(&self, plan: ArchivePlan, what: What, runtime: &Handle) -> Result<(), Trouble> {
        let planned = {
            let fold = self.fold.look();
            match what {
                What::Events => fold.backlog.planned(),
                What::Records => fold.backlog.records().planned,
            }
        };
        if planned != Some(plan) {
            self.append(what.plan(plan), runtime)?;
        }
        let objects = match what {
            What::Events => self.objects(plan)?,
            What::Records => self.records(plan)?,
        };
        let store = self.store.get();
        let objects = runtime.block_on(put(store.as_ref(), objects))?;
        let (count, events) = (objects.len(), objects.iter().map(|object| object.events).sum::<u64>());
        self.append(what.done(ArchiveDone { plan, objects }), runtime)?;
        let draft = TrailDraft::done("archive.write", format!("entries {}..{}", plan.from, plan.to));
        let draft = draft.detail("objects", count).detail("events", events);
        self.writer.trail(draft.detail("what", what.name()));
        tracing::info!(what = what.name(), from = %plan.from, to = %plan.to, objects = count, events, "archived");
        Ok(())
    }

    /// Appends and waits until it is on disk and folded.
    fn append(&self, entry: Entry, runtime: &Handle) -> Result<(), Trouble> {
        let told = self.writer.append_told(entry);
        let receipt = runtime.block_on(told).ok().and_then(Result::ok).ok_or(Trouble::Stopping)?;
        self.fold.wait_for(receipt.offset);
        Ok(())
    }

    fn objects(&self, range: ArchivePlan) -> Result<Vec<Object>, Trouble> {
        let front = self.fold.look().backlog.plan_at_front();
        let mut in_force = front.map(|at| self.plan_at(at)).transpose()?.flatten();
        let mut collector = Collector::default();
        self.each(range, |Record { offset, time, entry }| {
            match entry {
                Entry::Plan(plan) => in_force = Some(Arc::from(plan)),
                Entry::Batch(batch) => {
                    self.collect(&mut collector, &batch, in_force.as_deref(), offset, time)?;
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(collector.finish()?)
    }

    /// Every record of a range, which is on disk.
    fn each(
        &self,
        range: ArchivePlan,
        mut take: impl FnMut(Record) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let mut reader = self.readers.reader(range.from.0)?;
        while reader.next_offset() < range.to.0 {
            let missing = Trouble::Missing { offset: Offset(reader.next_offset()) };
            let entry = reader.next()?.ok_or(missing)?;
            let (offset, time) = (Offset(entry.offset), Timestamp(entry.time_ms));
            take(Record { offset, time, entry: decode(&entry)? })?;
        }
        Ok(())
    }

    fn records(&self, range: ArchivePlan) -> Result<Vec<Object>, Trouble> {
        let mut collector = Collector::default();
        self.each(range, |record| {
            let (offset, time) = (record.offset, record.time);
            for (line, kept) in (0..).zip(records::rows(&record)) {
                collector.push(&Row {
                    event_id: EventId { installation: self.installation, offset, line },
                    timestamp: time,
                    ingestion_time: time,
                    log_group: kept.log_group,
                    stream: kept.stream,
                    app: records::APP,
                    severity: records::SEVERITY,
                    message: &kept.message,
                    fields: None,
                    flags: EventFlags::default(),
                })?;
            }
            Ok(())
        })?;
        Ok(collector.finish()?)
    }

    fn plan_at(&self, offset: Offset) -> Result<Option<Arc<Plan>>, Trouble> {
        if let Some(plan) = self.fold.look().plan_at(offset) {
            return Ok(Some(plan));
        }
        // From before plans were remembered; then none of the journal has gone.
        let entry = self.readers.reader(offset.0)?.next()?;
        let entry = entry.as_ref().map(decode).transpose()?;
        Ok(entry.and_then(|entry| if let Entry::Plan(plan) = entry { Some(Arc::from(plan)) } else { None }))
    }

    fn collect(
        &self,
        collector: &mut Collector,
        batch: &Batch,
        plan: Option<&Plan>,
        offset: Offset,
        ingestion_time: Timestamp,
    ) -> Result<(), ArchiveError> {
        let group = plan.and_then(|plan| plan.log_groups.get(&batch.group));
        let app = group.map_or(batch.group.first_part(), |group| &group.app);
        let parse = group.map_or(ParseKind::Plain, |group| group.parse);
        for event in batch.events() {
            let parsed = watchbell_parse::parse(parse, event.message);
            collector.push(&Row {
                event_id: EventId { installation: self.installation, offset, line: event.line },
                timestamp: event.timestamp.unwrap_or(ingestion_time),
                ingestion_time,
                log_group: batch.group.as_str(),
                stream: &batch.stream,
                app,
                severity: event.severity.unwrap_or(parsed.severity),
                message: event.message,
                fields: parsed.fields.as_deref(),
                flags: event.flags,
            })?;
        }
        Ok(())
    }
}

fn decode(entry: &watchbell_journal::Entry) -> Result<Entry, Trouble> {
    let malformed = |error| Trouble::Entry { offset: Offset(entry.offset), error };
    Entry::decode(entry.kind, &entry.payload).map_err(malformed)
}
