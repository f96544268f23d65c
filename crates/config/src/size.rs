//! Sizes as they are written.

use crate::quantity;

/// Bytes of each unit.
const UNITS: [(&str, i64); 5] =
    [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// The bytes of `512MiB` or `10GiB`.
///
/// # Errors
/// What is wrong with the text, as the end of a message about it.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, &'static str> {
    quantity::parse(text, &UNITS).map(i64::cast_unsigned)
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
