//! A line's bytes as the text of an event: the same for files, requests and `watchbell pattern`.

use std::borrow::Cow;

use crate::EventFlags;

/// Longest line that is kept whole, in bytes of its text; a longer one is cut here and flagged.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// What some programs begin a UTF-8 file with; it belongs to no line.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What is kept of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<'a> {
    /// UTF-8, at most [`LINE_BYTES_MAX`] bytes.
    pub text: Cow<'a, str>,
    /// [`EventFlags::REPAIRED`] and [`EventFlags::CUT`], where they apply.
    pub flags: EventFlags,
    /// Bytes that were cut off, counted after the repair.
    pub dropped_bytes: usize,
}

impl<'a> Kept<'a> {
    /// Repairs `line` (bytes that are not UTF-8 become U+FFFD), then cuts it at a character.
    pub fn of(line: &'a [u8]) -> Kept<'a> {
        if line.len() <= LINE_BYTES_MAX
            && let Ok(text) = std::str::from_utf8(line)
        {
            return Kept { text: Cow::Borrowed(text), flags: EventFlags::default(), dropped_bytes: 0 };
        }
        let repaired = String::from_utf8_lossy(line);
        let end = repaired.floor_char_boundary(LINE_BYTES_MAX);
        let mut flags = EventFlags::default();
        // What was repaired behind the cut is not kept.
        if std::str::from_utf8(line).is_err_and(|error| error.valid_up_to() < end) {
            flags = flags.with(EventFlags::REPAIRED);
        }
        let dropped_bytes = repaired.len() - end;
        if dropped_bytes == 0 {
            return Kept { text: repaired, flags, dropped_bytes };
        }
        let text = match repaired {
            Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
            Cow::Owned(text) => Cow::Owned(text[..end].to_owned()),
        };
        Kept { text, flags: flags.with(EventFlags::CUT), dropped_bytes }
    }
}

/// `line` without the line feed at its end and one carriage return before that.
///
/// A carriage return without a line feed is text.
pub fn without_end(line: &[u8]) -> &[u8] {
    match line.strip_suffix(b"\n") {
        Some(ended) => ended.strip_suffix(b"\r").unwrap_or(ended),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_carriage_return_goes_with_the_line_feed() {
        for (line, text) in
            [("a\r\n", "a"), ("a\n", "a"), ("a\r\r\n", "a\r"), ("a\r", "a\r"), ("\n", ""), ("", "")]
        {
            assert_eq!(without_end(line.as_bytes()), text.as_bytes(), "{line:?}");
        }
    }

    #[test]
    fn what_is_not_utf_8_is_repaired_before_the_line_is_cut() {
        assert_eq!(Kept::of(b"a\xffb\0").text, "a\u{fffd}b\0");
        assert_eq!(Kept::of(b"a\xffb").flags, EventFlags::REPAIRED);
        let kept = Kept::of(&vec![0xfe; LINE_BYTES_MAX]).text.len();
        assert!((LINE_BYTES_MAX - 2..=LINE_BYTES_MAX).contains(&kept), "{kept}");
    }

    #[test]
    fn a_cut_keeps_characters_whole_and_repairs_nothing() {
        let line = "\u{20ac}".repeat(LINE_BYTES_MAX / 3 + 1);
        let kept = Kept::of(line.as_bytes());
        assert_eq!((kept.flags, kept.dropped_bytes), (EventFlags::CUT, line.len() - kept.text.len()));
        assert!(kept.text.chars().all(|c| c == '\u{20ac}'));
        let broken_behind_the_cut = [line.as_bytes(), b"\xff\xff\xff\xff"].concat();
        assert_eq!(Kept::of(&broken_behind_the_cut).flags, EventFlags::CUT);
    }
}
