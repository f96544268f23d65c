//! What wakes the collector: file notifications and commands.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use super::Wake;

/// Watches folders and wakes the collector with the paths that changed.
pub(crate) struct Watch {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    missed: Arc<AtomicBool>,
}

impl Watch {
    /// Without a working watcher the collector still looks at every file, only less often.
    pub(crate) fn new(wake: SyncSender<Wake>) -> Watch {
        let missed = Arc::new(AtomicBool::new(false));
        let overflow = Arc::clone(&missed);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let lost = match event {
                Ok(event) if event.need_rescan() => true,
                Ok(event) if event.kind.is_access() => false,
                // A full channel means that the collector is busy: it will look at everything when it is done.
                Ok(event) => wake.try_send(Wake::Changed(event.paths)).is_err(),
                Err(_) => true,
            };
            if lost {
                overflow.store(true, Ordering::Release);
            }
        });
        let watcher = watcher.inspect_err(|error| {
            tracing::warn!(%error, "no file notifications; files are looked at every second instead");
        });
        Watch { watcher: watcher.ok(), folders: BTreeSet::new(), missed }
    }

    /// Also watches the folder that holds `path`.
    pub(crate) fn folder_of(&mut self, path: &Path) {
        let (Some(folder), Some(watcher)) = (path.parent(), &mut self.watcher) else { return };
        if self.folders.contains(folder) {
            return;
        }
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => drop(self.folders.insert(folder.to_owned())),
            Err(error) => tracing::debug!(folder = %folder.display(), %error, "folder is not watched"),
        }
    }

    /// Forgets folders that are gone, so that they are watched again when they come back.
    pub(crate) fn forget_missing(&mut self) {
        self.folders.retain(|folder| folder.is_dir());
    }

    /// Whether notifications were lost since the last call.
    pub(crate) fn missed_some(&self) -> bool {
        self.missed.swap(false, Ordering::AcqRel)
    }
}
