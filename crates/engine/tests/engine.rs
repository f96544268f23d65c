//! The fold, one rule at a time, on hand-written timelines.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]

use std::collections::BTreeMap;

use watchbell_engine::Engine;
use watchbell_model::{
    Access, Alarm, AlarmKind, AlarmSeverity, AlarmState, BatchBuilder, Channel, Comparison, Decision,
    Decisions, Dimensions, Entry, EventFlags, GroupName, Http, InstallationId, JournalBound, LogGroup,
    LowSamples, MetricAlarm, MetricFilter, MetricName, MetricStat, MetricTransformation, Offset, ParseKind,
    Period, Plan, Record, SERIES_MAX_DEFAULT, Source, StartAt, Statistic, Subscription, Timestamp,
    TimestampFrom, Topic, Transition, TreatMissingData, Unit, Watched,
};

const START: i64 = 1_800_000_000_000; // a whole minute
const INSTALLATION: InstallationId = InstallationId(*b"testtest");

fn group() -> GroupName {
    GroupName::new("a/b").unwrap()
}

fn metric() -> MetricName {
    MetricName { namespace: "A".into(), name: "Errors".into() }
}

fn watched(statistic: Statistic) -> Watched {
    Watched::Stat(MetricStat { metric: metric(), dimensions: Dimensions::new(), unit: None, statistic })
}

fn alarm() -> MetricAlarm {
    let stat =
        MetricStat { metric: metric(), dimensions: Dimensions::new(), unit: None, statistic: Statistic::Sum };
    MetricAlarm {
        watched: Watched::Stat(stat),
        each: vec![],
        period: Period::from_s(60).unwrap(),
        comparison: Comparison::GreaterThanOrEqualToThreshold,
        threshold: 3.0,
        datapoints_to_alarm: 1,
        evaluation_periods: 1,
        treat_missing_data: TreatMissingData::NotBreaching,
        low_samples: LowSamples::Evaluate,
        warms_up: false,
    }
}

fn plan(alarm: MetricAlarm) -> Plan {
    let alarm = Alarm {
        kind: AlarmKind::Metric(alarm),
        severity: AlarmSeverity::Error,
        notify: vec!["ops".into()],
        description: None,
        runbook: None,
    };
    let log_group = LogGroup {
        files: vec![],
        app: "a".into(),
        parse: ParseKind::Plain,
        timestamp: TimestampFrom::Arrival,
        lateness_ms: 10_000,
        start: StartAt::Beginning,
        multiline: None,
        retention_ms: None,
        inputs: watchbell_model::Inputs::default(),
    };
    let filter = MetricFilter {
        log_group: group(),
        pattern: "ERROR".into(),
        metric: MetricTransformation {
            metric: metric(),
            value: "1".into(),
            default: None,
            unit: Unit::NONE,
            dimensions: BTreeMap::new(),
            series_max: SERIES_MAX_DEFAULT,
        },
    };
    let console = Subscription { name: "console".into(), channel: Channel::Console };
    Plan {
        file: "watchbell.toml".into(),
        data_dir: "/nowhere".into(),
        http: Http { listen: "127.0.0.1:0".parse().unwrap(), tls: None, allow: Vec::new() },
        redaction: watchbell_model::Redaction::default(),
        log_groups: BTreeMap::from([(group(), log_group)]),
        metric_filters: BTreeMap::from([("errors".into(), filter)]),
        alarms: BTreeMap::from([("hot".into(), alarm)]),
        mute_rules: BTreeMap::new(),
        topics: BTreeMap::from([("ops".into(), Topic { subscriptions: vec![console] })]),
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

/// An engine with its journal: every record that was folded, decisions included.
struct Fold {
    engine: Engine,
    journal: Vec<Record>,
    seen: Vec<Transition>,
}

impl Fold {
    fn new(plan: Plan) -> Fold {
        let mut fold = Fold { engine: Engine::new(INSTALLATION), journal: Vec::new(), seen: Vec::new() };
        fold.at(0, Entry::Plan(Box::new(plan)));
        fold
    }

    fn at(&mut self, second: i64, entry: Entry) {
        self.at_ms(second * 1000, entry);
    }

    fn at_ms(&mut self, ms: i64, entry: Entry) {
        let record = Record { offset: Offset(self.journal.len() as u64), time: Timestamp(START + ms), entry };
        let items = self.engine.step(&record).unwrap();
        let cause = record.offset;
        self.journal.push(record);
        if !items.is_empty() {
            self.seen.extend(items.iter().filter_map(Decision::transition).cloned());
            self.at_ms(ms, Entry::Decisions(Decisions { cause, first: 0, items }));
        }
    }

    fn lines(&mut self, second: i64, lines: &[&str]) {
        self.batch(second, lines, None, false);
    }

    fn batch(&mut self, second: i64, lines: &[&str], happened: Option<i64>, backfill: bool) {
        let mut builder = BatchBuilder::default();
        for line in lines {
            builder.push(line, happened.map(|at| Timestamp(START + at * 1000)), EventFlags::default());
        }
        let source = Source::Http { principal: "loopback".into(), batch_id: None };
        self.at(second, Entry::Batch(builder.build(group(), "web-1".into(), source, backfill)));
    }

    fn tick(&mut self, second: i64) {
        self.at(second, Entry::Tick);
    }

    /// Seconds since the start, states, `early`, whether anyone is told.
    fn story(&self) -> Vec<String> {
        let word = |t: &Transition| {
            let early = if t.early { " early" } else { "" };
            let told = if t.notify.is_empty() { "" } else { " told" };
            {
                let ms = t.at.ms_since(Timestamp(START));
                format!("{}.{:03} {}->{}{early}{told}", ms / 1000, ms % 1000, t.from, t.to)
            }
        };
        self.seen.iter().map(word).collect()
    }

    fn state(&self) -> AlarmState {
        self.engine.alarms().next().unwrap().2.state
    }
}

#[test]
fn an_alarm_fires_with_the_line_that_makes_it_certain_and_ends_when_its_slot_is_decided() {
    let mut fold = Fold::new(plan(alarm()));
    fold.lines(5, &["ERROR 1", "fine", "ERROR 2"]);
    fold.lines(20, &["ERROR 3", "ERROR 4"]);
    fold.tick(300);
    // Nothing came after it, so the breach counts until it leaves the range of 1 + 2 slots.
    assert_eq!(
        fold.story(),
        ["10.000 INSUFFICIENT_DATA->OK", "20.000 OK->ALARM early told", "250.000 ALARM->OK told"]
    );
}

#[test]
fn a_slot_that_a_line_falls_into_after_the_last_evaluation_minute_fires_at_once_too() {
    let mut fold = Fold::new(plan(alarm()));
    fold.lines(63, &["ERROR", "ERROR", "ERROR"]);
    fold.tick(69);
    assert_eq!(fold.story().last().unwrap(), "63.000 OK->ALARM early told");
    fold.tick(129);
    assert_eq!(
        fold.state(),
        AlarmState::Alarm,
        "it stands until its own slot, 60 to 120 s, is decided at 130 s"
    );
    fold.lines(125, &["fine"]);
    fold.tick(311);
    assert_eq!(fold.story().last().unwrap(), "310.000 ALARM->OK told");
}

#[test]
fn an_alarm_does_not_end_while_the_next_one_is_certain_already() {
    let mut fold = Fold::new(plan(alarm()));
    fold.lines(20, &["ERROR", "ERROR", "ERROR"]);
    fold.lines(65, &["fine"]);
    // The breach of minute 0 leaves the range with the evaluation at 250 s; the one of minute 4 is certain at 243 s.
    fold.lines(243, &["ERROR", "ERROR", "ERROR"]);
    fold.tick(309);
    assert_eq!(fold.story()[1..], ["20.000 OK->ALARM early told"]);
    fold.tick(600);
    assert_eq!(fold.story().last().unwrap(), "490.000 ALARM->OK told");
}

#[test]
fn a_message_has_the_first_and_the_last_lines() {
    let mut fold = Fold::new(plan(alarm()));
    let lines: Vec<String> = (1..=9).map(|n| format!("ERROR {n}")).collect();
    fold.lines(20, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let transition = fold.seen.last().unwrap();
    let texts =
        |lines: &[watchbell_model::MatchedLine]| lines.iter().map(|l| l.message.clone()).collect::<Vec<_>>();
    assert_eq!(transition.matched, 9);
    assert_eq!(texts(&transition.first_lines), ["ERROR 1", "ERROR 2", "ERROR 3"]);
    assert_eq!(texts(&transition.last_lines), ["ERROR 7", "ERROR 8", "ERROR 9"]);
    assert_eq!(transition.last_lines[2].event_id.to_string(), "7465737474657374-000000000001-000008");
    assert_eq!(
        transition.reason,
        "Threshold Crossed: 1 out of the last 1 datapoint [9.0 (15/01/27 08:00:00)] was greater than or equal to the \
         threshold (3.0) (minimum 1 datapoint for OK -> ALARM transition)."
    );
}

#[test]
fn an_average_waits_for_its_slot() {
    let mut fold =
        Fold::new(plan(MetricAlarm { watched: watched(Statistic::Average), threshold: 1.0, ..alarm() }));
    fold.lines(20, &["ERROR"]);
    fold.tick(70);
    assert_eq!(fold.story(), ["10.000 INSUFFICIENT_DATA->OK"]);
    fold.tick(71);
    assert_eq!(fold.story()[1..], ["70.000 OK->ALARM told"]);
}

#[test]
fn two_of_three_needs_two_slots() {
    let mut fold = Fold::new(plan(MetricAlarm { datapoints_to_alarm: 2, evaluation_periods: 3, ..alarm() }));
    fold.lines(20, &["ERROR", "ERROR", "ERROR"]);
    fold.lines(75, &["fine"]);
    fold.lines(140, &["ERROR", "ERROR"]);
    assert_eq!(fold.state(), AlarmState::Ok);
    fold.lines(141, &["ERROR"]);
    assert_eq!(fold.story().last().unwrap(), "141.000 OK->ALARM early told");
}

#[test]
fn an_undecided_quiet_slot_that_could_push_a_breach_out_keeps_an_alarm_from_firing_early() {
    // M = N = 2 over slots 0, 1, 2 (minutes): 0 breaches, 1 is quiet and undecided until 130 s, 2 breaches at 125 s.
    let mut fold = Fold::new(plan(MetricAlarm { datapoints_to_alarm: 2, evaluation_periods: 2, ..alarm() }));
    fold.lines(20, &["ERROR", "ERROR", "ERROR"]);
    fold.lines(125, &["ERROR", "ERROR", "ERROR"]);
    assert_eq!(fold.state(), AlarmState::Ok, "a good value may still arrive for minute 1");
    fold.tick(131);
    fold.lines(132, &["ERROR"]);
    assert_eq!(
        fold.story().last().unwrap(),
        "132.000 OK->ALARM early told",
        "minute 1 stayed empty: two real breaches"
    );
}

#[test]
fn ten_second_periods_are_evaluated_every_ten_seconds() {
    let mut plan = plan(MetricAlarm { period: Period::from_s(10).unwrap(), ..alarm() });
    plan.log_groups.get_mut("a/b").unwrap().lateness_ms = 1000;
    let mut fold = Fold::new(plan);
    fold.lines(12, &["ERROR", "ERROR", "ERROR"]);
    // The breach stays among the N newest real datapoints until it leaves the range of 1 + 6 slots.
    fold.tick(100);
    assert_eq!(fold.story()[1..], ["12.000 OK->ALARM early told", "91.000 ALARM->OK told"]);
}

#[test]
fn quiet_slots_are_treated_as_planned() {
    for (treat, story) in [
        (TreatMissingData::Missing, vec!["70.000 INSUFFICIENT_DATA->OK", "250.000 OK->INSUFFICIENT_DATA"]),
        (TreatMissingData::Ignore, vec!["70.000 INSUFFICIENT_DATA->OK"]),
        (TreatMissingData::NotBreaching, vec!["10.000 INSUFFICIENT_DATA->OK"]),
        (
            TreatMissingData::Breaching,
            vec!["10.000 INSUFFICIENT_DATA->ALARM told", "70.000 ALARM->OK told", "250.000 OK->ALARM told"],
        ),
    ] {
        let mut fold = Fold::new(plan(MetricAlarm { treat_missing_data: treat, ..alarm() }));
        fold.lines(20, &["ERROR"]);
        fold.tick(100_000);
        assert_eq!(fold.story(), story, "{treat:?}");
    }
}

#[test]
fn no_ok_message_without_an_alarm_message() {
    let mut quiet = plan(alarm());
    quiet.alarms.get_mut("hot").unwrap().notify.clear();
    let mut fold = Fold::new(quiet);
    fold.lines(20, &["ERROR", "ERROR", "ERROR"]);
    fold.tick(60);
    fold.at(61, Entry::Plan(Box::new(plan(alarm()))));
    fold.tick(400);
    assert_eq!(fold.story()[1..], ["20.000 OK->ALARM early", "250.000 ALARM->OK"]);
}

#[test]
fn lines_from_before_the_first_start_are_counted_and_raise_nothing() {
    let mut fold = Fold::new(plan(alarm()));
    fold.batch(1, &["ERROR", "ERROR", "ERROR", "ERROR"], None, true);
    fold.tick(200);
    assert_eq!(fold.story(), ["10.000 INSUFFICIENT_DATA->OK"]);
    assert_eq!(fold.engine.counters().filters["errors"].matched, 4);
    assert_eq!(fold.engine.counters().groups["a/b"].backfill, 4);
}

#[test]
fn events_far_from_their_arrival_are_counted_and_not_evaluated() {
    let mut fold = Fold::new(plan(alarm()));
    fold.batch(1000, &["ERROR", "ERROR", "ERROR"], Some(-100_000), false);
    fold.batch(1001, &["ERROR", "ERROR", "ERROR"], Some(1001 + 7201), false);
    fold.tick(20_000);
    assert_eq!(fold.story(), ["10.000 INSUFFICIENT_DATA->OK"]);
    let group = fold.engine.counters().groups["a/b"];
    assert_eq!((group.too_old, group.too_new), (3, 3));
}

#[test]
fn a_default_makes_a_datapoint_for_events_that_do_not_match() {
    let mut plan = plan(MetricAlarm { comparison: Comparison::LessThanThreshold, threshold: 1.0, ..alarm() });
    plan.metric_filters.get_mut("errors").unwrap().metric.default = Some(0.0);
    let mut fold = Fold::new(plan);
    fold.lines(20, &["fine", "fine"]);
    fold.tick(71);
    let transition = fold.seen.last().unwrap();
    assert_eq!(fold.story()[1..], ["70.000 OK->ALARM told"]);
    let newest = transition.datapoints.last().unwrap();
    assert_eq!((newest.value, newest.samples, transition.matched), (Some(0.0), 2, 0));
}

#[test]
fn a_plan_that_changes_an_alarm_keeps_its_state() {
    let mut fold = Fold::new(plan(alarm()));
    fold.lines(20, &["ERROR", "ERROR", "ERROR"]);
    fold.at(30, Entry::Plan(Box::new(plan(MetricAlarm { threshold: 2.0, ..alarm() }))));
    assert_eq!(fold.state(), AlarmState::Alarm);
    fold.tick(300);
    assert_eq!(fold.story().last().unwrap(), "250.000 ALARM->OK told");
}

#[test]
fn the_same_records_give_the_same_decisions_from_any_snapshot() {
    let mut fold = Fold::new(plan(alarm()));
    fold.lines(20, &["ERROR", "ERROR", "ERROR"]);
    fold.at(90, Entry::Plan(Box::new(plan(MetricAlarm { threshold: 2.0, ..alarm() }))));
    fold.lines(100, &["ERROR 4"]);
    fold.lines(150, &["ERROR", "ERROR", "fine"]);
    fold.tick(400);
    assert!(fold.seen.len() >= 4);
    for split in 0..=fold.journal.len() {
        let mut first = Engine::new(INSTALLATION);
        let mut bytes = Vec::new();
        let mut fold_one = |engine: &mut Engine, record: &Record| {
            let items = engine.step(record).unwrap();
            if !items.is_empty() {
                bytes.push(Entry::Decisions(Decisions { cause: record.offset, first: 0, items }).encode());
            }
        };
        fold.journal[..split].iter().for_each(|record| fold_one(&mut first, record));
        let kept = serde_json::to_string(&first.snapshot()).unwrap();
        let mut second = Engine::restore(INSTALLATION, serde_json::from_str(&kept).unwrap()).unwrap();
        fold.journal[split..].iter().for_each(|record| fold_one(&mut second, record));
        let journaled: Vec<_> = fold
            .journal
            .iter()
            .filter(|r| matches!(r.entry, Entry::Decisions(_)))
            .map(|r| r.entry.encode())
            .collect();
        assert_eq!(bytes, journaled, "split at {split}");
        assert_eq!(second.snapshot(), fold.engine.snapshot());
        assert_eq!(second.unconfirmed().len(), 0);
    }
}

#[test]
fn decisions_that_were_not_journaled_are_still_there_after_a_restart() {
    let mut fold = Fold::new(plan(alarm()));
    fold.lines(20, &["ERROR", "ERROR", "ERROR"]);
    let mut crashed = Engine::new(INSTALLATION);
    for record in fold.journal.iter().filter(|record| !matches!(record.entry, Entry::Decisions(_))) {
        crashed.step(record).unwrap();
    }
    let waiting: Vec<_> =
        crashed.unconfirmed().into_iter().map(|decisions| Entry::Decisions(decisions).encode()).collect();
    let journaled: Vec<_> = fold
        .journal
        .iter()
        .filter(|r| matches!(r.entry, Entry::Decisions(_)))
        .map(|r| r.entry.encode())
        .collect();
    assert_eq!(waiting, journaled);
}

#[test]
fn a_journaled_decision_wins_over_a_derived_one() {
    let mut fold = Fold::new(plan(alarm()));
    fold.lines(20, &["ERROR", "ERROR", "ERROR"]);
    let mut journal = fold.journal.clone();
    let Entry::Decisions(decisions) = &mut journal.last_mut().unwrap().entry else { panic!() };
    let Some(Decision::Transition(transition)) = decisions.items.last_mut() else { panic!() };
    transition.to = AlarmState::InsufficientData;
    let mut engine = Engine::new(INSTALLATION);
    for record in &journal {
        engine.step(record).unwrap();
    }
    assert_eq!(engine.alarms().next().unwrap().2.state, AlarmState::InsufficientData);
}

#[test]
fn a_default_that_no_sample_may_have_is_not_published() {
    let mut plan = plan(alarm());
    plan.metric_filters.get_mut("errors").unwrap().metric.default = Some(1e308);
    let mut fold = Fold::new(plan);
    for second in 1..9 {
        fold.lines(second, &["fine", "fine"]);
    }
    fold.tick(100);
    assert_eq!(fold.story(), ["10.000 INSUFFICIENT_DATA->OK"]);
}

#[test]
fn many_decisions_of_one_entry_are_confirmed_part_by_part() {
    let mut fold = Fold::new(plan(alarm()));
    fold.lines(20, &["ERROR", "ERROR", "ERROR"]);
    let mut other = fold.seen[0].clone();
    other.reason = "x".repeat(Decisions::BYTES_MAX / 2);
    let item = || Decision::Transition(Box::new(other.clone()));
    let entries = Decisions::entries(Offset(7), 0, vec![item(), item(), item(), item()]);
    let ids: Vec<_> =
        entries.iter().map(|entry| entry.with_ids().map(|(id, _)| id.index).collect::<Vec<_>>()).collect();
    assert_eq!(ids.concat(), [0, 1, 2, 3]);
    assert!(entries.len() > 1 && entries.iter().all(|entry| !entry.items.is_empty()), "{ids:?}");
}

#[test]
fn the_next_wake_up_is_the_next_evaluation_instant() {
    let mut fold = Fold::new(plan(alarm()));
    fold.tick(20);
    assert_eq!(fold.engine.next_wake(), Some(Timestamp(START + 70_000)));
    fold.tick(71);
    assert_eq!(fold.engine.next_wake(), Some(Timestamp(START + 130_000)));
}
