//! What is timed from outside, and how it is said.

use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

/// The clock of those who measure Watchbell from outside.
pub(crate) fn now() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "a measurement from outside, not time that Watchbell acts on"
    )]
    Instant::now()
}

/// Said with every figure: a debug build is slower.
pub(crate) const BUILD: &str = if cfg!(debug_assertions) { " (debug build)" } else { "" };

/// Some latencies, summed up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Latency {
    /// How many were measured.
    pub(crate) firings: usize,
    #[serde(rename = "p50_ms", serialize_with = "as_ms")]
    pub(crate) p50: Duration,
    #[serde(rename = "p99_ms", serialize_with = "as_ms")]
    pub(crate) p99: Duration,
    #[serde(rename = "max_ms", serialize_with = "as_ms")]
    pub(crate) max: Duration,
}

impl Latency {
    /// `None` if nothing was measured. Percentiles are by nearest rank: each is a latency that was measured.
    pub(crate) fn of(mut measured: Vec<Duration>) -> Option<Latency> {
        measured.sort_unstable();
        let rank = |percent: usize| measured.get((measured.len() * percent).div_ceil(100).checked_sub(1)?);
        Some(Latency { firings: measured.len(), p50: *rank(50)?, p99: *rank(99)?, max: *measured.last()? })
    }
}

fn as_ms<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64() * 1000.0)
}

/// Milliseconds with one decimal: `3.9`.
pub(crate) fn ms(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(ms: impl Iterator<Item = u64>) -> Option<Latency> {
        Latency::of(ms.map(Duration::from_millis).collect())
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let hundred = latency((1..=100).rev()).unwrap();
        let in_ms = [hundred.p50, hundred.p99, hundred.max].map(|it| it.as_millis());
        assert_eq!((hundred.firings, in_ms), (100, [50, 99, 100]));
        let one = latency(std::iter::once(7)).unwrap();
        assert_eq!([one.p50, one.p99, one.max], [Duration::from_millis(7); 3]);
        assert_eq!(latency(std::iter::empty()), None);
    }

    #[test]
    fn milliseconds_have_one_decimal() {
        assert_eq!(ms(Duration::from_micros(3_949)), "3.9");
    }
}
