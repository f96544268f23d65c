//! Functions at work: workers in this process that take messages from queues as workers over HTTP do.
//!
//! Promise: what a message raises is journaled in one entry with its completion, so it counts once, also across
//! `kill -9`; a worker never holds up detection: it has a thread of its own and looks at the fold briefly.
//! Not here: what a function does with an event (`watchbell_functions::process`), leases (the broker).

pub mod load;
mod pool;
mod worker;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use watchbell_intake::Redactor;
use watchbell_model::InstallationId;

use self::load::Functions as Loaded;
pub use self::pool::Figures;
use self::pool::{InForce, Pool, Shared};
use super::broker::Asked;
use super::fold::SharedFold;
use crate::Failure;

/// The functions of the plan in force.
pub struct Functions {
    shared: Arc<Shared>,
    /// By name; those of functions that are gone stay until their workers have ended.
    pools: Mutex<BTreeMap<String, Arc<Pool>>>,
}

impl Functions {
    /// No function yet.
    pub fn new(
        installation: InstallationId,
        asks: mpsc::Sender<Asked>,
        fold: SharedFold,
        stopping: watch::Receiver<bool>,
        failed: mpsc::UnboundedSender<Failure>,
        runtime: &Handle,
    ) -> Functions {
        let shared = Shared { installation, asks, fold, stopping, failed, runtime: runtime.clone() };
        Functions { shared: Arc::new(shared), pools: Mutex::default() }
    }

    /// Puts the functions of another plan in force: every message received from now on is theirs.
    pub fn replace(&self, mut loaded: Loaded, redactor: &Arc<Redactor>) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        for name in loaded.keys() {
            pools.entry(name.clone()).or_insert_with(|| Arc::new(Pool::new(name)));
        }
        for (name, pool) in pools.iter() {
            let Some(loaded) = loaded.remove(name) else {
                pool.replace(None);
                continue;
            };
            let workers = loaded.function.workers;
            pool.replace(Some(InForce { loaded, redactor: Arc::clone(redactor) }));
            pool.resize(workers.min, &self.shared);
        }
    }

    /// Waits until every worker has ended; they do once the process is stopping.
    pub fn join(&self) {
        let pools = std::mem::take(&mut *self.pools.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in pools.values().flat_map(|pool| pool.threads()) {
            // A worker that panicked has stopped the process already.
            let _ = thread.join();
        }
    }
}
