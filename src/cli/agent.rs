//! `watchbell agent`: reads the logs of this machine and ships them to another Watchbell, or to CloudWatch Logs, until it is
//! told to stop.

use std::sync::Arc;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use watchbell_journal::RealDisk;

use super::file::File;
use super::up::{Log, Signal, Signals, allow_many_files};
use super::{Format, Global, say, written};
use crate::agent::{Checked, Running, Setup, To, check};
use crate::run::clock::{Clock, SystemClock};
use crate::{ExitStatus, Failure, out};

/// Ships until stopped.
#[derive(Args)]
#[command(
    after_help = "It reads [log_groups] with files, journald or syslog, [redaction] and [agent] of the file, and leaves the rest to\n\
                  watchbell up. With --to cloudwatch, region and endpoint are those of [aws], and credentials are found where every\n\
                  tool of AWS finds them.\n\n\
                  SIGTERM or Ctrl-C: ship what is in, for 10 s at most, and stop. SIGHUP: read the file, the token and the\n\
                  authority again.\n\nExamples:\n  watchbell agent --check                    would the other side take it?\n  \
                  watchbell agent -c /etc/watchbell.toml     ship to the Watchbell of [agent] until stopped\n  \
                  watchbell agent --to cloudwatch --check    are credentials and log groups there?\n  \
                  watchbell agent --to cloudwatch --fleet shop   ship to CloudWatch Logs, and publish how many bytes are read"
)]
pub(super) struct Options {
    /// Ask the other side whether it would take what this file reads, and ship nothing
    #[arg(long)]
    check: bool,
    /// Where to ship to; without it, to the Watchbell of [agent]
    #[arg(long, value_name = "PLACE")]
    to: Option<Place>,
    /// Publish how many bytes of logs are read, each minute, as a metric of this fleet
    #[arg(long, value_name = "NAME", requires = "to", value_parser = NonEmptyStringValueParser::new())]
    fleet: Option<String>,
    #[command(flatten)]
    log: Log,
}

/// A place, as it is written on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum Place {
    /// CloudWatch Logs
    Cloudwatch,
}

pub(super) fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let file = File::read(&global.config)?;
    let (plan, warnings) = file.plan()?;
    if let Some(warnings) = warnings {
        say(warnings.trim_end());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(ExitStatus::Unavailable, error))?;
    let to = match options.to {
        None => To::Watchbell,
        Some(Place::Cloudwatch) => To::CloudWatch { fleet: options.fleet.clone() },
    };
    if let (Some(Place::Cloudwatch), Some(agent)) = (options.to, &plan.agent) {
        say(&format!("note: --to cloudwatch goes before [agent]: nothing is shipped to {}", agent.to));
    }
    if options.check {
        return tell(global, &runtime.block_on(check(&plan, &to, SystemClock.now()))?);
    }
    options.log.start();
    allow_many_files();
    // Signals are caught before anything starts: one that comes early is not lost.
    let signals =
        runtime.block_on(async { Signals::new() }).map_err(|error| Failure::io("signals", &error))?;
    let setup = Setup { to, plan, clock: Arc::new(SystemClock), disk: Arc::new(RealDisk) };
    let running = Running::start(setup, runtime.handle())?;
    let outcome = runtime.block_on(ship(global, running, signals));
    // A read of a file system that hangs must not keep a process that has drained.
    runtime.shutdown_background();
    outcome
}

fn tell(global: &Global, checked: &Checked) -> Result<(), Failure> {
    let Checked { to, name, log_groups } = checked;
    written(match global.format {
        Format::Json => {
            let told = serde_json::json!({ "to": to, "name": name, "log_groups": log_groups });
            out::line(&told.to_string())
        }
        Format::Text => {
            let groups =
                if *log_groups == 1 { "1 log group".to_owned() } else { format!("{log_groups} log groups") };
            out::line(&format!("{to} takes what {name} reads: {groups}"))
        }
    })
}

async fn ship(global: &Global, mut running: Running, mut signals: Signals) -> Result<(), Failure> {
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::End => break,
                Signal::Reload => reload(global, &running),
            },
            failure = running.failed() => {
                // The disk has failed: what was read is safe, nothing more can be. Stop at once.
                tracing::error!(%failure, "stopping");
                return Err(failure);
            }
        }
    }
    tracing::info!("draining: shipping what is in");
    running.drain().await?;
    tracing::info!("stopped");
    Ok(())
}

fn reload(global: &Global, running: &Running) {
    let name = global.config.to_string_lossy();
    let plan = File::read(&global.config).and_then(|file| file.plan());
    match plan.and_then(|(plan, _)| running.reload(plan)) {
        Ok(()) => tracing::info!(file = %name, "reloaded"),
        Err(failure) => {
            if !failure.message.is_empty() {
                say(&failure.to_string());
            }
            tracing::error!(file = %name, "not reloaded, the file before stays in force");
        }
    }
}
