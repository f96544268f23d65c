//! An alarm with a state for each value of a dimension is as many alarms that see one value only.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]

use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;
use watchbell_config::{Source as File, check};
use watchbell_engine::Engine;
use watchbell_model::{
    AlarmState, BatchBuilder, Decisions, Entry, EventFlags, GroupName, InstallationId, Offset, Plan, Record,
    Source, Timestamp,
};

const START: i64 = 1_800_000_000_000;

/// An alarm's rule, but what it watches.
#[derive(Clone, Debug)]
struct Rule {
    statistic: &'static str,
    period_s: u32,
    threshold: u8,
    m: u32,
    n: u32,
    missing: &'static str,
    lateness_s: u32,
}

/// Milliseconds after the event before, milliseconds that it lies back, host, value.
type Step = (i64, i64, u8, u8);

fn rules() -> impl Strategy<Value = Rule> {
    let statistic = prop::sample::select(vec!["SampleCount", "Sum", "Average", "Maximum", "p50", "p90"]);
    let period_s = prop::sample::select(vec![10, 30, 60, 120]);
    let missing = prop::sample::select(vec!["missing", "not_breaching"]);
    let lateness_s = prop::sample::select(vec![0, 10, 75]);
    (statistic, period_s, 0..5_u8, 1..=2_u32, 0..=2_u32, missing, lateness_s).prop_map(
        |(statistic, period_s, threshold, m, more, missing, lateness_s)| Rule {
            statistic,
            period_s,
            threshold,
            m,
            n: m + more,
            missing,
            lateness_s,
        },
    )
}

fn plan(rule: &Rule, filter: &str, watched: &str) -> Plan {
    let Rule { statistic, period_s, threshold, m, n, missing, lateness_s } = rule;
    let mut text = format!("version = 1\n[log_groups.g]\nlateness = \"{lateness_s}s\"\n");
    write!(text, "[metric_filters.f]\nlog_group = \"g\"\n{filter}\n[alarms.a]\n{watched}\n").unwrap();
    write!(text, "statistic = \"{statistic}\"\nperiod = \"{period_s}s\"\ncondition = \"> {threshold}\"\n")
        .unwrap();
    write!(text, "datapoints = \"{m} of {n}\"\nmissing_data = \"{missing}\"\n").unwrap();
    let checked = check(&File { name: "watchbell.toml", text: &text, folder: Path::new("/x") });
    checked.plan.unwrap_or_else(|| panic!("{text}\n{:?}", checked.problems))
}

/// When the alarm, or its state of `host`, came into which state, by its value of the dimension.
fn changes(plan: Plan, steps: &[Step], host: Option<&str>) -> Vec<(i64, AlarmState)> {
    let mut engine = Engine::new(InstallationId(*b"testtest"));
    let mut found = Vec::new();
    let mut offset = 0;
    let mut step = |engine: &mut Engine, time: i64, entry: Entry| {
        let mut waiting = vec![entry];
        while let Some(entry) = waiting.pop() {
            let record = Record { offset: Offset(offset), time: Timestamp(time), entry };
            offset += 1;
            let items = engine.step(&record).unwrap();
            let own = items.iter().filter_map(|item| item.transition());
            let own = own.filter(|it| it.dimensions.get("host").map(String::as_str) == host);
            found.extend(own.map(|it| (it.at.0, it.to)));
            waiting.extend(Decisions::entries(record.offset, 0, items).into_iter().map(Entry::Decisions));
        }
    };
    step(&mut engine, START, Entry::Plan(Box::new(plan)));
    let mut time = START;
    let last = (3_000_000, 0, 9, 9);
    for (later, age, of, value) in steps.iter().chain([&last]) {
        time += later;
        while let Some(wake) = engine.next_wake().filter(|wake| wake.0 < time) {
            step(&mut engine, wake.0 + 1, Entry::Tick);
        }
        let mut builder = BatchBuilder::default();
        builder.push(&format!("h{of} {value}"), Some(Timestamp(time - age)), EventFlags::default());
        let source = Source::Http { principal: "p".into(), batch_id: None };
        let batch = builder.build(GroupName::new("g").unwrap(), "s".into(), source, false);
        step(&mut engine, time, Entry::Batch(batch));
    }
    // How an alarm leaves its first state is its own: one that was there before any event settles at its first instant.
    let first_alarm = found.iter().position(|(_, to)| *to == AlarmState::Alarm);
    first_alarm.map_or(Vec::new(), |first| found.split_off(first))
}

proptest! {
    #[test]
    fn each_state_is_that_of_an_alarm_of_its_own(
        rule in rules(),
        steps in prop::collection::vec((0..60_000_i64, -5_000..60_000_i64, 0..3_u8, 0..6_u8), 1..30),
    ) {
        let metric = "{ namespace = \"N\", name = \"M\", value = \"$value\"";
        let filter = format!("pattern = \"[host, value]\"\nmetric = {metric}, dimensions = {{ host = \"$host\" }} }}");
        let many = plan(&rule, &filter, "metric_filter = \"f\"\neach = \"host\"");
        for host in ["h0", "h1", "h2"] {
            let filter = format!("pattern = \"[host={host}, value]\"\nmetric = {metric} }}");
            let one = plan(&rule, &filter, "metric_filter = \"f\"");
            prop_assert_eq!(changes(many.clone(), &steps, Some(host)), changes(one, &steps, None), "{}", host);
        }
    }
}
