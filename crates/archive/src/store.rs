//! Objects in a store: put there, and listed.

use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use watchbell_model::{ArchiveObject, Severity};

use crate::footer::Footer;
use crate::partition::{self, severity_of};
use crate::{ArchiveError, Object};

/// Most footers that are read at a time.
const FOOTERS_AT_A_TIME: usize = 8;

/// What one object holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectSummary {
    /// Path below the archive's root.
    pub path: String,
    /// UTC date of its events, `2026-11-22`.
    pub date: String,
    /// Their app, as it is.
    pub app: String,
    /// Their severity.
    pub severity: Severity,
    /// How many.
    pub events: u64,
    /// The object's size.
    pub bytes: u64,
}

/// Puts the objects into the store, one after the other; one that is there already is replaced by the same bytes.
///
/// # Errors
/// [`ArchiveError::Store`] for the first object that the store does not take. Objects before it are there; putting all
/// of them again is safe.
pub async fn put(store: &dyn ObjectStore, objects: Vec<Object>) -> Result<Vec<ArchiveObject>, ArchiveError> {
    let mut written = Vec::with_capacity(objects.len());
    for Object { path, events, bytes } in objects {
        let size = bytes.len() as u64;
        let refused = |error| ArchiveError::store(&path, error);
        let location = location(&path)?;
        store.put(&location, bytes.into()).await.map_err(refused)?;
        written.push(ArchiveObject { path, events, bytes: size });
    }
    Ok(written)
}

/// Every object of the archive, in the order of their paths. Other files below the root are passed over.
///
/// # Errors
/// [`ArchiveError::Store`] if the store cannot be read, [`ArchiveError::Malformed`] for an object that is damaged or of
/// another format.
pub async fn list(store: &dyn ObjectStore) -> Result<Vec<ObjectSummary>, ArchiveError> {
    let objects = store.list(None).map_err(|error| ArchiveError::store("", error));
    let ours = objects.try_filter_map(async |object| Ok(partition_of(&object)));
    let summaries = ours.map_ok(|found| summary(store, found)).try_buffer_unordered(FOOTERS_AT_A_TIME);
    let mut summaries: Vec<ObjectSummary> = summaries.try_collect().await?;
    summaries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(summaries)
}

/// The paths of all objects of this app and severity, in the order of their first events. No object is read.
///
/// # Errors
/// [`ArchiveError::Store`] if the store cannot be listed.
pub async fn objects_of(
    store: &dyn ObjectStore,
    app: &str,
    severity: Severity,
) -> Result<Vec<String>, ArchiveError> {
    let folder = format!("/app={}/severity={severity}/", partition::escape(app));
    let objects = store.list(None).map_err(|error| ArchiveError::store("", error));
    let ours = objects.try_filter_map(async |object| {
        let path = object.location.to_string();
        Ok((partition_of(&object).is_some() && path.contains(&folder)).then_some(path))
    });
    let mut paths: Vec<String> = ours.try_collect().await?;
    // Names begin with the id of the first event, padded so that the order of texts is that of events.
    paths.sort_by(|a, b| name_of(a).cmp(name_of(b)));
    Ok(paths)
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The object with its date and severity, if it stands where an object of the archive stands.
fn partition_of(object: &ObjectMeta) -> Option<(ObjectMeta, String, Severity)> {
    let mut parts = object.location.as_ref().split('/');
    let date = parts.next()?.strip_prefix("date=")?;
    parts.next()?.strip_prefix("app=")?;
    let severity = severity_of(parts.next()?.strip_prefix("severity=")?)?;
    let is_object = parts.next()?.ends_with(".parquet") && parts.next().is_none();
    is_object.then(|| (object.clone(), date.to_owned(), severity))
}

async fn summary(
    store: &dyn ObjectStore,
    (object, date, severity): (ObjectMeta, String, Severity),
) -> Result<ObjectSummary, ArchiveError> {
    let footer = Footer::read(store, &object).await?;
    let path = object.location.to_string();
    Ok(ObjectSummary { path, date, app: footer.app, severity, events: footer.events, bytes: object.size })
}

/// The path as the store's own type, without another layer of escapes.
pub(crate) fn location(path: &str) -> Result<Path, ArchiveError> {
    Path::parse(path).map_err(|error| ArchiveError::malformed(path, error.to_string()))
}
