//! What HTTP sees of the running process.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use watchbell_functions::queue::View;
use watchbell_intake::{Joiner, Redactor};
use watchbell_model::{
    Action, Batch, EventId, GroupName, InstallationId, LogGroup, ParseKind, Timestamp, TrailOutcome,
};
use watchbell_parse::Timestamps;
use watchbell_server::{
    Accepted, AccessInForce, BoxFuture, Denied, GroupInForce, Host, IngestError, QueueAsk, QueueError,
    Received, ShipAccepted, TimestampOf, TurnedAway,
};

use super::agents::Agents;
use super::broker::{Ask, Asked};
use super::clock::Clock;
use super::door::TurnedAwayCount;
use super::fold::SharedFold;
use super::functions::Functions;
use super::metrics::{self, Figures};
use super::own::SourceLag;
use super::sources::Sources;
use super::trail::TrailDraft;
use super::writer::{AppendError, Writer};

/// How the lines of one log group are read.
struct Group {
    name: GroupName,
    /// Finds the time in them, unless nobody needs it.
    timestamps: Option<Arc<Timestamps>>,
    /// They are JSON.
    is_json: bool,
    /// Puts them together, if they are.
    joiner: Option<Arc<Joiner>>,
}

/// The part of a plan that HTTP needs; replaced by a reload.
pub struct InForce {
    /// Who may call.
    access: Arc<AccessInForce>,
    /// Where events may go.
    groups: BTreeMap<String, Group>,
    /// Of which services log groups take log records.
    otlp_services: Vec<(String, Vec<String>)>,
    /// Takes out what must not be stored.
    redactor: Arc<Redactor>,
}

impl InForce {
    /// For log groups of a plan.
    pub fn new(
        groups: &BTreeMap<GroupName, LogGroup>,
        access: Arc<AccessInForce>,
        redactor: Arc<Redactor>,
    ) -> InForce {
        let one = |(name, group): (&GroupName, &LogGroup)| {
            let timestamps = Timestamps::new(group.parse, &group.timestamp).expect("the plan was checked");
            let timestamps = Some(Arc::new(timestamps)).filter(|timestamps| timestamps.are_in_lines());
            let joiner = group.multiline.as_ref();
            let joiner = joiner.map(|it| Arc::new(Joiner::new(it).expect("the plan was checked")));
            (
                name.to_string(),
                Group { name: name.clone(), timestamps, is_json: group.parse == ParseKind::Json, joiner },
            )
        };
        let services = |(name, group): (&GroupName, &LogGroup)| {
            Some((name.to_string(), group.inputs.otlp.as_ref()?.services.clone()))
        };
        let otlp_services = groups.iter().filter_map(services).collect();
        InForce { access, groups: groups.iter().map(one).collect(), otlp_services, redactor }
    }
}

/// How often it is said that log records are rejected, in milliseconds; all are counted.
const REJECTED_AGAIN_MS: i64 = 60_000;

/// Log records that were rejected since the start, and when that was last said.
#[derive(Debug, Default)]
pub struct Rejections(Mutex<(u64, Option<Timestamp>)>);

impl Rejections {
    /// So many more; whether it is time to say so.
    fn add(&self, records: u64, now: Timestamp) -> bool {
        let mut rejections = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rejections.0 += records;
        let is_time = rejections.1.is_none_or(|last| now.ms_since(last).abs() >= REJECTED_AGAIN_MS);
        if is_time {
            rejections.1 = Some(now);
        }
        is_time
    }

    fn total(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Denied calls that are recorded in a second; more are counted, and the count stands in the next record.
///
/// Whoever is denied must not be able to fill the journal.
pub const DENIALS_PER_SECOND_MAX: u32 = 20;

/// How many denied calls there were in the current second, and how many went unrecorded since the last record.
#[derive(Debug, Default)]
pub struct Denials(Mutex<(Timestamp, u32, u64)>);

impl Denials {
    /// Whether a call denied `now` is recorded: then, how many before it were not.
    fn admit(&self, now: Timestamp) -> Option<u64> {
        let mut denials = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (second, seen, unrecorded) = &mut *denials;
        if *second != now.floor_to(1000) {
            (*second, *seen) = (now.floor_to(1000), 0);
        }
        *seen += 1;
        if *seen > DENIALS_PER_SECOND_MAX {
            *unrecorded += 1;
            return None;
        }
        Some(std::mem::take(unrecorded))
    }
}

/// The running process, for HTTP.
pub struct Process {
    /// Part of every event id.
    pub installation: InstallationId,
    /// Takes batches.
    pub writer: Writer,
    /// Knows what metrics tell.
    pub fold: SharedFold,
    /// Asks the broker.
    pub broker: mpsc::Sender<Asked>,
    /// Knows how functions do.
    pub functions: Arc<Functions>,
    /// Knows what has not been read.
    pub lag: SourceLag,
    /// Knows what is followed.
    pub sources: Sources,
    /// Knows what agents told.
    pub agents: Arc<Agents>,
    /// Tells the second of a denied call.
    pub clock: Arc<dyn Clock>,
    /// Keeps denied calls from filling the journal.
    pub denials: Denials,
    /// Counts connections that are turned away.
    pub turned_away: TurnedAwayCount,
    /// Counts log records that no log group takes.
    pub rejections: Rejections,
    /// Turns true when the process stops.
    pub stopping: watch::Receiver<bool>,
    /// The plan's part.
    pub in_force: Mutex<InForce>,
}

impl Process {
    /// Puts another plan's part in force.
    pub fn replace(&self, in_force: InForce) {
        *self.lock() = in_force;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, InForce> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for Process {
    fn access(&self) -> Arc<AccessInForce> {
        Arc::clone(&self.lock().access)
    }

    fn group(&self, name: &str) -> Option<GroupInForce> {
        let in_force = self.lock();
        let Group { name, timestamps, is_json, joiner } = in_force.groups.get(name)?;
        let (name, timestamps, joiner) = (name.clone(), timestamps.clone(), joiner.clone());
        let whole_records = *is_json;
        let redactor = Arc::clone(&in_force.redactor);
        drop(in_force);
        let arrival = self.clock.now();
        let timestamp = timestamps
            .map(|timestamps| Arc::new(move |line: &str| timestamps.of(line, arrival)) as TimestampOf);
        Some(GroupInForce { name, timestamp, redactor, whole_records, joiner })
    }

    fn otlp_services(&self) -> Vec<(String, Vec<String>)> {
        self.lock().otlp_services.clone()
    }

    fn otlp_rejected(&self, records: u64, service: &str) {
        if self.rejections.add(records, self.clock.now()) {
            let total = self.rejections.total();
            tracing::warn!(
                records,
                service,
                total,
                "log records are rejected: no log group takes them, or they are empty"
            );
        }
    }

    fn group_names(&self) -> Vec<String> {
        self.lock().groups.keys().cloned().collect()
    }

    fn ingest(&self, batch: Batch) -> BoxFuture<'static, Result<Accepted, IngestError>> {
        let told = self.writer.try_batch(batch);
        let installation = self.installation;
        Box::pin(async move {
            let receipt =
                told.map_err(refusal)?.await.map_err(|_| IngestError::Stopping)?.map_err(refusal)?;
            let first = EventId { installation, offset: receipt.offset, line: 0 };
            Ok(Accepted {
                first_event_id: Some(first).filter(|_| receipt.events > 0),
                offset: receipt.offset,
                events: receipt.events,
                duplicate: receipt.duplicate,
            })
        })
    }

    fn ship(&self, received: Received) -> BoxFuture<'static, Result<ShipAccepted, IngestError>> {
        let Received { principal, head, entries } = received;
        let call = TrailDraft::done(Action::PutLogEvents.as_str(), format!("agent {}", head.agent));
        let call = call.by(&principal).detail("name", &head.host);
        let told = (!entries.is_empty()).then(|| self.writer.try_shipment(entries, call));
        let (agents, now) = (Arc::clone(&self.agents), self.clock.now());
        Box::pin(async move {
            let mut accepted = ShipAccepted { events: 0, duplicate: false };
            if let Some(told) = told {
                let receipt =
                    told.map_err(refusal)?.await.map_err(|_| IngestError::Stopping)?.map_err(refusal)?;
                accepted = ShipAccepted { events: receipt.events, duplicate: receipt.duplicate };
            }
            // With groups it only asks whether they would be taken.
            if head.groups.is_empty() {
                agents.heard(principal, head, now);
            }
            Ok(accepted)
        })
    }

    fn queue(&self, ask: QueueAsk) -> BoxFuture<'static, Result<Value, QueueError>> {
        let QueueAsk { queue, principal, call } = ask;
        let (reply, answer) = oneshot::channel();
        let sent = self.broker.try_send(Asked::Outside(Ask { queue, principal, call, reply }));
        Box::pin(async move {
            sent.map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => QueueError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => QueueError::Stopping,
            })?;
            answer.await.unwrap_or(Err(QueueError::Stopping))
        })
    }

    fn queue_figures(&self) -> BTreeMap<String, Value> {
        let (fold, now) = (self.fold.look(), self.clock.now());
        fold.queues.iter().map(|(name, view)| (name.to_owned(), figures(name, view, now))).collect()
    }

    fn denied(&self, denied: Denied) {
        let actor = denied.token.map_or_else(|| "unknown caller".to_owned(), |name| format!("token {name}"));
        let (resource, reason) = (denied.resource, denied.reason.as_str());
        let Some(unrecorded) = self.denials.admit(self.clock.now()) else { return };
        tracing::warn!(actor, resource, reason, unrecorded, "call denied");
        let draft = TrailDraft::done("http.call", resource).by(actor).outcome(TrailOutcome::Denied);
        let action = denied.action.map_or("any", |action| action.as_str());
        let draft = draft.detail("action", action).detail("reason", reason);
        self.writer.trail(if unrecorded > 0 { draft.detail("unrecorded_before", unrecorded) } else { draft });
    }

    fn turned_away(&self, peer: IpAddr, why: &TurnedAway) {
        self.turned_away.count(peer, why, self.clock.now());
    }

    fn ready(&self) -> Result<(), String> {
        // The server starts only after everything else has.
        if *self.stopping.borrow() {
            Err("watchbell is stopping".to_owned())
        } else if let Some(reason) = self.writer.is_full() {
            Err(format!("{reason}: no lines are taken"))
        } else {
            Ok(())
        }
    }

    fn metrics(&self) -> String {
        let mut figures = Figures::of(&self.fold.look(), &self.lag, &self.sources, self.clock.now());
        figures.turned_away = self.turned_away.look().into();
        figures.agents = self.agents.report(self.clock.now());
        figures.otlp_rejected = self.rejections.total();
        figures.functions = self.functions.told();
        metrics::text(&figures)
    }

    fn functions(&self) -> String {
        json!({ "functions": self.functions.report() }).to_string()
    }

    fn sources(&self) -> String {
        // Looked at first: then what was read is never less than what is journaled of it.
        let ledger = self.fold.look().ledger.clone();
        let now = self.clock.now();
        let mut sources = self.sources.report(&ledger, now);
        self.agents.complete(&mut sources, &ledger, now);
        serde_json::json!({ "sources": sources, "agents": self.agents.report(now) }).to_string()
    }
}

fn refusal(error: AppendError) -> IngestError {
    match error {
        AppendError::Overloaded | AppendError::BufferFull => IngestError::Overloaded,
        AppendError::NoSpace => IngestError::NoSpace,
        AppendError::JournalFull(reason) => IngestError::JournalFull(reason),
        AppendError::Stopping => IngestError::Stopping,
        AppendError::TooLarge { .. }
        | AppendError::BatchIdTaken { .. }
        | AppendError::OtherAgent { .. }
        | AppendError::TooManyAgents => IngestError::Refused(error.to_string()),
        AppendError::Disk(reason) => IngestError::Failed(reason),
    }
}

/// What a queue holds, as it is told.
fn figures(name: &str, view: &View, now: Timestamp) -> Value {
    let (figures, rule) = (view.figures(now), view.rule());
    let totals = figures.totals;
    json!({
        "queue": name,
        "visible": figures.visible,
        "in_flight": figures.in_flight,
        "dead": figures.dead,
        "oldest_age_s": figures.oldest_age_s(now),
        "received": totals.received,
        "deleted": totals.deleted,
        "dead_lettered": totals.dead,
        "redriven": totals.redriven,
        "expired": totals.expired,
        "visibility_timeout_s": rule.visibility_timeout_ms / 1000,
        "max_receives": rule.max_receives,
        "retention_s": rule.retention_ms / 1000,
        "dead_letter_retention_s": rule.dead_letter_retention_ms / 1000,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_denied_calls_is_counted_and_not_recorded_one_by_one() {
        let denials = Denials::default();
        let recorded = (0..100).filter_map(|_| denials.admit(Timestamp(5000))).count();
        assert_eq!(recorded, 20);
        assert_eq!(denials.admit(Timestamp(6000)), Some(80));
        assert_eq!(denials.admit(Timestamp(6001)), Some(0));
    }
}
