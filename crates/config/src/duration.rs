//! Durations as they are written: a whole number and a unit.

/// Milliseconds of each unit.
const UNITS: [(&str, i64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The milliseconds of `500ms`, `30s`, `5m`, `1h` or `14d`.
///
/// # Errors
/// What is wrong with the text, as the end of a message about it.
pub fn parse_ms(text: &str) -> Result<i64, &'static str> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err("does not start with a whole number");
    }
    if unit.is_empty() {
        return Err("has no unit");
    }
    let Some((_, unit_ms)) = UNITS.into_iter().find(|(name, _)| *name == unit) else {
        return Err("is not one whole number and one unit");
    };
    number.parse().ok().and_then(|number: i64| number.checked_mul(unit_ms)).ok_or("is out of range")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_with_a_unit_pass() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("14d", 1_209_600_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_ms(text), Ok(ms), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "s",
            "10",
            "-1s",
            "1.5s",
            "10 s",
            "1h30m",
            "5min",
            "1e3s",
            "+1s",
            "٣s",
            "9223372036854775807s",
        ] {
            assert!(parse_ms(text).is_err(), "{text}");
        }
        assert_eq!(parse_ms("99999999999999999999s"), Err("is out of range"));
    }
}
