//! `watchbell agent`: the collector alone. What it reads goes to a journal of its own, and from there to another
//! Watchbell.
//!
//! ```text
//! files ─▶ collector ─▶ writer ─▶ JOURNAL ─▶ shipper ─▶ another Watchbell
//! ```
//!
//! Its journal is the buffer: files count as read once their lines are in it, and a line leaves it only after the other
//! side has said that it is on its disk. Not here: rules, alarms, an archive, HTTP.

mod shipper;
mod upstream;

use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use watchbell_journal::Disk;
use watchbell_model::{
    Access, Agent, Entry, InstallationId, Offset, Plan, SHIPMENT_FORMAT, ShipmentBuilder, ShipmentHead,
    Timestamp, TrailOutcome,
};

use self::shipper::{Order, Route, Shipper, Trouble};
pub use self::shipper::{REPORT_EVERY_MS, REPORTED_SOURCES_MAX, SHIPMENT_FILL_BYTES};
use self::upstream::{Sent, Upstream};
use crate::run::Sizes;
use crate::run::clock::Clock;
use crate::run::collector::{Collector, CollectorHandle};
use crate::run::data_folder;
use crate::run::fold::SharedFold;
use crate::run::own::SourceLag;
use crate::run::secrets::{AgentUnlocked, Locked, unlock_agent};
use crate::run::snapshot::SnapshotWriter;
use crate::run::sources::Sources;
use crate::run::start::{Core, endless, record_secrets, secrets_failure, spawn};
use crate::run::trail::TrailDraft;
use crate::run::writer::Writer;
use crate::{ExitStatus, Failure};

/// How long a stop goes on shipping; what is left then goes out after the next start.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The folder of an agent in the data folder: `watchbell up` has its own beside it.
pub const FOLDER: &str = "agent";

/// What an agent needs from outside.
pub struct Setup {
    /// What to do; only log groups, redaction and `[agent]` of it are used.
    pub plan: Plan,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where the journal is kept.
    pub disk: Arc<dyn Disk>,
}

/// A running agent.
pub struct Running {
    plan: Mutex<Plan>,
    data_dir: String,
    buffer_bytes: u64,
    fold: SharedFold,
    writer: Writer,
    collector: CollectorHandle,
    route: Arc<Mutex<Route>>,
    new_routes: watch::Sender<u64>,
    orders: watch::Sender<Order>,
    trouble: Trouble,
    threads: Threads,
    failures: mpsc::UnboundedReceiver<Failure>,
}

struct Threads {
    collector: JoinHandle<()>,
    shipper: JoinHandle<()>,
    writer: JoinHandle<()>,
    upkeep: JoinHandle<()>,
    fold: JoinHandle<()>,
}

impl Running {
    /// Starts everything. The other side need not be there.
    ///
    /// # Errors
    /// [`Failure`] for a file without `[agent]`, secrets without a value, an authority or a data folder that cannot be used.
    pub fn start(setup: Setup, runtime: &Handle) -> Result<Running, Failure> {
        let Setup { plan, clock, disk } = setup;
        let agent = agent_of(&plan)?.clone();
        let unlocked = unlock_agent(&plan, &agent).map_err(|locked| secrets_failure(&locked.errors))?;
        let route = route(&agent, &unlocked)?;
        let (data_dir, sizes) = (plan.data_dir.clone(), Sizes::default());
        let folder = data_folder::open(
            &disk,
            &Path::new(&data_dir).join(FOLDER),
            sizes.segment_bytes_max,
            clock.now(),
        )?;
        let (known_groups, checkpoints) = (folder.fold.groups.clone(), folder.fold.checkpoints.clone());
        let sources = Sources::new(&folder.fold.ledger);
        let shipped = folder.fold.buffer.next();
        let in_force = folder.fold.engine.plan().map(|(_, plan)| plan.clone());
        let waiting_bytes = folder.fold.buffer.bytes();
        let snapshots = folder.snapshots.clone();

        let (failed, failures) = mpsc::unbounded_channel();
        let writes_snapshots = SnapshotWriter::new(Arc::clone(&disk), snapshots.clone(), folder.installation);
        let (lag, buffer) = (SourceLag::default(), Some(agent.buffer_bytes));
        let snapshot_writer = (Arc::clone(&disk), writes_snapshots);
        let core = Core::start(folder, &clock, lag.clone(), snapshot_writer, sizes, buffer, failed.clone());
        if shipped.is_none() {
            // The first entry: what comes after it waits to be shipped.
            core.writer.append(Entry::ShippedTo(Offset(0)));
        }
        let used = used(&plan);
        let (mut collector_thread, collector) = Collector::new(
            used.log_groups.clone(),
            known_groups,
            checkpoints,
            (lag, sources.clone()),
            unlocked.redactor,
            core.writer.clone(),
            Arc::clone(&clock),
        );
        // Before the plan is journaled: with it these groups are known, and what is in their files would be new.
        collector_thread.mark_old_lines();
        let start = TrailDraft::done("watchbell.start", env!("CARGO_PKG_VERSION"));
        core.writer.trail(start.detail("as", "agent").detail("to", &agent.to));
        record_secrets(&core.writer, &unlocked.read);
        if in_force.as_ref() != Some(&used) {
            core.writer.append(Entry::Plan(Box::new(used)));
        }
        let (to, name) = (route.to.clone(), route.host.clone());
        let route = Arc::new(Mutex::new(route));
        let (new_routes, routes) = watch::channel(0);
        let trouble = Trouble::default();
        let (orders, ordered) = watch::channel(Order::Run);
        let shipper = Shipper {
            installation: core.installation,
            route: Arc::clone(&route),
            routes,
            orders: ordered,
            fold: core.fold.clone(),
            readers: core.readers.clone(),
            durable: core.durable.clone(),
            writer: core.writer.clone(),
            upkeep: core.upkeep.clone(),
            disk,
            snapshots,
            sources,
            clock,
            trouble: Arc::clone(&trouble),
        };
        let from = shipped.unwrap_or(Offset(0));
        let handle = runtime.clone();
        let shipper_thread = spawn("shipper", failed.clone(), move || {
            shipper.run(from, &handle).map_err(|error| Failure::new(ExitStatus::InputOutput, error))
        });
        let collector_thread = endless("collector", failed, move || collector_thread.run());
        tracing::info!(to, name, installation = %core.installation, waiting_bytes, "shipping");
        Ok(Running {
            plan: Mutex::new(plan),
            data_dir,
            buffer_bytes: agent.buffer_bytes,
            fold: core.fold,
            writer: core.writer,
            collector,
            route,
            new_routes,
            orders,
            trouble,
            threads: Threads {
                collector: collector_thread,
                shipper: shipper_thread,
                writer: core.writer_thread,
                upkeep: core.upkeep_thread,
                fold: core.fold_thread,
            },
            failures,
        })
    }

    /// Resolves when something has failed that the agent cannot go on without.
    pub async fn failed(&mut self) -> Failure {
        match self.failures.recv().await {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }

    /// Why nothing is shipped at the moment, if something is wrong.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another plan in force, and reads the token and the authority again.
    ///
    /// # Errors
    /// [`Failure`] says why not; the plan before stays in force.
    pub fn reload(&self, plan: Plan) -> Result<(), Failure> {
        let outcome = self.adopt(plan);
        let file = self.plan.lock().unwrap_or_else(PoisonError::into_inner).file.clone();
        let draft = TrailDraft::done("configuration.reload", file).by("operator");
        self.writer.trail(match &outcome {
            Ok(()) => draft,
            Err(failure) => draft.outcome(TrailOutcome::Failed).detail("reason", &failure.message),
        });
        outcome
    }

    fn adopt(&self, plan: Plan) -> Result<(), Failure> {
        let agent = agent_of(&plan)?.clone();
        for (key, changed) in [
            ("data_dir", self.data_dir != plan.data_dir),
            ("agent.buffer", self.buffer_bytes != agent.buffer_bytes),
        ] {
            if changed {
                let message = format!("{key} cannot change while the agent runs; restart it");
                return Err(Failure::new(ExitStatus::Configuration, message));
            }
        }
        let unlocked = unlock_agent(&plan, &agent).map_err(|Locked { errors, read }| {
            record_secrets(&self.writer, &read);
            secrets_failure(&errors)
        })?;
        let route = route(&agent, &unlocked)?;
        record_secrets(&self.writer, &unlocked.read);
        let used = used(&plan);
        let groups = used.log_groups.clone();
        let mut current = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if self::used(&current) != used {
            self.writer.append(Entry::Plan(Box::new(used)));
        }
        *current = plan;
        drop(current);
        *self.route.lock().unwrap_or_else(PoisonError::into_inner) = route;
        self.new_routes.send_modify(|number| *number += 1);
        self.collector.follow(groups, unlocked.redactor);
        Ok(())
    }

    /// Ends in the order in which things flow: files are read to their ends, what is read is shipped as far as that works
    /// within [`DRAIN_TIMEOUT`], and the next start finds the rest.
    ///
    /// # Errors
    /// [`Failure`] if something failed meanwhile that the agent cannot go on without.
    pub async fn drain(mut self) -> Result<(), Failure> {
        let (_, none) = mpsc::unbounded_channel();
        let mut failures = std::mem::replace(&mut self.failures, none);
        tokio::select! {
            biased;
            Some(failure) = failures.recv() => Err(failure),
            () = self.drain_in_order() => failures.try_recv().map_or(Ok(()), Err),
        }
    }

    async fn drain_in_order(self) {
        self.writer.end_waiting();
        // An error here and below means that a thread has failed; whoever failed has said so.
        let _ = self.collector.drain().await;
        let _ = self.writer.barrier().await;
        self.orders.send_replace(Order::Finish);
        let Threads { collector, shipper, writer, upkeep, fold } = self.threads;
        let mut shipped = tokio::task::spawn_blocking(|| shipper.join());
        if tokio::time::timeout(DRAIN_TIMEOUT, &mut shipped).await.is_err() {
            self.orders.send_replace(Order::Stop);
            let _ = shipped.await;
        }
        self.writer.trail(TrailDraft::done("watchbell.stop", env!("CARGO_PKG_VERSION")));
        self.writer.snapshot();
        self.writer.close();
        let _ = tokio::task::spawn_blocking(|| [collector, writer, upkeep, fold].map(JoinHandle::join)).await;
        let waiting_bytes = self.fold.look().buffer.bytes();
        if waiting_bytes > 0 {
            tracing::warn!(
                waiting_bytes,
                "not everything is shipped; the rest goes out after the next start"
            );
        }
    }
}

/// What `watchbell agent --check` finds.
#[derive(Debug, PartialEq, Eq)]
pub struct Checked {
    /// Where it would ship to.
    pub to: String,
    /// What it is called there.
    pub name: String,
    /// Log groups with files.
    pub log_groups: usize,
}

/// Asks the other side whether it would take what this plan reads. Nothing is sent, nothing is kept.
///
/// # Errors
/// [`Failure`] says what is wrong, and where.
pub async fn check(plan: &Plan, now: Timestamp) -> Result<Checked, Failure> {
    let agent = agent_of(plan)?;
    let unlocked = unlock_agent(plan, agent).map_err(|locked| secrets_failure(&locked.errors))?;
    let Route { upstream, to, host } = route(agent, &unlocked)?;
    let groups: Vec<_> = used(plan).log_groups.into_keys().collect();
    let log_groups = groups.len();
    let head = ShipmentHead {
        format: SHIPMENT_FORMAT,
        agent: InstallationId([0; 8]),
        host: host.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sent_at: now,
        waiting_bytes: 0,
        groups,
        sources: None,
    };
    let unavailable = |reason: &dyn Display| Failure::new(ExitStatus::Unavailable, format!("{to}: {reason}"));
    match upstream.send(&head, &ShipmentBuilder::default()).await {
        Sent::Stored => Ok(Checked { to, name: host, log_groups }),
        Sent::Again { reason, .. } => Err(unavailable(&reason).help("is watchbell up running there?")),
        Sent::Refused { reason, help: Some(help) } => Err(unavailable(&reason).help(help)),
        Sent::Refused { reason, help: None } => Err(unavailable(&reason)),
    }
}

fn agent_of(plan: &Plan) -> Result<&Agent, Failure> {
    let agent = plan.agent.as_ref().ok_or_else(|| {
        let failure = Failure::new(ExitStatus::Configuration, format!("{} has no [agent]", plan.file));
        failure.help("add [agent] with to = \"https://HOST:PORT\" and token = { env = \"NAME\" }")
    })?;
    if plan.log_groups.values().all(|group| group.files.is_empty()) {
        let message = format!("no log group in {} has files, so there is nothing to ship", plan.file);
        let failure = Failure::new(ExitStatus::Configuration, message);
        return Err(failure.help("add [log_groups.\"NAME\"] with files = [\"…\"]"));
    }
    Ok(agent)
}

/// What an agent uses of a plan: what it reads and how, and what is taken out of it.
fn used(plan: &Plan) -> Plan {
    let mut used = plan.clone();
    used.log_groups.retain(|_, group| !group.files.is_empty());
    used.metric_filters.clear();
    used.alarms.clear();
    used.mute_rules.clear();
    used.topics.clear();
    used.queues.clear();
    used.access = Access::default();
    used.archive = None;
    used
}

fn route(agent: &Agent, unlocked: &AgentUnlocked) -> Result<Route, Failure> {
    let upstream = Upstream::new(agent, unlocked.token.as_deref())?;
    let host = match &agent.name {
        Some(name) => name.clone(),
        None => host_name()?,
    };
    Ok(Route { upstream, to: agent.to.clone(), host })
}

/// The machine's name, if it can stand in the name of a log stream.
fn host_name() -> Result<String, Failure> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let fits = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
    if fits {
        return Ok(name);
    }
    let message = format!("the host name {name:?} cannot be the name of an agent");
    Err(Failure::new(ExitStatus::Configuration, message).help("add name = \"…\" to [agent]"))
}
