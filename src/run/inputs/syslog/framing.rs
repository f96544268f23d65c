//! Messages out of a stream of bytes: counted, or ended by LF, as each of them says.
//!
//! Source: RFC 6587 §3.4.1 and §3.4.2. A message is counted if it begins with a number, a space and the `<` of its
//! priority; so a text that begins with a number is never taken for a count.
//! Promise: every byte belongs to exactly one message; the same bytes give the same messages, however they are cut up.

use watchbell_intake::BEHIND_CUT_BYTES;
use watchbell_model::LINE_BYTES_MAX;

/// Bytes of a message that are kept: more are counted. What is redacted may stand across the cut.
pub(super) const KEPT_BYTES_MAX: usize = LINE_BYTES_MAX + BEHIND_CUT_BYTES;

/// Longest number of a count; a longer one is text.
const COUNT_DIGITS_MAX: usize = 9;

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// Its beginning, at most [`KEPT_BYTES_MAX`] bytes and a line end.
    pub(super) text: Vec<u8>,
    /// Bytes that it took, its count or line end included.
    pub(super) bytes: u64,
    /// Bytes of its text that were not kept.
    pub(super) beyond: u64,
    /// It was to be longer: the stream ended in it.
    pub(super) broken: bool,
}

/// Puts messages together.
#[derive(Debug, Default)]
pub(super) struct Deframer {
    state: State,
    /// What does not tell yet which kind of message begins.
    head: Vec<u8>,
    kept: Vec<u8>,
    bytes: u64,
    text_bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Between messages.
    #[default]
    Between,
    /// In one that has so many bytes to come.
    Counted(usize),
    /// In one that ends at LF.
    Ended,
}

enum Beginning {
    NotYetKnown,
    Counted { head_bytes: usize, length: usize },
    Ended,
}

impl Deframer {
    /// Takes the next bytes; `out` gets the messages that end in them.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<Frame>) {
        let mut joined = std::mem::take(&mut self.head);
        let mut rest = if joined.is_empty() {
            bytes
        } else {
            joined.extend_from_slice(bytes);
            &joined
        };
        while !rest.is_empty() {
            match self.state {
                State::Between => match beginning(rest) {
                    Beginning::NotYetKnown => {
                        self.head = rest.to_vec();
                        return;
                    }
                    Beginning::Counted { head_bytes, length } => {
                        rest = &rest[head_bytes..];
                        self.bytes = head_bytes as u64;
                        self.state = State::Counted(length);
                    }
                    Beginning::Ended => self.state = State::Ended,
                },
                State::Counted(left) => {
                    let (text, after) = rest.split_at(left.min(rest.len()));
                    self.keep(text);
                    rest = after;
                    self.state = State::Counted(left - text.len());
                    if left == text.len() {
                        out.push(self.end());
                    }
                }
                State::Ended => {
                    let end = memchr::memchr(b'\n', rest);
                    self.keep(&rest[..end.unwrap_or(rest.len())]);
                    let Some(end) = end else { return };
                    rest = &rest[end + 1..];
                    self.bytes += 1;
                    if self.kept.len() as u64 == self.text_bytes {
                        self.kept.push(b'\n');
                        self.text_bytes += 1;
                    }
                    out.push(self.end());
                }
            }
        }
    }

    /// The message that the stream ends in, if there is one.
    pub(super) fn finish(&mut self) -> Option<Frame> {
        if self.is_between() {
            return None;
        }
        let head = std::mem::take(&mut self.head);
        self.keep(&head);
        let broken = matches!(self.state, State::Counted(_));
        Some(Frame { broken, ..self.end() })
    }

    /// Whether no message has begun.
    pub(super) fn is_between(&self) -> bool {
        self.state == State::Between && self.head.is_empty()
    }

    /// Bytes that are held of the message that has begun.
    pub(super) fn held_bytes(&self) -> usize {
        self.kept.len()
    }

    fn keep(&mut self, text: &[u8]) {
        let room = KEPT_BYTES_MAX.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&text[..text.len().min(room)]);
        self.bytes += text.len() as u64;
        self.text_bytes += text.len() as u64;
    }

    fn end(&mut self) -> Frame {
        let Deframer { kept, bytes, text_bytes, .. } = std::mem::take(self);
        Frame { beyond: text_bytes - kept.len() as u64, text: kept, bytes, broken: false }
    }
}

/// What kind of message begins with these bytes, of which there is at least one.
fn beginning(bytes: &[u8]) -> Beginning {
    let digits = bytes.iter().take(COUNT_DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > COUNT_DIGITS_MAX || bytes[0] == b'0' {
        return Beginning::Ended;
    }
    match bytes[digits..] {
        [] | [b' '] => Beginning::NotYetKnown,
        [b' ', b'<', ..] => {
            let number =
                bytes[..digits].iter().fold(0, |number, byte| number * 10 + usize::from(byte - b'0'));
            Beginning::Counted { head_bytes: digits + 1, length: number }
        }
        _ => Beginning::Ended,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(pieces: &[&[u8]]) -> Vec<Frame> {
        let (mut deframer, mut out) = (Deframer::default(), Vec::new());
        for piece in pieces {
            deframer.push(piece, &mut out);
        }
        out.extend(deframer.finish());
        out
    }

    fn texts(bytes: &str) -> Vec<(String, bool)> {
        let text = |frame: Frame| (String::from_utf8(frame.text).unwrap(), frame.broken);
        frames(&[bytes.as_bytes()]).into_iter().map(text).collect()
    }

    #[test]
    fn messages_are_counted_or_ended_as_each_of_them_says() {
        let whole = |text: &str| (text.to_owned(), false);
        assert_eq!(texts("5 <1>ab6 <2>c\nd<3>e\n"), [whole("<1>ab"), whole("<2>c\nd"), whole("<3>e\n")]);
        assert_eq!(texts("17 apples\n2026-11-22 x\n"), [whole("17 apples\n"), whole("2026-11-22 x\n")]);
        assert_eq!(texts("05 <1>ab\n"), [whole("05 <1>ab\n")]);
        assert_eq!(texts("1234567890 <1>ab"), [whole("1234567890 <1>ab")]);
        assert_eq!(texts("\n<1>a"), [whole("\n"), whole("<1>a")]);
        assert_eq!(texts("9 <1>ab"), [("<1>ab".to_owned(), true)]);
        assert_eq!(texts("12"), [whole("12")]);
    }

    #[test]
    fn what_is_longer_than_a_line_may_be_is_counted_and_its_neighbours_are_whole() {
        let long = vec![b'x'; 3 * LINE_BYTES_MAX];
        let stream = [b"<1>".as_slice(), &long, b"\n<2>next\n"].concat();
        let found = frames(&stream.chunks(4096).collect::<Vec<_>>());
        assert_eq!((found[0].text.len(), found[0].bytes), (KEPT_BYTES_MAX, 3 * LINE_BYTES_MAX as u64 + 4));
        assert_eq!(found[0].beyond, (3 * LINE_BYTES_MAX + 3 - KEPT_BYTES_MAX) as u64);
        assert_eq!(found[1], Frame { text: b"<2>next\n".to_vec(), bytes: 8, ..Frame::default() });
        let counted = [format!("{} <", long.len() + 1).as_bytes(), &long, b"6 <2>abc"].concat();
        let found = frames(&[&counted]);
        assert_eq!(
            (found[0].beyond, found[0].text.len()),
            ((long.len() + 1 - KEPT_BYTES_MAX) as u64, KEPT_BYTES_MAX)
        );
        assert_eq!(found[1].text, b"<2>abc");
    }

    proptest! {
        #[test]
        fn every_byte_is_in_one_message_however_the_stream_is_cut(
            stream in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'<'), Just(b' '), b'0'..=b'9'], 0..120),
            cuts in prop::collection::vec(0..120_usize, 0..8),
        ) {
            let at_once = frames(&[&stream]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            prop_assert_eq!(&frames(&pieces), &at_once);
            prop_assert_eq!(at_once.iter().map(|frame| frame.bytes).sum::<u64>(), stream.len() as u64);
        }
    }
}
