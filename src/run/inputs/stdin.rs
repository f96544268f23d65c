//! Standard input, read as a file that grows: `… | watchbell up`.
//!
//! Whoever writes is slowed down to what the journal takes: nothing more is read until what was read is on disk. At its
//! end the process goes on serving.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use watchbell_intake::{BEHIND_CUT_BYTES, Joiner};
use watchbell_model::{GroupName, LINE_BYTES_MAX, LossReason, Source, Taken};

use super::Hands;
use super::pipe::{Stop, Woken, read};
use crate::run::collector::lines::{self, Closed};
use crate::run::sources::SourceState;

/// The log stream of its lines.
const STREAM: &str = "stdin";

/// Bytes that are read, and journaled, at a time.
const READ_BYTES: usize = 256 * 1024;

/// Bytes of a line that are held: of a longer one the rest is counted.
const HELD_BYTES_MAX: usize = LINE_BYTES_MAX + BEHIND_CUT_BYTES;

/// A line without an end is taken after it has been quiet for this long, as in a file.
const QUIET: Duration = Duration::from_secs(1);

/// Standard input of one log group.
pub(super) struct Stdin {
    pub(super) group: GroupName,
    pub(super) hands: Hands,
    pub(super) stop: Stop,
}

/// What was read and is in no batch yet.
#[derive(Default)]
struct Held {
    buffer: Vec<u8>,
    /// The bytes so far of a line that is too long; `buffer` has its beginning.
    long: Option<u64>,
    /// The line before was taken without its end.
    continued: bool,
}

impl Stdin {
    /// Reads until the end, or until it is told to stop.
    pub(super) fn run(self) {
        let ended = io::stdin().as_fd().try_clone_to_owned().map(File::from).and_then(|input| {
            self.hands.tell(&self.group, STREAM, SourceState::Following, None);
            self.follow(&input)
        });
        let (state, reason) = match ended {
            Ok(Woken::Stopped) => return,
            Ok(_) => {
                tracing::info!(log_group = %self.group, "standard input has ended; watchbell goes on serving");
                (SourceState::Ended, None)
            }
            Err(error) => {
                tracing::error!(log_group = %self.group, %error, "standard input cannot be read any more");
                (SourceState::Error, Some(error.to_string()))
            }
        };
        self.hands.tell(&self.group, STREAM, state, reason);
    }

    fn follow(&self, input: &File) -> io::Result<Woken> {
        let (mut held, mut chunk, mut was_quiet) = (Held::default(), Vec::new(), false);
        loop {
            let joined = self.hands.settings.of(&self.group).joiner.map_or(QUIET, |(_, quiet)| quiet);
            let patience = if was_quiet { QUIET } else { joined };
            let woken = self.stop.wait(&[input], (!held.is_empty()).then_some(patience))?;
            if woken == Woken::Quiet {
                let closed = if was_quiet || joined >= QUIET { Closed::All } else { Closed::AfterWholeLines };
                self.take(&mut held, &[], closed);
                was_quiet = true;
                continue;
            }
            chunk.clear();
            let is_end = woken == Woken::Stopped || read(input, &mut chunk, READ_BYTES)? == 0;
            self.take(&mut held, &chunk, if is_end { Closed::All } else { Closed::ByTheNext });
            if is_end {
                return Ok(woken);
            }
            was_quiet = false;
        }
    }

    /// Journals what of the bytes is closed.
    fn take(&self, held: &mut Held, bytes: &[u8], closed: Closed) {
        let (reading, at) = (self.hands.settings.of(&self.group), self.hands.clock.now());
        let time = |line: &str| reading.timestamps.of(line, at);
        let how = lines::Reading { timestamp: &time, redactor: &reading.redactor };
        let joiner = reading.joiner.as_ref().map(|(joiner, _)| joiner.as_ref());
        let mut batches = Vec::new();
        held.take(bytes, closed, joiner, &how, |bytes, lines| {
            let mut taken = Taken { bytes, ..Taken::default() };
            taken.drop_bytes(LossReason::LineTooLong, lines.cut_bytes);
            let source = Source::Stdin { taken };
            batches.push(lines.events.build(self.group.clone(), STREAM.to_owned(), source, false));
        });
        self.hands.hand_over(batches);
    }
}

impl Held {
    fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Takes what is closed after `bytes`; `out` gets the bytes that it took, and its lines.
    fn take(
        &mut self,
        mut bytes: &[u8],
        closed: Closed,
        joiner: Option<&Joiner>,
        how: &lines::Reading<'_>,
        mut out: impl FnMut(u64, lines::Taken),
    ) {
        if let Some(long) = self.long {
            let end = memchr::memchr(b'\n', bytes);
            let (line, rest) = end.map_or((bytes, &[][..]), |end| (&bytes[..end], &bytes[end + 1..]));
            let long = long + line.len() as u64;
            self.long = Some(long);
            if end.is_none() && closed != Closed::All {
                return;
            }
            out(
                long + u64::from(end.is_some()),
                lines::take_beginning(&self.buffer, long, self.continued, how),
            );
            *self = Held { continued: end.is_none(), ..Held::default() };
            bytes = rest;
        }
        self.buffer.extend_from_slice(bytes);
        self.take_whole(closed, joiner, how, &mut out);
        if self.buffer.len() > HELD_BYTES_MAX {
            // An event of several lines that is that long is full; what stays then is one line without an end.
            self.take_whole(closed.max(Closed::AfterWholeLines), joiner, how, &mut out);
            if self.buffer.len() > HELD_BYTES_MAX {
                self.long = Some(self.buffer.len() as u64);
                self.buffer.truncate(HELD_BYTES_MAX);
            }
        }
    }

    fn take_whole(
        &mut self,
        closed: Closed,
        joiner: Option<&Joiner>,
        how: &lines::Reading<'_>,
        out: &mut impl FnMut(u64, lines::Taken),
    ) {
        let taken = match joiner {
            None => lines::take(self.buffer.clone(), self.continued, closed == Closed::All, how),
            Some(joiner) => lines::take_joined(&self.buffer, self.continued, closed, joiner, how),
        };
        if taken.bytes > 0 {
            self.buffer.drain(..taken.bytes);
            self.continued = taken.unterminated;
            out(taken.bytes as u64, taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use watchbell_intake::Redactor;
    use watchbell_model::{Batch, BatchBuilder, Multiline, MultilineBy};

    use super::*;

    /// Bytes that were taken, and the texts of the events.
    fn taken(pieces: &[&[u8]], joiner: Option<&Joiner>) -> (u64, u64, Vec<String>) {
        let (mut held, mut bytes, mut dropped, mut texts) = (Held::default(), 0, 0, Vec::new());
        let redactor = Redactor::default();
        let how = lines::Reading { timestamp: &|_| None, redactor: &redactor };
        let build = |events: BatchBuilder| -> Batch {
            let source = Source::Stdin { taken: Taken::default() };
            events.build(GroupName::new("g").unwrap(), STREAM.into(), source, false)
        };
        for (number, piece) in pieces.iter().enumerate() {
            let closed = if number + 1 == pieces.len() { Closed::All } else { Closed::ByTheNext };
            held.take(piece, closed, joiner, &how, |took, lines| {
                bytes += took;
                dropped += lines.cut_bytes;
                texts.extend(build(lines.events).events().map(|event| event.message.to_owned()));
            });
        }
        assert!(held.is_empty());
        (bytes, dropped, texts)
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_counted_and_its_neighbours_are_whole() {
        let long = vec![b'x'; 5 * LINE_BYTES_MAX];
        let text = [b"before\n".as_slice(), &long, b"\nafter"].concat();
        for size in [7, 100_000, 10_000_000] {
            let (bytes, dropped, texts) = taken(&text.chunks(size).collect::<Vec<_>>(), None);
            assert_eq!((bytes, dropped), (text.len() as u64, 4 * LINE_BYTES_MAX as u64), "{size}");
            assert_eq!(texts.iter().map(String::len).collect::<Vec<_>>(), [6, LINE_BYTES_MAX, 5]);
        }
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_come(
            text in "([a-c ]{0,3}\r?\n?){0,20}",
            cuts in prop::collection::vec(0..80_usize, 0..6),
            multiline: bool,
        ) {
            let by = MultilineBy::Start("^[a-c]".into());
            let joiner = Joiner::new(&Multiline { by, timeout_ms: 1000, lines_max: 3 }).unwrap();
            let joiner = multiline.then_some(&joiner);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
            let at_once = taken(&[text.as_bytes()], joiner);
            prop_assert_eq!(taken(&pieces, joiner), at_once.clone());
            prop_assert_eq!(at_once.0, text.len() as u64);
        }
    }
}
