//! A message: what people and programs are told about one decision.

use watchbell_model::{
    AlarmState, Datapoint, DecisionId, InstallationId, MetricAlarm, Statistic, Transition, Watched,
};

use crate::escape::visible;

/// One message. The same decision always gives the same one.
///
/// Its forms are [`Message::text`], [`Message::json`] and [`Message::slack`].
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    installation: InstallationId,
    decision: DecisionId,
    transition: Transition,
}

impl Message {
    /// The message about `transition`, the decision `id` of `installation`.
    pub fn new(installation: InstallationId, id: DecisionId, transition: &Transition) -> Message {
        Message { installation, decision: id, transition: transition.clone() }
    }

    /// Names it for ever, attempts included: `<installation>-<offset>.<index>`.
    pub fn id(&self) -> String {
        format!("{}-{}", self.installation, self.decision)
    }

    /// The decision that it tells of.
    pub fn decision(&self) -> DecisionId {
        self.decision
    }

    /// What was decided.
    pub fn transition(&self) -> &Transition {
        &self.transition
    }

    /// Its first line: state, alarm, severity, and what happened, as
    /// `ALARM http-5xx-burst (critical): 12 matches in 60 s, threshold >= 10`. Has no control characters.
    pub fn summary(&self) -> String {
        let transition = &self.transition;
        let severity = transition.rule.severity.as_str();
        let happened = what_happened(transition);
        let alarm = visible(&transition.alarm);
        format!("{} {alarm}{} ({severity}): {}", transition.to, which(transition), visible(&happened))
    }
}

/// Which of an alarm's many states: ` [ip 10.0.0.7]`; nothing for an alarm with one.
fn which(transition: &Transition) -> String {
    let pair = |(name, value): (&String, &String)| format!("{} {}", visible(name), visible(value));
    let pairs: Vec<String> = transition.dimensions.iter().map(pair).collect();
    if pairs.is_empty() { String::new() } else { format!(" [{}]", pairs.join(", ")) }
}

fn what_happened(transition: &Transition) -> String {
    let Some(rule) = transition.rule.metric() else { return what_children_did(transition) };
    let condition = condition(rule);
    let (needed, among) = (rule.datapoints_to_alarm, rule.evaluation_periods);
    let measured =
        decisive(transition).map_or_else(|| "no datapoints".to_owned(), |it| measured(transition, rule, it));
    let longer = if transition.from == AlarmState::Alarm { "no longer" } else { "not" };
    match transition.to {
        AlarmState::Alarm if among == 1 => format!("{measured}, threshold {condition}"),
        AlarmState::Alarm => {
            let breaching = breaching(transition, among.into());
            if breaching < u64::from(needed) {
                format!("{breaching} of {among} datapoints {condition}, and missing ones count as breaching")
            } else {
                format!("{breaching} of {among} datapoints {condition}, the last of them {measured}")
            }
        }
        AlarmState::Ok if among == 1 => format!("{measured}, threshold {condition} {longer} met"),
        AlarmState::Ok => format!("{longer} {needed} of {among} datapoints {condition}"),
        AlarmState::InsufficientData => {
            format!("not enough data to tell whether {} {condition}", quantity(rule))
        }
    }
}

/// `db-down and disk-full in ALARM`; for an OK, `its rule no longer holds`.
fn what_children_did(transition: &Transition) -> String {
    let in_alarm: Vec<&str> = transition
        .children
        .iter()
        .filter(|child| child.state == AlarmState::Alarm)
        .map(|child| child.alarm.as_str())
        .collect();
    match (transition.to, &in_alarm[..]) {
        (AlarmState::Alarm, []) => "its rule holds".to_owned(),
        (AlarmState::Alarm, [one]) => format!("{one} in ALARM"),
        (AlarmState::Alarm, [most @ .., last]) => format!("{} and {last} in ALARM", most.join(", ")),
        _ if transition.from == AlarmState::Alarm => "its rule no longer holds".to_owned(),
        _ => "its rule does not hold".to_owned(),
    }
}

/// `>= 10`.
pub(crate) fn condition(rule: &MetricAlarm) -> String {
    format!("{} {}", rule.comparison.symbol(), number(rule.threshold))
}

/// What a datapoint is, in a word or a formula: `Average`, `p99.9`, `errors / requests`.
fn quantity(rule: &MetricAlarm) -> String {
    match &rule.watched {
        Watched::Stat(stat) => stat.statistic.to_string(),
        Watched::Math { expression, .. } => expression.clone(),
    }
}

/// How many datapoints breach, without missing ones that may have counted as if they did: of more slots than `among` that
/// were looked at, no more than that decide.
fn breaching(transition: &Transition, among: u64) -> u64 {
    let seen = transition.datapoints.iter().filter(|it| it.breaching).count() as u64;
    seen.min(among)
}

/// The newest datapoint that speaks for the new state; failing that, the newest.
pub(crate) fn decisive(transition: &Transition) -> Option<&Datapoint> {
    let to_alarm = transition.to == AlarmState::Alarm;
    let newest_first = || transition.datapoints.iter().rev();
    newest_first().find(|it| it.value.is_some() && it.breaching == to_alarm).or_else(|| newest_first().next())
}

/// `12 matches in 60 s`, `Average 812.5 in 5 min`, `errors / requests 0.25 in 60 s`, `no data in 60 s`.
fn measured(transition: &Transition, rule: &MetricAlarm, datapoint: &Datapoint) -> String {
    let period = period(rule.period.as_s());
    let about = if datapoint.estimated { "about " } else { "" };
    match datapoint.value {
        None => format!("no data in {period}"),
        Some(value) if counts_matches(transition, rule) => format!("{} in {period}", matches(&number(value))),
        Some(value) => format!("{} {about}{} in {period}", quantity(rule), number(value)),
    }
}

/// Whether a datapoint's value is the number of matching events: each adds 1, and the others nothing that is counted.
fn counts_matches(transition: &Transition, rule: &MetricAlarm) -> bool {
    let Watched::Stat(stat) = &rule.watched else { return false };
    match stat.statistic {
        _ if transition.filters.is_empty() => false,
        Statistic::Sum => transition
            .filters
            .iter()
            .all(|it| it.value == "1" && it.default.is_none_or(|default| default == 0.0)),
        Statistic::SampleCount => transition.filters.iter().all(|it| it.default.is_none()),
        _ => false,
    }
}

/// `1 match`, `12 matches`.
pub(crate) fn matches(count: &str) -> String {
    format!("{count} {}", if count == "1" { "match" } else { "matches" })
}

/// A period in words: `60 s`, `5 min`, `24 h`.
pub(crate) fn period(period_s: u32) -> String {
    match period_s {
        3600.. if period_s.is_multiple_of(3600) => format!("{} h", period_s / 3600),
        120.. if period_s.is_multiple_of(60) => format!("{} min", period_s / 60),
        _ => format!("{period_s} s"),
    }
}

/// A value for people: at most six decimals, very large and very small ones with an exponent.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e15).contains(&size) {
        return format!("{value:e}");
    }
    let (exact, rounded) = (value.to_string(), format!("{value:.6}"));
    if exact.len() <= rounded.len() {
        exact
    } else {
        rounded.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_their_size() {
        let shown = [12.0, 0.5, 812.333_333_333_333_4, -3.25, 0.0, 1e300, 2.5e-9, 0.1 + 0.2].map(number);
        assert_eq!(shown, ["12", "0.5", "812.333333", "-3.25", "0", "1e300", "2.5e-9", "0.3"]);
        assert_eq!(number(f64::INFINITY), "inf");
    }

    #[test]
    fn periods_are_said_in_their_largest_whole_unit() {
        let said = [10, 60, 120, 300, 3540, 3600, 5400, 86_400].map(period);
        assert_eq!(said, ["10 s", "60 s", "2 min", "5 min", "59 min", "1 h", "90 min", "24 h"]);
    }
}
