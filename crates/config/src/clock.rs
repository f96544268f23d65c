//! Times of day as tests write them: `HH:MM:SS`, with `.mmm` if needed. Hours go beyond 23 for the days after.

/// Most hours: a year and a day.
const HOURS_MAX: i64 = 366 * 24;

/// Milliseconds after midnight.
pub(crate) fn parse_ms(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "000"));
    if parts.next().is_some() || fraction.len() != 3 || minutes.len() != 2 || seconds.len() != 2 {
        return None;
    }
    let number = |digits: &str, max: i64| {
        let plain = digits.len() >= 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse::<i64>().ok().filter(|number| plain && *number <= max)
    };
    let (hours, minutes, seconds) = (number(hours, HOURS_MAX)?, number(minutes, 59)?, number(seconds, 59)?);
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + number(fraction, 999)?)
}

/// The other way round.
pub fn spell_ms(ms: i64) -> String {
    let (seconds, fraction) = (ms.div_euclid(1000), ms.rem_euclid(1000));
    let (hours, minutes) = (seconds.div_euclid(3600), seconds.rem_euclid(3600) / 60);
    let whole = format!("{hours:02}:{minutes:02}:{:02}", seconds.rem_euclid(60));
    if fraction == 0 { whole } else { format!("{whole}.{fraction:03}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_spelled_alike() {
        for (text, ms) in
            [("00:00:00", 0), ("12:00:10", 43_210_000), ("00:00:01.005", 1005), ("49:00:00", 176_400_000)]
        {
            assert_eq!((parse_ms(text), spell_ms(ms).as_str()), (Some(ms), text));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "12:00",
            "1:00:00",
            "12:60:00",
            "12:00:60",
            "12:00:00.5",
            "12:00:00:00",
            "-1:00:00",
            "99999:00:00",
            "12:00:0x",
        ] {
            assert_eq!(parse_ms(text), None, "{text}");
        }
    }
}
