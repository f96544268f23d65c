//! Patterns made of conditions on places of an event: which match, given what stands in the places.
//!
//! Equal conditions of different patterns are one and are evaluated at most once an event. Every pattern hangs on an
//! anchor: conditions of which at least one must hold, the most selective ones it has. The index of their place names
//! those that hold, and only patterns that hang on them are looked at. So the work grows with what an event
//! satisfies, not with the number of patterns.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::slot_index::{Lookup, Numeral, SlotIndex, SlotIndexBuilder, Value};
use super::thresholds::{Relation, compare, near};
use crate::expression::Expression;
use crate::json::Test;
use crate::value::Comparison;

/// An event, as the conditions see it.
pub(super) trait Values {
    /// What stands in a place that holds one value.
    fn value(&self, slot: u32) -> Value<'_>;
    /// Whether the condition holds for one of the values in a place that may hold several.
    fn any_satisfies(&self, slot: u32, test: &Test) -> bool;
    /// How many tokens there are; none in a JSON event.
    fn tokens(&self) -> usize;
}

/// A pattern as it is given.
pub(super) struct Rule {
    /// The distinct pattern's number.
    pub(super) pattern: u32,
    /// Conditions by slot; `None` if there are none.
    pub(super) expression: Option<Expression<(u32, Test)>>,
    /// With fewer tokens it cannot match.
    pub(super) tokens_min: usize,
}

pub(super) struct Conditions {
    all: Vec<Condition>,
    /// What hangs on each condition lies together: `hanging[starts[c]..starts[c + 1]]`.
    hanging: Vec<Hanging>,
    starts: Vec<u32>,
    programs: Vec<Program>,
    slots: Vec<Slot>,
    /// Programs without an anchor.
    always: Vec<u32>,
}

struct Condition {
    slot: u32,
    test: Test,
    check: Check,
}

/// How a condition is asked when it was not looked up.
enum Check {
    /// As a number, without reading the bound's digits each time.
    Number {
        relation: Relation,
        text: String,
        near: f64,
    },
    One,
    /// Its place may hold several values.
    Many,
}

/// A program on its anchor. Most programs end here, so that their own memory is not touched.
struct Hanging {
    /// Its most selective other conditions.
    guards: [Guard; 2],
    tokens_min: usize,
    program: u32,
    pattern: u32,
    /// Whether the program holds if anchor and guards do.
    complete: bool,
}

/// A condition that must hold besides the anchor.
#[derive(Clone, Copy)]
enum Guard {
    None,
    Condition(u32),
    /// With what is needed to tell for all numbers but those with the same float as the bound.
    Number {
        condition: u32,
        slot: u32,
        relation: Relation,
        near: f64,
    },
}

struct Program {
    pattern: u32,
    tokens_min: usize,
    expression: Expression<u32>,
}

#[derive(Default)]
struct Slot {
    /// `None` if no anchor is here.
    index: Option<SlotIndex>,
}

/// What is known of the conditions of the event at hand.
#[derive(Default)]
pub(super) struct Memo {
    /// Twice the event's number, plus whether the condition holds.
    known: Vec<u32>,
    event: u32,
}

impl Memo {
    /// Forgets everything, for use with so many conditions.
    pub(super) fn reset(&mut self, conditions: &Conditions) {
        self.known.clear();
        self.known.resize(conditions.all.len(), 0);
        self.event = 0;
    }
}

impl Conditions {
    /// `many` says which slots may hold several values: these have no index.
    pub(super) fn new(rules: Vec<Rule>, slots: usize, many: impl Fn(u32) -> bool) -> Self {
        let mut interner = Interner::default();
        let programs: Vec<Program> = rules.into_iter().map(|rule| interner.program(rule)).collect();
        let Interner { mut conditions, .. } = interner;
        for condition in conditions.iter_mut().filter(|it| many(it.slot)) {
            condition.check = Check::Many;
        }
        let weights = Weights::of(&conditions, &programs, &many);
        let mut always = Vec::new();
        let mut on: BTreeMap<u32, Vec<Hanging>> = BTreeMap::new();
        for (number, program) in (0..).zip(&programs) {
            let Some(anchor) = weights.anchor(&program.expression) else {
                always.push(number);
                continue;
            };
            for condition in anchor.conditions {
                let hanging = program.on(condition, number, &weights, &conditions);
                on.entry(condition).or_default().push(hanging);
            }
        }
        let mut builders: BTreeMap<u32, SlotIndexBuilder> = BTreeMap::new();
        for &number in on.keys() {
            let condition = &conditions[number as usize];
            let lookup = Lookup::of(&condition.test).expect("only what can be looked up is an anchor");
            builders.entry(condition.slot).or_default().add(&lookup, number);
        }
        let (mut starts, mut hanging) = (vec![0], Vec::new());
        for (number, _) in (0..).zip(&conditions) {
            hanging.extend(on.remove(&number).into_iter().flatten());
            starts.push(u32::try_from(hanging.len()).expect("patterns have few conditions each"));
        }
        let slots = (0..u32::try_from(slots).expect("places are few"))
            .map(|slot| Slot { index: builders.remove(&slot).map(SlotIndexBuilder::build) });
        Self { slots: slots.collect(), all: conditions, hanging, starts, programs, always }
    }

    /// Whether a place has an index: the others need not be given to [`Conditions::in_slot`].
    pub(super) fn indexed(&self, slot: u32) -> bool {
        self.slots[slot as usize].index.is_some()
    }

    /// Begins with the next event: what was known of the last one is forgotten.
    pub(super) fn begin(&self, values: &impl Values, memo: &mut Memo, mut matches: impl FnMut(u32)) {
        memo.event += 1;
        for &program in &self.always {
            self.run(program, values, memo, &mut matches);
        }
    }

    /// Calls `matches` with the patterns that hang on a condition which holds for what is in `slot`. A pattern that hangs
    /// on several may be named several times.
    #[inline]
    pub(super) fn in_slot(
        &self,
        slot: u32,
        values: &impl Values,
        memo: &mut Memo,
        mut matches: impl FnMut(u32),
    ) {
        let Some(index) = &self.slots[slot as usize].index else { return };
        index.each(values.value(slot), |condition| {
            memo.known[condition as usize] = memo.event << 1 | 1;
            let [start, end] = [self.starts[condition as usize], self.starts[condition as usize + 1]];
            for hanging in &self.hanging[start as usize..end as usize] {
                if !hanging.guards.iter().all(|guard| self.guard_holds(guard, values, memo)) {
                    continue;
                }
                if !hanging.complete {
                    self.run(hanging.program, values, memo, &mut matches);
                } else if values.tokens() >= hanging.tokens_min {
                    matches(hanging.pattern);
                }
            }
        });
    }

    #[inline]
    fn guard_holds(&self, guard: &Guard, values: &impl Values, memo: &mut Memo) -> bool {
        match *guard {
            Guard::None => true,
            Guard::Condition(condition) => self.condition_holds(condition, values, memo),
            Guard::Number { condition, slot, relation, near } => match values.value(slot) {
                Value::Number(number) if number.near < near => relation.allows(Ordering::Less),
                Value::Number(number) if number.near > near => relation.allows(Ordering::Greater),
                _ => self.condition_holds(condition, values, memo),
            },
        }
    }

    fn run(&self, program: u32, values: &impl Values, memo: &mut Memo, matches: &mut impl FnMut(u32)) {
        let program = &self.programs[program as usize];
        if values.tokens() >= program.tokens_min && self.holds(&program.expression, values, memo) {
            matches(program.pattern);
        }
    }

    fn holds(&self, expression: &Expression<u32>, values: &impl Values, memo: &mut Memo) -> bool {
        match expression {
            Expression::Condition(condition) => self.condition_holds(*condition, values, memo),
            Expression::All(parts) => parts.iter().all(|part| self.holds(part, values, memo)),
            Expression::Any(parts) => parts.iter().any(|part| self.holds(part, values, memo)),
        }
    }

    #[inline]
    fn condition_holds(&self, number: u32, values: &impl Values, memo: &mut Memo) -> bool {
        let known = memo.known[number as usize];
        if known >> 1 == memo.event {
            return known & 1 == 1;
        }
        let condition = &self.all[number as usize];
        let holds = condition.holds(values);
        memo.known[number as usize] = memo.event << 1 | u32::from(holds);
        holds
    }
}

impl Program {
    /// This program, whose number is given, where it hangs on `anchor`.
    fn on(&self, anchor: u32, program: u32, weights: &Weights, conditions: &[Condition]) -> Hanging {
        let others = weights.others(&self.expression, anchor);
        let guard = |at: usize| others.get(at).map_or(Guard::None, |&it| conditions[it as usize].guard(it));
        let guards = [guard(0), guard(1)];
        let is_condition = |part: &Expression<u32>| matches!(part, Expression::Condition(_));
        let complete = match &self.expression {
            Expression::Condition(_) => true,
            Expression::All(parts) => parts.iter().all(is_condition) && others.len() <= guards.len(),
            Expression::Any(parts) => parts.iter().all(is_condition),
        };
        Hanging { guards, tokens_min: self.tokens_min, program, pattern: self.pattern, complete }
    }
}

impl Check {
    fn of(test: &Test) -> Self {
        match Lookup::of(test) {
            Some(Lookup::Number(relation, text)) => {
                Self::Number { relation, text: text.to_owned(), near: near(text) }
            }
            _ => Self::One,
        }
    }
}

impl Condition {
    /// This condition, whose number is given, as a guard.
    fn guard(&self, condition: u32) -> Guard {
        match self.check {
            Check::Number { relation, near, .. } => {
                Guard::Number { condition, slot: self.slot, relation, near }
            }
            Check::One | Check::Many => Guard::Condition(condition),
        }
    }

    fn holds(&self, values: &impl Values) -> bool {
        match &self.check {
            Check::Many => values.any_satisfies(self.slot, &self.test),
            Check::One => values.value(self.slot).satisfies(&self.test),
            Check::Number { relation, text, near } => match values.value(self.slot) {
                Value::Number(number) => relation.allows(compare(number, Numeral { text, near: *near })),
                other => other.satisfies(&self.test),
            },
        }
    }
}

/// Gives equal conditions one number.
#[derive(Default)]
struct Interner {
    conditions: Vec<Condition>,
    /// By slot and the test as it prints: a regex knows no equality but that of its text.
    numbers: BTreeMap<(u32, String), u32>,
}

impl Interner {
    fn program(&mut self, rule: Rule) -> Program {
        let expression = rule.expression.map_or(Expression::All(Vec::new()), |it| self.expression(it));
        Program { pattern: rule.pattern, tokens_min: rule.tokens_min, expression }
    }

    fn expression(&mut self, expression: Expression<(u32, Test)>) -> Expression<u32> {
        match expression {
            Expression::Condition((slot, test)) => Expression::Condition(self.condition(slot, test)),
            Expression::All(parts) => {
                Expression::All(parts.into_iter().map(|part| self.expression(part)).collect())
            }
            Expression::Any(parts) => {
                Expression::Any(parts.into_iter().map(|part| self.expression(part)).collect())
            }
        }
    }

    fn condition(&mut self, slot: u32, test: Test) -> u32 {
        let next = u32::try_from(self.conditions.len()).expect("patterns have few conditions each");
        *self.numbers.entry((slot, format!("{test:?}"))).or_insert_with(|| {
            self.conditions.push(Condition { slot, check: Check::of(&test), test });
            next
        })
    }
}

/// How often each condition is expected to hold, from 0 to 1; `None` if it cannot be looked up.
struct Weights {
    of: Vec<Option<f32>>,
    /// How many programs have each condition.
    uses: Vec<u32>,
}

/// Conditions of which one must hold.
struct Anchor {
    conditions: Vec<u32>,
    weight: f32,
}

impl Weights {
    fn of(conditions: &[Condition], programs: &[Program], many: &impl Fn(u32) -> bool) -> Self {
        // A place that is compared with many values has many: each of them is then rare.
        let mut values: BTreeMap<u32, u16> = BTreeMap::new();
        let is_equality =
            |condition: &Condition| matches!(condition.test, Test::Comparison(Comparison::Equal(_)));
        for condition in conditions.iter().filter(|it| is_equality(it)) {
            let count = values.entry(condition.slot).or_default();
            *count = count.saturating_add(1);
        }
        let weight = |condition: &Condition| {
            let one_of = 1.0 / (1.0 + f32::from(values.get(&condition.slot).copied().unwrap_or(0)));
            Some(match Lookup::of(&condition.test).filter(|_| !many(condition.slot))? {
                Lookup::Text(_) | Lookup::Number(Relation::Equal, _) => one_of,
                Lookup::Beginning("") => 0.9,
                Lookup::Beginning(_) | Lookup::End(_) => one_of.max(0.05),
                Lookup::Null | Lookup::True | Lookup::False => 0.3,
                Lookup::Number(..) => 0.5,
            })
        };
        let mut uses = vec![0; conditions.len()];
        for program in programs {
            count(&program.expression, &mut uses);
        }
        Self { of: conditions.iter().map(weight).collect(), uses }
    }

    /// The conditions that must hold besides `anchor`; first those expected to hold least often, and of equals those that
    /// more programs have: what they tell is mostly known already.
    fn others(&self, expression: &Expression<u32>, anchor: u32) -> Vec<u32> {
        let Expression::All(parts) = expression else { return Vec::new() };
        let others = parts.iter().filter_map(|part| match part {
            Expression::Condition(condition) if *condition != anchor => Some(*condition),
            _ => None,
        });
        let mut others: Vec<u32> = others.collect();
        let weight = |condition: u32| self.of[condition as usize].unwrap_or(1.0);
        let uses = |condition: u32| self.uses[condition as usize];
        others
            .sort_by(|&one, &other| weight(one).total_cmp(&weight(other)).then(uses(other).cmp(&uses(one))));
        others
    }

    fn anchor(&self, expression: &Expression<u32>) -> Option<Anchor> {
        match expression {
            Expression::Condition(condition) => {
                let weight = self.of[*condition as usize]?;
                Some(Anchor { conditions: vec![*condition], weight })
            }
            Expression::All(parts) => {
                let anchors = parts.iter().filter_map(|part| self.anchor(part));
                anchors.min_by(|one, other| one.weight.total_cmp(&other.weight))
            }
            Expression::Any(parts) => {
                let anchors: Option<Vec<Anchor>> = parts.iter().map(|part| self.anchor(part)).collect();
                let anchors = anchors?;
                let weight = anchors.iter().map(|anchor| anchor.weight).sum();
                Some(Anchor {
                    conditions: anchors.into_iter().flat_map(|anchor| anchor.conditions).collect(),
                    weight,
                })
            }
        }
    }
}

fn count(expression: &Expression<u32>, uses: &mut [u32]) {
    match expression {
        Expression::Condition(condition) => uses[*condition as usize] += 1,
        Expression::All(parts) | Expression::Any(parts) => parts.iter().for_each(|part| count(part, uses)),
    }
}
