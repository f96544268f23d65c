//! Decisions, deliveries and trail records that the journal has let go, read back from the archive.

use object_store::ObjectStore;
use tokio::runtime::Runtime;
use watchbell_archive::StoredEvent;
use watchbell_model::Offset;

use super::Global;
use super::journal::Where;
use crate::run::records::{APP, SEVERITY};
use crate::{ExitStatus, Failure};

/// What of them is in the archive.
pub(super) struct Kept {
    store: Box<dyn ObjectStore>,
    runtime: Runtime,
    /// In the order of the journal.
    objects: Vec<String>,
}

impl Kept {
    /// Those of a data folder.
    pub(super) fn open(global: &Global, at: &Where) -> Result<Kept, Failure> {
        let folder = at.archive(global)?;
        if !folder.is_dir() {
            let message = format!("archive {} is not there", folder.display());
            let help =
                "the oldest part of the journal has gone, and what was kept of it is there: bring it back";
            return Err(Failure::new(ExitStatus::InputOutput, message).help(help));
        }
        let store = watchbell_archive::open_folder(&folder).map_err(broken)?;
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| Failure::new(ExitStatus::Unavailable, error))?;
        let objects = runtime.block_on(watchbell_archive::objects_of(&store, APP, SEVERITY));
        Ok(Kept { objects: objects.map_err(broken)?, store: Box::new(store), runtime })
    }

    /// Hands over every event of a log group that stood in entries `from..before` until `go_on` says no, in their order.
    pub(super) fn each(
        &self,
        log_group: &str,
        (from, before): (Offset, Offset),
        mut go_on: impl FnMut(&StoredEvent) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        for path in &self.objects {
            let events = self.runtime.block_on(watchbell_archive::read(self.store.as_ref(), path));
            for event in events.map_err(broken)? {
                let offset = event.event_id.offset;
                let is_asked = event.log_group == log_group && offset >= from && offset < before;
                if is_asked && !go_on(&event)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn broken(error: watchbell_archive::ArchiveError) -> Failure {
    Failure::new(ExitStatus::InputOutput, error)
}
