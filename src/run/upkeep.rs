//! The journal's upkeep: a spare segment is made before it is needed, beside the writer.

use std::sync::mpsc::{Receiver, TryRecvError};

use watchbell_journal::Upkeep;

/// Works when the writer asks for it. Ends with the writer.
pub(super) fn run(upkeep: &Upkeep, asked: &Receiver<()>) {
    while asked.recv().is_ok() {
        let writer_is_there = || !matches!(asked.try_recv(), Err(TryRecvError::Disconnected));
        match upkeep.prepare(&writer_is_there) {
            Ok(true) => tracing::debug!("a spare segment is ready"),
            Ok(false) => return,
            Err(error) => tracing::warn!(%error, "the journal goes on without a spare segment"),
        }
    }
}
