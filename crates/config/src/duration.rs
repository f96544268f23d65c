//! Durations as they are written.

use crate::quantity;

/// Milliseconds of each unit.
const UNITS: [(&str, i64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The milliseconds of `500ms`, `30s`, `5m`, `1h` or `14d`.
///
/// # Errors
/// What is wrong with the text, as the end of a message about it.
pub fn parse_ms(text: &str) -> Result<i64, &'static str> {
    quantity::parse(text, &UNITS)
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
