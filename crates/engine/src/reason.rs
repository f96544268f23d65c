//! State reasons in CloudWatch's shape.

use std::fmt::Write as _;

use watchbell_model::{AlarmState, Datapoint, MetricAlarm, TreatMissingData};

use crate::evaluation::{Rule, Tally, newest_real, tally};

/// The reason of an alarm that was never evaluated.
pub(crate) const UNCHECKED: &str = "Unchecked: Initial alarm creation";

/// Why `range` (oldest first) puts `alarm` into `to`.
pub(crate) fn reason(alarm: &MetricAlarm, rule: Rule, range: &[Datapoint], to: AlarmState) -> String {
    let counted = tally(rule, range);
    match to {
        AlarmState::InsufficientData => {
            format!("Insufficient Data: {} unknown.", were(counted.missing.max(1), "datapoint"))
        }
        AlarmState::Ok | AlarmState::Alarm if counted.missing == rule.evaluation_periods => {
            let periods = plural(counted.missing, "period");
            format!(
                "Threshold Crossed: no datapoints were received for {periods} and {} treated as {}.",
                were(counted.missing, "missing datapoint"),
                treatment(alarm.treat_missing_data)
            )
        }
        AlarmState::Alarm => crossed(alarm, rule, range, counted, true),
        AlarmState::Ok => crossed(alarm, rule, range, counted, false),
    }
}

fn crossed(alarm: &MetricAlarm, rule: Rule, range: &[Datapoint], counted: Tally, breaching: bool) -> String {
    let mut values = String::new();
    let told: Vec<_> =
        newest_real(range, rule.evaluation_periods).filter(|p| p.breaching == breaching).collect();
    for point in &told {
        let comma = if values.is_empty() { "" } else { ", " };
        let value = point.value.expect("only datapoints with a value are counted as real");
        write!(values, "{comma}{value:?} ({})", point.start.reason_style()).expect("writing to a string");
    }
    let verb = match (told.len(), breaching) {
        (1, true) => "was",
        (1, false) => "was not",
        (_, true) => "were",
        (_, false) => "were not",
    };
    let filled = match (counted.missing, alarm.treat_missing_data) {
        (0, _) | (_, TreatMissingData::Missing | TreatMissingData::Ignore) => String::new(),
        (missing, treat) => {
            format!(" and {} treated as {}", were(missing, "missing datapoint"), treatment(treat))
        }
    };
    let (minimum, transition) = if breaching {
        (rule.datapoints_to_alarm, "OK -> ALARM")
    } else {
        (rule.evaluation_periods - rule.datapoints_to_alarm + 1, "ALARM -> OK")
    };
    format!(
        "Threshold Crossed: {} out of the last {} [{values}] {verb} {} the threshold ({:?}){filled} (minimum {} for \
         {transition} transition).",
        told.len(),
        plural(rule.evaluation_periods, "datapoint"),
        alarm.comparison.words(),
        alarm.threshold,
        plural(minimum, "datapoint"),
    )
}

fn treatment(treat: TreatMissingData) -> &'static str {
    match treat {
        TreatMissingData::Breaching => "[Breaching]",
        TreatMissingData::NotBreaching => "[NonBreaching]",
        TreatMissingData::Missing => "[Missing]",
        TreatMissingData::Ignore => "[Ignore]",
    }
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn were(count: usize, noun: &str) -> String {
    format!("{} {}", plural(count, noun), if count == 1 { "was" } else { "were" })
}
