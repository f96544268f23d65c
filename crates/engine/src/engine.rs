//! The fold itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watchbell_expression::ExpressionError;
use watchbell_model::{
    AlarmState, Correction, Decision, DecisionId, Decisions, Dimensions, Entry, InstallationId, MetricName,
    Offset, Plan, Record, Timestamp,
};
use watchbell_pattern::{PatternError, Scratch};
use watchbell_schedule::ScheduleError;

use crate::alarm::{AlarmRun, Change, Hold};
use crate::compiled::{CompiledAlarm, CompiledPlan};
use crate::composite::States;
use crate::counters::Counters;
use crate::mute::muted;
use crate::store::{SeriesKey, SeriesStore};
use crate::transition::{Who, follow};

/// How long one of an alarm's many states is kept without samples, if silence does not settle it, in milliseconds.
pub const CONTRIBUTOR_KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// How many states one alarm has at most. A new one then takes the place of one without samples; if all have some, it has
/// no state.
pub const STATES_MAX: usize = 10_000;

/// Why a record could not be folded. A plan is checked before it is journaled, so this is a plan of another version.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EngineError {
    /// A journaled plan holds a filter pattern that this version refuses.
    #[error("metric filter \"{filter}\": {error}")]
    Pattern {
        /// The filter.
        filter: String,
        /// What is wrong with its pattern, value or dimensions.
        error: PatternError,
    },
    /// Metric math, or the rule of a composite alarm, that this version refuses.
    #[error("alarm \"{alarm}\": {error}")]
    Expression {
        /// The alarm.
        alarm: String,
        /// What is wrong.
        error: ExpressionError,
    },
    /// A schedule that this version refuses.
    #[error("mute rule \"{rule}\": {error}")]
    Schedule {
        /// The mute rule.
        rule: String,
        /// What is wrong.
        error: ScheduleError,
    },
    /// Composite alarms that wait for each other.
    #[error("composite alarms name each other in a circle: {}", alarms.join(", "))]
    Cycle {
        /// In the order of the circle.
        alarms: Vec<String>,
    },
}

/// The states of each alarm: one, or one for each value of some dimensions.
pub(crate) type Runs = BTreeMap<String, BTreeMap<Dimensions, AlarmRun>>;

/// A plan in force.
pub(crate) struct InForce {
    pub(crate) plan: Plan,
    pub(crate) compiled: CompiledPlan,
}

/// The state that results from all records so far.
pub struct Engine {
    pub(crate) installation: InstallationId,
    pub(crate) in_force: Option<Arc<InForce>>,
    pub(crate) store: SeriesStore,
    pub(crate) runs: Runs,
    pub(crate) states: States,
    pub(crate) counters: Counters,
    /// When it was last said that a metric has too many series.
    pub(crate) limits_said: BTreeMap<MetricName, Timestamp>,
    pub(crate) unconfirmed: BTreeMap<DecisionId, Decision>,
    /// The earliest instant that some alarm waits for, so that records before it cost nothing however many alarms there
    /// are.
    pub(crate) next_instant: Option<Timestamp>,
    /// Buffers of the matcher; no state.
    pub(crate) scratch: Scratch,
}

/// A decision with the instant that it was made at, waiting to be put in order.
pub(crate) struct Timed {
    pub(crate) at: Timestamp,
    pub(crate) decision: Decision,
}

impl Timed {
    pub(crate) fn new(at: Timestamp, decision: Decision) -> Timed {
        Timed { at, decision }
    }

    /// By instant, then by alarm.
    pub(crate) fn order(&self) -> (Timestamp, Option<(&str, &Dimensions)>) {
        let alarm = match &self.decision {
            Decision::Transition(transition) | Decision::Released { transition, .. } => {
                Some((transition.alarm.as_str(), &transition.dimensions))
            }
            Decision::Correction(correction) => Some((correction.alarm.as_str(), &correction.dimensions)),
            Decision::SeriesLimit(_) => None,
        };
        (self.at, alarm)
    }
}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(installation: InstallationId) -> Engine {
        Engine {
            installation,
            in_force: None,
            store: SeriesStore::default(),
            runs: BTreeMap::new(),
            states: States::default(),
            counters: Counters::default(),
            limits_said: BTreeMap::new(),
            unconfirmed: BTreeMap::new(),
            next_instant: None,
            scratch: Scratch::default(),
        }
    }

    /// Folds the next record of the journal and says what it causes.
    ///
    /// First every evaluation whose instant has passed takes place, then the record counts. What is returned stays
    /// among [`Engine::unconfirmed`] until a [`Decisions`] record with the same cause comes by.
    ///
    /// # Errors
    /// [`EngineError`] if a plan cannot run in this version; the engine is then as before the record.
    pub fn step(&mut self, record: &Record) -> Result<Vec<Decision>, EngineError> {
        let new = match &record.entry {
            Entry::Plan(plan) => Some(CompiledPlan::new(record.offset, plan)?),
            _ => None,
        };
        let now = record.time;
        self.counters.record(&record.entry);
        let mut decisions = Vec::new();
        if let Some(in_force) = self.in_force.clone() {
            let plan = &in_force.compiled;
            let passed = self.advance(plan, now);
            decisions.extend(self.in_order(plan, passed, now));
            let caused = match &record.entry {
                Entry::Batch(batch) => {
                    let mut caused = self.batch(plan, batch, record);
                    if let Some(done) = record.entry.queue_changes() {
                        caused.extend(self.queue(plan, done, now));
                    }
                    caused
                }
                Entry::Samples(samples) => self.samples(plan, samples, now),
                Entry::Delivery(delivery) => self.delivery(plan, delivery, now),
                Entry::Queue(changes) => self.queue(plan, changes, now),
                Entry::Decisions(journaled) => {
                    self.confirm(plan, journaled);
                    Vec::new()
                }
                _ => Vec::new(),
            };
            decisions.extend(self.in_order(plan, caused, now));
        }
        if let (Entry::Plan(plan), Some(compiled)) = (&record.entry, new) {
            decisions.extend(self.adopt((**plan).clone(), compiled, now));
        }
        let plan = self.in_force.as_ref().map(|in_force| &in_force.compiled);
        if let Some(plan) = plan.filter(|plan| decisions.iter().any(|it| plan.moves_what_waits(it))) {
            // What is held back has an instant of its own.
            self.next_instant = self.earliest_instant(plan);
        }
        let with_id = |(index, decision): (u32, &Decision)| {
            (DecisionId { offset: record.offset, index }, decision.clone())
        };
        self.unconfirmed.extend((0..).zip(&decisions).map(with_id));
        Ok(decisions)
    }

    /// When time alone will next change something: append a tick once the clock is past it.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.next_instant
    }

    /// Decisions that no [`Decisions`] record has confirmed yet, by the entry that caused them.
    ///
    /// After a restart these are the ones that a crash kept from being journaled.
    pub fn unconfirmed(&self) -> Vec<Decisions> {
        let all: Vec<_> = self.unconfirmed.iter().collect();
        let by_cause = all.chunk_by(|a, b| a.0.offset == b.0.offset);
        let entries = |run: &[(&DecisionId, &Decision)]| {
            let first = run.first().map_or(0, |(id, _)| id.index);
            let items = run.iter().map(|(_, decision)| (*decision).clone()).collect();
            Decisions::entries(run[0].0.offset, first, items)
        };
        by_cause.flat_map(entries).collect()
    }

    /// Whether [`Engine::unconfirmed`] is empty.
    pub fn is_confirmed(&self) -> bool {
        self.unconfirmed.is_empty()
    }

    /// The plan in force and where it stands in the journal.
    pub fn plan(&self) -> Option<(Offset, &Plan)> {
        self.in_force.as_ref().map(|in_force| (in_force.compiled.offset, &in_force.plan))
    }

    /// Every alarm of the plan with its state; an alarm with a state for each value of some dimensions as often as it has
    /// states.
    pub fn alarms(&self) -> impl Iterator<Item = (&str, &Dimensions, &AlarmRun)> {
        let each = |(name, runs)| {
            let runs: &BTreeMap<Dimensions, AlarmRun> = runs;
            let name: &String = name;
            runs.iter().map(move |(dimensions, run)| (name.as_str(), dimensions, run))
        };
        self.runs.iter().flat_map(each)
    }

    /// The state of each alarm as other alarms see it: of one with many states, ALARM if one of them is in ALARM.
    pub fn states(&self) -> Vec<(String, AlarmState)> {
        let Some(in_force) = &self.in_force else { return Vec::new() };
        let states = States::of(&self.runs, &in_force.compiled);
        self.runs.keys().map(|name| (name.clone(), states.state(name))).collect()
    }

    /// Totals since the installation was made.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether any series of a metric is kept.
    pub fn has_series(&self) -> bool {
        self.store.iter().next().is_some()
    }

    /// How many series of metrics are kept.
    pub fn series_count(&self) -> usize {
        self.store.iter().count()
    }

    /// Makes every evaluation whose instant lies before `now`.
    fn advance(&mut self, plan: &CompiledPlan, now: Timestamp) -> Vec<Timed> {
        if self.next_instant.is_none_or(|instant| instant >= now) {
            return Vec::new();
        }
        let mut timed: Vec<Timed> = Vec::new();
        for (name, alarm) in &plan.alarms {
            for (contributor, run) in self.runs.get_mut(name).into_iter().flatten() {
                let who = Who { alarm: name, contributor };
                advance_one(plan, alarm, who, run, &self.store, now, &mut timed);
            }
        }
        self.store.retain(|key, series| {
            let horizon_ms = plan.watched.get(&key.metric).map_or(0, |metric| metric.horizon_ms);
            series.forget_before(now.plus_ms(-horizon_ms));
            !series.buckets.is_empty()
        });
        self.forget_contributors(plan, now, &mut timed);
        self.next_instant = self.earliest_instant(plan);
        timed
    }

    /// Forgets states of alarms with many that say no more than one that never was.
    fn forget_contributors(&mut self, plan: &CompiledPlan, now: Timestamp, timed: &mut Vec<Timed>) {
        let store = &self.store;
        for (name, alarm) in plan.alarms.iter().filter(|(_, alarm)| !alarm.metric.each.is_empty()) {
            let settled = alarm.state_without_samples();
            self.runs.entry(name.clone()).or_default().retain(|contributor, run| {
                let inputs = alarm.inputs(store, contributor);
                if !inputs.is_empty() {
                    run.idle_since = None;
                    return true;
                }
                if run.withheld.is_some() || run.early_until.is_some() {
                    return true;
                }
                if settled == Some(run.state) && !run.told {
                    return false;
                }
                let idle_since = *run.idle_since.get_or_insert(now);
                if now.ms_since(idle_since) < CONTRIBUTOR_KEPT_MS {
                    return true;
                }
                if run.state != AlarmState::InsufficientData {
                    let change =
                        Change { to: AlarmState::InsufficientData, range: inputs.range(run.next_end) };
                    let news = alarm.news(change, &inputs, &BTreeSet::new(), now, false);
                    let who = Who { alarm: name, contributor };
                    let transition = plan.change(who, &alarm.announcement, run, news);
                    timed.push(Timed::new(now, Decision::Transition(Box::new(transition))));
                }
                false
            });
        }
    }

    /// Puts a plan in force. An alarm that was there before keeps its state, as on `PutMetricAlarm`.
    fn adopt(&mut self, plan: Plan, compiled: CompiledPlan, now: Timestamp) -> Vec<Decision> {
        let before = self.in_force.take();
        let mut old = std::mem::take(&mut self.runs);
        for (name, alarm) in &compiled.alarms {
            let was = before.as_ref().and_then(|before| before.compiled.alarms.get(name));
            let is_same =
                was.is_some_and(|was| was.metric == alarm.metric && was.lateness_ms == alarm.lateness_ms);
            let fits = was.is_some_and(|was| was.metric.each == alarm.metric.each);
            let mut runs = old.remove(name).filter(|_| fits || is_same).unwrap_or_default();
            for run in runs.values_mut().filter(|_| !is_same) {
                run.next_end = alarm.first_end(now);
                (run.early_until, run.fired_until) = (None, None);
                run.is_evaluated = false;
                run.corrected.clear();
                run.corrections.clear();
            }
            for (contributor, run) in runs.iter_mut().filter(|(_, run)| run.state == AlarmState::Alarm) {
                // An ALARM that is certain under the new rule, too, does not end only to begin again.
                let inputs = alarm.inputs(&self.store, contributor);
                let certain = if alarm.early { alarm.certain(run, &inputs, now) } else { None };
                run.early_until = run.early_until.max(certain.map(|certain| certain.last));
            }
            if alarm.metric.each.is_empty() {
                let first = || AlarmRun::new(AlarmState::InsufficientData, now, alarm.first_end(now));
                runs.entry(Dimensions::new()).or_insert_with(first);
            }
            self.runs.insert(name.clone(), runs);
        }
        for composite in &compiled.composites {
            let runs = old.remove(&composite.name).filter(|runs| runs.contains_key(&Dimensions::new()));
            let first = || AlarmRun::new(AlarmState::InsufficientData, now, now);
            let runs = runs.unwrap_or_else(|| [(Dimensions::new(), first())].into());
            self.runs.insert(composite.name.clone(), runs);
        }
        for (name, runs) in &mut self.runs {
            let mutes = compiled.announcement(name).map_or(&[][..], |it| it.mutes.as_slice());
            let suppressor =
                |plan| CompiledPlan::announcement(plan, name).and_then(|it| it.alarm.suppressor());
            let has_same_suppressor =
                before.as_ref().is_some_and(|before| suppressor(&before.compiled) == suppressor(&compiled));
            for withheld in runs.values_mut().filter_map(|run| run.withheld.as_mut()) {
                // The mute rules and suppressors of before hold nothing back any more.
                if withheld.hold.suppressed_by.is_none() || !has_same_suppressor {
                    let window = muted(&compiled.mutes, mutes, now);
                    withheld.hold = Hold::mute(window.map_or(now, |(_, end)| end));
                }
            }
        }
        self.store.retain(|key, series| {
            let metric = compiled.watched.get(&key.metric);
            series.keeps_values = metric.is_some_and(|metric| metric.keeps_values);
            metric.is_some()
        });
        let keys: Vec<SeriesKey> = self.store.iter().map(|(key, _)| key.clone()).collect();
        for key in &keys {
            self.contributors(&compiled, key, now);
        }
        self.states = States::of(&self.runs, &compiled);
        let decisions = self.composites(&compiled, now, &[]);
        self.next_instant = self.earliest_instant(&compiled);
        self.in_force = Some(Arc::new(InForce { plan, compiled }));
        decisions
    }

    /// Makes the states of alarms that have one for each series like that of `key`.
    pub(crate) fn contributors(&mut self, plan: &CompiledPlan, key: &SeriesKey, now: Timestamp) {
        let names = plan.watched.get(&key.metric).into_iter().flat_map(|metric| &metric.alarms);
        for (name, alarm) in names.filter_map(|name| plan.alarms.get_key_value(name)) {
            let contributor = alarm.contributor(key);
            let Some(contributor) = contributor.filter(|contributor| !contributor.is_empty()) else {
                continue;
            };
            let runs = self.runs.entry(name.clone()).or_default();
            if runs.len() >= STATES_MAX && !runs.contains_key(&contributor) && !forget_one(runs) {
                continue;
            }
            runs.entry(contributor).or_insert_with(|| {
                let next_end = alarm.first_end(now);
                let instant = alarm.instant(next_end);
                self.next_instant = Some(self.next_instant.map_or(instant, |next| next.min(instant)));
                let settled = alarm.state_without_samples();
                let run = AlarmRun::new(settled.unwrap_or(AlarmState::InsufficientData), now, next_end);
                // Without samples its evaluations could only have had this outcome.
                AlarmRun { is_evaluated: settled.is_some(), ..run }
            });
        }
    }

    pub(crate) fn earliest_instant(&self, plan: &CompiledPlan) -> Option<Timestamp> {
        let held = |run: &AlarmRun| run.withheld.as_ref().and_then(|withheld| withheld.hold.until);
        let next = |(name, runs): (&String, &BTreeMap<Dimensions, AlarmRun>)| {
            let alarm = plan.alarms.get(name);
            let instants =
                runs.values().flat_map(|run| [alarm.map(|alarm| alarm.instant(run.next_end)), held(run)]);
            instants.flatten().min()
        };
        self.runs.iter().filter_map(next).min()
    }

    /// A journaled decision wins over a derived one; usually they are the same.
    fn confirm(&mut self, plan: &CompiledPlan, journaled: &Decisions) {
        let mut is_other = false;
        for (id, decision) in journaled.with_ids() {
            if self.unconfirmed.remove(&id).as_ref() == Some(decision) {
                continue;
            }
            let Some(transition) = decision.told() else { continue };
            let runs = self.runs.get_mut(&transition.alarm);
            let Some(run) = runs.and_then(|runs| runs.get_mut(&transition.dimensions)) else { continue };
            is_other = true;
            match decision {
                Decision::Transition(_) => follow(run, transition, plan.hold(transition)),
                _ => run.told = transition.to == AlarmState::Alarm,
            }
        }
        if is_other {
            self.states = States::of(&self.runs, plan);
            self.next_instant = self.earliest_instant(plan);
        }
    }
}

/// Forgets the state that has been without samples for longest, if it is not in ALARM and nobody waits for its messages.
fn forget_one(runs: &mut BTreeMap<Dimensions, AlarmRun>) -> bool {
    let idle = |(contributor, run): (&Dimensions, &AlarmRun)| {
        let may_go = run.state != AlarmState::Alarm && run.withheld.is_none();
        run.idle_since.filter(|_| may_go).map(|since| (since, contributor.clone()))
    };
    let oldest = runs.iter().filter_map(idle).min();
    oldest.is_some_and(|(_, contributor)| runs.remove(&contributor).is_some())
}

/// Makes every evaluation of one alarm, or of one of its many states, whose instant lies before `now`.
fn advance_one(
    plan: &CompiledPlan,
    alarm: &CompiledAlarm,
    who: Who<'_>,
    run: &mut AlarmRun,
    store: &SeriesStore,
    now: Timestamp,
    timed: &mut Vec<Timed>,
) {
    let inputs = alarm.inputs(store, who.contributor);
    loop {
        let at = alarm.instant(run.next_end);
        if let Some((until, decision)) = plan.release(&alarm.announcement, run, at.min(now)) {
            timed.push(Timed::new(until, decision));
        }
        if at >= now {
            return;
        }
        for (start, (end, before)) in std::mem::take(&mut run.corrections) {
            let after = inputs.range(end).into_iter().find(|point| point.start == start);
            if let Some(after) = after.filter(|after| *after != before) {
                let (alarm, dimensions) = (who.alarm.to_owned(), who.contributor.clone());
                let correction = Correction { alarm, dimensions, before, after };
                timed.push(Timed::new(at, Decision::Correction(correction)));
            }
        }
        if alarm.is_settled(run, &inputs) {
            run.next_end = alarm.first_end(now);
            continue;
        }
        if let Some(change) = alarm.evaluate_next(run, &inputs) {
            let news = alarm.news(change, &inputs, &run.corrected, at, false);
            let transition = plan.change(who, &alarm.announcement, run, news);
            timed.push(Timed::new(at, Decision::Transition(Box::new(transition))));
        }
    }
}

/// Whether `plan` can run.
///
/// # Errors
/// [`EngineError`] that says why not.
pub fn can_run(plan: &Plan) -> Result<(), EngineError> {
    CompiledPlan::new(Offset(0), plan).map(drop)
}

/// The alarms of `plan` that can fire before their slot is complete.
///
/// # Errors
/// [`EngineError`] if the plan cannot run.
pub fn alarms_that_fire_early(plan: &Plan) -> Result<BTreeSet<String>, EngineError> {
    let compiled = CompiledPlan::new(Offset(0), plan)?;
    Ok(compiled.alarms.into_iter().filter(|(_, alarm)| alarm.early).map(|(name, _)| name).collect())
}
