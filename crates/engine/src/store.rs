//! Every series that some alarm watches, by what names it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchbell_model::{Dimensions, MetricName, OTHER, Timestamp, Unit};

use crate::series::{Bucket, Series};

/// What tells one series from all others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct SeriesKey {
    pub(crate) metric: MetricName,
    pub(crate) dimensions: Dimensions,
    pub(crate) unit: Unit,
}

/// Where a series is kept. Good until the series is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SeriesId(usize);

/// Whether a series counts against the bound of its metric.
fn counts(key: &SeriesKey) -> bool {
    !key.dimensions.is_empty() && key.dimensions.values().all(|value| value != OTHER)
}

const KEPT: &str = "nobody keeps an id beyond the record that it was asked for in";

/// All series. Ids make the second sample of a batch cheap; keys give the order.
#[derive(Default)]
pub(crate) struct SeriesStore {
    ids: BTreeMap<SeriesKey, SeriesId>,
    slots: Vec<Option<(SeriesKey, Series)>>,
    free: Vec<SeriesId>,
    /// How many series of each metric have dimensions.
    with_dimensions: BTreeMap<MetricName, usize>,
}

impl SeriesStore {
    pub(crate) fn id(&self, key: &SeriesKey) -> Option<SeriesId> {
        self.ids.get(key).copied()
    }

    /// The series of `key`; a new one if there is none.
    pub(crate) fn ensure(&mut self, key: SeriesKey, keeps_values: bool) -> SeriesId {
        if let Some(id) = self.id(&key) {
            return id;
        }
        self.insert(key, Series { keeps_values, ..Series::default() })
    }

    pub(crate) fn insert(&mut self, key: SeriesKey, series: Series) -> SeriesId {
        if counts(&key) {
            *self.with_dimensions.entry(key.metric.clone()).or_default() += 1;
        }
        let id = self.free.pop().unwrap_or(SeriesId(self.slots.len()));
        if id.0 == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[id.0] = Some((key.clone(), series));
        self.ids.insert(key, id);
        id
    }

    pub(crate) fn key(&self, id: SeriesId) -> &SeriesKey {
        &self.slots[id.0].as_ref().expect(KEPT).0
    }

    pub(crate) fn get(&self, id: SeriesId) -> &Series {
        &self.slots[id.0].as_ref().expect(KEPT).1
    }

    pub(crate) fn get_mut(&mut self, id: SeriesId) -> &mut Series {
        &mut self.slots[id.0].as_mut().expect(KEPT).1
    }

    /// How many series of `metric` have dimensions, without those that gather what is one too many.
    pub(crate) fn count_with_dimensions(&self, metric: &MetricName) -> usize {
        self.with_dimensions.get(metric).copied().unwrap_or(0)
    }

    /// The series of a metric with exactly these dimensions: of one unit, or of every.
    pub(crate) fn of(&self, metric: &MetricName, dimensions: Dimensions, unit: Option<Unit>) -> Vec<&Series> {
        // The default unit is the first of all.
        let first = SeriesKey { metric: metric.clone(), dimensions, unit: unit.unwrap_or_default() };
        let fits = |key: &SeriesKey| {
            key.metric == first.metric
                && key.dimensions == first.dimensions
                && unit.is_none_or(|unit| key.unit == unit)
        };
        let from = self.ids.range(&first..);
        from.take_while(|(key, _)| fits(key)).map(|(_, id)| self.get(*id)).collect()
    }

    /// Every key with its series, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&SeriesKey, &Series)> {
        self.ids.iter().map(|(key, id)| (key, self.get(*id)))
    }

    /// Keeps only what `keep` says, after it had its way with the series.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&SeriesKey, &mut Series) -> bool) {
        let SeriesStore { ids, slots, free, with_dimensions } = self;
        ids.retain(|key, id| {
            let slot = &mut slots[id.0];
            let kept = slot.as_mut().is_some_and(|(_, series)| keep(key, series));
            if !kept {
                *slot = None;
                free.push(*id);
                if let Some(count) = with_dimensions.get_mut(&key.metric).filter(|_| counts(key)) {
                    *count -= 1;
                }
            }
            kept
        });
    }

    pub(crate) fn snapshot(&self) -> Vec<(SeriesKey, Vec<(Timestamp, Bucket)>)> {
        let buckets =
            |series: &Series| series.buckets.iter().map(|(at, bucket)| (*at, bucket.clone())).collect();
        self.iter().map(|(key, series)| (key.clone(), buckets(series))).collect()
    }
}
