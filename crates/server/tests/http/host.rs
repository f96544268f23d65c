//! The process behind the server, as far as a test needs one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use watchbell_intake::Joiner;
use watchbell_model::{
    Access, Action, Batch, EventId, GroupName, InstallationId, Multiline, MultilineBy, Offset, Role,
    SecretRef, Source, Statement, Timestamp, Token,
};
use watchbell_server::{
    Accepted, AccessInForce, BoxFuture, Denied, GroupInForce, Host, IngestError, QueueAsk, QueueError,
    Received, ShipAccepted, TimestampOf, TurnedAway,
};

use crate::client::soon;

/// How `/aws/x#y` puts lines together.
const JAVA: Multiline = Multiline { by: MultilineBy::Java, timeout_ms: 1000, lines_max: 3 };

/// The only queue there is.
pub(crate) const QUEUE: &str = "events";

/// Records batches, what is asked of the queue, and denials. Its log groups are `shop/access`, which takes times from lines that are numbers,
/// `shop/app`, and `/aws/x#y`.
pub(crate) struct Recorder {
    pub(crate) access: Mutex<Arc<AccessInForce>>,
    pub(crate) stored: Arc<Mutex<Vec<Batch>>>,
    pub(crate) denied: Mutex<Vec<Denied>>,
    /// What agents sent.
    pub(crate) shipped: Mutex<Vec<Received>>,
    /// Who was turned away, and why.
    pub(crate) turned_away: Mutex<Vec<(IpAddr, TurnedAway)>>,
    /// Log records of services that nobody takes.
    pub(crate) rejected: Mutex<Vec<(u64, String)>>,
    /// What was asked of queues.
    pub(crate) asked: Mutex<Vec<QueueAsk>>,
    /// What the queue is made to answer.
    pub(crate) queue_answer: Mutex<Result<Value, QueueError>>,
    /// What every batch is answered with, if not with its acceptance.
    pub(crate) error: Mutex<Option<IngestError>>,
    pub(crate) unready: Mutex<Option<String>>,
    pub(crate) metrics: Mutex<String>,
    /// One permit for each batch that reached `ingest`.
    pub(crate) arrived: Arc<Semaphore>,
    /// The disk: each batch waits for a permit.
    pub(crate) disk: Arc<Semaphore>,
}

impl Recorder {
    /// With a disk that is never busy, and no tokens.
    pub(crate) fn new() -> Arc<Recorder> {
        Recorder::with_disk(Semaphore::MAX_PERMITS / 2)
    }

    /// With a disk that stores so many batches and then waits for more permits.
    pub(crate) fn with_disk(batches: usize) -> Arc<Recorder> {
        Arc::new(Recorder {
            access: Mutex::new(Arc::new(AccessInForce::new(Access::default(), BTreeMap::new()))),
            stored: Arc::default(),
            denied: Mutex::default(),
            shipped: Mutex::default(),
            turned_away: Mutex::default(),
            rejected: Mutex::default(),
            asked: Mutex::default(),
            queue_answer: Mutex::new(Ok(json!({ "messages": [] }))),
            error: Mutex::default(),
            unready: Mutex::default(),
            metrics: Mutex::new("# EOF\n".to_owned()),
            arrived: Arc::new(Semaphore::new(0)),
            disk: Arc::new(Semaphore::new(batches)),
        })
    }

    /// Puts tokens in force: `shipper-value` may send to `shop/*`, `monitor-value` may read metrics and status.
    pub(crate) fn ask_for_tokens(&self) {
        let mut access = Access::default();
        let mut values = BTreeMap::new();
        for (name, allow, on) in [
            ("shipper", vec![Action::PutLogEvents], "shop/*"),
            ("worker", vec![Action::ReceiveMessage], "events"),
            ("monitor", vec![Action::GetMetrics, Action::GetStatus], "watchbell"),
        ] {
            let statements = vec![Statement { allow, on: vec![on.to_owned()] }];
            access.roles.insert(name.to_owned(), Role { statements });
            let token = Token { value: SecretRef::Env(name.to_uppercase()), roles: vec![name.to_owned()] };
            access.tokens.insert(name.to_owned(), token);
            values.insert(name.to_owned(), format!("{name}-value").into_bytes());
        }
        *self.access.lock().unwrap() = Arc::new(AccessInForce::new(access, values));
    }

    /// Waits until so many batches reached `ingest` since the last call.
    pub(crate) async fn batches_arrived(&self, batches: u32) {
        soon(self.arrived.acquire_many(batches)).await.unwrap().forget();
    }

    /// The batches on disk so far.
    pub(crate) fn batches(&self) -> Vec<Batch> {
        self.stored.lock().unwrap().clone()
    }

    /// The texts of all events on disk so far.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.batches()
            .iter()
            .flat_map(|batch| batch.events().map(|e| e.message.to_owned()).collect::<Vec<_>>())
            .collect()
    }
}

/// Puts the batch on the list of stored ones, unless its batch id is there already.
fn store(stored: &Mutex<Vec<Batch>>, batch: Batch) -> Accepted {
    let mut stored = stored.lock().unwrap();
    let named = |batch: &Batch| match &batch.source {
        Source::Http { batch_id, .. } => batch_id.clone(),
        _ => None,
    };
    let known = named(&batch).and_then(|id| stored.iter().position(|it| named(it).as_ref() == Some(&id)));
    let at = known.unwrap_or(stored.len());
    if known.is_none() {
        stored.push(batch);
    }
    let offset = Offset(at as u64);
    let first_event_id = Some(EventId { installation: InstallationId(*b"recorder"), offset, line: 0 });
    Accepted { first_event_id, offset, events: stored[at].len(), duplicate: known.is_some() }
}

impl Host for Recorder {
    fn access(&self) -> Arc<AccessInForce> {
        self.access.lock().unwrap().clone()
    }

    fn group(&self, name: &str) -> Option<GroupInForce> {
        let from_line: TimestampOf = Arc::new(|line| line.parse().ok().map(Timestamp));
        self.group_names().contains(&name.to_owned()).then(|| GroupInForce {
            name: GroupName::new(name).unwrap(),
            timestamp: Some(from_line).filter(|_| name == "shop/access"),
            redactor: Arc::default(),
            whole_records: name == "/aws/x#y",
            joiner: (name == "/aws/x#y").then(|| Arc::new(Joiner::new(&JAVA).unwrap())),
        })
    }

    fn otlp_services(&self) -> Vec<(String, Vec<String>)> {
        let all = [("shop/access", "s*"), ("shop/app", "shop"), ("/aws/x#y", "x")];
        all.map(|(group, service)| (group.to_owned(), vec![service.to_owned()])).to_vec()
    }

    fn otlp_rejected(&self, records: u64, service: &str) {
        self.rejected.lock().unwrap().push((records, service.to_owned()));
    }

    fn group_names(&self) -> Vec<String> {
        ["shop/app", "shop/access", "/aws/x#y"].map(str::to_owned).to_vec()
    }

    fn ingest(&self, batch: Batch) -> BoxFuture<'static, Result<Accepted, IngestError>> {
        assert!(!batch.is_empty(), "a batch has at least one event");
        self.arrived.add_permits(1);
        let (disk, stored) = (Arc::clone(&self.disk), Arc::clone(&self.stored));
        let error = self.error.lock().unwrap().clone();
        Box::pin(async move {
            disk.acquire().await.expect("never closed").forget();
            error.map_or_else(|| Ok(store(&stored, batch)), Err)
        })
    }

    fn ship(&self, received: Received) -> BoxFuture<'static, Result<ShipAccepted, IngestError>> {
        let events = received.entries.len();
        self.shipped.lock().unwrap().push(received);
        let error = self.error.lock().unwrap().clone();
        Box::pin(async move { error.map_or(Ok(ShipAccepted { events, duplicate: false }), Err) })
    }

    fn queue(&self, ask: QueueAsk) -> BoxFuture<'static, Result<Value, QueueError>> {
        let is_known = ask.queue == QUEUE;
        self.asked.lock().unwrap().push(ask);
        let answer = self.queue_answer.lock().unwrap().clone();
        Box::pin(async move { if is_known { answer } else { Err(QueueError::NoSuchQueue) } })
    }

    fn queue_figures(&self) -> BTreeMap<String, Value> {
        [(QUEUE.to_owned(), json!({ "queue": QUEUE, "visible": 3 }))].into()
    }

    fn denied(&self, denied: Denied) {
        self.denied.lock().unwrap().push(denied);
    }

    fn turned_away(&self, peer: IpAddr, why: &TurnedAway) {
        self.turned_away.lock().unwrap().push((peer, why.clone()));
    }

    fn ready(&self) -> Result<(), String> {
        self.unready.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn metrics(&self) -> String {
        self.metrics.lock().unwrap().clone()
    }

    fn sources(&self) -> String {
        "{\"sources\":[]}".to_owned()
    }

    fn functions(&self) -> String {
        "{\"functions\":[]}".to_owned()
    }
}
