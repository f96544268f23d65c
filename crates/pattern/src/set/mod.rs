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
mod conditions;
mod field_index;
mod json_index;
mod json_shape;
mod json_trie;
mod json_walk;
mod lines;
mod literals;
mod sieve;
mod slot_index;
mod specials;
mod term_index;
mod text_map;
mod thresholds;
mod way;

use std::collections::BTreeMap;
use std::fmt;

use crate::pattern::Language;
use crate::{Line, Pattern};
use candidates::Candidates;
use conditions::Memo;
use field_index::{FieldIndex, FieldIndexBuilder};
use json_index::{JsonIndex, JsonIndexBuilder};
use lines::Lines;
use specials::Specials;
use term_index::{TermIndex, TermIndexBuilder, TermScratch};
use way::Way;

/// Patterns that look at the same lines, made into one matcher.
pub struct PatternSet {
    /// The patterns that differ, in the order in which they first came. The rest counts these.
    distinct: Vec<Distinct>,
    len: usize,
    unindexed: Vec<(u32, Unindexed)>,
    checked: Checked,
    terms: Option<TermIndex>,
    json: Option<JsonIndex>,
    fields: Option<FieldIndex>,
}

/// A pattern and the indices it was given under.
struct Distinct {
    pattern: Pattern,
    indices: Vec<usize>,
}

/// Patterns that are candidates without an index.
#[derive(Default)]
struct Checked {
    /// They match every line.
    every: Vec<u32>,
    /// They are checked on every line.
    everywhere: Vec<u32>,
    /// They are checked on every line with a backslash.
    escaped: Vec<u32>,
}

/// Buffers that [`PatternSet::matches`] uses and leaves for the next call, with the same set or another.
#[derive(Default)]
pub struct Scratch {
    candidates: Candidates,
    terms: TermScratch,
    memo: Memo,
    specials: Specials,
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
    /// No condition that can be looked up must hold in a matching event: equality, a known beginning or end, an order.
    NoCondition,
}

impl PatternSet {
    /// Compiles `patterns`; the first has index 0.
    pub fn new(patterns: impl IntoIterator<Item = Pattern>) -> Self {
        let mut len = 0;
        let mut distinct: Vec<Distinct> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for (index, pattern) in patterns.into_iter().enumerate() {
            len += 1;
            let place = *places.entry(pattern.as_str().to_owned()).or_insert(distinct.len());
            match distinct.get_mut(place) {
                Some(distinct) => distinct.indices.push(index),
                None => distinct.push(Distinct { pattern, indices: vec![index] }),
            }
        }
        Self::of_distinct(distinct, len)
    }

    fn of_distinct(distinct: Vec<Distinct>, len: usize) -> Self {
        let mut unindexed = Vec::new();
        let mut checked = Checked::default();
        let mut terms = TermIndexBuilder::default();
        let mut json = JsonIndexBuilder::default();
        let mut fields = FieldIndexBuilder::default();
        let mut by_conditions = |number: u32, pattern: &Pattern| match pattern.language() {
            Language::Json(pattern) => json.add(number, pattern),
            Language::Delimited(pattern) => fields.add(number, pattern),
            Language::MatchAll | Language::Terms(_) => unreachable!("these have no conditions"),
        };
        for (number, Distinct { pattern, .. }) in (0..).zip(&distinct) {
            match Way::of(pattern) {
                Way::Every => checked.every.push(number),
                Way::Exactly(anchor) => terms.add(number, anchor, false),
                Way::Candidates(anchor) => terms.add(number, anchor, true),
                Way::JsonCandidates(anchor) => {
                    terms.add(number, anchor, true);
                    checked.escaped.push(number);
                }
                Way::Conditions => by_conditions(number, pattern),
                Way::AllConditions => {
                    by_conditions(number, pattern);
                    unindexed.push((number, Unindexed::NoCondition));
                }
                Way::All(reason) => {
                    checked.everywhere.push(number);
                    unindexed.push((number, reason));
                }
            }
        }
        let (terms, json, fields) = (terms.build(), json.build(), fields.build());
        Self { distinct, len, unindexed, checked, terms, json, fields }
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
        self.find(lines, scratch);
        let Scratch { candidates, indices, .. } = scratch;
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

    /// Puts what may match into the scratch's candidates, in order.
    fn find(&self, lines: Lines<'_, '_>, scratch: &mut Scratch) {
        let Scratch { candidates, terms, memo, specials, .. } = scratch;
        candidates.clear();
        if let Some(index) = &self.terms {
            index.find(lines, terms, candidates);
        }
        if let Some(index) = &self.json {
            index.find(lines, memo, specials, candidates);
        }
        if let Some(index) = &self.fields {
            index.find(lines, memo, candidates);
        }
        self.checked.find(lines, candidates);
        candidates.sort();
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

impl Checked {
    fn find(&self, lines: Lines<'_, '_>, candidates: &mut Candidates) {
        if !self.escaped.is_empty() {
            let mut near = 0;
            let mut last = None;
            for at in memchr::memchr_iter(b'\\', lines.text.as_bytes()) {
                let line = lines.line_of(&(at..at + 1), &mut near);
                if line.is_some() && line != last {
                    last = line;
                    candidates.push_all(line, &self.escaped, true);
                }
            }
        }
        if !self.every.is_empty() || !self.everywhere.is_empty() {
            for line in 0..lines.len() {
                candidates.push_all(Some(line), &self.every, false);
                candidates.push_all(Some(line), &self.everywhere, true);
            }
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
            Self::NoLiteral => "no text of two or more characters must be in a matching line, so every line is checked",
            Self::NoCondition => {
                "no equality, known beginning or end, or order must hold in a matching event, so every event is checked"
            }
        })
    }
}
