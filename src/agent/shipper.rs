//! The shipper: sends what is in the agent's journal, in order, one shipment at a time.
//!
//! Promise: the cursor moves only after the other side said that a shipment is on its disk, and the move is journaled.
//! What cannot be sent is kept and tried again, however long it takes; nothing is dropped and nothing is overtaken.
//! Not here: how a shipment gets there ([`super::upstream`]).

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use watchbell_journal::{JournalError, Reader};
use watchbell_model::{
    Entry, Offset, SHIPMENT_ENTRIES_MAX, SHIPMENT_FORMAT, ShipmentBuilder, ShipmentHead, Timestamp,
};

use super::desk::{Desk, Go, Order};
use super::upstream::Upstream;
use crate::run::sources::{SourceReport, SourceState, Sources};

/// A shipment is sent once it has so many bytes, or nothing more waits.
pub const SHIPMENT_FILL_BYTES: usize = 1024 * 1024;

/// How often the other side is told how the files are, in milliseconds; also that this agent is alive.
pub const REPORT_EVERY_MS: i64 = 10_000;

/// How soon after the last time, if something was shipped since then and nothing more waits.
const REPORT_AGAIN_MS: i64 = 1000;

/// Files that it tells of at most; of fewer, if their paths are very long.
pub const REPORTED_SOURCES_MAX: usize = 5000;

/// How many bytes that may take: less than [`watchbell_model::SHIPMENT_HEAD_BYTES_MAX`] leaves for the rest.
const REPORT_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Who ships and where to, replaced by a reload.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) upstream: Upstream,
    pub(super) to: String,
    pub(super) host: String,
}

/// The thread's own side.
pub(super) struct Shipper {
    pub(super) desk: Desk,
    pub(super) route: Arc<Mutex<Route>>,
    pub(super) sources: Sources,
}

/// What is known from one shipment to the next.
struct Memory {
    /// Where the reader stands: what is before it is shipped, or in the shipment at hand.
    next: Offset,
    reported_at: Option<Timestamp>,
    /// Something was shipped since then.
    unreported: bool,
}

impl Shipper {
    /// Ships until it is told to end.
    ///
    /// # Errors
    /// [`JournalError`] if the agent's own journal cannot be read.
    pub(super) fn run(mut self, next: Offset, runtime: &Handle) -> Result<(), JournalError> {
        let mut reader = self.desk.readers.reader(next.0)?;
        let mut memory = Memory { next, reported_at: None, unreported: true };
        self.desk.release(next);
        loop {
            // Asked before it is looked at: what is journaled from here on wakes.
            self.desk.durable.mark_unchanged();
            let order = *self.desk.orders.borrow_and_update();
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
        let since_ms = self.desk.clock.now().ms_since(at);
        // A clock that stepped back must not silence it.
        !(0..REPORT_EVERY_MS).contains(&since_ms)
            || is_idle && memory.unreported && since_ms >= REPORT_AGAIN_MS
    }

    async fn wait_for_more(&mut self, memory: &Memory) {
        let every_ms = if memory.unreported { REPORT_AGAIN_MS } else { REPORT_EVERY_MS };
        let due = memory.reported_at.map_or(self.desk.clock.now(), |at| at.plus_ms(every_ms));
        tokio::select! {
            _ = self.desk.durable.changed() => {}
            _ = self.desk.orders.changed() => {}
            () = tokio::time::sleep(self.desk.clock.sleep_until(due)) => {}
        }
    }

    /// Sends until it is there; [`Go::Home`] if it is to end before that. What has no entries is sent once: before the next
    /// attempt it is looked whether there are some by then.
    async fn deliver(&mut self, shipment: &ShipmentBuilder, memory: &mut Memory) -> Go {
        loop {
            self.desk.routes.mark_unchanged();
            let route = self.route.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let report = self.is_report_due(memory, shipment.is_empty());
            let head = self.head(&route, report);
            let mut orders = self.desk.orders.clone();
            let sent = tokio::select! {
                sent = route.upstream.send(&head, shipment) => sent,
                _ = orders.wait_for(|order| *order == Order::Stop) => return Go::Home,
            };
            let pause = match sent {
                Ok(()) => {
                    self.delivered(shipment, memory, report, &route).await;
                    return Go::On;
                }
                Err(unshipped) => self.desk.say_trouble(&route.to, unshipped),
            };
            if *self.desk.orders.borrow() != Order::Run {
                return Go::Home;
            }
            self.desk.pause(pause, shipment.is_empty()).await;
            if shipment.is_empty() {
                return Go::On;
            }
        }
    }

    fn head(&self, route: &Route, report: bool) -> ShipmentHead {
        let now = self.desk.clock.now();
        let (waiting_bytes, ledger) = {
            let fold = self.desk.fold.look();
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
            agent: self.desk.installation,
            host: route.host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sent_at: now,
            waiting_bytes,
            groups: Vec::new(),
            sources,
        }
    }

    async fn delivered(
        &mut self,
        shipment: &ShipmentBuilder,
        memory: &mut Memory,
        report: bool,
        route: &Route,
    ) {
        self.desk.worked(&route.to);
        if report {
            (memory.reported_at, memory.unreported) = (Some(self.desk.clock.now()), false);
        }
        if !shipment.is_empty() {
            memory.unreported = true;
            self.desk.shipped_to(memory.next, shipment.bytes()).await;
        }
    }
}
