//! `watchbell replay`: what the alarms would have done over old lines.

use std::io::{self, Write};

use clap::Args;
use serde_json::json;
use watchbell_model::{AlarmState, Timestamp};
use watchbell_notify::visible_cut;

use super::file::File;
use super::lines::LinesOptions;
use super::{Format, Global, written};
use crate::replay::words::{duration, time};
use crate::replay::{AlarmStory, Change, Night, Replayed, stories};
use crate::{Failure, out};

/// How much of a line is shown, in characters.
const LINE_WIDTH: usize = 160;

/// Shows what the alarms of the plan would have done over old lines.
#[derive(Args)]
#[command(
    after_help = "Each line arrives at the time that it says; a line without one at the time of the line before.\n\n\
                        Examples:\n  watchbell replay                                    every file that watchbell.toml names\n  \
                        watchbell replay shop/access=access.log.1           one file, as that log group\n  \
                        watchbell replay --archive data/archive --since 2026-11-01 --zone Europe/Berlin\n  \
                        watchbell replay app.log --rate 50/s                lines without times, spread evenly\n  \
                        watchbell replay --format json | jq '.alarms[]'\n\n\
                        Nothing is sent to anybody, and nothing is written."
)]
pub(super) struct Options {
    #[command(flatten)]
    lines: LinesOptions,
    /// Show every change of state, not only those into and out of ALARM
    #[arg(long)]
    all: bool,
}

pub(super) fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let (plan, warnings) = File::read(&global.config)?.plan()?;
    if let Some(warnings) = warnings {
        super::say(warnings.trim_end());
    }
    let night = Night::of(options.lines.zone()?);
    let alarms: Vec<String> = plan.alarms.keys().cloned().collect();
    let (replayed, replays) = options.lines.replay(&[plan], false)?;
    let all = replays[0].changes();
    let stories = stories(alarms.iter().map(String::as_str), all, replayed.until, &night);
    let is_shown = |change: &&Change| options.all || change.released || change.is_about_alarm();
    let shown: Vec<&Change> = all.iter().filter(is_shown).collect();
    match global.format {
        Format::Json => {
            let report = json!({
                "from": replayed.from.to_string(), "until": replayed.until.to_string(), "lines": replayed.lines, "bytes": replayed.bytes,
                "changes": shown, "alarms": stories,
            });
            written(out::line(&report.to_string()))
        }
        Format::Text => {
            let colour = out::colour();
            written(out::buffered(|out| {
                shown.iter().try_for_each(|change| print_change(out, change, colour))?;
                if !shown.is_empty() {
                    writeln!(out)?;
                }
                print_stories(out, &replayed, &stories)
            }))
        }
    }
}

/// A state in its colour.
pub(super) fn painted(state: AlarmState, colour: bool) -> String {
    let code = match state {
        AlarmState::Alarm => "1;31",
        AlarmState::Ok => "1;32",
        AlarmState::InsufficientData => "1;33",
    };
    if colour { format!("\x1b[{code}m{state}\x1b[0m") } else { state.to_string() }
}

fn print_change(out: &mut dyn Write, change: &Change, colour: bool) -> io::Result<()> {
    let (at, title) = (time(change.at), visible_cut(&change.title(), LINE_WIDTH));
    let (from, to) = (painted(change.from, colour), painted(change.to, colour));
    if change.released {
        writeln!(out, "{at}  {title}  {to}, told only now")?;
        return writeln!(out, "  tells  {}", change.told.join(", "));
    }
    let flags = [(change.early, ", early"), (change.late, ", late")];
    let flags: String = flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).collect();
    writeln!(out, "{at}  {title}  {from} -> {to}{flags}")?;
    writeln!(out, "  {}", change.summary)?;
    writeln!(out, "  {}", change.reason)?;
    if let Some(line) = &change.first_line {
        writeln!(out, "  first  {}", visible_cut(&line.text, LINE_WIDTH))?;
    }
    if !change.told.is_empty() {
        writeln!(out, "  tells  {}", change.told.join(", "))?;
    }
    if let Some(by) = &change.held_back_by {
        writeln!(out, "  waits  held back by {by}")?;
    }
    Ok(())
}

/// What became of each alarm.
pub(super) fn print_stories(
    out: &mut dyn Write,
    replayed: &Replayed,
    stories: &[AlarmStory],
) -> io::Result<()> {
    let length = duration(replayed.until.ms_since(replayed.from));
    writeln!(
        out,
        "{} lines from {} to {} ({length})",
        replayed.lines,
        time(replayed.from),
        time(replayed.until)
    )?;
    if stories.is_empty() {
        return writeln!(out, "the plan has no alarm");
    }
    let heads = ["alarm", "times", "in ALARM", "longest", "at night", "messages"].map(str::to_owned);
    let rows = stories.iter().map(|story| row(story, replayed.until));
    print_table(out, std::iter::once(heads).chain(rows).collect())
}

fn row(story: &AlarmStory, end: Timestamp) -> [String; 6] {
    let length_ms = |from: Timestamp, until: Option<Timestamp>| until.unwrap_or(end).ms_since(from).max(0);
    let longest = story.episodes.iter().map(|it| length_ms(it.from, it.until)).max();
    let times = story.episodes.len();
    let messages = story.messages.iter().map(|(to, count)| format!("{count} to {to}"));
    let dash = || "-".to_owned();
    [
        visible_cut(&story.alarm, LINE_WIDTH),
        times.to_string(),
        if times == 0 { dash() } else { duration(story.in_alarm_ms) },
        longest.map_or_else(dash, duration),
        if times == 0 { dash() } else { format!("{} of {times}", story.began_at_night) },
        if story.messages.is_empty() { dash() } else { messages.collect::<Vec<_>>().join(", ") },
    ]
}

/// Columns as wide as their widest cell.
fn print_table<const N: usize>(out: &mut dyn Write, rows: Vec<[String; N]>) -> io::Result<()> {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}
