//! Laws on random schedules: they are active when a walk through the minutes, looking at the clock, says so.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use watchbell_schedule::{Limits, Schedule};

const ZONES: [&str; 10] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Asia/Kathmandu",
];
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 1440 * MINUTE_MS;

/// A field: `None` is `*`, else a list of ranges.
type Field = Option<Vec<(i8, i8)>>;

fn field(least: i8, most: i8) -> impl Strategy<Value = Field> {
    let range = (least..=most, 0_i8..4).prop_map(move |(from, width)| (from, most.min(from + width)));
    prop_oneof![Just(None), prop::collection::vec(range, 1..4).prop_map(Some)]
}

fn has(field: &Field, value: i8) -> bool {
    field.as_ref().is_none_or(|ranges| ranges.iter().any(|(from, to)| (*from..=*to).contains(&value)))
}

fn text(field: &Field) -> String {
    let range = |(from, to): &(i8, i8)| if from == to { from.to_string() } else { format!("{from}-{to}") };
    field.as_ref().map_or("*".to_owned(), |ranges| ranges.iter().map(range).collect::<Vec<_>>().join(","))
}

fn matches(fields: &[Field; 5], reading: DateTime) -> bool {
    let [minutes, hours, day, month, weekday] = fields;
    let weekday_is = has(weekday, reading.weekday().to_sunday_zero_offset());
    let day_is = if day.is_some() && weekday.is_some() {
        has(day, reading.day()) || weekday_is
    } else {
        has(day, reading.day()) && weekday_is
    };
    has(minutes, reading.minute()) && has(hours, reading.hour()) && has(month, reading.month()) && day_is
}

/// The starts from `from_ms` to `to_ms`, found by looking at the clock each minute.
fn starts(fields: &[Field; 5], zone: &TimeZone, from_ms: i64, to_ms: i64) -> BTreeSet<i64> {
    let reading = |at_ms| zone.to_datetime(Timestamp::from_millisecond(at_ms).expect("in range"));
    let mut starts = BTreeSet::new();
    let mut latest = reading(from_ms);
    let mut at_ms = from_ms + MINUTE_MS;
    while at_ms < to_ms {
        // What the clock shows for the first time, and what it jumped over.
        let shown = reading(at_ms);
        while latest < shown {
            latest = latest.checked_add(1.minute()).expect("in range");
            if matches(fields, latest) {
                starts.insert(at_ms);
            }
        }
        at_ms += MINUTE_MS;
    }
    starts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_schedule_is_active_when_a_walk_through_the_minutes_says_so(
        fields in (field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)),
        zone in prop::sample::select(ZONES.to_vec()),
        near_s in 631_152_000_i64..2_145_916_800, // 1990 to 2037
        at_a_change in prop::bool::weighted(0.8),
        minutes in 1_i64..3000,
        probes in prop::collection::vec(-DAY_MS..DAY_MS, 40),
        limits in prop::option::weighted(0.3, (-DAY_MS..DAY_MS, 1..DAY_MS)),
    ) {
        let fields = [fields.0, fields.1, fields.2, fields.3, fields.4];
        let duration_ms = minutes * MINUTE_MS;
        let clock = TimeZoneDatabase::bundled().get(zone).unwrap();
        let near = Timestamp::from_second(near_s - near_s.rem_euclid(60)).unwrap();
        let change = clock.following(near).next().filter(|_| at_a_change);
        let center_ms = change.map_or(near, |change| change.timestamp()).as_millisecond();
        prop_assume!(center_ms % MINUTE_MS == 0);
        let (scan_from_ms, scan_to_ms) = (center_ms - 5 * DAY_MS, center_ms + 3 * DAY_MS);
        let starts = starts(&fields, &clock, scan_from_ms, scan_to_ms);
        let limits = limits.map_or(Limits::NONE, |(from, width)| {
            Limits { from_ms: Some(center_ms + from), until_ms: Some(center_ms + from + width) }
        });
        let inside = |at_ms| {
            limits.from_ms.is_none_or(|from_ms| from_ms <= at_ms) && limits.until_ms.is_none_or(|until_ms| at_ms < until_ms)
        };

        let expression = format!("cron({})", fields.each_ref().map(text).join(" "));
        let schedule = Schedule::parse(&expression, duration_ms, zone, limits).unwrap();
        let around_starts = starts.iter().flat_map(|start| [start - 1, *start, start + duration_ms - 1, start + duration_ms]);
        let near_center = around_starts.filter(|at_ms| (at_ms - center_ms).abs() < DAY_MS).take(40);
        for at_ms in probes.iter().map(|probe| center_ms + probe).chain(near_center) {
            let last = starts.range(..=at_ms).next_back().filter(|start| at_ms < *start + duration_ms);
            let expected = last.filter(|_| inside(at_ms));
            let window = schedule.active(at_ms);
            prop_assert_eq!(window.is_some(), expected.is_some(), "{} {} at {}", expression, zone, at_ms);
            if let (Some(window), Some(start)) = (window, expected) {
                prop_assert_eq!(window.start_ms, limits.from_ms.map_or(*start, |from_ms| from_ms.max(*start)));
                let end_ms = start + duration_ms;
                prop_assert_eq!(window.end_ms, limits.until_ms.map_or(end_ms, |until_ms| until_ms.min(end_ms)));
            }
            // Nothing changes until the next change, and then something does.
            let change = schedule.next_change(at_ms);
            if let Some(change) = change {
                prop_assert!(at_ms < change);
                prop_assert_ne!(schedule.active(change), window);
                prop_assert_eq!(schedule.active(change - 1), window);
            }
            let quiet_until = change.unwrap_or(scan_to_ms);
            let missed = starts.range(at_ms + 1..quiet_until.max(at_ms + 1)).find(|start| inside(**start));
            prop_assert_eq!(missed, None, "{} {} after {}", expression, zone, at_ms);
        }
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "cron(", "at(", ")", " ", "*", "0", "5", "31", "2", "59", ",", "-", "MON", "FEB", "L", "/", "é",
            "2026-12-24T18:00", "0 2 * * ", "1-5",
        ]), 0..12),
        any in ".{0,20}",
        at_ms in any::<i64>(),
    ) {
        for text in [pieces.concat(), any] {
            match Schedule::parse(&text, MINUTE_MS, "Europe/Berlin", Limits::NONE) {
                Ok(schedule) => {
                    if let Some(change) = schedule.next_change(at_ms) {
                        prop_assert!(change > at_ms);
                    }
                }
                Err(error) => prop_assert!(text.get(error.span.clone()).is_some(), "{:?} in {:?}", error, text),
            }
        }
    }
}
