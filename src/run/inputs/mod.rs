//! Inputs: where events come from beside files and requests.
//!
//! Each input has a thread that makes events of what came, by the settings of its log group that are in force, hands
//! them to the writer and waits for the disk before it goes on; what comes meanwhile waits within a named bound, and then
//! where it came from. What is lost all the same is counted and journaled.

mod journald;
mod pipe;
mod stdin;
mod syslog;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use watchbell_intake::{Joiner, Redactor};
use watchbell_model::{
    self as model, Batch, Entry, GroupName, Inputs, LogGroup, Loss, LossReason, Plan, StartAt,
};
use watchbell_parse::Timestamps;
use watchbell_server::tls::{Certificate, TlsError};

use self::pipe::{Stop, Stopper};
use self::syslog::gate::{self, Gate};
use super::clock::Clock;
use super::collector;
use super::cursors::Cursors;
use super::sources::{InputNow, SourceState, Sources};
use super::writer::{AppendError, Appended, Writer};
use crate::Failure;

/// Everything that inputs need of the process.
#[derive(Clone)]
pub(crate) struct Hands {
    pub(crate) settings: Settings,
    pub(crate) writer: Writer,
    pub(crate) sources: Sources,
    pub(crate) clock: Arc<dyn Clock>,
}

/// How the lines of log groups are read now; replaced by a reload.
#[derive(Clone)]
pub(crate) struct Settings(Arc<Mutex<InForce>>);

struct InForce {
    groups: BTreeMap<GroupName, Reading>,
}

/// How the lines of one log group are read.
#[derive(Clone)]
struct Reading {
    timestamps: Arc<Timestamps>,
    redactor: Arc<Redactor>,
    /// Puts lines together, and how long the last one waits for more; not for messages, which are whole.
    joiner: Option<(Arc<Joiner>, Duration)>,
}

impl Settings {
    pub(crate) fn new(groups: &BTreeMap<GroupName, LogGroup>, redactor: &Arc<Redactor>) -> Settings {
        Settings(Arc::new(Mutex::new(InForce::new(groups, redactor))))
    }

    /// These are in force from now on.
    pub(crate) fn replace(&self, groups: &BTreeMap<GroupName, LogGroup>, redactor: &Arc<Redactor>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = InForce::new(groups, redactor);
    }

    fn of(&self, group: &GroupName) -> Reading {
        let in_force = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        in_force.groups.get(group).cloned().expect("a group with inputs changes only with a restart")
    }
}

impl InForce {
    fn new(groups: &BTreeMap<GroupName, LogGroup>, redactor: &Arc<Redactor>) -> InForce {
        let with_inputs = groups.iter().filter(|(_, group)| !group.inputs.is_empty());
        let reading = |(name, group): (&GroupName, &LogGroup)| {
            let timestamps = Timestamps::new(group.parse, &group.timestamp).expect("the plan was checked");
            let joiner = group.multiline.as_ref().map(|multiline| {
                let joiner = Joiner::new(multiline).expect("the plan was checked");
                (Arc::new(joiner), Duration::from_millis(multiline.timeout_ms.unsigned_abs()))
            });
            let (timestamps, redactor) = (Arc::new(timestamps), Arc::clone(redactor));
            (name.clone(), Reading { timestamps, redactor, joiner })
        };
        InForce { groups: with_inputs.map(reading).collect() }
    }
}

/// What a reload cannot change, if the two plans differ in it.
pub(crate) fn needs_restart(before: &Plan, after: &Plan) -> Option<&'static str> {
    fn differ<T: PartialEq>(before: &Plan, after: &Plan, of: impl Fn(&Inputs) -> Option<T>) -> bool {
        let all = |plan: &Plan| -> BTreeMap<GroupName, T> {
            let groups = plan.log_groups.iter();
            groups.filter_map(|(name, group)| Some((name.clone(), of(&group.inputs)?))).collect()
        };
        all(before) != all(after)
    }
    let where_from = |inputs: &Inputs| {
        let syslog = inputs.syslog.as_ref()?;
        Some((syslog.listen, syslog.transports.clone()))
    };
    if differ(before, after, where_from) {
        Some("log_groups.*.syslog")
    } else if differ(before, after, |inputs| inputs.journald.clone()) {
        Some("log_groups.*.journald")
    } else if differ(before, after, |inputs| inputs.stdin.then_some(())) {
        Some("log_groups.*.stdin")
    } else {
        None
    }
}

/// The certificates of inputs, read again: a renewed one has the same name.
pub(crate) struct Certificates(BTreeMap<GroupName, Option<Certificate>>);

impl Certificates {
    /// Those of a plan.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it.
    pub(crate) fn read(plan: &Plan) -> Result<Certificates, TlsError> {
        let with_syslog =
            plan.log_groups.iter().filter_map(|(name, group)| Some((name, group.inputs.syslog.as_ref()?)));
        let read =
            with_syslog.map(|(name, syslog)| Ok((name.clone(), gate::certificate(syslog.tls.as_ref())?)));
        Ok(Certificates(read.collect::<Result<_, _>>()?))
    }
}

/// What has been opened for inputs, before anything is written.
pub(crate) struct Opened {
    sockets: Vec<syslog::Opened>,
    pipes: Vec<Pipe>,
}

/// What is read on a thread that waits in the kernel.
struct Pipe {
    group: GroupName,
    input: PipeInput,
    stop: Stop,
    stopper: Stopper,
}

enum PipeInput {
    /// With where reading begins.
    Journald(model::Journald, StartAt),
    Stdin,
}

/// Opens what the inputs of a plan need.
///
/// # Errors
/// [`Failure`] for an address that cannot be listened on, or a certificate that cannot be used.
pub(crate) fn open(plan: &Plan) -> Result<Opened, Failure> {
    let mut opened = Opened { sockets: Vec::new(), pipes: Vec::new() };
    for (name, group) in &plan.log_groups {
        let Inputs { syslog, journald, stdin, otlp: _ } = &group.inputs;
        if let Some(syslog) = syslog {
            opened.sockets.push(syslog::open(name, syslog)?);
        }
        let journald = journald.iter().map(|journald| PipeInput::Journald(journald.clone(), group.start));
        for input in journald.chain(stdin.then_some(PipeInput::Stdin)) {
            let (stopper, stop) = pipe::stop().map_err(|error| Failure::io("pipe", &error))?;
            opened.pipes.push(Pipe { group: name.clone(), input, stop, stopper });
        }
    }
    Ok(opened)
}

/// The running inputs.
#[derive(Default)]
pub(crate) struct Running {
    tasks: Vec<tokio::task::JoinHandle<()>>,
    threads: Vec<JoinHandle<()>>,
    stoppers: Vec<Stopper>,
    gates: BTreeMap<GroupName, Gate>,
}

impl Running {
    /// From now on these are heard, under these certificates, which were read for this plan.
    pub(crate) fn admit(&self, plan: &Plan, certificates: Certificates) {
        for (name, certificate) in certificates.0 {
            let syslog = plan.log_groups.get(&name).and_then(|group| group.inputs.syslog.as_ref());
            if let (Some(gate), Some(syslog)) = (self.gates.get(&name), syslog) {
                gate.replace(syslog, certificate);
            }
        }
    }

    /// Everything that came in is on disk, or counted as lost, when this resolves; `stopping` must have told.
    pub(crate) async fn drain(self) {
        drop(self.stoppers);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "an input did not end well");
            }
        }
        let threads = self.threads;
        // A thread that has panicked has said so.
        let _ =
            tokio::task::spawn_blocking(|| threads.into_iter().map(JoinHandle::join).all(|it| it.is_ok()))
                .await;
    }
}

impl Opened {
    /// Takes in from now on; `cursors` says how far journals were read, `spawn` starts a thread with this name.
    pub(crate) fn start(
        self,
        hands: &Hands,
        cursors: &Cursors,
        stopping: &watch::Receiver<bool>,
        runtime: &Handle,
        spawn: impl Fn(&'static str, Box<dyn FnOnce() + Send>) -> JoinHandle<()>,
    ) -> Running {
        let mut running = Running::default();
        let _inside = runtime.enter();
        for opened in self.sockets {
            running.gates.insert(opened.group().clone(), opened.gate().clone());
            let (tasks, run) = opened.start(hands.clone(), stopping);
            running.tasks.extend(tasks);
            running.threads.push(spawn("syslog", run));
        }
        for Pipe { group, input, stop, stopper } in self.pipes {
            let hands = hands.clone();
            running.stoppers.push(stopper);
            running.threads.push(match input {
                PipeInput::Stdin => spawn("stdin", Box::new(|| stdin::Stdin { group, hands, stop }.run())),
                PipeInput::Journald(journald, start) => {
                    let journald = journald::Journald::new(group, journald, start, cursors, hands, stop);
                    spawn("journald", Box::new(|| journald.run()))
                }
            });
        }
        running
    }
}

/// A batch that was given to the writer.
struct Given {
    group: GroupName,
    stream: String,
    bytes: u64,
    told: oneshot::Receiver<Appended>,
}

fn was_taken(given: Given) -> bool {
    matches!(wait(given.told), Ok(Ok(_)))
}

/// What became of a batch; what is wrong is said, but for a disk that failed: that stops the process, which says so.
fn wait(told: oneshot::Receiver<Appended>) -> Result<Appended, oneshot::error::RecvError> {
    let told = told.blocking_recv();
    if let Ok(Err(error @ (AppendError::TooLarge { .. } | AppendError::Stopping))) = &told {
        tracing::error!(%error, "the journal does not take what came in");
    }
    told
}

impl Hands {
    /// Gives batches to the writer and waits until they are on disk. What is not taken is lost, and counted.
    fn hand_over(&self, batches: Vec<Batch>) {
        let told: Vec<_> = batches.into_iter().map(|batch| self.give(batch)).collect();
        for Given { group, stream, bytes, told } in told {
            let refused = wait(told);
            if let Ok(Err(AppendError::NoSpace | AppendError::JournalFull(_) | AppendError::BufferFull)) =
                refused
            {
                self.lose(Loss {
                    group,
                    stream,
                    reason: LossReason::NoSpace,
                    bytes,
                    times: 1,
                    shipped: None,
                });
            }
        }
    }

    /// The same for what can be read again. False if something was not taken; then nothing behind it was.
    fn hand_over_replayable(&self, batches: Vec<Batch>) -> bool {
        let mut told = Vec::new();
        for batch in batches {
            // While nothing is taken, one at a time: what comes behind must not get in without it.
            if self.writer.is_full().is_some() && !told.drain(..).all(was_taken) {
                return false;
            }
            told.push(self.give(batch));
        }
        told.into_iter().all(was_taken)
    }

    fn give(&self, batch: Batch) -> Given {
        let (group, stream) = (batch.group.clone(), batch.stream.clone());
        let taken = batch.source.taken().cloned().unwrap_or_default();
        self.sources.read(&group, &stream, taken.bytes);
        let told = self.writer.batch_waiting(batch);
        for (reason, bytes) in &taken.dropped_bytes {
            let (group, stream) = (group.clone(), stream.clone());
            self.lose(Loss { group, stream, reason: *reason, bytes: *bytes, times: 1, shipped: None });
        }
        Given { group, stream, bytes: taken.bytes, told }
    }

    fn lose(&self, loss: Loss) {
        collector::say(&loss);
        self.writer.append(Entry::Loss(loss));
    }

    /// Tells how an input is.
    fn tell(&self, group: &GroupName, name: &str, state: SourceState, reason: Option<String>) {
        self.sources.input(group, name, InputNow { state, reason, waiting_since: None, lag_bytes: 0 });
    }
}
