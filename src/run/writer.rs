//! The writer: the one thread that appends to the journal.
//!
//! Whatever waits is written and synced together, then acknowledged; the sync is the batching window. What depends on
//! the order of the journal is decided here: ingestion times, repeated batch ids, the numbers of the audit trail.
//! The same immutable records go to the fold while the disk syncs; their effects wait for [`Durable`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};
use watchbell_journal::{Journal, JournalError, NewEntry, PAYLOAD_BYTES_MAX};
use watchbell_model::{Action, Batch, Entry, InstallationId, Offset, Record, Source, Timestamp};

use super::agents::{AGENTS_MAX, Cursors, Verdict};
use super::batch_ids::{BatchIds, BatchIdsSnapshot};
use super::clock::Clock;
use super::queue::{Closed, Queue, Refused, SentBack};
use super::trail::{TrailDraft, TrailHead};

/// Bytes of log text that are written with one sync at most.
const COMMIT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of payload after which a snapshot is due.
pub const SNAPSHOT_EVERY_BYTES: usize = 64 * 1024 * 1024;

/// Everything below this offset is on disk.
pub type Durable = watch::Receiver<Offset>;

/// What happened to something that was handed to the writer.
pub type Appended = Result<Receipt, AppendError>;

/// It is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The entry that holds it.
    pub offset: Offset,
    /// Log events in that entry.
    pub events: usize,
    /// It had been there before, under the same batch id.
    pub duplicate: bool,
}

/// It may or may not be on disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Too much waits already.
    #[error("too much is waiting for the disk")]
    Overloaded,
    /// The disk is full: the reserve was used, or could not be made, and needs twice its room.
    #[error("the disk of data_dir has less than 64 MiB free")]
    NoSpace,
    /// The journal is as large as it may become, and nothing of it may go; says why.
    #[error("{0}")]
    JournalFull(String),
    /// The writer has ended.
    #[error("watchbell is stopping")]
    Stopping,
    /// Larger than an entry may be.
    #[error("the entry has {bytes} bytes, {PAYLOAD_BYTES_MAX} is the limit")]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
    /// Another batch was stored under the same batch id.
    #[error(
        "the batch id stands for another batch, entry {offset}; an id is for one batch and its repetitions"
    )]
    BatchIdTaken {
        /// That batch.
        offset: Offset,
    },
    /// Another entry was stored under this agent's name and this place in its journal.
    #[error(
        "entry {offset} of agent {agent} is another one here: two agents have one installation id, because a data \
         folder was copied or put back; give this one a new data_dir"
    )]
    OtherAgent {
        /// The agent.
        agent: InstallationId,
        /// The entry in its journal.
        offset: Offset,
    },
    /// As many agents as may be have shipped already.
    #[error("{AGENTS_MAX} agents ship to this watchbell already, which is the limit")]
    TooManyAgents,
    /// The buffer of this agent is full.
    #[error("the buffer is full")]
    BufferFull,
    /// The disk failed.
    #[error("{0}")]
    Disk(String),
}

/// Calls back once; not called for entries that nobody waits for.
type Done = Option<oneshot::Sender<Appended>>;

enum Item {
    Entry(Entry),
    Trail(TrailDraft),
    /// What an agent sent, all or nothing, and the record of the call that sent it.
    Shipment(Vec<Entry>, TrailDraft),
    /// Take a snapshot after everything before it.
    Snapshot,
    /// Tell when everything before it is on disk.
    Barrier,
}

struct Request {
    item: Item,
    done: Done,
    patience: Patience,
}

/// What becomes of a request while the disk is full.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// The process itself says it: it is written, into the reserve.
    Inside,
    /// Whoever brought it waits until there is room.
    Waits,
    /// Whoever brought it is told to come back.
    Leaves,
}

/// What the fold is told, in the order of the journal.
pub enum Told {
    /// The next records: what one sync writes. They may not be on disk yet.
    Records(Vec<Arc<Record>>),
    /// Take a snapshot here; this is the writer's part.
    Snapshot(AdmissionSnapshot),
}

/// What the writer remembers.
#[derive(Default)]
pub struct Admission {
    last_time: Timestamp,
    batch_ids: BatchIds,
    agents: Cursors,
    trail: TrailHead,
}

/// The same as data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmissionSnapshot {
    last_time: Timestamp,
    batch_ids: BatchIdsSnapshot,
    #[serde(default)]
    agents: Cursors,
    trail: TrailHead,
}

impl AdmissionSnapshot {
    /// When the last record before it was written.
    pub fn last_time(&self) -> Timestamp {
        self.last_time
    }
}

impl Admission {
    /// Takes note of a journaled record, while the journal is read after a start.
    ///
    /// # Errors
    /// Says where the audit trail does not hold.
    pub fn apply(&mut self, record: &Record) -> Result<(), super::trail::TrailBreak> {
        self.last_time = self.last_time.max(record.time);
        self.agents.remember(&record.entry);
        match &record.entry {
            Entry::Batch(batch) => self.batch_ids.remember(batch, record.offset, record.time),
            Entry::Trail(trail) => self.trail.follow(trail)?,
            _ => {}
        }
        Ok(())
    }

    /// As data.
    pub fn snapshot(&self) -> AdmissionSnapshot {
        let (last_time, trail) = (self.last_time, self.trail.clone());
        let agents = self.agents.clone();
        AdmissionSnapshot { last_time, batch_ids: self.batch_ids.snapshot(), agents, trail }
    }

    /// Back from data.
    pub fn restore(snapshot: AdmissionSnapshot) -> Admission {
        let AdmissionSnapshot { last_time, batch_ids, agents, trail } = snapshot;
        Admission { last_time, batch_ids: BatchIds::restore(batch_ids), agents, trail }
    }
}

/// A handle on the writer.
#[derive(Clone)]
pub struct Writer {
    queue: Arc<Queue<Request>>,
    full: Arc<Full>,
}

/// Whether the journal is as large as it may become, and nothing of it may go; then, why.
#[derive(Default)]
struct Full {
    is_full: AtomicBool,
    reason: Mutex<Option<String>>,
}

impl Full {
    fn reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whoever is turned away is told so.
    fn refusal(&self) -> AppendError {
        self.reason().map_or(AppendError::NoSpace, AppendError::JournalFull)
    }
}

impl Writer {
    /// Appends something that the process itself has to say. Never waits, tells nobody.
    pub fn append(&self, entry: Entry) {
        self.push(Item::Entry(entry), None);
    }

    /// Appends to the audit trail. Never waits, tells nobody.
    pub fn trail(&self, draft: TrailDraft) {
        self.push(Item::Trail(draft), None);
    }

    /// Appends to the audit trail and tells when that is on disk.
    pub fn trail_told(&self, draft: TrailDraft) -> oneshot::Receiver<Appended> {
        let (done, told) = oneshot::channel();
        self.push(Item::Trail(draft), Some(done));
        told
    }

    /// Appends and tells when it is on disk.
    pub fn append_told(&self, entry: Entry) -> oneshot::Receiver<Appended> {
        let (done, told) = oneshot::channel();
        self.push(Item::Entry(entry), Some(done));
        told
    }

    /// Takes a snapshot after everything that was handed over before.
    pub fn snapshot(&self) {
        self.push(Item::Snapshot, None);
    }

    /// Tells when everything that was handed over before is on disk; the receipt names the next offset.
    pub fn barrier(&self) -> oneshot::Receiver<Appended> {
        let (done, told) = oneshot::channel();
        self.push(Item::Barrier, Some(done));
        told
    }

    /// Appends a batch from outside if there is room for it.
    ///
    /// # Errors
    /// [`AppendError::Overloaded`] if there is none, [`AppendError::NoSpace`] if the disk has none,
    /// [`AppendError::Stopping`] at the end.
    pub fn try_batch(&self, batch: Batch) -> Result<oneshot::Receiver<Appended>, AppendError> {
        let bytes = batch.text().len().max(1);
        self.try_item(Item::Entry(Entry::Batch(batch)), bytes)
    }

    /// Appends what an agent sent, all of it or nothing, if there is room for it. What is here already is not appended
    /// again. The receipt tells the events that were stored now, and whether nothing was.
    ///
    /// # Errors
    /// As [`Writer::try_batch`].
    pub fn try_shipment(
        &self,
        entries: Vec<Entry>,
        call: TrailDraft,
    ) -> Result<oneshot::Receiver<Appended>, AppendError> {
        let bytes = entries.iter().map(|entry| entry.rest().len()).sum::<usize>().max(1);
        self.try_item(Item::Shipment(entries, call), bytes)
    }

    fn try_item(&self, item: Item, bytes: usize) -> Result<oneshot::Receiver<Appended>, AppendError> {
        let (done, told) = oneshot::channel();
        match self.queue.try_push(Request { item, done: Some(done), patience: Patience::Leaves }, bytes) {
            Ok(()) => Ok(told),
            Err(Refused::Paused(_)) => Err(self.full.refusal()),
            Err(Refused::Held(_)) => Err(AppendError::BufferFull),
            Err(Refused::Full(_)) => Err(AppendError::Overloaded),
            Err(Refused::Closed(_)) => Err(AppendError::Stopping),
        }
    }

    /// While the buffer of an agent is full nothing is let in from outside.
    pub fn hold(&self, held: bool) {
        self.queue.hold(held);
    }

    /// Appends a batch from outside, waiting for room; at the end nobody waits.
    pub fn batch_waiting(&self, batch: Batch) -> oneshot::Receiver<Appended> {
        let bytes = batch.text().len().max(1);
        let (done, told) = oneshot::channel();
        let item = Item::Entry(Entry::Batch(batch));
        let request = Request { item, done: Some(done), patience: Patience::Waits };
        match self.queue.push_waiting(request, bytes) {
            Ok(()) => {}
            Err(SentBack::Held(request)) => answer(request.done, Err(AppendError::BufferFull)),
            Err(SentBack::Closed(request)) => answer(request.done, Err(AppendError::Stopping)),
        }
        told
    }

    /// Why nothing is taken from outside, if so.
    pub fn is_full(&self) -> Option<String> {
        self.queue.is_paused().then(|| self.full.refusal().to_string())
    }

    /// Says that the journal is as large as it may become and why nothing of it may go, or that it is not so any more.
    pub(super) fn set_journal_full(&self, reason: Option<String>) {
        let is_full = reason.is_some();
        *self.full.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason;
        if self.full.is_full.swap(is_full, Ordering::AcqRel) != is_full {
            // Wakes the thread.
            drop(self.barrier());
        }
    }

    /// Lets nobody wait any longer until a full disk has room: the process is about to end.
    pub fn end_waiting(&self) {
        self.queue.end_waiting();
        // Wakes the thread.
        drop(self.barrier());
    }

    /// Lets nothing more in. The thread ends when everything has been written.
    pub fn close(&self) {
        self.queue.close();
    }

    fn push(&self, item: Item, done: Done) {
        if let Err(Closed(request)) = self.queue.push(Request { item, done, patience: Patience::Inside }) {
            answer(request.done, Err(AppendError::Stopping));
        }
    }
}

/// The audit record of the call that sent `batch`; what is read from files was not sent by anybody.
fn call_that_sent(batch: &Batch, offset: Offset) -> Option<TrailDraft> {
    let Source::Http { principal, batch_id } = &batch.source else { return None };
    let draft = TrailDraft::done(Action::PutLogEvents.as_str(), batch.group.as_str()).by(principal);
    let draft = draft.detail("entry", offset).detail("events", batch.len());
    Some(batch_id.iter().fold(draft, |draft, id| draft.detail("batch_id", id)))
}

fn other_agent(entry: &Entry) -> AppendError {
    let shipped = match entry {
        Entry::Batch(batch) => match &batch.source {
            Source::Agent { shipped, .. } => Some(shipped),
            _ => None,
        },
        Entry::Loss(loss) => loss.shipped.as_ref(),
        _ => None,
    };
    let shipped = shipped.expect("an agent sent it");
    AppendError::OtherAgent { agent: shipped.agent, offset: shipped.offset }
}

fn answer(done: Done, appended: Appended) {
    if let Some(done) = done {
        // Whoever waited may have gone away; what was appended stays appended.
        let _ = done.send(appended);
    }
}

/// The thread's own side.
pub struct WriterThread {
    queue: Arc<Queue<Request>>,
    full: Arc<Full>,
    journal: Journal,
    admission: Admission,
    clock: Arc<dyn Clock>,
    fold: SyncSender<Told>,
    durable: watch::Sender<Offset>,
    upkeep: SyncSender<()>,
    /// What waits until the disk has room.
    held: Vec<Request>,
    snapshot_every_bytes: usize,
    bytes_since_snapshot: usize,
    /// Segments begun when the upkeep was last woken.
    begun: u64,
}

/// What is written with one sync.
#[derive(Default)]
struct Commit {
    /// With the beginning of the payload.
    records: Vec<(Arc<Record>, Vec<u8>)>,
    answers: Vec<(Done, Receipt)>,
    snapshot: bool,
}

impl WriterThread {
    /// A writer to `journal`, which tells `fold` of every record and wakes `upkeep` when the journal
    /// wants a spare or has no reserve.
    pub fn new(
        journal: Journal,
        admission: Admission,
        clock: Arc<dyn Clock>,
        fold: SyncSender<Told>,
        upkeep: SyncSender<()>,
        snapshot_every_bytes: usize,
    ) -> (WriterThread, Writer, Durable) {
        let (queue, full) = (Arc::new(Queue::new()), Arc::new(Full::default()));
        let (durable, watched) = watch::channel(Offset(journal.next_offset()));
        let writer = Writer { queue: Arc::clone(&queue), full: Arc::clone(&full) };
        let begun = journal.upkeep().begun();
        (
            WriterThread {
                queue,
                full,
                journal,
                admission,
                clock,
                fold,
                durable,
                upkeep,
                held: Vec::new(),
                snapshot_every_bytes,
                bytes_since_snapshot: 0,
                begun,
            },
            writer,
            watched,
        )
    }

    /// Writes until the queue is closed and empty.
    ///
    /// # Errors
    /// [`JournalError`] if the disk failed: the process must stop. Everyone who waits has been told.
    pub fn run(mut self) -> Result<(), JournalError> {
        loop {
            let requests = self.queue.take(COMMIT_BYTES_MAX);
            if requests.is_empty() {
                self.held.into_iter().for_each(|held| answer(held.done, Err(AppendError::Stopping)));
                return Ok(());
            }
            let requests = self.sort_out(requests);
            let commit = self.prepare(requests);
            let snapshot = commit.snapshot;
            if let Err(error) = self.commit(commit) {
                self.queue.close();
                let text = error.to_string();
                for request in self.queue.take(usize::MAX).into_iter().chain(self.held) {
                    answer(request.done, Err(AppendError::Disk(text.clone())));
                }
                return Err(error);
            }
            if snapshot || self.bytes_since_snapshot >= self.snapshot_every_bytes {
                self.bytes_since_snapshot = 0;
                self.tell(Told::Snapshot(self.admission.snapshot()));
            }
        }
    }

    /// What of the requests is written now. While the disk or the journal is full, what comes from outside waits or is
    /// sent away.
    fn sort_out(&mut self, requests: Vec<Request>) -> Vec<Request> {
        let is_short = self.journal.is_short() || self.full.is_full.load(Ordering::Acquire);
        if is_short != self.queue.is_paused() {
            self.queue.pause(is_short);
            if is_short {
                let reason = self.full.refusal();
                tracing::error!(%reason, "no line is taken until there is room; what is in is decided and told");
            } else {
                tracing::info!("there is room again: lines are taken");
            }
        }
        if !is_short {
            return self.held.drain(..).chain(requests).collect();
        }
        let (inside, outside): (Vec<_>, Vec<_>) =
            requests.into_iter().partition(|request| request.patience == Patience::Inside);
        let (waiting, leaving): (Vec<_>, Vec<_>) =
            outside.into_iter().partition(|request| request.patience == Patience::Waits);
        for request in leaving {
            answer(request.done, Err(self.full.refusal()));
        }
        self.held.extend(waiting);
        if self.queue.is_impatient() {
            let refusal = self.full.refusal();
            self.held.drain(..).for_each(|request| answer(request.done, Err(refusal.clone())));
        }
        inside
    }

    fn prepare(&mut self, requests: Vec<Request>) -> Commit {
        // A clock that runs backwards does not take the journal with it.
        let now = self.clock.now().max(self.admission.last_time);
        self.admission.last_time = now;
        let mut commit = Commit::default();
        for Request { item, done, patience: _ } in requests {
            let entry = match item {
                Item::Snapshot => {
                    commit.snapshot = true;
                    continue;
                }
                Item::Barrier => {
                    let offset = Offset(self.journal.next_offset() + commit.records.len() as u64);
                    commit.answers.push((done, Receipt { offset, events: 0, duplicate: false }));
                    continue;
                }
                Item::Shipment(entries, call) => {
                    self.admit_shipment(&mut commit, entries, call, now, done);
                    continue;
                }
                Item::Trail(draft) => Entry::Trail(self.admission.trail.extend(now, draft)),
                Item::Entry(entry) => entry,
            };
            self.admit(&mut commit, entry, now, done);
        }
        commit
    }

    fn admit(&mut self, commit: &mut Commit, entry: Entry, now: Timestamp, done: Done) {
        let offset = Offset(self.journal.next_offset() + commit.records.len() as u64);
        let mut receipt = Receipt { offset, events: 0, duplicate: false };
        if let Entry::Batch(batch) = &entry {
            if let Some(stored) = self.admission.batch_ids.stored(batch, now) {
                let (offset, events) = (stored.offset, stored.events);
                if stored.holds(batch) {
                    commit.answers.push((done, Receipt { offset, events, duplicate: true }));
                } else {
                    answer(done, Err(AppendError::BatchIdTaken { offset }));
                }
                return;
            }
            receipt.events = batch.len();
        }
        let payload = entry.encode_beginning();
        let bytes = payload.len() + entry.rest().len();
        // What the process itself has to say is never dropped: the journal would refuse it, and the process stop.
        if bytes > PAYLOAD_BYTES_MAX && matches!(entry, Entry::Batch(_)) {
            answer(done, Err(AppendError::TooLarge { bytes }));
            return;
        }
        let mut call = None;
        if let Entry::Batch(batch) = &entry {
            self.admission.batch_ids.remember(batch, offset, now);
            call = call_that_sent(batch, offset);
        }
        commit.records.push((Arc::new(Record { offset, time: now, entry }), payload));
        commit.answers.push((done, receipt));
        if let Some(draft) = call {
            let record = Entry::Trail(self.admission.trail.extend(now, draft));
            self.admit(commit, record, now, None);
        }
    }

    fn admit_shipment(
        &mut self,
        commit: &mut Commit,
        entries: Vec<Entry>,
        call: TrailDraft,
        now: Timestamp,
        done: Done,
    ) {
        let mut new = Vec::new();
        for entry in entries {
            match self.admission.agents.verdict(&entry) {
                Some(Verdict::Repeated) => {}
                Some(Verdict::Other) => {
                    answer(done, Err(other_agent(&entry)));
                    return;
                }
                Some(Verdict::TooMany) => {
                    answer(done, Err(AppendError::TooManyAgents));
                    return;
                }
                Some(Verdict::New) | None => new.push((entry.encode_beginning(), entry)),
            }
        }
        let bytes = |(payload, entry): &(Vec<u8>, Entry)| payload.len() + entry.rest().len();
        if let Some(bytes) = new.iter().map(bytes).find(|bytes| *bytes > PAYLOAD_BYTES_MAX) {
            answer(done, Err(AppendError::TooLarge { bytes }));
            return;
        }
        let offset = Offset(self.journal.next_offset() + commit.records.len() as u64);
        let (entries, mut events) = (new.len(), 0);
        for (payload, entry) in new {
            self.admission.agents.remember(&entry);
            events += if let Entry::Batch(batch) = &entry { batch.len() } else { 0 };
            let offset = Offset(self.journal.next_offset() + commit.records.len() as u64);
            commit.records.push((Arc::new(Record { offset, time: now, entry }), payload));
        }
        commit.answers.push((done, Receipt { offset, events, duplicate: entries == 0 }));
        if entries > 0 {
            let call = call.detail("entry", offset).detail("entries", entries).detail("events", events);
            let record = Entry::Trail(self.admission.trail.extend(now, call));
            self.admit(commit, record, now, None);
        }
    }

    fn commit(&mut self, commit: Commit) -> Result<(), JournalError> {
        if !commit.records.is_empty() {
            self.tell(Told::Records(commit.records.iter().map(|(record, _)| Arc::clone(record)).collect()));
        }
        let bytes = |(record, payload): &(Arc<Record>, Vec<u8>)| payload.len() + record.entry.rest().len();
        self.bytes_since_snapshot += commit.records.iter().map(bytes).sum::<usize>();
        let frames: Vec<NewEntry<'_>> = commit
            .records
            .iter()
            .map(|(record, payload)| NewEntry {
                kind: record.entry.kind(),
                flags: 0,
                time_ms: record.time.0,
                payload,
                rest: record.entry.rest(),
            })
            .collect();
        let written = self.journal.append_batch(&frames);
        if let Err(error) = &written {
            let text = error.to_string();
            commit
                .answers
                .into_iter()
                .for_each(|(done, _)| answer(done, Err(AppendError::Disk(text.clone()))));
            return written.map(drop);
        }
        self.durable.send_replace(Offset(self.journal.next_offset()));
        let begun = self.journal.segments_begun();
        if self.journal.wants_spare() || self.journal.is_short() || begun != self.begun {
            self.begun = begun;
            // If it is full it has been asked already; if nobody is there the journal goes on without.
            let _ = self.upkeep.try_send(());
        }
        commit.answers.into_iter().for_each(|(done, receipt)| answer(done, Ok(receipt)));
        Ok(())
    }

    fn tell(&self, told: Told) {
        // The fold ends after the writer, or because it met something it cannot go on with; then the process stops.
        let _ = self.fold.send(told);
    }
}
