//! Functions at work: workers in this process that take messages from queues as workers over HTTP do.
//!
//! Promise: what a message raises is journaled in one entry with its completion, so it counts once, also across
//! `kill -9`; a worker never holds up detection: it has a thread of its own and looks at the fold briefly.
//! Not here: what a function does with an event (`watchbell_functions::process`), leases (the broker).

mod hook;
pub mod load;
mod pool;
mod remedy;
mod worker;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use watchbell_intake::Redactor;
use watchbell_model::{AlarmState, InstallationId, TrailOutcome};
use watchbell_notify::Webhook;

use self::load::Functions as Loaded;
pub use self::pool::{Figures, Told};
use self::pool::{InForce, Pool, Shared};
pub use self::remedy::OUTPUT_BYTES_MAX;
use super::broker::Asked;
use super::clock::Clock;
use super::fold::SharedFold;
use super::remedies::{CHECK, Check};
use super::trail::TrailDraft;
use super::writer::Writer;
use crate::Failure;

/// How often it is looked whether there should be more workers or fewer, and which alarms commands have mended.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The functions of the plan in force.
pub struct Functions {
    shared: Arc<Shared>,
    /// By name; those of functions that are gone stay until their workers have ended.
    pools: Mutex<BTreeMap<String, Arc<Pool>>>,
}

/// What functions need of the process.
pub struct Needs {
    /// Whose messages they are.
    pub installation: InstallationId,
    /// Asks the broker.
    pub asks: mpsc::Sender<Asked>,
    /// Knows queues and alarms.
    pub fold: SharedFold,
    /// Takes audit records.
    pub writer: Writer,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Turns true when the process stops.
    pub stopping: watch::Receiver<bool>,
    /// Told if a worker panics.
    pub failed: mpsc::UnboundedSender<Failure>,
}

impl Functions {
    /// No function yet.
    pub fn new(needs: Needs, runtime: &Handle) -> Functions {
        let Needs { installation, asks, fold, writer, clock, stopping, failed } = needs;
        let (runtime, targets) = (runtime.clone(), pool::Targets::default());
        let shared = Shared { installation, asks, fold, stopping, failed, runtime, writer, clock, targets };
        Functions { shared: Arc::new(shared), pools: Mutex::default() }
    }

    /// Puts the functions of another plan in force: every message received from now on is theirs.
    pub fn replace(
        &self,
        mut loaded: Loaded,
        mut hooks: BTreeMap<String, Arc<Webhook>>,
        redactor: &Arc<Redactor>,
    ) {
        let mut pools = self.lock();
        for name in loaded.keys() {
            pools.entry(name.clone()).or_insert_with(|| Arc::new(Pool::new(name)));
        }
        for (name, pool) in pools.iter() {
            let Some(loaded) = loaded.remove(name) else {
                pool.replace(None);
                continue;
            };
            pool.replace(Some(InForce { loaded, hook: hooks.remove(name), redactor: Arc::clone(redactor) }));
            pool.scale(&self.shared);
        }
    }

    /// Looks after the workers until the process stops.
    pub fn run(&self) {
        let shared = &self.shared;
        let mut stopping = shared.stopping.clone();
        let is_over = |stopping: &mut watch::Receiver<bool>| {
            let stopped = stopping.wait_for(|stopping| *stopping);
            // An error means that the sender is gone: the process is at its end.
            shared.runtime.block_on(async { tokio::time::timeout(LOOK_EVERY, stopped).await.is_ok() })
        };
        while !is_over(&mut stopping) {
            let pools: Vec<Arc<Pool>> = self.lock().values().cloned().collect();
            for pool in &pools {
                pool.scale(shared);
            }
            let due = shared.fold.look().remedies.due(shared.clock.now());
            for check in &due {
                self.check(check);
            }
        }
    }

    /// Says whether the alarm that a command was run for is OK by now.
    fn check(&self, check: &Check) {
        let Check { function, run, alarm, dimensions, .. } = check;
        let state = {
            let fold = self.shared.fold.look();
            let mut alarms = fold.engine.alarms();
            alarms.find(|(name, of, _)| name == alarm && *of == dimensions).map(|(.., run)| run.state)
        };
        let is_ok = state == Some(AlarmState::Ok);
        let spelled = state.map_or_else(|| "no such alarm".to_owned(), |state| state.to_string());
        if is_ok {
            tracing::info!(function, alarm, "the alarm is OK after its command");
        } else {
            tracing::warn!(function, alarm, state = spelled, "the alarm is not OK after its command");
        }
        let draft = TrailDraft::done(CHECK, function).by(format!("function {function}"));
        let outcome = if is_ok { TrailOutcome::Done } else { TrailOutcome::Failed };
        self.shared.durable(
            draft.outcome(outcome).detail("run", run).detail("alarm", alarm).detail("state", spelled),
        );
    }

    /// Every function, as it is told.
    pub fn report(&self) -> Vec<Value> {
        self.lock().values().filter_map(|pool| pool.report()).collect()
    }

    /// The same as figures.
    pub fn told(&self) -> Vec<Told> {
        self.lock().values().filter_map(|pool| pool.told()).collect()
    }

    /// Waits until every worker has ended; they do once the process is stopping.
    pub fn join(&self) {
        let pools = std::mem::take(&mut *self.lock());
        for thread in pools.values().flat_map(|pool| pool.threads()) {
            // A worker that panicked has stopped the process already.
            let _ = thread.join();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Pool>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
