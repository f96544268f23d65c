//! Bytes of a file into events: where lines end, what is cut, what is repaired.

use watchbell_intake::{Joiner, Redactor, Run, Verdict, without_blank_end};
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
    read: &Reading<'_>,
) -> Taken {
    let mut taken = Taken::default();
    taken.push(beginning, continued, read);
    taken.cut_bytes += line_bytes.saturating_sub(beginning.len() as u64);
    taken
}

/// How lines are read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    /// Finds a line's own time.
    pub(crate) timestamp: &'a dyn Fn(&str) -> Option<Timestamp>,
    /// Takes out what must not be stored.
    pub(crate) redactor: &'a Redactor,
}

/// Takes whole lines from `buffer`; with `rest_too` also what follows the last line end.
///
/// `continued`: the line before this buffer was accepted without its end, so a lone line end at the start belongs to
/// it, and other bytes up to the next line end are its continuation.
pub(crate) fn take(mut buffer: Vec<u8>, mut continued: bool, rest_too: bool, read: &Reading<'_>) -> Taken {
    let mut taken = Taken::default();
    if !continued && let Some(whole) = whole_simple_lines(&buffer) {
        let rest = buffer.split_off(whole);
        match String::from_utf8(buffer) {
            Ok(lines) => {
                taken = Taken { events: read.whole_lines(lines), bytes: whole, ..taken };
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
            taken.push(line, continued, read);
        }
        continued = false;
    }
    taken
}

/// Which events of several lines may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Closed {
    /// Those after which another one begins.
    ByTheNext,
    /// Also the last one, as far as its lines are whole.
    AfterWholeLines,
    /// Everything.
    All,
}

/// The same for events of several lines: what belongs to one event is taken together or not at all.
pub(crate) fn take_joined(
    buffer: &[u8],
    mut continued: bool,
    closed: Closed,
    joiner: &Joiner,
    read: &Reading<'_>,
) -> Taken {
    let mut taken = Taken::default();
    let mut run = Run::default();
    // The event that is being put together: its text, its flags, and where it ends in the buffer.
    let mut event: Vec<u8> = Vec::new();
    let mut flags = EventFlags::default();
    let (mut at, mut is_open, mut terminated) = (0, false, true);
    while at < buffer.len() {
        let end = memchr::memchr(b'\n', &buffer[at..]).map(|end| at + end + 1);
        if end.is_none() && closed != Closed::All {
            break;
        }
        let line_end = end.unwrap_or(buffer.len());
        let line = without_end(&buffer[at..line_end]);
        if continued && line.is_empty() {
            // The end of a line that had been taken without it.
            (taken.bytes, at, continued) = (line_end, line_end, false);
            continue;
        }
        match joiner.see(&mut run, line) {
            Verdict::Continues if !continued => event.push(b'\n'),
            verdict => {
                if is_open {
                    taken.push_joined(&event, flags, read);
                    taken.bytes = at;
                }
                let inside = continued || verdict == Verdict::StartsInside;
                flags = if inside { EventFlags::CONTINUED } else { EventFlags::default() };
                event.clear();
            }
        }
        event.extend_from_slice(line);
        (at, is_open, terminated, continued) = (line_end, true, end.is_some(), false);
    }
    if is_open && closed != Closed::ByTheNext {
        taken.push_joined(&event, flags, read);
        taken.bytes = at;
        taken.unterminated = !terminated;
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

impl Reading<'_> {
    /// Whole lines that are UTF-8 and need no cut, as events.
    fn whole_lines(&self, lines: String) -> BatchBuilder {
        let Some((redacted, changed)) = self.redactor.redact(&lines) else {
            return BatchBuilder::of_lines(lines, self.timestamp);
        };
        let mut events = BatchBuilder::of_lines(redacted, self.timestamp);
        for line in changed {
            events.flag(line, EventFlags::REDACTED);
        }
        events
    }
}

impl Taken {
    /// An event of several lines: its time is that of the first.
    fn push_joined(&mut self, event: &[u8], flags: EventFlags, read: &Reading<'_>) {
        let Kept { text, flags: kept, dropped_bytes } = read.redactor.kept(without_blank_end(event));
        self.cut_bytes += dropped_bytes as u64;
        let first = text.split('\n').next().unwrap_or_default();
        self.events.push(&text, (read.timestamp)(first), kept.with(flags));
    }

    fn push(&mut self, line: &[u8], continued: bool, read: &Reading<'_>) {
        let Kept { text, flags, dropped_bytes } = read.redactor.kept(line);
        self.cut_bytes += dropped_bytes as u64;
        let flags = if continued { flags.with(EventFlags::CONTINUED) } else { flags };
        self.events.push(&text, (read.timestamp)(&text), flags);
    }
}

#[cfg(test)]
mod tests {
    use watchbell_model::{Batch, GroupName, Multiline, MultilineBy, Source};

    use super::*;

    fn events(taken: Taken) -> Vec<(String, EventFlags)> {
        let source = Source::Http { principal: "test".into(), batch_id: None };
        let batch: Batch = taken.events.build(GroupName::new("g").unwrap(), "s".into(), source, false);
        batch.events().map(|event| (event.message.to_owned(), event.flags)).collect()
    }

    fn texts(taken: Taken) -> Vec<String> {
        events(taken).into_iter().map(|(text, _)| text).collect()
    }

    fn read<'a>(timestamp: &'a dyn Fn(&str) -> Option<Timestamp>, redactor: &'a Redactor) -> Reading<'a> {
        Reading { timestamp, redactor }
    }

    fn plain(buffer: &[u8], continued: bool, rest_too: bool) -> Taken {
        take(buffer.to_vec(), continued, rest_too, &read(&|_| None, &Redactor::default()))
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

    fn joined(buffer: &str, continued: bool, closed: Closed) -> (usize, Vec<(String, EventFlags)>) {
        let by = MultilineBy::Start("^[A-Z]".into());
        let joiner = Joiner::new(&Multiline { by, timeout_ms: 1000, lines_max: 3 }).unwrap();
        let taken = take_joined(
            buffer.as_bytes(),
            continued,
            closed,
            &joiner,
            &read(&|_| None, &Redactor::default()),
        );
        (taken.bytes, events(taken))
    }

    #[test]
    fn an_event_of_several_lines_is_taken_when_the_next_begins_or_nothing_more_comes() {
        let none = EventFlags::default();
        let text = "A\r\n a1\n\nB\n b1\n b2";
        let first = ("A\n a1".to_owned(), none);
        assert_eq!(joined(text, false, Closed::ByTheNext), (8, vec![first.clone()]));
        let whole = ("B\n b1".to_owned(), none);
        assert_eq!(joined(text, false, Closed::AfterWholeLines), (14, vec![first.clone(), whole]));
        let all = ("B\n b1\n b2".to_owned(), none);
        assert_eq!(joined(text, false, Closed::All), (17, vec![first, all]));
        assert_eq!(joined("A\n", false, Closed::ByTheNext), (0, vec![]));
    }

    #[test]
    fn what_continues_something_that_was_taken_is_flagged() {
        let flagged = |text: &str| (text.to_owned(), EventFlags::CONTINUED);
        let (bytes, events) = joined("\nA\n", true, Closed::All);
        assert_eq!((bytes, events), (3, vec![("A".to_owned(), EventFlags::default())]));
        assert_eq!(joined("\nA\n", true, Closed::ByTheNext), (1, vec![]), "a lone line end is passed");
        assert_eq!(joined("est\n more\nA\n", true, Closed::All).1[0], flagged("est\n more"));
        assert_eq!(joined(" late\nA\n", false, Closed::ByTheNext), (6, vec![flagged(" late")]));
        let many = joined("A\n1\n2\n3\n4\nB\n", false, Closed::ByTheNext).1;
        assert_eq!(many, [("A\n1\n2".to_owned(), EventFlags::default()), flagged("3\n4")]);
    }

    #[test]
    fn the_time_of_an_event_is_that_of_its_first_line() {
        let by = MultilineBy::Start("^[0-9]".into());
        let joiner = Joiner::new(&Multiline { by, timeout_ms: 1000, lines_max: 3 }).unwrap();
        let times = |line: &str| line.parse().ok().map(Timestamp);
        let taken = take_joined(b"7\n x\n", false, Closed::All, &joiner, &read(&times, &Redactor::default()));
        let source = Source::Http { principal: "test".into(), batch_id: None };
        let batch = taken.events.build(GroupName::new("g").unwrap(), "s".into(), source, false);
        assert_eq!(batch.timestamp(0), Some(Timestamp(7)));
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
        let taken = take(b"7\nx\n9".to_vec(), false, true, &read(&times, &Redactor::default()));
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
        let taken = take_beginning(
            &line.as_bytes()[..line.len() - 1],
            20_000_000,
            false,
            &read(&|_| None, &Redactor::default()),
        );
        assert_eq!(taken.cut_bytes, 20_000_000 - LINE_BYTES_MAX as u64);
        assert_eq!(events(taken)[0].1, EventFlags::CUT);
    }

    #[test]
    fn the_beginning_of_a_line_that_ends_inside_a_character_is_cut_before_it() {
        let line = "\u{20ac}".repeat(LINE_BYTES_MAX / 3 + 9);
        let taken = take_beginning(
            &line.as_bytes()[..LINE_BYTES_MAX + 4],
            20_000_000,
            false,
            &read(&|_| None, &Redactor::default()),
        );
        let event = events(taken).remove(0);
        assert!(event.0.chars().all(|c| c == '\u{20ac}'));
        assert_eq!((event.0.len(), event.1), (LINE_BYTES_MAX - 1, EventFlags::CUT));
    }
}
