//! When the next attempt is due. Pure: the random part comes from a seed in the input.

use std::time::Duration;

use watchbell_model::DecisionId;

/// The longest wait between two attempts.
pub const BACKOFF_MAX: Duration = Duration::from_mins(5);

/// How long after a decision nobody tries any more to tell of it.
pub const GIVE_UP_AFTER: Duration = Duration::from_hours(24);

/// How long to wait after attempt number `attempt` (from 1) has failed.
///
/// 1 s, 2 s, 4 s, … up to [`BACKOFF_MAX`], each shortened by up to a quarter, so that messages that failed together
/// do not all come back together. The same attempt and seed always give the same wait.
pub fn backoff(attempt: u32, seed: u64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(63);
    let full_ms = 1000_u64.saturating_mul(1 << doublings).min(BACKOFF_MAX.as_secs() * 1000);
    let shortened_ms = scatter(seed ^ u64::from(attempt).rotate_left(32)) % (full_ms / 4 + 1);
    Duration::from_millis(full_ms - shortened_ms)
}

/// A seed for [`backoff`] that differs from one decision and one subscription to the next.
pub fn backoff_seed(decision: DecisionId, topic: &str, subscription: &str) -> u64 {
    let numbers = [decision.offset.0, u64::from(decision.index)];
    let texts = [topic, subscription].into_iter().flat_map(|text| text.bytes().map(u64::from).chain([256]));
    numbers.into_iter().chain(texts).fold(0, |seed, part| scatter(seed ^ part))
}

/// Spreads neighbouring numbers over all 64 bits: the output function of `SplitMix64` (Steele, Lea, Flood 2014).
fn scatter(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use watchbell_model::Offset;

    use super::*;

    #[test]
    fn the_wait_doubles_up_to_five_minutes_and_loses_at_most_a_quarter() {
        let full_s = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300];
        for (attempt, full_s) in (1..).zip(full_s) {
            let wait = backoff(attempt, 7);
            let full = Duration::from_secs(full_s);
            assert!(wait <= full && wait >= full * 3 / 4, "attempt {attempt}: {wait:?} of {full:?}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_wait_and_another_seed_another() {
        assert_eq!(backoff(4, 1), backoff(4, 1));
        assert_ne!(backoff(4, 1), backoff(4, 2));
        let decision = |index| DecisionId { offset: Offset(9), index };
        let seeds = [
            backoff_seed(decision(0), "ops", "slack"),
            backoff_seed(decision(1), "ops", "slack"),
            backoff_seed(decision(0), "ops", "webhook"),
            backoff_seed(decision(0), "opss", "lack"),
        ];
        for (i, seed) in seeds.iter().enumerate() {
            assert!(!seeds[..i].contains(seed), "{seeds:?}");
        }
    }

    proptest! {
        #[test]
        fn no_attempt_number_is_too_large_or_too_small(attempt: u32, seed: u64) {
            let wait = backoff(attempt, seed);
            prop_assert!(wait >= Duration::from_millis(750) && wait <= BACKOFF_MAX);
        }
    }
}
