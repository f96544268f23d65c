//! Mute rules: when alarms keep quiet.

use serde::{Deserialize, Serialize};

/// A mute rule as planned. States change as ever; messages wait for the end of the window.
///
/// Source: CloudWatch API Reference, `PutAlarmMuteRule`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MuteRule {
    /// The alarms that keep quiet; `*` stands for any run of characters.
    pub alarms: Vec<String>,
    /// When a window begins: `cron(…)` or `at(…)`.
    pub schedule: String,
    /// How long a window lasts, in milliseconds.
    pub duration_ms: i64,
    /// The time zone of the schedule, by its IANA name.
    pub timezone: String,
}
