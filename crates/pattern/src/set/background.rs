//! How common a text is in logs in general.
//!
//! A search is quick if what it looks for first is rare. This guesses rarity from pairs of bytes in a sample of log
//! lines of many kinds, made up for the purpose. A wrong guess costs time, never a match.

use std::sync::OnceLock;

/// Log lines of many kinds: system logs, access logs, application logs, stack traces, JSON.
pub(super) const SAMPLE: &[u8] = include_bytes!("background.txt");

/// `-log2` of the chance that a byte follows another, for all pairs.
struct Surprise {
    bits: Vec<f32>,
}

/// How surprising it is to find `literal` at a place of a log, in bits: 10 means once in about a thousand bytes.
pub(super) fn surprise(literal: &[u8]) -> f32 {
    static TABLE: OnceLock<Surprise> = OnceLock::new();
    let table = TABLE.get_or_init(|| Surprise::of(SAMPLE));
    let Some(&first) = literal.first() else { return 0.0 };
    // A line feed stands for "anything": it is what the table has before a first byte.
    let pairs = literal.windows(2).map(|pair| table.pair(pair[0], pair[1]));
    table.alone(first) + pairs.sum::<f32>()
}

/// The surprise of finding any one of several.
pub(super) fn surprise_of_any<'l>(literals: impl IntoIterator<Item = &'l [u8]>) -> f32 {
    -literals.into_iter().map(|literal| (-surprise(literal)).exp2()).sum::<f32>().log2()
}

impl Surprise {
    fn of(sample: &[u8]) -> Self {
        // Every pair counts a little from the start: what the sample lacks is rare, not impossible.
        const FLOOR: f32 = 0.05;
        let mut pairs = vec![FLOOR; 1 << 16];
        let mut alone = vec![FLOOR; 256];
        for pair in sample.windows(2) {
            pairs[index(pair[0], pair[1])] += 1.0;
            alone[usize::from(class(pair[0]))] += 1.0;
        }
        let all: f32 = alone.iter().sum();
        let mut bits: Vec<f32> = pairs
            .iter()
            .enumerate()
            .map(|(i, count)| -(count / (alone[i >> 8] + 256.0 * FLOOR)).log2())
            .collect();
        bits.extend(alone.iter().map(|count| -(count / all).log2()));
        Self { bits }
    }

    fn pair(&self, first: u8, second: u8) -> f32 {
        self.bits[index(first, second)] + of_class(second)
    }

    fn alone(&self, byte: u8) -> f32 {
        self.bits[(1 << 16) + usize::from(class(byte))] + of_class(byte)
    }
}

fn index(first: u8, second: u8) -> usize {
    usize::from(class(first)) << 8 | usize::from(class(second))
}

/// Digits are counted together: which one stands where is chance.
fn class(byte: u8) -> u8 {
    if byte.is_ascii_digit() { b'0' } else { byte }
}

/// What it takes to tell one of its class.
fn of_class(byte: u8) -> f32 {
    if byte.is_ascii_digit() { std::f32::consts::LOG2_10 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_most_lines_is_less_surprising_than_what_does_not() {
        for (common, rare) in
            [("INFO", "OutOfMemory"), (" 200 ", "quorum"), ("http", "XQZJ"), ("in", "timed out")]
        {
            assert!(surprise(common.as_bytes()) + 3.0 < surprise(rare.as_bytes()), "{common} {rare}");
        }
    }

    #[test]
    fn one_of_many_is_less_surprising_than_each() {
        let literals = [&b"refused"[..], b"denied", b"failed"];
        let any = surprise_of_any(literals);
        assert!(literals.iter().all(|literal| any < surprise(literal)));
        assert!(any > 0.0);
    }
}
