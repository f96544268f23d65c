//! The engine against a slow evaluator that is written straight from the rules, on random timelines.
//!
//! `PROPTEST_CASES=1000000 cargo test --release -p watchbell-engine --test reference` is the long run.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use watchbell_engine::Engine;
use watchbell_engine::evaluation::{Rule, evaluate};
use watchbell_model::{
    Access, Alarm, AlarmKind, AlarmSeverity, AlarmState, BatchBuilder, Comparison, Datapoint, Decision,
    Decisions, Dimensions, Entry, EventFlags, GroupName, Http, InstallationId, JournalBound, LogGroup,
    LowSamples, MetricAlarm, MetricFilter, MetricName, MetricStat, MetricTransformation, Offset, ParseKind,
    Period, Plan, Record, SERIES_MAX_DEFAULT, Source, StartAt, Statistic, Timestamp, TimestampFrom,
    TreatMissingData, Unit, Watched,
};

const START: i64 = 1_800_000_000_000;

/// One event: milliseconds after the one before, how much earlier it says it happened, its value.
type Step = (i64, i64, u8);

#[derive(Clone, Debug)]
struct Timeline {
    alarm: MetricAlarm,
    lateness_ms: i64,
    default: Option<f64>,
    steps: Vec<Step>,
}

fn statistics() -> Vec<Statistic> {
    let percentiles = ["p0", "p50", "p90", "p100"].map(|text| text.parse().unwrap());
    Statistic::NAMED.into_iter().chain(percentiles).collect()
}

fn timelines() -> impl Strategy<Value = Timeline> {
    let statistic = prop::sample::select(statistics());
    let comparison = prop::sample::select(vec![
        Comparison::GreaterThanThreshold,
        Comparison::GreaterThanOrEqualToThreshold,
        Comparison::LessThanThreshold,
        Comparison::LessThanOrEqualToThreshold,
    ]);
    let treat = prop::sample::select(vec![
        TreatMissingData::Missing,
        TreatMissingData::Ignore,
        TreatMissingData::Breaching,
        TreatMissingData::NotBreaching,
    ]);
    let period = prop::sample::select(vec![10_u32, 20, 30, 60, 120, 180]);
    let shape = (1..=3_u32, 0..=2_u32, 0..5_u8, prop::sample::select(vec![0, 1000, 10_000, 75_000]));
    let steps = prop::collection::vec((0..90_000_i64, -5_000..100_000_i64, 0..5_u8), 1..25);
    let default = prop::option::of(Just(0.0));
    (statistic, comparison, treat, period, shape, default, steps).prop_map(
        |(
            statistic,
            comparison,
            treat_missing_data,
            period,
            (m, more, threshold, lateness_ms),
            default,
            steps,
        )| {
            let stat = MetricStat {
                metric: MetricName { namespace: "A".into(), name: "V".into() },
                dimensions: Dimensions::new(),
                unit: None,
                statistic,
            };
            let alarm = MetricAlarm {
                watched: Watched::Stat(stat),
                each: vec![],
                period: Period::from_s(period).unwrap(),
                comparison,
                threshold: f64::from(threshold),
                datapoints_to_alarm: m,
                evaluation_periods: m + more,
                treat_missing_data,
                low_samples: LowSamples::Evaluate,
                warms_up: false,
            };
            Timeline { alarm, lateness_ms, default, steps }
        },
    )
}

fn plan(timeline: &Timeline) -> Plan {
    let group = GroupName::new("g").unwrap();
    let log_group = LogGroup {
        files: vec![],
        app: "g".into(),
        parse: ParseKind::Plain,
        timestamp: TimestampFrom::Arrival,
        lateness_ms: timeline.lateness_ms,
        start: StartAt::Beginning,
        multiline: None,
        retention_ms: None,
        inputs: watchbell_model::Inputs::default(),
    };
    let metric = timeline.alarm.watched.stats()[0].metric.clone();
    let alarm = Alarm {
        kind: AlarmKind::Metric(timeline.alarm.clone()),
        severity: AlarmSeverity::Error,
        notify: vec![],
        description: None,
        runbook: None,
    };
    let filter = MetricFilter {
        log_group: group.clone(),
        pattern: "[kind=v, value]".into(),
        metric: MetricTransformation {
            metric,
            value: "$value".into(),
            default: timeline.default,
            unit: Unit::NONE,
            dimensions: BTreeMap::new(),
            series_max: SERIES_MAX_DEFAULT,
        },
    };
    Plan {
        file: "watchbell.toml".into(),
        data_dir: "/nowhere".into(),
        http: Http { listen: "127.0.0.1:0".parse().unwrap(), tls: None, allow: Vec::new() },
        redaction: watchbell_model::Redaction::default(),
        log_groups: BTreeMap::from([(group, log_group)]),
        metric_filters: BTreeMap::from([("v".into(), filter)]),
        alarms: BTreeMap::from([("a".into(), alarm)]),
        mute_rules: BTreeMap::new(),
        topics: BTreeMap::new(),
        queues: BTreeMap::new(),
        functions: BTreeMap::new(),
        access: Access::default(),
        agent: None,
        archive: None,
        journal: JournalBound::DEFAULT,
        fleet: BTreeMap::new(),
        maintenance: Vec::new(),
        secrets: BTreeMap::new(),
        aws: None,
    }
}

/// A value that was published: when it was accepted, when it happened, what.
type Sample = (i64, i64, f64);

/// The rules, slowly: every slot is gathered anew from all samples.
struct Reference<'a> {
    timeline: &'a Timeline,
    state: AlarmState,
}

impl Reference<'_> {
    fn step_ms(&self) -> i64 {
        if self.timeline.alarm.period.as_s() < 60 { 10_000 } else { 60_000 }
    }

    /// The state at the evaluation that ends at `end`, from what was accepted by its instant.
    fn evaluate(&mut self, end: i64, samples: &[Sample]) {
        let alarm = &self.timeline.alarm;
        let instant = end + self.timeline.lateness_ms;
        let period = alarm.period.as_ms();
        let slots = i64::from(alarm.evaluation_periods) + if period < 60_000 { 60_000 / period } else { 2 };
        let newest_end = if period < 60_000 { end.div_euclid(period) * period } else { end };
        let datapoint = |slot: i64| {
            let start = newest_end - slot * period;
            let inside =
                |sample: &&Sample| sample.0 <= instant && (start..start + period).contains(&sample.1);
            let values: Vec<f64> = samples.iter().filter(inside).map(|sample| sample.2).collect();
            let count = f64::from(u32::try_from(values.len()).unwrap());
            let value = (!values.is_empty()).then(|| match alarm.watched.stats()[0].statistic {
                Statistic::SampleCount => count,
                Statistic::Sum => values.iter().sum(),
                Statistic::Average => values.iter().sum::<f64>() / count,
                Statistic::Minimum => values.iter().copied().fold(f64::INFINITY, f64::min),
                Statistic::Maximum => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                Statistic::Percentile(percentile) => {
                    let mut sorted = values.clone();
                    sorted.sort_by(f64::total_cmp);
                    let rank = (percentile.share() * count).ceil().max(1.0);
                    *sorted.iter().zip(1..).find(|(_, it)| f64::from(*it) >= rank).unwrap().0
                }
            });
            let breaching = value.is_some_and(|value| alarm.comparison.breaches(value, alarm.threshold));
            Datapoint {
                start: Timestamp(start),
                value,
                samples: values.len() as u64,
                breaching,
                estimated: false,
            }
        };
        let range: Vec<Datapoint> = (1..=slots).rev().map(datapoint).collect();
        let rule = Rule {
            datapoints_to_alarm: alarm.datapoints_to_alarm as usize,
            evaluation_periods: alarm.evaluation_periods as usize,
            treat_missing_data: alarm.treat_missing_data,
        };
        self.state = evaluate(rule, &range, self.state);
    }
}

/// Runs both side by side and compares them after every evaluation instant.
struct Run<'a> {
    engine: Engine,
    offset: u64,
    samples: Vec<Sample>,
    reference: Reference<'a>,
    next_end: i64,
    /// Set by an early ALARM: the reference has to come to ALARM by the time its slot is decided.
    early_since: Option<i64>,
}

impl Run<'_> {
    fn step(&mut self, time: i64, entry: Entry) {
        let record = Record { offset: Offset(self.offset), time: Timestamp(time), entry };
        self.offset += 1;
        let items = self.engine.step(&record).unwrap();
        for transition in items.iter().filter_map(Decision::transition) {
            self.early_since = transition.early.then_some(time);
            if transition.early {
                assert!(self.is_inevitable(time), "early ALARM at {time}: {:?}", self.reference.timeline);
            }
        }
        if !items.is_empty() {
            let decisions = Decisions { cause: record.offset, first: 0, items };
            self.step(time, Entry::Decisions(decisions));
        }
    }

    /// When the slot that `since` falls into has been decided: until then an early ALARM stands.
    fn decided(&self, since: i64) -> i64 {
        let slot = self.reference.timeline.alarm.period.as_ms().min(60_000);
        (since.div_euclid(slot) + 1) * slot + self.reference.timeline.lateness_ms
    }

    /// Whether the reference comes to ALARM whatever comes: nothing, or any one value in every slot that is not decided.
    fn is_inevitable(&self, now: i64) -> bool {
        let timeline = self.reference.timeline;
        let period = timeline.alarm.period.as_ms();
        let grid = period.min(60_000);
        // What is late for some slot does not count: a slot ends with the grid, and no later than `decided` one matters.
        let is_open = |at: &i64| {
            let earliest_end = (at.div_euclid(grid) + 1) * grid;
            earliest_end + timeline.lateness_ms >= now && *at <= self.decided(now)
        };
        let around = 2 * (period + timeline.lateness_ms) / 10_000 + 1;
        let starts: Vec<i64> =
            (-around..=around).map(|i| (now.div_euclid(10_000) + i) * 10_000).filter(is_open).collect();
        let continuations = std::iter::once(None).chain([0.0, 1.0, 2.0, 3.0, 4.0, 5.0].map(Some));
        let reaches_alarm = |continuation: Option<f64>| {
            let mut samples = self.samples.clone();
            let values =
                continuation.into_iter().flat_map(|value| starts.iter().map(move |at| (now, *at, value)));
            samples.extend(values);
            let mut reference = Reference { timeline, state: self.reference.state };
            let mut end = self.next_end;
            while end + timeline.lateness_ms <= self.decided(now) {
                reference.evaluate(end, &samples);
                if reference.state == AlarmState::Alarm {
                    return true;
                }
                end += reference.step_ms();
            }
            false
        };
        continuations.into_iter().all(reaches_alarm)
    }

    fn state(&self) -> AlarmState {
        self.engine.alarms().next().unwrap().2.state
    }

    /// Lets every instant up to `time` pass, one by one.
    fn pass(&mut self, time: i64) -> Result<(), TestCaseError> {
        loop {
            let instant = self.next_end + self.reference.timeline.lateness_ms;
            if instant >= time {
                return Ok(());
            }
            self.step(instant + 1, Entry::Tick);
            self.reference.evaluate(self.next_end, &self.samples);
            self.next_end += self.reference.step_ms();
            match (self.early_since, self.reference.state, self.state()) {
                (_, expected, found) if expected == found => {
                    if expected == AlarmState::Alarm {
                        self.early_since = None;
                    }
                }
                // An early ALARM stands until the slot that `since` falls into has been decided.
                (Some(since), _, AlarmState::Alarm) if instant < self.decided(since) => {}
                (_, expected, found) => {
                    // Beyond that ALARM stands only while the next one is certain already.
                    prop_assert_eq!(found, AlarmState::Alarm, "at {}: instead of {}", instant, expected);
                    prop_assert!(
                        self.is_inevitable(instant),
                        "at {}: ALARM instead of {}",
                        instant,
                        expected
                    );
                    self.early_since = Some(instant);
                }
            }
        }
    }
}

fn compare(timeline: &Timeline) -> Result<(), TestCaseError> {
    let reference = Reference { timeline, state: AlarmState::InsufficientData };
    let step = reference.step_ms();
    let next_end = (START - timeline.lateness_ms + step - 1).div_euclid(step) * step;
    let engine = Engine::new(InstallationId(*b"testtest"));
    let mut run = Run { engine, offset: 0, samples: vec![], reference, next_end, early_since: None };
    run.step(START, Entry::Plan(Box::new(plan(timeline))));
    let mut time = START;
    for (later, age, value) in &timeline.steps {
        time += later;
        run.pass(time)?;
        let happened = time - age;
        let (line, sample) = match (value, timeline.default) {
            (0, default) => ("other".to_owned(), default),
            (value, _) => (format!("v {value}"), Some(f64::from(*value))),
        };
        let mut builder = BatchBuilder::default();
        builder.push(&line, Some(Timestamp(happened)), EventFlags::default());
        let source = Source::Http { principal: "p".into(), batch_id: None };
        run.samples.extend(sample.map(|sample| (time, happened, sample)));
        run.step(time, Entry::Batch(builder.build(GroupName::new("g").unwrap(), "s".into(), source, false)));
    }
    run.pass(time + 1_500_000)
}

proptest! {
    #[test]
    fn every_evaluation_instant_agrees_with_the_rules(timeline in timelines()) {
        compare(&timeline)?;
    }
}
