//! Finds literals of any length from two bytes on in a batch, each with the means that suits it.
//!
//! Up to [`FEW_MAX`] literals: a packed search (Teddy) over the whole batch, which at three literals is several times as
//! fast as a sieve. More: a sieve for those of at least five bytes (seven, if few are shorter), and a packed search for
//! the others. Where the processor has no packed search, or there are too many short ones, an automaton.

use aho_corasick::AhoCorasick;
use aho_corasick::Span;
use aho_corasick::packed::{Config, MatchKind, Searcher};

use super::sieve::{Sieve, literal_bytes_min};

/// Up to how many literals one packed search is faster than a sieve. Measured: docs/performance.md.
const FEW_MAX: usize = 16;
/// Up to how many shorter literals a packed search takes off a sieve, which can then make wider steps.
const FEW_SHORT_MAX: usize = 16;

pub(super) struct Literals {
    packed: Option<(Packed, Vec<usize>)>,
    sieve: Option<(Sieve, Vec<usize>)>,
}

impl Literals {
    pub(super) fn new(literals: &[Box<[u8]>]) -> Self {
        let shorter = |bytes: usize| literals.iter().filter(|literal| literal.len() < bytes).count();
        let sieve_bytes_min = if literals.len() <= FEW_MAX {
            usize::MAX
        } else if shorter(literal_bytes_min(4)) <= FEW_SHORT_MAX {
            literal_bytes_min(4)
        } else {
            literal_bytes_min(2)
        };
        let (few, many): (Vec<usize>, Vec<usize>) =
            (0..literals.len()).partition(|&i| literals[i].len() < sieve_bytes_min);
        let texts = |numbers: &[usize]| numbers.iter().map(|&i| literals[i].clone()).collect::<Vec<_>>();
        Self {
            packed: (!few.is_empty()).then(|| (Packed::new(texts(&few)), few)),
            sieve: (!many.is_empty()).then(|| (Sieve::new(texts(&many)), many)),
        }
    }

    /// Calls `found` with start and number for every occurrence of a literal, overlapping ones included. The starts do
    /// not always rise. `positions` is a buffer.
    pub(super) fn find(&self, text: &[u8], positions: &mut Vec<u32>, mut found: impl FnMut(usize, usize)) {
        if let Some((packed, numbers)) = &self.packed {
            packed.find(text, |start, literal| found(start, numbers[literal]));
        }
        if let Some((sieve, numbers)) = &self.sieve {
            sieve.find(text, positions, |start, literal| found(start, numbers[literal]));
        }
    }
}

enum Packed {
    Vectors(Box<Vectors>),
    Automaton(Box<AhoCorasick>),
}

struct Vectors {
    searcher: Searcher,
    literals: Vec<Box<[u8]>>,
    /// The literals that begin with a byte.
    by_first: Vec<Vec<u32>>,
}

impl Packed {
    fn new(literals: Vec<Box<[u8]>>) -> Self {
        let mut builder = Config::new().match_kind(MatchKind::LeftmostFirst).builder();
        builder.extend(&literals);
        let Some(searcher) = builder.build() else {
            let automaton =
                AhoCorasick::new(&literals).expect("patterns of 1024 characters are not too large");
            return Self::Automaton(Box::new(automaton));
        };
        let mut by_first = vec![Vec::new(); 256];
        for (i, literal) in (0..).zip(&literals) {
            by_first[usize::from(literal[0])].push(i);
        }
        Self::Vectors(Box::new(Vectors { searcher, literals, by_first }))
    }

    fn find(&self, text: &[u8], mut found: impl FnMut(usize, usize)) {
        match self {
            Self::Vectors(vectors) => vectors.find(text, found),
            Self::Automaton(automaton) => {
                automaton
                    .find_overlapping_iter(text)
                    .for_each(|it| found(it.start(), it.pattern().as_usize()));
            }
        }
    }
}

impl Vectors {
    /// The searcher names one literal at a place and goes on behind it; here every place is asked for all literals.
    fn find(&self, text: &[u8], mut found: impl FnMut(usize, usize)) {
        let mut at = 0;
        while let Some(it) = self.searcher.find_in(text, Span::from(at..text.len())) {
            let start = it.start();
            for &literal in &self.by_first[usize::from(text[start])] {
                if text[start..].starts_with(&self.literals[literal as usize]) {
                    found(start, literal as usize);
                }
            }
            at = start + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn every_occurrence_of_every_literal_is_found(
            literals in prop_oneof![
                prop::collection::btree_set("[ab]{2,4}", 1..8),
                prop::collection::btree_set("[ab]{2,9}", 1..60),
                prop::collection::btree_set("[abc]{2,5}", 100..200),
            ],
            text in "[ab]{0,120}|[abc]{0,120}",
        ) {
            let literals: Vec<Box<[u8]>> = literals.into_iter().map(|literal| literal.into_bytes().into()).collect();
            let mut found = Vec::new();
            Literals::new(&literals).find(text.as_bytes(), &mut Vec::new(), |start, literal| found.push((start, literal)));
            found.sort_unstable();
            let at = |start: usize| {
                let text = &text.as_bytes()[start..];
                literals.iter().enumerate().filter(move |(_, it)| text.starts_with(it)).map(move |(i, _)| (start, i))
            };
            let naive: Vec<_> = (0..text.len()).flat_map(at).collect();
            prop_assert_eq!(found, naive);
        }
    }
}
