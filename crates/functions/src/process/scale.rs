//! How many workers a function has: more while its queue grows old, fewer when nothing waits.

use watchbell_model::{Timestamp, Workers};

/// A message that waits longer asks for more workers, in milliseconds.
pub const WAIT_MS_MAX: i64 = 1000;

/// How long nothing has to wait until there are fewer workers, in milliseconds.
pub const IDLE_MS: i64 = 30_000;

/// What a queue looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Messages that can be received.
    pub waiting: u64,
    /// How long the oldest that is not dealt with has been there, in milliseconds.
    pub oldest_ms: i64,
}

/// Another number of workers, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scaled {
    /// When.
    pub at: Timestamp,
    /// How many there were to be.
    pub from: u32,
    /// How many there are to be.
    pub to: u32,
    /// Why.
    pub reason: String,
}

/// What is remembered from one look to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scale {
    /// Nothing has waited since.
    idle_since: Option<Timestamp>,
}

impl Scale {
    /// Decides, `now` that there are to be `workers`.
    ///
    /// Twice as many while messages wait for more than [`WAIT_MS_MAX`]; half as many whenever nothing has waited for
    /// [`IDLE_MS`]; always within `bounds`.
    pub fn decide(&mut self, workers: u32, bounds: Workers, load: Load, now: Timestamp) -> Option<Scaled> {
        let scaled = |to: u32, reason: String| {
            (to != workers).then_some(Scaled { at: now, from: workers, to, reason })
        };
        if !(bounds.min..=bounds.max).contains(&workers) {
            let to = workers.clamp(bounds.min, bounds.max);
            return scaled(to, format!("the file says {} to {}", bounds.min, bounds.max));
        }
        if load.waiting > 0 {
            self.idle_since = None;
            let is_late = load.oldest_ms > WAIT_MS_MAX;
            let to = workers.saturating_mul(2).min(bounds.max);
            let age_s = load.oldest_ms / 1000;
            return is_late.then(|| {
                scaled(to, format!("{} messages wait, the oldest is {age_s} s old", load.waiting))
            })?;
        }
        let since = *self.idle_since.get_or_insert(now);
        // A clock that steps back begins anew.
        if now < since {
            self.idle_since = Some(now);
        }
        if now.ms_since(since) < IDLE_MS {
            return None;
        }
        self.idle_since = Some(now);
        scaled((workers / 2).max(bounds.min), format!("nothing has waited for {} s", IDLE_MS / 1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Workers = Workers { min: 2, max: 9 };

    fn load(waiting: u64, oldest_ms: i64) -> Load {
        Load { waiting, oldest_ms }
    }

    #[test]
    fn workers_double_up_to_the_most_while_messages_grow_old() {
        let mut scale = Scale::default();
        let mut decide = |workers, load, at| scale.decide(workers, BOUNDS, load, Timestamp(at));
        assert_eq!(decide(2, load(500, 1000), 0), None, "they may be done within a second");
        let up = decide(2, load(500, 12_345), 0).unwrap();
        assert_eq!((up.from, up.to, up.reason.as_str()), (2, 4, "500 messages wait, the oldest is 12 s old"));
        let to = [4, 8, 9].map(|workers| decide(workers, load(1, 2000), 0).map(|scaled| scaled.to));
        assert_eq!(to, [Some(8), Some(9), None]);
        assert_eq!(decide(8, load(0, 60_000), 1), None, "what is being worked on needs nobody else");
    }

    #[test]
    fn workers_halve_down_to_the_least_each_time_nothing_has_waited_for_long() {
        let mut scale = Scale::default();
        let mut decide =
            |workers, load, at| scale.decide(workers, BOUNDS, load, Timestamp(at)).map(|scaled| scaled.to);
        let idle = load(0, 0);
        let seen = [(9, idle, 0), (9, idle, 29_999), (9, idle, 30_000), (4, idle, 59_999), (4, idle, 60_000)];
        let to = seen.map(|(workers, load, at)| decide(workers, load, at));
        assert_eq!(to, [None, None, Some(4), None, Some(2)]);
        assert_eq!(decide(2, idle, 90_000), None, "the least");
        assert_eq!(decide(9, idle, 110_000), None);
        assert_eq!(decide(9, load(1, 0), 115_000), None);
        assert_eq!(decide(9, idle, 121_000), None, "something waited meanwhile: the time begins anew");
        assert_eq!(decide(9, idle, 151_000), Some(4));
        assert_eq!(decide(9, idle, 100_000), None, "a clock that steps back begins anew");
        assert_eq!(decide(9, idle, 130_000), Some(4));
    }

    #[test]
    fn other_bounds_count_at_once() {
        let decided = Scale::default().decide(20, BOUNDS, load(7, 9000), Timestamp(0)).unwrap();
        assert_eq!((decided.to, decided.reason.as_str()), (9, "the file says 2 to 9"));
        assert_eq!(Scale::default().decide(0, BOUNDS, load(0, 0), Timestamp(0)).unwrap().to, 2);
    }
}
