//! `watchbell sources`: what a running `watchbell up` follows, asked over HTTP.

use clap::Args;
use serde::Deserialize;
use watchbell_notify::visible;

use super::server::Place;
use super::table::aligned;
use super::{Format, Global, written};
use crate::replay::words;
use crate::run::agents::AgentReport;
use crate::run::sources::{SourceReport, SourceState};
use crate::{ExitStatus, Failure, out};

/// Shows the followed files.
#[derive(Args)]
#[command(after_help = "Examples:\n  watchbell sources                       every followed file\n  \
                        watchbell sources --log-group 'shop/*'  those of some log groups\n  \
                        watchbell sources --all --format json   also those that are gone, for programs\n  \
                        WATCHBELL_TOKEN=… watchbell sources     where tokens are configured\n\n\
                        READ = JOURNALED + DROPPED + SKIPPED once the journal has caught up; LOST was never read.\n\
                        It asks a running watchbell up at the http.listen of the file; a token's role must allow watchbell:GetStatus.")]
pub(super) struct Options {
    /// Only log groups with this name; * stands for any run of characters
    #[arg(long, value_name = "NAME")]
    log_group: Option<String>,
    /// Also those that are followed no longer
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Deserialize)]
struct Answer {
    sources: Vec<SourceReport>,
    #[serde(default)]
    agents: Vec<AgentReport>,
}

pub(super) fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let server = options.place.server(global)?;
    let answer: Answer = server.status_page("/sources")?;
    let wanted = options.log_group.as_deref().map(glob::Pattern::new).transpose();
    let wanted = wanted.map_err(|error| Failure::new(ExitStatus::Usage, format!("--log-group: {error}")))?;
    let mut sources = answer.sources;
    sources.retain(|source| {
        (options.all || source.state != SourceState::Gone)
            && wanted.as_ref().is_none_or(|wanted| wanted.matches(&source.log_group))
    });
    written(match global.format {
        Format::Json => {
            out::line(&serde_json::json!({ "sources": sources, "agents": answer.agents }).to_string())
        }
        Format::Text => out::text(&(table(&sources) + &agents(&answer.agents))),
    })
}

/// One row an agent; nothing without one.
fn agents(agents: &[AgentReport]) -> String {
    if agents.is_empty() {
        return String::new();
    }
    let mut rows =
        vec![["AGENT", "SEEN", "WAITING", "CLOCK", "SHOWS", "VERSION", "INSTALLATION"].map(str::to_owned)];
    for agent in agents {
        rows.push([
            visible(&agent.name),
            format!("{} ago", seconds(agent.silent_ms)),
            words::size(agent.waiting_bytes),
            clock(agent.clock_ahead_ms),
            visible(&agent.principal),
            visible(&agent.version),
            agent.agent.clone(),
        ]);
    }
    format!("\n{}", aligned(&rows))
}

fn seconds(ms: u64) -> String {
    words::duration(i64::try_from(ms / 1000 * 1000).unwrap_or(i64::MAX))
}

/// How far a clock is off; what is below a second may be the network.
fn clock(ahead_ms: i64) -> String {
    let off = seconds(ahead_ms.unsigned_abs());
    match ahead_ms {
        -999..=999 => "right".to_owned(),
        1000.. => format!("{off} ahead"),
        _ => format!("{off} behind"),
    }
}

/// One row a source.
fn table(sources: &[SourceReport]) -> String {
    let head =
        ["LOG GROUP", "STATE", "LAG", "BEHIND", "READ", "JOURNALED", "DROPPED", "SKIPPED", "LOST", "PATH"];
    let mut rows = vec![head.map(str::to_owned)];
    for source in sources {
        let losses = source.losses.values().sum::<u64>();
        let lost = source.lost_bytes.values().sum();
        let refused = source.refused.values().sum::<u64>();
        let refused = (refused > 0).then(|| format!("{refused} refused"));
        let notes: Vec<String> = source.reason.iter().map(|reason| visible(reason)).chain(refused).collect();
        rows.push([
            source.log_group.clone(),
            source.state.as_str().to_owned(),
            words::size(source.lag_bytes),
            seconds(source.lag_ms),
            words::size(source.read_bytes),
            words::size(source.journaled_bytes),
            words::size(source.dropped_bytes.values().sum()),
            words::size(source.skipped_bytes),
            // Not every loss has a known size.
            if losses == 0 { "none".to_owned() } else { format!("{losses} times, {}", words::size(lost)) },
            match notes.as_slice() {
                [] => visible(&source.path),
                notes => format!("{} ({})", visible(&source.path), notes.join("; ")),
            },
        ]);
    }
    aligned(&rows)
}
