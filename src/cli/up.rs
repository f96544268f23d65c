//! `watchbell up`: does what the file says until it is told to stop.

use std::io::IsTerminal;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use watchbell_journal::RealDisk;

use super::file::File;
use super::{Global, say};
use crate::run::clock::SystemClock;
use crate::run::{Running, Setup, Sizes, console};
use crate::{ExitStatus, Failure, out};

/// Runs until stopped.
#[derive(Args)]
#[command(
    after_help = "SIGTERM or Ctrl-C: finish what is in, archive it, stop. SIGHUP: read the file again; if it is \
                        bad, the one before stays in force.\n\nExamples:\n  watchbell up\n  \
                        watchbell up -c /etc/watchbell.toml --log json 2>> /var/log/watchbell.log"
)]
pub(super) struct Options {
    #[command(flatten)]
    log: Log,
}

/// How the process's own log is written.
#[derive(Args)]
pub(super) struct Log {
    /// How watchbell's own log is written to standard error; by default text on a terminal, json otherwise
    #[arg(long, value_enum, value_name = "FORM")]
    log: Option<LogForm>,
    /// The least severe events of watchbell's own log
    #[arg(long, value_enum, default_value_t = LogLevel::Info, value_name = "LEVEL")]
    log_level: LogLevel,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogForm {
    /// For people
    Text,
    /// One object a line
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

pub(super) fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let file = File::read(&global.config)?;
    let (plan, warnings) = file.plan()?;
    if let Some(warnings) = warnings {
        say(warnings.trim_end());
    }
    options.log.start();
    allow_many_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(ExitStatus::Unavailable, error))?;
    let setup = Setup {
        plan,
        clock: Arc::new(SystemClock),
        disk: Arc::new(RealDisk),
        console: console(out::text),
        colour: out::colour(),
        sizes: Sizes::default(),
    };
    // Signals are caught before anything starts: one that comes early is not lost.
    let signals =
        runtime.block_on(async { Signals::new() }).map_err(|error| Failure::io("signals", &error))?;
    let running = Running::start(setup, runtime.handle())?;
    let outcome = runtime.block_on(serve(global, running, signals));
    // A read of a file system that hangs must not keep a process that has drained.
    runtime.shutdown_background();
    outcome
}

/// Every followed file stays open. The limit that a process starts with is low for the sake of programs that use `select`;
/// up to the hard one it is ours to raise.
pub(super) fn allow_many_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::End,
            _ = self.interrupt.recv() => Signal::End,
            _ = self.hangup.recv() => Signal::Reload,
        }
    }
}

/// What a signal asks for.
pub(super) enum Signal {
    End,
    Reload,
}

async fn serve(global: &Global, mut running: Running, mut signals: Signals) -> Result<(), Failure> {
    tracing::info!(address = %running.address(), "watching");
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::End => break,
                Signal::Reload => reload(global, &running).await,
            },
            failure = running.failed() => {
                // The disk has failed: what was acknowledged is safe, nothing more can be. Stop at once.
                tracing::error!(%failure, "stopping");
                return Err(failure);
            }
        }
    }
    tracing::info!("draining: finishing what is in");
    running.drain().await?;
    tracing::info!("stopped");
    Ok(())
}

async fn reload(global: &Global, running: &Running) {
    let name = global.config.to_string_lossy();
    let plan = File::read(&global.config).and_then(|file| file.plan());
    match plan {
        Err(failure) => {
            if !failure.message.is_empty() {
                say(&failure.to_string());
            }
            tracing::error!(file = %name, "not reloaded: the file is bad, the plan before stays in force");
            running.refuse_reload(&name, "the file is bad");
        }
        Ok((plan, _)) => match running.reload(plan).await {
            Ok(()) => tracing::info!(file = %name, "reloaded"),
            Err(error) => {
                tracing::error!(file = %name, %error, "not reloaded, the plan before stays in force");
            }
        },
    }
}

impl Log {
    /// From now on.
    pub(super) fn start(&self) {
        let form =
            self.log.unwrap_or(if std::io::stderr().is_terminal() { LogForm::Text } else { LogForm::Json });
        let level = match self.log_level {
            LogLevel::Error => tracing::Level::ERROR,
            LogLevel::Warn => tracing::Level::WARN,
            LogLevel::Info => tracing::Level::INFO,
            LogLevel::Debug => tracing::Level::DEBUG,
        };
        let builder =
            tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level).with_target(false);
        match form {
            LogForm::Text => builder.with_ansi(out::colour_on_stderr()).init(),
            LogForm::Json => builder.json().flatten_event(true).init(),
        }
    }
}
