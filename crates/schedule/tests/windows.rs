//! When schedules are active: `cases/windows.txt`, and their limits.

use std::path::Path;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use watchbell_schedule::{Limits, Schedule, Window, parse_duration};

#[test]
fn every_schedule_has_its_windows() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/windows.txt");
    let cases = std::fs::read_to_string(file).expect("the file of cases");
    for case in cases.split("\n\n") {
        let mut lines = case.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let Some(head) = lines.next() else { continue };
        let (schedule, after) = head.split_once(" after ").expect(head);
        let [zone, duration, expression] = schedule.rsplitn(3, ' ').collect::<Vec<_>>()[..] else {
            panic!("expression, duration, zone: {head}")
        };
        let schedule = parse(expression, duration, zone, Limits::NONE);
        let mut at_ms = Some(ms(after));
        for line in lines {
            // The window that is active, or the next one.
            let window = at_ms.and_then(|at_ms| {
                schedule.active(at_ms).or_else(|| {
                    let change_ms = schedule.next_change(at_ms)?;
                    assert!(at_ms < change_ms, "{head}: the next change is later");
                    schedule.active(change_ms)
                })
            });
            let Some((start, end)) = line.split_once(' ') else {
                assert_eq!((line, window), ("never", None), "{head}");
                continue;
            };
            assert_eq!(window, Some(Window { start_ms: ms(start), end_ms: ms(end) }), "{head}: {line}");
            at_ms = schedule.next_change(ms(start));
        }
    }
}

fn parse(expression: &str, duration: &str, zone: &str, limits: Limits) -> Schedule {
    let duration_ms = parse_duration(duration).expect(duration);
    Schedule::parse(expression, duration_ms, zone, limits).expect(expression)
}

fn ms(text: &str) -> i64 {
    let at: DateTime = text.parse().expect(text);
    at.to_zoned(TimeZone::UTC).expect("UTC has no gaps").timestamp().as_millisecond()
}

#[test]
fn a_window_has_its_first_and_not_its_last_millisecond() {
    let schedule = parse("at(2026-11-23T12:00)", "PT1M", "UTC", Limits::NONE);
    let start_ms = ms("2026-11-23T12:00");
    let end_ms = start_ms + 60_000;
    assert_eq!(schedule.active(start_ms - 1), None);
    assert_eq!(schedule.active(start_ms), Some(Window { start_ms, end_ms }));
    assert_eq!(schedule.active(end_ms - 1), Some(Window { start_ms, end_ms }));
    assert_eq!(schedule.active(end_ms), None);
    assert_eq!(schedule.next_change(start_ms - 1), Some(start_ms));
    assert_eq!(schedule.next_change(start_ms), Some(end_ms));
    assert_eq!(schedule.next_change(end_ms - 1), Some(end_ms));
    assert_eq!(schedule.next_change(end_ms), None);
}

#[test]
fn limits_cut_windows() {
    let (from, until) = (ms("2026-11-24T02:30"), ms("2026-11-26T02:15"));
    let limits = Limits { from_ms: Some(from), until_ms: Some(until) };
    let schedule = parse("cron(0 2 * * *)", "PT1H", "UTC", limits);
    assert_eq!(schedule.active(from - 1), None);
    assert_eq!(schedule.next_change(0), Some(from));
    assert_eq!(schedule.active(from), Some(Window { start_ms: from, end_ms: ms("2026-11-24T03:00") }));
    assert_eq!(schedule.next_change(from), Some(ms("2026-11-24T03:00")));
    let last = Window { start_ms: ms("2026-11-26T02:00"), end_ms: until };
    assert_eq!(schedule.active(last.start_ms), Some(last));
    assert_eq!(schedule.next_change(last.start_ms), Some(until));
    assert_eq!(schedule.active(until), None);
    assert_eq!(schedule.next_change(until), None);
}

#[test]
fn limits_outside_of_windows_are_no_change() {
    let (from, until) = (ms("2026-11-24T12:00"), ms("2026-11-25T02:00"));
    let limits = Limits { from_ms: Some(from), until_ms: Some(until) };
    let schedule = parse("cron(0 2 * * *)", "PT1H", "UTC", limits);
    assert_eq!(schedule.next_change(from - 1), None);
    assert_eq!(schedule.active(until), None);
}

#[test]
fn the_ends_of_time_are_no_trouble() {
    let schedule = parse("cron(* * * * *)", "P15D", "Pacific/Apia", Limits::NONE);
    for at_ms in [i64::MIN, i64::MIN + 1, 253_402_207_200_999, i64::MAX - 1, i64::MAX] {
        assert_eq!(schedule.active(at_ms), None, "{at_ms}");
        assert_eq!(schedule.next_change(at_ms), None, "{at_ms}");
    }
    // Years 1 to 4999 have schedules: croner's limits.
    let schedule = parse("cron(* * * * *)", "P15D", "UTC", Limits::NONE);
    let (first, last) = (ms("0001-01-01T12:00"), ms("4999-12-30T00:00"));
    for at_ms in [first, last] {
        assert!(schedule.active(at_ms).is_some());
        assert_eq!(schedule.next_change(at_ms), Some(at_ms + 60_000));
    }
}

#[test]
fn durations_are_iso_8601() {
    for (text, minutes) in [("PT1M", 1), ("PT4H", 240), ("P2DT12H", 3600), ("P7D", 10_080), ("P2W", 20_160)] {
        assert_eq!(parse_duration(text), Ok(minutes * 60_000), "{text}");
    }
    assert_eq!(parse_duration("P15D"), Ok(watchbell_schedule::DURATION_MS_MAX));
}

#[test]
fn the_examples_of_the_reference_page_are_read() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/schedule.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let rows = page.lines().filter(|line| line.starts_with("| `cron(") || line.starts_with("| `at("));
    let mut read = 0;
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        parse(cells[1].trim_matches('`'), "PT1H", cells[3], Limits::NONE);
        read += 1;
    }
    assert_eq!(read, 4);
}
