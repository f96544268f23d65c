//! What Watchbell measured of itself and no other entry tells.

use serde::{Deserialize, Serialize};

use crate::{Dimensions, MetricName, Unit};

/// One value of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The metric.
    #[serde(flatten)]
    pub metric: MetricName,
    /// What tells it apart from others of the same metric.
    #[serde(default, skip_serializing_if = "Dimensions::is_empty")]
    pub dimensions: Dimensions,
    /// The unit of the value.
    pub unit: Unit,
    /// The value; finite.
    pub value: f64,
}

/// Values that were measured together; they happened when their entry was accepted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// In the order in which they count.
    pub samples: Vec<Sample>,
}
