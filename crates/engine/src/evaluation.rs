//! The rule that turns the datapoints of an evaluation range into a state.
//!
//! It is CloudWatch's, as documented in "Configuring how CloudWatch alarms treat missing data". Pure; the vectors in
//! `tests/cases` run against it directly.

use watchbell_model::{AlarmState, Datapoint, TreatMissingData};

/// How many datapoints decide, and what missing ones count as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// M.
    pub datapoints_to_alarm: usize,
    /// N.
    pub evaluation_periods: usize,
    /// What a slot without samples counts as.
    pub treat_missing_data: TreatMissingData,
}

/// The datapoints of a range, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Breaching ones among the N newest real datapoints.
    pub bad: usize,
    /// The rest of these.
    pub good: usize,
    /// How many real ones are lacking to N.
    pub missing: usize,
}

/// The N newest datapoints that have a value, newest first.
pub fn newest_real(range: &[Datapoint], evaluation_periods: usize) -> impl Iterator<Item = &Datapoint> {
    range.iter().rev().filter(|point| point.value.is_some()).take(evaluation_periods)
}

/// Counts `range`, which is oldest first.
pub fn tally(rule: Rule, range: &[Datapoint]) -> Tally {
    let (mut bad, mut good) = (0, 0);
    for point in newest_real(range, rule.evaluation_periods) {
        *(if point.breaching { &mut bad } else { &mut good }) += 1;
    }
    Tally { bad, good, missing: rule.evaluation_periods - bad - good }
}

/// The state that `range` (oldest first, longer than N) gives an alarm that is in `current`.
pub fn evaluate(rule: Rule, range: &[Datapoint], current: AlarmState) -> AlarmState {
    let Tally { bad, good, missing } = tally(rule, range);
    let to_alarm = rule.datapoints_to_alarm;
    if bad >= to_alarm {
        return AlarmState::Alarm;
    }
    if good > rule.evaluation_periods - to_alarm {
        return AlarmState::Ok;
    }
    match rule.treat_missing_data {
        TreatMissingData::Breaching if bad + missing >= to_alarm => AlarmState::Alarm,
        TreatMissingData::Breaching | TreatMissingData::NotBreaching => AlarmState::Ok,
        TreatMissingData::Ignore | TreatMissingData::Missing if good > 0 => AlarmState::Ok,
        TreatMissingData::Ignore => current,
        TreatMissingData::Missing if is_premature_alarm(rule, range) => AlarmState::Alarm,
        TreatMissingData::Missing => AlarmState::InsufficientData,
    }
}

/// A breach at least M slots old with nothing but breaches and gaps after it alarms although there are fewer than M.
fn is_premature_alarm(rule: Rule, range: &[Datapoint]) -> bool {
    let considered = newest_real(range, rule.evaluation_periods).filter(|point| point.breaching);
    let Some(oldest) = considered.last() else { return false };
    let age = range.iter().rev().take_while(|point| point.start != oldest.start).count() + 1;
    age >= rule.datapoints_to_alarm
}
