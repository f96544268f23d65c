//! Laws of the virtual journal.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use watchbell::replay::{Change, GRAIN_MS, Line, Replay, StreamName};
use watchbell_engine::Engine;
use watchbell_model::{
    AlarmState, BatchBuilder, Decisions, Dimensions, Entry, EventFlags, GroupName, InstallationId, Offset,
    Plan, Record, Source, Timestamp,
};

use crate::support::folder::Folder;
use crate::support::logs::DAY;

const PLAN: &str = r#"
[log_groups.a]
lateness = "2500ms"
[metric_filters.errors]
log_group = "a"
pattern = "ERROR"
metric = { namespace = "N", name = "Errors" }
[alarms.minute]
metric_filter = "errors"
period = "60s"
condition = ">= 3"
datapoints = "1 of 2"
missing_data = "not_breaching"
[alarms.short]
metric_filter = "errors"
period = "10s"
condition = "> 1"
[metric_filters.by-who]
log_group = "a"
pattern = "[what=ERROR, who]"
metric = { namespace = "N", name = "ByWho", dimensions = { who = "$who" } }
[alarms.each]
metric = { namespace = "N", name = "ByWho" }
each = ["who"]
period = "10s"
condition = ">= 2"
missing_data = "not_breaching"
[composite_alarms.both]
rule = 'ALARM("minute") AND ALARM("each")'
[alarms.few]
metric_filter = "errors"
statistic = "Average"
period = "30s"
condition = "< 2"
missing_data = "breaching"
"#;

/// Lines a few hundred milliseconds to minutes apart, on one of two streams, some of them errors, some late.
fn lines() -> impl Strategy<Value = Vec<(i64, i64, bool, bool)>> {
    let gap_ms = prop_oneof![0..3_i64, 0..900_i64, 0..20_000_i64, 60_000..400_000_i64];
    let late_ms = prop_oneof![5 => Just(0_i64), 1 => 0..90_000_i64];
    prop::collection::vec((gap_ms, late_ms, any::<bool>(), prop::bool::weighted(0.6)), 1..60)
}

fn text(second: bool, error: bool) -> &'static str {
    match (second, error) {
        (false, true) => "ERROR dana",
        (true, true) => "ERROR kim",
        (_, false) => "fine",
    }
}

fn replayed(plan: &Plan, lines: &[(i64, i64, bool, bool)], grain_ms: i64) -> Vec<Change> {
    let streams = ["s", "t"].map(|stream| {
        Arc::new(StreamName { group: GroupName::new("a").unwrap(), stream: stream.to_owned() })
    });
    let mut replay = Replay::start(plan.clone(), DAY, grain_ms).unwrap();
    let mut arrival = DAY;
    for (gap_ms, late_ms, second, error) in lines {
        arrival = arrival.plus_ms(*gap_ms);
        replay
            .push(&Line {
                origin: &streams[usize::from(*second)],
                arrival,
                timestamp: arrival.plus_ms(-late_ms),
                flags: EventFlags::default(),
                text: text(*second, *error),
            })
            .unwrap();
    }
    replay.advance(arrival.plus_ms(600_000)).unwrap();
    replay.changes().to_vec()
}

/// When which alarm, in which of its states, changed to what.
type Lived = (Timestamp, (String, Dimensions), AlarmState);

/// The same lines as `watchbell up` would journal them: each a record of its own, a tick after every instant.
fn lived(plan: &Plan, lines: &[(i64, i64, bool, bool)]) -> Vec<Lived> {
    let mut engine = Engine::new(InstallationId([0; 8]));
    let mut found = Vec::new();
    let mut offset = Offset(0);
    let mut journal = |engine: &mut Engine, time: Timestamp, entry: Entry| {
        let mut waiting = vec![entry];
        while let Some(entry) = waiting.pop() {
            let decisions = engine.step(&Record { offset, time, entry }).unwrap();
            for decision in &decisions {
                let Some(it) = decision.transition() else { continue };
                found.push((it.at, (it.alarm.clone(), it.dimensions.clone()), it.to));
            }
            waiting.extend(Decisions::entries(offset, 0, decisions).into_iter().map(Entry::Decisions));
            offset = offset.next();
        }
    };
    let ticks =
        |engine: &mut Engine, until: Timestamp, journal: &mut dyn FnMut(&mut Engine, Timestamp, Entry)| {
            while let Some(wake) = engine.next_wake().filter(|wake| *wake < until) {
                journal(engine, wake.plus_ms(1), Entry::Tick);
            }
        };
    journal(&mut engine, DAY, Entry::Plan(Box::new(plan.clone())));
    let mut arrival = DAY;
    for (gap_ms, late_ms, second, error) in lines {
        arrival = arrival.plus_ms(*gap_ms);
        ticks(&mut engine, arrival, &mut journal);
        let mut batch = BatchBuilder::default();
        batch.push(text(*second, *error), Some(arrival.plus_ms(-late_ms)), EventFlags::default());
        let source = Source::Http { principal: "loopback".into(), batch_id: None };
        let stream = if *second { "t" } else { "s" };
        let batch = batch.build(GroupName::new("a").unwrap(), stream.into(), source, false);
        journal(&mut engine, arrival, Entry::Batch(batch));
    }
    ticks(&mut engine, arrival.plus_ms(600_001), &mut journal);
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// What `replay` and `backtest` say is what `up` would have done: the same changes of each alarm in the same order,
    /// at the same instants; only an early ALARM may be told up to a second too late.
    #[test]
    fn a_replay_is_what_would_have_happened(lines in lines()) {
        let plan = Folder::new(PLAN).plan();
        let lived = lived(&plan, &lines);
        for grain_ms in [1, GRAIN_MS] {
            let replayed = replayed(&plan, &lines, grain_ms);
            let alarms: BTreeSet<_> = lived.iter().map(|(_, alarm, _)| alarm).collect();
            prop_assert!(replayed.iter().all(|it| alarms.contains(&(it.alarm.clone(), it.dimensions.clone()))));
            for alarm in alarms {
                let is_it = |it: &&Change| (&it.alarm, &it.dimensions) == (&alarm.0, &alarm.1);
                let of_replay: Vec<_> = replayed.iter().filter(is_it).collect();
                let of_life: Vec<_> = lived.iter().filter(|(_, name, _)| name == alarm).collect();
                let states: Vec<_> = of_replay.iter().map(|it| it.to).collect();
                let lived_states: Vec<_> = of_life.iter().map(|(_, _, to)| *to).collect();
                prop_assert_eq!(states, lived_states, "{:?}, grain {} ms", alarm, grain_ms);
                for (change, (at, _, _)) in of_replay.into_iter().zip(of_life) {
                    // A composite alarm follows its children, early or not.
                    let may_be_late = change.early || change.alarm == "both";
                    let slack_ms = if may_be_late { grain_ms - 1 } else { 0 };
                    let late_ms = change.at.ms_since(*at);
                    prop_assert!((0..=slack_ms).contains(&late_ms), "{:?} is {} ms late", change, late_ms);
                }
            }
        }
    }
}
