//! Why an alarm is in the state that it is in, and what little would have made it another.

use serde::Serialize;
use watchbell_model::{
    AlarmState, Child, Comparison, Datapoint, Dimensions, LowSamples, MatchedLine, SuppressedBy, Timestamp,
    TransitionFilter, TreatMissingData, rfc3339,
};

use crate::Engine;
use crate::alarm::{AlarmRun, Hold, Inputs};
use crate::compiled::{CompiledAlarm, CompiledComposite};
use crate::composite::{States, children};
use crate::evaluation::{newest_real, tally};
use crate::mute::muted;

/// How many children a smallest change of a composite alarm may need to be looked for.
const CHILDREN_CHANGED_MAX: usize = 2;

/// How many slots are shown that no evaluation has looked at: the newest.
const UNDECIDED_SLOTS_MAX: usize = 60;

/// Everything that an alarm's state rests on, as it is now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The alarm.
    pub alarm: String,
    /// Which of its states.
    #[serde(skip_serializing_if = "Dimensions::is_empty")]
    pub dimensions: Dimensions,
    /// The state.
    pub state: AlarmState,
    /// Since when.
    #[serde(serialize_with = "rfc3339::time")]
    pub since: Timestamp,
    /// The reason that was given for it.
    pub reason: String,
    /// An ALARM message was decided on and no OK message since.
    pub told: bool,
    /// The mute rule in whose window now lies, and when that ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muted: Option<Muted>,
    /// The suppressor that a change waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<Suppressed>,
    /// What decides.
    #[serde(flatten)]
    pub basis: Basis,
}

/// What an actions suppressor holds back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suppressed {
    /// The suppressor.
    pub alarm: String,
    /// What it holds the change back with.
    pub by: SuppressedBy,
    /// Until when, if that is known.
    #[serde(serialize_with = "rfc3339::optional_time")]
    pub until: Option<Timestamp>,
}

/// A mute rule's window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Muted {
    /// The rule.
    pub rule: String,
    /// The window's end.
    #[serde(serialize_with = "rfc3339::time")]
    pub until: Timestamp,
    /// A change waits for it to be told.
    pub withholds: bool,
}

/// What decides an alarm's state.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Basis {
    /// Datapoints.
    Metric(Box<MetricBasis>),
    /// Other alarms.
    Composite {
        /// The rule.
        rule: String,
        /// The alarms that it names.
        children: Vec<Child>,
        /// The fewest of them that would have to be in another state; empty if none of up to two do.
        smallest_change: Vec<Child>,
    },
}

/// The datapoints of the last evaluation, and what they came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricBasis {
    /// When it took place; `None` if there was none yet.
    #[serde(serialize_with = "rfc3339::optional_time")]
    pub evaluated_at: Option<Timestamp>,
    /// When the next one takes place.
    #[serde(serialize_with = "rfc3339::time")]
    pub next_at: Timestamp,
    /// M.
    pub datapoints_to_alarm: usize,
    /// N.
    pub evaluation_periods: usize,
    /// How a datapoint is compared.
    pub comparison: Comparison,
    /// With what.
    pub threshold: f64,
    /// The slots that were looked at, oldest first, with the events that have come since, and then those that are not decided
    /// yet, up to the present one. Of an ALARM that is certain already: the slots of the evaluation that it anticipates.
    pub datapoints: Vec<Looked>,
    /// Breaching ones among the N newest that exist.
    pub breaching: usize,
    /// The others of these.
    pub good: usize,
    /// What is lacking to N.
    pub missing: usize,
    /// What missing ones count as.
    pub treat_missing_data: TreatMissingData,
    /// Which rule decided.
    pub decided_by: Decider,
    /// ALARM is certain already up to this evaluation, whatever comes.
    #[serde(serialize_with = "rfc3339::optional_time")]
    pub certain_until: Option<Timestamp>,
    /// How many events matched in the datapoints that decided, with the first and the last of them.
    pub matched: u64,
    /// The first.
    pub first_lines: Vec<MatchedLine>,
    /// The last.
    pub last_lines: Vec<MatchedLine>,
    /// The metric filters that feed it.
    pub filters: Vec<TransitionFilter>,
    /// The fewest and smallest changes of datapoints that would have given another state, and that state.
    pub smallest_change: Option<Flip>,
}

/// A slot that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Looked {
    /// The datapoint.
    #[serde(flatten)]
    pub datapoint: Datapoint,
    /// It is among the N newest that have a value.
    pub counts: bool,
    /// Late events have changed it after it was decided.
    pub corrected: bool,
    /// It was not decided yet: no evaluation has looked at it, and events may still come.
    pub open: bool,
}

/// Which rule decided a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decider {
    /// M or more are breaching.
    Breaching,
    /// So many are good that M are out of reach.
    Good,
    /// What missing ones count as.
    MissingData,
    /// A percentile of too few values: the state stays.
    LowSamples,
    /// No evaluation yet.
    Nothing,
}

/// A change of datapoints that gives another state.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flip {
    /// The state that it gives.
    pub to: AlarmState,
    /// What would have to be, oldest first.
    pub datapoints: Vec<Instead>,
}

/// Another value of a datapoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Instead {
    /// The slot's start.
    #[serde(serialize_with = "rfc3339::time")]
    pub start: Timestamp,
    /// Its value; `None` if it has none.
    pub value: Option<f64>,
    /// Whether it would have to be breaching.
    pub breaching: bool,
}

impl Engine {
    /// Why `alarm`, or one of its many states, is in its state at `now`; `None` if there is no such alarm or state.
    pub fn explain(&self, alarm: &str, dimensions: &Dimensions, now: Timestamp) -> Option<Explanation> {
        let plan = &self.in_force.as_ref()?.compiled;
        let run = self.runs.get(alarm)?.get(dimensions)?;
        let announcement = plan.announcement(alarm)?;
        let window = muted(&plan.mutes, &announcement.mutes, now);
        let suppressed = || {
            let suppressor = announcement.alarm.suppressor()?;
            let Hold { until, suppressed_by } = run.withheld.as_ref().filter(|_| run.withholds_news())?.hold;
            Some(Suppressed { alarm: suppressor.alarm.clone(), by: suppressed_by?, until })
        };
        let basis = if let Some(metric) = plan.alarms.get(alarm) {
            let inputs = metric.inputs(&self.store, dimensions);
            Basis::Metric(Box::new(metric_basis(metric, run, &inputs, now)))
        } else {
            let composite = plan.composites.iter().find(|composite| composite.name == alarm)?;
            composite_basis(composite, &States::of(&self.runs, plan))
        };
        Some(Explanation {
            alarm: alarm.to_owned(),
            dimensions: dimensions.clone(),
            state: run.state,
            since: run.since,
            reason: run.reason.clone(),
            told: run.told,
            muted: window.map(|(rule, until)| Muted {
                rule: rule.to_owned(),
                until,
                withholds: run.withholds_news(),
            }),
            suppressed: suppressed(),
            basis,
        })
    }
}

fn composite_basis(composite: &CompiledComposite, states: &States) -> Basis {
    let children = children(composite, states);
    let smallest_change = smallest_change(composite, &children);
    Basis::Composite { rule: composite.rule.to_string(), children, smallest_change }
}

/// The fewest children, at most [`CHILDREN_CHANGED_MAX`], whose change would turn the rule.
fn smallest_change(composite: &CompiledComposite, children: &[Child]) -> Vec<Child> {
    let holds = |changed: &[Child]| {
        composite.rule.holds(&|name| {
            let find =
                |list: &[Child]| list.iter().find(|child| child.alarm == name).map(|child| child.state);
            find(changed).or_else(|| find(children)).unwrap_or(AlarmState::InsufficientData)
        })
    };
    let now = holds(&[]);
    let other_states = |child: &Child| {
        [AlarmState::Alarm, AlarmState::Ok, AlarmState::InsufficientData]
            .into_iter()
            .filter(|state| *state != child.state)
            .map(|state| Child { alarm: child.alarm.clone(), state })
            .collect::<Vec<_>>()
    };
    let single: Vec<Child> = children.iter().flat_map(other_states).collect();
    let mut tried: Vec<Vec<Child>> = vec![Vec::new()];
    for _ in 0..CHILDREN_CHANGED_MAX {
        let longer = tried.iter().flat_map(|before| {
            let is_new = |child: &&Child| before.iter().all(|other| other.alarm < child.alarm);
            single.iter().filter(is_new).map(|child| [&before[..], std::slice::from_ref(child)].concat())
        });
        tried = longer.collect();
        if let Some(found) = tried.iter().find(|changed| holds(changed) != now) {
            return found.clone();
        }
    }
    Vec::new()
}

fn metric_basis(alarm: &CompiledAlarm, run: &AlarmRun, inputs: &Inputs<'_>, now: Timestamp) -> MetricBasis {
    let end = run.next_end.plus_ms(-alarm.step_ms);
    // An early ALARM anticipates an evaluation: that one's slots are what it rests on.
    let range = match run.early_until {
        Some(until) => inputs.range(until),
        None if run.is_evaluated => inputs.range(end),
        None => Vec::new(),
    };
    let counted: Vec<Timestamp> =
        newest_real(&range, alarm.rule.evaluation_periods).map(|point| point.start).collect();
    let period_ms = alarm.metric.period.as_ms();
    let looked = |point: &Datapoint| Looked {
        datapoint: *point,
        counts: counted.contains(&point.start),
        corrected: run.corrected.range(point.start..point.start.plus_ms(period_ms)).next().is_some(),
        open: false,
    };
    let mut datapoints: Vec<Looked> = range.iter().map(looked).collect();
    if run.early_until.is_none() {
        let undecided = inputs.datapoints(&undecided_starts(alarm, end, now));
        let open = |point: &Datapoint| Looked { counts: false, open: true, ..looked(point) };
        datapoints.extend(undecided.iter().map(open));
    }
    let tally = tally(alarm.rule, &range);
    let change = crate::alarm::Change { to: run.state, range: range.clone() };
    let (matched, first_lines, last_lines) = inputs.matched(&alarm.decisive_starts(&change));
    MetricBasis {
        evaluated_at: run.is_evaluated.then(|| alarm.instant(end)),
        next_at: alarm.instant(run.next_end),
        datapoints_to_alarm: alarm.rule.datapoints_to_alarm,
        evaluation_periods: alarm.rule.evaluation_periods,
        comparison: alarm.metric.comparison,
        threshold: alarm.metric.threshold,
        datapoints,
        breaching: tally.bad,
        good: tally.good,
        missing: tally.missing,
        treat_missing_data: alarm.metric.treat_missing_data,
        decided_by: decider(alarm, &range),
        certain_until: run.early_until.map(|until| alarm.instant(until)),
        matched,
        first_lines,
        last_lines,
        filters: alarm.announcement.filters.clone(),
        smallest_change: flip(alarm, &range, run.state),
    }
}

/// Where slots start that the evaluation which ends at `end` did not look at: those that wait for late events, and the one
/// that `now` lies in.
fn undecided_starts(alarm: &CompiledAlarm, end: Timestamp, now: Timestamp) -> Vec<Timestamp> {
    let grid_ms = alarm.grid_ms();
    let present = alarm.starts(now.floor_to(grid_ms).plus_ms(grid_ms)).next_back();
    let period_ms = alarm.metric.period.as_ms();
    if period_ms > grid_ms {
        // Longer slots overlap: the present one has what the others that wait have.
        return present.into_iter().collect();
    }
    let newest_first = std::iter::successors(present, |start| Some(start.plus_ms(-period_ms)))
        .take_while(|start| *start >= end);
    let mut starts: Vec<Timestamp> = newest_first.take(UNDECIDED_SLOTS_MAX).collect();
    starts.reverse();
    starts
}

fn decider(alarm: &CompiledAlarm, range: &[Datapoint]) -> Decider {
    let tally = tally(alarm.rule, range);
    if range.is_empty() {
        Decider::Nothing
    } else if alarm.has_too_few_samples(range) {
        Decider::LowSamples
    } else if tally.bad >= alarm.rule.datapoints_to_alarm {
        Decider::Breaching
    } else if tally.good > alarm.rule.evaluation_periods - alarm.rule.datapoints_to_alarm {
        Decider::Good
    } else {
        Decider::MissingData
    }
}

/// The fewest datapoints that would have to lie on the other side of the threshold, those nearest to it first; found by
/// trying, with the rule that decides.
fn flip(alarm: &CompiledAlarm, range: &[Datapoint], state: AlarmState) -> Option<Flip> {
    let to_breaching = state != AlarmState::Alarm;
    if range.is_empty() || alarm.metric.low_samples == LowSamples::Ignore {
        return None;
    }
    let distance =
        |point: &Datapoint| point.value.map_or(f64::INFINITY, |v| (v - alarm.metric.threshold).abs());
    let counted: Vec<Timestamp> =
        newest_real(range, alarm.rule.evaluation_periods).map(|point| point.start).collect();
    let could_matter = |point: &Datapoint| {
        point.value.is_none() || point.breaching != to_breaching && counted.contains(&point.start)
    };
    let mut candidates: Vec<usize> = (0..range.len()).filter(|index| could_matter(&range[*index])).collect();
    // A slot without a value needs one made up: last. Among equals the newest, which stays in range longest.
    candidates.sort_by(|a, b| distance(&range[*a]).total_cmp(&distance(&range[*b])).then(b.cmp(a)));
    let mut changed = range.to_vec();
    for (count, index) in candidates.iter().enumerate() {
        changed[*index].breaching = to_breaching;
        changed[*index].value.get_or_insert(alarm.metric.threshold);
        let to = alarm.verdict(&changed, state);
        let is_other = if to_breaching { to == AlarmState::Alarm } else { to != AlarmState::Alarm };
        if is_other {
            let mut used: Vec<usize> = candidates[..=count].to_vec();
            used.sort_unstable();
            let instead = |index: &usize| Instead {
                start: range[*index].start,
                value: range[*index].value,
                breaching: to_breaching,
            };
            return Some(Flip { to, datapoints: used.iter().map(instead).collect() });
        }
    }
    None
}
