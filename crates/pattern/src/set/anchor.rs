//! Anchors: texts of which at least one must stand in a line for a pattern to match it.
//!
//! Where a pattern offers several (two terms, the pieces of a regex) the one least common in logs is taken.

use ::regex::Regex;
use regex_syntax::hir::{Hir, HirKind};

use super::background::surprise_of_any;
use crate::term::Term;

/// The shortest text worth looking for: a single byte stands in most lines.
pub(super) const LITERAL_BYTES_MIN: usize = 2;
/// How many alternatives one anchor may have. A regex cannot be written with many more.
const LITERALS_MAX: usize = 128;

/// Texts of which at least one must occur.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) literals: Vec<Vec<u8>>,
}

impl Anchor {
    pub(super) fn text(text: &[u8]) -> Option<Self> {
        (text.len() >= LITERAL_BYTES_MIN).then(|| Self { literals: vec![text.to_vec()] })
    }

    pub(super) fn of_term(term: &Term) -> Option<Self> {
        match term {
            Term::Text(text) => Self::text(text.as_bytes()),
            Term::Regex(regex) => Self::of_regex(regex),
        }
    }

    pub(super) fn of_regex(regex: &Regex) -> Option<Self> {
        Self::of_hir(&regex_syntax::parse(regex.as_str()).expect("the regex was compiled from this text"))
    }

    /// The depth is bounded: the dialect has no groups.
    fn of_hir(hir: &Hir) -> Option<Self> {
        match hir.kind() {
            HirKind::Literal(literal) => Self::text(&literal.0),
            HirKind::Concat(parts) => Self::rarest(parts.iter().map(Self::of_hir)),
            HirKind::Alternation(parts) => Self::any(parts.iter().map(Self::of_hir)),
            HirKind::Repetition(repetition) if repetition.min > 0 => Self::of_hir(&repetition.sub),
            HirKind::Capture(capture) => Self::of_hir(&capture.sub),
            HirKind::Repetition(_) | HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) => None,
        }
    }

    /// Of anchors that must all hold, the one that is least likely to.
    pub(super) fn rarest(anchors: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
        anchors.into_iter().flatten().max_by(|one, other| one.surprise().total_cmp(&other.surprise()))
    }

    /// Of anchors one of which must hold: all together, if there is one for each.
    pub(super) fn any(anchors: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
        let anchors: Option<Vec<Self>> = anchors.into_iter().collect();
        let mut literals: Vec<Vec<u8>> = anchors?.into_iter().flat_map(|anchor| anchor.literals).collect();
        literals.sort();
        literals.dedup();
        (1..=LITERALS_MAX).contains(&literals.len()).then_some(Self { literals })
    }

    pub(super) fn surprise(&self) -> f32 {
        surprise_of_any(self.literals.iter().map(Vec::as_slice))
    }
}
