//! Where JSON strings stop being plain: all quotes, backslashes and control characters of a text, as a map of bits.
//!
//! Most bytes of a JSON log are inside strings, so this sets the pace. Comparing 64 bytes at once needs no branch and the
//! compiler makes vector instructions of it; finding the end of a string is then a shift and a count of zeros.
//! Measured against looking at eight bytes at a time from each opening quote on: docs/performance.md.

#![expect(clippy::inline_always, reason = "parts of the JSON walk: see there")]

const WIDTH: usize = 64;

/// A bit for every byte of a text.
#[derive(Default)]
pub(super) struct Specials {
    words: Vec<u64>,
    len: usize,
}

impl Specials {
    /// Marks the special bytes of `bytes` in the place of what was marked before.
    pub(super) fn mark(&mut self, bytes: &[u8]) {
        self.words.clear();
        self.len = bytes.len();
        let (chunks, rest) = bytes.as_chunks::<WIDTH>();
        self.words.extend(chunks.iter().map(mask));
        let mut last = [b' '; WIDTH];
        last[..rest.len()].copy_from_slice(rest);
        self.words.push(mask(&last));
    }

    /// Walks over the marks from `at` on.
    pub(super) fn from(&self, at: usize) -> Marks<'_> {
        let mut marks = Marks { words: &self.words, len: self.len, number: 0, word: 0 };
        marks.seek(at);
        marks
    }
}

/// A walk over the special bytes of a text, forwards.
///
/// The marks that are left of a word stay in a register: the next one is then a few steps away and does not wait for the
/// place of the reader to be worked out. This halves the time of a JSON walk.
pub(super) struct Marks<'s> {
    words: &'s [u64],
    len: usize,
    number: usize,
    /// The marks that are left of the word with that number.
    word: u64,
}

impl Marks<'_> {
    /// The next special byte behind the one at `at`.
    #[inline(always)]
    pub(super) fn behind(&mut self, at: usize) -> usize {
        // Strings have no marks between them unless there is white space of other kinds than a space.
        if self.word != 0 && self.here() == at {
            self.word &= self.word - 1;
        } else {
            self.seek(at + 1);
        }
        while self.word == 0 {
            self.number += 1;
            match self.words.get(self.number) {
                Some(word) => self.word = *word,
                None => return self.len,
            }
        }
        self.here()
    }

    /// Forgets the mark at `at`, if it is the next one.
    #[inline(always)]
    pub(super) fn pass(&mut self, at: usize) {
        if self.word != 0 && self.here() == at {
            self.word &= self.word - 1;
        }
    }

    #[inline(always)]
    fn here(&self) -> usize {
        self.number * WIDTH + self.word.trailing_zeros() as usize
    }

    fn seek(&mut self, at: usize) {
        self.number = at / WIDTH;
        self.word = self.words.get(self.number).map_or(0, |word| word >> (at % WIDTH) << (at % WIDTH));
    }
}

#[inline]
fn mask(chunk: &[u8; WIDTH]) -> u64 {
    let mut marks = [0; WIDTH];
    for (mark, byte) in marks.iter_mut().zip(chunk) {
        *mark = u8::from(*byte == b'"') | u8::from(*byte == b'\\') | u8::from(*byte < 0x20);
    }
    let (eights, _) = marks.as_chunks::<8>();
    // A product gathers eight bytes of 0 or 1 into the highest byte.
    let gathered =
        eights.iter().map(|eight| u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56);
    gathered.zip(0..).fold(0, |mask, (bits, number)| mask | bits << (8 * number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_next_mark_is_the_next_byte_that_is_not_plain(
            bytes in prop::collection::vec(prop_oneof![30 => 0x20..=255_u8, 1 => any::<u8>()], 0..200),
            start in 0..220_usize, ats in prop::collection::vec(0..220_usize, 1..20),
        ) {
            let mut specials = Specials::default();
            specials.mark(b"\"\"\"");
            specials.mark(&bytes);
            let special = |byte: &u8| matches!(byte, 0..0x20 | b'"' | b'\\');
            let mut marks = specials.from(start);
            for at in ats {
                let at = at.min(bytes.len());
                let place = bytes.iter().skip(at + 1).position(special);
                prop_assert_eq!(marks.behind(at), place.map_or(bytes.len(), |place| at + 1 + place));
                if let Some(place) = place.filter(|place| place % 2 == 0) {
                    marks.pass(at + 1 + place);
                }
            }
        }
    }
}
