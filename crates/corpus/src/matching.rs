//! Matching alone: in memory, on one thread.

#![expect(clippy::cast_precision_loss, reason = "bytes and seconds of a bench are few")]

use watchbell_pattern::{Pattern, PatternSet, Scratch};

use crate::cpu::spent;
use crate::{Batch, Corpus};

/// What the plain matcher gets: so many bytes for one pattern, fewer for more.
pub const PLAIN_BYTES: usize = 60_000_000;

/// Of this many runs the quickest counts.
const RUNS: usize = 3;

/// GB (10^9 bytes) per second.
pub fn rate(bytes: usize, seconds: f64) -> f64 {
    bytes as f64 / 1e9 / seconds
}

/// GB per second of processor time of looking for a byte that is not there.
pub fn floor(corpus: &Corpus) -> f64 {
    let mut found = 0;
    let look = || {
        let holds = |batch: &&Batch| memchr::memchr(0, batch.text.as_bytes()).is_some();
        found += corpus.batches.iter().filter(holds).count();
    };
    let seconds = quickest(look);
    assert_eq!(found, 0, "made-up logs have no NUL");
    rate(corpus.bytes(), seconds)
}

/// How many events each pattern of the set matches, and the seconds it takes.
pub fn with_set(set: &PatternSet, corpus: &Corpus) -> (Vec<u64>, f64) {
    let mut scratch = Scratch::default();
    let mut matched = Vec::new();
    let seconds = quickest(|| {
        matched = vec![0; set.len()];
        for Batch { text, ends } in &corpus.batches {
            set.matches(text, ends, &mut scratch, |_, _, index| matched[index] += 1);
        }
    });
    (matched, seconds)
}

/// The same, one pattern after another on each line, once.
pub fn plainly(patterns: &[Pattern], corpus: &Corpus) -> (Vec<u64>, f64) {
    let mut matched = vec![0; patterns.len()];
    let seconds = spent(|| {
        for Batch { text, ends } in &corpus.batches {
            let mut start = 0;
            for &end in ends {
                let line = &text[start..end as usize];
                start = end as usize + 1;
                for (pattern, matched) in patterns.iter().zip(&mut matched) {
                    *matched += u64::from(pattern.matches(line));
                }
            }
        }
    });
    (matched, seconds)
}

fn quickest(mut run: impl FnMut()) -> f64 {
    (0..RUNS).map(|_| spent(&mut run)).fold(f64::INFINITY, f64::min)
}
