//! The shipper: sends what is in the agent's journal, in order, one shipment at a time.
//!
//! Promise: the cursor moves only after the other side said that a shipment is on its disk, and the move is journaled.
//! What cannot be sent is kept and tried again, however long it takes; nothing is dropped and nothing is overtaken.
//! Not here: how a shipment gets there ([`super::upstream`]).

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use watchbell_journal::{Disk, JournalError, Reader, Readers, Upkeep};
use watchbell_model::{
    Entry, InstallationId, Offset, SHIPMENT_ENTRIES_MAX, SHIPMENT_FORMAT, ShipmentBuilder, ShipmentHead,
    Timestamp,
};
use watchbell_notify::backoff;

use super::upstream::{Sent, Upstream};
use crate::run::clock::Clock;
use crate::run::fold::SharedFold;
use crate::run::snapshot;
use crate::run::sources::{SourceReport, SourceState, Sources};
use crate::run::writer::{Durable, Writer};

/// A shipment is sent once it has so many bytes, or nothing more waits.
pub const SHIPMENT_FILL_BYTES: usize = 1024 * 1024;

/// The attempt after which pauses grow no more: 32 s, less up to a quarter.
const BACKOFF_ATTEMPT_MAX: u32 = 6;

/// How long what was refused waits: nothing changes before somebody does.
const REFUSED_AGAIN: Duration = Duration::from_mins(1);

/// How often the other side is told how the files are, in milliseconds; also that this agent is alive.
pub const REPORT_EVERY_MS: i64 = 10_000;

/// How soon after the last time, if something was shipped since then and nothing more waits.
const REPORT_AGAIN_MS: i64 = 1000;

/// Files that it tells of at most; of fewer, if their paths are very long.
pub const REPORTED_SOURCES_MAX: usize = 5000;

/// How many bytes that may take: less than [`watchbell_model::SHIPMENT_HEAD_BYTES_MAX`] leaves for the rest.
const REPORT_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Shipped bytes after which segments that nobody needs any more are let go.
const RELEASE_EVERY_BYTES: usize = 8 * 1024 * 1024;

/// What a shipper is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    /// Go on for ever.
    Run,
    /// Send what is there, and end; end as well when something does not work.
    Finish,
    /// End now.
    Stop,
}

/// The last trouble that was said; `None` while shipments arrive.
pub(super) type Trouble = Arc<Mutex<Option<String>>>;

/// Who ships and where to, replaced by a reload.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) upstream: Upstream,
    pub(super) to: String,
    pub(super) host: String,
}

/// The thread's own side.
pub(super) struct Shipper {
    pub(super) installation: InstallationId,
    pub(super) route: Arc<Mutex<Route>>,
    /// Changes with every replacement of `route`.
    pub(super) routes: watch::Receiver<u64>,
    pub(super) orders: watch::Receiver<Order>,
    pub(super) fold: SharedFold,
    pub(super) readers: Readers,
    pub(super) durable: Durable,
    pub(super) writer: Writer,
    pub(super) upkeep: Upkeep,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) snapshots: PathBuf,
    pub(super) sources: Sources,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) trouble: Trouble,
}

/// What is known from one shipment to the next.
struct Memory {
    /// Where the reader stands: what is before it is shipped, or in the shipment at hand.
    next: Offset,
    reported_at: Option<Timestamp>,
    /// Something was shipped since then.
    unreported: bool,
    shipped_bytes: usize,
    /// Attempts since the last that worked.
    failures: u32,
}

/// Whether to go on.
#[derive(PartialEq, Eq)]
enum Go {
    On,
    Home,
}

impl Shipper {
    /// Ships until it is told to end.
    ///
    /// # Errors
    /// [`JournalError`] if the agent's own journal cannot be read.
    pub(super) fn run(mut self, next: Offset, runtime: &Handle) -> Result<(), JournalError> {
        let mut reader = self.readers.reader(next.0)?;
        let mut memory = Memory { next, reported_at: None, unreported: true, shipped_bytes: 0, failures: 0 };
        self.release(next);
        loop {
            // Asked before it is looked at: what is journaled from here on wakes.
            self.durable.mark_unchanged();
            let order = *self.orders.borrow_and_update();
            let shipment = Shipper::gather(&mut reader, &mut memory)?;
            let is_idle = shipment.is_empty();
            if order == Order::Stop || is_idle && order == Order::Finish {
                return Ok(());
            }
            if is_idle && !self.is_report_due(&memory, true) {
                runtime.block_on(self.wait_for_more(&memory));
            } else if runtime.block_on(self.deliver(&shipment, &mut memory)) == Go::Home {
                return Ok(());
            }
        }
    }

    /// The next entries that are to be shipped; none if nothing waits.
    fn gather(reader: &mut Reader, memory: &mut Memory) -> Result<ShipmentBuilder, JournalError> {
        let mut shipment = ShipmentBuilder::default();
        while shipment.bytes() < SHIPMENT_FILL_BYTES && shipment.len() < SHIPMENT_ENTRIES_MAX {
            let Some(entry) = reader.next()? else { break };
            memory.next = Offset(entry.offset).next();
            if Entry::is_shipped(entry.kind) {
                let (offset, time) = (Offset(entry.offset), Timestamp(entry.time_ms));
                shipment.push(offset, time, entry.kind, &entry.payload);
            }
        }
        Ok(shipment)
    }

    fn is_report_due(&self, memory: &Memory, is_idle: bool) -> bool {
        let Some(at) = memory.reported_at else { return true };
        let since_ms = self.clock.now().ms_since(at);
        // A clock that stepped back must not silence it.
        !(0..REPORT_EVERY_MS).contains(&since_ms)
            || is_idle && memory.unreported && since_ms >= REPORT_AGAIN_MS
    }

    async fn wait_for_more(&mut self, memory: &Memory) {
        let every_ms = if memory.unreported { REPORT_AGAIN_MS } else { REPORT_EVERY_MS };
        let due = memory.reported_at.map_or(self.clock.now(), |at| at.plus_ms(every_ms));
        tokio::select! {
            _ = self.durable.changed() => {}
            _ = self.orders.changed() => {}
            () = tokio::time::sleep(self.clock.sleep_until(due)) => {}
        }
    }

    /// Sends until it is there; [`Go::Home`] if it is to end before that. What has no entries is sent once: before the next
    /// attempt it is looked whether there are some by then.
    async fn deliver(&mut self, shipment: &ShipmentBuilder, memory: &mut Memory) -> Go {
        loop {
            self.routes.mark_unchanged();
            let route = self.route.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let report = self.is_report_due(memory, shipment.is_empty());
            let head = self.head(&route, report);
            let mut orders = self.orders.clone();
            let sent = tokio::select! {
                sent = route.upstream.send(&head, shipment) => sent,
                _ = orders.wait_for(|order| *order == Order::Stop) => return Go::Home,
            };
            if sent == Sent::Stored {
                memory.failures = 0;
                self.delivered(shipment, memory, report, &route).await;
                return Go::On;
            }
            memory.failures = memory.failures.saturating_add(1);
            let pause = self.say_trouble(&route, sent, memory.failures);
            if *self.orders.borrow() != Order::Run {
                return Go::Home;
            }
            self.pause(pause, shipment.is_empty()).await;
            if shipment.is_empty() {
                return Go::On;
            }
        }
    }

    fn head(&self, route: &Route, report: bool) -> ShipmentHead {
        let now = self.clock.now();
        let (waiting_bytes, ledger) = {
            let fold = self.fold.look();
            (fold.buffer.bytes(), report.then(|| fold.ledger.clone()))
        };
        let sources = ledger.map(|ledger| {
            let mut sources = self.sources.report(&ledger, now);
            sources.retain(|source| source.state != SourceState::Gone);
            sources.truncate(REPORTED_SOURCES_MAX);
            let told = |sources: &[SourceReport]| {
                serde_json::to_value(sources).expect("reports have only texts and numbers")
            };
            while sources.len() > 1 && told(&sources).to_string().len() > REPORT_BYTES_MAX {
                sources.truncate(sources.len() / 2);
            }
            told(&sources)
        });
        ShipmentHead {
            format: SHIPMENT_FORMAT,
            agent: self.installation,
            host: route.host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sent_at: now,
            waiting_bytes,
            groups: Vec::new(),
            sources,
        }
    }

    async fn delivered(&self, shipment: &ShipmentBuilder, memory: &mut Memory, report: bool, route: &Route) {
        if self.trouble().take().is_some() {
            tracing::info!(to = route.to, "shipping again");
        }
        if report {
            (memory.reported_at, memory.unreported) = (Some(self.clock.now()), false);
        }
        if shipment.is_empty() {
            return;
        }
        memory.unreported = true;
        let moved = self.writer.append_told(Entry::ShippedTo(memory.next));
        memory.shipped_bytes += shipment.bytes();
        if memory.shipped_bytes >= RELEASE_EVERY_BYTES {
            memory.shipped_bytes = 0;
            // Before the move is on disk the next start may need the segments.
            if let Ok(Ok(_)) = moved.await {
                self.release(memory.next);
            }
        }
    }

    /// Lets segments go that hold nothing but what is shipped, and that no start reads.
    fn release(&self, shipped: Offset) {
        let released = match snapshot::newest_offset(self.disk.as_ref(), &self.snapshots) {
            Ok(snapshot) => self.upkeep.release(shipped.0.min(snapshot)).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match released {
            Ok(0) => {}
            Ok(segments) => tracing::debug!(segments, "shipped segments are let go"),
            Err(error) => tracing::warn!(error, "shipped segments are kept for now"),
        }
    }

    /// Says what is wrong, once for each kind of trouble; how long to wait.
    fn say_trouble(&self, route: &Route, sent: Sent, attempt: u32) -> Duration {
        let seed = u64::from_be_bytes(self.installation.0);
        let (reason, pause) = match sent {
            Sent::Again { reason, after } => {
                let pause = backoff(attempt.min(BACKOFF_ATTEMPT_MAX), seed).max(after.unwrap_or_default());
                if self.trouble().as_ref() != Some(&reason) {
                    tracing::warn!(to = route.to, reason, "not shipped now: kept, and tried again");
                }
                (reason, pause)
            }
            Sent::Refused { reason, help } => {
                let help = help.unwrap_or_default();
                tracing::error!(
                    to = route.to,
                    reason,
                    help,
                    "refused: nothing is shipped until this is changed; kept, and tried again every minute"
                );
                (reason, REFUSED_AGAIN)
            }
            Sent::Stored => unreachable!("that is no trouble"),
        };
        *self.trouble() = Some(reason);
        pause
    }

    fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, unless it is to end or has another route; with `or_more` also not once something more is journaled.
    async fn pause(&mut self, pause: Duration, or_more: bool) {
        let until = self.clock.now().plus_ms(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
        loop {
            let left = self.clock.sleep_until(until);
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                _ = self.orders.changed() => return,
                _ = self.routes.changed() => return,
                _ = self.durable.changed(), if or_more => return,
            }
        }
    }
}
