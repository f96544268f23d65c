//! Many patterns as one matcher: which of them match which lines of a batch.
//!
//! Promise: the answer is the plain matcher's, [`Pattern::matches`] on each line. Equal patterns are evaluated once.
//! Not here: what a match means (`engine`).

use std::collections::HashMap;

use crate::{Line, Pattern};

/// Patterns that look at the same lines, made into one matcher.
pub struct PatternSet {
    /// The patterns that differ, in the order in which they first came.
    distinct: Vec<Distinct>,
    len: usize,
}

/// A pattern and the indices it was given under.
struct Distinct {
    pattern: Pattern,
    indices: Vec<usize>,
}

/// Buffers that [`PatternSet::matches`] uses and leaves for the next call, with the same set or another.
#[derive(Default)]
pub struct Scratch {
    indices: Vec<usize>,
}

impl PatternSet {
    /// Compiles `patterns`; the first has index 0.
    pub fn new(patterns: impl IntoIterator<Item = Pattern>) -> Self {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut set = Self { distinct: Vec::new(), len: 0 };
        for (index, pattern) in patterns.into_iter().enumerate() {
            set.len += 1;
            let place = *places.entry(pattern.as_str().to_owned()).or_insert(set.distinct.len());
            match set.distinct.get_mut(place) {
                Some(distinct) => distinct.indices.push(index),
                None => set.distinct.push(Distinct { pattern, indices: vec![index] }),
            }
        }
        set
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
        let mut start = 0;
        for (number, &end) in ends.iter().enumerate() {
            let line = Line::new(&text[start..end as usize]);
            start = end as usize + 1;
            scratch.indices.clear();
            let matching = self.distinct.iter().filter(|it| it.pattern.matches_line(&line));
            scratch.indices.extend(matching.flat_map(|it| &it.indices));
            scratch.indices.sort_unstable();
            for &index in &scratch.indices {
                on_match(&line, number, index);
            }
        }
    }

    /// The patterns that no index serves, so that every line is checked against each of them: index and reason.
    ///
    /// These are the only ones whose cost is per line and pattern. A pattern that matches every event is not one of
    /// them: it costs nothing to check.
    pub fn unindexed(&self) -> impl Iterator<Item = (usize, Unindexed)> {
        self.distinct
            .iter()
            .filter_map(|it| Some((it, it.pattern.unindexed()?)))
            .flat_map(|(distinct, reason)| distinct.indices.iter().map(move |&index| (index, reason)))
    }
}

/// Why no index serves a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unindexed {
    /// Nothing but exclusions: it matches almost every line.
    OnlyExclusions,
}

impl std::fmt::Display for Unindexed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::OnlyExclusions => "it has only exclusions, and is checked against every line",
        })
    }
}
