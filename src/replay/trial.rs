//! A trial: one test of the rules, run in virtual time and held against what it expects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use similar::{ChangeTag, TextDiff};
use watchbell_config::{TestCase, TestLine, spell_ms};
use watchbell_engine::EngineError;
use watchbell_intake::Redactor;
use watchbell_model::{AlarmState, Dimensions, GroupName, Plan, Timestamp};

use super::fold::decided_at;
use super::{Change, Line, Replay, StreamName};

/// Tests tell arrivals apart by the millisecond.
const GRAIN_MS: i64 = 1;

/// How long time goes on at most while an alarm that is expected stays in ALARM, in milliseconds.
const GOES_ON_MS_MAX: i64 = 86_400_000;

/// Stands for every alarm that a test does not name.
const ALL_OTHERS: &str = "*";

/// What a test found.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Expected changes held against those that took place, in order.
    pub changes: Vec<Step>,
    /// What is wrong with the messages.
    pub messages: Vec<MessageFault>,
    /// Alarms that the test's lines brought into ALARM and that the test does not speak of.
    pub unmentioned: Vec<String>,
}

/// One line of expected against found.
#[derive(Clone, Debug)]
pub struct Step {
    /// Where it stands.
    pub side: Side,
    /// The change as a test writes it: `12:00:10 ALARM errors`.
    pub text: String,
    /// Why it took place, if it did.
    pub reason: Option<String>,
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Expected, and it took place.
    Both,
    /// Expected, and it did not take place.
    Missing,
    /// It took place, and is not expected.
    Unexpected,
}

/// What is wrong with the messages.
#[derive(Clone, Debug)]
pub enum MessageFault {
    /// No message has this text.
    Lacks(String),
    /// The first message is another one: its lines, as `-` expected, `+` found or ` ` both.
    Differs(Vec<(char, String)>),
}

impl Verdict {
    /// Whether all is as expected.
    pub fn is_good(&self) -> bool {
        self.messages.is_empty() && self.changes.iter().all(|step| step.side == Side::Both)
    }
}

/// Runs one test of `plan`.
///
/// # Errors
/// [`EngineError`] if the plan cannot run.
pub fn try_out(plan: &Plan, test: &TestCase) -> Result<Verdict, EngineError> {
    let changes = happened(plan, test)?;
    let named: BTreeSet<&str> = test.expect.iter().map(|it| it.alarm.as_str()).collect();
    let quiet: BTreeSet<&str> = test.no_alarms.iter().map(String::as_str).collect();
    let speaks_of =
        |alarm: &str| named.contains(alarm) || quiet.contains(alarm) || quiet.contains(ALL_OTHERS);
    let about: Vec<&Change> =
        changes.iter().filter(|it| it.is_about_alarm() && speaks_of(&it.alarm)).collect();
    // Also those that a mute rule held back until its time was over.
    let told = changes.iter().filter(|it| !it.told.is_empty() && speaks_of(&it.alarm));
    let messages: Vec<&str> = told.filter_map(|change| change.message.as_deref()).collect();
    let unmentioned: BTreeSet<&str> = changes
        .iter()
        .filter(|it| it.to == AlarmState::Alarm && it.first_line.is_some() && !speaks_of(&it.alarm))
        .map(|it| it.alarm.as_str())
        .collect();
    Ok(Verdict {
        changes: steps(test, &about),
        messages: message_faults(test, &messages),
        unmentioned: unmentioned.into_iter().map(str::to_owned).collect(),
    })
}

/// Everything that changes while the test's lines arrive and time goes on after them.
fn happened(plan: &Plan, test: &TestCase) -> Result<Vec<Change>, EngineError> {
    let lines = arrivals(test);
    let after = |ms: i64| test.midnight.plus_ms(ms);
    let expected_ms = test.expect.last().map(|it| it.at_ms);
    let first_ms = lines.first().map(|it| it.at_ms).or(expected_ms).or(test.until_ms).unwrap_or(0);
    let start = after(first_ms).floor_to(60_000);
    let mut replay = Replay::start(plan.clone(), start, GRAIN_MS)?.with_messages();
    // Patterns see lines as they would be stored.
    let redactor = Redactor::new(&plan.redaction, &[]).expect("the plan was checked");
    for line in &lines {
        let arrival = after(line.at_ms);
        let kept = redactor.kept(line.text.as_bytes());
        replay.push(&Line {
            origin: &line.origin,
            arrival,
            timestamp: line.timestamp_ms.map_or(arrival, after),
            flags: kept.flags,
            text: &kept.text,
        })?;
    }
    if let Some(until_ms) = test.until_ms {
        replay.advance(after(until_ms).max(start))?;
        return Ok(replay.changes().to_vec());
    }
    let last_ms = lines.last().map(|it| it.at_ms).max(expected_ms).unwrap_or(first_ms);
    let decided = decided_at(plan, after(last_ms));
    replay.advance(decided)?;
    while let Some(wake) = replay.next_wake() {
        let over = wake > decided.plus_ms(GOES_ON_MS_MAX);
        if over || !test.expect.iter().any(|it| is_in_alarm(replay.changes(), &it.alarm)) {
            break;
        }
        replay.advance(wake)?;
    }
    Ok(replay.changes().to_vec())
}

/// Whether some state of `alarm` is.
fn is_in_alarm(changes: &[Change], alarm: &str) -> bool {
    let mut last: BTreeMap<&Dimensions, AlarmState> = BTreeMap::new();
    for change in changes.iter().filter(|change| change.alarm == alarm && !change.released) {
        last.insert(&change.dimensions, change.to);
    }
    last.values().any(|state| *state == AlarmState::Alarm)
}

/// One line that arrives.
struct Arrival<'a> {
    at_ms: i64,
    timestamp_ms: Option<i64>,
    origin: Arc<StreamName>,
    text: &'a str,
}

/// Every line with its repetitions, in the order of arrival; those that arrive together as they are written.
fn arrivals(test: &TestCase) -> Vec<Arrival<'_>> {
    let repeated = |line: &TestLine| {
        let origin = Arc::new(stream(&line.log_group));
        let (at_ms, every_ms, timestamp_ms) = (line.at_ms, line.every_ms, line.timestamp_ms);
        (0..i64::from(line.repeat)).map(move |number| {
            let later_ms = number * every_ms;
            (at_ms + later_ms, timestamp_ms.map(|ms| ms + later_ms), Arc::clone(&origin))
        })
    };
    let mut arrivals = Vec::new();
    for line in &test.lines {
        arrivals.extend(repeated(line).map(|(at_ms, timestamp_ms, origin)| Arrival {
            at_ms,
            timestamp_ms,
            origin,
            text: &line.text,
        }));
    }
    arrivals.sort_by_key(|arrival| arrival.at_ms);
    arrivals
}

fn stream(group: &GroupName) -> StreamName {
    StreamName { group: group.clone(), stream: "test".to_owned() }
}

/// Expected against found.
fn steps(test: &TestCase, about: &[&Change]) -> Vec<Step> {
    let expected: Vec<String> = test.expect.iter().map(ToString::to_string).collect();
    let found: Vec<String> = about.iter().map(|change| written(change, test.midnight, &expected)).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let compared: Vec<&str> = found.iter().map(String::as_str).collect();
    let diff = TextDiff::from_slices(&expected, &compared);
    let step = |change: similar::Change<&str>| Step {
        side: match change.tag() {
            ChangeTag::Equal => Side::Both,
            ChangeTag::Delete => Side::Missing,
            ChangeTag::Insert => Side::Unexpected,
        },
        text: change.value().to_owned(),
        reason: change.new_index().map(|index| about[index].reason.clone()),
    };
    diff.iter_all_changes().map(step).collect()
}

/// As the test writes it: which of the alarm's states, and whether it is early, are compared only where the test says so.
fn written(change: &Change, midnight: Timestamp, expected: &[String]) -> String {
    let head = format!("{} {}", spell_ms(change.at.ms_since(midnight)), change.to);
    let early = if change.early { " early" } else { "" };
    let title = change.title();
    let whole = format!("{head} {title}{early}");
    let shorter = [
        format!("{head} {title}"),
        format!("{head} {}{early}", change.alarm),
        format!("{head} {}", change.alarm),
    ];
    let is_expected = |text: &&String| expected.contains(text);
    std::iter::once(&whole).chain(&shorter).find(is_expected).unwrap_or(&whole).clone()
}

fn message_faults(test: &TestCase, messages: &[&str]) -> Vec<MessageFault> {
    let mut faults = Vec::new();
    for wanted in &test.message_contains {
        if !messages.iter().any(|message| message.contains(wanted.as_str())) {
            faults.push(MessageFault::Lacks(wanted.clone()));
        }
    }
    let found = messages.first().copied().unwrap_or_default();
    if let Some(wanted) = test.message.as_deref().filter(|wanted| *wanted != found) {
        let diff = TextDiff::from_lines(wanted, found);
        let lines = diff.iter_all_changes().map(|change| {
            let mark = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            (mark, change.value().trim_end_matches('\n').to_owned())
        });
        faults.push(MessageFault::Differs(lines.collect()));
    }
    faults
}
