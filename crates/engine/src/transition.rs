//! Changes of state: what is said about them, who is told, and when what was held back is let out.

use std::collections::BTreeSet;

use watchbell_model::{AlarmState, Child, Datapoint, Decision, Dimensions, Timestamp, Transition};

use crate::alarm::{AlarmRun, Change, Hold, Inputs, Withheld};
use crate::compiled::{Announcement, CompiledAlarm, CompiledComposite, CompiledPlan};
use crate::mute::muted;
use crate::reason::reason;
use crate::series::Matches;
use crate::suppressor;

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
    /// How its messages wait for an actions suppressor.
    pub(crate) hold: Option<Hold>,
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
            hold: None,
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
            suppressed_by: None,
        };
        let hold = if transition.notify.is_empty() {
            None
        } else if let Some(hold) = news.hold {
            transition.suppressed_by = hold.suppressed_by;
            Some(hold)
        } else {
            muted(&self.mutes, &announcement.mutes, news.at).map(|(rule, end)| {
                transition.muted = Some(rule.to_owned());
                Hold::mute(end)
            })
        };
        follow(run, &transition, hold);
        if transition.is_held_back() {
            transition.notify = Vec::new();
        }
        transition
    }

    /// Whether after `decision` something may wait for its messages until another time.
    pub(crate) fn moves_what_waits(&self, decision: &Decision) -> bool {
        match decision {
            Decision::Transition(transition) => {
                let is_suppressor = |composite: &CompiledComposite| {
                    composite.announcement.alarm.suppressor().is_some_and(|it| it.alarm == transition.alarm)
                };
                transition.is_held_back() || self.composites.iter().any(is_suppressor)
            }
            Decision::Released { .. } => true,
            Decision::Correction(_) | Decision::SeriesLimit(_) => false,
        }
    }

    /// How the messages of a change that was journaled wait.
    pub(crate) fn hold(&self, transition: &Transition) -> Option<Hold> {
        let announcement = self.announcement(&transition.alarm)?;
        if let Some(by) = transition.suppressed_by {
            return suppressor::hold_by(announcement.alarm.suppressor()?, by, transition.at);
        }
        transition.muted.as_ref()?;
        muted(&self.mutes, &announcement.mutes, transition.at).map(|(_, end)| Hold::mute(end))
    }

    /// Tells what was held back, if that ended before `limit` and it is still true.
    pub(crate) fn release(
        &self,
        announcement: &Announcement,
        run: &mut AlarmRun,
        limit: Timestamp,
    ) -> Option<(Timestamp, Decision)> {
        loop {
            let until = run.withheld.as_ref()?.hold.until?;
            if until >= limit {
                return None;
            }
            if let Some((_, end)) =
                muted(&self.mutes, &announcement.mutes, until).filter(|(_, end)| *end > until)
            {
                run.withheld.as_mut()?.hold = Hold::mute(end);
                continue;
            }
            let is_news = run.withholds_news();
            let mut transition = run.withheld.take()?.transition;
            if !is_news {
                return None;
            }
            transition.notify.clone_from(&announcement.recipients);
            run.told = run.state == AlarmState::Alarm;
            return Some((until, Decision::Released { at: until, transition }));
        }
    }
}

/// Puts `run` into the state after `transition`, whose messages wait if `hold` says how.
pub(crate) fn follow(run: &mut AlarmRun, transition: &Transition, hold: Option<Hold>) {
    run.state = transition.to;
    run.since = transition.at;
    run.reason.clone_from(&transition.reason);
    match hold {
        Some(hold) => run.withheld = Some(Withheld { transition: Box::new(transition.clone()), hold }),
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
