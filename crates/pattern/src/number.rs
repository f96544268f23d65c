//! Numbers as they are spelled: what reads as one, and which of two is larger.
//!
//! Comparison is exact on the decimal digits. A 64-bit float would call 9007199254740993 and
//! 9007199254740992 equal, and identifiers of that length do stand in logs.

use std::cmp::Ordering;

/// A spelled number, taken apart: ± whole . fraction × 10^exponent.
#[derive(Clone, Copy)]
pub(crate) struct Number<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

/// The value of a text that reads as a number: optional sign, digits, optional decimals, optional exponent.
///
/// This is the one reading that comparisons and metric values share: `+1`, `007`, `5.25` and `1e-3` are numbers;
/// `.5`, `5.`, `0x10`, `inf`, `1 ms` and the empty text are not. `None` also for what a 64-bit float cannot hold
/// (`1e999`): no metric can have that value.
///
/// Source: spec sections 4.3, 5.3 and 6 (extracted value).
pub fn number(text: &str) -> Option<f64> {
    Number::read(text)?;
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

impl<'a> Number<'a> {
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let (negative, rest) = sign(text.as_bytes());
        let (whole, rest) = digits(rest)?;
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => digits(rest)?,
            _ => (&[][..], rest),
        };
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => exponent(rest)?,
            _ => return None,
        };
        Some(Self { negative, whole, fraction, exponent })
    }

    pub(crate) fn compare(self, other: Self) -> Ordering {
        match (self.is_negative(), other.is_negative()) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.compare_size(other),
            (true, true) => other.compare_size(self),
        }
    }

    fn compare_size(self, other: Self) -> Ordering {
        // `None`, zero, is the smallest size.
        self.magnitude().cmp(&other.magnitude()).then_with(|| {
            let (mut ours, mut theirs) = (self.significant(), other.significant());
            loop {
                match (ours.next(), theirs.next()) {
                    (None, None) => return Ordering::Equal,
                    (our, their) => match our.unwrap_or(b'0').cmp(&their.unwrap_or(b'0')) {
                        Ordering::Equal => {}
                        different => return different,
                    },
                }
            }
        })
    }

    fn is_negative(self) -> bool {
        self.negative && self.significant().next().is_some()
    }

    /// The power of ten of the first digit that is not zero; `None` for zero itself.
    fn magnitude(self) -> Option<i64> {
        let zeros = self.whole.iter().chain(self.fraction).position(|&digit| digit != b'0')?;
        // Texts are shorter than i64::MAX, so only the written exponent can run into the end of the range.
        let place = i64::try_from(self.whole.len()).ok()? - i64::try_from(zeros).ok()?;
        Some(self.exponent.saturating_add(place))
    }

    fn significant(self) -> impl Iterator<Item = u8> {
        self.whole.iter().chain(self.fraction).copied().skip_while(|&digit| digit == b'0')
    }
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// One or more digits, and what follows them.
fn digits(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    (length > 0).then(|| text.split_at(length))
}

/// An exponent up to the end of the text. One too large for 64 bits counts as the largest there is.
fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, text) = sign(text);
    let (digits, rest) = digits(text)?;
    let size = digits
        .iter()
        .fold(0i64, |size, digit| size.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    rest.is_empty().then_some(if negative { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(left: &str, right: &str) -> Ordering {
        Number::read(left).unwrap().compare(Number::read(right).unwrap())
    }

    #[test]
    fn spellings_of_one_number_are_equal() {
        for (left, right) in [
            ("1", "1.0"),
            ("1", "1e0"),
            ("100", "1e2"),
            ("0.001", "1e-3"),
            ("007", "7"),
            ("+5", "5"),
            ("-0", "0.000e9"),
            ("120", "0.12E+3"),
        ] {
            assert_eq!(compare(left, right), Ordering::Equal, "{left} {right}");
        }
    }

    #[test]
    fn order_follows_value_not_length() {
        for (smaller, larger) in [
            ("9", "10"),
            ("-10", "-9"),
            ("-1", "0"),
            ("0", "1e-400"),
            ("0.9", "0.91"),
            ("9007199254740992", "9007199254740993"),
            ("1e400", "1e401"),
            ("1e-99999999999999999999", "1"),
            ("1", "1e99999999999999999999"),
        ] {
            assert_eq!(compare(smaller, larger), Ordering::Less, "{smaller} {larger}");
            assert_eq!(compare(larger, smaller), Ordering::Greater, "{larger} {smaller}");
        }
    }

    #[test]
    fn only_whole_numbers_decimals_and_exponents_read_as_numbers() {
        for text in
            ["", "-", "+", ".5", "5.", "1e", "1e+", "1.e1", "0x10", "inf", "NaN", " 1", "1 ", "1_0", "--1"]
        {
            assert_eq!(number(text), None, "{text:?}");
        }
        assert_eq!(number("-2.5E1"), Some(-25.0));
        assert_eq!(number("+007"), Some(7.0));
        assert_eq!(number("1e999"), None);
    }
}
