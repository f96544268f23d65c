//! Metric math: CloudWatch's expressions over series of datapoints.
//!
//! Source: CloudWatch User Guide, "Using math expressions with CloudWatch metrics" (syntax and functions).
//! What it leaves open is decided here and said in docs/reference/metric-math.md.

mod evaluate;
mod node;
mod parse;
mod print;

use std::fmt;

use crate::error::ExpressionError;
use crate::reference::Reference;
use node::{Kind, Node};

/// The longest expression, in characters. Source: CloudWatch API Reference, `MetricDataQuery`, `Expression`.
pub const MATH_CHARS_MAX: usize = 2048;

/// A metric math expression. Equal if it computes the same in the same way; spaces and needless parentheses
/// do not count. `Display` prints it in one way only.
#[derive(Debug, Clone)]
pub struct MetricMath {
    node: Node,
    kind: Kind,
    ids: Vec<Reference>,
}

impl MetricMath {
    /// Reads an expression.
    ///
    /// `metrics` are the ids of the metrics beside it, in order: what `METRICS()` gives, and what `PERIOD` takes.
    /// Other ids are taken for those of other expressions; whether they exist is the caller's to check, by [`MetricMath::ids`].
    ///
    /// # Errors
    /// With the place of the first mistake. Among them: more than [`MATH_CHARS_MAX`] characters, nested deeper
    /// than [`crate::DEPTH_MAX`], functions that are not available, a result that is a list of series.
    pub fn parse(text: &str, metrics: &[&str]) -> Result<Self, ExpressionError> {
        let (node, kind, ids) = parse::parse(text, metrics)?;
        Ok(Self { node, kind, ids })
    }

    /// Every id in the expression, in the order of the text, as often as it is used.
    pub fn ids(&self) -> &[Reference] {
        &self.ids
    }

    /// Whether the result is one number for all slots, which CloudWatch refuses as the result of an alarm.
    pub fn is_scalar(&self) -> bool {
        self.kind == Kind::Scalar
    }

    /// The value of each slot, oldest first; `None` is a missing datapoint.
    ///
    /// `slots` is the length of every series, `period_s` the period of every metric in seconds, `series` the
    /// series of an id. A result that is one number stands in every slot. What is not finite is missing. Time and
    /// memory are bounded by the number of slots times the length of the text, or by that and the number of
    /// metrics for `METRICS()`.
    ///
    /// # Panics
    /// If `series` gives a series of another length.
    pub fn evaluate<'s>(
        &self,
        slots: usize,
        period_s: u32,
        series: &dyn Fn(&str) -> &'s [Option<f64>],
    ) -> Vec<Option<f64>> {
        evaluate::evaluate(&self.node, &evaluate::Input { slots, period_s, series })
    }
}

impl PartialEq for MetricMath {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl fmt::Display for MetricMath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(formatter)
    }
}
