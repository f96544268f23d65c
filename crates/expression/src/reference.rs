//! A name that an expression uses, and where.

use std::ops::Range;

/// A use of a name: a metric's or expression's id in metric math, an alarm in a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The name, without quotes.
    pub name: String,
    /// Where it stands, in bytes of the expression's text, quotes included. An id that `METRICS()` brings in has
    /// the span of the call.
    pub span: Range<usize>,
}
