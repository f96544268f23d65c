//! The timeline: decisions as changes of alarms, in the words that replays, tests and reports share.
//!
//! This is the only place in `replay` that knows what a decision and an alarm look like.

use serde::Serialize;
use watchbell_model::{
    AlarmState, Decision, DecisionId, Dimensions, GroupName, InstallationId, MatchedLine, Plan, SuppressedBy,
    Timestamp, Transition,
};
use watchbell_notify::{Message, TEXT_WIDTH};

use super::words;

/// An alarm that went, or would have gone, from one state to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// When.
    #[serde(serialize_with = "watchbell_model::rfc3339::time")]
    pub at: Timestamp,
    /// The alarm.
    pub alarm: String,
    /// Which of its states, for an alarm that has one for each value of some dimensions.
    #[serde(skip_serializing_if = "Dimensions::is_empty")]
    pub dimensions: Dimensions,
    /// The state before.
    pub from: AlarmState,
    /// The state from then on.
    pub to: AlarmState,
    /// Before its slot was complete, because nothing could change the outcome any more.
    pub early: bool,
    /// Events that came after their slot had been decided made the difference.
    pub late: bool,
    /// The change took place before; what happens now is that it is told, for what held it back is over.
    pub released: bool,
    /// Why, in CloudWatch's words.
    pub reason: String,
    /// The first line of the message about it.
    pub summary: String,
    /// The first line that made it, if lines did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_line: Option<FirstLine>,
    /// Who is told: `topic/subscription`.
    pub told: Vec<String>,
    /// The mute rule that keeps them from being told now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muted: Option<String>,
    /// What a composite alarm's suppressor keeps them from it with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressed_by: Option<SuppressedBy>,
    /// The same for people: `the mute rule nightly`.
    #[serde(skip)]
    pub held_back_by: Option<String>,
    /// The whole message as a console shows it, without its id, which only a real one has. Kept only if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The first line of those that made a change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FirstLine {
    /// When it happened.
    #[serde(serialize_with = "watchbell_model::rfc3339::time")]
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
        decisions.iter().filter_map(move |decision| match decision {
            Decision::Transition(transition) => Some(Change::of(transition, with_message)),
            Decision::Released { at, transition } => {
                let change = Change::of(transition, with_message);
                let told = recipients(transition);
                Some(Change {
                    at: *at,
                    released: true,
                    told,
                    muted: None,
                    suppressed_by: None,
                    held_back_by: None,
                    ..change
                })
            }
            Decision::Correction(_) | Decision::SeriesLimit(_) => None,
        })
    }

    fn of(transition: &Transition, with_message: bool) -> Change {
        // No real installation has this id, and it is in nothing that is kept here.
        let id = DecisionId { offset: transition.plan, index: 0 };
        let message = Message::new(InstallationId([0; 8]), id, transition);
        Change {
            at: transition.at,
            alarm: transition.alarm.clone(),
            dimensions: transition.dimensions.clone(),
            from: transition.from,
            to: transition.to,
            early: transition.early,
            late: transition.late,
            released: false,
            reason: transition.reason.clone(),
            summary: message.summary(),
            first_line: transition.first_lines.first().map(FirstLine::of),
            told: if transition.is_held_back() { Vec::new() } else { recipients(transition) },
            muted: transition.muted.clone(),
            suppressed_by: transition.suppressed_by,
            held_back_by: transition.held_back_by(),
            message: with_message.then(|| without_id(&message.text(TEXT_WIDTH, false))),
        }
    }

    /// Whether an episode of ALARM begins or ends with it.
    pub fn is_about_alarm(&self) -> bool {
        !self.released && (self.from == AlarmState::Alarm || self.to == AlarmState::Alarm)
    }

    /// The alarm, and which of its states: `brute-force [ip 10.0.0.7]`.
    pub fn title(&self) -> String {
        title(&self.alarm, &self.dimensions)
    }
}

/// An alarm, and which of its states, as messages call it: `brute-force [ip 10.0.0.7]`.
pub(super) fn title(alarm: &str, dimensions: &Dimensions) -> String {
    let pairs: Vec<String> = dimensions.iter().map(|(name, value)| format!("{name} {value}")).collect();
    if pairs.is_empty() { alarm.to_owned() } else { format!("{alarm} [{}]", pairs.join(", ")) }
}

/// What is worth a word beside the timeline: metrics with more series than they may have.
pub(super) fn warnings(decisions: &[Decision]) -> impl Iterator<Item = String> {
    decisions.iter().filter_map(|decision| match decision {
        Decision::SeriesLimit(limit) => Some(format!(
            "metric {} {} has more than {} combinations of dimension values; the rest count as one",
            limit.metric.namespace, limit.metric.name, limit.series_max
        )),
        _ => None,
    })
}

fn recipients(transition: &Transition) -> Vec<String> {
    transition.notify.iter().map(|it| format!("{}/{}", it.topic, it.subscription)).collect()
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
