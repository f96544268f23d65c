//! `watchbell bench load`: how much the whole of `watchbell up` takes, and how late it tells while it does.
//!
//! Promise: `up` runs as a process of its own, as a user would start it, with filters, alarms, a function and archive on. What drives
//! it and receives its messages is this process, on the same cores, and takes its part of them. Every count is checked.

mod drive;
mod process;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use tokio::net::TcpListener;
use watchbell_corpus::Corpus;

use self::drive::Paced;
use self::process::Memory;
use super::path::{GROUP, config_text};
use super::place::Place;
use super::{ALARMS, Kind, Surroundings, cpu};
use crate::outside::children::Process;
use crate::outside::probes::{self, Probes};
use crate::outside::receiver::{self, Inbox};
use crate::outside::stopwatch::{self, Latency};
use crate::outside::web::Web;
use crate::run::archiver::OBJECT_TEXT_BYTES_MAX;
use crate::{ExitStatus, Failure};

/// Probes of a phase at most.
const PROBES: usize = 100;

/// How many phases there are that probe.
const PHASES: usize = 4;

/// A function that sees everything, and raises what an operator would count.
const FUNCTION: &str = r#"
[queues.load]
log_groups = "bench/*"
visibility_timeout = "5m"
[functions.load]
queue = "load"
steps = [{ severity = { from = "message", map = { "*ERROR*" = "error", "*WARN*" = "warn" }, default = "info" } }]
raise = [{ metric = { namespace = "Load", name = "Errors" }, when = '{ $.severity = "error" }' }]
[alarms.function-errors]
metric = { namespace = "Load", name = "Errors" }
period = "60s"
condition = "> 1000000000000"
missing_data = "not_breaching"
"#;

/// Between two looks how far `up` is.
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// What is to be measured.
pub(crate) struct Load {
    /// Megabytes (10^6 bytes) of logs in each phase.
    pub(crate) megabytes: usize,
    /// How many metric filters; ten have an alarm.
    pub(crate) filters: usize,
    /// Which logs.
    pub(crate) kind: Kind,
    /// Of the logs.
    pub(crate) seed: u64,
    /// Below this a folder is made, and removed again.
    pub(crate) folder: PathBuf,
}

/// What happened while something was done to `up`.
#[derive(Serialize)]
pub(crate) struct Phase {
    /// What was done.
    pub(crate) name: &'static str,
    /// Bytes of log text.
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    /// MB (10^6 bytes) a second until all was on disk and matched; none if nothing came.
    pub(crate) matched: Option<f64>,
    /// The same until nothing waited for a later stage, but what the archive gathers for its next objects.
    pub(crate) sustained: Option<f64>,
    /// CPU-seconds a GB (10^9 bytes) of each thread, by the name that Linux shows.
    pub(crate) cpu: BTreeMap<String, f64>,
    /// From a line written to another followed file to the whole webhook received.
    pub(crate) latency: Option<Latency>,
    /// What `up` had in memory at most, in bytes.
    pub(crate) memory: u64,
}

/// What is told while it is measured.
pub(crate) trait Listener {
    /// The first thing.
    fn surroundings(&mut self, surroundings: &Surroundings, load: &Load) -> Result<(), Failure>;
    /// The next phase.
    fn phase(&mut self, phase: &Phase) -> Result<(), Failure>;
    /// The time from the start after `kill -9` until HTTP says that it is ready, and the size of the journal.
    fn restart(&mut self, time: Duration, journal_bytes: u64) -> Result<(), Failure>;
}

impl Load {
    /// Measures.
    ///
    /// # Errors
    /// [`Failure`] of the disk or of `up`; [`ExitStatus::Finding`] if a message does not come.
    pub(crate) fn run(&self, listener: &mut dyn Listener) -> Result<(), Failure> {
        let place = Place::make(&self.folder)?;
        listener.surroundings(
            &Surroundings {
                machine: watchbell_corpus::machine(),
                folder: place.parent().display().to_string(),
                file_system: place.file_system(),
                seed: self.seed,
                mtail: None,
            },
            self,
        )?;
        let corpus = self.kind.corpus(self.megabytes * 1_000_000, self.seed);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new(ExitStatus::Unavailable, error))?;
        runtime.block_on(self.measure(&place, &corpus, listener))
    }

    async fn measure(
        &self,
        place: &Place,
        corpus: &Corpus,
        listener: &mut dyn Listener,
    ) -> Result<(), Failure> {
        let key = b"a key that signs the messages of a bench".as_slice();
        let inbox = Inbox::new(key);
        let hook =
            TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| Failure::io("127.0.0.1", &error))?;
        let address = hook.local_addr().map_err(|error| Failure::io("127.0.0.1", &error))?;
        tokio::spawn(receiver::serve(hook, Arc::clone(&inbox)));
        let environment = [
            (probes::HOOK, format!("http://{address}/hook")),
            (probes::HOOK_KEY, format!("whsec_{}", STANDARD.encode(key))),
        ];
        let logs = place.part("logs")?;
        let probes = Probes::open(&logs.path("")).map_err(|error| Failure::io("probes", &error))?;
        let config = place.write("watchbell.toml", std::iter::once(self.config(corpus)))?;
        let start = async |place: &Place| {
            let environment: Vec<(&str, &str)> =
                environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
            Process::up(&config, &place.path("console.txt"), place.path("up.log"), &environment).await
        };

        let (up, address) = start(place).await?;
        let mut watched = Watched { place, up: &up, web: Web::new(address), inbox: &inbox, probes, sent: 0 };
        let phases = watched.phases(corpus, &logs, listener).await;
        // Whatever went wrong: its folder can go only after it.
        up.kill().await?;
        phases?;
        let before = stopwatch::now();
        let (up, _) = start(place).await?;
        let time = before.elapsed();
        up.terminate().await?;
        listener.restart(time, bytes_below(&place.path("data/journal"))?)
    }

    /// What a user would have written.
    fn config(&self, corpus: &Corpus) -> String {
        let patterns = self.kind.patterns(self.filters, corpus);
        let rules = config_text(self.kind, &patterns, ALARMS.min(patterns.len()), "app*.log");
        format!("{rules}{FUNCTION}{}", probes::config_text(PROBES * PHASES))
    }
}

/// A running `up`, and what is done to it.
struct Watched<'a> {
    place: &'a Place,
    up: &'a Process,
    web: Web,
    inbox: &'a Inbox,
    probes: Probes,
    /// Lines that it has been given.
    sent: u64,
}

impl Watched<'_> {
    async fn phases(
        &mut self,
        corpus: &Corpus,
        logs: &Place,
        listener: &mut dyn Listener,
    ) -> Result<(), Failure> {
        let idle = self.phase("idle", async |_| Ok(None), PROBES).await?;
        listener.phase(&idle)?;

        let ready = self.place.write("ready.log", corpus.batches.iter().map(|batch| &batch.text))?;
        let appears = async |_: &Web| {
            let log = logs.path("app.log");
            std::fs::rename(&ready, &log).map_err(|error| Failure::io(log.display(), &error))?;
            Ok(Some((corpus.bytes() as u64, corpus.lines() as u64)))
        };
        let files = self.phase("a file", appears, 0).await?;
        listener.phase(&files)?;

        let bodies = drive::bodies(corpus);
        let post = async |web: &Web| {
            drive::post(web, GROUP, &bodies).await?;
            Ok(Some((corpus.bytes() as u64, corpus.lines() as u64)))
        };
        let http = self.phase("HTTP", post, 0).await?;
        listener.phase(&http)?;

        let rate = files.sustained.unwrap_or_default() * 0.8;
        let text: String = corpus.batches.iter().map(|batch| batch.text.as_str()).collect();
        let steady = self.steady(&logs.path("apps.log"), text, rate * 1e6).await?;
        listener.phase(&steady)
    }

    /// Does something; at most so many probes are sent meanwhile, or, with 0, as long as it goes on.
    async fn phase(
        &mut self,
        name: &'static str,
        act: impl AsyncFnOnce(&Web) -> Result<Option<(u64, u64)>, Failure>,
        probes: usize,
    ) -> Result<Phase, Failure> {
        let meter = Meter::start(self.up)?;
        let web = self.web.clone();
        let (place, sent) = (self.place, self.sent);
        let caught_up = async {
            let given = act(&web).await?;
            let Some((bytes, lines)) = given else { return Ok((0, 0, None, None)) };
            let look = Look { web: &web, place };
            look.until(|metrics| metrics.events() >= sent + lines).await?;
            let matched = meter.elapsed();
            look.until(Metrics::is_caught_up).await?;
            Ok::<_, Failure>((bytes, lines, Some(matched), Some(meter.elapsed())))
        };
        let (done, latency) = probe_beside(caught_up, &mut self.probes, self.inbox, probes).await?;
        let (bytes, lines, matched, sustained) = done;
        self.sent += lines;
        meter.phase(name, (bytes, lines), (matched, sustained), latency)
    }

    /// A steady load, with probes beside it.
    async fn steady(&mut self, path: &Path, text: String, bytes_per_s: f64) -> Result<Phase, Failure> {
        let meter = Meter::start(self.up)?;
        let paced = Paced::start(path, text, bytes_per_s)?;
        let ((), latency) = probe_beside(async { Ok(()) }, &mut self.probes, self.inbox, PROBES).await?;
        let (bytes, lines) = paced.stop()?;
        let written = meter.elapsed();
        let look = Look { web: &self.web, place: self.place };
        let sent = self.sent + lines;
        look.until(|metrics| metrics.events() >= sent).await?;
        look.until(Metrics::is_caught_up).await?;
        self.sent = sent;
        let sustained = meter.elapsed();
        meter.phase("80 % of a file's", (bytes, lines), (Some(written), Some(sustained)), latency)
    }
}

/// Runs `act`, and probes beside it: so many, or, with 0, as long as it takes, but no more than there are for a phase.
async fn probe_beside<T>(
    act: impl Future<Output = Result<T, Failure>>,
    probes: &mut Probes,
    inbox: &Inbox,
    count: usize,
) -> Result<(T, Option<Latency>), Failure> {
    let mut act = std::pin::pin!(act);
    let (mut done, mut measured) = (None, Vec::new());
    while measured.len() < PROBES && (done.is_none() || measured.len() < count) {
        // One that has begun is finished: its line is written.
        let mut probe = std::pin::pin!(probes.one(inbox));
        let latency = loop {
            tokio::select! {
                outcome = act.as_mut(), if done.is_none() => done = Some(outcome?),
                latency = probe.as_mut() => break latency,
            }
        };
        measured.push(latency.map_err(|error| Failure::new(ExitStatus::Finding, error))?);
    }
    let outcome = match done {
        Some(outcome) => outcome,
        None => act.await?,
    };
    Ok((outcome, Latency::of(measured)))
}

/// Asks `up` how far it is.
struct Look<'a> {
    web: &'a Web,
    place: &'a Place,
}

impl Look<'_> {
    async fn until(&self, holds: impl Fn(&Metrics) -> bool) -> Result<(), Failure> {
        loop {
            self.place.go_on()?;
            let (_, text) = self
                .web
                .get("/metrics")
                .await
                .map_err(|error| Failure::new(ExitStatus::Unavailable, error))?;
            if holds(&Metrics(text)) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// The text of `/metrics`.
struct Metrics(String);

impl Metrics {
    /// The sum of a metric over its labels; 0 as long as it is not there.
    fn sum(&self, name: &str, labels: &str) -> u64 {
        let start = format!("{name}{labels}");
        let values = self.0.lines().filter(|line| line.starts_with(&start));
        values.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    fn events(&self) -> u64 {
        self.sum("watchbell_incoming_log_events_total", &format!("{{log_group=\"{GROUP}\"}}"))
    }

    /// The archive gathers text for its next objects until this; what is below waits for nobody.
    fn is_caught_up(&self) -> bool {
        let queued =
            ["visible", "in_flight"].map(|state| self.sum(&format!("watchbell_queue_messages_{state}"), ""));
        queued == [0, 0] && self.sum("watchbell_archive_waiting_bytes", "") < OBJECT_TEXT_BYTES_MAX
    }
}

/// Time, processor time and memory of a phase.
struct Meter<'a> {
    up: &'a Process,
    start: std::time::Instant,
    threads: BTreeMap<String, f64>,
    memory: Memory,
}

impl<'a> Meter<'a> {
    fn start(up: &'a Process) -> Result<Meter<'a>, Failure> {
        let id = id(up)?;
        Ok(Meter { up, memory: Memory::watch(id)?, threads: cpu::by_thread(id)?, start: stopwatch::now() })
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    #[expect(clippy::cast_precision_loss, reason = "bytes of a bench are few")]
    fn phase(
        self,
        name: &'static str,
        (bytes, lines): (u64, u64),
        (matched, sustained): (Option<Duration>, Option<Duration>),
        latency: Option<Latency>,
    ) -> Result<Phase, Failure> {
        let rate = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
        let mut cpu = cpu::by_thread(id(self.up)?)?;
        for (thread, seconds) in &mut cpu {
            *seconds -= self.threads.get(thread).unwrap_or(&0.0);
            *seconds /= if bytes == 0 { 1.0 } else { bytes as f64 / 1e9 };
        }
        Ok(Phase {
            name,
            bytes,
            lines,
            matched: matched.map(rate),
            sustained: sustained.map(rate),
            cpu,
            latency,
            memory: self.memory.peak()?,
        })
    }
}

fn id(up: &Process) -> Result<u32, Failure> {
    up.id().ok_or_else(|| Failure::new(ExitStatus::Unavailable, "watchbell up has ended on its own"))
}

fn bytes_below(folder: &Path) -> Result<u64, Failure> {
    let failure = |error: std::io::Error| Failure::io(folder.display(), &error);
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).map_err(failure)? {
        bytes += entry.and_then(|entry| entry.metadata()).map_err(failure)?.len();
    }
    Ok(bytes)
}
