//! Many patterns as one matcher: which of them match which lines of a batch.
//!
//! Promise: the answer is the plain matcher's, [`Pattern::matches`] on each line, and equal patterns are evaluated once.
//! Its cost grows with the bytes of the batch and with what matches, hardly with the number of patterns: indexes name
//! the few pairs of line and pattern that may match, and only these are checked. Patterns that no index can serve
//! are checked on every line and can be asked for: [`PatternSet::unindexed`].
//! Not here: what a match means (`engine`).

mod anchor;
mod background;
mod candidates;
mod lines;
mod literals;
mod sieve;
mod term_index;

use std::collections::BTreeMap;
use std::fmt;

use crate::pattern::Language;
use crate::{Line, Pattern};
use anchor::Way;
use candidates::Candidates;
use lines::Lines;
use term_index::{TermIndex, TermIndexBuilder, TermScratch};

/// Patterns that look at the same lines, made into one matcher.
pub struct PatternSet {
    /// The patterns that differ, in the order in which they first came. Indexes count these.
    distinct: Vec<Distinct>,
    len: usize,
    /// Of the distinct patterns, those that match every event.
    every: Vec<u32>,
    /// Those that are checked on every line.
    unindexed: Vec<(u32, Unindexed)>,
    terms: Option<TermIndex>,
}

/// A pattern and the indices it was given under.
struct Distinct {
    pattern: Pattern,
    indices: Vec<usize>,
}

/// Buffers that [`PatternSet::matches`] uses and leaves for the next call, with the same set or another.
#[derive(Default)]
pub struct Scratch {
    candidates: Candidates,
    terms: TermScratch,
    indices: Vec<usize>,
}

/// Why no index serves a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unindexed {
    /// Nothing but exclusions.
    OnlyExclusions,
    /// No text of at least two bytes must occur in a matching line.
    NoLiteral,
}

impl PatternSet {
    /// Compiles `patterns`; the first has index 0.
    pub fn new(patterns: impl IntoIterator<Item = Pattern>) -> Self {
        let mut set =
            Self { distinct: Vec::new(), len: 0, every: Vec::new(), unindexed: Vec::new(), terms: None };
        set.take_distinct(patterns);
        let mut terms = TermIndexBuilder::default();
        for (number, distinct) in (0..).zip(&set.distinct) {
            match Way::of(&distinct.pattern) {
                Way::Every => set.every.push(number),
                Way::Exactly(anchor) => terms.add(number, anchor, false),
                Way::Candidates(anchor) => terms.add(number, anchor, true),
                Way::All(reason) => set.unindexed.push((number, reason)),
            }
        }
        set.terms = terms.build();
        set
    }

    fn take_distinct(&mut self, patterns: impl IntoIterator<Item = Pattern>) {
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for (index, pattern) in patterns.into_iter().enumerate() {
            self.len += 1;
            let place = *places.entry(pattern.as_str().to_owned()).or_insert(self.distinct.len());
            match self.distinct.get_mut(place) {
                Some(distinct) => distinct.indices.push(index),
                None => self.distinct.push(Distinct { pattern, indices: vec![index] }),
            }
        }
    }

    /// How many patterns were given, equal ones included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Calls `on_match` with line, its number and a pattern's index for every pattern that matches a line, in the
    /// order of the lines and then of the indices.
    ///
    /// `text` is a batch's: line *k* ends at `ends[k]`, where a line feed stands, and the next one begins behind it.
    /// Lines may hold line feeds of their own. The views of a [`Line`] are shared by all its calls.
    pub fn matches<'m>(
        &self,
        text: &'m str,
        ends: &[u32],
        scratch: &mut Scratch,
        mut on_match: impl FnMut(&Line<'m>, usize, usize),
    ) {
        let lines = Lines::new(text, ends);
        let Scratch { candidates, terms, indices } = scratch;
        candidates.clear();
        if let Some(index) = &self.terms {
            index.find(lines, terms, candidates);
        }
        self.add_everywhere(lines, candidates);
        candidates.sort();
        let mut candidates = candidates.iter().peekable();
        while let Some(&first) = candidates.peek() {
            let line = Line::new(lines.message(first.line));
            indices.clear();
            while let Some(candidate) = candidates.next_if(|it| it.line == first.line) {
                let distinct = &self.distinct[candidate.pattern];
                if !candidate.unsure || distinct.pattern.matches_line(&line) {
                    indices.extend_from_slice(&distinct.indices);
                }
            }
            // They are in order already unless equal patterns were given.
            indices.sort_unstable();
            for &index in &*indices {
                on_match(&line, first.line, index);
            }
        }
    }

    /// The patterns to look at in every line.
    fn add_everywhere(&self, lines: Lines<'_, '_>, candidates: &mut Candidates) {
        if self.every.is_empty() && self.unindexed.is_empty() {
            return;
        }
        for line in 0..lines.len() {
            self.every.iter().for_each(|&pattern| candidates.push(line, pattern, false));
            self.unindexed.iter().for_each(|&(pattern, _)| candidates.push(line, pattern, true));
        }
    }

    /// The patterns that no index serves, so that every line is checked against each of them: index and reason.
    ///
    /// These are the only ones whose cost is per line and pattern. A pattern that matches every event is not one of
    /// them: it needs no check.
    pub fn unindexed(&self) -> impl Iterator<Item = (usize, Unindexed)> {
        let indices = |number: u32| &self.distinct[number as usize].indices;
        self.unindexed
            .iter()
            .flat_map(move |&(number, reason)| indices(number).iter().map(move |&index| (index, reason)))
    }
}

impl Way {
    fn of(pattern: &Pattern) -> Self {
        match pattern.language() {
            Language::MatchAll => Self::Every,
            Language::Terms(terms) => Self::of_terms(terms),
            Language::Json(_) | Language::Delimited(_) => Self::All(Unindexed::NoLiteral),
        }
    }
}

impl fmt::Debug for PatternSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.distinct.iter().map(|it| (&it.pattern, &it.indices))).finish()
    }
}

impl fmt::Display for Unindexed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::OnlyExclusions => "it has only exclusions, so every line is checked",
            Self::NoLiteral => {
                "no text of two or more characters must be in a matching line, so every line is checked"
            }
        })
    }
}
