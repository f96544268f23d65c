//! How a metric alarm runs: its instants, the slots it looks at, and when it may fire early.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use watchbell_model::{
    AlarmState, Comparison, Datapoint, Dimensions, LowSamples, MetricAlarm, MetricStat, MetricTransformation,
    OwnMetric, Statistic, SuppressedBy, Timestamp, Transition, Watched,
};

use crate::compiled::{CompiledAlarm, CompiledFilter};
use crate::counters::pairs;
use crate::evaluation::{evaluate, newest_real, tally};
use crate::series::{Matches, Series, SlotValue, matched, slot_value};
use crate::store::SeriesStore;

/// What an alarm remembers from one evaluation to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlarmRun {
    /// Its state.
    pub state: AlarmState,
    /// When it came into that state; the alarm's creation for a state it was never moved from.
    pub since: Timestamp,
    /// Why.
    pub reason: String,
    /// An ALARM message was decided on and no OK message since.
    pub(crate) told: bool,
    /// The end of the newest slot of the next evaluation.
    pub(crate) next_end: Timestamp,
    /// ALARM is certain up to the evaluation with this end: those before it do not count.
    pub(crate) early_until: Option<Timestamp>,
    /// The end of the evaluation that an ALARM anticipated when it fired early: it stands so long, also if late events make it
    /// uncertain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fired_until: Option<Timestamp>,
    /// It was evaluated under the rule that it has now.
    #[serde(default)]
    pub(crate) is_evaluated: bool,
    /// Where slots start whose datapoints late events have changed since the last evaluation: with the end of the evaluation
    /// that decided them, what they were.
    #[serde(default, with = "pairs", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) corrections: BTreeMap<Timestamp, (Timestamp, Datapoint)>,
    /// Where buckets start that got events after they had been decided.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) corrected: BTreeSet<Timestamp>,
    /// The newest change whose messages wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) withheld: Option<Withheld>,
    /// For one of many states of an alarm: since when it has had no samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) idle_since: Option<Timestamp>,
}

/// A change whose messages wait: for the end of a mute rule's window or for an actions suppressor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Withheld {
    pub(crate) transition: Box<Transition>,
    #[serde(flatten)]
    pub(crate) hold: Hold,
}

/// How messages wait.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hold {
    /// Until when, if that is known: not while a suppressor is in ALARM.
    pub(crate) until: Option<Timestamp>,
    /// What a suppressor holds them with; `None` is a mute rule's window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) suppressed_by: Option<SuppressedBy>,
}

impl Hold {
    pub(crate) fn mute(until: Timestamp) -> Hold {
        Hold { until: Some(until), suppressed_by: None }
    }
}

impl AlarmRun {
    /// Whether what waits would be told if the wait ended now.
    pub(crate) fn withholds_news(&self) -> bool {
        self.withheld.as_ref().is_some_and(|withheld| match self.state {
            AlarmState::Alarm => withheld.transition.to == AlarmState::Alarm && !self.told,
            // An OK stays news if nothing more is known since.
            AlarmState::Ok | AlarmState::InsufficientData => {
                withheld.transition.to == AlarmState::Ok && self.told
            }
        })
    }

    /// One that was never evaluated.
    pub(crate) fn new(state: AlarmState, now: Timestamp, next_end: Timestamp) -> AlarmRun {
        AlarmRun {
            state,
            since: now,
            reason: crate::reason::UNCHECKED.to_owned(),
            told: false,
            next_end,
            early_until: None,
            fired_until: None,
            is_evaluated: false,
            corrections: BTreeMap::new(),
            corrected: BTreeSet::new(),
            withheld: None,
            idle_since: None,
        }
    }
}

/// A change that an alarm has just been found to make.
pub(crate) struct Change {
    pub(crate) to: AlarmState,
    pub(crate) range: Vec<Datapoint>,
}

/// An ALARM that no event that is not late can undo.
pub(crate) struct Certain {
    /// The slots of the first evaluation that gives it, as they are now.
    pub(crate) change: Change,
    /// The end of that evaluation.
    pub(crate) first: Timestamp,
    /// The end of the last one.
    pub(crate) last: Timestamp,
}

/// What an alarm, or one of its many states, takes its datapoints from.
pub(crate) struct Inputs<'s> {
    alarm: &'s CompiledAlarm,
    /// The series of each input.
    series: Vec<Vec<&'s Series>>,
}

impl CompiledAlarm {
    /// The end of the newest slot of the first evaluation whose instant is not before `now`.
    pub(crate) fn first_end(&self, now: Timestamp) -> Timestamp {
        now.plus_ms(-self.lateness_ms).ceil_to(self.step_ms)
    }

    /// The instant at which the evaluation that ends at `end` takes place.
    pub(crate) fn instant(&self, end: Timestamp) -> Timestamp {
        end.plus_ms(self.lateness_ms)
    }

    /// The finest that slots are aligned to.
    pub(crate) fn grid_ms(&self) -> i64 {
        self.metric.period.as_ms().min(60_000)
    }

    /// Where the slots of the evaluation that ends at `end` start, oldest first.
    ///
    /// Up to a minute slots are aligned to the epoch; longer ones are counted back from the evaluation minute.
    pub(crate) fn starts(&self, end: Timestamp) -> impl DoubleEndedIterator<Item = Timestamp> + use<> {
        let period_ms = self.metric.period.as_ms();
        let newest_end = if period_ms <= 60_000 { end.floor_to(period_ms) } else { end };
        let slots = i64::try_from(self.range_slots).expect("the plan's limit on N keeps this small");
        (1..=slots).rev().map(move |slot| newest_end.plus_ms(-slot * period_ms))
    }

    /// How large metrics have to be for a slot to have a datapoint.
    fn minimum(&self) -> Option<&BTreeMap<String, f64>> {
        match &self.metric.watched {
            Watched::Stat(_) => None,
            Watched::Math { minimum, .. } => Some(minimum),
        }
    }

    /// Where the slot starts that holds `timestamp` among those of the evaluation that ends at `end`.
    pub(crate) fn slot_of(&self, timestamp: Timestamp, end: Timestamp) -> Option<Timestamp> {
        let period_ms = self.metric.period.as_ms();
        self.starts(end).find(|start| (0..period_ms).contains(&timestamp.ms_since(*start)))
    }

    /// The series that give the state of `contributor`; that is empty for an alarm with one state.
    pub(crate) fn inputs<'s>(&'s self, store: &'s SeriesStore, contributor: &Dimensions) -> Inputs<'s> {
        let series = |(_, stat): &(String, MetricStat)| {
            let mut dimensions = stat.dimensions.clone();
            dimensions.extend(contributor.clone());
            store.of(&stat.metric, dimensions, stat.unit)
        };
        Inputs { alarm: self, series: self.inputs.iter().map(series).collect() }
    }

    /// Evaluates at the end that `run` waits for and moves on to the next.
    pub(crate) fn evaluate_next(&self, run: &mut AlarmRun, inputs: &Inputs<'_>) -> Option<Change> {
        let end = run.next_end;
        run.next_end = end.plus_ms(self.step_ms);
        run.is_evaluated = true;
        run.fired_until = run.fired_until.filter(|fired| *fired > end);
        if run.early_until.is_some_and(|until| end < until) {
            return None;
        }
        run.early_until = None;
        let range = inputs.range(end);
        if let Some(oldest) = range.first().filter(|_| !run.corrected.is_empty()) {
            run.corrected = run.corrected.split_off(&oldest.start);
        }
        let to = self.verdict(&range, run.state);
        if to == AlarmState::Alarm && self.is_warming_up(run, &range) {
            return None;
        }
        (to != run.state).then_some(Change { to, range })
    }

    /// Whether the alarm is younger than the slots that it looks at: those from before its making are no silence.
    pub(crate) fn is_warming_up(&self, run: &AlarmRun, range: &[Datapoint]) -> bool {
        // An alarm that was never moved is in its first state since its making.
        let is_new = run.reason == crate::reason::UNCHECKED;
        self.metric.warms_up && is_new && range.first().is_some_and(|oldest| oldest.start < run.since)
    }

    /// The state that `range` gives an alarm that is in `current`.
    pub(crate) fn verdict(&self, range: &[Datapoint], current: AlarmState) -> AlarmState {
        if self.has_too_few_samples(range) {
            return current;
        }
        evaluate(self.rule, range, current)
    }

    /// Whether a percentile that would count comes from too few values, and the plan says that it must not.
    pub(crate) fn has_too_few_samples(&self, range: &[Datapoint]) -> bool {
        let Watched::Stat(MetricStat { statistic: Statistic::Percentile(percentile), .. }) =
            self.metric.watched
        else {
            return false;
        };
        self.metric.low_samples == LowSamples::Ignore
            && newest_real(range, self.rule.evaluation_periods)
                .any(|point| !percentile.is_significant(point.samples))
    }

    /// Whether nothing but another sample can change `run` any more: the range is empty and the state has settled.
    ///
    /// Then evaluations up to the next sample need not be made one by one.
    pub(crate) fn is_settled(&self, run: &AlarmRun, inputs: &Inputs<'_>) -> bool {
        let oldest = self.starts(run.next_end).next().unwrap_or(run.next_end);
        let nothing_left =
            inputs.series.iter().flatten().all(|series| series.buckets.range(oldest..).next().is_none());
        // Metric math may make datapoints out of nothing: FILL.
        let range = || inputs.range(run.next_end);
        nothing_left
            && run.early_until.is_none()
            && !self.is_warming_up(run, &range())
            && self.verdict(&range(), run.state) == run.state
    }

    /// The state of a contributor that has no samples, if it has one that does not depend on what was before.
    pub(crate) fn state_without_samples(&self) -> Option<AlarmState> {
        let mut states = [AlarmState::Ok, AlarmState::Alarm, AlarmState::InsufficientData]
            .map(|before| evaluate(self.rule, &[], before));
        states.sort_unstable();
        // A contributor that counts as breaching when it is silent has to be told from one that never was.
        (states[0] == states[2] && states[0] != AlarmState::Alarm).then_some(states[0])
    }

    /// If ALARM is already certain at coming evaluations.
    ///
    /// Looks at every evaluation from the next one to the one whose newest slot `now` falls into. ALARM is certain
    /// there if M datapoints breach even when every undecided slot that does not breach yet turns out good: a good
    /// datapoint can push an older breach out of the N newest, nothing weaker can.
    pub(crate) fn certain(&self, run: &AlarmRun, inputs: &Inputs<'_>, now: Timestamp) -> Option<Certain> {
        let slot_ms = self.grid_ms();
        let last_end = now.floor_to(slot_ms).plus_ms(slot_ms);
        let mut found = None;
        let mut end = run.next_end;
        // The evaluations look at the same slots, one further on each.
        let mut known: BTreeMap<Timestamp, Datapoint> = BTreeMap::new();
        while end <= last_end {
            let datapoint = |start| *known.entry(start).or_insert_with(|| inputs.datapoints(&[start])[0]);
            let range: Vec<Datapoint> = self.starts(end).map(datapoint).collect();
            if self.is_certain(&range, now) {
                let first =
                    || Certain { change: Change { to: AlarmState::Alarm, range }, first: end, last: end };
                found = Some(Certain { last: end, ..found.unwrap_or_else(first) });
            }
            end = end.plus_ms(self.step_ms);
        }
        found
    }

    fn is_certain(&self, range: &[Datapoint], now: Timestamp) -> bool {
        let period_ms = self.metric.period.as_ms();
        let worst: Vec<Datapoint> = range
            .iter()
            .map(|point| {
                let undecided = self.instant(point.start.plus_ms(period_ms)) >= now;
                let value = point.value.or(undecided.then_some(0.0));
                Datapoint { value, ..*point }
            })
            .collect();
        tally(self.rule, &worst).bad >= self.rule.datapoints_to_alarm
    }

    /// Where the slots start whose values made the state: the breaching ones for ALARM, all that count otherwise.
    pub(crate) fn decisive_starts(&self, change: &Change) -> Vec<Timestamp> {
        let counted = newest_real(&change.range, self.rule.evaluation_periods);
        let decisive = counted.filter(|point| change.to != AlarmState::Alarm || point.breaching);
        let mut starts: Vec<Timestamp> = decisive.map(|point| point.start).collect();
        starts.reverse();
        starts
    }
}

impl Inputs<'_> {
    /// Every series among them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Series> + Clone {
        self.series.iter().flatten().copied()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// Matching events in the slots that start at `starts`: how many, the first and the last.
    ///
    /// Metric math has several inputs; the one with the fewest matches says most: of errors and requests, the errors.
    pub(crate) fn matched(&self, starts: &[Timestamp]) -> Matches {
        let period_ms = self.alarm.metric.period.as_ms();
        let of_each = self.series.iter().map(|series| matched(series, starts, period_ms));
        of_each.filter(|matches| matches.0 > 0).min_by_key(|matches| matches.0).unwrap_or_default()
    }

    /// The slots of the evaluation that ends at `end`, oldest first.
    pub(crate) fn range(&self, end: Timestamp) -> Vec<Datapoint> {
        let starts: Vec<Timestamp> = self.alarm.starts(end).collect();
        self.datapoints(&starts)
    }

    /// The datapoints of the slots that start at `starts`, oldest first.
    pub(crate) fn datapoints(&self, starts: &[Timestamp]) -> Vec<Datapoint> {
        let values = self.values(starts);
        let MetricAlarm { comparison, threshold, .. } = self.alarm.metric;
        let datapoint = |(start, slot): (&Timestamp, Option<SlotValue>)| Datapoint {
            start: *start,
            value: slot.map(|slot| slot.value),
            samples: slot.map_or(0, |slot| slot.samples),
            breaching: slot.is_some_and(|slot| comparison.breaches(slot.value, threshold)),
            estimated: slot.is_some_and(|slot| slot.estimated),
        };
        starts.iter().zip(values).map(datapoint).collect()
    }

    fn values(&self, starts: &[Timestamp]) -> Vec<Option<SlotValue>> {
        let inputs = self.series.iter().zip(&self.alarm.inputs);
        let mut inputs = inputs.map(|(series, (id, stat))| (id.as_str(), self.input(series, stat, starts)));
        let Some(math) = &self.alarm.math else {
            return inputs.next().map(|(_, slots)| slots).unwrap_or_default();
        };
        let inputs: Vec<(&str, Vec<Option<SlotValue>>)> = inputs.collect();
        let values: Vec<(&str, Vec<Option<f64>>)> = inputs
            .iter()
            .map(|(id, slots)| (*id, slots.iter().map(|slot| slot.map(|slot| slot.value)).collect()))
            .collect();
        let series = |id: &str| {
            values.iter().find(|(other, _)| *other == id).map_or(&[][..], |(_, values)| values.as_slice())
        };
        let results = math.evaluate(starts.len(), self.alarm.metric.period.as_s(), &series);
        let is_enough = |index: usize| {
            let least = |(id, least): (&String, &f64)| series(id)[index].is_some_and(|value| value >= *least);
            self.alarm.minimum().is_none_or(|minimum| minimum.iter().all(least))
        };
        let slot = |(index, value): (usize, Option<f64>)| {
            let at = || inputs.iter().filter_map(|(_, slots)| slots[index]);
            let (samples, estimated) = (at().map(|slot| slot.samples).sum(), at().any(|slot| slot.estimated));
            value.filter(|_| is_enough(index)).map(|value| SlotValue { value, samples, estimated })
        };
        results.into_iter().enumerate().map(slot).collect()
    }

    fn input(&self, series: &[&Series], stat: &MetricStat, starts: &[Timestamp]) -> Vec<Option<SlotValue>> {
        let period_ms = self.alarm.metric.period.as_ms();
        let value = |start: &Timestamp| slot_value(series.iter().copied(), stat.statistic, *start, period_ms);
        starts.iter().map(value).collect()
    }
}

/// Whether more samples can only ever make a breach of `alarm`, never undo one.
///
/// Then an ALARM is certain as soon as the slots so far breach. `filters` are those that feed the alarm's metric.
pub(crate) fn is_monotone<'a>(
    alarm: &MetricAlarm,
    mut filters: impl Iterator<Item = &'a CompiledFilter>,
    mut raised: impl Iterator<Item = &'a MetricTransformation>,
) -> bool {
    let Watched::Stat(stat) = &alarm.watched else { return false };
    let above = matches!(
        alarm.comparison,
        Comparison::GreaterThanThreshold | Comparison::GreaterThanOrEqualToThreshold
    );
    match stat.statistic {
        Statistic::SampleCount | Statistic::Maximum => above,
        Statistic::Minimum => !above,
        // Watchbell's own metrics never subtract.
        Statistic::Sum if stat.metric.namespace == OwnMetric::NAMESPACE => above,
        Statistic::Sum => {
            let literal = |it: &MetricTransformation| it.literal_value().is_some_and(|value| value >= 0.0);
            above && filters.all(CompiledFilter::never_subtracts) && raised.all(literal)
        }
        Statistic::Average | Statistic::Percentile(_) => false,
    }
}
