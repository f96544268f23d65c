//! The timeline: decisions as changes of alarms, in the words that replays, tests and reports share.
//!
//! This is the only place in `replay` that knows what a decision and an alarm look like.

use serde::Serialize;
use watchbell_model::{
    AlarmState, Decision, DecisionId, GroupName, InstallationId, MatchedLine, Plan, Timestamp, Transition,
};
use watchbell_notify::{Message, TEXT_WIDTH};

use super::words;

/// An alarm that went, or would have gone, from one state to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// When.
    #[serde(serialize_with = "super::time")]
    pub at: Timestamp,
    /// The alarm.
    pub alarm: String,
    /// The state before.
    pub from: AlarmState,
    /// The state from then on.
    pub to: AlarmState,
    /// Before its slot was complete, because nothing could change the outcome any more.
    pub early: bool,
    /// Why, in CloudWatch's words.
    pub reason: String,
    /// The first line of the message about it.
    pub summary: String,
    /// The first line that made it, if lines did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_line: Option<FirstLine>,
    /// Who is told: `topic/subscription`.
    pub told: Vec<String>,
    /// The whole message as a console shows it, without its id, which only a real one has. Kept only if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The first line of those that made a change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FirstLine {
    /// When it happened.
    #[serde(serialize_with = "super::time")]
    pub timestamp: Timestamp,
    /// The log group.
    pub log_group: GroupName,
    /// The log stream.
    pub log_stream: String,
    /// Its text; a long one is cut.
    pub text: String,
}

impl Change {
    /// The changes that are among `decisions`.
    pub(super) fn among(decisions: &[Decision], with_message: bool) -> impl Iterator<Item = Change> {
        decisions.iter().filter_map(Decision::transition).map(move |it| Change::of(it, with_message))
    }

    fn of(transition: &Transition, with_message: bool) -> Change {
        // No real installation has this id, and it is in nothing that is kept here.
        let id = DecisionId { offset: transition.plan, index: 0 };
        let message = Message::new(InstallationId([0; 8]), id, transition);
        let told = transition.notify.iter().map(|it| format!("{}/{}", it.topic, it.subscription));
        Change {
            at: transition.at,
            alarm: transition.alarm.clone(),
            from: transition.from,
            to: transition.to,
            early: transition.early,
            reason: transition.reason.clone(),
            summary: message.summary(),
            first_line: transition.first_lines.first().map(FirstLine::of),
            told: told.collect(),
            message: with_message.then(|| without_id(&message.text(TEXT_WIDTH, false))),
        }
    }

    /// Whether an episode of ALARM begins or ends with it.
    pub fn is_about_alarm(&self) -> bool {
        self.from == AlarmState::Alarm || self.to == AlarmState::Alarm
    }
}

impl FirstLine {
    fn of(line: &MatchedLine) -> FirstLine {
        FirstLine {
            timestamp: line.timestamp,
            log_group: line.group.clone(),
            log_stream: line.stream.clone(),
            text: line.message.clone(),
        }
    }
}

fn without_id(text: &str) -> String {
    let kept = text.lines().filter(|line| !line.starts_with("  id "));
    kept.flat_map(|line| [line, "\n"]).collect::<String>().trim_end().to_owned()
}

/// What an alarm watches, for those who draw it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Watched {
    /// Its rule in one line.
    pub(super) rule: String,
    /// What its values are held against.
    pub(super) threshold: Option<f64>,
    /// What one datapoint covers, in milliseconds.
    pub(super) period_ms: i64,
}

impl Watched {
    /// What `alarm` of `plan` watches; `None` if the plan has no such alarm, or it is about other alarms.
    pub(super) fn of(plan: &Plan, alarm: &str) -> Option<Watched> {
        let alarm = plan.alarms.get(alarm)?.metric()?;
        let rule = format!(
            "{} {} {} over {}, {} of {} datapoints",
            alarm.watched_words(),
            alarm.comparison.symbol(),
            words::number(alarm.threshold),
            words::duration(alarm.period.as_ms()),
            alarm.datapoints_to_alarm,
            alarm.evaluation_periods,
        );
        Some(Watched { rule, threshold: Some(alarm.threshold), period_ms: alarm.period.as_ms() })
    }
}
