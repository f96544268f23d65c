//! A worker: receives a message, processes it, and completes it together with what it became.

use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{oneshot, watch};
use watchbell_functions::process::{Failed, Input, Keep, Outcome, Program, single};
use watchbell_model::{BatchBuilder, InstallationId, Kept, MessageId, Sample, Timestamp};
use watchbell_notify::{Webhook, backoff};
use watchbell_server::{QueueCall, QueueError};

use super::hook::Posting;
use super::pool::{InForce, Pool, Shared};
use super::remedy::Run;
use crate::run::broker::{Answer, Ask, Asked, Completes, Delivered, Done, Payload, Raised, Work};

/// How long a worker waits for a message at a time, in milliseconds.
const WAIT_MS: i64 = 20_000;

/// How long it pauses when the queue cannot be asked.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a message is put away, in milliseconds, if there is no room for its dead letters.
const NO_ROOM_MS: i64 = 30_000;

/// How long a request of a webhook may take, in milliseconds, and something more.
const POST_MS: i64 = 15_000;

/// For how long a message is kept while it is posted, in milliseconds.
const POST_KEPT_MS: i64 = 60_000;

/// The broker has ended.
struct Ended;

/// Another attempt may work.
#[derive(Debug)]
pub(super) struct Passing {
    /// Why this one did not.
    pub(super) reason: String,
    /// Not before.
    pub(super) after: Option<Duration>,
}

/// A message that a worker has.
pub(super) struct Lease<'a> {
    queue: &'a str,
    receipt: String,
    until: Timestamp,
}

/// A message as it was received.
struct Made<'a> {
    message: MessageId,
    receives: u32,
    enqueued: Timestamp,
    payload: &'a Payload,
    installation: InstallationId,
    body: OnceCell<Value>,
}

impl Made<'_> {
    /// The payload as somebody else gets to see it: made out only for those messages that go to somebody.
    fn body(&self) -> &Value {
        let body = || self.payload.body(self.message, self.installation).unwrap_or(Value::Null);
        self.body.get_or_init(body)
    }
}

/// How many events a message has.
fn events_of(message: &MessageId) -> u64 {
    u64::from(message.last - message.first) + 1
}

/// One worker of a function.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) pool: Arc<Pool>,
    /// From 0; it ends when there are to be no more than so many.
    pub(super) number: u32,
}

impl Worker {
    /// Works until it is not needed any more.
    pub(super) fn run(self) {
        let mut changed = self.pool.changed();
        while self.pool.needs(self.number) && !*self.shared.stopping.borrow() {
            // Before the look: what changes after it ends the wait.
            changed.borrow_and_update();
            let Some(in_force) = self.pool.in_force() else { break };
            let queue = &in_force.loaded.function.queue;
            let worked = match self.receive(queue, &mut changed) {
                Ok(Ok(delivered)) => delivered.into_iter().try_for_each(|it| self.timed(queue, it)),
                Ok(Err(QueueError::Stopping)) | Err(Ended) => break,
                // A queue that a reload is taking away, or a journal that cannot be read, which the broker has said.
                Ok(Err(_)) => {
                    std::thread::park_timeout(PAUSE);
                    Ok(())
                }
            };
            if worked.is_err() {
                break;
            }
        }
        self.pool.ended(self.number);
    }

    /// Waits for a message; nothing if none came, or something has changed meanwhile.
    fn receive(
        &self,
        queue: &str,
        changed: &mut watch::Receiver<u64>,
    ) -> Result<Result<Vec<Delivered>, QueueError>, Ended> {
        let (reply, mut answer) = oneshot::channel();
        let (queue, visibility_timeout_ms) = (queue.to_owned(), None);
        self.ask(Asked::Worker(Work::Receive { queue, wait_ms: WAIT_MS, visibility_timeout_ms, reply }))?;
        let answered = self.shared.runtime.block_on(async {
            tokio::select! {
                biased;
                answered = &mut answer => Some(answered),
                _ = changed.changed() => None,
            }
        });
        if let Some(answered) = answered {
            return answered.map_err(|_| Ended);
        }
        // A message that is on its way at this very moment comes back by itself.
        answer.close();
        Ok(answer.try_recv().unwrap_or(Ok(Vec::new())))
    }

    fn timed(&self, queue: &str, delivered: Delivered) -> Result<(), Ended> {
        let begun = self.shared.clock.now();
        let worked = self.work(queue, delivered);
        // A clock that was set back meanwhile says nothing.
        let ms = u64::try_from(self.shared.clock.now().ms_since(begun)).unwrap_or(0);
        self.pool.note(|figures| figures.worked_ms += ms);
        worked
    }

    fn work(&self, queue: &str, delivered: Delivered) -> Result<(), Ended> {
        let Delivered { message, receipt, receives, enqueued, until, payload } = delivered;
        let mut lease = Lease { queue, receipt, until };
        // As it is now: a reload is in force for every message received after it.
        let Some(in_force) = self.pool.in_force() else { return self.hide(&lease, 0) };
        let (payload, installation) = (&payload, self.shared.installation);
        let made = Made { message, receives, enqueued, payload, installation, body: OnceCell::new() };
        let done = match self.process(&in_force, &made, &mut lease) {
            Ok(done) => done,
            Err(passing) => match self.again(&made, &lease, passing)? {
                Some(done) => done,
                None => return Ok(()),
            },
        };
        let raised = done.raised.as_ref().map_or(0, |raised| raised.events.len());
        let samples = done.samples.len();
        let failed = done.dead.iter().map(|(part, ..)| events_of(part)).sum();
        let error = done.dead.first().map(|(_, _, reason)| reason.clone());
        match self.complete(queue, done)? {
            Ok(Completes::Done) => self.pool.note(|figures| {
                figures.completed(events_of(&made.message), failed);
                figures.raised_events += raised as u64;
                figures.raised_values += samples as u64;
                figures.last_error = error.or(figures.last_error.take());
            }),
            Ok(Completes::TooLate) => self.pool.note(|figures| figures.too_late += 1),
            Ok(Completes::NoRoom) => {
                let reason = "there is no room for more dead letters in the queue: redrive or let expire what is there";
                tracing::error!(queue, function = self.pool.name, reason, "a message is put away for 30 s");
                self.pool.note(|figures| figures.last_error = Some(reason.to_owned()));
                self.hide(&lease, NO_ROOM_MS)?;
            }
            // Nothing was done; the message comes back.
            Err(_) => {}
        }
        Ok(())
    }

    /// What becomes of a message that may work another time: it waits, or it is a dead letter if that was the last.
    fn again(&self, made: &Made<'_>, lease: &Lease<'_>, passing: Passing) -> Result<Option<Done>, Ended> {
        let Passing { reason, after } = passing;
        let receives_max =
            self.shared.fold.look().queues.get(lease.queue).map_or(u32::MAX, |view| view.rule().max_receives);
        self.pool.note(|figures| {
            figures.tried_again += 1;
            figures.last_error = Some(reason.clone());
        });
        if made.receives >= receives_max {
            let reason = format!("function \"{}\", {reason}; tried {} times", self.pool.name, made.receives);
            let mut done = self.done(lease);
            done.dead.push((made.message, made.body().clone(), reason));
            return Ok(Some(done));
        }
        let wait = backoff(made.receives, made.message.offset.0).max(after.unwrap_or_default());
        let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        tracing::warn!(function = self.pool.name, message = %made.message, reason, wait_ms, "a message is tried again");
        self.hide(lease, wait_ms)?;
        Ok(None)
    }

    fn done(&self, lease: &Lease<'_>) -> Done {
        Done {
            receipt: lease.receipt.clone(),
            function: self.pool.name.clone(),
            dead: Vec::new(),
            samples: Vec::new(),
            raised: None,
        }
    }

    fn process(&self, in_force: &InForce, made: &Made<'_>, lease: &mut Lease<'_>) -> Result<Done, Passing> {
        let function = &in_force.loaded.function;
        let mut done = self.done(lease);
        let message = made.message;
        let Some(input) = made.payload.input(message, made.installation) else {
            let reason = format!("function \"{}\": the payload is not that of a message", self.pool.name);
            done.dead.push((message, made.body().clone(), reason));
            return Ok(done);
        };
        let program = &in_force.loaded.program;
        let Outcome { events, raised, samples, mut failed } = process(program, &input);
        if let Some(hook) = &in_force.hook {
            let (installation, function) = (self.shared.installation, self.pool.name.as_str());
            let posting = Posting { installation, function, message, body: made.body() };
            let send = |hook: &Webhook, name: &str, body| self.shared.runtime.block_on(hook.post(name, body));
            failed.extend(posting.post(hook, &events, send, || self.keep(lease, POST_MS, POST_KEPT_MS))?);
        }
        if let Some(remedy) = &function.command {
            for (index, event) in (0..).zip(&input.events).filter(|(_, event)| program.commands(event)) {
                let life = format!("{}@{}", message.name(self.shared.installation), made.enqueued.0);
                let run = Run { worker: self, in_force, remedy, life, text: &event.text };
                failed.extend(run.go(lease)?.map(|reason| Failed { index, reason }));
            }
        }
        let dead = |Failed { index, reason }: Failed| {
            let (part, body) = single(message, made.body(), index);
            (part, body, format!("function \"{}\", {reason}", self.pool.name))
        };
        done.dead = failed.into_iter().map(dead).collect();
        done.samples = self.watched(samples);
        let group = function.log_group().filter(|_| !raised.is_empty());
        done.raised = group.map(|group| {
            let mut events = BatchBuilder::default();
            for event in raised {
                let Kept { text, flags, .. } = in_force.redactor.kept(event.text.as_bytes());
                events.push(&text, Some(event.timestamp), flags);
            }
            Raised { group: group.clone(), events, hops: input.hops + 1, backfill: input.backfill }
        });
        Ok(done)
    }

    /// Makes sure that the message stays hidden from others for `ms` more, else hides it for `longer_ms`.
    pub(super) fn keep(&self, lease: &mut Lease<'_>, ms: i64, longer_ms: i64) -> Result<(), Passing> {
        let now = self.shared.clock.now();
        if now.plus_ms(ms) <= lease.until {
            return Ok(());
        }
        let lost = || Passing { reason: "the message was offered to somebody else".to_owned(), after: None };
        match self.hide_told(lease, longer_ms).map_err(|Ended| lost())? {
            Ok(_) => {
                lease.until = now.plus_ms(longer_ms);
                Ok(())
            }
            Err(_) => Err(lost()),
        }
    }

    /// Nothing is journaled that no alarm watches.
    fn watched(&self, mut samples: Vec<Sample>) -> Vec<Sample> {
        if !samples.is_empty() {
            let fold = self.shared.fold.look();
            samples.retain(|sample| fold.engine.watches(&sample.metric, &sample.dimensions));
        }
        samples
    }

    fn complete(&self, queue: &str, done: Done) -> Result<Result<Completes, QueueError>, Ended> {
        let (reply, answer) = oneshot::channel();
        self.ask(Asked::Worker(Work::Complete { queue: queue.to_owned(), done: Box::new(done), reply }))?;
        answer.blocking_recv().map_err(|_| Ended)
    }

    /// Hides a message for so long from now on; if that cannot be, it comes back by itself.
    fn hide(&self, lease: &Lease<'_>, visibility_timeout_ms: i64) -> Result<(), Ended> {
        self.hide_told(lease, visibility_timeout_ms).map(drop)
    }

    fn hide_told(&self, lease: &Lease<'_>, visibility_timeout_ms: i64) -> Result<Answer, Ended> {
        let (reply, answer) = oneshot::channel();
        let call =
            QueueCall::ChangeVisibility { receipts: vec![lease.receipt.clone()], visibility_timeout_ms };
        let principal = format!("function {}", self.pool.name);
        self.ask(Asked::Outside(Ask { queue: lease.queue.to_owned(), principal, call, reply }))?;
        answer.blocking_recv().map_err(|_| Ended)
    }

    fn ask(&self, asked: Asked) -> Result<(), Ended> {
        self.shared.asks.blocking_send(asked).map_err(|_| Ended)
    }
}

/// Processes a message; should an event make the program panic, only that one fails.
fn process(program: &Program, input: &Input<'_>) -> Outcome {
    if let Ok(outcome) = catch_unwind(AssertUnwindSafe(|| program.process(input, Keep::Posted))) {
        return outcome;
    }
    let mut outcome = Outcome::default();
    for (at, index) in (0..input.events.len()).zip(0..) {
        let alone = || program.process_part(input, at..at + 1, Keep::Posted);
        if let Ok(one) = catch_unwind(AssertUnwindSafe(alone)) {
            outcome.raised.extend(one.raised);
            outcome.samples.extend(one.samples);
            outcome.failed.extend(one.failed);
            outcome.events.extend(one.events);
        } else {
            let reason = "the event made the program panic; this is a defect of Watchbell: please report it";
            outcome.failed.push(Failed { index, reason: reason.to_owned() });
        }
    }
    outcome
}
