//! A whole replay: all lines of some sources, shown to one or more plans at once.

use watchbell_model::{Plan, Timestamp};

use super::fold::decided_at;
use super::merge::Walk;
use super::{GRAIN_MS, Line, Merge, Replay, Source};
use crate::{ExitStatus, Failure};

/// The time that is replayed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    /// Lines that arrive before this are left out.
    pub since: Option<Timestamp>,
    /// Lines that arrive at this or later are left out.
    pub until: Option<Timestamp>,
}

/// What was replayed.
#[derive(Clone, Copy, Debug)]
pub struct Replayed {
    /// When the plans came into force: the window's beginning, or the first line.
    pub from: Timestamp,
    /// The window's end, or the last line.
    pub until: Timestamp,
    /// Lines that were shown.
    pub lines: u64,
    /// Bytes of their text, line ends included.
    pub bytes: u64,
}

/// Shows every line of `sources` in `window` to a replay of each of `plans`; `progress` is told how many bytes have
/// been read.
///
/// At the end every slot is decided that a line can be in, and no later one.
///
/// # Errors
/// What reading fails with; a window without lines.
pub fn run(
    plans: &[Plan],
    sources: Vec<Source>,
    window: Window,
    with_datapoints: bool,
    mut progress: impl FnMut(u64),
) -> Result<(Replayed, Vec<Replay>), Failure> {
    let mut replays: Vec<Replay> = Vec::new();
    let mut replayed: Option<Replayed> = None;
    Merge::new(sources).walk(|line, read_bytes| {
        if window.until.is_some_and(|until| line.arrival >= until) {
            return Ok(Walk::Stop);
        }
        if window.since.is_some_and(|since| line.arrival < since) {
            return Ok(Walk::On);
        }
        let seen = replayed.get_or_insert_with(|| Replayed {
            from: window.since.unwrap_or(line.arrival),
            until: line.arrival,
            lines: 0,
            bytes: 0,
        });
        if replays.is_empty() {
            replays = start_all(plans, seen.from, with_datapoints)?;
        }
        seen.until = line.arrival;
        seen.lines += 1;
        seen.bytes += line.text.len() as u64 + 1;
        if seen.lines.is_multiple_of(PROGRESS_EVERY_LINES) {
            progress(read_bytes);
        }
        replays.iter_mut().try_for_each(|replay| push(replay, line))?;
        Ok(Walk::On)
    })?;
    let Some(mut replayed) = replayed else { return Err(no_lines()) };
    replayed.until = window.until.unwrap_or(replayed.until);
    for (replay, plan) in replays.iter_mut().zip(plans) {
        let end = window.until.unwrap_or_else(|| decided_at(plan, replayed.until));
        replay.advance(end).map_err(|error| Failure::new(ExitStatus::Configuration, error))?;
    }
    Ok((replayed, replays))
}

/// How often progress is told.
const PROGRESS_EVERY_LINES: u64 = 4096;

fn start_all(plans: &[Plan], from: Timestamp, with_datapoints: bool) -> Result<Vec<Replay>, Failure> {
    let start = |plan: &Plan| {
        let replay = Replay::start(plan.clone(), from, GRAIN_MS);
        replay.map(|replay| if with_datapoints { replay.with_datapoints() } else { replay })
    };
    plans
        .iter()
        .map(start)
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::new(ExitStatus::Configuration, error))
}

fn push(replay: &mut Replay, line: &Line<'_>) -> Result<(), Failure> {
    replay.push(line).map_err(|error| Failure::new(ExitStatus::Configuration, error))
}

fn no_lines() -> Failure {
    Failure::new(ExitStatus::InputOutput, "there is no line to replay")
        .help("name files, or choose another time: --since, --until and --at leave lines out")
}
