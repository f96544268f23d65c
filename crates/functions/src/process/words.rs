//! The words that a mapping has for what a field holds.

use std::cmp::Reverse;

use memchr::memmem::Finder;
use watchbell_model::Mapping;

/// A mapping, ready.
pub(super) struct Words {
    /// The field that is looked at.
    pub(super) from: Option<String>,
    /// The longest wildcard first; of those that are as long, the last by name.
    ranked: Vec<(Wildcard, String)>,
    /// What counts if nothing fits.
    pub(super) default: Option<String>,
}

impl Words {
    pub(super) fn new(mapping: &Mapping) -> Words {
        let Mapping { from, map, default } = mapping;
        let mut words: Vec<(&String, &String)> = map.iter().collect();
        words.sort_by_key(|(wildcard, _)| (Reverse(wildcard.len()), Reverse(*wildcard)));
        let ready = |(wildcard, word): (&String, &String)| (Wildcard::new(wildcard), word.clone());
        Words { from: from.clone(), ranked: words.into_iter().map(ready).collect(), default: default.clone() }
    }

    /// Whether there are none: then the field stands for itself.
    pub(super) fn is_empty(&self) -> bool {
        self.ranked.is_empty()
    }

    /// The word for what a field holds.
    pub(super) fn word(&self, found: &str) -> Option<&str> {
        let fitting = self.ranked.iter().find(|(wildcard, _)| wildcard.matches(found));
        fitting.map(|(_, word)| word.as_str())
    }
}

/// `watchbell_model::matches_wildcard`, which prepares its search anew for every text.
struct Wildcard {
    head: String,
    middle: Vec<Finder<'static>>,
    /// `None` without a `*`: the head is all.
    tail: Option<String>,
}

impl Wildcard {
    fn new(wildcard: &str) -> Wildcard {
        let mut pieces = wildcard.split('*').map(str::to_owned);
        let head = pieces.next().expect("split gives at least one piece");
        let mut rest: Vec<String> = pieces.collect();
        let tail = rest.pop();
        let middle = rest.iter().map(|piece| Finder::new(piece).into_owned()).collect();
        Wildcard { head, middle, tail }
    }

    fn matches(&self, text: &str) -> bool {
        let Some(tail) = &self.tail else { return self.head == text };
        let Some(mut text) = text.strip_prefix(&self.head).map(str::as_bytes) else { return false };
        for piece in &self.middle {
            let Some(at) = piece.find(text) else { return false };
            text = &text[at + piece.needle().len()..];
        }
        text.ends_with(tail.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use watchbell_model::matches_wildcard;

    use super::*;

    proptest! {
        #[test]
        fn wildcards_stand_for_what_they_do_elsewhere(wildcard in "[ab*é]{0,6}", text in "[abé]{0,8}") {
            prop_assert_eq!(Wildcard::new(&wildcard).matches(&text), matches_wildcard(&wildcard, &text));
        }

        #[test]
        fn the_longest_that_fits_counts(
            map in proptest::collection::btree_map("[ab*]{1,4}", "[a-z]{1,3}", 0..6),
            text in "[ab]{0,5}",
        ) {
            let fitting = map.iter().filter(|(wildcard, _)| matches_wildcard(wildcard, &text));
            let expected = fitting.max_by_key(|(wildcard, _)| wildcard.len()).map(|(_, word)| word.as_str());
            let words = Words::new(&Mapping { from: None, map: map.clone(), default: None });
            prop_assert_eq!(words.word(&text), expected);
        }
    }
}
