//! How a set finds the lines that a pattern may match: by a text, by a condition, or by looking at all of them.

use super::Unindexed;
use super::anchor::Anchor;
use super::slot_index::Lookup;
use super::thresholds::Relation;
use crate::Pattern;
use crate::expression::Expression;
use crate::json::{Condition, Test};
use crate::pattern::Language;
use crate::term::{Term, Terms};
use crate::value::{Comparison, Value as Wanted};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// It matches every event.
    Every,
    /// It matches a line exactly if one of the anchor's texts is in it.
    Exactly(Anchor),
    /// Lines with one of the anchor's texts have to be checked.
    Candidates(Anchor),
    /// The same for a JSON pattern: also lines with a backslash, which may spell the text another way.
    JsonCandidates(Anchor),
    /// By its conditions, evaluated together with those of the others in its language.
    Conditions,
    /// By its conditions, on every event: none of them can be looked up.
    AllConditions,
    /// All lines have to be checked.
    All(Unindexed),
}

/// How well a condition can be looked up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    None,
    /// It holds for many events: an order, a kind, any value at all.
    Weak,
    Strong,
}

impl Way {
    pub(super) fn of(pattern: &Pattern) -> Self {
        match pattern.language() {
            Language::MatchAll => Self::Every,
            Language::Terms(terms) => Self::of_terms(terms),
            Language::Json(json) => {
                let strength = strength(&json.expression, &|condition: &Condition| {
                    if condition.path.has_wildcard() { Strength::None } else { Strength::of(&condition.test) }
                });
                let anchor = || anchor(&json.expression, &|condition: &Condition| of_test(&condition.test));
                Self::of_conditions(strength, anchor, Self::JsonCandidates)
            }
            Language::Delimited(delimited) => {
                let conditions = || delimited.fields.iter().filter_map(|field| field.conditions.as_ref());
                if conditions().next().is_none() {
                    return Self::Conditions;
                }
                let strength = conditions().map(|it| strength(it, &Strength::of_comparison)).max();
                let anchor = || Anchor::rarest(conditions().map(|it| anchor(it, &of_comparison)));
                Self::of_conditions(strength.unwrap_or(Strength::None), anchor, Self::Candidates)
            }
        }
    }

    fn of_conditions(
        strength: Strength,
        anchor: impl Fn() -> Option<Anchor>,
        by_text: fn(Anchor) -> Self,
    ) -> Self {
        if strength == Strength::Strong {
            return Self::Conditions;
        }
        match anchor() {
            Some(anchor) => by_text(anchor),
            None if strength == Strength::Weak => Self::Conditions,
            None => Self::AllConditions,
        }
    }

    fn of_terms(terms: &Terms) -> Self {
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

impl Strength {
    fn of(test: &Test) -> Self {
        match Lookup::of(test) {
            None => Self::None,
            // Nothing at all before or behind a star: any value.
            Some(Lookup::Beginning("") | Lookup::End("")) => Self::Weak,
            Some(
                Lookup::Text(_) | Lookup::Beginning(_) | Lookup::End(_) | Lookup::Number(Relation::Equal, _),
            ) => Self::Strong,
            Some(Lookup::Number(Relation::Ordered(_), _) | Lookup::Null | Lookup::True | Lookup::False) => {
                Self::Weak
            }
        }
    }

    fn of_comparison(comparison: &Comparison) -> Self {
        Self::of(&Test::Comparison(comparison.clone()))
    }
}

/// Of conditions that must all hold the best counts, of alternatives the worst.
fn strength<C>(expression: &Expression<C>, of: &impl Fn(&C) -> Strength) -> Strength {
    match expression {
        Expression::Condition(condition) => of(condition),
        Expression::All(parts) => parts.iter().map(|part| strength(part, of)).max().unwrap_or(Strength::None),
        Expression::Any(parts) => parts.iter().map(|part| strength(part, of)).min().unwrap_or(Strength::None),
    }
}

fn anchor<C>(expression: &Expression<C>, of: &impl Fn(&C) -> Option<Anchor>) -> Option<Anchor> {
    match expression {
        Expression::Condition(condition) => of(condition),
        Expression::All(parts) => Anchor::rarest(parts.iter().map(|part| anchor(part, of))),
        Expression::Any(parts) => Anchor::any(parts.iter().map(|part| anchor(part, of))),
    }
}

fn of_test(test: &Test) -> Option<Anchor> {
    let Test::Comparison(comparison) = test else { return None };
    of_comparison(comparison)
}

/// A text that stands in every value for which the comparison holds.
fn of_comparison(comparison: &Comparison) -> Option<Anchor> {
    let Comparison::Equal(wanted) = comparison else { return None };
    match wanted {
        // Equal numbers are spelled in many ways.
        Wanted::Number(_) => None,
        Wanted::Regex(regex) => Anchor::of_regex(regex),
        Wanted::Text(text) => {
            Anchor::rarest(text.pieces().into_iter().map(|piece| Anchor::text(piece.as_bytes())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(text: &str) -> Way {
        Way::of(&Pattern::parse(text).unwrap())
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

    #[test]
    fn conditions_that_can_be_looked_up_come_before_texts_and_texts_before_weak_ones() {
        for (pattern, expected) in [
            ("{ $.a = 1 && $.msg = *timeout* }", Way::Conditions),
            ("{ $.a = err* || $.b = *err }", Way::Conditions),
            ("{ $.a > 1 && $.msg = *timeout* }", Way::JsonCandidates(anchor(&["timeout"]))),
            ("{ $.a > 1 || $.msg = *timeout* }", Way::AllConditions),
            ("{ $.a = * }", Way::Conditions),
            ("{ $.a IS NULL }", Way::Conditions),
            ("{ $.a.*.b = refused }", Way::JsonCandidates(anchor(&["refused"]))),
            ("{ $.a.*.b = 1 }", Way::AllConditions),
            ("{ $.a NOT EXISTS }", Way::AllConditions),
            ("{ $.a != 1 || $.b = x }", Way::AllConditions),
            ("[a, b]", Way::Conditions),
            ("[a = x || a = *y*, b = *zz*]", Way::Candidates(anchor(&["zz"]))),
            ("[a = x*, b = *zz*]", Way::Conditions),
            ("[a = %status=5%]", Way::Candidates(anchor(&["status=5"]))),
            ("[a != x]", Way::AllConditions),
        ] {
            assert_eq!(way(pattern), expected, "{pattern}");
        }
    }
}
