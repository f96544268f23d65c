//! File notifications, into the collector's inbox.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use super::inbox::Inbox;

/// Watches folders and wakes the collector with the paths that changed.
pub(crate) struct Watch {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
}

impl Watch {
    /// Without a working watcher the collector still looks at every file, only less often.
    pub(crate) fn new(inbox: Inbox) -> Watch {
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| match event {
            Ok(event) if event.need_rescan() => inbox.missed(),
            Ok(event) if event.kind.is_access() => {}
            Ok(event) => inbox.changed(event.paths),
            Err(_) => inbox.missed(),
        });
        let watcher = watcher.inspect_err(|error| {
            tracing::warn!(%error, "no file notifications; files are looked at every second instead");
        });
        Watch { watcher: watcher.ok(), folders: BTreeSet::new() }
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
}
