//! A worker: receives a message, processes it, and completes it together with what it became.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{oneshot, watch};
use watchbell_functions::process::{Failed, Input, Outcome, Program, single};
use watchbell_model::{BatchBuilder, Kept, MessageId, Sample};
use watchbell_server::{QueueCall, QueueError};

use super::pool::{InForce, Pool, Shared};
use crate::run::broker::{Ask, Asked, Completes, Delivered, Done, Raised, Work};

/// How long a worker waits for a message at a time, in milliseconds.
const WAIT_MS: i64 = 20_000;

/// How long it pauses when the queue cannot be asked.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a message is put away, in milliseconds, if there is no room for its dead letters.
const NO_ROOM_MS: i64 = 30_000;

/// The broker has ended.
struct Ended;

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
                Ok(Ok(delivered)) => delivered.into_iter().try_for_each(|it| self.work(queue, it)),
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

    fn work(&self, queue: &str, delivered: Delivered) -> Result<(), Ended> {
        let Delivered { message, receipt, payload, .. } = delivered;
        // As it is now: a reload is in force for every message received after it.
        let Some(in_force) = self.pool.in_force() else { return self.hide(queue, receipt, 0) };
        let body = payload.body(message, self.shared.installation).unwrap_or(Value::Null);
        let done = self.process(&in_force, message, receipt.clone(), &body);
        let (events, raised) = (count(&body), done.raised.as_ref().map_or(0, |raised| raised.events.len()));
        let (samples, failed) = (done.samples.len(), done.dead.len());
        let error = done.dead.first().map(|(_, _, reason)| reason.clone());
        match self.complete(queue, done)? {
            Ok(Completes::Done) => self.pool.note(|figures| {
                figures.messages += 1;
                figures.events += events as u64;
                figures.raised_events += raised as u64;
                figures.raised_values += samples as u64;
                figures.failed_events += failed as u64;
                figures.last_error = error.or(figures.last_error.take());
            }),
            Ok(Completes::TooLate) => self.pool.note(|figures| figures.too_late += 1),
            Ok(Completes::NoRoom) => {
                let reason = "there is no room for more dead letters in the queue: redrive or let expire what is there";
                tracing::error!(queue, function = self.pool.name, reason, "a message is put away for 30 s");
                self.pool.note(|figures| figures.last_error = Some(reason.to_owned()));
                self.hide(queue, receipt, NO_ROOM_MS)?;
            }
            // Nothing was done; the message comes back.
            Err(_) => {}
        }
        Ok(())
    }

    fn process(&self, in_force: &InForce, message: MessageId, receipt: String, body: &Value) -> Done {
        let function = &in_force.loaded.function;
        let mut done = Done {
            receipt,
            function: self.pool.name.clone(),
            dead: Vec::new(),
            samples: Vec::new(),
            raised: None,
        };
        let Some(input) = Input::of_body(body) else {
            let reason = format!("function \"{}\": the payload is not that of a message", self.pool.name);
            done.dead.push((message, body.clone(), reason));
            return done;
        };
        let Outcome { raised, samples, failed, .. } = process(&in_force.loaded.program, &input);
        let dead = |Failed { index, reason }: Failed| {
            let (part, body) = single(message, body, index);
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
        done
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
    fn hide(&self, queue: &str, receipt: String, visibility_timeout_ms: i64) -> Result<(), Ended> {
        let (reply, answer) = oneshot::channel();
        let call = QueueCall::ChangeVisibility { receipts: vec![receipt], visibility_timeout_ms };
        let principal = format!("function {}", self.pool.name);
        self.ask(Asked::Outside(Ask { queue: queue.to_owned(), principal, call, reply }))?;
        answer.blocking_recv().map(drop).map_err(|_| Ended)
    }

    fn ask(&self, asked: Asked) -> Result<(), Ended> {
        self.shared.asks.blocking_send(asked).map_err(|_| Ended)
    }
}

/// Processes a message; should an event make the program panic, only that one fails.
fn process(program: &Program, input: &Input) -> Outcome {
    if let Ok(outcome) = catch_unwind(AssertUnwindSafe(|| program.process(input))) {
        return outcome;
    }
    let mut outcome = Outcome::default();
    for (index, event) in (0..).zip(&input.events) {
        let alone = Input { events: vec![event.clone()], ..*input };
        if let Ok(one) = catch_unwind(AssertUnwindSafe(|| program.process(&alone))) {
            outcome.raised.extend(one.raised);
            outcome.samples.extend(one.samples);
            outcome.failed.extend(one.failed.into_iter().map(|failed| Failed { index, ..failed }));
            outcome.events.extend(one.events.into_iter().map(|(_, event)| (index, event)));
        } else {
            let reason = "the event made the program panic; this is a defect of Watchbell: please report it";
            outcome.failed.push(Failed { index, reason: reason.to_owned() });
        }
    }
    outcome
}

/// How many events a payload has.
fn count(body: &Value) -> usize {
    body.get("events").and_then(Value::as_array).map_or(1, Vec::len)
}
