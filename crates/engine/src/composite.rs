//! Composite alarms: evaluated whenever an alarm that they name changes.

use std::collections::BTreeMap;

use watchbell_model::{AlarmState, Child, Decision, Dimensions, Timestamp, Transition};

use crate::alarm::AlarmRun;
use crate::compiled::{CompiledComposite, CompiledPlan};
use crate::engine::{Engine, Runs, Timed};
use crate::suppressor;
use crate::transition::{News, Who};

/// The states that rules see: of an alarm with many states, ALARM if one of them is in ALARM, else OK.
#[derive(Default)]
pub(crate) struct States {
    single: BTreeMap<String, AlarmState>,
    /// How many states of an alarm with many are in ALARM.
    many: BTreeMap<String, usize>,
}

impl States {
    pub(crate) fn of(runs: &Runs, plan: &CompiledPlan) -> States {
        let mut states = States::default();
        for (name, runs) in runs {
            let is_many = plan.alarms.get(name).is_some_and(|alarm| !alarm.metric.each.is_empty());
            if let Some(run) = runs.get(&Dimensions::new()).filter(|_| !is_many) {
                states.single.insert(name.clone(), run.state);
            } else {
                let in_alarm = runs.values().filter(|run| run.state == AlarmState::Alarm).count();
                states.many.insert(name.clone(), in_alarm);
            }
        }
        states
    }

    /// The state of an alarm. One that does not exist is never known.
    pub(crate) fn state(&self, alarm: &str) -> AlarmState {
        let many = |in_alarm: &usize| if *in_alarm > 0 { AlarmState::Alarm } else { AlarmState::Ok };
        let single = self.single.get(alarm).copied();
        single.or_else(|| self.many.get(alarm).map(many)).unwrap_or(AlarmState::InsufficientData)
    }

    fn follow(&mut self, transition: &Transition) {
        if transition.dimensions.is_empty() {
            self.single.insert(transition.alarm.clone(), transition.to);
            return;
        }
        let in_alarm = self.many.entry(transition.alarm.clone()).or_default();
        *in_alarm += usize::from(transition.to == AlarmState::Alarm);
        *in_alarm = in_alarm.saturating_sub(usize::from(transition.from == AlarmState::Alarm));
    }
}

impl Engine {
    /// Puts decisions in order and adds those of composite alarms: after every instant at which an alarm changed, and
    /// where what was held back is let out before `now`.
    pub(crate) fn in_order(
        &mut self,
        plan: &CompiledPlan,
        mut timed: Vec<Timed>,
        now: Timestamp,
    ) -> Vec<Decision> {
        timed.sort_by(|a, b| a.order().cmp(&b.order()));
        if plan.composites.is_empty() {
            return timed.into_iter().map(|timed| timed.decision).collect();
        }
        let mut decisions = Vec::new();
        for instant in timed.chunk_by(|a, b| a.at == b.at) {
            decisions.extend(self.released_composites(plan, instant[0].at));
            let changes: Vec<&Transition> =
                instant.iter().filter_map(|it| it.decision.transition()).collect();
            for transition in &changes {
                self.states.follow(transition);
            }
            let composites =
                if changes.is_empty() { Vec::new() } else { self.composites(plan, instant[0].at, &changes) };
            decisions.extend(instant.iter().map(|timed| timed.decision.clone()));
            decisions.extend(composites);
        }
        decisions.extend(self.released_composites(plan, now));
        decisions
    }

    /// What was held back until before `limit`.
    fn released_composites(&mut self, plan: &CompiledPlan, limit: Timestamp) -> Vec<Decision> {
        let mut released = Vec::new();
        for composite in &plan.composites {
            let run = only_run(&mut self.runs, &composite.name);
            released.extend(run.and_then(|run| plan.release(&composite.announcement, run, limit)));
        }
        released.sort_by_key(|(at, _)| *at);
        released.into_iter().map(|(_, decision)| decision).collect()
    }

    /// Evaluates every composite alarm at `at`, children before parents.
    pub(crate) fn composites(
        &mut self,
        plan: &CompiledPlan,
        at: Timestamp,
        changes: &[&Transition],
    ) -> Vec<Decision> {
        let mut decisions: Vec<Decision> = Vec::new();
        for composite in &plan.composites {
            let holds = composite.rule.holds(&|name| self.states.state(name));
            let to = if holds { AlarmState::Alarm } else { AlarmState::Ok };
            let Some(run) = only_run(&mut self.runs, &composite.name) else {
                continue;
            };
            let suppressor =
                composite.announcement.alarm.suppressor().map(|it| (it, self.states.state(&it.alarm)));
            if run.state == to {
                let withheld = run.withheld.as_mut().zip(suppressor);
                let moved = withheld.and_then(|(withheld, (suppressor, state))| {
                    withheld.hold = suppressor::follow(suppressor, withheld.hold, state, at)?;
                    Some(())
                });
                let released = moved.and_then(|()| plan.release(&composite.announcement, run, at.plus_ms(1)));
                decisions.extend(released.map(|(_, decision)| decision));
                continue;
            }
            let children = children(composite, &self.states);
            let told = decisions.iter().filter_map(Decision::transition).chain(changes.iter().copied());
            let cause = told.rev().find(|change| children.iter().any(|child| child.alarm == change.alarm));
            let news = News {
                to,
                at,
                early: cause.is_some_and(|change| change.early),
                late: cause.is_some_and(|change| change.late),
                reason: reason(composite, &children, to),
                datapoints: Vec::new(),
                matched: cause.map_or_else(Default::default, |change| {
                    (change.matched, change.first_lines.clone(), change.last_lines.clone())
                }),
                children,
                hold: suppressor.and_then(|(suppressor, state)| suppressor::hold(suppressor, state, at)),
            };
            let who = Who { alarm: &composite.name, contributor: &Dimensions::new() };
            let transition = plan.change(who, &composite.announcement, run, news);
            self.states.follow(&transition);
            decisions.push(Decision::Transition(Box::new(transition)));
        }
        decisions
    }
}

/// The state of an alarm that has one.
fn only_run<'r>(runs: &'r mut Runs, alarm: &str) -> Option<&'r mut AlarmRun> {
    runs.get_mut(alarm)?.get_mut(&Dimensions::new())
}

/// Every alarm that the rule names, once, with its state.
pub(crate) fn children(composite: &CompiledComposite, states: &States) -> Vec<Child> {
    let mut children: Vec<Child> = Vec::new();
    for name in composite.rule.names().iter().map(|reference| &reference.name) {
        if !children.iter().any(|child| child.alarm == *name) {
            children.push(Child { alarm: name.clone(), state: states.state(name) });
        }
    }
    children
}

fn reason(composite: &CompiledComposite, children: &[Child], to: AlarmState) -> String {
    let holds = if to == AlarmState::Alarm { "true" } else { "false" };
    let states: Vec<String> =
        children.iter().map(|child| format!("{} is {}", child.alarm, child.state)).collect();
    format!("Rule {} is {holds}: {}.", composite.rule, states.join(", "))
}
