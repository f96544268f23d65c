//! A request's body as log events.
//!
//! Promise: bad input never loses what was good. Every line that is not empty becomes one event, in order; what had
//! to be changed is flagged on the event and counted. Pure: bytes in, events out.

use memchr::memchr;
use serde::Serialize;
use watchbell_intake::{Joiner, Redactor, Run, Verdict, without_blank_end};
use watchbell_model::{BatchBuilder, EventFlags, Kept, Timestamp, without_end};

/// Most bytes that one request may take in the journal: an entry's 16 MiB less room for its head.
///
/// Reached by bodies of [`crate::BODY_BYTES_MAX`] only if their lines are very short or hold many bytes that are not
/// UTF-8.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024 - 64 * 1024;

/// What an event takes beside its text: line feed, end, timestamp, flags.
const EVENT_BYTES: usize = 1 + 4 + 8 + 1;

/// The events of a body and what happened to its lines.
#[derive(Debug)]
pub(crate) struct Lines {
    pub(crate) events: BatchBuilder,
    pub(crate) counts: Counts,
}

/// What happened to the lines of a body. Part of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Lines without a byte; not kept.
    pub(crate) empty_lines: usize,
    /// Of lines that should be JSON: those that are not, as kept.
    pub(crate) not_json: usize,
    /// Lines longer than [`watchbell_model::LINE_BYTES_MAX`].
    pub(crate) cut_lines: usize,
    /// Bytes that were cut off, counted after the repair.
    pub(crate) dropped_bytes: usize,
    /// Kept lines in which bytes that are not UTF-8 were replaced.
    pub(crate) repaired_lines: usize,
    /// Kept lines from which something was taken out that must not be stored.
    pub(crate) redacted_lines: usize,
}

/// The events would take more than [`BATCH_BYTES_MAX`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// Splits a body into events. A line ends at a line feed, one carriage return before it is stripped; the last line
/// may do without. `json` asks for the lines that are not JSON to be counted; `timestamp` finds the time in a line.
pub(crate) fn split(
    body: &[u8],
    json: bool,
    redactor: &Redactor,
    timestamp: impl Fn(&str) -> Option<Timestamp>,
) -> Result<Lines, TooLarge> {
    let mut lines = Lines { events: BatchBuilder::default(), counts: Counts::default() };
    for line in lines_of(body) {
        lines.add(without_end(line), json, redactor, &timestamp);
        lines.fits()?;
    }
    Ok(lines)
}

/// The lines of a body, each with its end.
fn lines_of(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = body;
    std::iter::from_fn(move || {
        let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        (!line.is_empty()).then_some(line)
    })
}

/// The same for events of several lines. A body is whole: nothing of it belongs to an event of another one.
pub(crate) fn split_joined(
    body: &[u8],
    joiner: &Joiner,
    redactor: &Redactor,
    timestamp: impl Fn(&str) -> Option<Timestamp>,
) -> Result<Lines, TooLarge> {
    let mut lines = Lines { events: BatchBuilder::default(), counts: Counts::default() };
    let of_first = |text: &str| timestamp(text.split('\n').next().unwrap_or_default());
    let mut run = Run::default();
    let mut event: Option<(Vec<u8>, EventFlags)> = None;
    for line in lines_of(body) {
        let line = without_end(line);
        match (joiner.see(&mut run, line), &mut event) {
            (Verdict::Continues, Some((text, _))) => {
                text.push(b'\n');
                text.extend_from_slice(line);
            }
            (verdict, event) => {
                let inside = verdict != Verdict::Starts;
                let flags = if inside { EventFlags::CONTINUED } else { EventFlags::default() };
                if let Some((text, flags)) = event.replace((line.to_vec(), flags)) {
                    lines.add_joined(&text, flags, redactor, &of_first)?;
                }
            }
        }
    }
    if let Some((text, flags)) = event {
        lines.add_joined(&text, flags, redactor, &of_first)?;
    }
    Ok(lines)
}

impl Lines {
    fn add_joined(
        &mut self,
        text: &[u8],
        flags: EventFlags,
        redactor: &Redactor,
        timestamp: &impl Fn(&str) -> Option<Timestamp>,
    ) -> Result<(), TooLarge> {
        let events = self.events.len();
        self.add(without_blank_end(text), false, redactor, timestamp);
        if flags != EventFlags::default() && self.events.len() > events {
            self.events.flag(events, flags);
        }
        self.fits()
    }

    fn fits(&self) -> Result<(), TooLarge> {
        let bytes = self.events.text_bytes() + self.events.len() * (EVENT_BYTES - 1);
        if bytes > BATCH_BYTES_MAX { Err(TooLarge) } else { Ok(()) }
    }

    fn add(
        &mut self,
        line: &[u8],
        json: bool,
        redactor: &Redactor,
        timestamp: &impl Fn(&str) -> Option<Timestamp>,
    ) {
        if line.is_empty() {
            self.counts.empty_lines += 1;
            return;
        }
        let Kept { text, flags, dropped_bytes } = redactor.kept(line);
        self.counts.redacted_lines += usize::from(flags.has(EventFlags::REDACTED));
        self.counts.cut_lines += usize::from(flags.has(EventFlags::CUT));
        self.counts.dropped_bytes += dropped_bytes;
        self.counts.repaired_lines += usize::from(flags.has(EventFlags::REPAIRED));
        if json && serde_json::from_str::<serde::de::IgnoredAny>(&text).is_err() {
            self.counts.not_json += 1;
        }
        self.events.push(&text, timestamp(&text), flags);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use watchbell_model::{Batch, GroupName, LINE_BYTES_MAX, Source};

    use super::*;

    fn split_plain(body: &[u8]) -> (Batch, Counts) {
        batch(split(body, false, &Redactor::default(), |_| None).unwrap())
    }

    fn batch(lines: Lines) -> (Batch, Counts) {
        let source = Source::Http { principal: "loopback".into(), batch_id: None };
        (lines.events.build(GroupName::new("g").unwrap(), "s".into(), source, false), lines.counts)
    }

    fn messages(batch: &Batch) -> Vec<&str> {
        batch.events().map(|event| event.message).collect()
    }

    #[test]
    fn a_line_ends_at_a_line_feed_and_loses_one_carriage_return() {
        for (body, expected, empty_lines) in [
            (&b"a\nb\n"[..], &["a", "b"][..], 0),
            (b"a\r\nb\r\n", &["a", "b"], 0),
            (b"a\nb", &["a", "b"], 0),
            (b"a\r\r\n", &["a\r"], 0),
            (b"a\rb\n", &["a\rb"], 0),
            (b"a\r", &["a\r"], 0),
            (b"\na\n\r\n\nb\n\n", &["a", "b"], 4),
            (b" \n", &[" "], 0),
            (b"\0\n", &["\0"], 0),
            (b"\n", &[], 1),
            (b"", &[], 0),
        ] {
            let (batch, counts) = split_plain(body);
            assert_eq!(messages(&batch), expected, "{body:?}");
            assert_eq!(counts, Counts { empty_lines, ..Counts::default() }, "{body:?}");
        }
    }

    #[test]
    fn a_line_of_the_limit_is_whole_and_one_byte_more_is_cut() {
        let mut body = vec![b'x'; LINE_BYTES_MAX];
        body.extend(b"\r\n");
        body.extend(vec![b'y'; LINE_BYTES_MAX + 1]);
        let (batch, counts) = split_plain(&body);
        let seen: Vec<_> = batch.events().map(|event| (event.message.len(), event.flags)).collect();
        assert_eq!(seen, [(LINE_BYTES_MAX, EventFlags::default()), (LINE_BYTES_MAX, EventFlags::CUT)]);
        assert_eq!((counts.cut_lines, counts.dropped_bytes), (1, 1));
    }

    #[test]
    fn a_cut_keeps_characters_whole() {
        let line = format!("x{}", "\u{e9}".repeat(LINE_BYTES_MAX / 2));
        let (batch, counts) = split_plain(line.as_bytes());
        assert_eq!(batch.event(0).message.len(), LINE_BYTES_MAX - 1);
        assert_eq!((counts.cut_lines, counts.dropped_bytes), (1, 2));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced_and_flagged() {
        let (batch, counts) = split_plain(b"ok\n\xff\xfea\nstill ok");
        let flags: Vec<_> = batch.events().map(|event| event.flags).collect();
        assert_eq!(messages(&batch), ["ok", "\u{fffd}\u{fffd}a", "still ok"]);
        assert_eq!(flags, [EventFlags::default(), EventFlags::REPAIRED, EventFlags::default()]);
        assert_eq!(counts, Counts { repaired_lines: 1, ..Counts::default() });
    }

    #[test]
    fn a_line_that_was_bad_only_where_it_was_cut_off_is_not_repaired() {
        let mut line = vec![b'x'; LINE_BYTES_MAX];
        line.push(0xff);
        let (batch, counts) = split_plain(&line);
        assert_eq!(batch.event(0).flags, EventFlags::CUT);
        assert_eq!((counts.repaired_lines, counts.dropped_bytes), (0, "\u{fffd}".len()));
    }

    #[test]
    fn lines_that_grow_over_the_limit_by_their_repair_are_cut() {
        let (batch, counts) = split_plain(&vec![0xff; LINE_BYTES_MAX]);
        assert_eq!(batch.event(0).flags, EventFlags::CUT.with(EventFlags::REPAIRED));
        assert_eq!(batch.event(0).message.len() + counts.dropped_bytes, 3 * LINE_BYTES_MAX);
    }

    #[test]
    fn lines_that_are_not_json_are_kept_and_counted() {
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        let body = format!("{{\"a\":1}}\n1\n\"x\"\n{{\n\n{{}} {{}}\n {{}} \n{deep}\n");
        let (batch, counts) = batch(split(body.as_bytes(), true, &Redactor::default(), |_| None).unwrap());
        assert_eq!(batch.len(), 7);
        assert_eq!(counts, Counts { not_json: 2, empty_lines: 1, ..Counts::default() });
    }

    #[test]
    fn lines_of_a_body_are_put_together_and_nothing_is_joined_to_another_body() {
        let by = watchbell_model::MultilineBy::Java;
        let joiner = Joiner::new(&watchbell_model::Multiline { by, timeout_ms: 1000, lines_max: 3 }).unwrap();
        let body = "\tat of.an.earlier(Body.java)\nERROR x\r\njava.lang.Error: y\n\tat a.B(C.java)\n\tat a.D(E.java)\n\nINFO z\n\n";
        let (batch, counts) =
            batch(split_joined(body.as_bytes(), &joiner, &Redactor::default(), |_| None).unwrap());
        let found: Vec<_> = batch.events().map(|event| (event.message, event.flags)).collect();
        let none = EventFlags::default();
        assert_eq!(
            found,
            [
                ("\tat of.an.earlier(Body.java)", EventFlags::CONTINUED),
                ("ERROR x\njava.lang.Error: y\n\tat a.B(C.java)", none),
                ("\tat a.D(E.java)", EventFlags::CONTINUED),
                ("INFO z", none),
            ]
        );
        // Blank lines that belong to no trace are no events.
        assert_eq!(counts, Counts { empty_lines: 2, ..Counts::default() });
    }

    #[test]
    fn times_are_asked_for_the_text_as_kept() {
        let time = |line: &str| line.parse().ok().map(Timestamp);
        let (batch, _) = batch(split(b"7\r\n\nx\n9", false, &Redactor::default(), time).unwrap());
        let times: Vec<_> = batch.events().map(|event| event.timestamp).collect();
        assert_eq!(times, [Some(Timestamp(7)), None, Some(Timestamp(9))]);
    }

    #[test]
    fn what_would_not_fit_an_entry_is_refused() {
        assert!(split(&b"a\n".repeat(1_000_000), false, &Redactor::default(), |_| None).is_ok());
        assert_eq!(
            split(&b"a\n".repeat(1_200_000), false, &Redactor::default(), |_| None).unwrap_err(),
            TooLarge
        );
        let bad = [vec![0xff; LINE_BYTES_MAX / 3], b"\n".to_vec()].concat();
        assert!(split(&bad.repeat(15), false, &Redactor::default(), |_| None).is_ok());
        assert_eq!(split(&bad.repeat(16), false, &Redactor::default(), |_| None).unwrap_err(), TooLarge);
    }

    proptest! {
        #[test]
        fn lines_joined_and_split_come_back(
            lines in prop::collection::vec("[a\u{e9}\r\0 {]{0,5}", 0..20),
            returns in prop::collection::vec(any::<bool>(), 20),
            ended: bool,
        ) {
            let mut body = String::new();
            for (line, carriage_return) in lines.iter().zip(&returns) {
                body.push_str(line);
                // A line that ends in a carriage return of its own needs another one to keep it.
                body.push_str(if *carriage_return || line.ends_with('\r') { "\r\n" } else { "\n" });
            }
            if !ended && lines.last().is_some_and(|last| !last.is_empty()) {
                body.truncate(body.trim_end_matches('\n').len());
                body.truncate(body.len() - usize::from(body.ends_with('\r')));
            }
            let (batch, counts) = split_plain(body.as_bytes());
            let kept: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.is_empty()).collect();
            prop_assert_eq!(messages(&batch), kept);
            prop_assert_eq!(counts, Counts { empty_lines: lines.len() - batch.len(), ..Counts::default() });
        }

        #[test]
        fn any_bytes_give_one_event_for_each_line_with_a_byte(body in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'\r')], 0..300)) {
            let (batch, counts) = split_plain(&body);
            let ends = body.split(|byte| *byte == b'\n').count() - 1;
            let unterminated = usize::from(!body.is_empty() && !body.ends_with(b"\n"));
            prop_assert_eq!(batch.len() + counts.empty_lines, ends + unterminated);
            prop_assert!(batch.events().all(|event| !event.message.is_empty() && !event.message.contains('\n')));
            let repaired = batch.events().filter(|event| event.flags.has(EventFlags::REPAIRED)).count();
            prop_assert_eq!(repaired, counts.repaired_lines);
        }
    }
}
