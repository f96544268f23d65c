//! The metric that a fleet scales on: how many bytes of log lines this agent reads in a minute.

use std::sync::Arc;

use tokio::sync::watch;
use watchbell_model::Timestamp;

use super::super::desk::Order;
use crate::aws::Metrics;
use crate::run::clock::Clock;
use crate::run::sources::Sources;

/// The namespace of the metric. The role of an instance may publish in no other.
const NAMESPACE: &str = "Watchbell";

/// Its name.
const NAME: &str = "LogBytes";

/// Its only dimension. The instances of a fleet publish into one metric: its sum is the fleet's.
const DIMENSION: &str = "Fleet";

/// A datapoint is of so many milliseconds, which begin at a whole minute.
const EVERY_MS: i64 = 60_000;

/// What publishes.
pub(in crate::agent) struct Fleet {
    pub(in crate::agent) name: String,
    pub(in crate::agent) metrics: Metrics,
    pub(in crate::agent) sources: Sources,
    pub(in crate::agent) clock: Arc<dyn Clock>,
    pub(in crate::agent) orders: watch::Receiver<Order>,
}

impl Fleet {
    /// Publishes each minute, also one in which nothing was read, until it is told to end.
    pub(in crate::agent) async fn run(mut self) {
        let mut minutes = Minutes::new(self.clock.now(), self.read_bytes());
        let mut is_well = true;
        loop {
            let left = self.clock.sleep_until(minutes.end());
            if !left.is_zero() {
                tokio::select! {
                    () = tokio::time::sleep(left) => {}
                    _ = self.orders.wait_for(|order| *order != Order::Run) => return,
                }
                continue;
            }
            let (minute, bytes) = minutes.next(self.clock.now(), self.read_bytes());
            let put = self.metrics.put_bytes((NAMESPACE, NAME), (DIMENSION, &self.name), minute, bytes);
            let outcome = tokio::select! {
                outcome = put => outcome,
                _ = self.orders.wait_for(|order| *order == Order::Stop) => return,
            };
            match &outcome {
                Ok(()) if !is_well => tracing::info!("publishing log bytes again"),
                Err(error) if is_well => {
                    let help = error.help().unwrap_or_default();
                    tracing::error!(%error, help, "log bytes are not published: the fleet does not scale on them");
                }
                _ => {}
            }
            is_well = outcome.is_ok();
        }
    }

    fn read_bytes(&self) -> u64 {
        self.sources.read_of_groups().values().sum()
    }
}

/// Cuts a growing number into minutes.
struct Minutes {
    start: Timestamp,
    bytes: u64,
}

impl Minutes {
    fn new(now: Timestamp, bytes: u64) -> Minutes {
        Minutes { start: now.floor_to(EVERY_MS), bytes }
    }

    /// When the minute at hand is over.
    fn end(&self) -> Timestamp {
        self.start.plus_ms(EVERY_MS)
    }

    /// The minute that is over, and how much came in it; then begins the one of `now`. What came while the machine slept
    /// counts for the minute before.
    fn next(&mut self, now: Timestamp, bytes: u64) -> (Timestamp, u64) {
        let over = (self.start, bytes.saturating_sub(self.bytes));
        *self = Minutes::new(now, bytes);
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_minute_has_what_came_in_it_and_a_quiet_one_has_zero() {
        let mut minutes = Minutes::new(Timestamp(90_000), 500);
        assert_eq!(minutes.end(), Timestamp(120_000));
        assert_eq!(
            minutes.next(Timestamp(120_000), 700),
            (Timestamp(60_000), 200),
            "what was read before is not of it"
        );
        assert_eq!(minutes.next(Timestamp(180_001), 700), (Timestamp(120_000), 0));
        assert_eq!(minutes.next(Timestamp(400_000), 800), (Timestamp(180_000), 100));
        assert_eq!(minutes.end(), Timestamp(420_000));
    }
}
