//! The clock: the one place where time is read.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use watchbell_model::Timestamp;

/// Tells the time. Two implementers: the system's clock, and one that tests wind by hand.
pub trait Clock: Send + Sync {
    /// What time it is.
    fn now(&self) -> Timestamp;

    /// How long to sleep, really, before it makes sense to look whether it is `at`.
    fn sleep_until(&self, at: Timestamp) -> Duration;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the one clock read")]
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Timestamp(since.map_or_else(|before| -ms(before.duration()), ms))
    }

    fn sleep_until(&self, at: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(at.ms_since(self.now())).unwrap_or(0))
    }
}

/// A clock that stands still until it is wound.
#[derive(Debug)]
pub struct HandWoundClock(AtomicI64);

impl HandWoundClock {
    /// How often a sleeper looks at it.
    const LOOK_AGAIN: Duration = Duration::from_millis(1);

    /// A clock that shows `at`.
    pub fn new(at: Timestamp) -> HandWoundClock {
        HandWoundClock(AtomicI64::new(at.0))
    }

    /// Winds it by `ms`, also backwards.
    pub fn wind_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for HandWoundClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, at: Timestamp) -> Duration {
        if at <= self.now() { Duration::ZERO } else { Self::LOOK_AGAIN }
    }
}
