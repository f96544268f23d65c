//! The broker: the one that hands out messages of queues and journals what happens to them.
//!
//! It works in rounds. Whatever was asked meanwhile is decided from the fold's queues, journaled together, and answered
//! when that is on disk and folded. So an answer holds across a crash, and nobody else appends queue entries.
//! Not here: what may happen to a message (`watchbell_functions::queue`), HTTP.

mod payload;
mod waiting;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use watchbell_functions::queue::{
    Copying, Draft, Drafted, Message, Place, RECEIVE_TEXT_BYTES_MAX, Receipt, Releasing, messages,
};
use watchbell_model::{Action, Entry, InstallationId, Lease, MessageId, Offset, QueueChange, QueueChanges};
use watchbell_server::{QueueCall, QueueError};

use self::payload::Trouble;
pub use self::payload::{Payload, Payloads};
pub use self::waiting::Answer;
use self::waiting::{
    Answers, Completion, Handles, Offer, Poller, Receiver, Redrive, Waiting, no_dead_letter, tell,
};
pub use self::work::{Completes, Delivered, Done, Raised, Work};
use super::bound::Goal;
use super::clock::Clock;
use super::fold::{Fold, SharedFold};
use super::trail::TrailDraft;
use super::writer::{Appended, Durable, Writer};

/// Asks that wait for the broker at a time; one more is told to come back.
pub const ASKS_MAX: usize = 256;

/// Entries that are looked through at a time for messages that are only counted.
const READ_ON_ENTRIES_MAX: u64 = 10_000;

/// How long it sleeps at most when nothing happens.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// What the broker is asked.
pub enum Asked {
    /// Over HTTP.
    Outside(Ask),
    /// By a function's worker.
    Worker(Work),
}

/// Something that somebody wants of a queue.
pub struct Ask {
    /// The queue's name.
    pub queue: String,
    /// Who wants it.
    pub principal: String,
    /// What.
    pub call: QueueCall,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Answer>,
}

/// A broker at work.
pub struct BrokerHandle {
    /// Asks it.
    pub asks: mpsc::Sender<Asked>,
    /// Ends it.
    pub finish: oneshot::Sender<()>,
    /// Its thread.
    pub thread: JoinHandle<()>,
}

/// The thread that hands out messages.
pub struct Broker {
    installation: InstallationId,
    fold: SharedFold,
    payloads: Payloads,
    writer: Writer,
    clock: Arc<dyn Clock>,
    durable: Durable,
    asks: mpsc::Receiver<Asked>,
    stopping: watch::Receiver<bool>,
    /// Entries that are about to go.
    goal: watch::Receiver<Goal>,
    waiting: BTreeMap<String, Waiting>,
    /// There is something to do without anybody asking.
    goes_on: bool,
}

/// A round of one queue that has been decided, and perhaps is on its way to the disk.
struct Round {
    queue: String,
    answers: Answers,
    told: Vec<oneshot::Receiver<Appended>>,
}

impl Broker {
    /// A broker of the fold's queues. It hands out only what is `durable`; once `stopping` is true, nobody waits for
    /// messages any more.
    pub fn new(
        payloads: Payloads,
        installation: InstallationId,
        (fold, writer, durable): (SharedFold, Writer, Durable),
        clock: Arc<dyn Clock>,
        asks: mpsc::Receiver<Asked>,
        stopping: watch::Receiver<bool>,
        goal: watch::Receiver<Goal>,
    ) -> Broker {
        let waiting = BTreeMap::new();
        Broker {
            installation,
            fold,
            payloads,
            writer,
            clock,
            durable,
            asks,
            stopping,
            goal,
            waiting,
            goes_on: true,
        }
    }

    /// Works until `finish` resolves. With `plan_before` it begins when another plan is in force than the one that stands
    /// there, if one does: until then a queue of a new plan would be unknown.
    pub fn run(
        mut self,
        plan_before: Option<Option<Offset>>,
        mut finish: oneshot::Receiver<()>,
        runtime: &Handle,
    ) {
        if let Some(before) = plan_before {
            let is_there = |fold: &Fold| fold.engine.plan().map(|(offset, _)| offset) != before;
            while !self.fold.wait_until(SLEEP_MAX, is_there) {
                if finish.try_recv() != Err(oneshot::error::TryRecvError::Empty) {
                    return;
                }
            }
        }
        while runtime.block_on(self.wait(&mut finish)) {
            self.goes_on = false;
            while let Ok(ask) = self.asks.try_recv() {
                self.take(ask);
            }
            let durable = *self.durable.borrow_and_update();
            if let Some(last) = durable.0.checked_sub(1) {
                // Else a message could be enqueued after the look and before the wait for the next sync.
                self.fold.wait_for(Offset(last));
            }
            let rounds: Vec<Round> =
                self.names().into_iter().filter_map(|name| self.round(name, durable)).collect();
            for round in rounds {
                self.finish(round, runtime);
            }
        }
    }

    /// Waits for something to do; false if that is to end.
    async fn wait(&mut self, finish: &mut oneshot::Receiver<()>) -> bool {
        let has_pollers = self.waiting.values().any(|waiting| !waiting.pollers.is_empty());
        let is_stopping = *self.stopping.borrow();
        let pause = if self.goes_on { Duration::ZERO } else { self.pause() };
        tokio::select! {
            biased;
            _ = finish => return false,
            Some(ask) = self.asks.recv() => self.take(ask),
            Ok(()) = self.durable.changed(), if has_pollers => {}
            Ok(()) = self.stopping.changed(), if !is_stopping => {}
            () = tokio::time::sleep(pause) => {}
        }
        true
    }

    /// Until a message becomes visible or too old, or somebody has waited long enough.
    fn pause(&self) -> Duration {
        let now = self.clock.now();
        let deadlines = self.waiting.values().flat_map(|it| &it.pollers).map(|it| it.deadline);
        let fold = self.fold.look();
        let due = fold.queues.iter().filter_map(|(_, view)| view.next_due(now));
        let next = deadlines.chain(due).min();
        next.map_or(SLEEP_MAX, |at| self.clock.sleep_until(at)).min(SLEEP_MAX)
    }

    /// Every queue that there is, and every one that somebody thinks there is.
    fn names(&self) -> BTreeSet<String> {
        let fold = self.fold.look();
        let planned = fold.queues.iter().map(|(name, _)| name.to_owned());
        planned.chain(self.waiting.keys().cloned()).collect()
    }

    fn take(&mut self, asked: Asked) {
        match asked {
            Asked::Outside(ask) => self.take_call(ask),
            Asked::Worker(work) => self.take_work(work),
        }
    }

    fn take_work(&mut self, work: Work) {
        match work {
            Work::Receive { queue, wait_ms, visibility_timeout_ms, reply } => {
                let deadline = self.clock.now().plus_ms(wait_ms);
                let reply = Receiver::Worker(reply);
                let poller = Poller { reply, max: 1, visibility_timeout_ms, deadline, is_short: false };
                self.waiting.entry(queue).or_default().pollers.push_back(poller);
            }
            Work::Complete { queue, done, reply } => {
                let completion = Completion { reply, done: *done };
                self.waiting.entry(queue).or_default().completions.push_back(completion);
            }
        }
    }

    fn take_call(&mut self, ask: Ask) {
        let Ask { queue, principal, call, reply } = ask;
        match call {
            QueueCall::Receive { max, wait_ms, visibility_timeout_ms } => {
                let deadline = self.clock.now().plus_ms(wait_ms);
                let (reply, is_short) = (Receiver::Outside(reply), wait_ms == 0);
                let poller = Poller { reply, max, visibility_timeout_ms, deadline, is_short };
                self.waiting.entry(queue).or_default().pollers.push_back(poller);
            }
            QueueCall::Delete { receipts } => {
                let handles = Handles::new(reply, receipts, None);
                self.waiting.entry(queue).or_default().handles.push_back(handles);
            }
            QueueCall::ChangeVisibility { receipts, visibility_timeout_ms } => {
                let handles = Handles::new(reply, receipts, Some(visibility_timeout_ms));
                self.waiting.entry(queue).or_default().handles.push_back(handles);
            }
            QueueCall::Redrive { messages } => {
                match messages.map(|names| names.iter().map(|name| self.id(name)).collect()).transpose() {
                    Ok(messages) => {
                        let redrive = Redrive { reply, principal, messages };
                        self.waiting.entry(queue).or_default().redrives.push_back(redrive);
                    }
                    Err(error) => tell(reply, Err(error)),
                }
            }
            QueueCall::DeadLetters { after, max } => {
                tell(reply, self.dead_letters(&queue, after.as_deref(), max));
            }
        }
    }

    fn id(&self, name: &str) -> Result<MessageId, QueueError> {
        MessageId::of_name(name, self.installation).ok_or_else(|| no_dead_letter(name))
    }

    /// Decides what can be decided for one queue, and hands it to the writer.
    fn round(&mut self, queue: String, durable: Offset) -> Option<Round> {
        let mut waiting = self.waiting.remove(&queue).unwrap_or_default();
        waiting.forget_the_gone();
        if let Err(trouble) = self.read_on(&queue, durable) {
            waiting.refuse(&unreadable(&queue, &trouble));
            return None;
        }
        let Some((mut answers, Drafted { mut changes, dying, copying })) =
            self.decide(&queue, &mut waiting, durable)
        else {
            waiting.refuse(&QueueError::NoSuchQueue);
            return None;
        };
        if !waiting.is_empty() {
            self.waiting.insert(queue.clone(), waiting);
        }
        let read = self.offer(&queue, &mut answers).and_then(|()| {
            for dying in dying {
                let body = self.payloads.body(dying.message, dying.copy)?;
                changes.push(dying.with_body(body));
            }
            for Copying { message, copy } in copying {
                let body = self.payloads.body(message, Some(copy))?;
                changes.push(QueueChange::Copied { message, body });
            }
            Ok(())
        });
        if let Err(trouble) = read {
            answers.refuse(&unreadable(&queue, &trouble));
            return None;
        }
        let mut told = self.append_completions(&queue, &mut answers);
        if !changes.is_empty() {
            told.push(self.append(&queue, changes, &answers));
        }
        Some(Round { queue, answers, told })
    }

    /// `None` if there is no such queue.
    fn decide(&mut self, queue: &str, waiting: &mut Waiting, durable: Offset) -> Option<(Answers, Drafted)> {
        let (now, is_stopping) = (self.clock.now(), *self.stopping.borrow());
        let fold = self.fold.look();
        let releasing = self.goal.borrow().queues;
        let mut draft = Draft::releasing(queue, fold.queues.get(queue)?, now, durable, releasing);
        let answers = waiting.work(&mut draft, now, is_stopping, self.installation);
        let is_full = draft.is_full();
        let drafted = draft.finish();
        let completes = !answers.completions.is_empty();
        let Drafted { changes, dying, copying } = &drafted;
        let has_changes = completes || !(changes.is_empty() && dying.is_empty() && copying.is_empty());
        // What waited for another change of the same message, or may find one that came back in this round.
        self.goes_on |= is_full || (has_changes && (!waiting.is_empty() || releasing != Releasing::NOTHING));
        Some((answers, drafted))
    }

    /// Reads the payloads of what is handed out, before anything is journaled: what cannot be read is not received.
    fn offer(&mut self, queue: &str, answers: &mut Answers) -> Result<(), Trouble> {
        while let Some((receiver, leases)) = answers.leases.pop() {
            let offer = match receiver {
                Receiver::Outside(reply) => {
                    let read = |(lease, copy): &(Lease, Option<Place>)| {
                        let body = self.payloads.body(lease.message, *copy)?;
                        Ok(offered(queue, lease, body, self.installation))
                    };
                    match leases.iter().map(read).collect() {
                        Ok(messages) => Offer::Outside(reply, messages),
                        Err(trouble) => {
                            answers.offered.push(Offer::Outside(reply, Vec::new()));
                            return Err(trouble);
                        }
                    }
                }
                Receiver::Worker(reply) => {
                    let read = |(lease, copy): &(Lease, Option<Place>)| {
                        let payload = self.payloads.payload(lease.message, *copy)?;
                        let receipt = receipt(queue, lease);
                        let Lease { message, receives, enqueued, until, .. } = *lease;
                        Ok(Delivered { message, receipt, receives, enqueued, until, payload })
                    };
                    match leases.iter().map(read).collect() {
                        Ok(delivered) => Offer::Worker(reply, delivered),
                        Err(trouble) => {
                            answers.offered.push(Offer::Worker(reply, Vec::new()));
                            return Err(trouble);
                        }
                    }
                }
            };
            answers.offered.push(offer);
        }
        Ok(())
    }

    /// Journals what functions have dealt with: each message in one entry with what was raised of it.
    fn append_completions(&self, queue: &str, answers: &mut Answers) -> Vec<oneshot::Receiver<Appended>> {
        let mut told = Vec::with_capacity(answers.completions.len());
        for (Completion { reply, done }, completed) in std::mem::take(&mut answers.completions) {
            let Done { receipt: _, function, dead, samples, raised } = done;
            if let Some((_, _, reason)) = dead.first() {
                let (message, events) = (completed.message, dead.len());
                tracing::warn!(
                    queue, function, %message, events, reason, "events of a message are dead letters now"
                );
            }
            let changes = QueueChanges { queue: queue.to_owned(), changes: completed.changes(dead), samples };
            let entry = match raised {
                Some(raised) => Entry::Batch(raised.batch(function, completed.message, changes)),
                None => Entry::Queue(changes),
            };
            told.push(self.writer.append_told(entry));
            answers.completed.push(reply);
        }
        told
    }

    fn append(
        &self,
        queue: &str,
        changes: Vec<QueueChange>,
        answers: &Answers,
    ) -> oneshot::Receiver<Appended> {
        for change in &changes {
            say(queue, change);
        }
        // First, so that no redrive is on disk without its record.
        for (redrive, messages) in &answers.redriven {
            let draft = TrailDraft::done(Action::StartMessageMoveTask.as_str(), queue);
            self.writer.trail(draft.by(&redrive.principal).detail("messages", messages.len()));
        }
        self.writer.append_told(Entry::Queue(QueueChanges {
            queue: queue.to_owned(),
            changes,
            samples: Vec::new(),
        }))
    }

    /// Answers once the round is on disk and folded.
    fn finish(&self, round: Round, runtime: &Handle) {
        let Round { queue, answers, told } = round;
        let mut last = None;
        for told in told {
            match runtime.block_on(told) {
                Ok(Ok(receipt)) => last = last.max(Some(receipt.offset)),
                Ok(Err(error)) => {
                    return answers.refuse(&QueueError::Failed(format!("queue {queue:?}: {error}")));
                }
                Err(_) => return answers.refuse(&QueueError::Stopping),
            }
        }
        if let Some(last) = last {
            self.fold.wait_for(last);
        }
        answers.give();
    }

    /// Reads the journal for messages that are only counted, if few are left that are known by name.
    fn read_on(&mut self, queue: &str, durable: Offset) -> Result<(), Trouble> {
        let (from, room, plan) = {
            let fold = self.fold.look();
            let Some(view) = fold.queues.get(queue) else { return Ok(()) };
            let Some(from) = view.reads_on_from() else { return Ok(()) };
            let plan = fold.queues.plan_at(from.0).map(|offset| (offset, fold.plan_at(offset)));
            (from, view.room(), plan)
        };
        let mut rule = match plan {
            Some((_, Some(plan))) => plan.queues.get(queue).cloned(),
            // From before plans were remembered; then none of the journal has gone.
            Some((offset, None)) => self.payloads.plan(offset)?.queues.remove(queue),
            None => None,
        };
        let (mut found, mut to): (Vec<Message>, _) = (Vec::new(), from);
        let end = durable.0.min(from.0.0 + READ_ON_ENTRIES_MAX);
        while found.len() < room && to.0.0 < end {
            let record = self.payloads.record(to.0)?;
            if let Entry::Plan(plan) = &record.entry {
                rule = plan.queues.get(queue).cloned();
            }
            let here = rule.as_ref().map_or_else(Vec::new, |rule| messages(&record, rule));
            found.extend(here.into_iter().filter(|message| message.id.position() >= from));
            to = (record.offset.next(), 0);
        }
        if to != from {
            self.goes_on = true;
            if let Some(view) = self.fold.look().queues.get_mut(queue) {
                view.read_on(from, found, to);
            }
        }
        Ok(())
    }

    /// Dead letters after one of this name, as many as one answer holds.
    fn dead_letters(&mut self, queue: &str, after: Option<&str>, max: usize) -> Answer {
        let after = after.map(|name| self.id(name)).transpose()?;
        let mut found = Vec::new();
        {
            let fold = self.fold.look();
            let view = fold.queues.get(queue).ok_or(QueueError::NoSuchQueue)?;
            let mut bytes = 0;
            for (message, dead) in view.dead_letters(after).take(max) {
                bytes += dead.bytes;
                if !found.is_empty() && bytes > RECEIVE_TEXT_BYTES_MAX {
                    break;
                }
                found.push((message, dead.clone()));
            }
        }
        let mut letters = Vec::with_capacity(found.len());
        for (message, dead) in found {
            let body = self.payloads.body(message, Some(dead.place));
            let mut letter = body.map_err(|trouble| unreadable(queue, &trouble))?;
            letter["id"] = json!(message.name(self.installation));
            letter["receives"] = json!(dead.receives);
            letter["enqueued"] = json!(dead.enqueued.to_string());
            letter["died"] = json!(dead.at.to_string());
            letter["reason"] = json!(dead.reason);
            letters.push(letter);
        }
        Ok(json!({ "dead_letters": letters }))
    }
}

/// The handle of a lease.
fn receipt(queue: &str, lease: &Lease) -> String {
    Receipt { queue: queue.to_owned(), message: lease.message, number: lease.receipt }.to_string()
}

/// A message as its receiver over HTTP sees it.
fn offered(queue: &str, lease: &Lease, body: Value, installation: InstallationId) -> Value {
    let mut offered = body;
    offered["id"] = json!(lease.message.name(installation));
    offered["receipt"] = json!(receipt(queue, lease));
    offered["receives"] = json!(lease.receives);
    offered["enqueued"] = json!(lease.enqueued.to_string());
    offered
}

fn unreadable(queue: &str, trouble: &Trouble) -> QueueError {
    tracing::error!(queue, %trouble, "messages cannot be read");
    QueueError::Failed(format!("messages cannot be read: {trouble}"))
}

/// Says what nobody asked for.
fn say(queue: &str, change: &QueueChange) {
    let expired = |messages: usize| {
        tracing::warn!(
            queue,
            messages,
            "messages were never deleted and are too old, or the journal had no room for them: they are gone"
        );
    };
    match change {
        QueueChange::Dead(letter) => {
            tracing::warn!(queue, message = %letter.message, letter.reason, "a message is a dead letter now");
        }
        QueueChange::Passed { messages, .. } => expired(usize::try_from(*messages).unwrap_or(usize::MAX)),
        QueueChange::Expired { messages } => expired(messages.len()),
        QueueChange::Forgotten { messages } => {
            tracing::warn!(
                queue,
                messages = messages.len(),
                "dead letters are too old, or the journal had no room for them: they are gone"
            );
        }
        QueueChange::Received(_)
        | QueueChange::Hidden { .. }
        | QueueChange::Deleted { .. }
        | QueueChange::Copied { .. }
        | QueueChange::Redriven { .. } => {}
    }
}
