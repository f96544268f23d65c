//! Shares and rates as they are written.

use crate::{quantity, size};

/// Of which a rate is one, in a minute.
const UNITS: [(&str, i64); 2] = [("/s", 60), ("/min", 1)];

/// The percent of `60%`: 1 to 100.
///
/// # Errors
/// What is wrong with the text, as the end of a message about it.
pub(crate) fn parse_percent(text: &str) -> Result<u32, &'static str> {
    let percent = quantity::parse(text, &[("%", 1)])?;
    u32::try_from(percent).ok().filter(|percent| (1..=100).contains(percent)).ok_or("is out of range")
}

/// How many in a minute `100/s` or `6000/min` is; 1 or more.
///
/// # Errors
/// What is wrong with the text, as the end of a message about it.
pub(crate) fn parse_per_minute(text: &str) -> Result<u64, &'static str> {
    positive(quantity::parse(text, &UNITS)?)
}

/// How many bytes in a second `1MiB/s` is; 1 or more.
///
/// # Errors
/// What is wrong with the text, as the end of a message about it.
pub(crate) fn parse_bytes_per_second(text: &str) -> Result<u64, &'static str> {
    let size = text.strip_suffix("/s").ok_or("does not end with \"/s\"")?;
    positive(size::parse_bytes(size)?.cast_signed())
}

fn positive(number: i64) -> Result<u64, &'static str> {
    u64::try_from(number).ok().filter(|number| *number > 0).ok_or("is out of range")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_1_to_100_percent() {
        assert_eq!(parse_percent("1%"), Ok(1));
        assert_eq!(parse_percent("100%"), Ok(100));
        for text in ["", "%", "0%", "101%", "60", "60 %", "6.5%", "-1%", "0.6", "60%%"] {
            assert!(parse_percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_in_a_minute() {
        assert_eq!(parse_per_minute("100/s"), Ok(6000));
        assert_eq!(parse_per_minute("6000/min"), Ok(6000));
        assert_eq!(parse_per_minute("1/min"), Ok(1));
        for text in ["", "100", "/s", "0/s", "1/h", "1 /s", "1.5/s", "9223372036854775807/s"] {
            assert!(parse_per_minute(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_of_bytes_are_in_a_second() {
        assert_eq!(parse_bytes_per_second("1MiB/s"), Ok(1 << 20));
        assert_eq!(parse_bytes_per_second("512B/s"), Ok(512));
        for text in ["", "1MiB", "/s", "0B/s", "1MiB/min", "1MB/s", "1MiB/s/s"] {
            assert!(parse_bytes_per_second(text).is_err(), "{text}");
        }
    }
}
