//! The journal's upkeep, beside the writer: a spare segment is made before it is needed, a reserve as soon as a full
//! disk has room again, and what is over the bound is let go.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use watchbell_journal::Upkeep;

use super::bound::Bound;
use super::writer::Writer;

/// How often a full disk is asked for room, and it is looked whether something is to go.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Works when the writer asks for it, and while the disk is full. Ends with the writer.
pub(super) fn run(upkeep: &Upkeep, mut bound: Option<Bound>, asked: &Receiver<()>, writer: &Writer) {
    loop {
        match asked.recv_timeout(ASK_AGAIN) {
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) if !upkeep.is_short() => {}
            _ => look_after(upkeep, asked, writer),
        }
        if let Some(bound) = &mut bound {
            bound.look();
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
