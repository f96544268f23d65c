//! `watchbell agent`: the collector alone. What it reads goes to a journal of its own, and from there to another
//! Watchbell, or to CloudWatch Logs.
//!
//! ```text
//! files ───────────▶ collector ─┐
//! syslog, journald ─▶ inputs ───┴▶ writer ─▶ JOURNAL ─▶ shipper ─▶ another Watchbell, or CloudWatch Logs
//! ```
//!
//! Its journal is the buffer: files count as read once their lines are in it, and a line leaves it only after the other
//! side has said that it is on its disk. Not here: rules, alarms, an archive, HTTP; standard input and OTLP, which
//! only `watchbell up` takes.

#[cfg(feature = "aws")]
pub mod cloudwatch;
mod desk;
mod shipper;
mod upstream;

use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use watchbell_journal::{Disk, JournalError};
use watchbell_model::{
    Access, Agent, Aws, Entry, GroupName, Inputs, InstallationId, Offset, Plan, SHIPMENT_FORMAT,
    ShipmentBuilder, ShipmentHead, Timestamp, TrailOutcome,
};

use self::desk::{Desk, Order, Trouble, Unshipped};
pub use self::shipper::{REPORT_EVERY_MS, REPORTED_SOURCES_MAX, SHIPMENT_FILL_BYTES};
use self::shipper::{Route, Shipper};
use self::upstream::Upstream;
use crate::run::Sizes;
use crate::run::clock::Clock;
use crate::run::collector::{Collector, CollectorHandle};
use crate::run::data_folder;
use crate::run::fold::SharedFold;
use crate::run::inputs;
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

/// Where an agent ships to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// The Watchbell that `[agent]` names.
    Watchbell,
    /// CloudWatch Logs, in the region of `[aws]`. `[agent]` need not be there.
    CloudWatch {
        /// The fleet that it publishes for how many bytes it reads.
        fleet: Option<String>,
    },
}

/// What an agent needs from outside.
pub struct Setup {
    /// Where it ships to.
    pub to: To,
    /// What to do; only log groups, redaction and `[agent]` of it are used.
    pub plan: Plan,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where the journal is kept.
    pub disk: Arc<dyn Disk>,
}

/// A running agent.
pub struct Running {
    to: To,
    plan: Mutex<Plan>,
    data_dir: String,
    buffer_bytes: u64,
    fold: SharedFold,
    writer: Writer,
    collector: CollectorHandle,
    settings: inputs::Settings,
    inputs: inputs::Running,
    stopping: watch::Sender<bool>,
    /// Where it ships to, if that is a Watchbell.
    route: Option<Arc<Mutex<Route>>>,
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
    /// [`Failure`] for a file that does not say where to ship to, secrets without a value, and an authority, an address, a
    /// certificate or a data folder that cannot be used.
    pub fn start(setup: Setup, runtime: &Handle) -> Result<Running, Failure> {
        let Setup { to, plan, clock, disk } = setup;
        let agent = agent_of(&plan, &to)?;
        let unlocked = unlock_agent(&plan, &agent).map_err(|locked| secrets_failure(&locked.errors))?;
        let target = Target::open(&to, &plan, &agent, &unlocked, runtime)?;
        let used = used(&plan);
        let opened = inputs::open(&used)?;
        let (data_dir, sizes) = (plan.data_dir.clone(), Sizes::default());
        let folder = data_folder::open(
            &disk,
            &Path::new(&data_dir).join(FOLDER),
            sizes.segment_bytes_max,
            clock.now(),
        )?;
        let (known_groups, checkpoints) = (folder.fold.groups.clone(), folder.fold.checkpoints.clone());
        let cursors = folder.fold.cursors.clone();
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
        let settings = inputs::Settings::new(&used.log_groups, &unlocked.redactor);
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
        let (stopping, is_stopping) = watch::channel(false);
        let (new_routes, routes) = watch::channel(0);
        let trouble = Trouble::default();
        let (orders, ordered) = watch::channel(Order::Run);
        let desk = Desk {
            installation: core.installation,
            routes,
            orders: ordered,
            fold: core.fold.clone(),
            readers: core.readers.clone(),
            durable: core.durable.clone(),
            writer: core.writer.clone(),
            upkeep: core.upkeep.clone(),
            disk,
            snapshots,
            clock: Arc::clone(&clock),
            trouble: Arc::clone(&trouble),
            failures: 0,
            shipped_bytes: 0,
        };
        let (name, from) = (target.name().to_owned(), shipped.unwrap_or(Offset(0)));
        let (route, ships) = target.shipper(desk, sources.clone(), from, runtime);
        let shipper_thread = spawn("shipper", failed.clone(), move || {
            ships().map_err(|error| Failure::new(ExitStatus::InputOutput, error))
        });
        let hands = inputs::Hands { settings: settings.clone(), writer: core.writer.clone(), sources, clock };
        let inputs = opened
            .start(&hands, &cursors, &is_stopping, runtime, |name, run| endless(name, failed.clone(), run));
        let collector_thread = endless("collector", failed, move || collector_thread.run());
        say_left_out(&plan);
        tracing::info!(to = agent.to, name, installation = %core.installation, waiting_bytes, "shipping");
        Ok(Running {
            to,
            plan: Mutex::new(plan),
            data_dir,
            buffer_bytes: agent.buffer_bytes,
            fold: core.fold,
            writer: core.writer,
            collector,
            settings,
            inputs,
            stopping,
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

    /// Puts another plan in force, and reads the token, the authority and the certificates of inputs again.
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
        let agent = agent_of(&plan, &self.to)?;
        let used = used(&plan);
        let before = self.used();
        let mut fixed = vec![
            ("data_dir", self.data_dir != plan.data_dir),
            ("agent.buffer", self.buffer_bytes != agent.buffer_bytes),
        ];
        if self.to != To::Watchbell {
            let aws = |plan: &Plan| plan.aws.as_ref().map(|aws| (aws.region.clone(), aws.endpoint.clone()));
            fixed.push(("[aws]", aws(&before) != aws(&plan)));
            let name = |plan: &Plan| plan.agent.as_ref().and_then(|agent| agent.name.clone());
            fixed.push(("agent.name", name(&before) != name(&plan)));
        }
        fixed.extend(inputs::needs_restart(&before, &used).map(|key| (key, true)));
        if let Some((key, _)) = fixed.iter().find(|(_, changed)| *changed) {
            let message = format!("{key} cannot change while the agent runs; restart it");
            return Err(Failure::new(ExitStatus::Configuration, message));
        }
        let unlocked = unlock_agent(&plan, &agent).map_err(|Locked { errors, read }| {
            record_secrets(&self.writer, &read);
            secrets_failure(&errors)
        })?;
        // Read again, also where the file is as before: a renewed certificate has the same name.
        let certificates = inputs::Certificates::read(&used)
            .map_err(|error| Failure::new(ExitStatus::Configuration, error))?;
        if let Some(current) = &self.route {
            let route = route(&agent, &unlocked)?;
            *current.lock().unwrap_or_else(PoisonError::into_inner) = route;
        }
        record_secrets(&self.writer, &unlocked.read);
        say_left_out(&plan);
        let groups = used.log_groups.clone();
        self.inputs.admit(&used, certificates);
        if before != used {
            self.writer.append(Entry::Plan(Box::new(used)));
        }
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan;
        self.settings.replace(&groups, &unlocked.redactor);
        self.new_routes.send_modify(|number| *number += 1);
        self.collector.follow(groups, unlocked.redactor);
        Ok(())
    }

    fn used(&self) -> Plan {
        used(&self.plan.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends in the order in which things flow: files are read to their ends, and what came to inputs is taken in; that is
    /// shipped as far as it works within [`DRAIN_TIMEOUT`], and the next start finds the rest.
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
        self.stopping.send_replace(true);
        self.writer.end_waiting();
        // An error here and below means that a thread has failed; whoever failed has said so.
        let _ = self.collector.drain().await;
        self.inputs.drain().await;
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

/// A place to ship to, ready to be used.
enum Target {
    Watchbell(Route),
    #[cfg(feature = "aws")]
    CloudWatch {
        account: cloudwatch::Account,
        to: String,
        name: String,
        /// The fleet that it is of.
        fleet: Option<String>,
    },
}

/// A shipper, to be run on a thread of its own.
type Ships = Box<dyn FnOnce() -> Result<(), JournalError> + Send>;

impl Target {
    fn open(
        to: &To,
        plan: &Plan,
        agent: &Agent,
        unlocked: &AgentUnlocked,
        runtime: &Handle,
    ) -> Result<Target, Failure> {
        match to {
            To::Watchbell => Ok(Target::Watchbell(route(agent, unlocked)?)),
            #[cfg(feature = "aws")]
            To::CloudWatch { fleet } => {
                let account = runtime.block_on(cloudwatch::Account::open(aws_of(plan)?));
                let name = cloudwatch_name(&account, agent)?;
                Ok(Target::CloudWatch { account, to: agent.to.clone(), name, fleet: fleet.clone() })
            }
            #[cfg(not(feature = "aws"))]
            To::CloudWatch { .. } => {
                let _ = (plan, runtime);
                Err(no_aws())
            }
        }
    }

    /// What the agent is called there.
    fn name(&self) -> &str {
        match self {
            Target::Watchbell(route) => &route.host,
            #[cfg(feature = "aws")]
            Target::CloudWatch { name, .. } => name,
        }
    }

    /// What ships there, and the route that a reload may replace.
    fn shipper(
        self,
        desk: Desk,
        sources: Sources,
        from: Offset,
        runtime: &Handle,
    ) -> (Option<Arc<Mutex<Route>>>, Ships) {
        let handle = runtime.clone();
        match self {
            Target::Watchbell(route) => {
                let route = Arc::new(Mutex::new(route));
                let shipper = Shipper { desk, route: Arc::clone(&route), sources };
                (Some(route), Box::new(move || shipper.run(from, &handle)))
            }
            #[cfg(feature = "aws")]
            Target::CloudWatch { account, to, name, fleet } => {
                if let Some(name) = fleet {
                    let metrics = account.metrics.clone();
                    let (clock, orders) = (Arc::clone(&desk.clock), desk.orders.clone());
                    runtime.spawn(cloudwatch::Fleet { name, metrics, sources, clock, orders }.run());
                }
                let shipper = cloudwatch::Shipper::new(desk, &account, to, name);
                (None, Box::new(move || shipper.run(from, &handle)))
            }
        }
    }
}

#[cfg(not(feature = "aws"))]
fn no_aws() -> Failure {
    let message = "this build has no AWS client: build with --features aws";
    Failure::new(ExitStatus::Unavailable, message)
}

#[cfg(feature = "aws")]
fn cloudwatch_name(account: &cloudwatch::Account, agent: &Agent) -> Result<String, Failure> {
    account.instance.clone().or_else(|| agent.name.clone()).map_or_else(host_name, Ok)
}

/// What `watchbell agent --check` finds.
#[derive(Debug, PartialEq, Eq)]
pub struct Checked {
    /// Where it would ship to.
    pub to: String,
    /// What it is called there.
    pub name: String,
    /// Log groups that it reads.
    pub log_groups: usize,
}

/// Asks the other side whether it would take what this plan reads. Nothing is sent, nothing is kept.
///
/// # Errors
/// [`Failure`] says what is wrong, and where.
pub async fn check(plan: &Plan, to: &To, now: Timestamp) -> Result<Checked, Failure> {
    let agent = agent_of(plan, to)?;
    let groups: Vec<_> = used(plan).log_groups.into_keys().collect();
    match to {
        To::Watchbell => check_watchbell(plan, &agent, groups, now).await,
        #[cfg(feature = "aws")]
        To::CloudWatch { .. } => check_cloudwatch(plan, agent, &groups).await,
        #[cfg(not(feature = "aws"))]
        To::CloudWatch { .. } => Err(no_aws()),
    }
}

#[cfg(feature = "aws")]
async fn check_cloudwatch(plan: &Plan, agent: Agent, groups: &[GroupName]) -> Result<Checked, Failure> {
    let account = cloudwatch::Account::open(aws_of(plan)?).await;
    let name = cloudwatch_name(&account, &agent)?;
    let to = agent.to;
    let missing = account.missing(groups.iter()).await.map_err(|error| {
        let failure = Failure::new(ExitStatus::Unavailable, format!("{to}: {error}"));
        error.help().into_iter().fold(failure, Failure::help)
    })?;
    if missing.is_empty() {
        return Ok(Checked { to, name, log_groups: groups.len() });
    }
    let missing: Vec<&str> = missing.iter().map(GroupName::as_str).collect();
    let message = format!("{to} has no log group {}", missing.join(", "));
    Err(Failure::new(ExitStatus::Unavailable, message).help(cloudwatch::HELP_GROUP))
}

async fn check_watchbell(
    plan: &Plan,
    agent: &Agent,
    groups: Vec<GroupName>,
    now: Timestamp,
) -> Result<Checked, Failure> {
    let unlocked = unlock_agent(plan, agent).map_err(|locked| secrets_failure(&locked.errors))?;
    let Route { upstream, to, host } = route(agent, &unlocked)?;
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
        Ok(()) => Ok(Checked { to, name: host, log_groups }),
        Err(Unshipped::Again { reason, .. }) => {
            Err(unavailable(&reason).help("is watchbell up running there?"))
        }
        Err(Unshipped::Refused { reason, help: Some(help) }) => Err(unavailable(&reason).help(help)),
        Err(Unshipped::Refused { reason, help: None }) => Err(unavailable(&reason)),
    }
}

/// Who ships, and what waits meanwhile.
fn agent_of(plan: &Plan, to: &To) -> Result<Agent, Failure> {
    let agent = match to {
        To::Watchbell => plan.agent.clone().ok_or_else(|| {
            let failure = Failure::new(ExitStatus::Configuration, format!("{} has no [agent]", plan.file));
            failure.help("add [agent] with to = \"https://HOST:PORT\" and token = { env = \"NAME\" }; or --to cloudwatch")
        })?,
        To::CloudWatch { .. } => {
            let own = plan.agent.as_ref();
            Agent {
                to: format!("CloudWatch Logs in {}", aws_of(plan)?.region),
                token: None,
                ca: None,
                name: own.and_then(|own| own.name.clone()),
                buffer_bytes: own.map_or(Agent::BUFFER_BYTES_DEFAULT, |own| own.buffer_bytes),
            }
        }
    };
    if used(plan).log_groups.is_empty() {
        let message = format!(
            "no log group in {} has files, journald or syslog, so there is nothing to ship",
            plan.file
        );
        let failure = Failure::new(ExitStatus::Configuration, message);
        return Err(failure.help("add [log_groups.\"NAME\"] with files = [\"…\"] or journald = {}"));
    }
    Ok(agent)
}

fn aws_of(plan: &Plan) -> Result<&Aws, Failure> {
    plan.aws.as_ref().ok_or_else(|| {
        let failure = Failure::new(ExitStatus::Configuration, format!("{} has no [aws]", plan.file));
        failure.help("add [aws] with region = \"…\"")
    })
}

/// What an agent uses of a plan: what it reads and how, and what is taken out of it.
fn used(plan: &Plan) -> Plan {
    let mut used = plan.clone();
    used.log_groups.retain(|_, group| {
        // Of standard input and OTLP it takes nothing.
        let Inputs { syslog, journald, stdin: _, otlp: _ } = std::mem::take(&mut group.inputs);
        group.inputs = Inputs { syslog, journald, ..Inputs::default() };
        !group.files.is_empty() || !group.inputs.is_empty()
    });
    used.metric_filters.clear();
    used.alarms.clear();
    used.mute_rules.clear();
    used.topics.clear();
    used.queues.clear();
    used.access = Access::default();
    used.archive = None;
    used
}

/// Says which inputs of a plan an agent does not have.
fn say_left_out(plan: &Plan) {
    for (name, group) in &plan.log_groups {
        let Inputs { stdin, otlp, .. } = &group.inputs;
        let left_out = [("stdin", *stdin), ("otlp", otlp.is_some())];
        for (input, _) in left_out.into_iter().filter(|(_, is_there)| *is_there) {
            tracing::warn!(log_group = %name, input, "an agent does not take this in; only watchbell up does");
        }
    }
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
