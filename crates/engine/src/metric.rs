//! A metric's samples, gathered in buckets of ten seconds: the finest slot that an alarm can ask for.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use watchbell_model::{Alarm, Datapoint, EventId, GroupName, MatchedLine, Statistic, Timestamp};

/// Width of a bucket. Every period is a multiple of it.
pub(crate) const BUCKET_MS: i64 = 10_000;

/// How many matching lines a bucket remembers from its beginning, and how many from its end.
pub const MATCHED_LINES_KEPT: usize = 3;

/// How much of a matching line is remembered, in bytes; cut at a character.
pub const MATCHED_LINE_BYTES_MAX: usize = 1024;

/// The samples of ten seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bucket {
    samples: u64,
    sum: f64,
    minimum: f64,
    maximum: f64,
    /// Samples that came from matching events, not from a filter's default.
    matched: u64,
    first: Vec<MatchedLine>,
    last: VecDeque<MatchedLine>,
}

impl Bucket {
    fn add(&mut self, value: f64) {
        if self.samples == 0 {
            (self.minimum, self.maximum) = (value, value);
        }
        self.samples += 1;
        self.sum += value;
        self.minimum = self.minimum.min(value);
        self.maximum = self.maximum.max(value);
    }

    fn remember(&mut self, line: impl Fn() -> MatchedLine) {
        self.matched += 1;
        if self.first.len() < MATCHED_LINES_KEPT {
            self.first.push(line());
            return;
        }
        if self.last.len() == MATCHED_LINES_KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line());
    }
}

/// An event that matched, as far as a bucket needs it.
#[derive(Clone, Copy)]
pub(crate) struct Matched<'a> {
    pub(crate) event_id: EventId,
    pub(crate) group: &'a GroupName,
    pub(crate) stream: &'a str,
    pub(crate) message: &'a str,
}

/// All samples of a metric that some alarm may still look at.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Series {
    pub(crate) buckets: BTreeMap<Timestamp, Bucket>,
}

impl Series {
    /// Adds one sample, with the event it came from unless it is a default.
    pub(crate) fn add(&mut self, timestamp: Timestamp, value: f64, matched: Option<Matched<'_>>) {
        let bucket = self.buckets.entry(timestamp.floor_to(BUCKET_MS)).or_default();
        bucket.add(value);
        if let Some(matched) = matched {
            bucket.remember(|| MatchedLine {
                event_id: matched.event_id,
                timestamp,
                group: matched.group.clone(),
                stream: matched.stream.to_owned(),
                message: cut(matched.message).to_owned(),
            });
        }
    }

    /// Forgets what started before `oldest`.
    pub(crate) fn forget_before(&mut self, oldest: Timestamp) {
        while let Some(first) = self.buckets.first_entry() {
            if *first.key() >= oldest {
                break;
            }
            first.remove();
        }
    }

    /// The datapoint of the slot that starts at `start`, under the alarm's statistic and condition.
    pub(crate) fn datapoint(&self, alarm: &Alarm, start: Timestamp) -> Datapoint {
        let mut slot = Bucket::default();
        for bucket in self.slot(start, alarm.period.as_ms()) {
            let empty = slot.samples == 0;
            slot.minimum = if empty { bucket.minimum } else { slot.minimum.min(bucket.minimum) };
            slot.maximum = if empty { bucket.maximum } else { slot.maximum.max(bucket.maximum) };
            slot.samples += bucket.samples;
            slot.sum += bucket.sum;
        }
        #[expect(clippy::cast_precision_loss, reason = "a count above 2^53 is out of reach")]
        let count = slot.samples as f64;
        let value = (slot.samples > 0).then(|| match alarm.statistic {
            Statistic::SampleCount => count,
            Statistic::Sum => slot.sum,
            Statistic::Average => slot.sum / count,
            Statistic::Minimum => slot.minimum,
            Statistic::Maximum => slot.maximum,
        });
        let breaching = value.is_some_and(|value| alarm.comparison.breaches(value, alarm.threshold));
        Datapoint { start, value, samples: slot.samples, breaching }
    }

    /// Matching events in the slots that start at `starts` (oldest first): how many, the first and the last of them.
    pub(crate) fn matched(
        &self,
        starts: &[Timestamp],
        period_ms: i64,
    ) -> (u64, Vec<MatchedLine>, Vec<MatchedLine>) {
        let mut count = 0;
        let (mut first, mut last) = (Vec::new(), VecDeque::new());
        for bucket in starts.iter().flat_map(|start| self.slot(*start, period_ms)) {
            count += bucket.matched;
            for line in bucket.first.iter().chain(&bucket.last) {
                if first.len() < MATCHED_LINES_KEPT {
                    first.push(line.clone());
                } else {
                    last.push_back(line.clone());
                }
            }
            last.drain(..last.len().saturating_sub(MATCHED_LINES_KEPT));
        }
        (count, first, last.into())
    }

    fn slot(&self, start: Timestamp, period_ms: i64) -> impl Iterator<Item = &Bucket> {
        self.buckets.range(start..start.plus_ms(period_ms)).map(|(_, bucket)| bucket)
    }
}

/// The beginning of `message`, at most [`MATCHED_LINE_BYTES_MAX`] bytes.
fn cut(message: &str) -> &str {
    &message[..message.floor_char_boundary(MATCHED_LINE_BYTES_MAX)]
}
