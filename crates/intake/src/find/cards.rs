//! Numbers of payment cards: 13 to 19 digits of a known issuer whose last is the check digit.

use std::ops::Range;

/// Fewest and most digits of a card's number.
const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Finds the numbers, written together or in groups with a space or hyphen between.
pub(crate) fn find(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    let part = |byte: u8| byte.is_ascii_digit() || byte == b' ' || byte == b'-';
    let mut at = 0;
    // A number has at least 13 bytes of this kind in a row: one of them is at each 13th place.
    let mut probe = DIGITS.min().expect("not empty") - 1;
    while probe < text.len() {
        if part(text[probe]) {
            let start = probe - text[at..probe].iter().rev().take_while(|byte| part(**byte)).count();
            let end = probe + super::run(text, probe, part);
            if end - start >= 13 {
                within(text, start..end, &mut found);
            }
            at = end;
            probe = end + 12;
        } else {
            probe += 13;
        }
    }
}

/// Finds them in a run of digits, spaces and hyphens: from each digit that begins a group.
fn within(text: &[u8], run: Range<usize>, found: &mut impl FnMut(Range<usize>)) {
    let mut at = run.start;
    while at < run.end {
        let begins = text[at].is_ascii_digit() && (at == 0 || !is_word(text[at - 1]));
        match begins.then(|| number(text, at, run.end)).flatten() {
            Some(end) => {
                found(at..end);
                at = end;
            }
            None => at += 1,
        }
    }
}

/// Where the longest card number that begins here ends.
fn number(text: &[u8], start: usize, run_end: usize) -> Option<usize> {
    let mut digits = [0_u8; 19];
    let (mut count, mut at, mut end) = (0, start, None);
    while at < run_end && count < digits.len() {
        let byte = text[at];
        if byte.is_ascii_digit() {
            digits[count] = byte - b'0';
            count += 1;
            let ends_here = !text.get(at + 1).is_some_and(|next| is_word(*next));
            if ends_here && DIGITS.contains(&count) && is_card(&digits[..count]) {
                end = Some(at + 1);
            }
        } else if !text.get(at + 1).is_some_and(u8::is_ascii_digit) {
            // Two separators in a row end a number.
            break;
        }
        at += 1;
    }
    end
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Whether an issuer gives such numbers and the last digit checks the others.
///
/// Source: ISO/IEC 7812-1, annex B (Luhn); ranges as the card schemes publish them.
fn is_card(digits: &[u8]) -> bool {
    let first =
        |count: usize| digits[..count].iter().fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    let (two, three, four) = (first(2), first(3), first(4));
    let lengths: &[usize] = match () {
        () if digits[0] == 4 => &[13, 16, 19],
        () if (51..=55).contains(&two) || (2221..=2720).contains(&four) => &[16],
        () if two == 34 || two == 37 => &[15],
        () if (300..=305).contains(&three) || two == 36 || two == 38 || two == 39 => {
            &[14, 15, 16, 17, 18, 19]
        }
        () if (3528..=3589).contains(&four) || four == 6011 || (644..=659).contains(&three) || two == 62 => {
            &[16, 17, 18, 19]
        }
        () if two == 50 || (56..=58).contains(&two) || two == 67 || two == 63 => {
            &[13, 14, 15, 16, 17, 18, 19]
        }
        () => return false,
    };
    let sum = |(place, digit): (usize, &u8)| match (place % 2, *digit) {
        (0, digit) => u32::from(digit),
        (_, digit) => u32::from(digit) * 2 - if digit > 4 { 9 } else { 0 },
    };
    lengths.contains(&digits.len()) && digits.iter().rev().enumerate().map(sum).sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Vec<&str> {
        let mut all = Vec::new();
        find(text.as_bytes(), |range| all.push(&text[range]));
        all
    }

    #[test]
    fn numbers_of_every_issuer_are_found_in_every_spelling() {
        // Published test numbers of payment providers.
        for card in [
            "4111111111111111",
            "4242-4242-4242-4242",
            "5555 5555 5555 4444",
            "2223003122003222",
            "378282246310005",
            "3782 822463 10005",
            "30569309025904",
            "6011111111111117",
            "3530111333300000",
            "6200000000000005",
            "4222222222222",
        ] {
            for text in [
                card.to_owned(),
                format!("card={card},"),
                format!("a {card} b"),
                format!("1 {card}"),
                format!("{card} 2"),
            ] {
                assert_eq!(all(&text), [card], "{text}");
            }
        }
    }

    #[test]
    fn other_numbers_are_left_alone() {
        for text in [
            "4111111111111112",
            "1795381920000000000",
            "2026-11-22 21:11:52 4111",
            "a4111111111111111",
            "4111111111111111a",
            "41111111111111111",
            "4111  1111  1111  1111",
            "9999999999999995",
            "0000000000000000",
            "id 1234567890123456789012345678901234567890",
        ] {
            assert!(all(text).is_empty(), "{text}: {:?}", all(text));
        }
    }

    proptest! {
        #[test]
        fn wherever_it_stands_it_is_found(before in "[a-z.,:= ]{0,40}[,:= ]", after in "[.,; ][a-z.,:= ]{0,40}") {
            let text = format!("{before}4111-1111-1111-1111{after}");
            prop_assert_eq!(all(&text), ["4111-1111-1111-1111"]);
        }
    }
}
