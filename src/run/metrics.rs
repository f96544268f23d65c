//! `/metrics`: what the fold knows, as OpenMetrics text.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use watchbell_engine::{Counters, FilterCounters, GroupCounters};
use watchbell_model::{AlarmState, GroupName, Timestamp};

use super::agents::AgentReport;
use super::fold::Fold;
use super::functions;
use super::ledger::Account;
use super::own::SourceLag;
use super::sources::Sources;

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
struct Agent {
    agent: String,
    installation: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Alarm {
    alarm: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Queue {
    queue: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Function {
    function: String,
}

type Total = Counter<u64, AtomicU64>;

const NOTHING: FilterCounters =
    FilterCounters { matched: 0, without_value: 0, without_dimension: 0, over_series_max: 0 };

/// What is told, copied out of the fold so that nobody waits while it is written.
pub struct Figures {
    counters: Counters,
    alarms: Vec<(String, AlarmState)>,
    filters: Vec<String>,
    series: usize,
    source_lag_bytes: BTreeMap<GroupName, u64>,
    source_read_bytes: BTreeMap<GroupName, u64>,
    accounts: BTreeMap<GroupName, Account>,
    redacted: BTreeMap<GroupName, u64>,
    messages_waiting: usize,
    archive_waiting_bytes: u64,
    archived_events: u64,
    journal_next_offset: u64,
    queues: Vec<(String, watchbell_functions::queue::Figures)>,
    /// Log records that were rejected since the start: the one figure that is in no journal.
    pub(super) otlp_rejected: u64,
    /// Tells how old messages are.
    now: Timestamp,
    /// Connections turned away since the start, by reason.
    pub turned_away: Vec<(&'static str, u64)>,
    /// Those whom inputs turned away since the start, by reason.
    input_turned_away: BTreeMap<(GroupName, &'static str), u64>,
    /// Agents as they last told.
    pub agents: Vec<AgentReport>,
    /// Functions as they stand.
    pub functions: Vec<functions::Told>,
}

impl Figures {
    /// The figures of `fold`, `lag` and `sources` as they are `now`.
    ///
    /// Whatever is counted is counted from the journal, so counters go on after a restart.
    pub fn of(fold: &Fold, lag: &SourceLag, sources: &Sources, now: Timestamp) -> Figures {
        let plan = fold.engine.plan().map(|(_, plan)| plan);
        Figures {
            counters: fold.engine.counters().clone(),
            alarms: fold.engine.states(),
            series: fold.engine.series_count(),
            source_lag_bytes: lag.look(),
            source_read_bytes: sources.read_of_groups(),
            accounts: fold.ledger.groups().clone(),
            redacted: fold.ledger.redacted().clone(),
            filters: plan.into_iter().flat_map(|plan| plan.metric_filters.keys().cloned()).collect(),
            messages_waiting: fold.outbox.len(),
            archive_waiting_bytes: fold.backlog.bytes(),
            archived_events: fold.backlog.archived_events(),
            journal_next_offset: fold.next.0,
            queues: fold.queues.iter().map(|(name, view)| (name.to_owned(), view.figures(now))).collect(),
            otlp_rejected: 0,
            now,
            turned_away: Vec::new(),
            input_turned_away: sources.turned_away(),
            agents: Vec::new(),
            functions: Vec::new(),
        }
    }
}

/// The figures as OpenMetrics text.
pub fn text(figures: &Figures) -> String {
    let mut registry = Registry::with_prefix("watchbell");
    groups(&mut registry, figures);
    let counters = &figures.counters;
    let matched = family(&mut registry, "metric_filter_matched_events", "Events that matched the filter");
    let without = family(
        &mut registry,
        "metric_filter_without_value_events",
        "Matching events that had no usable value",
    );
    let without_dimension = family(
        &mut registry,
        "metric_filter_without_dimension_events",
        "Matching events that lacked a dimension",
    );
    let over_series_max = family(
        &mut registry,
        "metric_filter_over_series_max_events",
        "Matching events that were counted as (other), because the metric had series_max combinations of dimension values",
    );
    // A filter that has matched nothing yet is there with 0.
    let silent = figures.filters.iter().map(|name| (name, &NOTHING));
    for (name, filter) in silent.chain(&counters.filters) {
        let labels = Filter { metric_filter: name.clone() };
        matched.get_or_create(&labels).inc_by(filter.matched);
        without.get_or_create(&labels).inc_by(filter.without_value);
        without_dimension.get_or_create(&labels).inc_by(filter.without_dimension);
        over_series_max.get_or_create(&labels).inc_by(filter.over_series_max);
    }
    let losses = family(&mut registry, "losses", "Times that something was lost before it could be accepted");
    let lost = Family::<Lost, Total>::default();
    registry.register_with_unit("lost", "Bytes known to be lost", Unit::Bytes, lost.clone());
    for ((group, reason), (times, bytes)) in &counters.losses {
        let labels = Lost { log_group: group.to_string(), reason: reason.as_str() };
        losses.get_or_create(&labels).inc_by(*times);
        lost.get_or_create(&labels).inc_by(*bytes);
    }
    ledger(&mut registry, figures);
    agents(&mut registry, figures);
    let turned_away = Family::<Reason, Total>::default();
    registry.register(
        "connections_refused",
        "Connections turned away before any request, since the start",
        turned_away.clone(),
    );
    for (reason, times) in &figures.turned_away {
        turned_away.get_or_create(&Reason { reason }).inc_by(*times);
    }
    let refused = Family::<Lost, Total>::default();
    registry.register(
        "syslog_refused",
        "Connections and datagrams of syslog that were turned away, since the start",
        refused.clone(),
    );
    for ((group, reason), times) in &figures.input_turned_away {
        refused.get_or_create(&Lost { log_group: group.to_string(), reason }).inc_by(*times);
    }
    alarms(&mut registry, figures);
    gauge(&mut registry, "metric_series", "Series of metrics that some alarm watches", figures.series);
    let lag = Family::<Group, Gauge>::default();
    registry.register(
        "source_lag_bytes",
        "Bytes in the log group's files that have not been read",
        lag.clone(),
    );
    for (group, bytes) in &figures.source_lag_bytes {
        let labels = Group { log_group: group.to_string() };
        lag.get_or_create(&labels).set(i64::try_from(*bytes).unwrap_or(i64::MAX));
    }
    gauge(
        &mut registry,
        "messages_waiting",
        "Messages that have not reached their subscription",
        figures.messages_waiting,
    );
    gauge(
        &mut registry,
        "archive_waiting_bytes",
        "Log text that is not archived yet",
        figures.archive_waiting_bytes,
    );
    gauge(
        &mut registry,
        "journal_next_offset",
        "Offset of the next journal entry",
        figures.journal_next_offset,
    );
    queues(&mut registry, figures);
    functions_at_work(&mut registry, figures);
    let archived = Total::default();
    archived.inc_by(figures.archived_events);
    registry.register("archived_events", "Events in the archive", archived);
    let rejected = Total::default();
    rejected.inc_by(figures.otlp_rejected);
    registry.register(
        "otlp_rejected_log_records",
        "Log records that no log group takes, or that are empty",
        rejected,
    );
    let mut text = String::new();
    encode(&mut text, &registry).expect("writing to a string");
    text
}

fn groups(registry: &mut Registry, figures: &Figures) {
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
        for (group, counters) in &figures.counters.groups {
            totals.get_or_create(&Group { log_group: group.to_string() }).inc_by(part(counters));
        }
    }
}

/// What was read of files: journaled, dropped or skipped.
fn ledger(registry: &mut Registry, figures: &Figures) {
    let read = family(registry, "source_read_bytes", "Bytes of files that were read or skipped");
    for (group, bytes) in &figures.source_read_bytes {
        read.get_or_create(&Group { log_group: group.to_string() }).inc_by(*bytes);
    }
    let redacted = family(
        registry,
        "redacted_events",
        "Events from which something was taken out that must not be stored",
    );
    for (group, events) in &figures.redacted {
        redacted.get_or_create(&Group { log_group: group.to_string() }).inc_by(*events);
    }
    let journaled =
        family(registry, "source_journaled_bytes", "Bytes of files that events in the journal stand for");
    let skipped = family(registry, "source_skipped_bytes", "Bytes of files that start = \"end\" passed over");
    let dropped = Family::<Lost, Total>::default();
    registry.register(
        "source_dropped_bytes",
        "Bytes of files that were read and are in no event",
        dropped.clone(),
    );
    for (group, account) in &figures.accounts {
        let labels = Group { log_group: group.to_string() };
        journaled.get_or_create(&labels).inc_by(account.journaled_bytes);
        skipped.get_or_create(&labels).inc_by(account.skipped_bytes);
        for (reason, bytes) in &account.dropped_bytes {
            let labels = Lost { log_group: group.to_string(), reason: reason.as_str() };
            dropped.get_or_create(&labels).inc_by(*bytes);
        }
    }
}

fn queues(registry: &mut Registry, figures: &Figures) {
    type Part = fn(&watchbell_functions::queue::Figures) -> u64;
    let gauges: [(&str, &str, Part); 3] = [
        ("queue_messages_visible", "Messages that can be received", |queue| queue.visible),
        ("queue_messages_in_flight", "Messages that are hidden because somebody works on them", |queue| {
            queue.in_flight
        }),
        ("queue_dead_letters", "Messages that were received too often", |queue| queue.dead),
    ];
    let label = |name: &String| Queue { queue: name.clone() };
    let gauge = |value| i64::try_from(value).unwrap_or(i64::MAX);
    for (name, help, part) in gauges {
        let family = Family::<Queue, Gauge>::default();
        registry.register(name, help, family.clone());
        for (queue, held) in &figures.queues {
            family.get_or_create(&label(queue)).set(gauge(part(held)));
        }
    }
    let help = "Age of the oldest message that is no dead letter; 0 without one";
    let ages = Family::<Queue, Gauge>::default();
    registry.register_with_unit("queue_oldest_message_age", help, Unit::Seconds, ages.clone());
    for (queue, held) in &figures.queues {
        ages.get_or_create(&label(queue)).set(gauge(held.oldest_age_s(figures.now)));
    }
    let totals: [(&str, &str, Part); 5] = [
        ("queue_received_messages", "Receives of messages", |queue| queue.totals.received),
        ("queue_deleted_messages", "Messages deleted", |queue| queue.totals.deleted),
        ("queue_dead_lettered_messages", "Messages that became dead letters", |queue| queue.totals.dead),
        ("queue_redriven_messages", "Dead letters that were offered again", |queue| queue.totals.redriven),
        ("queue_expired_messages", "Messages and dead letters that were too old", |queue| {
            queue.totals.expired
        }),
    ];
    for (name, help, part) in totals {
        let totals = family(registry, name, help);
        for (queue, held) in &figures.queues {
            totals.get_or_create(&label(queue)).inc_by(part(held));
        }
    }
}

/// What functions did since the start, and how many workers they have.
fn functions_at_work(registry: &mut Registry, figures: &Figures) {
    type Part = fn(&functions::Told) -> u64;
    let label = |told: &functions::Told| Function { function: told.function.clone() };
    let totals: [(&str, &str, Part); 9] = [
        ("function_succeeded_messages", "Messages of which no event failed", |it| it.figures.whole_messages),
        (
            "function_bisected_messages",
            "Messages of which some events became dead letters and the rest went on",
            |it| it.figures.bisected_messages,
        ),
        (
            "function_dead_lettered_messages",
            "Messages that became dead letters with all their events",
            |it| it.figures.dead_messages,
        ),
        ("function_failed_messages", "Attempts at messages that failed and are made again", |it| {
            it.figures.tried_again
        }),
        (
            "function_too_late_messages",
            "Messages that were offered to somebody else before they were completed",
            |it| it.figures.too_late,
        ),
        ("function_events", "Events of messages that were completed", |it| it.figures.events),
        ("function_dead_lettered_events", "Events that became dead letters", |it| it.figures.failed_events),
        ("function_raised_events", "Events that were raised", |it| it.figures.raised_events),
        ("function_raised_values", "Values of metrics that were raised and that some alarm watches", |it| {
            it.figures.raised_values
        }),
    ];
    for (name, help, part) in totals {
        let totals = family(registry, name, help);
        for told in &figures.functions {
            totals.get_or_create(&label(told)).inc_by(part(told));
        }
    }
    let help = "Time that workers spent on messages, waiting for the disk included";
    let work = Family::<Function, Counter<f64, AtomicU64>>::default();
    registry.register_with_unit("function_work", help, Unit::Seconds, work.clone());
    for told in &figures.functions {
        let time = Duration::from_millis(told.figures.worked_ms);
        work.get_or_create(&label(told)).inc_by(time.as_secs_f64());
    }
    let workers: [(&str, &str, Part); 3] = [
        ("function_workers", "Workers that run", |it| it.workers.into()),
        ("function_workers_min", "Workers that there are at least", |it| it.bounds.min.into()),
        ("function_workers_max", "Workers that there are at most", |it| it.bounds.max.into()),
    ];
    for (name, help, part) in workers {
        let family = Family::<Function, Gauge>::default();
        registry.register(name, help, family.clone());
        for told in &figures.functions {
            family.get_or_create(&label(told)).set(i64::try_from(part(told)).unwrap_or(i64::MAX));
        }
    }
}

fn alarms(registry: &mut Registry, figures: &Figures) {
    let states = Family::<Alarm, Gauge>::default();
    registry.register(
        "alarm_state",
        "1 for the state that the alarm is in, 0 for the others",
        states.clone(),
    );
    for (name, in_force) in &figures.alarms {
        for state in [AlarmState::Ok, AlarmState::Alarm, AlarmState::InsufficientData] {
            let labels = Alarm { alarm: name.clone(), state: state.as_str() };
            states.get_or_create(&labels).set(i64::from(*in_force == state));
        }
    }
}

fn agents(registry: &mut Registry, figures: &Figures) {
    let (silent, waiting) = (Family::<Agent, Gauge>::default(), Family::<Agent, Gauge>::default());
    registry.register_with_unit(
        "agent_silent",
        "How long ago the agent was last heard of",
        Unit::Seconds,
        silent.clone(),
    );
    registry.register_with_unit(
        "agent_waiting",
        "What waited on the agent to be shipped",
        Unit::Bytes,
        waiting.clone(),
    );
    for agent in &figures.agents {
        let labels = Agent { agent: agent.name.clone(), installation: agent.agent.clone() };
        silent.get_or_create(&labels).set(i64::try_from(agent.silent_ms / 1000).unwrap_or(i64::MAX));
        waiting.get_or_create(&labels).set(i64::try_from(agent.waiting_bytes).unwrap_or(i64::MAX));
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use watchbell_model::{LossReason, OwnMetric, Workers};

    use super::*;

    const PAGE: &str = include_str!("../../docs/reference/metrics.md");

    /// One of everything.
    fn figures() -> Figures {
        let group = GroupName::new("shop/app").unwrap();
        let counters = Counters {
            groups: [(group.clone(), GroupCounters::default())].into(),
            filters: BTreeMap::new(),
            losses: [((group.clone(), LossReason::Truncated), (1, 0))].into(),
        };
        let account = Account { dropped_bytes: [(LossReason::LineTooLong, 4)].into(), ..Account::default() };
        Figures {
            counters,
            alarms: vec![("errors".into(), AlarmState::Ok)],
            filters: vec!["errors".into()],
            series: 1,
            source_lag_bytes: [(group.clone(), 5)].into(),
            source_read_bytes: [(group.clone(), 9)].into(),
            accounts: [(group.clone(), account)].into(),
            redacted: [(group.clone(), 1)].into(),
            messages_waiting: 2,
            archive_waiting_bytes: 3,
            archived_events: 4,
            journal_next_offset: 5,
            queues: vec![(
                "events".into(),
                watchbell_functions::queue::Figures {
                    visible: 1,
                    in_flight: 2,
                    dead: 3,
                    oldest: None,
                    totals: watchbell_functions::queue::Totals::default(),
                },
            )],
            otlp_rejected: 6,
            now: Timestamp(0),
            turned_away: vec![("network", 2)],
            input_turned_away: [((group.clone(), "network"), 1)].into(),
            agents: vec![AgentReport {
                agent: "0123456789abcdef".into(),
                name: "web-1".into(),
                principal: "token web".into(),
                version: "0.1".into(),
                last_seen: String::new(),
                silent_ms: 5000,
                clock_ahead_ms: 0,
                waiting_bytes: 7,
            }],
            functions: vec![functions::Told {
                function: "enrich".into(),
                figures: functions::Figures::default(),
                workers: 1,
                bounds: Workers { min: 1, max: 8 },
            }],
        }
    }

    #[test]
    fn the_page_lists_each_metric_with_its_type_and_no_other() {
        let text = text(&figures());
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let told: BTreeSet<String> = types
            .map(|(name, kind)| {
                let total = if kind == "counter" { "_total" } else { "" };
                format!("| `{name}{total}` | {kind} ")
            })
            .collect();
        let rows = PAGE.lines().filter(|line| line.starts_with("| `watchbell_"));
        let listed: BTreeSet<String> =
            rows.map(|row| row.splitn(4, '|').take(3).collect::<Vec<_>>().join("|")).collect();
        assert_eq!(listed, told);
    }

    #[test]
    fn the_page_lists_watchbells_own_metrics() {
        let row = |own: OwnMetric| {
            let quoted: Vec<String> = own.dimensions.iter().map(|name| format!("`{name}`")).collect();
            format!("| `{}` | {} | {} | {} |\n", own.name, quoted.join(", "), own.unit, own.doc)
        };
        let table: String = OwnMetric::ALL.into_iter().map(row).collect();
        assert!(PAGE.contains(&table), "docs/reference/metrics.md lacks this table:\n{table}");
    }
}
