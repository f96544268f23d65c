//! `watchbell up`: the threads and tasks, and how they start, reload and end.
//!
//! ```text
//! collector ─┐                        ┌─▶ fold ─▶ decisions ─▶ writer
//! HTTP ──────┼─▶ writer ─▶ JOURNAL ─▶─┤              └─▶ dispatcher ─▶ people
//! inputs ────┘                        ├─▶ archiver ─▶ object store
//!                                     └─▶ broker ─▶ functions, workers
//! ```

pub mod agents;
pub mod archiver;
pub mod backlog;
pub mod batch_ids;
mod bound;
pub mod broker;
pub mod buffer;
pub mod checkpoint;
pub mod clock;
pub mod collector;
pub mod cursors;
pub mod data_folder;
pub mod dispatcher;
pub mod door;
mod drain;
pub mod fold;
pub mod functions;
pub mod host;
pub(crate) mod inputs;
pub mod ledger;
pub mod metrics;
pub mod notice;
pub mod outbox;
pub mod own;
pub mod puts;
mod queue;
pub mod records;
mod reload;
pub mod remedies;
pub mod secrets;
pub mod snapshot;
pub mod sources;
pub(crate) mod start;
pub mod trail;
mod upkeep;
pub mod writer;

use std::net::SocketAddr;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot, watch};
use watchbell_journal::Disk;
use watchbell_model::Plan;
use watchbell_notify::{Client, WriteText};
use watchbell_server::Door;

use self::archiver::Store;
use self::broker::BrokerHandle;
use self::clock::Clock;
use self::collector::CollectorHandle;
use self::dispatcher::Notifiers;
use self::fold::SharedFold;
use self::functions::Functions;
use self::host::Process;
pub use self::reload::ReloadError;
use self::secrets::NewConsole;
use self::writer::{Durable, Writer};
use crate::Failure;

/// What `up` needs from outside.
pub struct Setup {
    /// What to do.
    pub plan: Plan,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where the journal is kept.
    pub disk: Arc<dyn Disk>,
    /// Makes a writer for messages to the console.
    pub console: Arc<NewConsole>,
    /// Whether such messages have colours.
    pub colour: bool,
    /// How much the journal writes at a time.
    pub sizes: Sizes,
}

/// How much the journal writes before something else comes; smaller in tests only.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// The length at which the next segment begins, in bytes.
    pub segment_bytes_max: u64,
    /// Bytes of payload after which a snapshot is due.
    pub snapshot_every_bytes: usize,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes {
            segment_bytes_max: watchbell_journal::SEGMENT_BYTES_MAX,
            snapshot_every_bytes: writer::SNAPSHOT_EVERY_BYTES,
        }
    }
}

/// A running Watchbell.
pub struct Running {
    address: SocketAddr,
    plan: Mutex<Plan>,
    kept: Kept,
    fold: SharedFold,
    writer: Writer,
    durable: Durable,
    process: Arc<Process>,
    door: Door,
    notifiers: Notifiers,
    store: Store,
    collector: CollectorHandle,
    settings: inputs::Settings,
    inputs: inputs::Running,
    stopping: watch::Sender<bool>,
    finish_dispatcher: oneshot::Sender<()>,
    broker: BrokerHandle,
    functions: Arc<Functions>,
    drain_archiver: Sender<()>,
    dispatcher: tokio::task::JoinHandle<()>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
    threads: Threads,
    failures: mpsc::UnboundedReceiver<Failure>,
}

/// What a reload needs again.
struct Kept {
    client: Client,
    clock: Arc<dyn Clock>,
    console: Arc<NewConsole>,
    colour: bool,
}

struct Threads {
    collector: JoinHandle<()>,
    archiver: JoinHandle<()>,
    functions: JoinHandle<()>,
    writer: JoinHandle<()>,
    upkeep: JoinHandle<()>,
    fold: JoinHandle<()>,
}

impl Running {
    /// Where HTTP is served, as callers write it.
    pub fn web_address(&self) -> String {
        door::web_address(self.address, &self.plan.lock().expect("no panic while it is held").http)
    }

    /// The address and port at which HTTP is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is derived from the journal.
    pub fn fold(&self) -> &SharedFold {
        &self.fold
    }

    /// How far the journal is on disk.
    pub fn durable(&self) -> &Durable {
        &self.durable
    }

    /// Resolves when something has failed that Watchbell cannot go on without.
    pub async fn failed(&mut self) -> Failure {
        match self.failures.recv().await {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }
}

/// A console that writes through `write`.
pub fn console(
    write: impl Fn(&str) -> std::io::Result<()> + Clone + Send + Sync + 'static,
) -> Arc<NewConsole> {
    Arc::new(move || -> WriteText { Box::new(write.clone()) })
}
