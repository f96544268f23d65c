//! The values of a bucket, kept for percentiles: exactly while they are few, then as a sketch.

use std::fmt;

use serde::{Deserialize, Serialize};
use sketches_ddsketch::{Config, DDSketch};
use watchbell_model::Percentile;

/// How many values a slot may have for its percentiles to be exact.
pub const EXACT_VALUES_MAX: usize = 10_000;

/// How far off a percentile of more values may be, relative to itself. Values more than seventeen powers of ten below
/// the greatest are told apart no longer.
pub const PERCENTILE_ERROR: f64 = 0.01;

/// Buckets of the sketch, 32 kB at most.
const SKETCH_BINS_MAX: u32 = 2048;

/// The values of one bucket, or of the buckets of a slot together.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Values {
    Exact(Vec<f64>),
    Sketch(Box<DDSketch>),
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Values::Exact(values) => f.debug_tuple("Exact").field(values).finish(),
            Values::Sketch(sketch) => write!(f, "Sketch({} values)", sketch.count()),
        }
    }
}

/// A sketch is a function of its values and their order, so this is equality for a bucket's purposes.
impl PartialEq for Values {
    fn eq(&self, other: &Values) -> bool {
        match (self, other) {
            (Values::Exact(a), Values::Exact(b)) => a == b,
            (Values::Sketch(a), Values::Sketch(b)) => a.to_java_bytes() == b.to_java_bytes(),
            _ => false,
        }
    }
}

impl Default for Values {
    fn default() -> Values {
        Values::Exact(Vec::new())
    }
}

impl Values {
    pub(crate) fn add(&mut self, value: f64) {
        match self {
            Values::Exact(values) if values.len() < EXACT_VALUES_MAX => values.push(value),
            Values::Exact(_) => {
                self.sketch().add(value);
            }
            Values::Sketch(sketch) => sketch.add(value),
        }
    }

    /// How many values are kept one by one.
    pub(crate) fn exact_count(&self) -> usize {
        match self {
            Values::Exact(values) => values.len(),
            Values::Sketch(_) => 0,
        }
    }

    /// Gives up exactness.
    pub(crate) fn sketch(&mut self) -> &mut DDSketch {
        if let Values::Exact(values) = self {
            let mut sketch = DDSketch::new(Config::new(PERCENTILE_ERROR, SKETCH_BINS_MAX, 1e-9));
            for value in values {
                sketch.add(*value);
            }
            *self = Values::Sketch(Box::new(sketch));
        }
        match self {
            Values::Sketch(sketch) => sketch,
            Values::Exact(_) => unreachable!("it was just turned into a sketch"),
        }
    }

    /// The percentile of all values of `parts`, and whether it is an estimate; `None` without values.
    pub(crate) fn percentile(parts: &[&Values], percentile: Percentile) -> Option<(f64, bool)> {
        let exact: Option<Vec<&[f64]>> = parts
            .iter()
            .map(|part| match part {
                Values::Exact(values) => Some(&values[..]),
                Values::Sketch(_) => None,
            })
            .collect();
        let count: usize = parts.iter().map(|part| part.exact_count()).sum();
        if let Some(exact) = exact.filter(|_| count <= EXACT_VALUES_MAX) {
            let mut values = exact.concat();
            let rank = usize::try_from(percentile.rank(values.len() as u64)).expect("at most their number");
            let (_, value, _) =
                (rank > 0).then(|| values.select_nth_unstable_by(rank - 1, f64::total_cmp))?;
            return Some((*value, false));
        }
        let mut all = Values::default();
        for part in parts {
            match part {
                Values::Exact(values) => {
                    for value in values {
                        all.sketch().add(*value);
                    }
                }
                Values::Sketch(sketch) => {
                    all.sketch().merge(sketch).expect("every sketch has the same shape");
                }
            }
        }
        estimate(all.sketch(), percentile).map(|value| (value, true))
    }
}

fn estimate(sketch: &DDSketch, percentile: Percentile) -> Option<f64> {
    let count = sketch.count() as u64;
    #[expect(clippy::cast_precision_loss, reason = "a count above 2^53 is out of reach")]
    let (rank, last) = (percentile.rank(count) as f64, (count.max(2) - 1) as f64);
    // The sketch takes the value at floor(share × last), counted from 0; half a rank keeps rounding out of it.
    sketch.quantile(((rank - 0.5) / last).min(1.0)).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use watchbell_model::Statistic;

    fn percentile(text: &str) -> Percentile {
        text.parse::<Statistic>().unwrap().percentile().unwrap()
    }

    #[test]
    fn few_values_are_exact_and_more_are_within_the_stated_error() {
        let mut values = Values::default();
        (1..=10_000).rev().for_each(|value| values.add(f64::from(value)));
        assert_eq!(Values::percentile(&[&values], percentile("p99.9")), Some((9990.0, false)));
        values.add(10_001.0);
        let (value, estimated) = Values::percentile(&[&values], percentile("p99.9")).unwrap();
        assert!(estimated && (value / 9991.0 - 1.0).abs() <= PERCENTILE_ERROR, "{value}");
        assert_eq!(Values::percentile(&[], percentile("p50")), None);
    }

    proptest! {
        #[test]
        fn a_sketch_is_within_one_percent_of_the_nearest_rank(
            mut values in prop::collection::vec(prop_oneof![Just(0.0), 1e-6..1e9], 1..300), p in 0..=1000_u32
        ) {
            let percentile = percentile(&format!("p{}.{}", p / 10, p % 10));
            let exact = Values::Exact(values.clone());
            let mut sketch = exact.clone();
            sketch.sketch();
            let (found, estimated) = Values::percentile(&[&sketch], percentile).unwrap();
            values.sort_by(f64::total_cmp);
            let rank = usize::try_from(percentile.rank(values.len() as u64)).unwrap();
            let expected = values[rank - 1];
            prop_assert!(estimated);
            prop_assert!((found - expected).abs() <= expected * PERCENTILE_ERROR * 1.000_001, "{found} {expected}");
            prop_assert_eq!(Values::percentile(&[&exact], percentile), Some((expected, false)));
        }
    }
}
