//! How an alarm runs: its instants, the slots it looks at, and when it may fire early.

use serde::{Deserialize, Serialize};
use watchbell_model::{Alarm, AlarmState, Comparison, Datapoint, Statistic, Timestamp};

use crate::compiled::{CompiledAlarm, CompiledFilter};
use crate::evaluation::{evaluate, newest_real, tally};
use crate::metric::Series;

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
}

/// A change that an alarm has just been found to make.
pub(crate) struct Change {
    pub(crate) to: AlarmState,
    pub(crate) range: Vec<Datapoint>,
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

    /// Where the slots of the evaluation that ends at `end` start, oldest first.
    ///
    /// Up to a minute slots are aligned to the epoch; longer ones are counted back from the evaluation minute.
    fn starts(&self, end: Timestamp) -> impl DoubleEndedIterator<Item = Timestamp> + use<> {
        let period_ms = self.alarm.period.as_ms();
        let newest_end = if period_ms <= 60_000 { end.floor_to(period_ms) } else { end };
        let slots = i64::try_from(self.range_slots).expect("the plan's limit on N keeps this small");
        (1..=slots).rev().map(move |slot| newest_end.plus_ms(-slot * period_ms))
    }

    /// The slots of the evaluation that ends at `end`, oldest first.
    pub(crate) fn range(&self, series: &Series, end: Timestamp) -> Vec<Datapoint> {
        self.starts(end).map(|start| series.datapoint(&self.alarm, start)).collect()
    }

    /// Evaluates at the end that `run` waits for and moves on to the next.
    pub(crate) fn evaluate_next(&self, run: &mut AlarmRun, series: &Series) -> Option<Change> {
        let end = run.next_end;
        run.next_end = end.plus_ms(self.step_ms);
        if run.early_until.is_some_and(|until| end < until) {
            return None;
        }
        run.early_until = None;
        let range = self.range(series, end);
        let to = evaluate(self.rule, &range, run.state);
        (to != run.state).then_some(Change { to, range })
    }

    /// Whether nothing but another sample can change `run` any more: the range is empty and the state has settled.
    ///
    /// Then evaluations up to the next sample need not be made one by one.
    pub(crate) fn is_settled(&self, run: &AlarmRun, series: &Series) -> bool {
        let oldest = self.starts(run.next_end).next().unwrap_or(run.next_end);
        let nothing_left = series.buckets.range(oldest..).next().is_none();
        nothing_left && run.early_until.is_none() && evaluate(self.rule, &[], run.state) == run.state
    }

    /// If ALARM is already certain at a coming evaluation: the slots of the first one as they are now, and the end of
    /// the last one.
    ///
    /// Looks at every evaluation from the next one to the one whose newest slot `now` falls into. ALARM is certain
    /// there if M datapoints breach even when every undecided slot that does not breach yet turns out good: a good
    /// datapoint can push an older breach out of the N newest, nothing weaker can.
    pub(crate) fn certain(
        &self,
        run: &AlarmRun,
        series: &Series,
        now: Timestamp,
    ) -> Option<(Change, Timestamp)> {
        let slot_ms = self.alarm.period.as_ms().min(60_000);
        let last_end = now.floor_to(slot_ms).plus_ms(slot_ms);
        let mut found = None;
        let mut end = run.next_end;
        while end <= last_end {
            let range = self.range(series, end);
            if self.is_certain(&range, now) {
                let (change, _) = found.unwrap_or((Change { to: AlarmState::Alarm, range }, end));
                found = Some((change, end));
            }
            end = end.plus_ms(self.step_ms);
        }
        found
    }

    fn is_certain(&self, range: &[Datapoint], now: Timestamp) -> bool {
        let period_ms = self.alarm.period.as_ms();
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

/// Whether more samples can only ever make a breach of `alarm`, never undo one.
///
/// Then an ALARM is certain as soon as the slots so far breach. `filters` are those that feed the alarm's metric.
pub(crate) fn is_monotone<'a>(alarm: &Alarm, mut filters: impl Iterator<Item = &'a CompiledFilter>) -> bool {
    let above = matches!(
        alarm.comparison,
        Comparison::GreaterThanThreshold | Comparison::GreaterThanOrEqualToThreshold
    );
    match alarm.statistic {
        Statistic::SampleCount | Statistic::Maximum => above,
        Statistic::Minimum => !above,
        Statistic::Sum => above && filters.all(CompiledFilter::never_subtracts),
        Statistic::Average => false,
    }
}
