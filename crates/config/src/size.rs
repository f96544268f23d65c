//! Sizes as they are written: a whole number and a unit.

/// Bytes of each unit. Powers of two only: what is bounded is memory and files.
const UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// The bytes of `512KiB`, `10MiB` or `1GiB`.
///
/// # Errors
/// What is wrong with the text, as the end of a message about it.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, &'static str> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err("does not start with a whole number");
    }
    if unit.is_empty() {
        return Err("has no unit");
    }
    let Some((_, bytes)) = UNITS.into_iter().find(|(name, _)| *name == unit) else {
        return Err("is not one whole number and one unit");
    };
    number.parse().ok().and_then(|number: u64| number.checked_mul(bytes)).ok_or("is out of range")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_numbers_with_a_unit() {
        for (text, bytes) in [("0B", 0), ("512KiB", 512 << 10), ("10MiB", 10 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "GiB",
            "10",
            "-1GiB",
            "1.5GiB",
            "1 GiB",
            "1GB",
            "1gib",
            "99999999999999999999B",
            "18446744073709551615KiB",
        ] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
