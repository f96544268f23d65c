//! `watchbell up`: the threads and tasks, and how they start, reload and end.
//!
//! ```text
//! collector ─┐                        ┌─▶ fold ─▶ decisions ─▶ writer
//! HTTP ──────┴─▶ writer ─▶ JOURNAL ─▶─┤              └─▶ dispatcher ─▶ people
//!                                     └─▶ archiver ─▶ object store
//! ```

pub mod archiver;
pub mod backlog;
pub mod batch_ids;
pub mod checkpoint;
pub mod clock;
pub mod collector;
pub mod data_folder;
pub mod dispatcher;
pub mod fold;
pub mod host;
pub mod metrics;
pub mod outbox;
mod queue;
pub mod secrets;
pub mod snapshot;
pub mod trail;
pub mod writer;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot, watch};
use watchbell_journal::Disk;
use watchbell_model::{Archive, Entry, Offset, Plan, TrailOutcome};
use watchbell_notify::{Client, WriteText};

use self::archiver::{Archiver, Store};
use self::clock::Clock;
use self::collector::{Collector, CollectorHandle};
use self::dispatcher::{Dispatcher, Notifiers};
use self::fold::FoldThread;
pub use self::fold::{Fold, SharedFold};
use self::host::{InForce, Process, groups_in_force};
use self::secrets::{NewConsole, SecretError, Unlocked, unlock};
use self::snapshot::SnapshotWriter;
use self::trail::TrailDraft;
pub use self::writer::Writer;
use self::writer::WriterThread;
use crate::{ExitStatus, Failure};

/// Groups of records that the writer may be ahead of the fold.
const TOLD_MAX: usize = 256;

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
}

/// A running Watchbell.
pub struct Running {
    address: SocketAddr,
    plan: Mutex<Plan>,
    setup: Kept,
    fold: SharedFold,
    writer: Writer,
    process: Arc<Process>,
    notifiers: Notifiers,
    store: Store,
    collector: CollectorHandle,
    stopping: watch::Sender<bool>,
    finish_dispatcher: oneshot::Sender<()>,
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
    writer: JoinHandle<()>,
    fold: JoinHandle<()>,
}

/// Why a plan was not taken at a reload. The one before stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Something that cannot change while running.
    #[error("{key} cannot change while watchbell runs; restart it")]
    NeedsRestart {
        /// The key.
        key: &'static str,
    },
    /// Secrets without a value.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Secrets(Vec<SecretError>),
    /// The archive cannot be opened.
    #[error(transparent)]
    Archive(#[from] watchbell_archive::ArchiveError),
    /// The journal takes nothing more.
    #[error("watchbell is stopping")]
    Stopping,
}

impl Running {
    /// Starts everything: the listener first, so that a port in use changes nothing on disk.
    ///
    /// # Errors
    /// [`Failure`] for a port in use, secrets without a value, and a data folder or archive that cannot be used.
    pub fn start(setup: Setup, runtime: &tokio::runtime::Handle) -> Result<Running, Failure> {
        let Setup { plan, clock, disk, console, colour } = setup;
        let listener = listen(plan.http.listen)?;
        let address = listener.local_addr().map_err(|error| Failure::io("http.listen", &error))?;
        let client = Client::new().map_err(|error| Failure::new(ExitStatus::Unavailable, error))?;
        let unlocked = unlock(&plan, &client, &clock, colour, console.as_ref())
            .map_err(|errors| secrets_failure(&errors))?;
        let folder = data_folder::open(&disk, Path::new(&plan.data_dir), clock.now())?;
        let store = open_store(plan.archive.as_ref(), &plan.data_dir)
            .map_err(|error| Failure::new(ExitStatus::InputOutput, error))?;
        let installation = folder.installation;
        let (recovery, next) = (folder.recovery, folder.fold.next);
        tracing::info!(%installation, entries = recovery.next_offset, data_dir = plan.data_dir, "journal open");

        let known_groups = folder.fold.groups.clone();
        let checkpoints = folder.fold.checkpoints.clone();
        let unconfirmed: Vec<_> = folder.fold.engine.unconfirmed().collect();
        let waiting: Vec<_> = folder.fold.outbox.waiting().cloned().collect();
        let is_new_plan = folder.fold.engine.plan().is_none_or(|(_, in_force)| *in_force != plan);
        let fold = SharedFold::new(folder.fold);
        let readers = folder.journal.readers();
        let (failed, failures) = mpsc::unbounded_channel();
        let (stopping, is_stopping) = watch::channel(false);

        let (tell, told) = sync_channel(TOLD_MAX);
        let (writer_thread, writer, durable) =
            WriterThread::new(folder.journal, folder.admission, Arc::clone(&clock), tell);
        let (send, outgoing) = mpsc::unbounded_channel();
        for message in waiting {
            send.send(message).expect("the receiver is in the next lines");
        }
        let snapshots = SnapshotWriter::new(disk, folder.snapshots, installation);
        let (fold_shared, clock_shared, writer_shared) = (fold.clone(), Arc::clone(&clock), writer.clone());
        let fold_thread = FoldThread {
            fold: fold_shared,
            told,
            writer: writer_shared,
            outgoing: send,
            clock: clock_shared,
            snapshots,
        };
        let writer_failed = failed.clone();
        let writer_handle = spawn("writer", move || {
            if let Err(error) = writer_thread.run() {
                let _ = writer_failed.send(Failure::new(ExitStatus::InputOutput, error));
            }
        });
        let fold_handle = spawn("fold", move || {
            if let Err(error) = fold_thread.run() {
                let _ = failed.send(Failure::new(ExitStatus::InputOutput, error));
            }
        });

        let draft = TrailDraft::done("watchbell.start", env!("CARGO_PKG_VERSION"));
        writer.trail(draft.detail("first_entry", next).detail("cut_bytes", recovery.cut_bytes));
        record_secrets(&writer, &unlocked, TrailOutcome::Done);
        if is_new_plan {
            writer.append(Entry::Plan(Box::new(plan.clone())));
        }
        writer.trail(TrailDraft::done("configuration.load", &plan.file).detail("changed", is_new_plan));
        for decisions in unconfirmed {
            writer.append(Entry::Decisions(decisions));
        }

        let notifiers = Notifiers::default();
        notifiers.replace(unlocked.notifiers);
        let dispatcher = Dispatcher {
            installation,
            notifiers: notifiers.clone(),
            writer: writer.clone(),
            clock: Arc::clone(&clock),
            durable,
            stopping: is_stopping.clone(),
        };
        let (finish_dispatcher, finish) = oneshot::channel();
        let dispatcher = runtime.spawn(dispatcher.run(outgoing, finish));
        let (drain_archiver, drain) = channel();
        let store = Store::new(store);
        let archiver = Archiver {
            installation,
            fold: fold.clone(),
            readers,
            writer: writer.clone(),
            store: store.clone(),
            clock: Arc::clone(&clock),
            drain,
        };
        let archiver_runtime = runtime.clone();
        let archiver = spawn("archiver", move || archiver.run(&archiver_runtime));
        let (collector_thread, collector) = Collector::new(
            plan.log_groups.clone(),
            known_groups,
            checkpoints,
            writer.clone(),
            Arc::clone(&clock),
        );
        let collector_handle = spawn("collector", move || collector_thread.run());

        let access = Arc::new(unlocked.access);
        let in_force = InForce { access, groups: groups_in_force(&plan.log_groups) };
        let process = Arc::new(Process {
            installation,
            writer: writer.clone(),
            fold: fold.clone(),
            stopping: is_stopping.clone(),
            in_force: Mutex::new(in_force),
        });
        let mut stop = is_stopping;
        let host = Arc::clone(&process);
        let server = runtime.spawn(watchbell_server::serve(listener, host, async move {
            // An error means that the sender is gone: stop as well.
            let _ = stop.wait_for(|stopping| *stopping).await;
        }));
        if plan.access.tokens.is_empty() {
            tracing::info!(%address, "HTTP is open to every process on this machine: no token is configured");
        } else {
            tracing::info!(%address, tokens = plan.access.tokens.len(), "HTTP needs a token");
        }
        let threads =
            Threads { collector: collector_handle, archiver, writer: writer_handle, fold: fold_handle };
        Ok(Running {
            address,
            plan: Mutex::new(plan),
            setup: Kept { client, clock, console, colour },
            fold,
            writer,
            process,
            notifiers,
            store,
            collector,
            stopping,
            finish_dispatcher,
            drain_archiver,
            dispatcher,
            server,
            threads,
            failures,
        })
    }

    /// Where HTTP is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is derived from the journal.
    pub fn fold(&self) -> &SharedFold {
        &self.fold
    }

    /// Resolves when something has failed that Watchbell cannot go on without.
    pub async fn failed(&mut self) -> Failure {
        match self.failures.recv().await {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }

    /// Puts another plan in force.
    ///
    /// # Errors
    /// [`ReloadError`] says why not; the plan before stays in force. Both outcomes are in the audit trail.
    pub async fn reload(&self, plan: Plan) -> Result<(), ReloadError> {
        let file = plan.file.clone();
        let outcome = self.adopt(plan).await;
        if let Err(error) = &outcome {
            self.refuse_reload(&file, error);
        }
        outcome
    }

    /// Notes that a file was not taken at a reload.
    pub fn refuse_reload(&self, file: &str, reason: impl ToString) {
        let draft = TrailDraft::done("configuration.reload", file).by("operator");
        self.writer.trail(draft.outcome(TrailOutcome::Failed).detail("reason", reason));
    }

    async fn adopt(&self, plan: Plan) -> Result<(), ReloadError> {
        let current = self.plan.lock().expect("no panic while it is held").clone();
        for (key, changed) in
            [("data_dir", current.data_dir != plan.data_dir), ("http.listen", current.http != plan.http)]
        {
            if changed {
                return Err(ReloadError::NeedsRestart { key });
            }
        }
        let Kept { client, clock, console, colour } = &self.setup;
        let unlocked =
            unlock(&plan, client, clock, *colour, console.as_ref()).map_err(ReloadError::Secrets)?;
        let store = open_store(plan.archive.as_ref(), &plan.data_dir)?;
        record_secrets(&self.writer, &unlocked, TrailOutcome::Done);
        if plan != current {
            let told = self.writer.append_told(Entry::Plan(Box::new(plan.clone())));
            told.await.ok().and_then(Result::ok).ok_or(ReloadError::Stopping)?;
        }
        let draft = TrailDraft::done("configuration.reload", &plan.file).by("operator");
        self.writer.trail(draft.detail("changed", plan != current));
        self.notifiers.replace(unlocked.notifiers);
        let access = Arc::new(unlocked.access);
        self.process.replace(InForce { access, groups: groups_in_force(&plan.log_groups) });
        self.store.replace(store);
        self.collector.follow(plan.log_groups.clone());
        *self.plan.lock().expect("no panic while it is held") = plan;
        Ok(())
    }

    /// Ends in the order in which things flow: nothing new comes in, what is in is decided, told and archived, and the
    /// next start finds a snapshot.
    ///
    /// # Errors
    /// [`Failure`] if the disk failed meanwhile. What was acknowledged stays in the journal all the same.
    pub async fn drain(mut self) -> Result<(), Failure> {
        self.stopping.send_replace(true);
        report(
            "HTTP",
            self.server
                .await
                .map_err(|error| error.to_string())
                .and_then(|ended| ended.map_err(|error| error.to_string())),
        );
        // An error means that the collector has ended on its own because the writer has failed; that is told below.
        let _ = self.collector.drain().await;
        let fold = self.fold.clone();
        if let Ok(Ok(receipt)) = self.writer.barrier().await {
            let decided = move || {
                fold.wait_for(Offset(receipt.offset.0.saturating_sub(1)));
                fold.wait_until(dispatcher::DRAIN_TIMEOUT, |fold| fold.engine.unconfirmed().next().is_none())
            };
            let _ = tokio::task::spawn_blocking(decided).await;
        }
        let _ = self.drain_archiver.send(());
        drop(self.drain_archiver);
        let archiver = self.threads.archiver;
        report(
            "archiver",
            tokio::task::spawn_blocking(|| archiver.join()).await.map_err(|error| error.to_string()),
        );
        let _ = self.finish_dispatcher.send(());
        if tokio::time::timeout(dispatcher::DRAIN_TIMEOUT, self.dispatcher).await.is_err() {
            tracing::warn!("messages are still on their way; they go out again after the next start");
        }
        self.writer.trail(TrailDraft::done("watchbell.stop", env!("CARGO_PKG_VERSION")));
        self.writer.snapshot();
        self.writer.close();
        let Threads { collector, writer, fold, .. } = self.threads;
        let joined = tokio::task::spawn_blocking(|| [collector, writer, fold].map(JoinHandle::join)).await;
        report("threads", joined.map_err(|error| error.to_string()));
        match self.failures.try_recv() {
            Ok(failure) => Err(failure),
            Err(_) => Ok(()),
        }
    }
}

fn report<T>(what: &str, ended: Result<T, String>) {
    if let Err(error) = ended {
        tracing::error!(error, "{what} did not end well");
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let spawned = std::thread::Builder::new().name(format!("watchbell-{name}")).spawn(run);
    spawned.expect("the operating system has room for a handful of threads")
}

fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|error| {
        let failure = Failure::new(ExitStatus::Unavailable, format!("http.listen {address}: {error}"));
        match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                failure.help("another process has this port; stop it or choose another port")
            }
            _ => failure,
        }
    })
}

fn open_store(
    archive: Option<&Archive>,
    data_dir: &str,
) -> Result<Arc<dyn object_store::ObjectStore>, watchbell_archive::ArchiveError> {
    let default = Path::new(data_dir).join("archive");
    let folder = archive.map_or(default.as_path(), |archive| Path::new(&archive.folder));
    Ok(Arc::new(watchbell_archive::open_folder(folder)?))
}

fn record_secrets(writer: &Writer, unlocked: &Unlocked, outcome: TrailOutcome) {
    for (secret, user) in &unlocked.read {
        writer
            .trail(TrailDraft::done("secret.read", secret.to_string()).outcome(outcome).detail("for", user));
    }
}

fn secrets_failure(errors: &[SecretError]) -> Failure {
    let all = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n       ");
    Failure::new(ExitStatus::Configuration, all).help("set what the file refers to, or change the reference")
}

/// A console that writes through `write`.
pub fn console(
    write: impl Fn(&str) -> std::io::Result<()> + Clone + Send + Sync + 'static,
) -> Arc<NewConsole> {
    Arc::new(move || -> WriteText { Box::new(write.clone()) })
}
