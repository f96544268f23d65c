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
        // The word behind the last one is looked at together with it.
        self.words.extend([mask(&last), 0]);
    }

    /// The place of the first special byte at or behind `at`; the length of the text if there is none.
    ///
    /// Looks at 64 bytes from there on, wherever the words begin: whether a string goes over the end of a word cannot be
    /// foreseen, and a branch on that would be guessed wrong in every third string.
    #[inline(always)]
    pub(super) fn first(&self, mut at: usize) -> usize {
        loop {
            let (number, shift) = (at / WIDTH, at % WIDTH);
            let Some([word, next]) = self.words.get(number..).and_then(<[u64]>::first_chunk) else {
                return self.len;
            };
            let window = word >> shift | next << 1 << (WIDTH - 1 - shift);
            if window != 0 {
                return at + window.trailing_zeros() as usize;
            }
            at += WIDTH;
        }
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
        fn the_first_special_byte_is_the_next_one_that_is_not_plain(
            bytes in prop::collection::vec(prop_oneof![30 => 0x20..=255_u8, 1 => any::<u8>()], 0..300),
            at in 0..300_usize,
        ) {
            let mut specials = Specials::default();
            specials.mark(b"\"\"\"");
            specials.mark(&bytes);
            let special = |byte: &u8| matches!(byte, 0..0x20 | b'"' | b'\\');
            let at = at.min(bytes.len());
            let place = bytes.iter().skip(at).position(special);
            prop_assert_eq!(specials.first(at), place.map_or(bytes.len(), |place| at + place));
        }
    }
}
