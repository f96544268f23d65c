//! Metric filters: how log events become values of a metric.

use serde::{Deserialize, Serialize};

use crate::GroupName;

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
