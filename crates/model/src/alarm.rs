//! What an alarm is: datapoints with a condition, or the states of other alarms; and whom to tell.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Dimensions, MetricName, Statistic, Unit};

/// Seconds that one datapoint covers: 10, 20, 30 or a multiple of 60.
///
/// Source: CloudWatch API Reference, `PutMetricAlarm`, `Period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Period(u32);

/// A period that CloudWatch does not offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a period is 10, 20, 30 or a multiple of 60 seconds, at most 86400, not {0}")]
pub struct PeriodError(pub u32);

impl Period {
    /// Checks and wraps a number of seconds.
    ///
    /// # Errors
    /// [`PeriodError`] for any other period, zero included.
    pub fn from_s(period_s: u32) -> Result<Period, PeriodError> {
        match period_s {
            10 | 20 | 30 => Ok(Period(period_s)),
            60..=86_400 if period_s.is_multiple_of(60) => Ok(Period(period_s)),
            _ => Err(PeriodError(period_s)),
        }
    }

    /// In seconds.
    pub fn as_s(self) -> u32 {
        self.0
    }

    /// In milliseconds.
    pub fn as_ms(self) -> i64 {
        i64::from(self.0) * 1000
    }
}

impl TryFrom<u32> for Period {
    type Error = PeriodError;
    fn try_from(period_s: u32) -> Result<Self, PeriodError> {
        Period::from_s(period_s)
    }
}

impl From<Period> for u32 {
    fn from(period: Period) -> u32 {
        period.0
    }
}

/// Longest `evaluation periods × period`: a day under an hour's period, a week from there on, in seconds.
///
/// Source: CloudWatch API Reference, `PutMetricAlarm`, `EvaluationPeriods`.
pub const EVALUATION_RANGE_S_MAX: [u64; 2] = [86_400, 604_800];

/// How a datapoint is held against the threshold, datapoint on the left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// `>`
    GreaterThanThreshold,
    /// `>=`
    GreaterThanOrEqualToThreshold,
    /// `<`
    LessThanThreshold,
    /// `<=`
    LessThanOrEqualToThreshold,
}

impl Comparison {
    /// Whether `value` breaches.
    pub fn breaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Comparison::GreaterThanThreshold => value > threshold,
            Comparison::GreaterThanOrEqualToThreshold => value >= threshold,
            Comparison::LessThanThreshold => value < threshold,
            Comparison::LessThanOrEqualToThreshold => value <= threshold,
        }
    }

    /// `>`, `>=`, `<` or `<=`.
    pub fn symbol(self) -> &'static str {
        match self {
            Comparison::GreaterThanThreshold => ">",
            Comparison::GreaterThanOrEqualToThreshold => ">=",
            Comparison::LessThanThreshold => "<",
            Comparison::LessThanOrEqualToThreshold => "<=",
        }
    }

    /// As in CloudWatch's state reasons: `greater than or equal to`.
    pub fn words(self) -> &'static str {
        match self {
            Comparison::GreaterThanThreshold => "greater than",
            Comparison::GreaterThanOrEqualToThreshold => "greater than or equal to",
            Comparison::LessThanThreshold => "less than",
            Comparison::LessThanOrEqualToThreshold => "less than or equal to",
        }
    }
}

/// What a slot without samples counts as, where real datapoints do not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TreatMissingData {
    /// As nothing known: `INSUFFICIENT_DATA` if there is nothing else.
    Missing,
    /// The state stays as it is.
    Ignore,
    /// As a breach.
    Breaching,
    /// As no breach.
    NotBreaching,
}

/// An alarm's state. Prints and serialises in CloudWatch's spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AlarmState {
    /// The condition does not hold.
    #[serde(rename = "OK")]
    Ok,
    /// The condition holds.
    #[serde(rename = "ALARM")]
    Alarm,
    /// Not enough is known.
    #[serde(rename = "INSUFFICIENT_DATA")]
    InsufficientData,
}

impl AlarmState {
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub fn as_str(self) -> &'static str {
        match self {
            AlarmState::Ok => "OK",
            AlarmState::Alarm => "ALARM",
            AlarmState::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

impl fmt::Display for AlarmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How grave an alarm is to the people who get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlarmSeverity {
    /// Good to know.
    Info,
    /// Look in working hours.
    Warning,
    /// Look soon.
    Error,
    /// Get up.
    Critical,
}

impl AlarmSeverity {
    /// `info`, `warning`, `error` or `critical`.
    pub fn as_str(self) -> &'static str {
        match self {
            AlarmSeverity::Info => "info",
            AlarmSeverity::Warning => "warning",
            AlarmSeverity::Error => "error",
            AlarmSeverity::Critical => "critical",
        }
    }
}

/// Whether a percentile of few values counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LowSamples {
    /// It does.
    #[default]
    Evaluate,
    /// The state stays as it is until there are enough: [`crate::Percentile::is_significant`].
    Ignore,
}

/// One statistic of one metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricStat {
    /// The metric.
    pub metric: MetricName,
    /// Exactly these tell the datapoints apart, together with the dimensions that an alarm has a state for each value of.
    #[serde(default, skip_serializing_if = "Dimensions::is_empty")]
    pub dimensions: Dimensions,
    /// Only samples of this unit; of every unit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// How a period's values become one datapoint.
    pub statistic: Statistic,
}

/// What gives an alarm its datapoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Watched {
    /// A statistic.
    Stat(MetricStat),
    /// An expression over statistics.
    Math {
        /// In CloudWatch's metric math.
        expression: String,
        /// By the names that the expression uses.
        metrics: BTreeMap<String, MetricStat>,
        /// How large a metric has to be, by its name, for a slot to have a datapoint.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        minimum: BTreeMap<String, f64>,
    },
}

impl Watched {
    /// Every statistic in it.
    pub fn stats(&self) -> Vec<&MetricStat> {
        match self {
            Watched::Stat(stat) => vec![stat],
            Watched::Math { metrics, .. } => metrics.values().collect(),
        }
    }
}

/// An alarm on datapoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricAlarm {
    /// What gives the datapoints.
    pub watched: Watched,
    /// Dimensions for each of whose values the alarm has a state of its own; usually none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub each: Vec<String>,
    /// What one datapoint covers.
    pub period: Period,
    /// How a datapoint is compared.
    pub comparison: Comparison,
    /// With what; finite.
    pub threshold: f64,
    /// M: how many breaching datapoints make an ALARM, 1 to `evaluation_periods`.
    pub datapoints_to_alarm: u32,
    /// N: among how many datapoints, at least 1.
    pub evaluation_periods: u32,
    /// What slots without samples count as.
    pub treat_missing_data: TreatMissingData,
    /// Whether percentiles of few values count.
    #[serde(default)]
    pub low_samples: LowSamples,
    /// Goes into ALARM only once all slots that are looked at lie after its making: so that an alarm on silence does not
    /// ring because nothing was listening yet.
    #[serde(default, skip_serializing_if = "crate::skip::is_false")]
    pub warms_up: bool,
}

impl MetricAlarm {
    /// What its datapoints are, for people: `Sum of Shop Http5xx`, `errors / requests * 100`.
    pub fn watched_words(&self) -> String {
        match &self.watched {
            Watched::Stat(stat) => {
                format!("{} of {} {}", stat.statistic, stat.metric.namespace, stat.metric.name)
            }
            Watched::Math { expression, .. } => expression.clone(),
        }
    }
}

/// An alarm on the states of other alarms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompositeAlarm {
    /// In CloudWatch's grammar: `ALARM("a") AND NOT ALARM("b")`.
    pub rule: String,
    /// What holds its messages back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppressor: Option<ActionsSuppressor>,
}

/// An alarm that holds the messages of a composite alarm back while it is in `ALARM`.
///
/// Source: CloudWatch API Reference, `PutCompositeAlarm`, `ActionsSuppressor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionsSuppressor {
    /// Its name.
    pub alarm: String,
    /// How long messages wait for it to go into `ALARM`, in milliseconds; 0 for not at all.
    pub wait_period_ms: i64,
    /// How long messages wait after it has left `ALARM`, in milliseconds; 0 for not at all.
    pub extension_period_ms: i64,
}

/// What an alarm is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlarmKind {
    /// Datapoints.
    Metric(MetricAlarm),
    /// Other alarms.
    Composite(CompositeAlarm),
}

/// An alarm as planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// What it is about.
    pub kind: AlarmKind,
    /// How grave it is.
    pub severity: AlarmSeverity,
    /// Topics that are told of ALARM and OK.
    pub notify: Vec<String>,
    /// What it means, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A page that says what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
}

impl Alarm {
    /// The metric alarm that it is, if it is one.
    pub fn metric(&self) -> Option<&MetricAlarm> {
        match &self.kind {
            AlarmKind::Metric(alarm) => Some(alarm),
            AlarmKind::Composite(_) => None,
        }
    }

    /// The composite alarm that it is, if it is one.
    pub fn composite(&self) -> Option<&CompositeAlarm> {
        match &self.kind {
            AlarmKind::Metric(_) => None,
            AlarmKind::Composite(alarm) => Some(alarm),
        }
    }

    /// What holds its messages back, if it is a composite alarm that names it.
    pub fn suppressor(&self) -> Option<&ActionsSuppressor> {
        self.composite()?.suppressor.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_offered_periods_pass() {
        for offered in [10, 20, 30, 60, 120, 3600, 86_400] {
            assert_eq!(Period::from_s(offered).unwrap().as_s(), offered);
        }
        for refused in [0, 1, 15, 40, 61, 90, 86_460, u32::MAX] {
            assert_eq!(Period::from_s(refused), Err(PeriodError(refused)));
        }
    }

    #[test]
    fn states_are_spelled_as_cloudwatch_spells_them() {
        let spelled = serde_json::to_string(&AlarmState::InsufficientData).unwrap();
        assert_eq!(spelled, "\"INSUFFICIENT_DATA\"");
        assert_eq!(AlarmState::InsufficientData.to_string(), "INSUFFICIENT_DATA");
    }
}
