//! Finds what presets of redaction name. All of it ends at a line end at the latest.

pub(crate) mod cards;
pub(crate) mod emails;
pub(crate) mod tokens;

/// How many bytes from `at` on fit.
fn run(text: &[u8], at: usize, fits: impl Fn(u8) -> bool) -> usize {
    text[at..].iter().take_while(|byte| fits(**byte)).count()
}

/// How many bytes before `at` fit.
fn run_before(text: &[u8], at: usize, fits: impl Fn(u8) -> bool) -> usize {
    text[..at].iter().rev().take_while(|byte| fits(**byte)).count()
}
