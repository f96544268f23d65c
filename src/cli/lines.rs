//! Which lines `replay` and `backtest` read: files, or the archive, and what part of time.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use watchbell_intake::Redactor;
use watchbell_model::{GroupName, Plan, Timestamp};

use super::say;
use crate::replay::{
    LinesWithoutTime, Opening, Replay, Replayed, Source, Window, objects, open_all, run as replay_all, words,
};
use crate::run::clock::{Clock, SystemClock};
use crate::run::collector::is_compressed_name;
use crate::{ExitStatus, Failure};

/// When lines without a time begin, if nothing else is said: 2000-01-01T00:00:00Z.
const SPREAD_START: Timestamp = Timestamp(946_684_800_000);

/// Which lines to read.
#[derive(Args, Clone)]
pub(super) struct LinesOptions {
    /// Files to read, as FILE or LOG-GROUP=FILE; without any, `explain` reads the journal, others the files of the plan's log groups
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The log group that files without one of their own belong to
    #[arg(long, value_name = "NAME")]
    log_group: Option<String>,
    /// Read the archive in this folder, not files
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["files", "log_group", "rate"])]
    archive: Option<PathBuf>,
    /// Leave out lines before this: 2026-11-22, 2026-11-22T21:11 or 2026-11-22T21:11:52Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Leave out lines at this time and later
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The time zone of nights, and of times without one: an IANA name
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: String,
    /// Spread the lines of files without times evenly, so many in a second
    #[arg(long, value_name = "N/s", value_parser = rate)]
    rate: Option<u64>,
}

fn rate(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text).parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "write a whole number of lines in a second, as 10/s".to_owned())
}

impl LinesOptions {
    /// The time zone.
    pub(super) fn zone(&self) -> Result<TimeZone, Failure> {
        TimeZone::get(&self.zone).map_err(|_| {
            let failure = Failure::new(ExitStatus::Usage, format!("unknown time zone \"{}\"", self.zone));
            failure.help("write an IANA name, such as Europe/Berlin or UTC")
        })
    }

    /// Whether lines are named: files, or an archive.
    pub(super) fn are_named(&self) -> bool {
        !self.files.is_empty() || self.archive.is_some()
    }

    /// The same lines, but none at `until` and later.
    pub(super) fn ending_at(self, until: Option<String>) -> LinesOptions {
        LinesOptions { until: until.or(self.until), ..self }
    }

    /// An instant as it is written on the command line.
    pub(super) fn instant(&self, option: &str, text: &str) -> Result<Timestamp, Failure> {
        instant(option, text, &self.zone()?)
    }

    fn window(&self) -> Result<Window, Failure> {
        let zone = self.zone()?;
        let read = |name: &str, text: &Option<String>| {
            let instant = |text: &String| instant(name, text, &zone);
            text.as_ref().map(instant).transpose()
        };
        let window = Window { since: read("--since", &self.since)?, until: read("--until", &self.until)? };
        match window {
            Window { since: Some(since), until: Some(until) } if since >= until => {
                Err(Failure::new(ExitStatus::Usage, "--since is not before --until"))
            }
            _ => Ok(window),
        }
    }

    /// Replays all lines under each of `plans`; which files belong to which log group, and how lines are read, is said
    /// by the first.
    pub(super) fn replay(
        &self,
        plans: &[Plan],
        with_datapoints: bool,
    ) -> Result<(Replayed, Vec<Replay>), Failure> {
        let window = self.window()?;
        let sources = self.sources(&plans[0], window)?;
        let bar = Bar::new(sources.iter().map(Source::bytes).sum());
        let clock = SystemClock;
        let started = clock.now();
        let outcome = replay_all(plans, sources, window, with_datapoints, |read| bar.0.set_position(read));
        bar.0.finish_and_clear();
        let (replayed, replays) = outcome?;
        if io::stderr().is_terminal() {
            say(&speed(&replayed, clock.now().ms_since(started)));
        }
        for note in notes(&replays[0]) {
            say(&note);
        }
        Ok((replayed, replays))
    }

    fn sources(&self, plan: &Plan, window: Window) -> Result<Vec<Source>, Failure> {
        if let Some(folder) = &self.archive {
            return objects(folder, window.since, window.until);
        }
        let chosen = if self.files.is_empty() { self.files_of_plan(plan)? } else { self.files_named(plan)? };
        let start = window.since.unwrap_or(SPREAD_START);
        let opening = Opening {
            without_time: self.rate.map(|per_second| LinesWithoutTime { start, per_second }),
            written: window.until,
        };
        let files = chosen.iter().map(|(name, path)| (name, &plan.log_groups[name], path.as_path()));
        // Patterns see lines as they would be stored, but for secrets, which no replay reads.
        let redactor = Redactor::new(&plan.redaction, &[]).expect("the plan was checked");
        open_all(files, opening, &Arc::new(redactor))
    }

    fn files_of_plan(&self, plan: &Plan) -> Result<Vec<(GroupName, PathBuf)>, Failure> {
        let only = self.log_group.as_deref().map(|name| group(plan, name)).transpose()?;
        let mut chosen = Vec::new();
        for (name, group) in
            plan.log_groups.iter().filter(|(name, _)| only.as_ref().is_none_or(|it| it == *name))
        {
            let matching = group.files.iter().flat_map(|pattern| glob::glob(pattern).into_iter().flatten());
            for path in matching {
                let path = path.map_err(|error| Failure::io(error.path().display(), error.error()))?;
                if path.is_file()
                    && !is_compressed_name(&path)
                    && !chosen.iter().any(|(of, known)| (of, known) == (name, &path))
                {
                    chosen.push((name.clone(), path));
                }
            }
        }
        if chosen.is_empty() {
            let failure = Failure::new(ExitStatus::InputOutput, "no file matches the log groups of the plan");
            return Err(
                failure.help("name files: watchbell replay LOG-GROUP=FILE…, or an archive: --archive FOLDER")
            );
        }
        Ok(chosen)
    }

    fn files_named(&self, plan: &Plan) -> Result<Vec<(GroupName, PathBuf)>, Failure> {
        let default = self.log_group.as_deref().map(|name| group(plan, name)).transpose()?;
        let of = |path: &PathBuf| {
            let with_group = path.to_str().and_then(|text| text.split_once('='));
            if let Some((name, file)) = with_group
                && plan.log_groups.contains_key(name)
            {
                return Ok((group(plan, name)?, PathBuf::from(file)));
            }
            if let Some((name, file)) = with_group
                && !path.exists()
                && Path::new(file).exists()
            {
                return Err(group(plan, name).expect_err("it is not in the plan"));
            }
            let found = default.clone().or_else(|| the_only(plan)).or_else(|| by_glob(plan, path));
            found.map(|name| (name, path.clone())).ok_or_else(|| {
                let message = format!("{}: belongs to no log group", path.display());
                let help = format!("write LOG-GROUP=FILE or --log-group NAME; known: {}", known(plan));
                Failure::new(ExitStatus::Usage, message).help(help)
            })
        };
        self.files.iter().map(of).collect()
    }
}

fn group(plan: &Plan, name: &str) -> Result<GroupName, Failure> {
    plan.log_groups.get_key_value(name).map(|(name, _)| name.clone()).ok_or_else(|| {
        let failure = Failure::new(ExitStatus::Usage, format!("the plan has no log group \"{name}\""));
        failure.help(format!("known: {}", known(plan)))
    })
}

fn known(plan: &Plan) -> String {
    plan.log_groups.keys().map(GroupName::as_str).collect::<Vec<_>>().join(", ")
}

fn the_only(plan: &Plan) -> Option<GroupName> {
    let mut names = plan.log_groups.keys();
    names.next().filter(|_| names.next().is_none()).cloned()
}

/// The one log group whose globs match `path`.
fn by_glob(plan: &Plan, path: &Path) -> Option<GroupName> {
    let path = std::path::absolute(path).ok()?;
    let matches = |pattern: &String| glob::Pattern::new(pattern).is_ok_and(|it| it.matches_path(&path));
    let mut groups = plan.log_groups.iter().filter(|(_, group)| group.files.iter().any(matches));
    groups.next().filter(|_| groups.next().is_none()).map(|(name, _)| name.clone())
}

/// An instant; what has no zone is on the clocks of `zone`.
fn instant(option: &str, text: &str, zone: &TimeZone) -> Result<Timestamp, Failure> {
    let absolute = text.parse::<jiff::Timestamp>().ok();
    let on_clocks = || {
        let civil =
            text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|date| date.at(0, 0, 0, 0)));
        zone.to_timestamp(civil.ok()?).ok()
    };
    absolute.or_else(on_clocks).map(|found| Timestamp(found.as_millisecond())).ok_or_else(|| {
        let failure = Failure::new(ExitStatus::Usage, format!("{option} is no time: \"{text}\""));
        failure.help("write 2026-11-22, 2026-11-22T21:11 or 2026-11-22T21:11:52Z")
    })
}

/// A bar on a terminal, nothing elsewhere.
struct Bar(ProgressBar);

impl Bar {
    fn new(bytes: u64) -> Bar {
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        let shape = "{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
        Bar(bar.with_style(ProgressStyle::with_template(shape).expect("a template that is always the same")))
    }
}

/// `12000 lines, 1.1 MB over 3 d 2 h in 0.4 s: 2.8 MB/s, 600000 × real time`
fn speed(replayed: &Replayed, elapsed_ms: i64) -> String {
    let elapsed_ms = elapsed_ms.max(1);
    let span_ms = replayed.until.ms_since(replayed.from);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (megabytes, seconds) = (replayed.bytes as f64 / 1e6, elapsed_ms as f64 / 1000.0);
    format!(
        "{} lines, {megabytes:.1} MB over {} in {seconds:.1} s: {:.1} MB/s, {} × real time",
        replayed.lines,
        words::duration(span_ms),
        megabytes / seconds,
        span_ms / elapsed_ms
    )
}

/// What was read and could not count.
fn notes(replay: &Replay) -> Vec<String> {
    let mut notes: Vec<String> = replay.warnings().map(|warning| format!("note: {warning}")).collect();
    for (name, counters) in &replay.counters().groups {
        if counters.too_old > 0 {
            notes.push(format!(
                "note: {} of {} lines of {name} are older than every evaluation range when they come; no alarm sees them",
                counters.too_old, counters.events
            ));
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_without_a_zone_are_on_the_clocks_of_the_zone() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let at = |text: &str| instant("--since", text, &berlin).unwrap().to_string();
        assert_eq!(at("2026-11-22"), "2026-11-21T23:00:00.000Z");
        assert_eq!(at("2026-07-01T12:30"), "2026-07-01T10:30:00.000Z");
        assert_eq!(at("2026-07-01 12:30:01"), "2026-07-01T10:30:01.000Z");
        assert_eq!(at("2026-07-01T12:30:00Z"), "2026-07-01T12:30:00.000Z");
        assert!(instant("--since", "soon", &berlin).is_err());
    }

    #[test]
    fn a_rate_is_a_whole_number_in_a_second() {
        assert_eq!((rate("10/s"), rate("7")), (Ok(10), Ok(7)));
        assert!(rate("0/s").is_err() && rate("fast").is_err() && rate("1/m").is_err());
    }
}
