//! Which of many conditions on one place of an event hold for the value that stands there.
//!
//! A place is a path of a JSON event or a field of a line. Equality, a known beginning or end, order and kind are
//! looked up; other conditions cannot be indexed and never get here.

use std::collections::BTreeMap;

use super::text_map::TextMap;
use super::thresholds::{Relation, Thresholds, near};
use crate::document::unescape;
use crate::json::Test;
use crate::value::{Comparison, Scalar, Value as Wanted};

/// What stands in a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'m> {
    Absent,
    Number(Numeral<'m>),
    Text(&'m str),
    /// A JSON string with backslashes, as it stands between its quotes.
    Escaped(&'m str),
    Null,
    True,
    False,
    Array {
        has_null: bool,
    },
    Object,
}

/// A number as spelled, and the nearest 64-bit float: what is smaller as one is smaller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Numeral<'m> {
    pub(super) text: &'m str,
    pub(super) near: f64,
}

impl<'m> Value<'m> {
    /// Takes what reads as a number.
    pub(super) fn number(text: &'m str) -> Self {
        Self::Number(Numeral { text, near: near(text) })
    }
}

impl Value<'_> {
    /// Whether a condition on the place holds.
    pub(super) fn satisfies(self, test: &Test) -> bool {
        match (test, self) {
            (Test::Comparison(comparison), Self::Number(number)) => {
                comparison.holds(Scalar::Number(number.text))
            }
            (Test::Comparison(comparison), Self::Text(text)) => comparison.holds(Scalar::Text(text)),
            (Test::Comparison(comparison), Self::Escaped(raw)) => {
                comparison.holds(Scalar::Text(&unescape(raw)))
            }
            (Test::IsNull, Self::Null | Self::Array { has_null: true })
            | (Test::IsTrue, Self::True)
            | (Test::IsFalse, Self::False)
            | (Test::NotExists, Self::Absent) => true,
            _ => false,
        }
    }
}

/// How a condition is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lookup<'t> {
    Text(&'t str),
    Number(Relation, &'t str),
    Beginning(&'t str),
    End(&'t str),
    Null,
    True,
    False,
}

impl<'t> Lookup<'t> {
    /// `None` for a condition that has to be asked: `!=`, `NOT EXISTS`, regexes, and texts with other stars.
    pub(super) fn of(test: &'t Test) -> Option<Self> {
        match test {
            Test::IsNull => Some(Self::Null),
            Test::IsTrue => Some(Self::True),
            Test::IsFalse => Some(Self::False),
            Test::NotExists | Test::Comparison(Comparison::NotEqual(_)) => None,
            Test::Comparison(Comparison::Ordered(order, bound)) => {
                Some(Self::Number(Relation::Ordered(*order), bound))
            }
            Test::Comparison(Comparison::Equal(wanted)) => match wanted {
                Wanted::Number(number) => Some(Self::Number(Relation::Equal, number)),
                Wanted::Regex(_) => None,
                Wanted::Text(text) => match text.head_and_tail() {
                    (head, []) => Some(Self::Text(head)),
                    (head, [end]) if end.is_empty() => Some(Self::Beginning(head)),
                    ("", [end]) => Some(Self::End(end)),
                    _ => None,
                },
            },
        }
    }
}

/// The conditions on one place.
#[derive(Default)]
pub(super) struct SlotIndex {
    texts: Option<TextMap>,
    /// Numbers of patterns, which a text equals if it is spelled the same.
    spellings: Option<TextMap>,
    numbers: Thresholds,
    /// By length, in bytes.
    beginnings: Vec<(usize, TextMap)>,
    ends: Vec<(usize, TextMap)>,
    null: Vec<u32>,
    r#true: Vec<u32>,
    r#false: Vec<u32>,
}

/// Gathers conditions for a [`SlotIndex`].
#[derive(Default)]
pub(super) struct SlotIndexBuilder {
    texts: BTreeMap<String, Vec<u32>>,
    spellings: BTreeMap<String, Vec<u32>>,
    numbers: Vec<(Relation, String, u32)>,
    beginnings: BTreeMap<usize, BTreeMap<String, Vec<u32>>>,
    ends: BTreeMap<usize, BTreeMap<String, Vec<u32>>>,
    index: SlotIndex,
}

impl SlotIndexBuilder {
    pub(super) fn add(&mut self, lookup: &Lookup<'_>, condition: u32) {
        let put = |map: &mut BTreeMap<String, Vec<u32>>, text: &str| {
            map.entry(text.to_owned()).or_default().push(condition);
        };
        match *lookup {
            Lookup::Text(text) => put(&mut self.texts, text),
            Lookup::Number(relation, number) => {
                if relation == Relation::Equal {
                    put(&mut self.spellings, number);
                }
                self.numbers.push((relation, number.to_owned(), condition));
            }
            Lookup::Beginning(text) => put(self.beginnings.entry(text.len()).or_default(), text),
            Lookup::End(text) => put(self.ends.entry(text.len()).or_default(), text),
            Lookup::Null => self.index.null.push(condition),
            Lookup::True => self.index.r#true.push(condition),
            Lookup::False => self.index.r#false.push(condition),
        }
    }

    pub(super) fn build(self) -> SlotIndex {
        let map = |texts: BTreeMap<String, Vec<u32>>| (!texts.is_empty()).then(|| TextMap::new(texts));
        let by_length = |lengths: BTreeMap<usize, BTreeMap<String, Vec<u32>>>| {
            lengths.into_iter().map(|(length, texts)| (length, TextMap::new(texts))).collect()
        };
        SlotIndex {
            texts: map(self.texts),
            spellings: map(self.spellings),
            numbers: Thresholds::new(self.numbers),
            beginnings: by_length(self.beginnings),
            ends: by_length(self.ends),
            ..self.index
        }
    }
}

impl SlotIndex {
    /// Calls `holds` with every condition that holds for `value`.
    pub(super) fn each(&self, value: Value<'_>, mut holds: impl FnMut(u32)) {
        match value {
            Value::Number(number) => {
                self.numbers.each(number, &mut holds);
                self.each_of_text(number.text, holds);
            }
            Value::Text(text) => {
                self.each_of_spelling(text, &mut holds);
                self.each_of_text(text, holds);
            }
            Value::Escaped(raw) => {
                let text = unescape(raw);
                self.each_of_spelling(&text, &mut holds);
                self.each_of_text(&text, holds);
            }
            Value::Null | Value::Array { has_null: true } => self.null.iter().copied().for_each(holds),
            Value::True => self.r#true.iter().copied().for_each(holds),
            Value::False => self.r#false.iter().copied().for_each(holds),
            Value::Absent | Value::Array { has_null: false } | Value::Object => {}
        }
    }

    fn each_of_spelling(&self, text: &str, holds: impl FnMut(u32)) {
        if let Some(spellings) = &self.spellings {
            spellings.get(text).iter().copied().for_each(holds);
        }
    }

    fn each_of_text(&self, text: &str, mut holds: impl FnMut(u32)) {
        if let Some(texts) = &self.texts {
            texts.get(text).iter().copied().for_each(&mut holds);
        }
        for (length, map) in &self.beginnings {
            let Some(beginning) = text.get(..*length) else { continue };
            map.get(beginning).iter().copied().for_each(&mut holds);
        }
        for (length, map) in &self.ends {
            let Some(end) = text.len().checked_sub(*length).and_then(|start| text.get(start..)) else {
                continue;
            };
            map.get(end).iter().copied().for_each(&mut holds);
        }
    }
}
