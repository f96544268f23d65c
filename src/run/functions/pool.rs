//! The workers of one function.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use watchbell_functions::process::{Load, Scale, Scaled};
use watchbell_intake::Redactor;
use watchbell_model::{Function, InstallationId, Workers};
use watchbell_notify::Webhook;

use super::load::Loaded;
use super::worker::Worker;
use crate::Failure;
use crate::run::broker::Asked;
use crate::run::clock::Clock;
use crate::run::fold::SharedFold;
use crate::run::start::endless;
use crate::run::trail::TrailDraft;
use crate::run::writer::Writer;

/// What every worker needs.
pub(super) struct Shared {
    pub(super) installation: InstallationId,
    pub(super) asks: mpsc::Sender<Asked>,
    pub(super) fold: SharedFold,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) failed: mpsc::UnboundedSender<Failure>,
    pub(super) runtime: Handle,
    pub(super) writer: Writer,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) targets: Targets,
}

impl Shared {
    /// Puts a record into the audit trail and waits until it is on disk and folded; false if it never will be.
    pub(super) fn durable(&self, draft: TrailDraft) -> bool {
        let Ok(Ok(receipt)) = self.writer.trail_told(draft).blocking_recv() else { return false };
        self.fold.wait_for(receipt.offset);
        true
    }
}

/// What commands work on at the moment.
#[derive(Default)]
pub(super) struct Targets {
    busy: Mutex<BTreeSet<String>>,
    changed: Condvar,
}

/// A target that is held until this is dropped.
pub(super) struct Held<'a> {
    targets: &'a Targets,
    target: String,
}

impl Targets {
    /// Waits until nobody else works on `target`; `keep` is called while that takes long.
    pub(super) fn lock<E>(
        &self,
        target: &str,
        mut keep: impl FnMut() -> Result<(), E>,
    ) -> Result<Held<'_>, E> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        while !busy.insert(target.to_owned()) {
            let waited = self.changed.wait_timeout(busy, LOOK_AGAIN);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            keep()?;
            busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        }
        Ok(Held { targets: self, target: target.to_owned() })
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.targets.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.target);
        self.targets.changed.notify_all();
    }
}

/// How often whoever waits for a target makes sure that it still has its message.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// A function as it is in force.
#[derive(Clone)]
pub(super) struct InForce {
    pub(super) loaded: Arc<Loaded>,
    pub(super) hook: Option<Arc<Webhook>>,
    pub(super) redactor: Arc<Redactor>,
}

/// What a function has done since the process began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Messages completed of which no event failed.
    pub whole_messages: u64,
    /// Messages completed of which some events became dead letters, and the rest went on.
    pub bisected_messages: u64,
    /// Messages that became dead letters with all their events.
    pub dead_messages: u64,
    /// Events of all these.
    pub events: u64,
    /// Events raised of them.
    pub raised_events: u64,
    /// Values of metrics raised of them that some alarm watches.
    pub raised_values: u64,
    /// Events that became dead letters.
    pub failed_events: u64,
    /// Messages that were put off because another attempt may work.
    pub tried_again: u64,
    /// Messages that somebody else was offered before they were completed.
    pub too_late: u64,
    /// From the receipt of a message to the end of what was done with it, added up, in milliseconds.
    pub worked_ms: u64,
    /// Why the last event failed, or the last message was put off.
    pub last_error: Option<String>,
}

impl Figures {
    /// Messages completed.
    pub fn messages(&self) -> u64 {
        self.whole_messages + self.bisected_messages + self.dead_messages
    }

    /// Counts a completed message of so many events, some of which failed.
    pub(super) fn completed(&mut self, events: u64, failed: u64) {
        let messages = match failed {
            0 => &mut self.whole_messages,
            _ if failed < events => &mut self.bisected_messages,
            _ => &mut self.dead_messages,
        };
        *messages += 1;
        self.events += events;
        self.failed_events += failed;
    }
}

/// A function as `/metrics` tells of it.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its name.
    pub function: String,
    /// What it has done.
    pub figures: Figures,
    /// How many workers it has.
    pub workers: u32,
    /// Between what they stay.
    pub bounds: Workers,
}

struct State {
    in_force: Option<InForce>,
    /// How many workers there are to be.
    target: u32,
    /// Those that run.
    running: BTreeSet<u32>,
    figures: Figures,
    scale: Scale,
    scaled: Option<Scaled>,
    /// Threads that run, or have ended.
    threads: Vec<JoinHandle<()>>,
}

/// The workers of one function.
pub(super) struct Pool {
    pub(super) name: String,
    state: Mutex<State>,
    /// Wakes workers that wait for a message.
    changes: watch::Sender<u64>,
}

impl Pool {
    pub(super) fn new(name: &str) -> Pool {
        let state = State {
            in_force: None,
            target: 0,
            running: BTreeSet::new(),
            figures: Figures::default(),
            scale: Scale::default(),
            scaled: None,
            threads: Vec::new(),
        };
        Pool { name: name.to_owned(), state: Mutex::new(state), changes: watch::channel(0).0 }
    }

    /// What is in force; `None` once the function is gone.
    pub(super) fn in_force(&self) -> Option<InForce> {
        self.lock().in_force.clone()
    }

    /// Puts another version in force, or none.
    pub(super) fn replace(&self, in_force: Option<InForce>) {
        let mut state = self.lock();
        if in_force.is_none() {
            state.target = 0;
        }
        state.in_force = in_force;
        drop(state);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Tells when something has changed that a worker has to know.
    pub(super) fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether the worker of this number is still needed.
    pub(super) fn needs(&self, number: u32) -> bool {
        number < self.lock().target
    }

    /// A worker says that it has ended.
    pub(super) fn ended(&self, number: u32) {
        self.lock().running.remove(&number);
    }

    /// Notes what a worker did.
    pub(super) fn note(&self, note: impl FnOnce(&mut Figures)) {
        note(&mut self.lock().figures);
    }

    /// Lets there be so many workers: new ones begin at once, others end after their message.
    pub(super) fn resize(self: &Arc<Pool>, target: u32, shared: &Arc<Shared>) {
        let mut state = self.lock();
        if target < state.target {
            self.changes.send_modify(|changes| *changes += 1);
        }
        state.target = target;
        state.threads.retain(|thread| !thread.is_finished());
        for number in 0..target {
            if state.running.insert(number) {
                let worker = Worker { shared: Arc::clone(shared), pool: Arc::clone(self), number };
                state.threads.push(endless("function", shared.failed.clone(), move || worker.run()));
            }
        }
    }

    /// Looks whether there should be more workers, or fewer.
    pub(super) fn scale(self: &Arc<Pool>, shared: &Arc<Shared>) {
        let Some(in_force) = self.in_force() else { return };
        let function = &in_force.loaded.function;
        let now = shared.clock.now();
        let load = {
            let fold = shared.fold.look();
            let Some(view) = fold.queues.get(&function.queue) else { return };
            let figures = view.figures(now);
            Load {
                waiting: figures.visible,
                oldest_ms: figures.oldest.map_or(0, |oldest| now.ms_since(oldest)),
            }
        };
        let (target, scaled) = {
            let mut state = self.lock();
            let target = state.target;
            (target, state.scale.decide(target, function.workers, load, now))
        };
        // Also without a decision: a worker that ended as it was needed again is replaced.
        self.resize(scaled.as_ref().map_or(target, |scaled| scaled.to), shared);
        // The first workers of a function are no news.
        if let Some(scaled) = scaled.filter(|scaled| scaled.from > 0) {
            let Scaled { from, to, reason, .. } = &scaled;
            tracing::info!(
                function = self.name,
                from,
                to,
                reason,
                "a function has another number of workers"
            );
            self.lock().scaled = Some(scaled);
        }
    }

    /// How it stands; nothing once the function is gone.
    pub(super) fn report(&self) -> Option<Value> {
        let state = self.lock();
        let in_force = state.in_force.as_ref()?;
        let Function { queue, workers, .. } = &in_force.loaded.function;
        let figures = &state.figures;
        let scaled = state.scaled.as_ref().map(|scaled| {
            let Scaled { at, from, to, reason } = scaled;
            json!({ "at": at.to_string(), "from": from, "to": to, "reason": reason })
        });
        Some(json!({
            "function": self.name,
            "queue": queue,
            "workers": { "now": state.running.len(), "min": workers.min, "max": workers.max },
            "messages": figures.messages(),
            "events": figures.events,
            "failed_events": figures.failed_events,
            "raised_events": figures.raised_events,
            "raised_values": figures.raised_values,
            "tried_again": figures.tried_again,
            "too_late": figures.too_late,
            "last_error": figures.last_error,
            "last_scaled": scaled,
        }))
    }

    /// The same as figures.
    pub(super) fn told(&self) -> Option<Told> {
        let state = self.lock();
        let bounds = state.in_force.as_ref()?.loaded.function.workers;
        let workers = u32::try_from(state.running.len()).expect("their numbers are such");
        Some(Told { function: self.name.clone(), figures: state.figures.clone(), workers, bounds })
    }

    /// Every thread, to wait for its end.
    pub(super) fn threads(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut self.lock().threads)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
