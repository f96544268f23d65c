//! What every shipper works with, wherever it ships to: the agent's journal and how far it is shipped, orders, and pauses.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use watchbell_journal::{Disk, Readers, Upkeep};
use watchbell_model::{Entry, InstallationId, Offset};
use watchbell_notify::backoff;

use crate::run::clock::Clock;
use crate::run::fold::SharedFold;
use crate::run::snapshot;
use crate::run::writer::{Appended, Durable, Writer};

/// The attempt after which pauses grow no more: 32 s, less up to a quarter.
const BACKOFF_ATTEMPT_MAX: u32 = 6;

/// How long what was refused waits: nothing changes before somebody does.
const REFUSED_AGAIN: Duration = Duration::from_mins(1);

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

/// Whether to go on.
#[derive(PartialEq, Eq)]
pub(super) enum Go {
    On,
    Home,
}

/// Why something was not shipped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unshipped {
    /// It may work soon.
    Again {
        /// Why it did not now.
        reason: String,
        /// Not before so long.
        after: Option<Duration>,
    },
    /// It will not work until somebody changes something.
    Refused {
        /// Why.
        reason: String,
        /// What to change.
        help: Option<String>,
    },
}

/// A shipper's tools.
pub(super) struct Desk {
    pub(super) installation: InstallationId,
    /// Changes when there is another route, or another reason to try again.
    pub(super) routes: watch::Receiver<u64>,
    pub(super) orders: watch::Receiver<Order>,
    pub(super) fold: SharedFold,
    pub(super) readers: Readers,
    pub(super) durable: Durable,
    pub(super) writer: Writer,
    pub(super) upkeep: Upkeep,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) snapshots: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) trouble: Trouble,
    /// Attempts since the last that worked.
    pub(super) failures: u32,
    /// Bytes that were shipped since segments were let go.
    pub(super) shipped_bytes: usize,
}

impl Desk {
    /// Something has arrived `to` where it should.
    pub(super) fn worked(&mut self, to: &str) {
        self.failures = 0;
        if self.trouble().take().is_some() {
            tracing::info!(to, "shipping again");
        }
    }

    /// Everything before `next` is shipped, `bytes` more than the last time; segments are let go once that is worth it.
    pub(super) async fn shipped_to(&mut self, next: Offset, bytes: usize) {
        let moved: oneshot::Receiver<Appended> = self.writer.append_told(Entry::ShippedTo(next));
        self.shipped_bytes += bytes;
        if self.shipped_bytes >= RELEASE_EVERY_BYTES {
            self.shipped_bytes = 0;
            // Before the move is on disk the next start may need the segments.
            if let Ok(Ok(_)) = moved.await {
                self.release(next);
            }
        }
    }

    /// Lets segments go that hold nothing but what is shipped, and that no start reads.
    pub(super) fn release(&self, shipped: Offset) {
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
    pub(super) fn say_trouble(&mut self, to: &str, unshipped: Unshipped) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let seed = u64::from_be_bytes(self.installation.0);
        let (reason, pause) = match unshipped {
            Unshipped::Again { reason, after } => {
                let attempt = self.failures.min(BACKOFF_ATTEMPT_MAX);
                let pause = backoff(attempt, seed).max(after.unwrap_or_default());
                if self.trouble().as_ref() != Some(&reason) {
                    tracing::warn!(to, reason, "not shipped now: kept, and tried again");
                }
                (reason, pause)
            }
            Unshipped::Refused { reason, help } => {
                let help = help.unwrap_or_default();
                tracing::error!(
                    to,
                    reason,
                    help,
                    "refused: nothing is shipped until this is changed; kept, and tried again every minute"
                );
                (reason, REFUSED_AGAIN)
            }
        };
        *self.trouble() = Some(reason);
        pause
    }

    fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, unless it is to end or has another route; with `or_more` also not once something more is journaled.
    pub(super) async fn pause(&mut self, pause: Duration, or_more: bool) {
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
