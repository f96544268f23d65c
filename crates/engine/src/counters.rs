//! What the engine has seen since the installation was made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchbell_model::{Entry, GroupName, LossReason};

/// Totals of one log group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupCounters {
    /// Log events accepted.
    pub events: u64,
    /// Bytes of their text, without line ends.
    pub bytes: u64,
    /// Events that were there before their group was first watched: kept, seen by no alarm.
    pub backfill: u64,
    /// Events more than two hours ahead of their arrival: kept, not evaluated.
    pub too_new: u64,
    /// Events older than every evaluation range: kept, not evaluated.
    pub too_old: u64,
}

/// Totals of one metric filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterCounters {
    /// Events that matched, whatever their age.
    pub matched: u64,
    /// Matching events without a usable value: nothing was published for them.
    pub without_value: u64,
    /// Matching events without one of the metric's dimensions: nothing was published for them.
    #[serde(default)]
    pub without_dimension: u64,
    /// Matching events whose dimension values were one combination too many: published as "(other)".
    #[serde(default)]
    pub over_series_max: u64,
}

impl FilterCounters {
    pub(crate) fn add(&mut self, more: &FilterCounters) {
        self.matched += more.matched;
        self.without_value += more.without_value;
        self.without_dimension += more.without_dimension;
        self.over_series_max += more.over_series_max;
    }
}

/// All totals. They are folded from the journal, so they go on after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// By log group.
    pub groups: BTreeMap<GroupName, GroupCounters>,
    /// By metric filter.
    pub filters: BTreeMap<String, FilterCounters>,
    /// Losses: how often, and how many bytes where that is known.
    #[serde(with = "pairs")]
    pub losses: BTreeMap<(GroupName, LossReason), (u64, u64)>,
}

impl Counters {
    pub(crate) fn filter(&mut self, name: &str) -> &mut FilterCounters {
        if !self.filters.contains_key(name) {
            self.filters.insert(name.to_owned(), FilterCounters::default());
        }
        self.filters.get_mut(name).expect("just put there if it was not")
    }

    /// Counts what an entry says by itself.
    pub(crate) fn record(&mut self, entry: &Entry) {
        match entry {
            Entry::Batch(batch) => {
                let group = self.groups.entry(batch.group.clone()).or_default();
                group.events += batch.len() as u64;
                group.bytes += batch.message_bytes();
                if batch.backfill {
                    group.backfill += batch.len() as u64;
                }
            }
            Entry::Loss(loss) => {
                let (times, bytes) = self.losses.entry((loss.group.clone(), loss.reason)).or_default();
                *times += loss.times;
                *bytes += loss.bytes;
            }
            _ => {}
        }
    }
}

/// JSON has only texts as keys: maps with other keys are written as lists of pairs.
pub(crate) mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(crate) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}
