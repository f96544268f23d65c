//! The journal's upkeep, beside the writer: a spare segment is made before it is needed, and a reserve as soon as a full
//! disk has room again.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use watchbell_journal::Upkeep;

use super::writer::Writer;

/// How often a full disk is asked for room.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Works when the writer asks for it, and while the disk is full. Ends with the writer.
pub(super) fn run(upkeep: &Upkeep, asked: &Receiver<()>, writer: &Writer) {
    loop {
        match asked.recv_timeout(ASK_AGAIN) {
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) if !upkeep.is_short() => {}
            _ => look_after(upkeep, asked, writer),
        }
    }
}

fn look_after(upkeep: &Upkeep, asked: &Receiver<()>, writer: &Writer) {
    if upkeep.is_short() {
        match upkeep.replenish() {
            // Wakes the writer, who sees that there is room.
            Ok(()) => drop(writer.barrier()),
            Err(error) => tracing::debug!(%error, "no room for a reserve yet"),
        }
        return;
    }
    let writer_is_there = || !matches!(asked.try_recv(), Err(TryRecvError::Disconnected));
    match upkeep.prepare(&writer_is_there) {
        Ok(true) => tracing::debug!("a spare segment is ready"),
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "the journal goes on without a spare segment"),
    }
}
