//! What Watchbell measures of itself: unread bytes, messages and archive text that wait, what queues hold.
//!
//! Only what some alarm watches, together in one entry: the engine reads it back from the journal like everything else.
//! Not here: what other entries tell already (incoming events and bytes, failed deliveries, what happened to messages of queues); the engine counts these.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use watchbell_model::{Dimensions, GroupName, OwnMetric, Sample, Samples, Timestamp};

use super::fold::Fold;

/// How often it is measured, in milliseconds, at whole multiples of it.
pub const MEASURED_EVERY_MS: i64 = 10_000;

/// The unread bytes of each log group of the plan, as the collector last saw them.
#[derive(Clone, Debug, Default)]
pub struct SourceLag(Arc<Mutex<BTreeMap<GroupName, u64>>>);

impl SourceLag {
    /// Forgets what was known; this holds from now on.
    pub fn replace(&self, unread_bytes: BTreeMap<GroupName, u64>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = unread_bytes;
    }

    /// A copy: the collector does not wait for whoever looks.
    pub fn look(&self) -> BTreeMap<GroupName, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Says when it is time to measure.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    /// The multiple of [`MEASURED_EVERY_MS`] that has been measured.
    beat: Timestamp,
}

impl Rhythm {
    /// Begins with the next multiple after `now`.
    pub fn new(now: Timestamp) -> Rhythm {
        Rhythm { beat: now.floor_to(MEASURED_EVERY_MS) }
    }

    /// When it is time again, if the clock does not step back.
    pub fn next(self) -> Timestamp {
        self.beat.plus_ms(MEASURED_EVERY_MS)
    }

    /// Whether it is time `now`; true once for each multiple. A clock that steps back begins anew instead of waiting until
    /// it is where it was.
    pub fn is_time(&mut self, now: Timestamp) -> bool {
        let beat = now.floor_to(MEASURED_EVERY_MS);
        std::mem::replace(&mut self.beat, beat) != beat
    }
}

/// What the alarms of the plan in force watch of `fold` and `lag` as they are `now`; nothing if they watch nothing of it.
pub fn measure(fold: &Fold, lag: &SourceLag, now: Timestamp) -> Option<Samples> {
    let of_group = |(group, bytes): (&GroupName, &u64)| {
        (OwnMetric::SOURCE_LAG_BYTES, OwnMetric::of_group(group), *bytes)
    };
    let mut measured: Vec<(OwnMetric, Dimensions, u64)> = lag.look().iter().map(of_group).collect();
    measured.push((OwnMetric::MESSAGES_WAITING, Dimensions::new(), fold.outbox.len() as u64));
    measured.push((OwnMetric::ARCHIVE_WAITING_BYTES, Dimensions::new(), fold.backlog.bytes()));
    for (queue, view) in fold.queues.iter() {
        let figures = view.figures(now);
        let of_queue = [
            (OwnMetric::QUEUE_VISIBLE, figures.visible),
            (OwnMetric::QUEUE_IN_FLIGHT, figures.in_flight),
            (OwnMetric::QUEUE_AGE, figures.oldest_age_s(now)),
            (OwnMetric::QUEUE_DEAD, figures.dead),
        ];
        measured.extend(of_queue.map(|(own, value)| (own, OwnMetric::of_queue(queue), value)));
    }
    measured.retain(|(own, dimensions, _)| fold.engine.watches(&own.metric(), dimensions));
    let sample = |(own, dimensions, value): (OwnMetric, Dimensions, u64)| {
        #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 bytes the last digits do not matter")]
        let value = value as f64;
        Sample { metric: own.metric(), dimensions, unit: own.unit, value }
    };
    let samples: Vec<Sample> = measured.into_iter().map(sample).collect();
    (!samples.is_empty()).then_some(Samples { samples })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_time_once_at_each_multiple_of_ten_seconds_and_again_after_a_step_back() {
        let mut rhythm = Rhythm::new(Timestamp(12_345));
        assert_eq!(rhythm.next(), Timestamp(20_000));
        let times = [12_346, 19_999, 20_000, 20_001, 95_000, 99_999, 40_000, 40_001, 50_000];
        let is_time: Vec<i64> = times.into_iter().filter(|at| rhythm.is_time(Timestamp(*at))).collect();
        assert_eq!(is_time, [20_000, 95_000, 40_000, 50_000]);
    }
}
