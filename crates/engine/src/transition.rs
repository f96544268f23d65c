//! Changes of state: what is said about them, who is told, and when a mute rule lets it out.

use std::collections::BTreeSet;

use watchbell_model::{AlarmState, Child, Datapoint, Decision, Dimensions, Timestamp, Transition};

use crate::alarm::{AlarmRun, Change, Inputs, Withheld};
use crate::compiled::{Announcement, CompiledAlarm, CompiledPlan};
use crate::mute::muted;
use crate::reason::reason;
use crate::series::Matches;

/// Which alarm, or which of an alarm's many states.
#[derive(Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) alarm: &'a str,
    pub(crate) contributor: &'a Dimensions,
}

/// What a change says, whatever the kind of alarm.
pub(crate) struct News {
    pub(crate) to: AlarmState,
    pub(crate) at: Timestamp,
    pub(crate) early: bool,
    pub(crate) late: bool,
    pub(crate) reason: String,
    pub(crate) datapoints: Vec<Datapoint>,
    pub(crate) matched: Matches,
    pub(crate) children: Vec<Child>,
}

impl CompiledAlarm {
    /// What there is to say about `change`.
    pub(crate) fn news(
        &self,
        change: Change,
        inputs: &Inputs<'_>,
        corrected: &BTreeSet<Timestamp>,
        at: Timestamp,
        early: bool,
    ) -> News {
        let period_ms = self.metric.period.as_ms();
        let starts = self.decisive_starts(&change);
        let is_corrected =
            |start: &Timestamp| corrected.range(*start..start.plus_ms(period_ms)).next().is_some();
        News {
            to: change.to,
            at,
            early,
            late: starts.iter().any(is_corrected),
            reason: reason(&self.metric, self.rule, &change.range, change.to),
            matched: inputs.matched(&starts),
            datapoints: change.range,
            children: Vec::new(),
        }
    }
}

impl CompiledPlan {
    /// Moves `run` and describes the move.
    pub(crate) fn change(
        &self,
        who: Who<'_>,
        announcement: &Announcement,
        run: &mut AlarmRun,
        news: News,
    ) -> Transition {
        let tells = match news.to {
            AlarmState::Alarm => true,
            AlarmState::Ok => run.told,
            AlarmState::InsufficientData => false,
        };
        let (matched, first_lines, last_lines) = news.matched;
        let mut transition = Transition {
            alarm: who.alarm.to_owned(),
            dimensions: who.contributor.clone(),
            from: run.state,
            to: news.to,
            at: news.at,
            early: news.early,
            late: news.late,
            reason: news.reason,
            datapoints: news.datapoints,
            matched,
            first_lines,
            last_lines,
            filters: announcement.filters.clone(),
            children: news.children,
            rule: announcement.alarm.clone(),
            plan: self.offset,
            notify: if tells { announcement.recipients.clone() } else { Vec::new() },
            muted: None,
        };
        let window =
            muted(&self.mutes, &announcement.mutes, news.at).filter(|_| !transition.notify.is_empty());
        if let Some((rule, _)) = window {
            transition.muted = Some(rule.to_owned());
        }
        follow(run, &transition, window.map(|(_, end)| end));
        if transition.muted.is_some() {
            transition.notify = Vec::new();
        }
        transition
    }

    /// Tells what a mute rule held back, if its window ended before `limit` and it is still true.
    pub(crate) fn release(
        &self,
        announcement: &Announcement,
        run: &mut AlarmRun,
        limit: Timestamp,
    ) -> Option<(Timestamp, Decision)> {
        loop {
            let until = run.withheld.as_ref()?.until;
            if until >= limit {
                return None;
            }
            if let Some((_, end)) =
                muted(&self.mutes, &announcement.mutes, until).filter(|(_, end)| *end > until)
            {
                run.withheld.as_mut()?.until = end;
                continue;
            }
            let mut transition = run.withheld.take()?.transition;
            let is_news = match run.state {
                AlarmState::Alarm => transition.to == AlarmState::Alarm && !run.told,
                // An OK stays news if nothing more is known since.
                AlarmState::Ok | AlarmState::InsufficientData => transition.to == AlarmState::Ok && run.told,
            };
            if !is_news {
                return None;
            }
            transition.notify.clone_from(&announcement.recipients);
            run.told = run.state == AlarmState::Alarm;
            return Some((until, Decision::Released { at: until, transition }));
        }
    }
}

/// Puts `run` into the state after `transition`, whose messages wait until `held_until` if that is given.
pub(crate) fn follow(run: &mut AlarmRun, transition: &Transition, held_until: Option<Timestamp>) {
    run.state = transition.to;
    run.since = transition.at;
    run.reason.clone_from(&transition.reason);
    match held_until {
        Some(until) => run.withheld = Some(Withheld { transition: Box::new(transition.clone()), until }),
        None => run.told = is_told(run.told, transition),
    }
}

/// Whether an ALARM message stands without an OK message after `transition`.
fn is_told(before: bool, transition: &Transition) -> bool {
    match transition.to {
        AlarmState::Alarm => before || !transition.notify.is_empty(),
        AlarmState::Ok => false,
        AlarmState::InsufficientData => before,
    }
}
