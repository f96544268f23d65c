//! Finds any of many literals in a text by looking at every second or fourth position only.
//!
//! Of every literal the rarest window of `GRAM + STEP - 1` bytes is taken, and its `STEP` grams of four bytes go into a
//! bitmap: wherever the literal stands, one of them stands at a position that is looked at. A position costs one
//! multiplication and one bit, and depends on no position before it; that is why this beats an automaton, which has to
//! finish one byte before it starts the next. The few positions that pass are looked up exactly.
//!
//! Promise: every occurrence is reported once, overlapping ones included; positions of the grams rise.

use super::background::{SAMPLE, surprise};

/// Bytes that are hashed together.
const GRAM: usize = 4;
/// Bytes whose positions are tested before one branch, which then nearly always goes the same way.
const BLOCK: usize = 32;
/// 2^17 bits are 16 KiB and stay in the first cache.
const WORDS_SMALL: usize = 1 << 11;
/// 2^21 bits: the first cache misses cost less than what a fuller map lets through. Measured with 2000 grams: 2.3 against
/// 1.5 GB/s; with 20 000: 1.9 against 0.5.
const WORDS_LARGE: usize = 1 << 15;
/// Up to how many grams the smaller map is the better.
const GRAMS_SMALL_MAX: usize = 400;

pub(super) struct Sieve {
    scan: Scan,
    multiplier: u32,
    exact: Exact,
}

enum Scan {
    Step1(Bitmap),
    Step2(Bitmap),
    Step4(Bitmap),
}

enum Bitmap {
    Small(Box<[u64; WORDS_SMALL]>),
    Large(Box<[u64; WORDS_LARGE]>),
}

/// Gram → the literals it is a part of, by a table of buckets.
struct Exact {
    /// Where a bucket's entries begin; the next one's beginning is its end.
    buckets: Vec<u32>,
    shift: u32,
    entries: Vec<Entry>,
    literals: Vec<Box<[u8]>>,
}

#[derive(Clone, Copy)]
struct Entry {
    gram: u32,
    /// Where the gram stands in the literal.
    offset: u32,
    /// Four bytes at the literal's other end: many literals share a gram (`10.0`, `2026`), and this tells most of them
    /// apart without a look at the literal.
    other: u32,
    /// Where these stand in the literal.
    other_offset: u32,
    literal: u32,
}

impl Entry {
    fn new(text: &[u8], at: usize, literal: u32) -> Self {
        let other = if at >= GRAM { 0 } else { text.len() - GRAM };
        Self {
            gram: gram(&text[at..]),
            offset: to_u32(at),
            other: gram(&text[other..]),
            other_offset: to_u32(other),
            literal,
        }
    }

    /// Where the literal begins if it may be the one whose gram is at `at`.
    #[inline]
    fn start(&self, text: &[u8], at: usize) -> Option<usize> {
        let start = at.checked_sub(self.offset as usize)?;
        let other = text.get(start + self.other_offset as usize..)?.first_chunk()?;
        (u32::from_le_bytes(*other) == self.other).then_some(start)
    }
}

/// The shortest literal that a step can find.
pub(super) const fn literal_bytes_min(step: usize) -> usize {
    GRAM + step - 1
}

impl Sieve {
    /// Takes literals of at least four bytes; the shortest says how wide the steps can be.
    pub(super) fn new(literals: Vec<Box<[u8]>>) -> Self {
        let shortest = literals.iter().map(|literal| literal.len()).min().unwrap_or(usize::MAX);
        let step = [4, 2, 1].into_iter().find(|&step| shortest >= literal_bytes_min(step));
        let step = step.expect("the caller keeps shorter literals");
        let mut entries = Vec::new();
        for (literal, text) in (0..).zip(&literals) {
            let start = rarest_window(text, literal_bytes_min(step));
            entries.extend((start..start + step).map(|at| Entry::new(text, at, literal)));
        }
        let multiplier = best_multiplier(&entries);
        let bitmap = Bitmap::new(&entries, multiplier);
        let scan = match step {
            4 => Scan::Step4(bitmap),
            2 => Scan::Step2(bitmap),
            _ => Scan::Step1(bitmap),
        };
        Self { scan, multiplier, exact: Exact::new(entries, literals) }
    }

    /// Calls `found` with start and literal for every occurrence. `positions` is a buffer.
    pub(super) fn find(&self, text: &[u8], positions: &mut Vec<u32>, mut found: impl FnMut(usize, usize)) {
        positions.clear();
        match &self.scan {
            Scan::Step1(bitmap) => bitmap.scan::<1>(text, self.multiplier, positions),
            Scan::Step2(bitmap) => bitmap.scan::<2>(text, self.multiplier, positions),
            Scan::Step4(bitmap) => bitmap.scan::<4>(text, self.multiplier, positions),
        }
        for &at in &*positions {
            self.exact.find_at(text, at as usize, &mut found);
        }
    }
}

impl Bitmap {
    fn new(entries: &[Entry], multiplier: u32) -> Self {
        if entries.len() <= GRAMS_SMALL_MAX {
            Self::Small(filled(entries, multiplier))
        } else {
            Self::Large(filled(entries, multiplier))
        }
    }

    fn scan<const STEP: usize>(&self, text: &[u8], multiplier: u32, positions: &mut Vec<u32>) {
        match self {
            Self::Small(words) => scan::<WORDS_SMALL, STEP>(words, text, multiplier, positions),
            Self::Large(words) => scan::<WORDS_LARGE, STEP>(words, text, multiplier, positions),
        }
    }
}

/// Pushes every `STEP`th position of `text` whose gram may be wanted.
fn scan<const WORDS: usize, const STEP: usize>(
    words: &[u64; WORDS],
    text: &[u8],
    multiplier: u32,
    positions: &mut Vec<u32>,
) {
    let mut at = 0;
    // The last grams of a block reach into the bytes behind it.
    while let Some(block) = text.get(at..at + BLOCK + GRAM) {
        let mut any = 0;
        for i in (0..BLOCK).step_by(STEP) {
            any |= bit(words, gram(&block[i..]), multiplier);
        }
        if any & 1 != 0 {
            let mut places: u32 = 0;
            for i in (0..BLOCK).step_by(STEP) {
                places |= u32::from(bit(words, gram(&block[i..]), multiplier) & 1 != 0) << i;
            }
            while places != 0 {
                positions.push(to_u32(at) + places.trailing_zeros());
                places &= places - 1;
            }
        }
        at += BLOCK;
    }
    let tail = (at..text.len().saturating_sub(GRAM - 1)).step_by(STEP);
    positions.extend(tail.filter(|&i| bit(words, gram(&text[i..]), multiplier) & 1 != 0).map(to_u32));
}

/// A gram's bit, in the lowest place; the others mean nothing.
///
/// The product's highest bits choose the word, its lowest six the bit: these know only the first byte, but a shift by
/// a product needs no masking, and taking six higher bits was measured to cost a quarter of the speed.
#[inline]
fn bit<const WORDS: usize>(words: &[u64; WORDS], gram: u32, multiplier: u32) -> u64 {
    let hash = gram.wrapping_mul(multiplier);
    words[(hash >> (u32::BITS - WORDS.ilog2())) as usize] >> (hash & 63)
}

/// The map of the entries' grams; made as a vector because the larger one is too large for the stack.
#[expect(clippy::unnecessary_box_returns, reason = "256 KiB are too much for the stack")]
fn filled<const WORDS: usize>(entries: &[Entry], multiplier: u32) -> Box<[u64; WORDS]> {
    let words = vec![0; WORDS].into_boxed_slice();
    let mut words: Box<[u64; WORDS]> = words.try_into().expect("it was made with this length");
    for entry in entries {
        set_bit(&mut words, entry.gram, multiplier);
    }
    words
}

fn set_bit<const WORDS: usize>(words: &mut [u64; WORDS], gram: u32, multiplier: u32) {
    let hash = gram.wrapping_mul(multiplier);
    words[(hash >> (u32::BITS - WORDS.ilog2())) as usize] |= 1 << (hash & 63);
}

impl Exact {
    fn new(mut entries: Vec<Entry>, literals: Vec<Box<[u8]>>) -> Self {
        let bits = (entries.len() * 2).next_power_of_two().ilog2().max(1);
        let shift = u32::BITS - bits;
        entries.sort_by_key(|entry| (bucket(entry.gram, shift), entry.gram, entry.literal, entry.offset));
        let mut buckets = vec![0; (1 << bits) + 1];
        for entry in &entries {
            buckets[bucket(entry.gram, shift) + 1] += 1;
        }
        for i in 1..buckets.len() {
            buckets[i] += buckets[i - 1];
        }
        Self { buckets, shift, entries, literals }
    }

    /// Reports every literal that has the gram at `at` in its place there.
    fn find_at(&self, text: &[u8], at: usize, found: &mut impl FnMut(usize, usize)) {
        let gram = gram(&text[at..]);
        let bucket = bucket(gram, self.shift);
        let entries = &self.entries[self.buckets[bucket] as usize..self.buckets[bucket + 1] as usize];
        for entry in entries.iter().filter(|entry| entry.gram == gram) {
            let Some(start) = entry.start(text, at) else { continue };
            if text[start..].starts_with(&self.literals[entry.literal as usize]) {
                found(start, entry.literal as usize);
            }
        }
    }
}

fn bucket(gram: u32, shift: u32) -> usize {
    (gram.wrapping_mul(0x9E37_79B1) >> shift) as usize
}

fn gram(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(*bytes.first_chunk().expect("the caller leaves four bytes"))
}

fn to_u32(position: usize) -> u32 {
    u32::try_from(position).expect("a batch is under 4 GiB: its ends are u32")
}

/// Where in `literal` the window begins whose commonest gram is rarest.
fn rarest_window(literal: &[u8], width: usize) -> usize {
    let commonest = |start: &usize| {
        let grams = literal[*start..*start + width].windows(GRAM);
        grams.map(surprise).fold(f32::INFINITY, f32::min)
    };
    let starts = 0..=literal.len() - width;
    starts.max_by(|one, other| commonest(one).total_cmp(&commonest(other))).expect("the range is not empty")
}

/// The multiplier that lets the fewest of the sample's grams through.
///
/// A fixed one may by bad luck map a frequent gram to a bit in use, and would then check that place again and again.
fn best_multiplier(entries: &[Entry]) -> u32 {
    const TRIES: u32 = 16;
    let multipliers = (0..TRIES).map(|i| 0x9E37_79B1_u32.wrapping_add(i.wrapping_mul(0x2545_F492)) | 1);
    let let_through = |&multiplier: &u32| {
        let bitmap = Bitmap::new(entries, multiplier);
        let mut positions = Vec::new();
        bitmap.scan::<1>(SAMPLE, multiplier, &mut positions);
        positions.len()
    };
    multipliers.min_by_key(let_through).expect("there are some tries")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(literals: &[String], text: &str) -> Vec<(usize, usize)> {
        let sieve = Sieve::new(literals.iter().map(|literal| literal.as_bytes().into()).collect());
        let mut found = Vec::new();
        sieve.find(text.as_bytes(), &mut Vec::new(), |start, literal| found.push((start, literal)));
        found.sort_unstable();
        found
    }

    fn naively(literals: &[String], text: &str) -> Vec<(usize, usize)> {
        let at = |start: usize| {
            literals
                .iter()
                .enumerate()
                .filter(move |(_, literal)| text.as_bytes()[start..].starts_with(literal.as_bytes()))
        };
        (0..text.len()).flat_map(|start| at(start).map(move |(literal, _)| (start, literal))).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn every_occurrence_is_found_once(
            literals in prop_oneof![
                prop::collection::btree_set("[ab]{4,9}", 1..20),
                prop::collection::btree_set("[ab]{5,9}", 1..20),
                prop::collection::btree_set("[abé]{7,12}", 1..20),
            ],
            text in "[ab]{0,200}|[abé]{0,90}",
        ) {
            let literals: Vec<String> = literals.into_iter().collect();
            prop_assert_eq!(found(&literals, &text), naively(&literals, &text));
        }
    }

    #[test]
    fn the_larger_map_finds_the_same() {
        let literals: Vec<String> = (0..6000).map(|i| format!("request{}", i * 7)).collect();
        assert!(matches!(
            Sieve::new(literals.iter().map(|l| l.as_bytes().into()).collect()).scan,
            Scan::Step4(Bitmap::Large(_))
        ));
        let text = (0..300).map(|i| format!("request{i}")).collect::<Vec<_>>().join(" ");
        assert_eq!(found(&literals, &text), naively(&literals, &text));
    }
}
