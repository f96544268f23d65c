//! What stands in a data folder: the journal's records and the archive's events.

use std::path::Path;
use std::sync::Arc;

use watchbell_archive::StoredEvent;
use watchbell_journal::{Disk, Reader, RealDisk};
use watchbell_model::{Batch, Decisions, Entry, Offset, Record, Timestamp, TrailRecord, Transition};

/// Every frame of a data folder's journal.
pub(crate) fn frames(data: &Path) -> Vec<watchbell_journal::Entry> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut reader = Reader::open_oldest(&disk, &data.join("journal")).unwrap();
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

/// Every record of a data folder's journal.
pub(crate) fn records(data: &Path) -> Vec<Record> {
    frames(data).iter().map(record).collect()
}

pub(crate) fn record(frame: &watchbell_journal::Entry) -> Record {
    let entry = Entry::decode(frame.kind, &frame.payload).unwrap();
    Record { offset: Offset(frame.offset), time: Timestamp(frame.time_ms), entry }
}

pub(crate) fn batches(data: &Path) -> Vec<(Offset, Timestamp, Batch)> {
    let batch = |record: Record| match record.entry {
        Entry::Batch(batch) => Some((record.offset, record.time, batch)),
        _ => None,
    };
    records(data).into_iter().filter_map(batch).collect()
}

pub(crate) fn decisions(data: &Path) -> Vec<Decisions> {
    let decisions = |record: Record| match record.entry {
        Entry::Decisions(decisions) => Some(decisions),
        _ => None,
    };
    records(data).into_iter().filter_map(decisions).collect()
}

pub(crate) fn transitions(data: &Path) -> Vec<Transition> {
    let items = decisions(data).into_iter().flat_map(|decisions| decisions.items);
    items.filter_map(|item| item.transition().cloned()).collect()
}

pub(crate) fn trail(data: &Path) -> Vec<TrailRecord> {
    let trail = |record: Record| match record.entry {
        Entry::Trail(record) => Some(record),
        _ => None,
    };
    records(data).into_iter().filter_map(trail).collect()
}

/// Every event of an archive, in event order.
pub(crate) fn archived(folder: &Path) -> Vec<StoredEvent> {
    let store = watchbell_archive::open_folder(folder).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut events = Vec::new();
    for object in runtime.block_on(watchbell_archive::list(&store)).unwrap() {
        events.extend(runtime.block_on(watchbell_archive::read(&store, &object.path)).unwrap());
    }
    events.sort_by_key(|event| event.event_id);
    events
}

/// The texts of a data folder's own archive, in event order.
pub(crate) fn messages(data: &Path) -> Vec<String> {
    archived(&data.join("archive")).into_iter().map(|event| event.message).collect()
}
