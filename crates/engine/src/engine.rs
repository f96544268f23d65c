//! The fold itself.

use std::collections::{BTreeMap, BTreeSet};

use watchbell_model::{
    AlarmState, Batch, Decision, DecisionId, Decisions, Entry, Event, EventId, InstallationId, MetricName,
    Offset, Plan, Record, Timestamp, Transition,
};
use watchbell_pattern::PatternError;

use crate::alarm::{AlarmRun, Change};
use crate::compiled::{CompiledFilter, CompiledPlan};
use crate::counters::{Counters, FilterCounters, GroupCounters};
use crate::metric::{Matched, Series};
use crate::reason::{UNCHECKED, reason};

/// How far ahead of its arrival an event may say it happened and still be evaluated, in milliseconds.
///
/// Source: CloudWatch Logs API Reference, `PutLogEvents` (no more than 2 hours in the future).
pub const TOO_NEW_MS: i64 = 2 * 60 * 60 * 1000;

/// Why a record could not be folded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EngineError {
    /// A journaled plan holds a filter pattern that this version refuses.
    #[error("metric filter \"{filter}\": {error}")]
    Pattern {
        /// The filter.
        filter: String,
        /// What is wrong with its pattern or value.
        error: PatternError,
    },
}

/// The state that results from all records so far.
pub struct Engine {
    pub(crate) installation: InstallationId,
    pub(crate) plan: Option<(Plan, CompiledPlan)>,
    pub(crate) series: BTreeMap<MetricName, Series>,
    pub(crate) alarms: BTreeMap<String, AlarmRun>,
    pub(crate) counters: Counters,
    pub(crate) unconfirmed: BTreeMap<DecisionId, Decision>,
    /// The earliest instant that some alarm waits for, so that records before it cost nothing however many alarms there
    /// are.
    pub(crate) next_instant: Option<Timestamp>,
}

/// A change with the instant that it happened at, waiting to be put in order.
type Timed = (Timestamp, String, Decision);

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(installation: InstallationId) -> Engine {
        Engine {
            installation,
            plan: None,
            series: BTreeMap::new(),
            alarms: BTreeMap::new(),
            counters: Counters::default(),
            unconfirmed: BTreeMap::new(),
            next_instant: None,
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
        if let Entry::Plan(plan) = &record.entry {
            let compiled = CompiledPlan::new(record.offset, plan)?;
            let decisions = self.advance(record.time);
            self.adopt((**plan).clone(), compiled, record.time);
            return Ok(self.decided(record.offset, decisions));
        }
        let mut decisions = self.advance(record.time);
        match &record.entry {
            Entry::Batch(batch) => decisions.extend(self.batch(batch, record)),
            Entry::Decisions(journaled) => self.confirm(journaled),
            Entry::Loss(loss) => {
                let (times, bytes) =
                    self.counters.losses.entry((loss.group.clone(), loss.reason)).or_default();
                *times += 1;
                *bytes += loss.bytes;
            }
            _ => {}
        }
        Ok(self.decided(record.offset, decisions))
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
        self.plan.as_ref().map(|(plan, compiled)| (compiled.offset, plan))
    }

    /// Every alarm of the plan with its state.
    pub fn alarms(&self) -> impl Iterator<Item = (&str, &AlarmRun)> {
        self.alarms.iter().map(|(name, run)| (name.as_str(), run))
    }

    /// Totals since the installation was made.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn decided(&mut self, offset: Offset, decisions: Vec<Decision>) -> Vec<Decision> {
        let with_id = |(index, decision): (u32, &Decision)| (DecisionId { offset, index }, decision.clone());
        self.unconfirmed.extend((0..).zip(&decisions).map(with_id));
        decisions
    }

    /// Makes every evaluation whose instant lies before `now`, in the order of instants.
    fn advance(&mut self, now: Timestamp) -> Vec<Decision> {
        let Some((_, compiled)) = &self.plan else { return Vec::new() };
        if self.next_instant.is_none_or(|instant| instant >= now) {
            return Vec::new();
        }
        let mut changes: Vec<Timed> = Vec::new();
        for (name, alarm) in &compiled.alarms {
            let Some(run) = self.alarms.get_mut(name) else { continue };
            let no_series = Series::default();
            let series = self.series.get(&alarm.alarm.metric).unwrap_or(&no_series);
            while alarm.instant(run.next_end) < now {
                if alarm.is_settled(run, series) {
                    run.next_end = alarm.first_end(now);
                    break;
                }
                let at = alarm.instant(run.next_end);
                if let Some(change) = alarm.evaluate_next(run, series) {
                    let transition = make_transition(compiled, name, run, series, change, at, false);
                    changes.push((at, name.clone(), transition));
                }
            }
        }
        for (metric, horizon_ms) in &compiled.horizons_ms {
            if let Some(series) = self.series.get_mut(metric) {
                series.forget_before(now.plus_ms(-horizon_ms));
            }
        }
        self.next_instant = self.earliest_instant();
        changes.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        changes.into_iter().map(|(_, _, decision)| decision).collect()
    }

    /// Puts a plan in force. An alarm that was there before keeps its state, as on `PutMetricAlarm`.
    fn adopt(&mut self, plan: Plan, compiled: CompiledPlan, now: Timestamp) {
        let before = self.plan.take();
        let mut alarms = BTreeMap::new();
        for (name, alarm) in &compiled.alarms {
            let old_alarm = before.as_ref().and_then(|(_, compiled)| compiled.alarms.get(name));
            let run = match (self.alarms.remove(name), old_alarm) {
                (Some(run), Some(old))
                    if old.alarm == alarm.alarm && old.lateness_ms == alarm.lateness_ms =>
                {
                    run
                }
                (Some(run), _) => AlarmRun { next_end: alarm.first_end(now), early_until: None, ..run },
                (None, _) => AlarmRun {
                    state: AlarmState::InsufficientData,
                    since: now,
                    reason: UNCHECKED.to_owned(),
                    told: false,
                    next_end: alarm.first_end(now),
                    early_until: None,
                },
            };
            alarms.insert(name.clone(), run);
        }
        self.alarms = alarms;
        self.series.retain(|metric, _| compiled.horizons_ms.contains_key(metric));
        self.plan = Some((plan, compiled));
        self.next_instant = self.earliest_instant();
    }

    pub(crate) fn earliest_instant(&self) -> Option<Timestamp> {
        let (_, compiled) = self.plan.as_ref()?;
        let instant =
            |(name, run): (&String, &AlarmRun)| Some(compiled.alarms.get(name)?.instant(run.next_end));
        self.alarms.iter().filter_map(instant).min()
    }

    fn batch(&mut self, batch: &Batch, record: &Record) -> Vec<Decision> {
        let group = self.counters.groups.entry(batch.group.clone()).or_default();
        group.events += batch.len() as u64;
        group.bytes += batch.message_bytes();
        if batch.backfill {
            group.backfill += batch.len() as u64;
        }
        let Some((_, compiled)) = &self.plan else { return Vec::new() };
        let Some(filters) = compiled.filters.get(&batch.group) else { return Vec::new() };
        let horizon_ms = filters.iter().filter_map(|filter| compiled.horizons_ms.get(&filter.metric)).max();
        let mut tallies = vec![FilterCounters::default(); filters.len()];
        let mut touched = BTreeSet::new();
        for event in batch.events() {
            let age = if batch.backfill { Age::Backfill } else { Age::of(&event, record.time, horizon_ms) };
            age.count(group);
            for (filter, tally) in filters.iter().zip(&mut tallies) {
                let Some(value) = sample(filter, event.message, tally) else { continue };
                let watched = compiled.horizons_ms.contains_key(&filter.metric);
                if !watched || age != Age::Evaluated {
                    continue;
                }
                let event_id =
                    EventId { installation: self.installation, offset: record.offset, line: event.line };
                let (group, stream, message) = (&batch.group, batch.stream.as_str(), event.message);
                let matched = value.matched.then_some(Matched { event_id, group, stream, message });
                let series = self.series.entry(filter.metric.clone()).or_default();
                series.add(event.timestamp.unwrap_or(record.time), value.value, matched);
                touched.insert(&filter.metric);
            }
        }
        for (filter, tally) in filters.iter().zip(&tallies) {
            let total = self.counters.filters.entry(filter.name.clone()).or_default();
            total.matched += tally.matched;
            total.without_value += tally.without_value;
        }
        fire_early(compiled, &self.series, &mut self.alarms, &touched, record.time)
    }

    /// A journaled decision wins over a derived one; usually they are the same.
    fn confirm(&mut self, journaled: &Decisions) {
        for (id, decision) in journaled.with_ids() {
            if self.unconfirmed.remove(&id).as_ref() == Some(decision) {
                continue;
            }
            let Decision::Transition(transition) = decision;
            if let Some(run) = self.alarms.get_mut(&transition.alarm) {
                run.state = transition.to;
                run.since = transition.at;
                run.reason.clone_from(&transition.reason);
                run.told = is_told(run.told, transition);
            }
        }
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

fn fire_early(
    compiled: &CompiledPlan,
    series: &BTreeMap<MetricName, Series>,
    alarms: &mut BTreeMap<String, AlarmRun>,
    touched: &BTreeSet<&MetricName>,
    now: Timestamp,
) -> Vec<Decision> {
    let mut decisions = Vec::new();
    for (name, alarm) in &compiled.alarms {
        let metric = &alarm.alarm.metric;
        let (Some(run), Some(series)) = (alarms.get_mut(name), series.get(metric)) else { continue };
        if !alarm.early || !touched.contains(metric) {
            continue;
        }
        if let Some((change, until)) = alarm.certain(run, series, now) {
            if run.state != AlarmState::Alarm {
                decisions.push(make_transition(compiled, name, run, series, change, now, true));
            }
            // Also for an alarm that is in ALARM already: it does not end only to begin again a moment later.
            run.early_until = Some(until);
        }
    }
    decisions
}

/// Moves `run` and describes the move.
fn make_transition(
    compiled: &CompiledPlan,
    name: &str,
    run: &mut AlarmRun,
    series: &Series,
    change: Change,
    at: Timestamp,
    early: bool,
) -> Decision {
    let alarm = &compiled.alarms[name];
    let starts = alarm.decisive_starts(&change);
    let (matched, first_lines, last_lines) = series.matched(&starts, alarm.alarm.period.as_ms());
    let tells = match change.to {
        AlarmState::Alarm => true,
        AlarmState::Ok => run.told,
        AlarmState::InsufficientData => false,
    };
    let transition = Transition {
        alarm: name.to_owned(),
        from: run.state,
        to: change.to,
        at,
        early,
        reason: reason(&alarm.alarm, alarm.rule, &change.range, change.to),
        datapoints: change.range,
        matched,
        first_lines,
        last_lines,
        filters: alarm.filters.clone(),
        rule: alarm.alarm.clone(),
        plan: compiled.offset,
        notify: if tells { alarm.recipients.clone() } else { Vec::new() },
    };
    run.state = transition.to;
    run.since = at;
    run.reason.clone_from(&transition.reason);
    run.told = is_told(run.told, &transition);
    Decision::Transition(Box::new(transition))
}

/// Whether an event counts, and why not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    Evaluated,
    Backfill,
    TooOld,
    TooNew,
}

impl Age {
    fn of(event: &Event<'_>, now: Timestamp, horizon_ms: Option<&i64>) -> Age {
        let (Some(timestamp), Some(horizon_ms)) = (event.timestamp, horizon_ms) else {
            return Age::Evaluated;
        };
        if timestamp > now.plus_ms(TOO_NEW_MS) {
            Age::TooNew
        } else if timestamp < now.plus_ms(-horizon_ms) {
            Age::TooOld
        } else {
            Age::Evaluated
        }
    }

    fn count(self, group: &mut GroupCounters) {
        match self {
            Age::TooOld => group.too_old += 1,
            Age::TooNew => group.too_new += 1,
            Age::Evaluated | Age::Backfill => {}
        }
    }
}

/// What one event adds to a metric.
struct Sample {
    value: f64,
    matched: bool,
}

fn sample(filter: &CompiledFilter, message: &str, tally: &mut FilterCounters) -> Option<Sample> {
    if !filter.pattern.matches(message) {
        return filter.default.map(|value| Sample { value, matched: false });
    }
    tally.matched += 1;
    let value = filter.value(message);
    tally.without_value += u64::from(value.is_none());
    value.map(|value| Sample { value, matched: true })
}

/// The alarms of `plan` that can fire before their slot is complete.
///
/// # Errors
/// [`EngineError`] if the plan cannot run.
pub fn alarms_that_fire_early(plan: &Plan) -> Result<BTreeSet<String>, EngineError> {
    let compiled = CompiledPlan::new(Offset(0), plan)?;
    Ok(compiled.alarms.into_iter().filter(|(_, alarm)| alarm.early).map(|(name, _)| name).collect())
}
