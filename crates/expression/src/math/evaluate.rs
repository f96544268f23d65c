//! The value of an expression in every slot.
//!
//! A slot that is missing in one of two series counts as 0 there, and is missing if neither has a value; beside a
//! number a missing slot stays missing. A division by zero drops the datapoint.

use std::borrow::Cow;

use super::node::{Filler, Function, Node, Operator};

pub(super) struct Input<'i, 's> {
    pub(super) slots: usize,
    pub(super) period_s: u32,
    pub(super) series: &'i dyn Fn(&str) -> &'s [Option<f64>],
}

type Series<'s> = Cow<'s, [Option<f64>]>;

enum Value<'s> {
    Scalar(Option<f64>),
    Series(Series<'s>),
    List(Vec<Series<'s>>),
}

pub(super) fn evaluate(node: &Node, input: &Input<'_, '_>) -> Vec<Option<f64>> {
    input.value(node).series(input.slots).into_owned()
}

impl<'s> Input<'_, 's> {
    fn value(&self, node: &Node) -> Value<'s> {
        match node {
            Node::Number(number) => Value::Scalar(Some(*number)),
            Node::Id(id) => Value::Series(self.metric(id)),
            Node::Metrics { ids, .. } => Value::List(ids.iter().map(|id| self.metric(id)).collect()),
            Node::List(items) => Value::List(items.iter().flat_map(|item| self.value(item).list()).collect()),
            Node::Negate(inner) => self.value(inner).each(|value| -value),
            Node::Binary(operator, left, right) => join(*operator, self.value(left), self.value(right)),
            Node::If { condition, then, otherwise } => self.choose(condition, then, otherwise.as_deref()),
            Node::Fill(filled, filler) => self.fill(self.value(filled), filler),
            Node::Call(function, argument) => self.call(*function, self.value(argument)),
        }
    }

    fn metric(&self, id: &str) -> Series<'s> {
        let series = (self.series)(id);
        assert_eq!(series.len(), self.slots, "the series of {id} has a value or a gap for each slot");
        Cow::Borrowed(series)
    }

    /// Source: User Guide, "Using IF expressions": where the condition holds, a missing value of a series is 0;
    /// where it does not, the datapoint is dropped.
    fn choose(&self, condition: &Node, then: &Node, otherwise: Option<&Node>) -> Value<'s> {
        let (condition, then) = (self.value(condition), self.value(then));
        let otherwise = otherwise.map_or(Value::Scalar(None), |node| self.value(node));
        match (condition, then, otherwise) {
            (Value::Scalar(condition), then, otherwise) => {
                let wide = matches!(then, Value::Series(_)) || matches!(otherwise, Value::Series(_));
                let chosen = match condition {
                    Some(0.0) => otherwise,
                    Some(_) => then,
                    None => Value::Scalar(None),
                };
                // What a choice gives does not depend on which branch was taken.
                if wide { Value::Series(chosen.series(self.slots)) } else { chosen }
            }
            (condition, then, otherwise) => {
                let (otherwise, then_is_series) =
                    (otherwise.series(self.slots), matches!(then, Value::Series(_)));
                let (condition, then) = (condition.series(self.slots), then.series(self.slots));
                let slot = |slot: usize| match condition[slot]? {
                    0.0 => otherwise[slot],
                    _ if then_is_series => then[slot].or(Some(0.0)),
                    _ => then[slot],
                };
                Value::Series((0..self.slots).map(slot).collect())
            }
        }
    }

    fn fill(&self, filled: Value<'s>, filler: &Filler) -> Value<'s> {
        match filler {
            Filler::Repeat => filled.whole(repeat),
            Filler::Linear => filled.whole(linear),
            Filler::With(node) => {
                let with = self.value(node).series(self.slots);
                filled.whole(|series| {
                    series.iter().zip(with.iter()).map(|(value, with)| value.or(*with)).collect()
                })
            }
        }
    }

    fn call(&self, function: Function, argument: Value<'s>) -> Value<'s> {
        match function {
            Function::Abs => argument.each(f64::abs),
            Function::Ceil => argument.each(f64::ceil),
            Function::Floor => argument.each(f64::floor),
            Function::Log => argument.each(f64::ln),
            Function::Log10 => argument.each(f64::log10),
            Function::Diff => argument.whole(|series| steps(series, |step| step.by)),
            Function::DiffTime => {
                argument.whole(|series| steps(series, |step| step.slots * f64::from(self.period_s)))
            }
            Function::Rate => argument
                .whole(|series| steps(series, |step| step.by / (step.slots * f64::from(self.period_s)))),
            Function::RunningSum => argument.whole(running_sum),
            Function::Period => Value::Scalar(Some(f64::from(self.period_s))),
            Function::TimeSeries => Value::Series(argument.series(self.slots)),
            Function::MetricCount => Value::Scalar(Some(count(argument.list().len()))),
            Function::First => Value::Series(argument.list().swap_remove(0)),
            Function::Last => Value::Series(argument.list().pop().expect("a list has a series")),
            Function::Avg | Function::DatapointCount | Function::Max | Function::Min | Function::Sum => {
                match argument {
                    Value::List(list) => {
                        let slot = |slot: usize| summary(function, list.iter().map(|series| series[slot]));
                        Value::Series((0..self.slots).map(slot).collect())
                    }
                    series => Value::Scalar(summary(function, series.series(self.slots).iter().copied())),
                }
            }
        }
    }
}

impl<'s> Value<'s> {
    /// As a series; a number stands in every slot.
    fn series(self, slots: usize) -> Series<'s> {
        match self {
            Value::Scalar(value) => Cow::Owned(vec![value; slots]),
            Value::Series(series) => series,
            Value::List(_) => unreachable!("lists were refused where a series is needed"),
        }
    }

    fn list(self) -> Vec<Series<'s>> {
        match self {
            Value::List(list) => list,
            Value::Series(series) => vec![series],
            Value::Scalar(_) => unreachable!("numbers were refused where series are needed"),
        }
    }

    fn each(self, change: impl Fn(f64) -> f64) -> Value<'s> {
        let change = |value: Option<f64>| finite(change(value?));
        match self {
            Value::Scalar(value) => Value::Scalar(change(value)),
            other => other.whole(|series| series.iter().copied().map(change).collect()),
        }
    }

    /// Changes each series as a whole.
    fn whole(self, change: impl Fn(&[Option<f64>]) -> Vec<Option<f64>>) -> Value<'s> {
        match self {
            Value::Series(series) => Value::Series(Cow::Owned(change(&series))),
            Value::List(list) => Value::List(list.iter().map(|series| Cow::Owned(change(series))).collect()),
            Value::Scalar(_) => unreachable!("numbers were refused where series are needed"),
        }
    }
}

fn join<'s>(operator: Operator, left: Value<'s>, right: Value<'s>) -> Value<'s> {
    let both = |left: Option<f64>, right: Option<f64>| apply(operator, left?, right?);
    let either = |left: Option<f64>, right: Option<f64>| {
        left.or(right)?;
        apply(operator, left.unwrap_or(0.0), right.unwrap_or(0.0))
    };
    match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => Value::Scalar(both(left, right)),
        (left, Value::Scalar(right)) => {
            left.whole(|left| left.iter().map(|left| both(*left, right)).collect())
        }
        (Value::Scalar(left), right) => {
            right.whole(|right| right.iter().map(|right| both(left, *right)).collect())
        }
        (left, Value::Series(right)) => left
            .whole(|left| left.iter().zip(right.iter()).map(|(left, right)| either(*left, *right)).collect()),
        (Value::Series(left), right) => {
            right.whole(|right| left.iter().zip(right).map(|(left, right)| either(*left, *right)).collect())
        }
        (Value::List(_), Value::List(_)) => unreachable!("two lists were refused"),
    }
}

#[expect(clippy::float_cmp, reason = "== in an expression is equality, as written")]
fn apply(operator: Operator, left: f64, right: f64) -> Option<f64> {
    let truth = |holds: bool| f64::from(u8::from(holds));
    finite(match operator {
        Operator::Or => truth(left != 0.0 || right != 0.0),
        Operator::And => truth(left != 0.0 && right != 0.0),
        Operator::Equal => truth(left == right),
        Operator::NotEqual => truth(left != right),
        Operator::LessOrEqual => truth(left <= right),
        Operator::GreaterOrEqual => truth(left >= right),
        Operator::Less => truth(left < right),
        Operator::Greater => truth(left > right),
        Operator::Plus => left + right,
        Operator::Minus => left - right,
        Operator::Times => left * right,
        Operator::Divide => left / right,
        Operator::Power => left.powf(right),
    })
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// One number for many values; `None` if there is no value at all.
///
/// AVG counts a missing value as 0 (User Guide, functions, AVG); the others pass over it.
fn summary(function: Function, values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (mut all, mut present, mut sum, mut least, mut most) = (0, 0, 0.0, f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        all += 1;
        if let Some(value) = value {
            present += 1;
            sum += value;
            least = least.min(value);
            most = most.max(value);
        }
    }
    if present == 0 {
        return None;
    }
    finite(match function {
        Function::Avg => sum / count(all),
        Function::DatapointCount => count(present),
        Function::Max => most,
        Function::Min => least,
        Function::Sum => sum,
        _ => unreachable!("the other functions make no summary"),
    })
}

/// From a datapoint to the next one that exists.
struct Step {
    by: f64,
    slots: f64,
}

fn steps(series: &[Option<f64>], result: impl Fn(&Step) -> f64) -> Vec<Option<f64>> {
    let mut previous: Option<(usize, f64)> = None;
    let slot = |(slot, value): (usize, &Option<f64>)| {
        let value = (*value)?;
        let (from, before) = previous.replace((slot, value))?;
        finite(result(&Step { by: value - before, slots: count(slot - from) }))
    };
    series.iter().enumerate().map(slot).collect()
}

fn running_sum(series: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut sum = 0.0;
    let slot = |value: &Option<f64>| {
        sum += (*value)?;
        finite(sum)
    };
    series.iter().map(slot).collect()
}

/// The value before a gap goes on through it; a gap at the beginning stays.
fn repeat(series: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut last = None;
    let slot = |value: &Option<f64>| {
        last = value.or(last);
        last
    };
    series.iter().map(slot).collect()
}

/// A gap is bridged by a straight line; gaps at the beginning and at the end stay.
fn linear(series: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut filled = series.to_vec();
    let mut previous: Option<(usize, f64)> = None;
    for (slot, value) in series.iter().enumerate() {
        let Some(value) = *value else { continue };
        if let Some((from, before)) = previous {
            let share = |at: usize| count(at - from) / count(slot - from);
            for (at, gap) in filled.iter_mut().enumerate().take(slot).skip(from + 1) {
                // Weighted, not `before + (value - before) * share`: the difference may overflow.
                *gap = finite(before * (1.0 - share(at)) + value * share(at));
            }
        }
        previous = Some((slot, value));
    }
    filled
}

/// A number of slots or series.
fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).expect("there are fewer than 2^32 slots and series"))
}
