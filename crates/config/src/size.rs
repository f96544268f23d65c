//! Sizes as they are written: a whole number and a unit.

/// Bytes of each unit.
const UNITS: [(&str, u64); 5] =
    [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// The bytes of `512MiB` or `10GiB`.
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
    let Some((_, unit_bytes)) = UNITS.into_iter().find(|(name, _)| *name == unit) else {
        return Err("is not one whole number and one unit");
    };
    number.parse().ok().and_then(|number: u64| number.checked_mul(unit_bytes)).ok_or("is out of range")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_with_a_unit_pass_and_everything_else_is_refused() {
        for (text, bytes) in
            [("0B", 0), ("7KiB", 7 << 10), ("256MiB", 256 << 20), ("10GiB", 10 << 30), ("1TiB", 1 << 40)]
        {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "GiB", "10", "-1B", "1.5GiB", "10 GiB", "10GB", "10gib", "1GiB1MiB", "16777216TiB"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
