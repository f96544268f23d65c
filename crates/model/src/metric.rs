//! Metric filters: how log events become values of a metric.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{GroupName, Unit};

/// Greatest magnitude of a sample; larger ones are not published. Sums of such samples stay finite.
///
/// Source: CloudWatch API Reference, `MetricDatum`, `Value` (-2^360 to 2^360).
pub const SAMPLE_MAX: f64 = 2.348_542_582_773_833_2e108;

/// What names a metric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MetricName {
    /// The container of metrics, as `Shop`.
    pub namespace: String,
    /// The metric, as `Http5xx`.
    pub name: String,
}

/// Names and values that tell the datapoints of one metric apart, as `ip` and `10.0.0.7`.
pub type Dimensions = BTreeMap<String, String>;

/// Most dimensions of one metric filter.
///
/// Source: CloudWatch Logs API Reference, `MetricTransformation`, `dimensions`.
pub const FILTER_DIMENSIONS_MAX: usize = 3;

/// How long the value of a dimension may be, in bytes; longer ones are cut.
///
/// Source: CloudWatch API Reference, `Dimension`, `Value`, 1 to 1024 characters.
pub const DIMENSION_VALUE_BYTES_MAX: usize = 1024;

/// How many combinations of dimension values a metric filter may have at a time, unless its plan says otherwise.
pub const SERIES_MAX_DEFAULT: u32 = 1000;

/// The value that stands in every dimension of samples whose own values came after the last that were let in.
pub const OTHER: &str = "(other)";

/// What a matching event adds to which metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricTransformation {
    /// The metric.
    #[serde(flatten)]
    pub metric: MetricName,
    /// A number, or a selector into the event: `$.latency`, `$size`.
    pub value: String,
    /// What an event that does not match adds; nothing if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<f64>,
    /// The unit of the values.
    #[serde(default)]
    pub unit: Unit,
    /// Selectors into the event, by the dimension whose value they give.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<String, String>,
    /// How many combinations of their values may exist at a time; samples of more go to [`OTHER`].
    #[serde(default = "series_max_default")]
    pub series_max: u32,
}

fn series_max_default() -> u32 {
    SERIES_MAX_DEFAULT
}

impl MetricTransformation {
    /// The value, if it is a number and not a selector.
    pub fn literal_value(&self) -> Option<f64> {
        self.value.parse().ok().filter(|value: &f64| value.is_finite())
    }
}

/// A metric filter as planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricFilter {
    /// Whose events it sees.
    pub log_group: GroupName,
    /// The filter pattern, as written.
    pub pattern: String,
    /// What it publishes.
    pub metric: MetricTransformation,
}
