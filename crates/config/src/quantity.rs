//! Quantities as they are written: a whole number and a unit.

/// So many of the smallest unit; `units` says how many of it each one is.
///
/// # Errors
/// What is wrong with the text, as the end of a message about it.
pub(crate) fn parse(text: &str, units: &[(&str, i64)]) -> Result<i64, &'static str> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err("does not start with a whole number");
    }
    if unit.is_empty() {
        return Err("has no unit");
    }
    let Some((_, size)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err("is not one whole number and one unit");
    };
    number.parse().ok().and_then(|number: i64| number.checked_mul(*size)).ok_or("is out of range")
}
