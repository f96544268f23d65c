//! Bytes of a file into events: where lines end, what is cut, what is repaired.

use watchbell_model::{BatchBuilder, EventFlags, Kept, LINE_BYTES_MAX, Timestamp, without_end};

/// What was taken out of a buffer.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The events.
    pub(crate) events: BatchBuilder,
    /// Bytes they stand for, line ends included.
    pub(crate) bytes: usize,
    /// Bytes dropped from lines that were too long.
    pub(crate) cut_bytes: u64,
    /// The last event had no line end.
    pub(crate) unterminated: bool,
}

/// The event of a line that is too long to be held: its beginning, which is longer than the limit, and how many bytes
/// the line has without its line end.
pub(crate) fn take_beginning(
    beginning: &[u8],
    line_bytes: u64,
    continued: bool,
    timestamp: TimestampOf<'_>,
) -> Taken {
    let mut taken = Taken::default();
    taken.push(beginning, continued, timestamp);
    taken.cut_bytes += line_bytes.saturating_sub(beginning.len() as u64);
    taken
}

/// Finds a line's own time.
pub(crate) type TimestampOf<'a> = &'a dyn Fn(&str) -> Option<Timestamp>;

/// Takes whole lines from `buffer`; with `rest_too` also what follows the last line end.
///
/// `continued`: the line before this buffer was accepted without its end, so a lone line end at the start belongs to
/// it, and other bytes up to the next line end are its continuation.
pub(crate) fn take(
    mut buffer: Vec<u8>,
    mut continued: bool,
    rest_too: bool,
    timestamp: TimestampOf<'_>,
) -> Taken {
    let mut taken = Taken::default();
    if !continued && let Some(whole) = whole_simple_lines(&buffer) {
        let rest = buffer.split_off(whole);
        match String::from_utf8(buffer) {
            Ok(lines) => {
                taken = Taken { events: BatchBuilder::of_lines(lines, timestamp), bytes: whole, ..taken };
                buffer = rest;
            }
            Err(error) => buffer = [error.into_bytes(), rest].concat(),
        }
    }
    let mut rest = buffer.as_slice();
    while !rest.is_empty() {
        let (line, terminated) = match memchr::memchr(b'\n', rest) {
            Some(end) => (&rest[..=end], true),
            None if rest_too => (rest, false),
            None => break,
        };
        rest = &rest[line.len()..];
        taken.bytes += line.len();
        taken.unterminated = !terminated;
        let line = without_end(line);
        let belongs_to_the_line_before = continued && line.is_empty();
        if !belongs_to_the_line_before {
            taken.push(line, continued, timestamp);
        }
        continued = false;
    }
    taken
}

/// Where the whole lines of `buffer` end, if none has to be cut or loses a carriage return. Usually it is so, and if they
/// are UTF-8 as well, they are events as they are: then it is much quicker not to look at each.
fn whole_simple_lines(buffer: &[u8]) -> Option<usize> {
    let whole = memchr::memrchr(b'\n', buffer)? + 1;
    let is_simple = whole <= LINE_BYTES_MAX && memchr::memchr(b'\r', &buffer[..whole]).is_none();
    is_simple.then_some(whole)
}

impl Taken {
    fn push(&mut self, line: &[u8], continued: bool, timestamp: TimestampOf<'_>) {
        let Kept { text, flags, dropped_bytes } = Kept::of(line);
        self.cut_bytes += dropped_bytes as u64;
        let flags = if continued { flags.with(EventFlags::CONTINUED) } else { flags };
        self.events.push(&text, timestamp(&text), flags);
    }
}

#[cfg(test)]
mod tests {
    use watchbell_model::{Batch, GroupName, Source};

    use super::*;

    fn events(taken: Taken) -> Vec<(String, EventFlags)> {
        let source = Source::Http { principal: "test".into(), batch_id: None };
        let batch: Batch = taken.events.build(GroupName::new("g").unwrap(), "s".into(), source, false);
        batch.events().map(|event| (event.message.to_owned(), event.flags)).collect()
    }

    fn texts(taken: Taken) -> Vec<String> {
        events(taken).into_iter().map(|(text, _)| text).collect()
    }

    fn plain(buffer: &[u8], continued: bool, rest_too: bool) -> Taken {
        take(buffer.to_vec(), continued, rest_too, &|_| None)
    }

    #[test]
    fn a_line_ends_at_lf_and_loses_one_cr() {
        let taken = plain(b"a\r\nb\r\r\n\nc", false, false);
        assert_eq!(taken.bytes, 8);
        assert_eq!(texts(taken), ["a", "b\r", ""]);
    }

    #[test]
    fn the_rest_is_taken_when_asked_for_and_its_end_is_no_event() {
        let taken = plain(b"a\nrest\r", false, true);
        assert!(taken.unterminated);
        assert_eq!(texts(taken), ["a", "rest\r"]);
        assert_eq!(texts(plain(b"\r\nnext\n", true, false)), ["next"]);
        assert_eq!(texts(plain(b"\n\n", true, false)), [""]);
        let events = events(plain(b"more\nnext\n", true, false));
        assert_eq!(events, [("more".into(), EventFlags::CONTINUED), ("next".into(), EventFlags::default())]);
    }

    #[test]
    fn what_is_not_utf_8_is_repaired_and_flagged() {
        assert_eq!(
            events(plain(b"a\xffb\0\n", false, false)),
            [("a\u{fffd}b\0".into(), EventFlags::REPAIRED)]
        );
    }

    #[test]
    fn lines_that_need_nothing_are_taken_at_once_and_the_rest_as_usual() {
        let text = "one\n\ntwo \u{e9}\nrest";
        for (rest_too, expected) in
            [(false, vec!["one", "", "two \u{e9}"]), (true, vec!["one", "", "two \u{e9}", "rest"])]
        {
            let taken = plain(text.as_bytes(), false, rest_too);
            assert_eq!((taken.bytes, taken.unterminated), (if rest_too { 16 } else { 12 }, rest_too));
            assert_eq!(texts(taken), expected);
        }
        let times = |line: &str| line.parse().ok().map(Timestamp);
        let taken = take(b"7\nx\n9".to_vec(), false, true, &times);
        let source = Source::Http { principal: "test".into(), batch_id: None };
        let batch = taken.events.build(GroupName::new("g").unwrap(), "s".into(), source, false);
        let found: Vec<_> = batch.events().map(|event| event.timestamp).collect();
        assert_eq!(found, [Some(Timestamp(7)), None, Some(Timestamp(9))]);
    }

    #[test]
    fn a_line_over_the_limit_is_cut_and_counted() {
        let line = "\u{e9}".repeat(LINE_BYTES_MAX / 2 + 1) + "\n";
        let taken = plain(line.as_bytes(), false, false);
        assert_eq!((taken.bytes, taken.cut_bytes), (line.len(), 2));
        assert_eq!(events(taken)[0].1, EventFlags::CUT);
        let taken = take_beginning(&line.as_bytes()[..line.len() - 1], 20_000_000, false, &|_| None);
        assert_eq!(taken.cut_bytes, 20_000_000 - LINE_BYTES_MAX as u64);
        assert_eq!(events(taken)[0].1, EventFlags::CUT);
    }

    #[test]
    fn the_beginning_of_a_line_that_ends_inside_a_character_is_cut_before_it() {
        let line = "\u{20ac}".repeat(LINE_BYTES_MAX / 3 + 9);
        let taken = take_beginning(&line.as_bytes()[..LINE_BYTES_MAX + 4], 20_000_000, false, &|_| None);
        let event = events(taken).remove(0);
        assert!(event.0.chars().all(|c| c == '\u{20ac}'));
        assert_eq!((event.0.len(), event.1), (LINE_BYTES_MAX - 1, EventFlags::CUT));
    }
}
