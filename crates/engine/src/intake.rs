//! What a batch, or a figure about Watchbell itself, adds to which series.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use watchbell_model::{
    Batch, Decision, Delivery, DeliveryOutcome, Dimensions, EventId, MatchedLine, OTHER, Offset, OwnMetric,
    QueueChange, QueueChanges, Record, SERIES_MAX_DEFAULT, Samples, SeriesLimit, Timestamp,
};

use crate::age::Ages;
use crate::alarm::{AlarmRun, Certain};
use crate::compiled::{CompiledFilter, CompiledGroup, CompiledPlan};
use crate::counters::FilterCounters;
use crate::engine::{Engine, Timed};
use crate::series::{bucket_of, cut};
use crate::store::{SeriesId, SeriesKey};
use crate::transition::Who;

/// How often it is said that a metric has too many series, in milliseconds.
const SERIES_LIMIT_AGAIN_MS: i64 = 60 * 60 * 1000;

/// How many series one of Watchbell's own metrics has at most: of log groups, or of their streams.
pub const OWN_SERIES_MAX: u32 = 10_000;

/// What publishes the metrics that functions raise, where a metric filter would be named.
const FUNCTIONS: &str = "functions";

/// What arrives together.
pub(crate) struct Intake<'p> {
    plan: &'p CompiledPlan,
    now: Timestamp,
    /// The series that got samples.
    touched: BTreeSet<SeriesId>,
    decisions: Vec<Timed>,
}

/// What a batch holds for a filter that some of its events match; the others cost nothing.
#[derive(Default)]
struct Tally {
    counters: FilterCounters,
    /// The matching events, if the filter publishes something for the others.
    lines: Vec<usize>,
    /// The series of its metric, if it has no dimensions.
    plain: Option<SeriesId>,
}

/// A matching event whose value went into a series.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Published {
    series: SeriesId,
    bucket: Timestamp,
    line: usize,
}

impl Engine {
    /// Counts a batch and adds what its events publish.
    pub(crate) fn batch(&mut self, plan: &CompiledPlan, batch: &Batch, record: &Record) -> Vec<Timed> {
        let mut intake = Intake::new(plan, record.time);
        if !batch.backfill && !batch.is_empty() {
            intake.own_batch(self, batch);
        }
        if let Some(group) = plan.groups.get(&batch.group) {
            intake.group(self, group, batch, record.offset);
        }
        intake.conclude(self)
    }

    /// Adds what was measured elsewhere in the process.
    pub(crate) fn samples(&mut self, plan: &CompiledPlan, samples: &Samples, now: Timestamp) -> Vec<Timed> {
        let mut intake = Intake::new(plan, now);
        for sample in &samples.samples {
            let (metric, dimensions) = (sample.metric.clone(), sample.dimensions.clone());
            intake.own(self, SeriesKey { metric, dimensions, unit: sample.unit }, sample.value);
        }
        intake.conclude(self)
    }

    /// Counts an attempt to tell someone.
    pub(crate) fn delivery(
        &mut self,
        plan: &CompiledPlan,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Vec<Timed> {
        let mut intake = Intake::new(plan, now);
        if delivery.outcome != DeliveryOutcome::Delivered {
            let dimensions = [("Topic".to_owned(), delivery.topic.clone())].into();
            intake.own(self, own_key(OwnMetric::DELIVERY_ERRORS, dimensions), 1.0);
        }
        intake.conclude(self)
    }

    /// Counts what happened to messages of a queue, and adds what was raised of them.
    pub(crate) fn queue(
        &mut self,
        plan: &CompiledPlan,
        changes: &QueueChanges,
        now: Timestamp,
    ) -> Vec<Timed> {
        let mut intake = Intake::new(plan, now);
        for change in &changes.changes {
            let (own, count) = match change {
                QueueChange::Received(_) => (OwnMetric::QUEUE_RECEIVED, 1),
                QueueChange::Deleted { .. } => (OwnMetric::QUEUE_DELETED, 1),
                QueueChange::Dead(_) => (OwnMetric::QUEUE_DEAD_LETTERED, 1),
                QueueChange::Passed { messages, .. } => (OwnMetric::QUEUE_EXPIRED, *messages),
                QueueChange::Expired { messages } | QueueChange::Forgotten { messages } => {
                    (OwnMetric::QUEUE_EXPIRED, messages.len() as u64)
                }
                QueueChange::Hidden { .. } | QueueChange::Redriven { .. } | QueueChange::Copied { .. } => {
                    continue;
                }
            };
            if !plan.is_watched(own) {
                continue;
            }
            #[expect(clippy::cast_precision_loss, reason = "a queue has far fewer than 2^53 messages")]
            let value = count as f64;
            intake.own(self, own_key(own, OwnMetric::of_queue(&changes.queue)), value);
        }
        for sample in &changes.samples {
            let (metric, dimensions) = (sample.metric.clone(), sample.dimensions.clone());
            let key = SeriesKey { metric, dimensions, unit: sample.unit };
            intake.value(self, key, sample.value, (FUNCTIONS, SERIES_MAX_DEFAULT));
        }
        intake.conclude(self)
    }
}

fn own_key(own: OwnMetric, dimensions: Dimensions) -> SeriesKey {
    SeriesKey { metric: own.metric(), dimensions, unit: own.unit }
}

impl<'p> Intake<'p> {
    fn new(plan: &'p CompiledPlan, now: Timestamp) -> Intake<'p> {
        Intake { plan, now, touched: BTreeSet::new(), decisions: Vec::new() }
    }

    /// What a batch says by being there.
    fn own_batch(&mut self, engine: &mut Engine, batch: &Batch) {
        #[expect(clippy::cast_precision_loss, reason = "a batch is far smaller than 2^53")]
        let (events, bytes) = (batch.len() as f64, batch.message_bytes() as f64);
        if self.plan.is_watched(OwnMetric::INCOMING_LOG_EVENTS) {
            let of_group = OwnMetric::of_group(&batch.group);
            let of_stream = OwnMetric::of_stream(&batch.group, &batch.stream);
            self.own(engine, own_key(OwnMetric::INCOMING_LOG_EVENTS, of_group), events);
            self.own(engine, own_key(OwnMetric::STREAM_LOG_EVENTS, of_stream), events);
        }
        if self.plan.is_watched(OwnMetric::INCOMING_BYTES) {
            self.own(engine, own_key(OwnMetric::INCOMING_BYTES, OwnMetric::of_group(&batch.group)), bytes);
        }
    }

    /// Adds one of Watchbell's own samples, if some alarm watches its metric.
    fn own(&mut self, engine: &mut Engine, key: SeriesKey, value: f64) {
        // Whoever sends events chooses the names of streams.
        self.value(engine, key, value, (OwnMetric::NAMESPACE, OWN_SERIES_MAX));
    }

    /// Adds a value that is of now, if some alarm watches its metric; `who` publishes it, into so many series at most.
    fn value(&mut self, engine: &mut Engine, key: SeriesKey, value: f64, who: (&str, u32)) {
        let is_new = engine.store.id(&key).is_none();
        let key = if is_new && self.is_one_too_many(engine, &key, who.1) {
            self.too_many(engine, key, who.0, who.1)
        } else {
            key
        };
        if let Some(id) = self.series(engine, key) {
            engine.store.get_mut(id).add(self.now, value);
            self.touched.insert(id);
        }
    }

    /// Matches the events of a batch and adds what they publish.
    fn group(&mut self, engine: &mut Engine, group: &CompiledGroup, batch: &Batch, offset: Offset) {
        let ages = Ages::new(batch, self.now, group.horizon_ms);
        ages.count(engine.counters.groups.entry(batch.group.clone()).or_default());
        let mut tallies: BTreeMap<usize, Tally> = BTreeMap::new();
        let mut published: Vec<Published> = Vec::new();
        let mut scratch = std::mem::take(&mut engine.scratch);
        group.patterns.matches(batch.text(), batch.ends(), &mut scratch, |line, number, index| {
            let filter = &group.filters[index];
            let tally = tallies.entry(index).or_default();
            tally.counters.matched += 1;
            if filter.default.is_some() {
                tally.lines.push(number);
            }
            let Some(value) = filter.value(line) else {
                tally.counters.without_value += 1;
                return;
            };
            let Some(at) = ages.evaluated(number).filter(|_| filter.is_watched) else { return };
            let Some(dimensions) = filter.dimensions(line) else {
                tally.counters.without_dimension += 1;
                return;
            };
            let series = tally.plain.or_else(|| self.filter_series(engine, filter, dimensions));
            if filter.dimensions.is_empty() {
                tally.plain = series;
            }
            let Some(series) = series else { return };
            self.before_late(engine, series, at);
            engine.store.get_mut(series).add(at, value);
            published.push(Published { series, bucket: bucket_of(at), line: number });
        });
        engine.scratch = scratch;
        let counts = OnceCell::new();
        for index in &group.with_default {
            let filter = &group.filters[*index];
            let default = filter.default.expect("the list holds those with one");
            let counts = counts.get_or_init(|| ages.buckets()).clone();
            let matching = tallies.get(index).into_iter().flat_map(|tally| &tally.lines);
            self.defaults(engine, filter, default, counts, matching.filter_map(|line| ages.evaluated(*line)));
        }
        self.remember(engine, batch, offset, &ages, published);
        for (index, tally) in &tallies {
            engine.counters.filter(&group.filters[*index].name).add(&tally.counters);
        }
    }

    /// The series that a matching event publishes into, if some alarm takes it.
    fn filter_series(
        &mut self,
        engine: &mut Engine,
        filter: &CompiledFilter,
        dimensions: Dimensions,
    ) -> Option<SeriesId> {
        if dimensions.is_empty() {
            return self.plain_series(engine, filter);
        }
        let key = SeriesKey { dimensions, ..filter.series.clone() };
        if engine.store.id(&key).is_none() && self.is_one_too_many(engine, &key, filter.series_max) {
            engine.counters.filter(&filter.name).over_series_max += 1;
            let other = self.too_many(engine, key, &filter.name, filter.series_max);
            return self.series(engine, other);
        }
        self.series(engine, key)
    }

    /// The series of a filter without dimensions.
    fn plain_series(&mut self, engine: &mut Engine, filter: &CompiledFilter) -> Option<SeriesId> {
        engine.store.id(&filter.series).or_else(|| self.series(engine, filter.series.clone()))
    }

    /// Whether the metric of `key` has as many series with dimensions as it may have.
    fn is_one_too_many(&self, engine: &Engine, key: &SeriesKey, series_max: u32) -> bool {
        self.plan.alarms_on(key).next().is_some()
            && engine.store.count_with_dimensions(&key.metric) >= series_max as usize
    }

    /// The series that counts what `key` does not: it has [`OTHER`] where the alarm tells values apart.
    fn too_many(&mut self, engine: &mut Engine, key: SeriesKey, filter: &str, series_max: u32) -> SeriesKey {
        let said = engine.limits_said.get(&key.metric);
        if said.is_none_or(|said| self.now.ms_since(*said) >= SERIES_LIMIT_AGAIN_MS) {
            engine.limits_said.insert(key.metric.clone(), self.now);
            let (metric, refused) = (key.metric.clone(), key.dimensions.clone());
            let limit = SeriesLimit { metric, filter: filter.to_owned(), series_max, refused };
            self.decisions.push(Timed::new(self.now, Decision::SeriesLimit(limit)));
        }
        let mut other = key;
        let each = self.plan.alarms_on(&other).next().map_or(&[][..], |(_, alarm)| &alarm.metric.each);
        for name in each {
            other.dimensions.insert(name.clone(), OTHER.to_owned());
        }
        other
    }

    /// The series of `key`, if some alarm takes it.
    fn series(&mut self, engine: &mut Engine, key: SeriesKey) -> Option<SeriesId> {
        let metric = self.plan.watched.get(&key.metric)?;
        if let Some(id) = engine.store.id(&key) {
            return Some(id);
        }
        self.plan.alarms_on(&key).next()?;
        engine.contributors(self.plan, &key, self.now);
        Some(engine.store.ensure(key, metric.keeps_values))
    }

    /// Notes what the datapoint was that a late event is about to change.
    fn before_late(&self, engine: &mut Engine, series: SeriesId, at: Timestamp) {
        let key = engine.store.key(series);
        let Some(metric) = self.plan.watched.get(&key.metric) else { return };
        if at.plus_ms(metric.lateness_ms_min) >= self.now {
            return;
        }
        for name in &metric.alarms {
            let Some(alarm) = self.plan.alarms.get(name) else { continue };
            let Some(contributor) = alarm.contributor(key) else { continue };
            let run = engine.runs.get_mut(name).and_then(|runs| runs.get_mut(&contributor));
            let Some(run) = run.filter(|run| run.is_evaluated) else { continue };
            if run.corrected.contains(&bucket_of(at)) {
                continue;
            }
            let end = run.next_end.plus_ms(-alarm.step_ms);
            let Some(start) = alarm.slot_of(at, end) else { continue };
            let range = || alarm.inputs(&engine.store, &contributor).range(end);
            if !run.corrections.contains_key(&start)
                && let Some(before) = range().into_iter().find(|point| point.start == start)
            {
                run.corrections.insert(start, (end, before));
            }
            run.corrected.insert(bucket_of(at));
        }
    }

    /// Adds what events add that do not match: all of a bucket at once, so that a filter with a default costs nothing
    /// for a line that it does not match. `counts` are the batch's events by bucket, `matching` those that match.
    fn defaults(
        &mut self,
        engine: &mut Engine,
        filter: &CompiledFilter,
        default: f64,
        mut counts: BTreeMap<Timestamp, u64>,
        matching: impl Iterator<Item = Timestamp>,
    ) {
        for at in matching {
            *counts.get_mut(&bucket_of(at)).expect("the line was counted") -= 1;
        }
        let Some(series) = self.plain_series(engine, filter) else { return };
        for (bucket, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            self.before_late(engine, series, bucket);
            engine.store.get_mut(series).add_defaults(bucket, default, count);
            self.touched.insert(series);
        }
    }

    /// Lets buckets remember the first and the last of the lines that were published into them.
    fn remember(
        &mut self,
        engine: &mut Engine,
        batch: &Batch,
        offset: Offset,
        ages: &Ages<'_>,
        mut published: Vec<Published>,
    ) {
        published.sort_unstable();
        let installation = engine.installation;
        for run in published.chunk_by(|a, b| (a.series, a.bucket) == (b.series, b.bucket)) {
            let line = |index: usize| {
                let event = batch.event(run[index].line);
                MatchedLine {
                    event_id: EventId { installation, offset, line: event.line },
                    timestamp: ages.evaluated(run[index].line).unwrap_or(self.now),
                    group: batch.group.clone(),
                    stream: batch.stream.clone(),
                    message: cut(event.message).to_owned(),
                }
            };
            engine.store.get_mut(run[0].series).remember(run[0].bucket, run.len(), line);
        }
        self.touched.extend(published.chunk_by(|a, b| a.series == b.series).map(|run| run[0].series));
    }

    /// Lets alarms that have become certain fire, and gives everything that was decided.
    fn conclude(mut self, engine: &mut Engine) -> Vec<Timed> {
        let mut certain: BTreeSet<(&str, Dimensions)> = BTreeSet::new();
        for series in &self.touched {
            let key = engine.store.key(*series);
            let watched = self.plan.watched.get(&key.metric).into_iter().flat_map(|metric| &metric.alarms);
            let early = watched.filter_map(|name| self.plan.alarms.get_key_value(name));
            for (name, alarm) in early.filter(|(_, alarm)| alarm.early) {
                certain.extend(alarm.contributor(key).map(|contributor| (name.as_str(), contributor)));
            }
        }
        for (name, contributor) in certain {
            let fired = self.fire_early(engine, name, &contributor);
            self.decisions.extend(fired.map(|decision| Timed::new(self.now, decision)));
        }
        self.decisions
    }

    fn fire_early(&self, engine: &mut Engine, name: &str, contributor: &Dimensions) -> Option<Decision> {
        let alarm = &self.plan.alarms[name];
        let run: &mut AlarmRun = engine.runs.get_mut(name)?.get_mut(contributor)?;
        let inputs = alarm.inputs(&engine.store, contributor);
        let certain = alarm.certain(run, &inputs, self.now);
        // Also for an alarm that is in ALARM already: it does not end only to begin again a moment later.
        run.early_until = certain.as_ref().map(|certain| certain.last).max(run.fired_until);
        let Certain { change, first, .. } = certain.filter(|certain| run.state != certain.change.to)?;
        run.fired_until = Some(first);
        let news = alarm.news(change, &inputs, &run.corrected, self.now, true);
        let who = Who { alarm: name, contributor };
        let transition = self.plan.change(who, &alarm.announcement, run, news);
        Some(Decision::Transition(Box::new(transition)))
    }
}
