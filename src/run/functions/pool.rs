//! The workers of one function.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use watchbell_intake::Redactor;
use watchbell_model::InstallationId;

use super::load::Loaded;
use super::worker::Worker;
use crate::Failure;
use crate::run::broker::Asked;
use crate::run::fold::SharedFold;
use crate::run::start::endless;

/// What every worker needs.
pub(super) struct Shared {
    pub(super) installation: InstallationId,
    pub(super) asks: mpsc::Sender<Asked>,
    pub(super) fold: SharedFold,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) failed: mpsc::UnboundedSender<Failure>,
    pub(super) runtime: Handle,
}

/// A function as it is in force.
#[derive(Clone)]
pub(super) struct InForce {
    pub(super) loaded: Arc<Loaded>,
    pub(super) redactor: Arc<Redactor>,
}

/// What a function has done since the process began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Messages completed.
    pub messages: u64,
    /// Their events.
    pub events: u64,
    /// Events raised of them.
    pub raised_events: u64,
    /// Values of metrics raised of them that some alarm watches.
    pub raised_values: u64,
    /// Events that became dead letters.
    pub failed_events: u64,
    /// Messages that somebody else was offered before they were completed.
    pub too_late: u64,
    /// Why the last event failed.
    pub last_error: Option<String>,
}

struct State {
    in_force: Option<InForce>,
    /// How many workers there are to be.
    target: u32,
    /// Those that run.
    running: BTreeSet<u32>,
    figures: Figures,
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

    /// Every thread, to wait for its end.
    pub(super) fn threads(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut self.lock().threads)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
