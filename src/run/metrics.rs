//! `/metrics`: what the fold knows, as OpenMetrics text.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use watchbell_engine::GroupCounters;
use watchbell_model::AlarmState;

use super::fold::Fold;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Group {
    log_group: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Filter {
    metric_filter: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lost {
    log_group: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Alarm {
    alarm: String,
    state: &'static str,
}

type Total = Counter<u64, AtomicU64>;

/// The text for `fold` as it is now.
///
/// Everything is counted from the journal, so counters go on after a restart.
pub fn text(fold: &Fold) -> String {
    let mut registry = Registry::with_prefix("watchbell");
    groups(&mut registry, fold);
    let counters = fold.engine.counters();
    let matched = family(&mut registry, "metric_filter_matched_events", "Events that matched the filter");
    let without = family(
        &mut registry,
        "metric_filter_without_value_events",
        "Matching events that had no usable value",
    );
    for (name, filter) in &counters.filters {
        let labels = Filter { metric_filter: name.clone() };
        matched.get_or_create(&labels).inc_by(filter.matched);
        without.get_or_create(&labels).inc_by(filter.without_value);
    }
    let losses = family(&mut registry, "losses", "Times that something was lost before it could be accepted");
    let lost = Family::<Lost, Total>::default();
    registry.register_with_unit("lost", "Bytes known to be lost", Unit::Bytes, lost.clone());
    for ((group, reason), (times, bytes)) in &counters.losses {
        let labels = Lost { log_group: group.to_string(), reason: reason.as_str() };
        losses.get_or_create(&labels).inc_by(*times);
        lost.get_or_create(&labels).inc_by(*bytes);
    }
    alarms(&mut registry, fold);
    gauge(
        &mut registry,
        "messages_waiting",
        "Messages that have not reached their subscription",
        fold.outbox.len(),
    );
    gauge(&mut registry, "archive_waiting_bytes", "Log text that is not archived yet", fold.backlog.bytes());
    gauge(&mut registry, "journal_next_offset", "Offset of the next journal entry", fold.next.0);
    let archived = Total::default();
    archived.inc_by(fold.backlog.archived_events());
    registry.register("archived_events", "Events in the archive", archived);
    let mut text = String::new();
    encode(&mut text, &registry).expect("writing to a string");
    text
}

fn groups(registry: &mut Registry, fold: &Fold) {
    type Part = fn(&GroupCounters) -> u64;
    let parts: [(&str, &str, Part); 5] = [
        ("incoming_log_events", "Log events accepted", |group| group.events),
        ("incoming_bytes", "Bytes of log text accepted", |group| group.bytes),
        ("backfill_events", "Events that were there before their group was watched", |group| group.backfill),
        ("too_old_events", "Events older than every evaluation range, not evaluated", |group| group.too_old),
        ("too_new_events", "Events more than two hours ahead, not evaluated", |group| group.too_new),
    ];
    for (name, help, part) in parts {
        let totals = family(registry, name, help);
        for (group, counters) in &fold.engine.counters().groups {
            totals.get_or_create(&Group { log_group: group.to_string() }).inc_by(part(counters));
        }
    }
}

fn alarms(registry: &mut Registry, fold: &Fold) {
    let states = Family::<Alarm, Gauge>::default();
    registry.register(
        "alarm_state",
        "1 for the state that the alarm is in, 0 for the others",
        states.clone(),
    );
    for (name, run) in fold.engine.alarms() {
        for state in [AlarmState::Ok, AlarmState::Alarm, AlarmState::InsufficientData] {
            let labels = Alarm { alarm: name.to_owned(), state: state.as_str() };
            states.get_or_create(&labels).set(i64::from(run.state == state));
        }
    }
}

fn family<L>(registry: &mut Registry, name: &str, help: &str) -> Family<L, Total>
where
    L: Clone + std::fmt::Debug + Eq + std::hash::Hash + EncodeLabelSet + Send + Sync + 'static,
    fn() -> Total: MetricConstructor<Total>,
{
    let family = Family::<L, Total>::default();
    registry.register(name, help, family.clone());
    family
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: impl TryInto<i64>) {
    let gauge = Gauge::<i64>::default();
    gauge.set(value.try_into().unwrap_or(i64::MAX));
    registry.register(name, help, gauge);
}
