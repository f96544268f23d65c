//! The start: what is needed is opened first, so that whatever cannot be had changes nothing on disk; then come the
//! threads, the first entries, and the consumers.

use std::fmt::Display;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use object_store::ObjectStore;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use watchbell_archive::ArchiveError;
use watchbell_journal::{Disk, Readers, Recovery, Upkeep};
use watchbell_model::{Archive, Entry, InstallationId, Offset, Plan, SecretRef};
use watchbell_notify::Client;
use watchbell_server::Door;

use super::archiver::{Archiver, Store};
use super::bound::{Bound, Goal, Seen};
use super::broker::{ASKS_MAX, Asked, Broker, BrokerHandle, Payloads};
use super::clock::Clock;
use super::collector::Collector;
use super::data_folder::{self, DataFolder};
use super::dispatcher::{Dispatcher, Notifiers};
use super::door::{self, TurnedAwayCount};
use super::fold::{FoldThread, SharedFold};
use super::functions::load::LoadError;
use super::functions::{self, Functions};
use super::host::{Denials, InForce, Process, Rejections};
use super::inputs;
use super::outbox::Outgoing;
use super::own::SourceLag;
use super::secrets::{Locked, SecretError, Unlocked, unlock};
use super::snapshot::SnapshotWriter;
use super::sources::Sources;
use super::trail::TrailDraft;
use super::writer::{Durable, Writer, WriterThread};
use super::{Kept, Running, Setup, Sizes, Threads};
use crate::{ExitStatus, Failure};

/// Syncs' worth of records that the writer may be ahead of the fold: about 4 MiB each, 12 MiB at most.
const TOLD_MAX: usize = 8;

impl Running {
    /// Starts everything: the listener first, so that a port in use changes nothing on disk.
    ///
    /// # Errors
    /// [`Failure`] for a port in use, secrets without a value, and a data folder or archive that cannot be used.
    pub fn start(setup: Setup, runtime: &Handle) -> Result<Running, Failure> {
        let Setup { plan, clock, disk, console, colour, sizes } = setup;
        // Once it is journaled, every start would meet it again.
        watchbell_engine::can_run(&plan).map_err(|error| Failure::new(ExitStatus::Configuration, error))?;
        let door = open_door(&plan)?;
        let (listener, address) = listen(plan.http.listen)?;
        let opened = inputs::open(&plan)?;
        let kept = Kept { client: client()?, clock, console, colour };
        let unlocked = kept.unlock(&plan).map_err(|locked| secrets_failure(&locked.errors))?;
        let loaded = functions::load::load(&plan).map_err(|errors| functions_failure(&errors))?;
        let data_dir = Path::new(&plan.data_dir);
        let folder = data_folder::open(&disk, data_dir, sizes.segment_bytes_max, kept.clock.now())?;
        let store = open_store(plan.archive.as_ref(), &plan.data_dir);
        let store = Store::new(store.map_err(|error| Failure::new(ExitStatus::InputOutput, error))?);
        let first = First::of(&folder, &plan);
        let (known_groups, checkpoints) = (folder.fold.groups.clone(), folder.fold.checkpoints.clone());
        let cursors = folder.fold.cursors.clone();
        let sources = Sources::new(&folder.fold.ledger);

        let (failed, failures) = mpsc::unbounded_channel();
        let snapshots = SnapshotWriter::new(Arc::clone(&disk), folder.snapshots.clone(), folder.installation);
        let lag = SourceLag::default();
        let core =
            Core::start(folder, &kept.clock, lag.clone(), (disk, snapshots), sizes, None, failed.clone());
        let (mut collector_thread, collector) = Collector::new(
            plan.log_groups.clone(),
            known_groups,
            checkpoints,
            (lag.clone(), sources.clone()),
            Arc::clone(&unlocked.redactor),
            core.writer.clone(),
            Arc::clone(&kept.clock),
        );
        // Before the plan is journaled: with it these groups are known, and what is in their files would be new.
        collector_thread.mark_old_lines();
        let (stopping, is_stopping) = watch::channel(false);
        let broker = core.start_broker(first.is_new_plan, &kept, &is_stopping, failed.clone(), runtime);
        first.append(&core.writer, &plan, &unlocked);
        let (functions, functions_thread) =
            core.start_functions(&kept, broker.asks.clone(), &is_stopping, failed.clone(), runtime);
        functions.replace(loaded, unlocked.hooks, &unlocked.redactor);

        let (drain_archiver, archiver_thread) =
            core.start_archiver(&kept, store.clone(), failed.clone(), runtime);
        let settings = inputs::Settings::new(&plan.log_groups, &unlocked.redactor);
        let hands = core.hands(&kept, settings.clone(), sources.clone());
        let inputs = opened
            .start(&hands, &cursors, &is_stopping, runtime, |name, run| endless(name, failed.clone(), run));
        let notifiers = Notifiers::default();
        notifiers.replace(unlocked.notifiers);
        let (finish_dispatcher, finish) = oneshot::channel();
        let dispatcher = core.dispatcher(&kept, notifiers.clone(), is_stopping.clone());
        let dispatcher = runtime.spawn(dispatcher.run(core.outgoing, finish));
        let collector_thread = endless("collector", failed, move || collector_thread.run());

        let in_force = InForce::new(&plan.log_groups, Arc::new(unlocked.access), unlocked.redactor);
        let process = Arc::new(Process {
            installation: core.installation,
            writer: core.writer.clone(),
            fold: core.fold.clone(),
            broker: broker.asks.clone(),
            functions: Arc::clone(&functions),
            lag,
            sources,
            agents: Arc::default(),
            clock: Arc::clone(&kept.clock),
            denials: Denials::default(),
            turned_away: TurnedAwayCount::new("http", "http.allow"),
            rejections: Rejections::default(),
            stopping: is_stopping.clone(),
            in_force: Mutex::new(in_force),
        });
        let server = runtime.spawn(serve(listener, Arc::clone(&process), door.clone(), is_stopping));
        say_who_may_call(address, &plan);
        Ok(Running {
            address,
            plan: Mutex::new(plan),
            kept,
            fold: core.fold,
            writer: core.writer,
            durable: core.durable,
            process,
            door,
            notifiers,
            store,
            collector,
            settings,
            inputs,
            stopping,
            finish_dispatcher,
            broker,
            functions,
            drain_archiver,
            dispatcher,
            server,
            threads: Threads {
                collector: collector_thread,
                archiver: archiver_thread,
                functions: functions_thread,
                writer: core.writer_thread,
                upkeep: core.upkeep_thread,
                fold: core.fold_thread,
            },
            failures,
        })
    }
}

impl Kept {
    /// Reads the secrets of a plan and makes ready what needs them.
    pub(super) fn unlock(&self, plan: &Plan) -> Result<Unlocked, Locked> {
        unlock(plan, &self.client, &self.clock, self.colour, self.console.as_ref())
    }
}

/// The writer and the fold, running.
pub(crate) struct Core {
    pub(crate) installation: InstallationId,
    pub(crate) fold: SharedFold,
    pub(crate) writer: Writer,
    pub(crate) durable: Durable,
    pub(crate) readers: Readers,
    pub(crate) upkeep: Upkeep,
    goal: watch::Receiver<Goal>,
    outgoing: mpsc::UnboundedReceiver<Outgoing>,
    pub(crate) writer_thread: JoinHandle<()>,
    pub(crate) upkeep_thread: JoinHandle<()>,
    pub(crate) fold_thread: JoinHandle<()>,
}

impl Core {
    /// Starts them; `buffer_bytes_max` is how much may wait to be shipped, on an agent.
    pub(crate) fn start(
        folder: DataFolder,
        clock: &Arc<dyn Clock>,
        lag: SourceLag,
        (disk, snapshot_writer): (Arc<dyn Disk>, SnapshotWriter),
        sizes: Sizes,
        buffer_bytes_max: Option<u64>,
        failed: mpsc::UnboundedSender<Failure>,
    ) -> Core {
        let DataFolder { installation, journal, admission, fold, snapshots, .. } = folder;
        let readers = journal.readers();
        let (tell, told) = sync_channel(TOLD_MAX);
        let upkeep = journal.upkeep();
        let (ask, asked) = sync_channel(1);
        let (thread, writer, durable) =
            WriterThread::new(journal, admission, Arc::clone(clock), tell, ask, sizes.snapshot_every_bytes);
        let (send, outgoing) = mpsc::unbounded_channel();
        for message in fold.outbox.waiting() {
            send.send(message.clone()).expect("its receiver stands beside it");
        }
        let fold = SharedFold::new(fold);
        let fold_thread = FoldThread {
            fold: fold.clone(),
            told,
            writer: writer.clone(),
            outgoing: send,
            clock: Arc::clone(clock),
            lag,
            snapshots: snapshot_writer,
            buffer_bytes_max,
        };
        let (goal, watched_goal) = watch::channel(Goal::NOTHING);
        let bound = Bound {
            upkeep: upkeep.clone(),
            readers: readers.clone(),
            fold: fold.clone(),
            writer: writer.clone(),
            clock: Arc::clone(clock),
            disk,
            snapshots,
            installation,
            goal,
            seen: Seen::default(),
        };
        let broken = |error: &dyn Display| Failure::new(ExitStatus::InputOutput, error);
        let writer_thread =
            spawn("writer", failed.clone(), move || thread.run().map_err(|error| broken(&error)));
        let upkeep_writer = writer.clone();
        // An agent lets go what it has shipped.
        let bound = buffer_bytes_max.is_none().then_some(bound);
        let looked_after = upkeep.clone();
        let upkeep_thread = endless("upkeep", failed.clone(), move || {
            super::upkeep::run(&looked_after, bound, &asked, &upkeep_writer);
        });
        let fold_thread = spawn("fold", failed, move || fold_thread.run().map_err(|error| broken(&error)));
        Core {
            installation,
            fold,
            writer,
            durable,
            readers,
            upkeep,
            goal: watched_goal,
            outgoing,
            writer_thread,
            upkeep_thread,
            fold_thread,
        }
    }
}

impl Core {
    /// What tells people; runs as a task.
    fn dispatcher(&self, kept: &Kept, notifiers: Notifiers, stopping: watch::Receiver<bool>) -> Dispatcher {
        let (writer, durable) = (self.writer.clone(), self.durable.clone());
        let clock = Arc::clone(&kept.clock);
        Dispatcher { installation: self.installation, notifiers, writer, clock, durable, stopping }
    }

    /// What inputs need.
    fn hands(&self, kept: &Kept, settings: inputs::Settings, sources: Sources) -> inputs::Hands {
        inputs::Hands { settings, writer: self.writer.clone(), sources, clock: Arc::clone(&kept.clock) }
    }

    /// The thread that archives, and what asks it for everything.
    fn start_archiver(
        &self,
        kept: &Kept,
        store: Store,
        failed: mpsc::UnboundedSender<Failure>,
        runtime: &Handle,
    ) -> (Sender<()>, JoinHandle<()>) {
        let (ask, drain) = channel();
        let archiver = Archiver {
            installation: self.installation,
            fold: self.fold.clone(),
            readers: self.readers.clone(),
            writer: self.writer.clone(),
            store,
            clock: Arc::clone(&kept.clock),
            goal: self.goal.clone(),
            drain,
        };
        let runtime = runtime.clone();
        let thread = endless("archiver", failed, move || archiver.run(&runtime));
        (ask, thread)
    }

    /// What holds the functions, none yet, and the thread that scales their workers.
    fn start_functions(
        &self,
        kept: &Kept,
        asks: mpsc::Sender<Asked>,
        stopping: &watch::Receiver<bool>,
        failed: mpsc::UnboundedSender<Failure>,
        runtime: &Handle,
    ) -> (Arc<Functions>, JoinHandle<()>) {
        let needs = functions::Needs {
            installation: self.installation,
            asks,
            fold: self.fold.clone(),
            writer: self.writer.clone(),
            clock: Arc::clone(&kept.clock),
            stopping: stopping.clone(),
            failed: failed.clone(),
        };
        let functions = Arc::new(Functions::new(needs, runtime));
        let scaled = Arc::clone(&functions);
        (functions, endless("functions", failed, move || scaled.run()))
    }

    /// The thread that hands out messages; with `is_new_plan`, once the plan that is about to be journaled is in force.
    fn start_broker(
        &self,
        is_new_plan: bool,
        kept: &Kept,
        stopping: &watch::Receiver<bool>,
        failed: mpsc::UnboundedSender<Failure>,
        runtime: &Handle,
    ) -> BrokerHandle {
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        let (finish, finished) = oneshot::channel();
        let plan = self.fold.look().engine.plan().map(|(offset, _)| offset);
        let plan_before = is_new_plan.then_some(plan);
        let broker = Broker::new(
            Payloads::new(self.readers.clone(), self.installation),
            self.installation,
            (self.fold.clone(), self.writer.clone(), self.durable.clone()),
            Arc::clone(&kept.clock),
            asked,
            stopping.clone(),
            self.goal.clone(),
        );
        let runtime = runtime.clone();
        let thread = endless("broker", failed, move || broker.run(plan_before, finished, &runtime));
        BrokerHandle { asks, finish, thread }
    }
}

/// What a start has to journal before anything else.
struct First {
    recovery: Recovery,
    next: Offset,
    is_new_plan: bool,
    unconfirmed: Vec<Entry>,
}

impl First {
    fn of(folder: &DataFolder, plan: &Plan) -> First {
        let (recovery, engine) = (folder.recovery, &folder.fold.engine);
        tracing::info!(
            installation = %folder.installation, entries = recovery.next_offset, data_dir = plan.data_dir, "journal open"
        );
        First {
            recovery,
            next: folder.fold.next,
            is_new_plan: engine.plan().is_none_or(|(_, in_force)| in_force != plan),
            unconfirmed: engine.unconfirmed().into_iter().map(Entry::Decisions).collect(),
        }
    }

    fn append(self, writer: &Writer, plan: &Plan, unlocked: &Unlocked) {
        // What a crash kept from being journaled comes before anything that lets time pass.
        for decisions in self.unconfirmed {
            writer.append(decisions);
        }
        let start = TrailDraft::done("watchbell.start", env!("CARGO_PKG_VERSION"));
        writer.trail(start.detail("first_entry", self.next).detail("cut_bytes", self.recovery.cut_bytes));
        record_secrets(writer, &unlocked.read);
        if self.is_new_plan {
            writer.append(Entry::Plan(Box::new(plan.clone())));
        }
        writer.trail(TrailDraft::done("configuration.load", &plan.file).detail("changed", self.is_new_plan));
    }
}

async fn serve(
    listener: TcpListener,
    process: Arc<Process>,
    door: Door,
    mut stopping: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let stopped = async move {
        // An error means that the sender is gone: stop as well.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    watchbell_server::serve(listener, process, door, stopped).await
}

fn say_who_may_call(address: SocketAddr, plan: &Plan) {
    let address = door::web_address(address, &plan.http);
    if plan.access.tokens.is_empty() {
        tracing::info!(address, "HTTP is open to every process on this machine: no token is configured");
    } else {
        let networks: Vec<String> = plan.http.allow.iter().map(ToString::to_string).collect();
        let tokens = plan.access.tokens.len();
        tracing::info!(address, tokens, networks = networks.join(" "), "HTTP needs a token");
    }
}

/// A thread that does not fail by itself.
pub(crate) fn endless(
    name: &'static str,
    failed: mpsc::UnboundedSender<Failure>,
    run: impl FnOnce() + Send + 'static,
) -> JoinHandle<()> {
    spawn(name, failed, move || {
        run();
        Ok(())
    })
}

/// Runs a thread whose end with an error, or by a panic, stops the process.
pub(crate) fn spawn(
    name: &'static str,
    failed: mpsc::UnboundedSender<Failure>,
    run: impl FnOnce() -> Result<(), Failure> + Send + 'static,
) -> JoinHandle<()> {
    let watched = move || {
        // Nothing of what it used is looked at again.
        let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
            let failure = Failure::new(ExitStatus::Defect, format!("the {name} thread has panicked"));
            Err(failure
                .help("this is a defect: please report it with the lines above; the journal is as it was"))
        });
        if let Err(failure) = outcome {
            // Without a receiver the process is at its end already.
            let _ = failed.send(failure);
        }
    };
    let spawned = std::thread::Builder::new().name(format!("watchbell-{name}")).spawn(watched);
    spawned.expect("the operating system has room for a handful of threads")
}

fn open_door(plan: &Plan) -> Result<Door, Failure> {
    let certificate = door::certificate(plan.http.tls.as_ref());
    let certificate = certificate.map_err(|error| Failure::new(ExitStatus::Configuration, error))?;
    Ok(door::open(&plan.http, certificate))
}

fn client() -> Result<Client, Failure> {
    Client::new().map_err(|error| Failure::new(ExitStatus::Unavailable, error))
}

/// The listener and where it really is: port 0 takes a free one.
fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let listener = TcpListener::bind(address).map_err(|error| {
        let failure = Failure::new(ExitStatus::Unavailable, format!("http.listen {address}: {error}"));
        match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                failure.help("another process has this port; stop it or choose another port")
            }
            _ => failure,
        }
    })?;
    let address = listener.local_addr().map_err(|error| Failure::io("http.listen", &error))?;
    Ok((listener, address))
}

/// The archive of a plan; by default a folder in the data folder.
pub(super) fn open_store(
    archive: Option<&Archive>,
    data_dir: &str,
) -> Result<Arc<dyn ObjectStore>, ArchiveError> {
    let default = Path::new(data_dir).join("archive");
    let folder = archive.map_or(default.as_path(), |archive| Path::new(&archive.folder));
    Ok(Arc::new(watchbell_archive::open_folder(folder)?))
}

/// Every secret that was read goes into the audit trail, by name.
pub(crate) fn record_secrets(writer: &Writer, read: &[(SecretRef, String)]) {
    for (secret, user) in read {
        writer.trail(TrailDraft::done("secret.read", secret.to_string()).detail("for", user));
    }
}

fn functions_failure(errors: &[LoadError]) -> Failure {
    let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
    Failure::new(ExitStatus::Configuration, all.join("\n       "))
}

pub(crate) fn secrets_failure(errors: &[SecretError]) -> Failure {
    let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let failure = Failure::new(ExitStatus::Configuration, all.join("\n       "));
    failure.help("set what the file refers to, or change the reference")
}
