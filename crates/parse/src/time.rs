//! Times as lines write them.

use watchbell_model::Timestamp;

use crate::zone::Place;

/// Nanoseconds, the finest unit, in one of each unit that a number since the epoch may have, coarsest first.
const UNITS_NS: [u128; 4] = [1_000_000_000, 1_000_000, 1_000, 1];

/// The first nanosecond that a number may mean, 1973-03-03: smaller numbers are durations and counters, and up to
/// here one unit's numbers cannot be another's.
const EPOCH_NS_MIN: u128 = 100_000_000 * 1_000_000_000;

/// A time written as text: a date with a time as [`date_and_time`] reads it, or a number as [`epoch`] does.
pub(crate) fn text(text: &str, place: &Place<'_>) -> Option<Timestamp> {
    let text = text.trim();
    date_and_time(text, place).or_else(|| epoch(text))
}

/// RFC 3339, or the same without a zone.
pub(crate) fn date_and_time(text: &str, place: &Place<'_>) -> Option<Timestamp> {
    usual(text.as_bytes()).or_else(|| any_date_and_time(text, place))
}

/// What most programs write, `2026-11-22T21:11:52.125Z` or with an offset `+01:00`, read here because the general reader
/// takes as long as the rest of a JSON line. `None` says only that it is not that.
fn usual(text: &[u8]) -> Option<Timestamp> {
    let (&head, tail) = text.split_first_chunk::<19>()?;
    let [y1, y2, y3, y4, b'-', o1, o2, b'-', d1, d2, b'T' | b' ', h1, h2, b':', m1, m2, b':', s1, s2] = head
    else {
        return None;
    };
    let date = (four([y1, y2, y3, y4])?, two(o1, o2)?, two(d1, d2)?);
    let second_ms = utc_ms(date, two(h1, h2)?, two(m1, m2)?, two(s1, s2)?)?;
    let (fraction_ms, zone) = match tail.strip_prefix(b".") {
        Some(fraction) => {
            let length = fraction
                .iter()
                .position(|b| !b.is_ascii_digit())
                .filter(|length| (1..=9).contains(length))?;
            let (digits, zone) = fraction.split_at(length);
            let place = |place: usize| digits.get(place).map_or(0, |digit| i64::from(digit - b'0'));
            (place(0) * 100 + place(1) * 10 + place(2), zone)
        }
        None => (0, tail),
    };
    let offset_ms = match zone {
        b"Z" => 0,
        [b'+', h1, h2, b':', m1, m2] => offset_ms([*h1, *h2, *m1, *m2])?,
        [b'-', h1, h2, b':', m1, m2] => -offset_ms([*h1, *h2, *m1, *m2])?,
        _ => return None,
    };
    Some(Timestamp(second_ms + fraction_ms - offset_ms)).filter(|time| time.0 >= 0)
}

/// Milliseconds since 1970 of a date (year, month, day) and a time in UTC; `None` before 1970 and if there is none such.
fn utc_ms((year, month, day): (i64, i64, i64), hour: i64, minute: i64, second: i64) -> Option<i64> {
    const DAYS_BEFORE: [i64; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let before = DAYS_BEFORE.get(usize::try_from(month - 1).ok()?)?;
    let days =
        DAYS_BEFORE.get(usize::try_from(month).ok()?)? - before + i64::from(month == 2 && is_leap(year));
    // The date library knows no later year.
    let is_time =
        (1970..=9998).contains(&year) && (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if !is_time {
        return None;
    }
    let leap_days = |year: i64| year / 4 - year / 100 + year / 400;
    let this_leap_day = i64::from(month > 2 && is_leap(year));
    let leap_days = leap_days(year - 1) - leap_days(1969) + this_leap_day;
    let day = (year - 1970) * 365 + leap_days + before + day - 1;
    Some((((day * 24 + hour) * 60 + minute) * 60 + second) * 1000)
}

/// Of an offset from UTC without its sign; `None` from a day on.
fn offset_ms([h1, h2, m1, m2]: [u8; 4]) -> Option<i64> {
    let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
    (hours < 24 && minutes < 60).then_some((hours * 60 + minutes) * 60_000)
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    let is_number = tens.is_ascii_digit() && ones.is_ascii_digit();
    is_number.then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

fn four([a, b, c, d]: [u8; 4]) -> Option<i64> {
    Some(two(a, b)? * 100 + two(c, d)?)
}

/// The same as [`date_and_time`], whatever is written.
fn any_date_and_time(text: &str, place: &Place<'_>) -> Option<Timestamp> {
    let time = match text.parse::<jiff::Timestamp>() {
        Ok(instant) => Timestamp(instant.as_millisecond()),
        Err(_) if is_wall_time(text) => place.instant(text.parse().ok()?)?,
        Err(_) => return None,
    };
    (time.0 >= 0).then_some(time)
}

/// A date, one separator and a time of digits only. A zone that could not be read must not be taken for UTC, and a
/// date alone is no time.
fn is_wall_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= "2026-11-22 21:11".len()
        && matches!(bytes[10], b' ' | b'T' | b't')
        && bytes[11..].iter().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.' | b','))
}

/// A decimal number since the epoch, in the unit that puts it between the years 1973 and 5138.
pub(crate) fn epoch(number: &str) -> Option<Timestamp> {
    if number.contains(['e', 'E']) {
        let value: f64 = number.parse().ok().filter(|value: &f64| value.is_finite())?;
        return epoch(&format!("{value:.9}"));
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.len() > 20 || fraction.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let mut billionths = whole.parse::<u128>().ok()?;
    for place in 0..9 {
        let digit = fraction.as_bytes().get(place).map_or(0, |digit| digit - b'0');
        billionths = billionths * 10 + u128::from(digit);
    }
    let unit_ns = UNITS_NS.iter().find(|unit_ns| {
        let ns = billionths * **unit_ns / 1_000_000_000;
        (EPOCH_NS_MIN..EPOCH_NS_MIN * 1000).contains(&ns)
    })?;
    i64::try_from(billionths * unit_ns / 1_000_000_000 / 1_000_000).ok().map(Timestamp)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Bytes of a time in an access log, without its brackets.
pub(crate) const ACCESS_BYTES: usize = 26;

/// The time of an access log, without its brackets: `17/May/2015:10:05:03 +0200`.
pub(crate) fn access(text: &[u8]) -> Option<Timestamp> {
    let text: [u8; ACCESS_BYTES] = text.try_into().ok()?;
    let [
        d1,
        d2,
        b'/',
        month @ ..,
        b'/',
        y1,
        y2,
        y3,
        y4,
        b':',
        h1,
        h2,
        b':',
        m1,
        m2,
        b':',
        s1,
        s2,
        b' ',
        sign,
        o1,
        o2,
        o3,
        o4,
    ] = text
    else {
        return None;
    };
    let date = (four([y1, y2, y3, y4])?, i64::from(month_of(&month)?), two(d1, d2)?);
    // A leap second is told as the second before it, as everywhere in Unix.
    let second = two(s1, s2).filter(|second| *second <= 60)?.min(59);
    let instant = Timestamp(utc_ms(date, two(h1, h2)?, two(m1, m2)?, second)?);
    let offset_ms = offset_ms([o1, o2, o3, o4])?;
    match sign {
        b'+' => Some(instant.plus_ms(-offset_ms)),
        b'-' => Some(instant.plus_ms(offset_ms)),
        _ => None,
    }
}

pub(crate) fn digit(byte: u8) -> Option<i8> {
    byte.is_ascii_digit().then(|| (byte - b'0').cast_signed())
}

pub(crate) fn month_of(name: &[u8]) -> Option<i8> {
    const MONTHS: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    (1..).zip(MONTHS).find(|(_, month)| *month == name).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UTC: Place<'static> = Place::at(&crate::zone::UTC, Timestamp(0));

    #[test]
    fn access_times_honour_their_offset() {
        let utc = Some(Timestamp(1_431_857_103_000));
        for text in [
            "17/May/2015:10:05:03 +0000",
            "17/May/2015:12:05:03 +0200",
            "17/May/2015:04:35:03 -0530",
            "18/May/2015:09:05:03 +2300",
        ] {
            assert_eq!(access(text.as_bytes()), utc, "{text}");
        }
        assert_eq!(
            access(b"31/Dec/2016:23:59:60 +0000"),
            access(b"31/Dec/2016:23:59:59 +0000"),
            "a leap second"
        );
    }

    #[test]
    fn impossible_access_times_are_none() {
        for text in [
            "31/Feb/2015:10:05:03 +0000",
            "17/Mai/2015:10:05:03 +0000",
            "17/May/2015:24:05:03 +0000",
            "17/May/2015:10:60:03 +0000",
            "17/May/2015:10:05:61 +0000",
            "17/May/2015:10:05:03 +2400",
            "17/May/2015:10:05:03 +0060",
            "17/May/2015:10:05:03 *0000",
            "17/May/2015:10:05:03",
            "17/May/0000:10:05:03 +0000",
            "1é/May/2015:10:05:03 +0000",
            "",
        ] {
            assert_eq!(access(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn text_times_are_read() {
        let at = Some(Timestamp(1_795_381_912_125));
        for written in [
            "2026-11-22T21:11:52.125Z",
            "2026-11-22 21:11:52.125",
            "2026-11-22 21:11:52,125",
            "2026-11-22T21:11:52.125999999",
            "2026-11-22T22:11:52.125+01:00",
            "2026-11-22T16:11:52.125-0500",
            " 2026-11-22T21:11:52.125z ",
            "1795381912.125",
            "1795381912125",
        ] {
            assert_eq!(text(written, &UTC), at, "{written}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for written in [
            "",
            "soon",
            "2026-11-22",
            "2026-13-22T21:11:52Z",
            "2026-02-30 21:11:52",
            "2026-11-22T25:11:52Z",
            "2026-11-22T21:11:52+99:00",
            "2026-11-22T21:11:52-99",
            "2026-11-22T21:11:52[Europe/Berlin]",
            "2026-11-22T21:11:52 CET",
            "0001-01-01T00:00:00Z",
            "1969-12-31 23:59:59",
            "21:11:52",
        ] {
            assert_eq!(text(written, &UTC), None, "{written}");
        }
    }

    #[test]
    fn numbers_are_read_by_their_magnitude() {
        let at = Some(Timestamp(1_795_381_912_125));
        for number in [
            "1795381912.125",
            "1795381912.1259999",
            "1795381912125",
            "1795381912125.9",
            "1795381912125999",
            "1795381912125999999",
            "1.795381912125e9",
            "1.795381912125E12",
        ] {
            assert_eq!(epoch(number), at, "{number}");
        }
        assert_eq!(epoch("100000000"), Some(Timestamp(100_000_000_000)));
        assert_eq!(epoch("99999999999"), Some(Timestamp(99_999_999_999_000)));
        assert_eq!(epoch("100000000000"), Some(Timestamp(100_000_000_000)));
    }

    #[test]
    fn numbers_that_are_no_time_are_none() {
        for number in [
            "0",
            "-1795381912",
            "12.5",
            "99999999",
            "1e300",
            "1e999",
            "-1e9",
            "NaN",
            "99999999999999999999999",
            "100000000000000000000",
            "1795381912.",
            ".5",
            "1795381912.1.2",
            "+1795381912",
        ] {
            assert_eq!(epoch(number), None, "{number}");
        }
    }

    /// Every day up to 2400, and the last ones.
    #[test]
    fn dates_are_those_of_the_calendar() {
        let mut day = jiff::civil::date(1970, 1, 1);
        let mut ms = 0;
        while day.year() < 2401 {
            let read = utc_ms((day.year().into(), day.month().into(), day.day().into()), 0, 0, 0);
            assert_eq!(read, Some(ms), "{day}");
            day = day.tomorrow().unwrap();
            ms += 86_400_000;
        }
        assert_eq!(utc_ms((9998, 12, 31), 23, 59, 59), Some(253_370_764_799_000));
        for none in [
            (1969, 12, 31),
            (9999, 1, 1),
            (2026, 0, 1),
            (2026, 13, 1),
            (2026, 1, 0),
            (2026, 4, 31),
            (2100, 2, 29),
        ] {
            assert_eq!(utc_ms(none, 0, 0, 0), None, "{none:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_usual_is_read_as_anything_is(
            text in "(19[67]|20[0-9]|999)[0-9]-[01][0-9]-[0-3][0-9][T t][0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.,][0-9]{0,10})?(Z|z|[+-][0-2][0-9]:?[0-6][0-9])?"
        ) {
            prop_assert_eq!(date_and_time(&text, &UTC), any_date_and_time(&text, &UTC));
        }

        #[test]
        fn access_times_are_those_of_rfc_3339(
            year in 1970..=9998_i16, month in 1..=12_usize, day in 1..=31_i8, clock in "[0-2][0-9]:[0-5][0-9]:[0-5][0-9]", sign in "[+-]", hours in 0..=23_i8
        ) {
            let name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][month - 1];
            let written = access(format!("{day:02}/{name}/{year}:{clock} {sign}{hours:02}30").as_bytes());
            let rfc_3339 = format!("{year}-{month:02}-{day:02}T{clock}{sign}{hours:02}:30").parse::<jiff::Timestamp>();
            prop_assert_eq!(written, rfc_3339.ok().map(|instant| Timestamp(instant.as_millisecond())));
        }
    }
}
