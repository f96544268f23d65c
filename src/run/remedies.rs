//! Commands that functions have started: how often, for which messages, and what is still to be looked at. Derived from
//! the audit trail, so that guards hold across restarts.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use watchbell_model::{Dimensions, Entry, Record, Timestamp, TrailRecord};

/// A command is about to be started.
pub const START: &str = "command.start";
/// It has ended.
pub const END: &str = "command.end";
/// It was looked at whether the alarm is OK.
pub const CHECK: &str = "command.check";

/// How long a start is remembered, in milliseconds: a message is not worked on twice in that time.
const REMEMBERED_MS: i64 = 24 * 60 * 60 * 1000;

/// In which time starts are counted, in milliseconds.
const COUNTED_MS: i64 = 60 * 60 * 1000;

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The function.
    pub function: String,
    /// Which start: a message and when it was enqueued.
    pub run: String,
    /// The alarm that has to be OK.
    pub alarm: String,
    /// Which of its states.
    pub dimensions: Dimensions,
    /// When.
    pub due: Timestamp,
}

/// What is known of commands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedies {
    /// By function: when, and which.
    started: BTreeMap<String, VecDeque<(Timestamp, String)>>,
    checks: Vec<Check>,
}

impl Remedies {
    /// Takes note of a record.
    pub fn apply(&mut self, record: &Record) {
        let Entry::Trail(trail) = &record.entry else { return };
        let Some(run) = trail.detail.get("run") else { return };
        match trail.action.as_str() {
            START => {
                let started = self.started.entry(trail.resource.clone()).or_default();
                while started.front().is_some_and(|(at, _)| trail.at.ms_since(*at) > REMEMBERED_MS) {
                    started.pop_front();
                }
                started.push_back((trail.at, run.clone()));
            }
            END => self.checks.extend(check(trail, run)),
            CHECK => self.checks.retain(|check| check.run != *run || check.function != trail.resource),
            _ => {}
        }
    }

    /// Whether the command of `function` was started for this already.
    pub fn has_started(&self, function: &str, run: &str) -> bool {
        self.started.get(function).is_some_and(|started| started.iter().any(|(_, known)| known == run))
    }

    /// How often the command of `function` was started in the hour before `now`.
    pub fn in_last_hour(&self, function: &str, now: Timestamp) -> usize {
        let recent = |(at, _): &&(Timestamp, String)| now.ms_since(*at) < COUNTED_MS;
        self.started.get(function).map_or(0, |started| started.iter().filter(recent).count())
    }

    /// What is to be looked at `now`.
    pub fn due(&self, now: Timestamp) -> Vec<Check> {
        self.checks.iter().filter(|check| check.due <= now).cloned().collect()
    }
}

/// What the end of a command says is to be looked at.
fn check(trail: &TrailRecord, run: &str) -> Option<Check> {
    let dimensions = trail.detail.get("dimensions");
    Some(Check {
        function: trail.resource.clone(),
        run: run.to_owned(),
        alarm: trail.detail.get("alarm")?.clone(),
        dimensions: dimensions
            .map_or_else(|| Some(Dimensions::new()), |text| serde_json::from_str(text).ok())?,
        due: Timestamp(trail.detail.get("check_at_ms")?.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use watchbell_model::Offset;

    use super::*;
    use crate::run::trail::{TrailDraft, TrailHead};

    fn apply(remedies: &mut Remedies, at: i64, draft: TrailDraft) {
        let entry = Entry::Trail(TrailHead::default().extend(Timestamp(at), draft));
        remedies.apply(&Record { offset: Offset(0), time: Timestamp(at), entry });
    }

    #[test]
    fn starts_are_counted_by_the_hour_and_remembered_for_a_day() {
        let mut remedies = Remedies::default();
        let start = |run: &str| TrailDraft::done(START, "restart").detail("run", run);
        apply(&mut remedies, 0, start("a"));
        apply(&mut remedies, 1000, start("b"));
        let seen = |remedies: &Remedies, now| remedies.in_last_hour("restart", Timestamp(now));
        assert_eq!(
            [seen(&remedies, 1000), seen(&remedies, COUNTED_MS), seen(&remedies, COUNTED_MS + 1000)],
            [2, 1, 0]
        );
        assert_eq!(remedies.in_last_hour("other", Timestamp(0)), 0);
        apply(&mut remedies, REMEMBERED_MS + 500, start("c"));
        let known = ["a", "b", "c"].map(|run| remedies.has_started("restart", run));
        assert_eq!(known, [false, true, true]);
    }

    #[test]
    fn what_is_to_be_looked_at_is_due_until_it_was() {
        let mut remedies = Remedies::default();
        let end = TrailDraft::done(END, "restart").detail("run", "a").detail("alarm", "errors");
        apply(
            &mut remedies,
            0,
            end.clone().detail("check_at_ms", 500).detail("dimensions", "{\"ip\":\"1\"}"),
        );
        apply(&mut remedies, 0, end);
        assert_eq!((remedies.due(Timestamp(499)).len(), remedies.due(Timestamp(500)).len()), (0, 1));
        assert_eq!(remedies.due(Timestamp(500))[0].dimensions["ip"], "1");
        apply(&mut remedies, 600, TrailDraft::done(CHECK, "restart").detail("run", "a"));
        assert_eq!(remedies.due(Timestamp(700)), []);
    }
}
