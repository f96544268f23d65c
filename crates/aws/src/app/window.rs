//! Schedules of maintenance as Systems Manager writes them.

use watchbell_model::{Maintenance, Timestamp};
use watchbell_schedule::{Limits, Schedule};

/// A schedule and the zone of its clock.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct When {
    pub(super) expression: String,
    pub(super) timezone: String,
}

const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Before the year 0, the first that a schedule can name.
const BEFORE_ALL_MS: i64 = -70_000_000_000_000;

/// The schedule of a piece of maintenance, or why Systems Manager cannot have it.
///
/// Its cron has six fields, the last of them years; one of both days is `?`. Days of the week are named, because it
/// counts them from 1. Its single times are in UTC.
///
/// Source: AWS Systems Manager User Guide, "Reference: Cron and rate expressions for Systems Manager".
pub(super) fn when(maintenance: &Maintenance) -> Result<When, String> {
    let schedule = &maintenance.schedule;
    let Some(fields) = schedule.strip_prefix("cron(").and_then(|rest| rest.strip_suffix(')')) else {
        return Ok(When { expression: at(maintenance), timezone: "UTC".to_owned() });
    };
    let fields: Vec<String> = fields.split_ascii_whitespace().map(str::to_ascii_uppercase).collect();
    let [minutes, hours, day, month, weekday] = &fields[..] else {
        unreachable!("a checked schedule has five fields")
    };
    if fields.iter().any(|field| field.len() > 1 && field.contains('*')) {
        return Err(format!("Systems Manager takes \"*\" alone in a field only: \"{schedule}\""));
    }
    let (day, weekday) = match (day.as_str(), weekday.as_str()) {
        (day, "*") => (day.to_owned(), "?".to_owned()),
        ("*", weekday) => ("?".to_owned(), named_days(weekday)),
        _ => {
            return Err(format!(
                "Systems Manager takes days of the month or of the week, not both: \"{schedule}\""
            ));
        }
    };
    let expression = format!("cron({minutes} {hours} {day} {month} {weekday} *)");
    Ok(When { expression, timezone: maintenance.timezone.clone() })
}

/// The days of the week of a field: `FRI-SUN`, `5-7` and `5,6,0` are `FRI,SAT,SUN`.
fn named_days(field: &str) -> String {
    let index = |word: &str| match word.parse::<usize>() {
        Ok(number) => number,
        Err(_) => DAYS.iter().position(|day| *day == word).expect("a checked field has days of the week"),
    };
    let mut names: Vec<&str> = Vec::new();
    for item in field.split(',') {
        let (from, to) = item.split_once('-').unwrap_or((item, item));
        let (from, mut to) = (index(from), index(to));
        if to < from {
            to += DAYS.len();
        }
        for day in (from..=to).map(|day| DAYS[day % DAYS.len()]) {
            if !names.contains(&day) {
                names.push(day);
            }
        }
    }
    names.join(",")
}

/// A single time, in UTC.
fn at(maintenance: &Maintenance) -> String {
    let Maintenance { schedule, timezone, timeout_ms, .. } = maintenance;
    let schedule = Schedule::parse(schedule, *timeout_ms, timezone, Limits::NONE);
    let schedule = schedule.expect("a plan's schedules are checked");
    let start = Timestamp(schedule.next_change(BEFORE_ALL_MS).expect("a single time comes once"));
    let seconds = start.to_string();
    let seconds = seconds.split_once('.').expect("it prints with milliseconds").0;
    format!("at({seconds})")
}

#[cfg(test)]
mod tests {
    use watchbell_model::Work;

    use super::*;

    fn translated(schedule: &str, timezone: &str) -> Result<String, String> {
        let when = when(&Maintenance {
            name: "it".into(),
            schedule: schedule.into(),
            timezone: timezone.into(),
            timeout_ms: 3_600_000,
            work: Work::Patch { reboot: false },
        });
        when.map(|when| format!("{} {}", when.expression, when.timezone))
    }

    #[test]
    fn a_cron_of_five_fields_has_six_and_days_by_name() {
        for (ours, theirs) in [
            ("cron(0 2 * * *)", "cron(0 2 * * ? *)"),
            ("cron(30 2 1,15 * *)", "cron(30 2 1,15 * ? *)"),
            ("cron(0 2 * * sun)", "cron(0 2 ? * SUN *)"),
            ("cron(0 2 * * 0)", "cron(0 2 ? * SUN *)"),
            ("cron(0 2 * * 7)", "cron(0 2 ? * SUN *)"),
            ("cron(0 2 * * 1-5)", "cron(0 2 ? * MON,TUE,WED,THU,FRI *)"),
            ("cron(0 2 * * 5-7,0)", "cron(0 2 ? * FRI,SAT,SUN *)"),
            ("cron(0 2 * * SAT-MON)", "cron(0 2 ? * SAT,SUN,MON *)"),
            ("cron(0  2 * Jan-mar *)", "cron(0 2 * JAN-MAR ? *)"),
        ] {
            let expected = format!("{theirs} Europe/Berlin");
            assert_eq!(translated(ours, "Europe/Berlin"), Ok(expected), "{ours}");
        }
    }

    #[test]
    fn what_systems_manager_cannot_have_is_refused() {
        assert!(translated("cron(0 2 13 * FRI)", "UTC").unwrap_err().contains("not both"));
        assert!(translated("cron(0 2 *,3 * *)", "UTC").unwrap_err().contains("alone"));
    }

    #[test]
    fn a_single_time_is_in_utc() {
        assert_eq!(
            translated("at(2026-12-24T18:00)", "Europe/Berlin").unwrap(),
            "at(2026-12-24T17:00:00) UTC"
        );
    }
}
