//! Objects of the archive as sources: their events sorted by the time at which they happened.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use tokio::runtime::{Builder, Runtime};
use watchbell_archive::{ArchiveError, StoredEvent, list, read};
use watchbell_model::{GroupName, Timestamp};

use super::merge::Current;
use super::{Line, Source, StreamName};
use crate::{ExitStatus, Failure};

/// The folder that holds the archive, with the threads that reading needs.
struct Archive {
    store: LocalFileSystem,
    runtime: Runtime,
}

/// An object that holds an event within the asked-for time.
pub struct ArchiveObject {
    archive: Arc<Archive>,
    path: String,
    first: Timestamp,
    bytes: u64,
}

/// Every object of the archive in `folder` that holds events from `since` on and before `until`.
///
/// Each object is read once here to learn when its first event happened, and once more when its events are due: only
/// objects that overlap in time are in memory together.
///
/// # Errors
/// A folder that cannot be read, or an object that is damaged.
pub fn objects(
    folder: &Path,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<Vec<Source>, Failure> {
    let store =
        LocalFileSystem::new_with_prefix(folder).map_err(|error| no_archive(folder, &error.to_string()))?;
    let runtime = Builder::new_current_thread().build().map_err(|error| Failure::io("a runtime", &error))?;
    let archive = Arc::new(Archive { store, runtime });
    let found = archive.runtime.block_on(list(&archive.store)).map_err(|error| refused(&error))?;
    if found.is_empty() {
        return Err(no_archive(folder, "holds no objects"));
    }
    let (since_date, until_date) = (since.map(Timestamp::utc_date), until.map(Timestamp::utc_date));
    let mut sources = Vec::new();
    for object in found {
        let too_old = since_date.as_ref().is_some_and(|since| object.date < *since);
        let too_new = until_date.as_ref().is_some_and(|until| object.date > *until);
        if too_old || too_new {
            continue;
        }
        let times = archive.events(&object.path)?.into_iter().map(|event| event.timestamp);
        if let Some(first) = times.min() {
            let archive = Arc::clone(&archive);
            sources.push(Source::Object(ArchiveObject {
                archive,
                path: object.path,
                first,
                bytes: object.bytes,
            }));
        }
    }
    Ok(sources)
}

fn no_archive(folder: &Path, reason: &str) -> Failure {
    Failure::new(ExitStatus::InputOutput, format!("archive {}: {reason}", folder.display()))
        .help("name the folder that holds date=… folders")
}

fn refused(error: &ArchiveError) -> Failure {
    Failure::new(ExitStatus::InputOutput, error)
}

impl Archive {
    fn events(&self, path: &str) -> Result<Vec<StoredEvent>, Failure> {
        let store: &dyn ObjectStore = &self.store;
        self.runtime.block_on(read(store, path)).map_err(|error| refused(&error))
    }
}

impl ArchiveObject {
    pub(super) fn first(&self) -> Timestamp {
        self.first
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn open(self) -> Result<ObjectLines, Failure> {
        let mut events = self.archive.events(&self.path)?;
        events.sort_by_key(|event| std::cmp::Reverse((event.timestamp, event.event_id)));
        Ok(ObjectLines {
            path: self.path,
            events,
            origins: BTreeMap::new(),
            current: None,
            bytes: self.bytes,
        })
    }
}

/// An open object that stands at an event.
pub(super) struct ObjectLines {
    path: String,
    /// What comes after the current one, the next at the end.
    events: Vec<StoredEvent>,
    origins: BTreeMap<(String, String), Arc<StreamName>>,
    current: Option<Current>,
    bytes: u64,
}

impl ObjectLines {
    pub(super) fn advance(&mut self) -> Result<bool, Failure> {
        let Some(event) = self.events.pop() else { return Ok(false) };
        self.current = Some(Current {
            origin: self.origin(event.log_group, event.stream)?,
            arrival: event.timestamp,
            timestamp: event.timestamp,
            flags: event.flags,
            text: event.message,
        });
        Ok(true)
    }

    fn origin(&mut self, group: String, stream: String) -> Result<Arc<StreamName>, Failure> {
        let key = (group, stream);
        if let Some(known) = self.origins.get(&key) {
            return Ok(Arc::clone(known));
        }
        let malformed = |error| Failure::new(ExitStatus::InputOutput, format!("{}: {error}", self.path));
        let group = GroupName::new(key.0.as_str()).map_err(malformed)?;
        let origin = Arc::new(StreamName { group, stream: key.1.clone() });
        self.origins.insert(key, Arc::clone(&origin));
        Ok(origin)
    }

    pub(super) fn line(&self) -> Line<'_> {
        self.current.as_ref().expect("an object stands at an event until its end").line()
    }

    pub(super) fn read_bytes(&self) -> u64 {
        if self.events.is_empty() { self.bytes } else { 0 }
    }
}
