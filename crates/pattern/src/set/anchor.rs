//! Anchors: texts of which at least one must stand in a line for a pattern to match it.
//!
//! Where a pattern offers several (two terms, the pieces of a regex) the one least common in logs is taken.

use ::regex::Regex;
use regex_syntax::hir::{Hir, HirKind};

use super::Unindexed;
use super::background::surprise_of_any;
use crate::term::{Term, Terms};

/// The shortest text worth looking for: a single byte stands in most lines.
pub(super) const LITERAL_BYTES_MIN: usize = 2;
/// How many alternatives one anchor may have. A regex cannot be written with many more.
const LITERALS_MAX: usize = 128;

/// Texts of which at least one must occur.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) literals: Vec<Vec<u8>>,
}

/// How a pattern of terms is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// It matches every event.
    Every,
    /// It matches a line exactly if one of the anchor's texts is in it.
    Exactly(Anchor),
    /// Lines with one of the anchor's texts have to be checked.
    Candidates(Anchor),
    /// All lines have to be checked.
    All(Unindexed),
}

impl Way {
    pub(super) fn of_terms(terms: &Terms) -> Self {
        let empty = |term: &Term| matches!(term, Term::Text(text) if text.is_empty());
        if terms.required.is_empty() && terms.excluded.is_empty() {
            if terms.optional.iter().any(empty) {
                return Self::Every;
            }
            let exact = terms.optional.iter().all(|term| matches!(term, Term::Text(_)));
            return match Anchor::any(terms.optional.iter().map(Anchor::of_term)) {
                Some(anchor) if exact => Self::Exactly(anchor),
                Some(anchor) => Self::Candidates(anchor),
                None => Self::All(Unindexed::NoLiteral),
            };
        }
        if terms.required.iter().all(empty) && terms.excluded.is_empty() {
            return Self::Every;
        }
        if terms.required.is_empty() {
            return Self::All(Unindexed::OnlyExclusions);
        }
        let exact = matches!(&terms.required[..], [Term::Text(_)]) && terms.excluded.is_empty();
        match Anchor::rarest(terms.required.iter().map(Anchor::of_term)) {
            Some(anchor) if exact => Self::Exactly(anchor),
            Some(anchor) => Self::Candidates(anchor),
            None => Self::All(Unindexed::NoLiteral),
        }
    }
}

impl Anchor {
    pub(super) fn text(text: &[u8]) -> Option<Self> {
        (text.len() >= LITERAL_BYTES_MIN).then(|| Self { literals: vec![text.to_vec()] })
    }

    fn of_term(term: &Term) -> Option<Self> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pattern;
    use crate::pattern::Language;

    fn way(text: &str) -> Way {
        let pattern = Pattern::parse(text).unwrap();
        let Language::Terms(terms) = pattern.language() else { panic!("{text} has no terms") };
        Way::of_terms(terms)
    }

    fn anchor(texts: &[&str]) -> Anchor {
        Anchor { literals: texts.iter().map(|text| text.as_bytes().to_vec()).collect() }
    }

    #[test]
    fn a_term_alone_is_found_exactly() {
        assert_eq!(way("ERROR"), Way::Exactly(anchor(&["ERROR"])));
        assert_eq!(way("?ERROR ?FATAL"), Way::Exactly(anchor(&["ERROR", "FATAL"])));
        assert_eq!(way("ERROR ?FATAL"), Way::Exactly(anchor(&["ERROR"])));
    }

    #[test]
    fn of_several_terms_the_rarest_is_looked_for() {
        assert_eq!(way("INFO OutOfMemory"), Way::Candidates(anchor(&["OutOfMemory"])));
        assert_eq!(way("ERROR -healthz"), Way::Candidates(anchor(&["ERROR"])));
        assert_eq!(way("\"e\" -x \"status=5\""), Way::Candidates(anchor(&["status=5"])));
    }

    #[test]
    fn regexes_give_what_they_cannot_match_without() {
        for (regex, texts) in [
            ("%[0-9]+ .*payment-service code=[0-9]+%", &["payment-service code="][..]),
            ("%status=5[0-9][0-9]%", &["status=5"]),
            ("%^starting|^initializing|^shutting down%", &["initializing", "shutting down", "starting"]),
            ("%(refused)?%".replace(['(', ')'], "").as_str(), &["refuse"]),
            ("%a*timeout+%", &["timeou"]),
        ] {
            assert_eq!(way(regex), Way::Candidates(anchor(texts)), "{regex}");
        }
        for regex in ["%[0-9]+%", "%a|refused%", "%x?%", "%[0-9]{3}.*b%"] {
            assert_eq!(way(regex), Way::All(Unindexed::NoLiteral), "{regex}");
        }
    }

    #[test]
    fn patterns_without_a_usable_text_say_why() {
        assert_eq!(way("-healthz"), Way::All(Unindexed::OnlyExclusions));
        assert_eq!(way("\"x\""), Way::All(Unindexed::NoLiteral));
        assert_eq!(way("?ERROR ?\"x\""), Way::All(Unindexed::NoLiteral));
        assert_eq!(way("\"\""), Way::Every);
        assert_eq!(way("\"\" -x"), Way::All(Unindexed::NoLiteral));
        assert_eq!(way("?\"\" ?x"), Way::Every);
    }
}
