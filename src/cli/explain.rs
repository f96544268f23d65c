//! `watchbell explain`: why an alarm was in its state, and why it was not in another.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};
use watchbell_engine::{Basis, Decider, Engine, Explanation, Instead, MetricBasis};
use watchbell_journal::{Disk, JournalError, Reader, RealDisk};
use watchbell_model::{
    AlarmState, Comparison, Dimensions, Entry, InstallationId, MatchedLine, Offset, Record, SuppressedBy,
    Timestamp, Transition, TreatMissingData,
};
use watchbell_notify::{visible, visible_cut};

use super::file::File;
use super::journal::Where;
use super::kept::Kept;
use super::lines::LinesOptions;
use super::replay::painted;
use super::{Format, Global, written};
use crate::replay::words::{number, time};
use crate::run::clock::{Clock, SystemClock};
use crate::run::data_folder::{decode, folded_by, journal_failure};
use crate::run::records::{self, DECISIONS};
use crate::{ExitStatus, Failure, out};

/// How much of a line is shown, in characters.
const LINE_WIDTH: usize = 160;
/// Columns of a label.
const LABEL_WIDTH: usize = 13;
/// A running `watchbell up` writes more often than this, in milliseconds, as long as any alarm looks at anything.
const SILENCE_MS: i64 = 2 * 60 * 1000;
/// How far back changes of state are told, in milliseconds: as long as CloudWatch keeps an alarm's history.
const HISTORY_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// How many of them, the newest, are told as text.
const HISTORY_SHOWN: usize = 10;
/// How many of an alarm's many states are explained one by one; the others are counted.
const STATES_SHOWN: usize = 10;

/// Says why an alarm was in its state: lines, datapoints, what decided, and what would have changed it.
#[derive(Args)]
#[command(
    after_help = "It folds the journal up to the time again, so it tells what was known then. With files or an archive it \
                  replays those instead, as watchbell replay does.\n\n\
                  Examples:\n  watchbell explain http-5xx-burst\n  \
                  watchbell explain http-5xx-burst --at 2026-11-22T21:12:30Z\n  \
                  watchbell explain brute-force --each ip=203.0.113.7 --at 2026-11-22T21:12:30Z\n  \
                  watchbell explain http-5xx-burst --at 2026-11-22T21:12 shop/access=access.log.1\n\n\
                  Without --at it is the present, or the end of the lines. Times without a zone are those of --zone."
)]
pub(super) struct Options {
    /// The alarm's name
    alarm: String,
    /// When: 2026-11-22, 2026-11-22T21:11 or 2026-11-22T21:11:52Z
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Which of an alarm's many states, as ip=203.0.113.7; by default those in ALARM, or the newest
    #[arg(long, value_name = "NAME=VALUE", value_parser = dimension)]
    each: Vec<(String, String)>,
    #[command(flatten)]
    lines: LinesOptions,
    #[command(flatten)]
    data: Where,
}

fn dimension(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    pair.ok_or_else(|| "write a dimension and its value, as ip=203.0.113.7".to_owned())
}

/// What is known at a time.
struct Known {
    at: Timestamp,
    /// When the last entry was written.
    last: Timestamp,
    engine: Engine,
    /// Changes of the alarm's state in the days before, oldest first.
    history: Vec<Transition>,
}

pub(super) fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let is_asked = |transition: &Transition| transition.alarm == options.alarm;
    if options.lines.are_named() {
        let (plan, _) = File::read(&global.config)?.plan()?;
        options.at.as_ref().map(|text| options.lines.instant("--at", text)).transpose()?;
        let lines = options.lines.clone().ending_at(options.at.clone());
        let (replayed, mut replays) = lines.replay(&[plan], false)?;
        let replay = replays.remove(0);
        return tell(global, options, replay.engine(), &[], replayed.until);
    }
    let now = SystemClock.now();
    let at = options.at.as_ref().map(|text| options.lines.instant("--at", text)).transpose()?.unwrap_or(now);
    if at > now {
        let failure = Failure::new(ExitStatus::Usage, format!("--at lies in the future: {}", time(at)));
        return Err(failure.help("write a time that has passed, or leave it out for the present"));
    }
    let known = match know(global, &options.data, at, &is_asked)? {
        Found::Known(known) => known,
        Found::Decided(history) => return tell_decided(global, options, &history, at),
    };
    if at.ms_since(known.last) > SILENCE_MS {
        let last = time(known.last);
        super::say(&format!(
            "the journal ends at {last}; from there on this is what would hold if nothing came"
        ));
    }
    tell(global, options, &known.engine, &known.history, known.at)
}

/// What is known at `at`: the journal folded up to then, from its beginning or from the newest snapshot before.
fn know(
    global: &Global,
    data: &Where,
    at: Timestamp,
    is_asked: &dyn Fn(&Transition) -> bool,
) -> Result<Found, Failure> {
    loop {
        match fold(global, data, at, is_asked) {
            Ok(found) => return Ok(found),
            // The oldest part went while it was read.
            Err(Trouble::Journal(JournalError::BeforeFirst { .. })) => {}
            Err(Trouble::Journal(error)) => return Err(journal_failure(error)),
            Err(Trouble::Failed(failure)) => return Err(failure),
        }
    }
}

/// What there is to tell.
enum Found {
    Known(Box<Known>),
    /// No snapshot of that time is kept, or the journal after it has gone: what was decided, oldest first.
    Decided(Vec<Transition>),
}

enum Trouble {
    Journal(JournalError),
    Failed(Failure),
}

impl From<JournalError> for Trouble {
    fn from(error: JournalError) -> Trouble {
        Trouble::Journal(error)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        Trouble::Failed(failure)
    }
}

fn fold(
    global: &Global,
    data: &Where,
    at: Timestamp,
    is_asked: &dyn Fn(&Transition) -> bool,
) -> Result<Found, Trouble> {
    let folder = data.journal(global)?.folder;
    let mut reader = Reader::open_oldest(&(Arc::new(RealDisk) as Arc<dyn Disk>), &folder)?;
    let oldest = Offset(reader.next_offset());
    let mut first = reader.next()?;
    let recent = |it: &Transition| is_asked(it) && it.at <= at && at.ms_since(it.at) <= HISTORY_MS;
    let mut history: Vec<Transition> = Vec::new();
    let (mut engine, mut next) =
        (Engine::new(InstallationId(reader.installation().unwrap_or_default())), Offset(0));
    if oldest > Offset(0) {
        history = decided_before(global, data, oldest, &recent)?;
        let base = folded_by(&data.data_dir(global)?, at)?.filter(|base| base.next >= oldest);
        let Some(base) = base else {
            while let Some(entry) = first.take().map_or_else(|| reader.next(), |entry| Ok(Some(entry)))? {
                history.extend(transitions(&decode(&entry)?).filter(|it| recent(it)).cloned());
            }
            return Ok(Found::Decided(history));
        };
        (engine, next) = (base.engine, base.next);
    }
    let mut last = at;
    let cannot = |offset: Offset, error| {
        Failure::new(ExitStatus::InputOutput, format!("journal entry {offset}: {error}"))
    };
    while let Some(entry) = first.take().map_or_else(|| reader.next(), |entry| Ok(Some(entry)))? {
        let record = decode(&entry)?;
        if record.time > at {
            break;
        }
        history.extend(transitions(&record).filter(|it| recent(it)).cloned());
        if record.offset >= next {
            engine.step(&record).map_err(|error| cannot(record.offset, error))?;
            next = record.offset.next();
        }
        last = record.time;
    }
    // What would have been decided by then, had a tick come.
    let tick = Record { offset: next, time: at.plus_ms(1), entry: Entry::Tick };
    engine.step(&tick).map_err(|error| cannot(next, error))?;
    // Among them what a running `up` has decided and not journaled yet.
    let decided = engine.unconfirmed();
    let changes = decided.iter().flat_map(|decisions| &decisions.items).filter_map(|item| item.transition());
    history.extend(changes.filter(|it| is_asked(it)).cloned());
    Ok(Found::Known(Box::new(Known { at, last, engine, history })))
}

fn transitions(record: &Record) -> impl Iterator<Item = &Transition> {
    let items = match &record.entry {
        Entry::Decisions(decisions) => decisions.items.as_slice(),
        _ => &[],
    };
    items.iter().filter_map(|item| item.transition())
}

/// The transitions of entries that the journal has let go.
fn decided_before(
    global: &Global,
    data: &Where,
    oldest: Offset,
    is_asked: &dyn Fn(&Transition) -> bool,
) -> Result<Vec<Transition>, Failure> {
    let mut found = Vec::new();
    Kept::open(global, data)?.each(DECISIONS, (Offset(0), oldest), |event| {
        if event.stream == "decisions" {
            let kept = records::decision(&event.message).map_err(|error| {
                let message = format!("archived event {} is no decision: {error}", event.event_id);
                Failure::new(ExitStatus::InputOutput, message)
            })?;
            found.extend(kept.decision.transition().filter(|it| is_asked(it)).cloned());
        }
        Ok(true)
    })?;
    Ok(found)
}

fn tell(
    global: &Global,
    options: &Options,
    engine: &Engine,
    history: &[Transition],
    at: Timestamp,
) -> Result<(), Failure> {
    let chosen = choose(engine, options)?;
    let explanations: Vec<Explanation> =
        chosen.shown.iter().filter_map(|dimensions| engine.explain(&options.alarm, dimensions, at)).collect();
    let notes = notes(engine);
    match global.format {
        Format::Json => {
            let history: Vec<Value> = history.iter().map(change).collect();
            let answer = json!({
                "at": at.to_string(), "states": explanations, "more_states": chosen.more, "notes": notes, "history": history,
            });
            written(out::line(&answer.to_string()))
        }
        Format::Text => {
            let mut text = String::new();
            for explanation in &explanations {
                text.push_str(&told(explanation, out::colour()));
                text.push('\n');
            }
            if chosen.more > 0 {
                writeln!(text, "and {} more states; choose one with --each NAME=VALUE\n", chosen.more)
                    .expect(STRING);
            }
            for note in notes {
                fact(&mut text, "note", &[note]);
            }
            fact(&mut text, "history", &shown(history));
            written(out::line(text.trim_end()))
        }
    }
}

/// What was decided by `at`, where nothing can be folded any more.
fn tell_decided(
    global: &Global,
    options: &Options,
    history: &[Transition],
    at: Timestamp,
) -> Result<(), Failure> {
    let wanted: Dimensions = options.each.iter().cloned().collect();
    let is_wanted =
        |it: &&Transition| wanted.iter().all(|(name, value)| it.dimensions.get(name) == Some(value));
    let newest: BTreeMap<&Dimensions, &Transition> =
        history.iter().filter(is_wanted).map(|it| (&it.dimensions, it)).collect();
    let note = "that is before the part of the journal that can still be folded: metrics are not known any more, only \
                what was decided";
    if newest.is_empty() {
        let message = format!("no change of alarm \"{}\" is known by {}", options.alarm, time(at));
        return Err(Failure::new(ExitStatus::Usage, message).help(note));
    }
    if global.format == Format::Json {
        let states: Vec<Value> = newest.values().map(|it| json!(it)).collect();
        let history: Vec<Value> = history.iter().map(change).collect();
        let answer = json!({ "at": at.to_string(), "decided": states, "notes": [note], "history": history });
        return written(out::line(&answer.to_string()));
    }
    let mut text = String::new();
    for it in newest.values().take(STATES_SHOWN) {
        let (name, which) = (visible(&it.alarm), which(&it.dimensions));
        let told = if it.notify.is_empty() { "" } else { ", told" };
        let state = painted(it.to, out::colour());
        writeln!(text, "{name}{which} was in {state} since {}{told}", time(it.at)).expect(STRING);
        fact(&mut text, "reason", std::slice::from_ref(&it.reason));
        let lines = it.first_lines.iter().chain(&it.last_lines);
        let lines: Vec<String> = lines
            .map(|line| format!("{}  {}", time(line.timestamp), visible_cut(&line.message, LINE_WIDTH)))
            .collect();
        fact(&mut text, "lines", &lines);
        text.push('\n');
    }
    if newest.len() > STATES_SHOWN {
        writeln!(
            text,
            "and {} more states; choose one with --each NAME=VALUE\n",
            newest.len() - STATES_SHOWN
        )
        .expect(STRING);
    }
    fact(&mut text, "note", &[note.to_owned()]);
    fact(&mut text, "history", &shown(history));
    written(out::line(text.trim_end()))
}

/// The newest changes, a line each.
fn shown(history: &[Transition]) -> Vec<String> {
    let older = history.len().saturating_sub(HISTORY_SHOWN);
    let mut lines: Vec<String> = history[older..].iter().map(line_of_history).collect();
    if older > 0 {
        lines.insert(0, format!("({older} older changes left out; --format json has them)"));
    }
    lines
}

const STRING: &str = "writing to a string";

/// Which of an alarm's states are shown.
struct Chosen {
    shown: Vec<Dimensions>,
    more: usize,
}

fn choose(engine: &Engine, options: &Options) -> Result<Chosen, Failure> {
    let mut states: Vec<_> = engine.alarms().filter(|(name, ..)| *name == options.alarm).collect();
    let plan = engine.plan().map(|(_, plan)| plan);
    let Some(alarm) = plan.and_then(|plan| plan.alarms.get(&options.alarm)) else {
        let names: Vec<&str> =
            plan.into_iter().flat_map(|plan| plan.alarms.keys().map(String::as_str)).collect();
        let message = format!("no alarm \"{}\" in the plan of that time", options.alarm);
        let help =
            if names.is_empty() { "it had none".to_owned() } else { format!("it had {}", names.join(", ")) };
        return Err(Failure::new(ExitStatus::Usage, message).help(help));
    };
    let wanted: Dimensions = options.each.iter().cloned().collect();
    states
        .retain(|(_, dimensions, _)| wanted.iter().all(|(name, value)| dimensions.get(name) == Some(value)));
    if states.is_empty() {
        let each = alarm.metric().map(|metric| metric.each.join(", ")).unwrap_or_default();
        let message = format!("alarm \"{}\" has no such state at that time", options.alarm);
        let help = if each.is_empty() {
            "it has one state for all: leave --each out".to_owned()
        } else {
            format!(
                "it has one for each value of {each} that had a matching event; one without is as if it had never been"
            )
        };
        return Err(Failure::new(ExitStatus::Usage, message).help(help));
    }
    states.sort_by_key(|(_, _, run)| (run.state != AlarmState::Alarm, std::cmp::Reverse(run.since)));
    let more = states.len().saturating_sub(STATES_SHOWN);
    let shown = states.into_iter().take(STATES_SHOWN).map(|(_, dimensions, _)| dimensions.clone()).collect();
    Ok(Chosen { shown, more })
}

/// Events that no alarm could see: the usual answer to "why did it not fire".
fn notes(engine: &Engine) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, group) in &engine.counters().groups {
        let reasons = [
            (group.backfill, "were there before the log group was first watched"),
            (group.too_old, "were older than every evaluation range when they came"),
            (group.too_new, "said to be more than two hours in the future"),
        ];
        for (count, reason) in reasons.into_iter().filter(|(count, _)| *count > 0) {
            notes.push(format!("{count} of {} events of {name} {reason}: no alarm sees them", group.events));
        }
    }
    for (name, filter) in &engine.counters().filters {
        let reasons =
            [(filter.without_value, "had no usable value"), (filter.without_dimension, "lacked a dimension")];
        for (count, reason) in reasons.into_iter().filter(|(count, _)| *count > 0) {
            notes.push(format!(
                "{count} of {} events that matched {name} {reason}: nothing was published",
                filter.matched
            ));
        }
        if filter.over_series_max > 0 {
            notes.push(format!(
                "{} events that matched {name} were counted as (other)",
                filter.over_series_max
            ));
        }
    }
    notes
}

fn change(it: &Transition) -> Value {
    json!({
        "at": it.at.to_string(), "dimensions": it.dimensions, "from": it.from, "to": it.to, "early": it.early,
        "late": it.late, "muted_by": it.muted, "suppressed_by": it.suppressed_by, "reason": it.reason, "told": !it.notify.is_empty(),
    })
}

fn line_of_history(it: &Transition) -> String {
    let flags = [(it.early, ", early"), (it.late, ", late"), (!it.notify.is_empty(), ", told")];
    let flags: String = flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, word)| word).collect();
    let held = it.held_back_by().map(|by| format!(", held back by {by}")).unwrap_or_default();
    format!("{}{}  {} -> {}{flags}{held}", time(it.at), which(&it.dimensions), it.from, it.to)
}

fn which(dimensions: &Dimensions) -> String {
    let pairs: Vec<String> =
        dimensions.iter().map(|(name, value)| format!("{} {}", visible(name), visible(value))).collect();
    if pairs.is_empty() { String::new() } else { format!(" [{}]", pairs.join(", ")) }
}

/// A label before the first line, the others under it.
fn fact(text: &mut String, label: &str, lines: &[String]) {
    for (i, line) in lines.iter().enumerate() {
        let label = if i == 0 { label } else { "" };
        let line = format!("  {label:<LABEL_WIDTH$}{}", visible(line));
        writeln!(text, "{}", line.trim_end()).expect(STRING);
    }
}

fn told(it: &Explanation, colour: bool) -> String {
    let mut text = String::new();
    let (name, which) = (visible(&it.alarm), which(&it.dimensions));
    let told = if it.told { ", told" } else { "" };
    writeln!(text, "{name}{which} is in {} since {}{told}", painted(it.state, colour), time(it.since))
        .expect(STRING);
    fact(&mut text, "reason", std::slice::from_ref(&it.reason));
    if let Some(muted) = &it.muted {
        let withholds = if muted.withholds { "; a change waits to be told" } else { "" };
        fact(&mut text, "muted", &[format!("by {} until {}{withholds}", muted.rule, time(muted.until))]);
    }
    if let Some(suppressed) = &it.suppressed {
        let until = suppressed.until.map(|until| format!(" until {}", time(until))).unwrap_or_default();
        let why = match suppressed.by {
            SuppressedBy::WaitPeriod => "may yet go into ALARM",
            SuppressedBy::Alarm => "is in ALARM",
            SuppressedBy::ExtensionPeriod => "has left ALARM",
        };
        let waits = format!("a change waits{until} to be told: {} {why}", suppressed.alarm);
        fact(&mut text, "suppressed", &[waits]);
    }
    match &it.basis {
        Basis::Metric(basis) => metric(&mut text, basis),
        Basis::Composite { rule, children, smallest_change } => {
            fact(&mut text, "rule", std::slice::from_ref(rule));
            let state = |child: &watchbell_model::Child| format!("{:<17}  {}", child.state, child.alarm);
            fact(&mut text, "alarms", &children.iter().map(state).collect::<Vec<_>>());
            let would = smallest_change.iter().map(|child| format!("{} in {}", child.alarm, child.state));
            let would: Vec<String> = would.collect();
            let other = if it.state == AlarmState::Alarm { "to be OK" } else { "to be ALARM" };
            if !would.is_empty() {
                fact(&mut text, other, &[would.join(" and ")]);
            }
        }
    }
    text
}

fn metric(text: &mut String, basis: &MetricBasis) {
    let evaluated = match basis.evaluated_at {
        Some(at) => format!("{}, next at {}", time(at), time(basis.next_at)),
        None => format!("not yet, first at {}", time(basis.next_at)),
    };
    fact(text, "evaluated", &[evaluated]);
    let condition = format!("{} {}", basis.comparison.symbol(), number(basis.threshold));
    let datapoint = |looked: &watchbell_engine::Looked| {
        let point = looked.datapoint;
        let value = point.value.map_or_else(|| "no data".to_owned(), number);
        let marks = [
            (point.breaching, "  breaching"),
            (point.value.is_some() && !looked.counts && !looked.open, "  pushed out by newer ones"),
            (looked.open, "  not decided yet"),
            (looked.corrected, "  corrected by late events"),
            (point.estimated, "  within 1 %"),
        ];
        let marks: String = marks.into_iter().filter(|(is_set, _)| *is_set).map(|(_, mark)| mark).collect();
        format!("{}  {value}{marks}", time(point.start))
    };
    fact(text, "datapoints", &basis.datapoints.iter().map(datapoint).collect::<Vec<_>>());
    fact(text, "decided", &[decided(basis, &condition)]);
    if let Some(until) = basis.certain_until {
        fact(text, "certain", &[format!("ALARM up to the evaluation at {}, whatever comes", time(until))]);
    }
    let events = if basis.matched == 1 { "event" } else { "events" };
    fact(text, "matched", &[format!("{} {events} in the datapoints that decided", basis.matched)]);
    for filter in &basis.filters {
        let pattern = if filter.pattern.trim().is_empty() { "every event" } else { &filter.pattern };
        fact(text, "filter", &[format!("{} on {}", filter.name, filter.log_group), pattern.to_owned()]);
    }
    fact(text, "first", &lines(&basis.first_lines));
    fact(text, "last", &lines(&basis.last_lines));
    if let Some(flip) = &basis.smallest_change {
        let label = match flip.to {
            AlarmState::Alarm => "to be ALARM",
            AlarmState::Ok => "to be OK",
            AlarmState::InsufficientData => "to end",
        };
        let would = |instead: &Instead| {
            let comparison = if instead.breaching { basis.comparison } else { opposite(basis.comparison) };
            let need = format!("{} {}", comparison.symbol(), number(basis.threshold));
            let is = instead
                .value
                .map_or_else(|| "there is no data".to_owned(), |value| format!("it is {}", number(value)));
            format!("{} would have to be {need}: {is}", time(instead.start))
        };
        fact(text, label, &flip.datapoints.iter().map(would).collect::<Vec<_>>());
    }
}

/// What holds if `comparison` does not.
fn opposite(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::GreaterThanThreshold => Comparison::LessThanOrEqualToThreshold,
        Comparison::GreaterThanOrEqualToThreshold => Comparison::LessThanThreshold,
        Comparison::LessThanThreshold => Comparison::GreaterThanOrEqualToThreshold,
        Comparison::LessThanOrEqualToThreshold => Comparison::GreaterThanThreshold,
    }
}

fn decided(basis: &MetricBasis, condition: &str) -> String {
    let (needed, among) = (basis.datapoints_to_alarm, basis.evaluation_periods);
    let counts = format!("{} of {among} datapoints {condition}, {needed} needed", basis.breaching);
    let missing = match basis.treat_missing_data {
        TreatMissingData::Missing => "count as nothing known",
        TreatMissingData::Ignore => "leave the state as it is",
        TreatMissingData::Breaching => "count as breaching",
        TreatMissingData::NotBreaching => "count as not breaching",
    };
    match basis.decided_by {
        Decider::Breaching | Decider::Good => counts,
        Decider::MissingData => format!("{counts}; {} missing ones {missing}", basis.missing),
        Decider::LowSamples => format!("{counts}; too few samples to say anything, so the state stays"),
        Decider::Nothing => "nothing was evaluated yet".to_owned(),
    }
}

fn lines(lines: &[MatchedLine]) -> Vec<String> {
    let shown = |line: &MatchedLine| {
        [
            format!("{}  {}", time(line.timestamp), line.stream),
            format!("  {}", visible_cut(&line.message, LINE_WIDTH)),
        ]
    };
    lines.iter().flat_map(shown).collect()
}
