//! All space-delimited patterns of a set: one split of each line, then the conditions on its fields decide.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::candidates::Candidates;
use super::conditions::{Conditions, Memo, Rule, Values};
use super::lines::Lines;
use super::slot_index::Value;
use crate::delimited::Delimited;
use crate::expression::Expression;
use crate::json::Test;
use crate::number::Number;
use crate::token::{self, Token, is_white_space};
use crate::value::Comparison;

/// Which text of a line a field stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// The token at a position from the left, from 0.
    Left(usize),
    /// The token at a position from the right, from 0.
    Right(usize),
    /// The last of so many fields: if there are more tokens, it takes the rest of the line.
    Rest(usize),
}

/// Gathers patterns for a [`FieldIndex`].
#[derive(Default)]
pub(super) struct FieldIndexBuilder {
    slots: BTreeMap<Place, u32>,
    places: Vec<Place>,
    rules: Vec<Rule>,
}

impl FieldIndexBuilder {
    pub(super) fn add(&mut self, pattern: u32, delimited: &Delimited) {
        let fields = delimited.fields.len();
        let place = |field: usize| match delimited.ellipsis {
            Some(before) if field >= before => Place::Right(fields - 1 - field),
            None if field + 1 == fields => Place::Rest(fields),
            _ => Place::Left(field),
        };
        let conditions = delimited
            .fields
            .iter()
            .enumerate()
            .filter_map(|(i, field)| Some((place(i), field.conditions.as_ref()?)));
        let parts: Vec<_> =
            conditions.map(|(place, conditions)| conditions_on(self.slot(place), conditions)).collect();
        let expression = (!parts.is_empty()).then_some(Expression::All(parts));
        // Without an ellipsis an empty line matches nothing, not even [].
        let tokens_min = if delimited.ellipsis.is_some() { fields } else { fields.max(1) };
        self.rules.push(Rule { pattern, expression, tokens_min });
    }

    fn slot(&mut self, place: Place) -> u32 {
        let next = u32::try_from(self.places.len()).expect("patterns have few fields each");
        *self.slots.entry(place).or_insert_with(|| {
            self.places.push(place);
            next
        })
    }

    pub(super) fn build(self) -> Option<FieldIndex> {
        if self.rules.is_empty() {
            return None;
        }
        let for_rules = self.rules.iter().map(|rule| rule.tokens_min);
        let for_places = self.places.iter().map(|place| match *place {
            Place::Left(at) => at + 1,
            Place::Right(_) => usize::MAX,
            // Whether there are more.
            Place::Rest(fields) => fields + 1,
        });
        let tokens_max = for_rules.chain(for_places).max().unwrap_or(0);
        let conditions = Conditions::new(self.rules, self.places.len(), |_| false);
        let slots = (0..).zip(&self.places).map(|(slot, _)| slot);
        let indexed = slots.filter(|&slot| conditions.indexed(slot)).collect();
        Some(FieldIndex { conditions, indexed, tokens_max, places: self.places })
    }
}

fn conditions_on(slot: u32, conditions: &Expression<Comparison>) -> Expression<(u32, Test)> {
    let all = |parts: &[Expression<Comparison>]| parts.iter().map(|part| conditions_on(slot, part)).collect();
    match conditions {
        Expression::All(parts) => Expression::All(all(parts)),
        Expression::Any(parts) => Expression::Any(all(parts)),
        Expression::Condition(comparison) => {
            Expression::Condition((slot, Test::Comparison(comparison.clone())))
        }
    }
}

pub(super) struct FieldIndex {
    conditions: Conditions,
    /// By slot.
    places: Vec<Place>,
    /// The slots with an index.
    indexed: Vec<u32>,
    /// Of how many tokens a line's first ones are enough to tell what matches.
    tokens_max: usize,
}

impl FieldIndex {
    pub(super) fn find(&self, lines: Lines<'_, '_>, memo: &mut Memo, candidates: &mut Candidates) {
        memo.reset(&self.conditions);
        let mut tokens = Vec::new();
        let values = vec![Cell::new(None); self.places.len()];
        for line in 0..lines.len() {
            let message = lines.message(line);
            token::split_into(message, self.tokens_max, &mut tokens);
            for value in &values {
                value.set(None);
            }
            let fields = Fields { message, tokens: &tokens, places: &self.places, values: &values };
            self.conditions.begin(&fields, memo, |pattern| candidates.push(line, pattern, false));
            for &slot in &self.indexed {
                self.conditions.in_slot(slot, &fields, memo, |pattern| candidates.push(line, pattern, false));
            }
        }
    }
}

struct Fields<'t, 'm> {
    message: &'m str,
    tokens: &'t [Token<'m>],
    places: &'t [Place],
    /// What was asked for already: reading a number takes longer than remembering it.
    values: &'t [Cell<Option<Value<'m>>>],
}

impl<'m> Fields<'_, 'm> {
    fn read(&self, place: Place) -> Value<'m> {
        let text = match place {
            Place::Left(at) => self.tokens.get(at).map(|token| token.text),
            Place::Right(at) => self.tokens.len().checked_sub(at + 1).map(|at| self.tokens[at].text),
            Place::Rest(fields) => self.tokens.get(fields - 1).map(|token| {
                let swallows = self.tokens.len() > fields;
                let rest = || self.message[token.span.start..].trim_end_matches(is_white_space);
                if swallows { rest() } else { token.text }
            }),
        };
        match text {
            None => Value::Absent,
            Some(text) if Number::read(text).is_some() => Value::number(text),
            Some(text) => Value::Text(text),
        }
    }
}

impl Values for Fields<'_, '_> {
    fn value(&self, slot: u32) -> Value<'_> {
        let known = &self.values[slot as usize];
        known.get().unwrap_or_else(|| {
            let value = self.read(self.places[slot as usize]);
            known.set(Some(value));
            value
        })
    }

    fn any_satisfies(&self, slot: u32, test: &Test) -> bool {
        self.value(slot).satisfies(test)
    }

    fn tokens(&self) -> usize {
        self.tokens.len()
    }
}
