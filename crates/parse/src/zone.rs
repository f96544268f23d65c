//! Wall times to instants: which zone, which of two, which year.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use watchbell_model::Timestamp;

/// How far after its arrival an event may lie, in milliseconds, before its year is taken for an earlier one: clocks
/// and zones are off by hours, never by more than a day.
const AHEAD_MS_MAX: i64 = 86_400_000;

/// Years between two 29ths of February, at most: 2096 and 2104.
const LEAP_YEARS_APART: i16 = 8;

/// Coordinated universal time.
pub(crate) static UTC: TimeZone = TimeZone::UTC;

/// Where and when a line was taken in: what a time says only to those who know that.
pub(crate) struct Place<'a> {
    /// Of times that name none.
    pub(crate) zone: &'a TimeZone,
    /// When the line was taken in: tells the year.
    pub(crate) arrival: Timestamp,
    /// The time that it is probably near to: tells which of two instants.
    pub(crate) near: Timestamp,
}

impl<'a> Place<'a> {
    /// Of a line that happened shortly before it was taken in.
    pub(crate) const fn at(zone: &'a TimeZone, arrival: Timestamp) -> Place<'a> {
        Place { zone, arrival, near: arrival }
    }
}

impl Place<'_> {
    /// When the clocks of the zone showed `time`.
    ///
    /// Of two instants (clocks were set back) the one nearer to `near`; a time that was skipped (clocks were set
    /// forward) is what a clock showed that nobody had set yet.
    pub(crate) fn instant(&self, time: DateTime) -> Option<Timestamp> {
        let at = |offset: Offset| Some(Timestamp(offset.to_timestamp(time).ok()?.as_millisecond()));
        match self.zone.to_ambiguous_timestamp(time).offset() {
            AmbiguousOffset::Unambiguous { offset } => at(offset),
            AmbiguousOffset::Gap { before, .. } => at(before),
            AmbiguousOffset::Fold { before, after } => {
                let (first, second) = (at(before)?, at(after)?);
                let distance = |instant: Timestamp| instant.ms_since(self.near).unsigned_abs();
                Some(if distance(first) < distance(second) { first } else { second })
            }
        }
    }

    /// The instant in the latest year that does not put it more than a day after the arrival; `in_year` gives the
    /// instant in a year, if the year has such a day.
    pub(crate) fn in_latest_year(&self, in_year: impl FnMut(i16) -> Option<Timestamp>) -> Option<Timestamp> {
        let latest = self.arrival.plus_ms(AHEAD_MS_MAX);
        let year = jiff::Timestamp::from_millisecond(latest.0).ok()?.to_zoned(TimeZone::UTC).year();
        // The zone may be in the next year already.
        (year - LEAP_YEARS_APART..=year + 1).rev().filter_map(in_year).find(|instant| *instant <= latest)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn instant(zone: &str, time: DateTime, arrival: &str) -> String {
        let zone = TimeZone::get(zone).unwrap();
        let arrival = Timestamp(arrival.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        Place::at(&zone, arrival).instant(time).unwrap().to_string()
    }

    #[test]
    fn of_two_instants_the_one_nearer_to_the_arrival_counts() {
        let twice = date(2026, 10, 25).at(2, 30, 0, 0);
        for (arrival, expected) in [
            ("2026-10-25T00:30:01Z", "2026-10-25T00:30:00.000Z"),
            ("2026-10-25T01:30:01Z", "2026-10-25T01:30:00.000Z"),
            ("2026-10-25T01:29:59Z", "2026-10-25T01:30:00.000Z"),
            ("2027-01-01T00:00:00Z", "2026-10-25T01:30:00.000Z"),
        ] {
            assert_eq!(instant("Europe/Berlin", twice, arrival), expected, "{arrival}");
        }
    }

    #[test]
    fn of_two_instants_the_one_nearer_to_the_line_before_counts() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let at = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let mut before = at("2026-10-24T23:59:00Z");
        let shown = [(2, 30), (2, 59), (2, 5), (2, 30)].map(|(hour, minute)| {
            let place = Place { near: before, ..Place::at(&zone, at("2027-01-01T00:00:00Z")) };
            before = place.instant(date(2026, 10, 25).at(hour, minute, 0, 0)).unwrap();
            before.to_string()[11..16].to_owned()
        });
        assert_eq!(shown, ["00:30", "00:59", "01:05", "01:30"]);
    }

    #[test]
    fn a_skipped_time_is_that_of_a_clock_nobody_had_set() {
        let skipped = date(2026, 3, 29).at(2, 30, 0, 0);
        assert_eq!(instant("Europe/Berlin", skipped, "2026-03-29T01:30:00Z"), "2026-03-29T01:30:00.000Z");
    }

    #[test]
    fn the_year_is_the_latest_that_is_not_ahead() {
        let arrival = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let year = |month, day, hour, arrived: &str| {
            let place = Place::at(&crate::zone::UTC, arrival(arrived));
            let at = |year| place.instant(jiff::civil::Date::new(year, month, day).ok()?.at(hour, 0, 0, 0));
            place.in_latest_year(at).unwrap().to_string()
        };
        assert_eq!(year(12, 31, 23, "2026-01-01T00:00:01Z"), "2025-12-31T23:00:00.000Z");
        assert_eq!(year(1, 1, 0, "2025-12-31T23:59:59Z"), "2026-01-01T00:00:00.000Z");
        assert_eq!(year(11, 23, 12, "2026-11-22T12:00:00Z"), "2026-11-23T12:00:00.000Z");
        assert_eq!(year(11, 23, 13, "2026-11-22T12:00:00Z"), "2025-11-23T13:00:00.000Z");
        assert_eq!(year(2, 29, 0, "2026-11-22T12:00:00Z"), "2024-02-29T00:00:00.000Z");
        assert_eq!(year(2, 29, 0, "2103-11-22T12:00:00Z"), "2096-02-29T00:00:00.000Z");
    }
}
