//! `[[test]]`: lines with times, and what the alarms must make of them. Not a part of the plan.

use std::collections::BTreeSet;
use std::ops::Range;

use jiff::civil::Date;
use toml::de::{DeTable, DeValue};
use watchbell_model::{AlarmState, GroupName, Plan, Timestamp};

use crate::problem::{Problem, quote};
use crate::reader::{Context, Field, Table, Text, TextOrTable};
use crate::{Source, clock, keys, syntax_problem};

/// Most lines that one test may make, repetitions included: a test is small, more is a replay.
const LINES_MAX: u64 = 100_000;

/// Lines that arrive, and what must come of them.
#[derive(Clone, Debug, PartialEq)]
pub struct TestCase {
    /// Its name.
    pub name: String,
    /// Where it begins in its file, from 1.
    pub line: usize,
    /// Midnight of its first day, UTC. All times below are milliseconds after this.
    pub midnight: Timestamp,
    /// What arrives, as it is written.
    pub lines: Vec<TestLine>,
    /// The changes into and out of ALARM, of all the alarms that are named here, in the order of their times.
    pub expect: Vec<Expected>,
    /// Alarms that must not change into or out of ALARM; `*` stands for all that are not in `expect`.
    pub no_alarms: Vec<String>,
    /// How long time goes on; if absent, until no alarm of `expect` is in ALARM.
    pub until_ms: Option<i64>,
    /// The whole first message, as a console shows it, without its id.
    pub message: Option<String>,
    /// Texts that must stand in some message.
    pub message_contains: Vec<String>,
}

/// A line, or several that are alike.
#[derive(Clone, Debug, PartialEq)]
pub struct TestLine {
    /// When the first one arrives.
    pub at_ms: i64,
    /// When it happened, if not when it arrives.
    pub timestamp_ms: Option<i64>,
    /// The log group.
    pub log_group: GroupName,
    /// The text.
    pub text: String,
    /// How many there are, at least 1.
    pub repeat: u32,
    /// How long after one the next one comes.
    pub every_ms: i64,
}

/// A change that must take place.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// When.
    pub at_ms: i64,
    /// Into which state.
    pub state: AlarmState,
    /// The alarm.
    pub alarm: String,
    /// Which of its states, as messages write it: `ip 10.0.0.7`. Without it, it may be any.
    pub which: Option<String>,
    /// It must be early. Without this word it may be.
    pub early: bool,
}

/// The outcome of checking a file of tests.
#[derive(Clone, Debug)]
pub struct CheckedTests {
    /// The tests without mistakes.
    pub tests: Vec<TestCase>,
    /// Every mistake, in file order.
    pub problems: Vec<Problem>,
}

/// Reads a file that holds nothing but `[[test]]` tables, about `plan`.
pub fn check_tests(source: &Source<'_>, plan: &Plan) -> CheckedTests {
    let (document, syntax) = DeTable::parse_recoverable(source.text);
    let problems = syntax.iter().map(|error| syntax_problem(source.text, error)).collect();
    let context = Context::new(source, problems, false);
    let document = document.get_ref();
    for (key, value) in document.iter().filter(|(key, _)| *key.get_ref() != "test") {
        let noun = if value.get_ref().is_table() { "table" } else { "key" };
        let message = format!("{noun} {} in a file of tests", quote(key.get_ref()));
        context.report(
            Problem::error(key.span(), message)
                .help("such a file holds only [[test]]; the rest stands in watchbell.toml"),
        );
    }
    if !document.contains_key("test") {
        context.report_absence(Problem::error(0..0, "the file has no test").help("write [[test]]"));
    }
    let alarms = plan.alarms.keys().map(String::as_str);
    let log_groups = plan.log_groups.keys().map(GroupName::as_str);
    let known = Known { alarms: alarms.collect(), log_groups: log_groups.collect() };
    let mut root = Table::root(&context, document);
    let tests = read(&mut root, &known);
    drop(root);
    CheckedTests { tests, problems: context.into_problems() }
}

/// What tests may mention.
pub(crate) struct Known<'a> {
    pub(crate) alarms: BTreeSet<&'a str>,
    pub(crate) log_groups: BTreeSet<&'a str>,
}

impl<'a> Known<'a> {
    /// Everything that a file declares, correct or not.
    pub(crate) fn of(document: &'a DeTable<'a>) -> Known<'a> {
        let names = |table: &str| {
            let entries = document.get(table).and_then(|value| value.get_ref().as_table());
            entries.into_iter().flatten().map(|(name, _)| &**name.get_ref())
        };
        Known {
            alarms: names("alarms").chain(names("composite_alarms")).collect(),
            log_groups: names("log_groups").collect(),
        }
    }

    fn alarm(&self, context: &Context<'_>, name: &str, span: Range<usize>) -> bool {
        resolve(context, &self.alarms, "alarm", name, span)
    }

    fn log_group(&self, context: &Context<'_>, name: &str, span: Range<usize>) -> Option<GroupName> {
        resolve(context, &self.log_groups, "log group", name, span)
            .then(|| GroupName::new(name).ok())
            .flatten()
    }
}

fn resolve(
    context: &Context<'_>,
    known: &BTreeSet<&str>,
    noun: &str,
    name: &str,
    span: Range<usize>,
) -> bool {
    if known.contains(name) {
        return true;
    }
    let help = match context.suggest(name, known.iter().copied()) {
        Some(near) => format!("did you mean {}?", quote(near)),
        None if known.is_empty() => format!("watchbell.toml has no {noun}"),
        None => format!("known: {}", keys::quoted(&known.iter().copied().collect::<Vec<_>>())),
    };
    context.report_absence(Problem::error(span, format!("unknown {noun} {}", quote(name))).help(help));
    false
}

/// Every test; those with a mistake are noted and left out.
pub(crate) fn read(root: &mut Table<'_>, known: &Known<'_>) -> Vec<TestCase> {
    let Some(field) = root.field("test") else { return Vec::new() };
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut tests = Vec::new();
    for mut table in field.tables("test") {
        let name = table.need("name").and_then(|field| field.text());
        if let Some(name) = &name {
            table.title = format!("test {}", quote(name.value));
            if !names.insert(name.value) {
                let message = format!("two tests are called {}", quote(name.value));
                table.context.report(Problem::error(name.span.clone(), message).help("rename one of them"));
            }
        }
        tests.extend(read_one(table, name.as_ref(), known));
    }
    tests
}

fn read_one(mut table: Table<'_>, name: Option<&Text<'_>>, known: &Known<'_>) -> Option<TestCase> {
    let midnight = match table.field("date") {
        Some(field) => date(&field),
        None => Some(DATE_DEFAULT),
    };
    let log_group = match table.field("log_group") {
        Some(field) => {
            let text = field.text();
            Some(text.and_then(|text| known.log_group(field.context, text.value, text.span)))
        }
        None => None,
    };
    let lines = table.need("lines").and_then(|field| lines(&field, log_group.as_ref(), known));
    let (expect, quiet) = (table.field("expect"), table.field("no_alarms"));
    if expect.is_none() && quiet.is_none() {
        let problem = Problem::error(table.place.clone(), format!("{} expects nothing", table.title));
        let help = "write expect = [\"HH:MM:SS ALARM name\"], or no_alarms = [\"*\"] if nothing must happen";
        table.context.report_absence(problem.help(help));
    }
    let expect = expect.map_or(Some(Vec::new()), |field| expected(&field, known));
    let no_alarms = quiet.map_or(Some(Vec::new()), |field| no_alarms(&field, known));
    let until_ms = match table.field("until") {
        Some(field) => field.clock_ms().map(Some),
        None => Some(None),
    };
    let message = match table.field("message") {
        Some(field) => field.text().map(|text| Some(text.value.trim_matches('\n').to_owned())),
        None => Some(None),
    };
    let contains = table.field("message_contains").map_or(Vec::new(), |field| field.texts());
    let line = table.context.line(table.place.start);
    table.finish();
    Some(TestCase {
        name: name?.value.to_owned(),
        line,
        midnight: midnight?,
        lines: lines?,
        expect: expect?,
        no_alarms: no_alarms?,
        until_ms: until_ms?,
        message: message?,
        message_contains: contains.iter().map(|text| text.value.to_owned()).collect(),
    })
}

/// 2026-01-01, a Thursday.
const DATE_DEFAULT: Timestamp = Timestamp(1_767_225_600_000);

fn date(field: &Field<'_>) -> Option<Timestamp> {
    let text = field.text()?;
    let midnight = text.value.parse::<Date>().ok().and_then(|date| {
        jiff::tz::Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok().map(|at| Timestamp(at.as_millisecond()))
    });
    if midnight.is_none() {
        field.refuse(format!("{} is no date: {}", field.title(), quote(text.value)), "write \"2026-11-22\"");
    }
    midnight
}

/// `group` is the log group of the whole test: absent if none is given, absent inside if it is wrong.
fn lines(field: &Field<'_>, group: Option<&Option<GroupName>>, known: &Known<'_>) -> Option<Vec<TestLine>> {
    let items = field.texts_and_tables(field.owner());
    let count = items.len();
    let read = items.into_iter().filter_map(|item| match item {
        TextOrTable::Text(text) => line_of_text(field, &text, group, known),
        TextOrTable::Table(table) => line_of_table(table, group, known),
    });
    let lines: Vec<TestLine> = read.collect();
    if lines.iter().map(|line| u64::from(line.repeat)).sum::<u64>() > LINES_MAX {
        let message = format!("{} are more than {LINES_MAX} lines", field.title());
        field.refuse(message, "a test is small; use watchbell replay for more");
        return None;
    }
    (lines.len() == count && count > 0 || field.is_empty_array()).then_some(lines)
}

/// `HH:MM:SS text`, or `HH:MM:SS group text` in a test without a log group.
fn line_of_text(
    field: &Field<'_>,
    text: &Text<'_>,
    group: Option<&Option<GroupName>>,
    known: &Known<'_>,
) -> Option<TestLine> {
    let (time, rest) = text.value.split_once(' ').unwrap_or((text.value, ""));
    let place = |part: Range<usize>| text.part(field.context.source.text, &part);
    let Some(at_ms) = clock::parse_ms(time) else {
        let problem = Problem::error(place(0..time.len()), format!("no time: {}", quote(time)));
        field.context.report(problem.help("write \"HH:MM:SS text\" or \"HH:MM:SS.mmm text\""));
        return None;
    };
    let line = |log_group: GroupName, text: &str| TestLine {
        at_ms,
        timestamp_ms: None,
        log_group,
        text: text.to_owned(),
        repeat: 1,
        every_ms: 0,
    };
    if let Some(group) = group {
        return Some(line(group.clone()?, rest));
    }
    let (name, message) = rest.split_once(' ').unwrap_or((rest, ""));
    let start = text.value.len() - rest.len();
    let group = known.log_group(field.context, name, place(start..start + name.len()))?;
    Some(line(group, message))
}

fn line_of_table(
    mut table: Table<'_>,
    group: Option<&Option<GroupName>>,
    known: &Known<'_>,
) -> Option<TestLine> {
    let at_ms = table.need("at").and_then(|field| field.clock_ms());
    let timestamp_ms = match table.field("timestamp") {
        Some(field) => field.clock_ms().map(Some),
        None => Some(None),
    };
    let own = table.field("log_group").map(|field| {
        let text = field.text()?;
        known.log_group(field.context, text.value, text.span)
    });
    let log_group = match (own, group) {
        (Some(own), _) => own,
        (None, Some(group)) => group.clone(),
        (None, None) => {
            let message = format!("a line of {} has no log_group", table.title);
            let help = "write log_group here, or once for the whole test";
            table.context.report_absence(Problem::error(table.place.clone(), message).help(help));
            None
        }
    };
    let text = table.need("line").and_then(|field| field.text());
    let repeat = match table.field("repeat") {
        Some(field) => repeat(&field),
        None => Some(1),
    };
    let every_ms = match table.field("every") {
        Some(field) => field.duration_ms(),
        None => Some(0),
    };
    table.finish();
    let text = text?.value.to_owned();
    Some(TestLine {
        at_ms: at_ms?,
        timestamp_ms: timestamp_ms?,
        log_group: log_group?,
        text,
        repeat: repeat?,
        every_ms: every_ms?,
    })
}

fn repeat(field: &Field<'_>) -> Option<u32> {
    let DeValue::Integer(integer) = field.value() else {
        field.mismatch();
        return None;
    };
    let count = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
    let count = count.filter(|count| (1..=LINES_MAX).contains(&u64::from(*count)));
    if count.is_none() {
        field.refuse(format!("{} is not from 1 to {LINES_MAX}", field.title()), "a test is small");
    }
    count
}

/// `HH:MM:SS STATE alarm`, and perhaps ` [ip 10.0.0.7]` and ` early`.
fn expected(field: &Field<'_>, known: &Known<'_>) -> Option<Vec<Expected>> {
    let texts = field.texts();
    let expected: Vec<Expected> = texts.iter().filter_map(|text| one_expected(field, text, known)).collect();
    if let Some(pair) = expected.windows(2).find(|pair| pair[0].at_ms > pair[1].at_ms) {
        let message = format!("{} is not in the order of time", field.title());
        field.refuse(
            message,
            format!("{} comes after {}", quote(&pair[0].to_string()), quote(&pair[1].to_string())),
        );
        return None;
    }
    (expected.len() == texts.len()).then_some(expected)
}

fn one_expected(field: &Field<'_>, text: &Text<'_>, known: &Known<'_>) -> Option<Expected> {
    let mut words = text.value.splitn(3, ' ');
    let at_ms = words.next().and_then(clock::parse_ms);
    let state = match words.next() {
        Some("OK") => Some(AlarmState::Ok),
        Some("ALARM") => Some(AlarmState::Alarm),
        Some("INSUFFICIENT_DATA") => Some(AlarmState::InsufficientData),
        _ => None,
    };
    let (Some(at_ms), Some(state), Some(rest)) = (at_ms, state, words.next()) else {
        let problem =
            Problem::error(text.span.clone(), format!("no change of an alarm: {}", quote(text.value)));
        field.context.report(problem.help(
            "write \"HH:MM:SS ALARM name\", with OK or INSUFFICIENT_DATA for ALARM; \" early\" may follow",
        ));
        return None;
    };
    let (alarm, early) = match rest.strip_suffix(" early") {
        Some(alarm) if !known.alarms.contains(rest) => (alarm, true),
        _ => (rest, false),
    };
    let (alarm, which) = match alarm.strip_suffix(']').and_then(|alarm| alarm.split_once(" [")) {
        Some((name, which)) if !known.alarms.contains(alarm) => (name, Some(which.to_owned())),
        _ => (alarm, None),
    };
    let start = text.value.len() - rest.len();
    let span = text.part(field.context.source.text, &(start..start + alarm.len()));
    let alarm = known.alarm(field.context, alarm, span).then(|| alarm.to_owned())?;
    Some(Expected { at_ms, state, alarm, which, early })
}

fn no_alarms(field: &Field<'_>, known: &Known<'_>) -> Option<Vec<String>> {
    let texts = field.texts();
    let names = texts
        .iter()
        .filter(|text| text.value == "*" || known.alarm(field.context, text.value, text.span.clone()));
    let names: Vec<String> = names.map(|text| text.value.to_owned()).collect();
    (names.len() == texts.len()).then_some(names)
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let early = if self.early { " early" } else { "" };
        let which = self.which.as_ref().map(|which| format!(" [{which}]")).unwrap_or_default();
        write!(f, "{} {} {}{which}{early}", clock::spell_ms(self.at_ms), self.state, self.alarm)
    }
}
