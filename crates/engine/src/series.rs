//! A metric's samples, gathered in buckets of ten seconds: the finest slot that an alarm can ask for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use watchbell_model::{MatchedLine, Statistic, Timestamp};

use crate::values::Values;

/// Width of a bucket. Every period is a multiple of it.
const BUCKET_MS: i64 = 10_000;

/// How many matching lines a bucket remembers from its beginning, and how many from its end.
pub const MATCHED_LINES_KEPT: usize = 3;

/// How much of a matching line is remembered, in bytes; cut at a character.
pub const MATCHED_LINE_BYTES_MAX: usize = 1024;

/// How many buckets of one series remember lines: the newest, an hour of them if each ten seconds have some.
pub const BUCKETS_WITH_LINES_MAX: usize = 360;

/// How many values one series keeps one by one for percentiles; the oldest buckets become sketches beyond that.
pub const SERIES_VALUES_MAX: usize = 1_000_000;

/// Where the bucket starts that `timestamp` falls into.
pub(crate) fn bucket_of(timestamp: Timestamp) -> Timestamp {
    timestamp.floor_to(BUCKET_MS)
}

/// The samples of ten seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bucket {
    pub(crate) samples: u64,
    sum: f64,
    minimum: f64,
    maximum: f64,
    /// Every value, if some alarm asks for a percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<Values>,
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

    /// Whether all samples are among the values: not, if they came before an alarm asked for a percentile.
    fn has_all_values(&self) -> bool {
        self.values.is_some() || self.samples == 0
    }
}

/// One value of a slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SlotValue {
    pub(crate) value: f64,
    pub(crate) samples: u64,
    pub(crate) estimated: bool,
}

/// All samples of one series that some alarm may still look at.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Series {
    pub(crate) buckets: BTreeMap<Timestamp, Bucket>,
    /// Some alarm asks for a percentile.
    pub(crate) keeps_values: bool,
    pub(crate) values_kept: usize,
    /// The buckets that remember lines.
    pub(crate) with_lines: BTreeSet<Timestamp>,
}

impl Series {
    pub(crate) fn restore(buckets: Vec<(Timestamp, Bucket)>) -> Series {
        let kept = |(_, bucket): &(_, Bucket)| bucket.values.as_ref().map_or(0, Values::exact_count);
        let values_kept = buckets.iter().map(kept).sum();
        let has_lines = |(_, bucket): &&(Timestamp, Bucket)| !bucket.first.is_empty();
        let with_lines = buckets.iter().filter(has_lines).map(|(at, _)| *at).collect();
        Series { buckets: buckets.into_iter().collect(), keeps_values: false, values_kept, with_lines }
    }

    /// Adds one sample.
    pub(crate) fn add(&mut self, timestamp: Timestamp, value: f64) {
        let bucket = self.buckets.entry(bucket_of(timestamp)).or_default();
        if self.keeps_values && bucket.has_all_values() {
            let values = bucket.values.get_or_insert_default();
            let before = values.exact_count();
            values.add(value);
            self.values_kept = self.values_kept + values.exact_count() - before;
        }
        if !self.keeps_values {
            // Some values without the others would be worse than none.
            self.values_kept -= bucket.values.take().map_or(0, |values| values.exact_count());
        }
        bucket.add(value);
        if self.values_kept > SERIES_VALUES_MAX {
            self.sketch_the_oldest();
        }
    }

    /// Adds `count` samples of the same value that come from no matching event.
    pub(crate) fn add_defaults(&mut self, timestamp: Timestamp, value: f64, count: u64) {
        if value != 0.0 || self.keeps_values {
            (0..count).for_each(|_| self.add(timestamp, value));
            return;
        }
        // Zeros change neither the sum nor, after the first, the extremes.
        if count > 0 {
            self.add(timestamp, value);
            self.buckets.entry(bucket_of(timestamp)).or_default().samples += count - 1;
        }
    }

    /// Remembers matching events of one bucket, of which `line` gives any by its index.
    pub(crate) fn remember(&mut self, bucket: Timestamp, count: usize, line: impl Fn(usize) -> MatchedLine) {
        self.with_lines.insert(bucket);
        if self.with_lines.len() > BUCKETS_WITH_LINES_MAX
            && let Some(oldest) = self.with_lines.pop_first().and_then(|oldest| self.buckets.get_mut(&oldest))
        {
            oldest.first.clear();
            oldest.last.clear();
        }
        let bucket = self.buckets.entry(bucket).or_default();
        bucket.matched += count as u64;
        let first = MATCHED_LINES_KEPT.saturating_sub(bucket.first.len()).min(count);
        bucket.first.extend((0..first).map(&line));
        let last = first.max(count.saturating_sub(MATCHED_LINES_KEPT));
        bucket.last.extend((last..count).map(&line));
        let surplus = bucket.last.len().saturating_sub(MATCHED_LINES_KEPT);
        bucket.last.drain(..surplus);
    }

    /// Forgets what started before `oldest`.
    pub(crate) fn forget_before(&mut self, oldest: Timestamp) {
        while let Some(first) = self.buckets.first_entry() {
            if *first.key() >= oldest {
                break;
            }
            self.with_lines.remove(first.key());
            let values = first.remove().values;
            self.values_kept -= values.map_or(0, |values| values.exact_count());
        }
    }

    fn sketch_the_oldest(&mut self) {
        for values in self.buckets.values_mut().filter_map(|bucket| bucket.values.as_mut()) {
            if self.values_kept <= SERIES_VALUES_MAX {
                return;
            }
            self.values_kept -= values.exact_count();
            values.sketch();
        }
    }

    fn slot(&self, start: Timestamp, period_ms: i64) -> impl Iterator<Item = &Bucket> {
        self.buckets.range(start..start.plus_ms(period_ms)).map(|(_, bucket)| bucket)
    }
}

/// The value of one slot over the samples of several series together; `None` without samples, and for a percentile
/// also if there are negative values (CloudWatch has none then) or values that were not kept.
pub(crate) fn slot_value<'a>(
    series: impl IntoIterator<Item = &'a Series>,
    statistic: Statistic,
    start: Timestamp,
    period_ms: i64,
) -> Option<SlotValue> {
    let mut slot = Bucket::default();
    let mut parts: Vec<&Values> = Vec::new();
    let mut has_all_values = true;
    for bucket in series.into_iter().flat_map(|series| series.slot(start, period_ms)) {
        let empty = slot.samples == 0;
        slot.minimum = if empty { bucket.minimum } else { slot.minimum.min(bucket.minimum) };
        slot.maximum = if empty { bucket.maximum } else { slot.maximum.max(bucket.maximum) };
        slot.samples += bucket.samples;
        slot.sum += bucket.sum;
        has_all_values &= bucket.has_all_values();
        parts.extend(&bucket.values);
    }
    if slot.samples == 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "a count above 2^53 is out of reach")]
    let count = slot.samples as f64;
    let (value, estimated) = match statistic {
        Statistic::SampleCount => (count, false),
        Statistic::Sum => (slot.sum, false),
        Statistic::Average => (slot.sum / count, false),
        Statistic::Minimum => (slot.minimum, false),
        Statistic::Maximum => (slot.maximum, false),
        Statistic::Percentile(_) if slot.minimum < 0.0 || !has_all_values => return None,
        Statistic::Percentile(percentile) => Values::percentile(&parts, percentile)?,
    };
    Some(SlotValue { value, samples: slot.samples, estimated })
}

/// How many events matched, the first of them and the last.
pub(crate) type Matches = (u64, Vec<MatchedLine>, Vec<MatchedLine>);

/// Matching events in the slots of `series` that start at `starts` (oldest first).
pub(crate) fn matched(series: &[&Series], starts: &[Timestamp], period_ms: i64) -> Matches {
    let mut count = 0;
    let mut lines: Vec<&MatchedLine> = Vec::new();
    for start in starts {
        for bucket in series.iter().flat_map(|series| series.slot(*start, period_ms)) {
            count += bucket.matched;
            lines.extend(bucket.first.iter().chain(&bucket.last));
        }
    }
    // One event may have matched several filters of the metric, and buckets may have been filled in any order.
    lines.sort_by_key(|line| (bucket_of(line.timestamp), line.event_id));
    lines.dedup_by_key(|line| line.event_id);
    let first = MATCHED_LINES_KEPT.min(lines.len());
    let last = first.max(lines.len().saturating_sub(MATCHED_LINES_KEPT));
    let owned = |lines: &[&MatchedLine]| lines.iter().map(|line| (*line).clone()).collect();
    (count, owned(&lines[..first]), owned(&lines[last..]))
}

/// The beginning of `message`, at most [`MATCHED_LINE_BYTES_MAX`] bytes.
pub(crate) fn cut(message: &str) -> &str {
    &message[..message.floor_char_boundary(MATCHED_LINE_BYTES_MAX)]
}
