//! Splitting an event's text into tokens for space-delimited patterns.
//!
//! Source: spec section 5.1. Tokens are separated by white space. One that begins with `[` or `"` runs to the next
//! `]` or `"` and loses both, if white space or the end follows that; otherwise it is ordinary text. Backslashes
//! mean nothing. Promise: every byte that is not white space belongs to exactly one token, in linear time.

use std::ops::Range;

/// One token of an event's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token<'m> {
    /// Without its delimiters.
    pub(crate) text: &'m str,
    /// Where it stands in the message, in bytes, delimiters included.
    pub(crate) span: Range<usize>,
}

/// What separates tokens: what `\s` covers in a regex.
pub(crate) fn is_white_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0B' | '\x0C' | '\r')
}

pub(crate) fn split(message: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    split_into(message, usize::MAX, &mut tokens);
    tokens
}

/// Puts the first tokens of `message`, up to `count_max`, in the place of what is in `tokens`.
pub(crate) fn split_into<'m>(message: &'m str, count_max: usize, tokens: &mut Vec<Token<'m>>) {
    tokens.clear();
    let bytes = message.as_bytes();
    let mut bracket = NextBracket { known: 0 };
    let mut at = 0;
    // White space is ASCII, so a byte of it is never a part of another character.
    while tokens.len() < count_max
        && let Some(skipped) = bytes[at..].iter().position(|&byte| !is_white_space_byte(byte))
    {
        let start = at + skipped;
        let closing = match bytes[start] {
            b'[' => bracket.from(bytes, start + 1),
            b'"' => memchr::memchr(b'"', &bytes[start + 1..]).map(|distance| start + 1 + distance),
            _ => None,
        };
        let token = closing.and_then(|closing| delimited(message, start, closing)).unwrap_or_else(|| {
            let end = word_end(bytes, start);
            Token { text: &message[start..end], span: start..end }
        });
        at = token.span.end;
        tokens.push(token);
    }
}

fn is_white_space_byte(byte: u8) -> bool {
    byte.is_ascii() && is_white_space(char::from(byte))
}

/// The first white space at or behind `at`, or the end.
fn word_end(bytes: &[u8], mut at: usize) -> usize {
    // Eight at a time: how long a word is cannot be foreseen, so that a loop over its bytes mostly ends in a wrong guess.
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let marks = white_space(u64::from_le_bytes(*eight));
        at += (marks.trailing_zeros() / u8::BITS) as usize;
        if marks != 0 {
            return at;
        }
    }
    bytes[at..].iter().position(|&byte| is_white_space_byte(byte)).map_or(bytes.len(), |length| at + length)
}

/// Marks the highest bit of the bytes that are white space.
fn white_space(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHEST: u64 = ONES * 0x80;
    let at_least = |least: u64| (word & !HIGHEST) + ONES * (0x80 - least);
    let other_than_space = word ^ (ONES * 0x20);
    let space = !(((other_than_space & !HIGHEST) + ONES * 0x7F) | other_than_space);
    // From \t to \r.
    let other = at_least(9) & !at_least(14) & !word;
    (space | other) & HIGHEST
}

/// The token from an opening character to its closing one, if that ends a word.
fn delimited(message: &str, start: usize, closing: usize) -> Option<Token<'_>> {
    let ends_here = message.as_bytes().get(closing + 1).is_none_or(|&byte| is_white_space_byte(byte));
    ends_here.then(|| Token { text: &message[start + 1..closing], span: start..closing + 1 })
}

/// Finds closing brackets for rising positions, remembering the last one found: a message of many `[` and no or
/// one far `]` would otherwise be searched to the end for each. Quotes need no memory: the next quote, where a
/// search ends, is also where the next one may begin.
struct NextBracket {
    /// The first `]` at or after the last position asked for; the length of the message if there is none.
    known: usize,
}

impl NextBracket {
    fn from(&mut self, bytes: &[u8], at: usize) -> Option<usize> {
        if self.known < at {
            self.known = memchr::memchr(b']', &bytes[at..]).map_or(bytes.len(), |distance| at + distance);
        }
        (self.known < bytes.len()).then_some(self.known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(message: &str) -> Vec<&str> {
        split(message).into_iter().map(|token| token.text).collect()
    }

    proptest! {
        #[test]
        fn every_byte_is_in_one_token_or_is_white_space(message in r#"([\[\]"ab é\t]{0,20}|.{0,20})"#) {
            let mut at = 0;
            for token in split(&message) {
                prop_assert!(message[at..token.span.start].chars().all(is_white_space));
                prop_assert!(!token.span.is_empty());
                let span = &message[token.span.clone()];
                prop_assert!(span == token.text || span[1..span.len() - 1] == *token.text);
                at = token.span.end;
                prop_assert!(message[at..].chars().next().is_none_or(is_white_space));
            }
            prop_assert!(message[at..].chars().all(is_white_space));
        }
    }

    #[test]
    fn words_end_at_white_space_of_every_kind_and_at_nothing_else() {
        for byte in 0..=u8::MAX {
            for place in 0..20 {
                let mut bytes = [b'\xC3'; 20];
                bytes[place] = byte;
                let end = if is_white_space_byte(byte) { place } else { 20 };
                assert_eq!(word_end(&bytes, 0), end, "{byte:#x} at {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_first_tokens_are_those_of_the_whole(message in r#"[\[\]"ab é\t]{0,20}"#, count_max in 0..6_usize) {
            let mut first = Vec::new();
            split_into(&message, count_max, &mut first);
            let whole = split(&message);
            prop_assert_eq!(&first[..], &whole[..count_max.min(whole.len())]);
        }
    }

    #[test]
    fn delimiters_are_lost_only_when_a_word_ends_behind_them() {
        assert_eq!(texts(r#"[a b] "c d" e"#), ["a b", "c d", "e"]);
        assert_eq!(texts(r#""a"b c" d"#), [r#""a"b"#, r#"c""#, "d"]);
        assert_eq!(texts("[a]b ]"), ["[a]b", "]"]);
        assert_eq!(texts("[[a] b]"), ["[a", "b]"]);
        assert_eq!(texts(r#"x "" [] y"#), ["x", "", "", "y"]);
        assert_eq!(texts(r#"k="a b" sshd[1 2]"#), [r#"k="a"#, r#"b""#, "sshd[1", "2]"]);
        assert_eq!(texts(r#"" "#), ["\""]);
        assert_eq!(texts(r#""a\" b""#), [r"a\", r#"b""#]);
    }

    #[test]
    fn unclosed_brackets_do_not_hide_a_later_pair() {
        assert_eq!(texts("[a [b] [c d]x [e f]"), ["a [b", "[c", "d]x", "e f"]);
    }

    #[test]
    fn many_openings_stay_linear() {
        for ending in ["", "]x", "\"x"] {
            assert_eq!(
                split(&("[a \"a ".repeat(1 << 18) + ending)).len(),
                (1 << 19) + usize::from(!ending.is_empty())
            );
            assert!(split(&("[a ".repeat(1 << 19) + ending)).len() >= 1 << 19);
        }
    }
}
