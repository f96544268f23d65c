//! `watchbell backtest`: a replay held against other rules, against a budget, and drawn on a page.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use watchbell_notify::visible;

use super::file::File;
use super::lines::LinesOptions;
use super::replay::print_stories;
use super::{Format, Global, finding, say, written};
use crate::replay::{
    AlarmStory, Budget, Comparison, Difference, Night, Replay, Report, Spent, compare, stories, words,
};
use crate::{ExitStatus, Failure, out};

/// Replays old lines, and compares.
#[derive(Args)]
#[command(after_help = "A budget is the most stays in ALARM that may begin in any hour, day or week:\n  \
                        5/week        of all alarms together\n  each=2/day    of each alarm\n  NAME=1/hour   of one alarm\n\n\
                        Examples:\n  watchbell backtest --against old.toml           what do my new rules gain and lose?\n  \
                        watchbell backtest --budget 5/week --budget each=2/day\n  \
                        watchbell backtest --archive data/archive --since 2026-10-01 --report page.html\n  \
                        watchbell -c new.toml backtest --against watchbell.toml --format json\n\n\
                        Nothing is sent to anybody. Exit code 1 if a budget is exceeded. The timeline itself is what\n\
                        watchbell replay prints.")]
pub(super) struct Options {
    #[command(flatten)]
    lines: LinesOptions,
    /// Rules to compare with: stays in ALARM that are gained, lost or moved are listed
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// The most stays in ALARM; may be given several times
    #[arg(long, value_name = "[WHOSE=]N/UNIT")]
    budget: Vec<Budget>,
    /// Write a page with a chart of each alarm
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

pub(super) fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let (plan, warnings) = File::read(&global.config)?.plan()?;
    if let Some(warnings) = warnings {
        say(warnings.trim_end());
    }
    for name in options.budget.iter().filter_map(Budget::alarm) {
        if !plan.alarms.contains_key(name) {
            let known: Vec<&str> = plan.alarms.keys().map(String::as_str).collect();
            let failure =
                Failure::new(ExitStatus::Usage, format!("--budget: the plan has no alarm \"{name}\""));
            return Err(failure.help(format!("known: {}", known.join(", "))));
        }
    }
    let mut plans = vec![plan];
    if let Some(path) = &options.against {
        let file =
            File::read(path).map_err(|failure| failure.help("--against names another watchbell.toml"))?;
        plans.push(file.plan()?.0);
    }
    let night = Night::of(options.lines.zone()?);
    let (replayed, replays) = options.lines.replay(&plans, options.report.is_some())?;
    let story_of = |(plan, replay): (&watchbell_model::Plan, &Replay)| {
        stories(plan.alarms.keys().map(String::as_str), replay.changes(), replayed.until, &night)
    };
    let all: Vec<Vec<AlarmStory>> = plans.iter().zip(&replays).map(story_of).collect();
    let (new, old) = (&all[0], all.get(1));
    let comparison = old.map(|old| compare(old, new));
    let spent: Vec<Spent> = options.budget.iter().flat_map(|budget| budget.spent(new)).collect();
    let against = options.against.as_ref().map(|path| path.to_string_lossy().into_owned());
    if let Some(path) = &options.report {
        let against = against.as_deref().zip(old).zip(comparison.as_ref());
        let report = Report {
            plan: &plans[0],
            replayed: &replayed,
            replay: &replays[0],
            stories: new,
            against: against.map(|((file, old), comparison)| (file, old.as_slice(), comparison)),
            spent: &spent,
        };
        std::fs::write(path, report.html()).map_err(|error| Failure::io(path.display(), &error))?;
    }
    match global.format {
        Format::Json => {
            let report = json!({
                "from": replayed.from.to_string(), "until": replayed.until.to_string(),
                "lines": replayed.lines, "bytes": replayed.bytes,
                "changes": replays[0].changes(), "alarms": new,
                "against": comparison, "budgets": spent,
            });
            written(out::line(&report.to_string()))?;
        }
        Format::Text => written(out::buffered(|out| {
            print_stories(out, &replayed, new)?;
            if let (Some(file), Some(comparison)) = (&against, &comparison) {
                print_comparison(out, file, comparison, out::colour())?;
            }
            print_spent(out, &spent, out::colour())
        }))?,
    }
    if spent.iter().any(|spent| spent.exceeded) { Err(finding()) } else { Ok(()) }
}

fn print_comparison(
    out: &mut dyn Write,
    file: &str,
    comparison: &Comparison,
    colour: bool,
) -> io::Result<()> {
    writeln!(out, "\nagainst {}: {}", visible(file), words::comparison(comparison))?;
    for difference in &comparison.differences {
        let at = words::time(difference.at());
        let (mark, code, alarm, what) = match difference {
            Difference::Gained { alarm, new } => ("+", "32", alarm, format!("gained  {}", new.summary)),
            Difference::Lost { alarm, old } => ("-", "31", alarm, format!("lost    {}", old.summary)),
            Difference::Moved { alarm, old, new } => {
                ("~", "33", alarm, format!("moved   {}", words::moved(old, new)))
            }
        };
        let mark = if colour { format!("\x1b[{code}m{mark}\x1b[0m") } else { mark.to_owned() };
        writeln!(out, "{mark} {at}  {}  {what}", visible(alarm))?;
    }
    Ok(())
}

fn print_spent(out: &mut dyn Write, spent: &[Spent], colour: bool) -> io::Result<()> {
    if !spent.is_empty() {
        writeln!(out)?;
    }
    for Spent { budget, whose, most, from, exceeded } in spent {
        let verdict = match (exceeded, colour) {
            (true, true) => "\x1b[1;31mexceeded\x1b[0m",
            (true, false) => "exceeded",
            (false, _) => "kept",
        };
        let worst = from.map(|from| format!(", from {} on", words::time(from))).unwrap_or_default();
        writeln!(out, "budget {} {verdict}: {} {most}{worst}", visible(budget), visible(whose))?;
    }
    Ok(())
}
