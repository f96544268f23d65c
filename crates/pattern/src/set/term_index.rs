//! The patterns that are found by a text that must stand in the line: most patterns of terms.

use std::collections::BTreeMap;

use super::anchor::Anchor;
use super::candidates::Candidates;
use super::lines::Lines;
use super::literals::Literals;

/// Gathers patterns for a [`TermIndex`].
#[derive(Default)]
pub(super) struct TermIndexBuilder {
    owners: BTreeMap<Vec<u8>, Vec<Owner>>,
}

/// A pattern that is looked for by a literal.
#[derive(Clone, Copy)]
struct Owner {
    pattern: u32,
    unsure: bool,
}

impl TermIndexBuilder {
    /// `unsure` if a line with one of the anchor's texts need not match.
    pub(super) fn add(&mut self, pattern: u32, anchor: Anchor, unsure: bool) {
        for literal in anchor.literals {
            self.owners.entry(literal).or_default().push(Owner { pattern, unsure });
        }
    }

    pub(super) fn build(self) -> Option<TermIndex> {
        let (texts, owners): (Vec<Box<[u8]>>, Vec<Vec<Owner>>) =
            self.owners.into_iter().map(|(text, owners)| (text.into(), owners)).unzip();
        let lengths = texts.iter().map(|text| text.len()).collect();
        (!texts.is_empty()).then(|| TermIndex { literals: Literals::new(&texts), lengths, owners })
    }
}

pub(super) struct TermIndex {
    literals: Literals,
    lengths: Vec<usize>,
    owners: Vec<Vec<Owner>>,
}

/// Buffers of [`TermIndex::find`].
#[derive(Default)]
pub(super) struct TermScratch {
    positions: Vec<u32>,
    /// One more than the last line in which each literal was found: the others of that line say nothing new.
    last_lines: Vec<usize>,
}

impl TermIndex {
    pub(super) fn find(&self, lines: Lines<'_, '_>, scratch: &mut TermScratch, candidates: &mut Candidates) {
        let TermScratch { positions, last_lines } = scratch;
        last_lines.clear();
        last_lines.resize(self.lengths.len(), 0);
        let mut near = 0;
        self.literals.find(lines.text.as_bytes(), positions, |start, literal| {
            let Some(line) = lines.line_of(&(start..start + self.lengths[literal]), &mut near) else {
                return;
            };
            if std::mem::replace(&mut last_lines[literal], line + 1) != line + 1 {
                for owner in &self.owners[literal] {
                    candidates.push(line, owner.pattern, owner.unsure);
                }
            }
        });
    }
}
