//! The fold: everything that is derived from the journal while `watchbell up` runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedSender;
use watchbell_engine::{Engine, EngineError};
use watchbell_functions::queue::{Views, ViewsSnapshot};
use watchbell_model::{Decisions, Entry, GroupName, InstallationId, Offset, Plan, Record, Timestamp};

use super::backlog::Backlog;
use super::buffer::Buffer;
use super::checkpoint::{Checkpoint, Checkpoints, FileId};
use super::clock::Clock;
use super::cursors::Cursors;
use super::ledger::{Ledger, LedgerSnapshot};
use super::notice;
use super::outbox::{Outbox, OutboxSnapshot, Outgoing};
use super::own::{self, Rhythm, SourceLag};
use super::remedies::Remedies;
use super::snapshot::SnapshotWriter;
use super::writer::{Told, Writer};

/// How long the fold sleeps at most when nothing happens.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Everything derived, except what the writer needs for itself.
pub struct Fold {
    /// Alarms and metrics.
    pub engine: Engine,
    /// How far files have been read.
    pub checkpoints: Checkpoints,
    /// How far the system's journal has been read.
    pub cursors: Cursors,
    /// What has to be sent.
    pub outbox: Outbox,
    /// What has to be archived.
    pub backlog: Backlog,
    /// What has to be shipped, on an agent.
    pub buffer: Buffer,
    /// What became of the bytes of files.
    pub ledger: Ledger,
    /// What queues hold.
    pub queues: Views,
    /// Commands that functions have started.
    pub remedies: Remedies,
    /// Log groups that some plan has had: a file of a new one counts as there before.
    pub groups: BTreeSet<GroupName>,
    /// What of the journal may go.
    pub released: Released,
    /// Plans that are not in force any more, while something still waits that came under them.
    former_plans: BTreeMap<Offset, Arc<Plan>>,
    /// The next record.
    pub next: Offset,
}

/// What of the journal may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// Entries before this one, as soon as the entry that says so is on disk.
    pub before: Offset,
    /// That entry.
    pub said_at: Offset,
}

/// The same as data.
#[derive(Debug, Serialize, Deserialize)]
pub struct FoldSnapshot {
    engine: watchbell_engine::Snapshot,
    checkpoints: Vec<(FileId, Checkpoint)>,
    #[serde(default)]
    cursors: Cursors,
    outbox: OutboxSnapshot,
    backlog: Backlog,
    #[serde(default)]
    buffer: Buffer,
    #[serde(default)]
    ledger: LedgerSnapshot,
    #[serde(default)]
    queues: ViewsSnapshot,
    #[serde(default)]
    remedies: Remedies,
    groups: BTreeSet<GroupName>,
    #[serde(default)]
    released: Released,
    #[serde(default)]
    former_plans: Vec<(Offset, Plan)>,
    /// The next record.
    pub next: Offset,
}

impl FoldSnapshot {
    /// What of the journal may go.
    pub fn released(&self) -> Released {
        self.released
    }
}

/// What a record causes.
#[derive(Default)]
pub struct Effects {
    /// To be journaled.
    pub decisions: Vec<Decisions>,
    /// To be sent once the record is on disk.
    pub outgoing: Vec<Outgoing>,
}

impl Fold {
    /// A fold that has seen nothing.
    pub fn new(installation: InstallationId) -> Fold {
        Fold {
            engine: Engine::new(installation),
            checkpoints: Checkpoints::default(),
            cursors: Cursors::default(),
            outbox: Outbox::default(),
            backlog: Backlog::default(),
            buffer: Buffer::default(),
            ledger: Ledger::default(),
            queues: Views::default(),
            remedies: Remedies::default(),
            groups: BTreeSet::new(),
            released: Released::default(),
            former_plans: BTreeMap::new(),
            next: Offset(0),
        }
    }

    /// Folds the next record.
    ///
    /// # Errors
    /// [`EngineError`] if a journaled plan cannot run in this version.
    pub fn apply(&mut self, record: &Record) -> Result<Effects, EngineError> {
        let before = match record.entry {
            Entry::Plan(_) => self.engine.plan().map(|(offset, plan)| (offset, Arc::new(plan.clone()))),
            _ => None,
        };
        let items = self.engine.step(record)?;
        self.next = record.offset.next();
        self.buffer.apply(record);
        // An agent archives nothing.
        if self.buffer.next().is_none() {
            self.backlog.apply(record, self.engine.plan().map_or(Offset(0), |(plan, _)| plan));
        }
        self.queues.apply(record);
        self.remedies.apply(record);
        let mut outgoing = Vec::new();
        match &record.entry {
            Entry::Batch(batch) => {
                self.checkpoints.apply(&batch.group, &batch.source, record);
                self.cursors.apply(batch);
                self.ledger.batch(batch, record.time);
            }
            Entry::Loss(loss) => self.ledger.loss(loss, record.time),
            Entry::Plan(plan) => {
                self.groups.extend(plan.log_groups.keys().cloned());
                self.former_plans.extend(before);
                let needed = self.backlog.plan_at_front().into_iter().chain(self.queues.oldest_plan()).min();
                self.former_plans.retain(|offset, _| needed.is_some_and(|needed| *offset >= needed));
            }
            Entry::Release(release) => {
                self.released = Released { before: release.before, said_at: record.offset };
            }
            Entry::Decisions(decisions) => outgoing = self.outbox.decided(decisions, record.offset),
            Entry::Delivery(delivery) => self.outbox.attempted(delivery),
            _ => {}
        }
        Ok(Effects { decisions: Decisions::entries(record.offset, 0, items), outgoing })
    }

    /// The plan that stands at `offset`, if it is in force or something waits that came under it.
    pub fn plan_at(&self, offset: Offset) -> Option<Arc<Plan>> {
        let in_force = self.engine.plan().filter(|(at, _)| *at == offset);
        in_force.map(|(_, plan)| Arc::new(plan.clone())).or_else(|| self.former_plans.get(&offset).cloned())
    }

    /// As data.
    pub fn snapshot(&self) -> FoldSnapshot {
        FoldSnapshot {
            engine: self.engine.snapshot(),
            checkpoints: self.checkpoints.snapshot(),
            cursors: self.cursors.clone(),
            outbox: self.outbox.snapshot(),
            backlog: self.backlog.clone(),
            buffer: self.buffer.clone(),
            ledger: self.ledger.snapshot(),
            queues: self.queues.snapshot(),
            remedies: self.remedies.clone(),
            groups: self.groups.clone(),
            released: self.released,
            former_plans: self.former_plans.iter().map(|(at, plan)| (*at, (**plan).clone())).collect(),
            next: self.next,
        }
    }

    /// Back from data.
    ///
    /// # Errors
    /// [`EngineError`] if the plan in it cannot run in this version.
    pub fn restore(installation: InstallationId, snapshot: FoldSnapshot) -> Result<Fold, EngineError> {
        let FoldSnapshot {
            engine,
            checkpoints,
            cursors,
            outbox,
            backlog,
            buffer,
            ledger,
            queues,
            remedies,
            groups,
            released,
            former_plans,
            next,
        } = snapshot;
        Ok(Fold {
            engine: Engine::restore(installation, engine)?,
            checkpoints: Checkpoints::restore(checkpoints),
            cursors,
            outbox: Outbox::restore(outbox),
            backlog,
            buffer,
            ledger: Ledger::restore(ledger),
            queues: Views::restore(queues),
            remedies,
            groups,
            released,
            former_plans: former_plans.into_iter().map(|(at, plan)| (at, Arc::new(plan))).collect(),
            next,
        })
    }
}

/// The fold, to be looked at by others between two records.
#[derive(Clone)]
pub struct SharedFold(Arc<(Mutex<Fold>, Condvar)>);

impl SharedFold {
    /// Shares a fold.
    pub fn new(fold: Fold) -> SharedFold {
        SharedFold(Arc::new((Mutex::new(fold), Condvar::new())))
    }

    /// The fold as it is now. Hold it briefly: detection waits.
    pub fn look(&self) -> MutexGuard<'_, Fold> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the record at `offset` has been folded.
    pub fn wait_for(&self, offset: Offset) {
        // The guard that comes back is not needed: what was folded stays folded.
        drop(self.0.1.wait_while(self.look(), |fold| fold.next <= offset));
    }

    /// Waits until `holds` does; false if it did not within `patience`.
    pub fn wait_until(&self, patience: Duration, holds: impl Fn(&Fold) -> bool) -> bool {
        let waited = self.0.1.wait_timeout_while(self.look(), patience, |fold| !holds(fold));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn apply(&self, record: &Record) -> Result<Effects, EngineError> {
        let effects = self.look().apply(record);
        self.0.1.notify_all();
        effects
    }
}

/// The thread that folds what the writer tells.
pub struct FoldThread {
    /// The state.
    pub fold: SharedFold,
    /// What the writer tells.
    pub told: Receiver<Told>,
    /// Where decisions and ticks go.
    pub writer: Writer,
    /// Where messages go.
    pub outgoing: UnboundedSender<Outgoing>,
    /// Says when a tick is due.
    pub clock: Arc<dyn Clock>,
    /// What the collector has not read yet.
    pub lag: SourceLag,
    /// Keeps snapshots.
    pub snapshots: SnapshotWriter,
    /// How many bytes may wait to be shipped, on an agent; then nothing is let in.
    pub buffer_bytes_max: Option<u64>,
}

impl FoldThread {
    /// Folds until the writer has ended.
    ///
    /// # Errors
    /// [`EngineError`] if a plan cannot run: it was checked before it was journaled, so this is a defect.
    pub fn run(self) -> Result<(), EngineError> {
        let mut asked_for = None;
        let mut is_full = false;
        let mut rhythm = Rhythm::new(self.clock.now());
        loop {
            if rhythm.is_time(self.clock.now()) {
                let measured = own::measure(&self.fold.look(), &self.lag, self.clock.now());
                if let Some(samples) = measured {
                    self.writer.append(Entry::Samples(samples));
                }
            }
            let wake = self.fold.look().engine.next_wake();
            let due = wake.is_some_and(|at| self.clock.now() > at);
            if due && wake != asked_for {
                asked_for = wake;
                self.writer.append(Entry::Tick);
            }
            match self.told.recv_timeout(self.sleep(wake.filter(|_| !due), rhythm)) {
                Ok(Told::Records(records)) => {
                    if records.iter().any(|record| record.entry == Entry::Tick) {
                        // If the clock stepped back before it was written, it came too early: ask again.
                        asked_for = None;
                    }
                    records.iter().try_for_each(|record| self.fold(record))?;
                    self.hold_what_comes(&mut is_full);
                }
                Ok(Told::Snapshot(admission)) => {
                    // Taken first: nobody waits for the fold while the disk is slow.
                    let snapshot = self.fold.look().snapshot();
                    self.snapshots.write(admission, snapshot);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Lets nothing in while the buffer of an agent is full.
    fn hold_what_comes(&self, is_full: &mut bool) {
        let Some(bytes_max) = self.buffer_bytes_max else { return };
        let bytes = self.fold.look().buffer.bytes();
        if (bytes >= bytes_max) != *is_full {
            *is_full = !*is_full;
            self.writer.hold(*is_full);
            if *is_full {
                tracing::warn!(bytes, "the buffer is full: nothing is taken in until something is shipped");
            } else {
                tracing::info!(bytes, "the buffer has room again");
            }
        }
    }

    /// An instant has passed only when the clock is beyond it.
    fn sleep(&self, wake: Option<Timestamp>, rhythm: Rhythm) -> Duration {
        let instant = wake.map_or(SLEEP_MAX, |at| self.clock.sleep_until(at.plus_ms(1)));
        instant.min(self.clock.sleep_until(rhythm.next())).min(SLEEP_MAX)
    }

    fn fold(&self, record: &Record) -> Result<(), EngineError> {
        if let Entry::Plan(plan) = &record.entry {
            notice::dropped_queues(&self.fold.look().queues, plan, record.time);
        }
        let effects = self.fold.apply(record)?;
        if let Entry::Decisions(decisions) = &record.entry {
            decisions.items.iter().for_each(notice::say);
        }
        for decisions in effects.decisions {
            self.writer.append(Entry::Decisions(decisions));
        }
        for outgoing in effects.outgoing {
            // The dispatcher outlives this thread; if it is gone the process is stopping and the outbox remembers.
            let _ = self.outgoing.send(outgoing);
        }
        Ok(())
    }
}
