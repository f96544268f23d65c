//! Conditions on a number, sorted by their bounds: which hold for a value, in time of those that do.

use std::cmp::Ordering;

use super::slot_index::Numeral;
use crate::number::Number;
use crate::value::Order;

/// What a condition on a number asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Ordered(Order),
}

impl Relation {
    /// Whether it holds for a value that compares with the bound like this.
    #[inline]
    pub(super) fn allows(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Ordered(wanted) => wanted.allows(order),
        }
    }
}

/// Bounds in rising order, and the conditions on each side of them.
#[derive(Default)]
pub(super) struct Thresholds {
    bounds: Vec<Bound>,
    /// Conditions that hold for all values above their bound, by rising bounds.
    above: Vec<u32>,
    /// Conditions that hold for all values below their bound, by rising bounds.
    below: Vec<u32>,
    /// One more than the first bound with a float, by a hash of the float; 0 for none. A search by halves guesses wrong at
    /// every other step, so values that are only tested for equality are found here. A power of two of places.
    places: Vec<u32>,
}

struct Bound {
    /// As spelled.
    text: String,
    /// The nearest 64-bit float: what is smaller as one is smaller.
    near: f64,
    /// Conditions that hold for a value equal to the bound.
    equal: Vec<u32>,
    /// How many of `above` and `below` have smaller bounds.
    above_before: usize,
    below_before: usize,
}

impl Thresholds {
    /// Takes relation, bound as spelled, and number of each condition.
    pub(super) fn new(mut conditions: Vec<(Relation, String, u32)>) -> Self {
        conditions.sort_by(|(_, one, i), (_, other, j)| exactly(one, other).then(i.cmp(j)));
        let mut thresholds = Self::default();
        for (relation, text, condition) in conditions {
            let is_new = thresholds.bounds.last().is_none_or(|last| exactly(&last.text, &text).is_ne());
            if is_new {
                let near = near(&text);
                let (above_before, below_before) = (thresholds.above.len(), thresholds.below.len());
                thresholds.bounds.push(Bound { text, near, equal: Vec::new(), above_before, below_before });
            }
            let equal = &mut thresholds.bounds.last_mut().expect("one was pushed").equal;
            match relation {
                Relation::Equal => equal.push(condition),
                Relation::Ordered(order) => {
                    if matches!(order, Order::LessOrEqual | Order::GreaterOrEqual) {
                        equal.push(condition);
                    }
                    match order {
                        Order::Less | Order::LessOrEqual => thresholds.below.push(condition),
                        Order::Greater | Order::GreaterOrEqual => thresholds.above.push(condition),
                    }
                }
            }
        }
        thresholds.fill_places();
        thresholds
    }

    fn fill_places(&mut self) {
        if !self.above.is_empty() || !self.below.is_empty() || self.bounds.is_empty() {
            return;
        }
        self.places = vec![0; (self.bounds.len() * 2).next_power_of_two()];
        for i in 0..self.bounds.len() {
            let near = self.bounds[i].near;
            let mut place = self.first_place(near);
            while self.places[place] != 0 {
                place = (place + 1) & (self.places.len() - 1);
            }
            self.places[place] = u32::try_from(i + 1).expect("patterns have few bounds each");
        }
    }

    #[inline]
    fn first_place(&self, near: f64) -> usize {
        // Zero has two signs and one place. Small whole numbers end in many zero bits as floats, and so do their products:
        // only the highest bits tell them apart.
        let hash = (near + 0.0).to_bits().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let bits = self.places.len().ilog2();
        usize::try_from(hash >> (u64::BITS - bits)).expect("fewer bits than the number of places has")
    }

    /// The conditions of equality, where there are no others.
    fn each_equal(&self, value: Numeral<'_>, mut holds: impl FnMut(u32)) {
        let mut place = self.first_place(value.near);
        while let Some(number) = self.places[place].checked_sub(1) {
            let bound = &self.bounds[number as usize];
            if compare(Numeral { text: &bound.text, near: bound.near }, value).is_eq() {
                return bound.equal.iter().copied().for_each(&mut holds);
            }
            place = (place + 1) & (self.places.len() - 1);
        }
    }

    /// Calls `holds` with every condition that holds for `value`.
    pub(super) fn each(&self, value: Numeral<'_>, mut holds: impl FnMut(u32)) {
        if self.bounds.is_empty() {
            return;
        }
        if !self.places.is_empty() {
            return self.each_equal(value, holds);
        }
        let compare = |bound: &Bound| compare(Numeral { text: &bound.text, near: bound.near }, value);
        let smaller = self.bounds.partition_point(|bound| compare(bound).is_lt());
        let equal = self.bounds.get(smaller).filter(|bound| compare(bound).is_eq());
        equal.iter().flat_map(|bound| &bound.equal).copied().for_each(&mut holds);
        let above = self.bounds.get(smaller).map_or(self.above.len(), |bound| bound.above_before);
        self.above[..above].iter().copied().for_each(&mut holds);
        let below = self.bounds.get(smaller + usize::from(equal.is_some()));
        let below = below.map_or(self.below.len(), |bound| bound.below_before);
        self.below[below..].iter().copied().for_each(&mut holds);
    }
}

/// The nearest 64-bit float of a text that reads as a number.
pub(super) fn near(text: &str) -> f64 {
    few_digits(text.as_bytes())
        .unwrap_or_else(|| text.parse().expect("what reads as a number reads as a float"))
}

/// The same for up to 15 digits without an exponent, which is what stands in logs: a whole number and a power of ten
/// that are both exact as floats have an exact quotient but for one rounding. Half the time of the standard library's.
fn few_digits(text: &[u8]) -> Option<f64> {
    const TENS: [f64; 16] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    if text.len() > 16 {
        return None;
    }
    let (mut digits, mut decimals, mut in_decimals): (u64, usize, bool) = (0, 0, false);
    for &byte in text {
        match byte {
            b'0'..=b'9' => digits = digits * 10 + u64::from(byte - b'0'),
            b'.' if !in_decimals => in_decimals = true,
            _ => return None,
        }
        decimals += usize::from(in_decimals && byte != b'.');
    }
    #[expect(clippy::cast_precision_loss, reason = "below 2^53, checked here")]
    (digits < 1 << 53).then(|| digits as f64 / TENS[decimals])
}

/// Which of two numbers is larger, exactly: only numbers with the same float need a look at their digits.
#[inline]
pub(super) fn compare(one: Numeral<'_>, other: Numeral<'_>) -> Ordering {
    one.near.partial_cmp(&other.near).filter(|it| it.is_ne()).unwrap_or_else(|| exactly(one.text, other.text))
}

fn exactly(one: &str, other: &str) -> Ordering {
    if one == other {
        return Ordering::Equal;
    }
    let read = |text| Number::read(text).expect("only numbers get here");
    read(one).compare(read(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = String> {
        prop_oneof![
            "[+-]?[0-9]{1,2}(\\.[0-9]{1,2})?",
            prop::sample::select(vec![
                "9007199254740992",
                "9007199254740993",
                "1e999",
                "1e1000",
                "-1e999",
                "0e5",
                "1e-400",
                "10e0"
            ])
            .prop_map(String::from),
        ]
    }

    proptest! {
        #[test]
        fn the_short_way_to_a_float_gives_the_nearest(text in "[0-9]{1,9}(\\.[0-9]{1,6})?|[0-9]{14,17}") {
            prop_assert_eq!(near(&text).to_bits(), text.parse::<f64>().unwrap().to_bits());
        }

        #[test]
        fn the_conditions_that_hold_are_those_that_hold_one_by_one(
            conditions in prop_oneof![
                prop::collection::vec((0..5, number()), 0..12),
                prop::collection::vec((Just(0), number()), 0..12),
            ],
            value in number(),
        ) {
            let relation = |kind| match kind {
                0 => Relation::Equal,
                1 => Relation::Ordered(Order::Less),
                2 => Relation::Ordered(Order::LessOrEqual),
                3 => Relation::Ordered(Order::Greater),
                _ => Relation::Ordered(Order::GreaterOrEqual),
            };
            let conditions: Vec<_> = (0..).zip(conditions).map(|(i, (kind, bound))| (relation(kind), bound, i)).collect();
            let holds = |relation: Relation, bound: &str| relation.allows(exactly(&value, bound));
            let expected: Vec<u32> = conditions.iter().filter(|(relation, bound, _)| holds(*relation, bound)).map(|it| it.2).collect();
            let mut found = Vec::new();
            Thresholds::new(conditions).each(Numeral { text: &value, near: near(&value) }, |condition| found.push(condition));
            found.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
