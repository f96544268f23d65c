//! When a schedule starts, as readings of a clock: `cron(…)` or `at(…)`.
//!
//! Source: CloudWatch API Reference, `Schedule`, `Expression`: five fields (minutes, hours, day of month, month, day of
//! week), `*`, `-` and `,`, English names of months and days.

use std::ops::Range;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::{DateTime, date};

use crate::error::{Part, ScheduleError};

/// The longest expression, in characters. Source: CloudWatch API Reference, `Schedule`, `Expression`.
pub const EXPRESSION_CHARS_MAX: usize = 256;

const SHAPE: &str = "write cron(0 2 * * SUN), that is minutes, hours, day of month, month, day of week, \
                     or at(2026-12-24T18:00)";
const FIELDS: [&str; 5] = ["minutes", "hours", "day of month", "month", "day of week"];
const FIELDS_HELP: [&str; 5] = [
    "0 to 59, *, a range 0-29 or a list 0,15,30",
    "0 to 23, *, a range 8-17 or a list 6,18",
    "1 to 31, *, a range 1-7 or a list 1,15",
    "1 to 12 or JAN to DEC, *, a range or a list",
    "SUN to SAT or 0 to 6, *, a range MON-FRI or a list SAT,SUN",
];

#[derive(Debug, Clone)]
pub(crate) enum Start {
    Cron(Box<Cron>),
    At(DateTime),
}

impl Start {
    pub(crate) fn parse(text: &str) -> Result<Self, ScheduleError> {
        if let Some((surplus, _)) = text.char_indices().nth(EXPRESSION_CHARS_MAX) {
            let message = format!("the expression is longer than {EXPRESSION_CHARS_MAX} characters");
            return Err(error(surplus..text.len(), message, "use ranges: 0-29 in place of 0,1,2,3"));
        }
        let inside = |name: &str| {
            let inner = text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')')?;
            Some((name.len() + 1, inner))
        };
        if let Some((from, inner)) = inside("cron") {
            parse_cron(from, inner)
        } else if let Some((from, inner)) = inside("at") {
            parse_at(from, inner)
        } else {
            Err(error(0..text.len(), "a schedule is cron(…) or at(…)", SHAPE))
        }
    }

    /// The last start at or before `reading`.
    pub(crate) fn last(&self, reading: DateTime) -> Option<DateTime> {
        match self {
            Start::Cron(cron) => cron.find_previous_occurrence(&minute(reading), true).ok(),
            Start::At(at) => (*at <= reading).then_some(*at),
        }
    }

    /// The first start after `reading`.
    pub(crate) fn next(&self, reading: DateTime) -> Option<DateTime> {
        match self {
            Start::Cron(cron) => cron.find_next_occurrence(&minute(reading), false).ok(),
            Start::At(at) => (*at > reading).then_some(*at),
        }
    }
}

/// Starts are on whole minutes.
fn minute(reading: DateTime) -> DateTime {
    reading.date().at(reading.hour(), reading.minute(), 0, 0)
}

/// `inner` stands at `from` in the expression.
fn parse_cron(from: usize, inner: &str) -> Result<Start, ScheduleError> {
    let mut fields: Vec<(Range<usize>, &str)> = Vec::new();
    let mut at = from;
    for field in inner.split([' ', '\t']) {
        if !field.is_empty() {
            fields.push((at..at + field.len(), field));
        }
        at += field.len() + 1;
    }
    let whole = from..from + inner.len();
    if fields.len() != FIELDS.len() {
        let message = format!("cron has 5 fields, and here are {}", fields.len());
        return Err(error(whole, message, SHAPE));
    }
    for (i, (span, field)) in fields.iter().enumerate() {
        check_field(i, span.clone(), field)?;
    }
    let cron = parser().parse(&fields.iter().map(|(_, field)| *field).collect::<Vec<_>>().join(" "));
    let cron = cron.map_err(|_| error(whole.clone(), format!("\"{inner}\" is no schedule"), SHAPE))?;
    // 30 February: searched for once, here, so that no other search is in vain.
    if cron.find_next_occurrence(&date(2000, 1, 1).at(0, 0, 0, 0), true).is_err() {
        let days = fields[2].0.start..fields[3].0.end;
        return Err(error(days, "this day never comes", "name a day that the month has"));
    }
    Ok(Start::Cron(Box::new(cron)))
}

/// Refuses what CloudWatch does not document, and what croner refuses, with its place.
fn check_field(i: usize, span: Range<usize>, field: &str) -> Result<(), ScheduleError> {
    let wrong = |span: Range<usize>, text: &str| {
        error(span, format!("\"{text}\" cannot stand in the {}", FIELDS[i]), FIELDS_HELP[i])
    };
    // croner knows more (/, L, W, #, whole names, empty items) than CloudWatch documents.
    let is_word =
        |word: &str| word.bytes().all(|b| b.is_ascii_digit()) && !word.is_empty() || is_name(i, word);
    let is_item = |item: &str| {
        let (from, to) = item.split_once('-').unwrap_or((item, item));
        item == "*" || is_word(from) && is_word(to)
    };
    let mut at = span.start;
    for item in field.split(',') {
        if !is_item(item) {
            return Err(wrong(at..at + item.len(), item));
        }
        at += item.len() + 1;
    }
    let mut alone = ["*"; FIELDS.len()];
    alone[i] = field;
    parser().parse(&alone.join(" ")).map(|_| ()).map_err(|_| wrong(span, field))
}

fn is_name(field: usize, word: &str) -> bool {
    const MONTHS: [&str; 12] =
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    let names: &[&str] = match field {
        3 => &MONTHS,
        4 => &DAYS,
        _ => &[],
    };
    names.iter().any(|name| name.eq_ignore_ascii_case(word))
}

/// Five fields; where both days are restricted, either is enough, as in POSIX.
fn parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).dom_and_dow(false).build()
}

fn parse_at(from: usize, inner: &str) -> Result<Start, ScheduleError> {
    let span = from..from + inner.len();
    // The shape first: jiff also reads times with seconds and a space in place of the T.
    let digits: String = inner.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    if digits != "0000-00-00T00:00" {
        return Err(error(span, format!("\"{inner}\" is no date and time"), "write at(2026-12-24T18:00)"));
    }
    let at = inner.parse().map_err(|_| {
        error(
            span,
            format!("\"{inner}\" is not in the calendar"),
            "name a day that the month has; hours are 00 to 23, minutes 00 to 59",
        )
    })?;
    Ok(Start::At(at))
}

fn error(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> ScheduleError {
    ScheduleError::new(Part::Expression, span, message, help)
}
