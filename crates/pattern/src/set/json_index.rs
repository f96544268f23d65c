//! All JSON patterns of a set: one walk over each event finds what their paths lead to, then their conditions decide.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use super::candidates::Candidates;
use super::conditions::{Conditions, Memo, Rule, Values};
use super::json_trie::{Found, Trie};
use super::json_walk::{Buffers, Walk, walk};
use super::lines::Lines;
use super::slot_index::Value;
use super::specials::Specials;
use crate::document::{Document, Json, NodeIndex};
use crate::expression::Expression;
use crate::json::{Condition, JsonPattern, Test};
use crate::path::Path;

/// Gathers patterns for a [`JsonIndex`].
#[derive(Default)]
pub(super) struct JsonIndexBuilder {
    slots: BTreeMap<Path, u32>,
    paths: Vec<Path>,
    rules: Vec<Rule>,
}

impl JsonIndexBuilder {
    pub(super) fn add(&mut self, pattern: u32, json: &JsonPattern) {
        let expression = self.expression(&json.expression);
        self.rules.push(Rule { pattern, expression: Some(expression), tokens_min: 0 });
    }

    fn expression(&mut self, expression: &Expression<Condition>) -> Expression<(u32, Test)> {
        let mut all =
            |parts: &[Expression<Condition>]| parts.iter().map(|part| self.expression(part)).collect();
        match expression {
            Expression::All(parts) => Expression::All(all(parts)),
            Expression::Any(parts) => Expression::Any(all(parts)),
            Expression::Condition(Condition { path, test }) => {
                Expression::Condition((self.slot(path), test.clone()))
            }
        }
    }

    fn slot(&mut self, path: &Path) -> u32 {
        if let Some(&slot) = self.slots.get(path) {
            return slot;
        }
        let slot = u32::try_from(self.paths.len()).expect("patterns have few paths each");
        self.slots.insert(path.clone(), slot);
        self.paths.push(path.clone());
        slot
    }

    pub(super) fn build(self) -> Option<JsonIndex> {
        if self.rules.is_empty() {
            return None;
        }
        let paths = self.paths;
        let conditions = Conditions::new(self.rules, paths.len(), |slot| paths[slot as usize].has_wildcard());
        Some(JsonIndex { trie: Trie::new(walked(&paths)), conditions, paths })
    }
}

pub(super) struct JsonIndex {
    trie: Trie,
    conditions: Conditions,
    /// By slot.
    paths: Vec<Path>,
}

/// The paths that the walk finds, with their slots.
fn walked(paths: &[Path]) -> impl Iterator<Item = (&Path, u32)> {
    paths.iter().zip(0..).filter(|(path, _)| !path.has_wildcard())
}

impl JsonIndex {
    pub(super) fn find(
        &self,
        lines: Lines<'_, '_>,
        memo: &mut Memo,
        specials: &mut Specials,
        candidates: &mut Candidates,
    ) {
        memo.reset(&self.conditions);
        specials.mark(lines.text.as_bytes());
        let mut found = Found::new(&self.trie, self.paths.len());
        let mut buffers = Buffers::default();
        for line in 0..lines.len() {
            let span = lines.span(line);
            let text = lines.text;
            let walk = walk(&self.trie, text, specials, span.clone(), &mut buffers, &mut found);
            if walk != Walk::Invalid {
                let mut event = Event {
                    text: &text[span],
                    paths: &self.paths,
                    found: &mut found,
                    document: OnceCell::new(),
                };
                if walk == Walk::Whole || event.read() {
                    event.find(&self.conditions, memo, |pattern| candidates.push(line, pattern, false));
                }
            }
        }
    }
}

struct Event<'i, 'f, 'm> {
    text: &'m str,
    paths: &'i [Path],
    found: &'f mut Found<'m>,
    /// Read when a wildcard asks for it, or the walk was unsure.
    document: OnceCell<Option<Document<'m>>>,
}

impl<'m> Event<'_, '_, 'm> {
    /// Reads as a document what the walk was unsure of; false if it is none.
    #[cold]
    fn read(&mut self) -> bool {
        let Some(document) = Document::read(self.text) else { return false };
        self.found.read(&document, walked(self.paths));
        self.document = OnceCell::from(Some(document));
        true
    }

    fn find(&self, conditions: &Conditions, memo: &mut Memo, mut matches: impl FnMut(u32)) {
        conditions.begin(self, memo, &mut matches);
        for &slot in &self.found.touched {
            conditions.in_slot(slot, self, memo, &mut matches);
        }
    }

    fn document(&self) -> Option<&Document<'m>> {
        self.document.get_or_init(|| Document::read(self.text)).as_ref()
    }
}

impl Values for Event<'_, '_, '_> {
    fn value(&self, slot: u32) -> Value<'_> {
        self.found.values[slot as usize]
    }

    fn any_satisfies(&self, slot: u32, test: &Test) -> bool {
        let path = &self.paths[slot as usize];
        let Some(document) = self.document() else { return false };
        let mut values = path.select(document).into_iter().map(|node| document.slot_value(node)).peekable();
        match test {
            Test::NotExists => values.peek().is_none(),
            _ => values.any(|value| value.satisfies(test)),
        }
    }

    fn tokens(&self) -> usize {
        0
    }
}

impl<'m> Document<'m> {
    /// A node as the conditions see it.
    pub(super) fn slot_value(&self, node: NodeIndex) -> Value<'m> {
        match self.value(node) {
            Json::Null => Value::Null,
            Json::True => Value::True,
            Json::False => Value::False,
            Json::Number(number) => Value::number(number),
            Json::String(raw) if raw.contains('\\') => Value::Escaped(raw),
            Json::String(text) => Value::Text(text),
            Json::Array => Value::Array {
                has_null: self.every_child(node).into_iter().any(|child| self.value(child) == Json::Null),
            },
            Json::Object => Value::Object,
        }
    }
}
