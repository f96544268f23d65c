//! Times as programs read them: for `#[serde(serialize_with = "…")]` in what is printed. The journal keeps milliseconds.

use serde::{Serialize, Serializer};

use crate::Timestamp;

/// A time in UTC with milliseconds.
///
/// # Errors
/// The serializer's.
pub fn time<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// The same, or nothing.
///
/// # Errors
/// The serializer's.
pub fn optional_time<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(|at| at.to_string()).serialize(serializer)
}
