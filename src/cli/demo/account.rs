//! The closing account: what was written, what the journal holds, what the archive holds.
//!
//! Promise: each number is counted by itself, from the files as they are on disk; nothing is taken from what the demo
//! or `watchbell up` believe.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use watchbell_archive::{ObjectSummary, StoredEvent};
use watchbell_journal::{Disk, Reader, RealDisk};
use watchbell_model::{Entry, Offset, Source, TrailRecord};

use super::places::Places;
use crate::run::data_folder::{decode, journal_failure, journal_folder};
use crate::run::records::{self, DECISIONS, TRAIL};
use crate::run::trail::TrailHead;
use crate::{ExitStatus, Failure};

/// Where an event stands in the journal: entry and line.
type Place = (Offset, u32);

/// The account.
pub(super) struct Account {
    /// Lines in the log files.
    pub(super) written: usize,
    /// Events that came over HTTP; the demo itself sends none.
    pub(super) over_http: usize,
    /// Events in the journal.
    pub(super) journaled: usize,
    /// Rows in the archive.
    pub(super) archived: usize,
    /// Every line stands in the journal once, and every event of the journal in the archive once, word for word.
    pub(super) same: bool,
    /// Events, objects and bytes of each date, app and severity.
    pub(super) partitions: Vec<Partition>,
    /// Records of the audit trail.
    pub(super) trail_records: u64,
    /// Where the chain breaks.
    pub(super) trail_break: Option<String>,
}

/// A part of the archive's listing.
#[derive(Debug, PartialEq)]
pub(super) struct Partition {
    pub(super) date: String,
    pub(super) app: String,
    pub(super) severity: &'static str,
    pub(super) objects: usize,
    pub(super) events: u64,
    pub(super) bytes: u64,
}

impl Account {
    /// Reads everything back. Watchbell must have stopped.
    pub(super) async fn of(places: &Places) -> Result<Account, Failure> {
        let mut lines = written_lines(&places.logs)?;
        let mut journal = Journal::read(&places.data)?;
        let (kept, partitions) = archive(&places.archive).await?;
        let (own, of_logs): (Vec<_>, Vec<_>) =
            kept.into_iter().partition(|event| [DECISIONS, TRAIL].contains(&event.log_group.as_str()));
        journal.add_gone(&own, &of_logs)?;
        let rows = of_logs.len();
        let place = |event: &StoredEvent| (event.event_id.offset, event.event_id.line);
        let events: BTreeMap<Place, String> =
            of_logs.into_iter().map(|event| (place(&event), event.message)).collect();
        lines.sort_unstable();
        journal.from_files.sort_unstable();
        let over_http = journal.events.len() - journal.from_files.len();
        Ok(Account {
            written: lines.len(),
            over_http,
            journaled: journal.events.len(),
            archived: rows,
            same: lines == journal.from_files && journal.events == events && rows == events.len(),
            partitions,
            trail_records: journal.trail.len(),
            trail_break: journal.trail_break,
        })
    }

    /// Whether everything adds up.
    pub(super) fn balances(&self) -> bool {
        let same_count = self.written + self.over_http == self.journaled && self.journaled == self.archived;
        same_count && self.same && self.written > 0 && self.trail_break.is_none()
    }

    /// The line that says so: `written 12 = journaled 12 = archived 12`.
    pub(super) fn equation(&self) -> String {
        let Account { written, over_http, journaled, archived, .. } = *self;
        let equals = |same| if same { "=" } else { "≠" };
        let http = if over_http > 0 { format!(" + over HTTP {over_http}") } else { String::new() };
        let (first, second) = (equals(written + over_http == journaled), equals(journaled == archived));
        format!("written {written}{http} {first} journaled {journaled} {second} archived {archived}")
    }

    pub(super) fn json(&self) -> Value {
        let partition = |it: &Partition| {
            let Partition { date, app, severity, objects, events, bytes } = it;
            json!({ "date": date, "app": app, "severity": severity, "objects": objects, "events": events,
                    "bytes": bytes })
        };
        json!({
            "lines": {
                "written": self.written,
                "over_http": self.over_http,
                "journaled": self.journaled,
                "archived": self.archived,
                "each_once": self.same,
            },
            "archive": self.partitions.iter().map(partition).collect::<Vec<_>>(),
            "trail": {
                "records": self.trail_records,
                "holds": self.trail_break.is_none(),
                "problem": self.trail_break,
            },
        })
    }
}

/// Every line of every log.
fn written_lines(logs: &Path) -> Result<Vec<String>, Failure> {
    let failure = |error: std::io::Error| Failure::io(logs.display(), &error);
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(logs).map_err(failure)? {
        let text = std::fs::read_to_string(entry.map_err(failure)?.path()).map_err(failure)?;
        lines.extend(text.lines().map(str::to_owned));
    }
    Ok(lines)
}

/// What the journal holds, and held.
#[derive(Default)]
struct Journal {
    /// The oldest entry that it still has.
    first: Offset,
    from_files: Vec<String>,
    events: BTreeMap<Place, String>,
    trail_records: Vec<TrailRecord>,
    trail: TrailHead,
    trail_break: Option<String>,
}

impl Journal {
    fn read(data: &Path) -> Result<Journal, Failure> {
        let mut journal = Journal::default();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let reader = Reader::open_oldest(&disk, &journal_folder(data));
        let mut reader = reader.map_err(journal_failure)?;
        journal.first = Offset(reader.next_offset());
        while let Some(entry) = reader.next().map_err(journal_failure)? {
            let record = decode(&entry)?;
            match record.entry {
                Entry::Batch(batch) => {
                    let is_file = matches!(batch.source, Source::File { .. });
                    for event in batch.events() {
                        journal.from_files.extend(is_file.then(|| event.message.to_owned()));
                        journal.events.insert((record.offset, event.line), event.message.to_owned());
                    }
                }
                Entry::Trail(record) => journal.trail_records.push(record),
                _ => {}
            }
        }
        Ok(journal)
    }

    /// Adds what it has let go, from the archive, and checks the whole trail.
    fn add_gone(&mut self, own: &[StoredEvent], of_logs: &[StoredEvent]) -> Result<(), Failure> {
        let first = self.first;
        let is_gone = |event: &&StoredEvent| event.event_id.offset < first;
        for event in of_logs.iter().filter(is_gone) {
            self.from_files.push(event.message.clone());
            self.events.insert((event.event_id.offset, event.event_id.line), event.message.clone());
        }
        let mut gone: Vec<&StoredEvent> = own.iter().filter(is_gone).collect();
        gone.retain(|event| event.log_group == TRAIL);
        gone.sort_by_key(|event| event.event_id);
        let read = |event: &StoredEvent| {
            let malformed = |error| format!("archived event {}: {error}", event.event_id);
            let record = records::trail(&event.message).map_err(malformed);
            record.map_err(|message| Failure::new(ExitStatus::InputOutput, message))
        };
        let mut chain = gone.into_iter().map(read).collect::<Result<Vec<TrailRecord>, Failure>>()?;
        chain.append(&mut self.trail_records);
        let broken = chain.iter().find_map(|record| self.trail.follow(record).err());
        self.trail_break = broken.map(|broken| broken.to_string());
        Ok(())
    }
}

/// The archive: its events, and its listing.
async fn archive(folder: &Path) -> Result<(Vec<StoredEvent>, Vec<Partition>), Failure> {
    let failure = |error| Failure::new(ExitStatus::InputOutput, error);
    let store = watchbell_archive::open_folder(folder).map_err(failure)?;
    let objects = watchbell_archive::list(&store).await.map_err(failure)?;
    let mut events = Vec::new();
    for object in &objects {
        events.extend(watchbell_archive::read(&store, &object.path).await.map_err(failure)?);
    }
    Ok((events, partitions(&objects)))
}

/// The listing, most severe last, as the paths have it.
fn partitions(objects: &[ObjectSummary]) -> Vec<Partition> {
    let mut sums = BTreeMap::new();
    for it in objects {
        let key = (it.date.clone(), it.app.clone(), it.severity);
        let (objects, events, bytes) = sums.entry(key).or_insert((0, 0, 0));
        *objects += 1;
        *events += it.events;
        *bytes += it.bytes;
    }
    let partition =
        |((date, app, severity), (objects, events, bytes)): ((_, _, watchbell_model::Severity), _)| {
            Partition { date, app, severity: severity.as_str(), objects, events, bytes }
        };
    sums.into_iter().map(partition).collect()
}

#[cfg(test)]
mod tests {
    use watchbell_model::Severity;

    use super::*;

    fn account() -> Account {
        Account {
            written: 3,
            over_http: 0,
            journaled: 3,
            archived: 3,
            same: true,
            partitions: Vec::new(),
            trail_records: 1,
            trail_break: None,
        }
    }

    #[test]
    fn an_account_that_does_not_add_up_says_where() {
        assert!(account().balances());
        assert_eq!(account().equation(), "written 3 = journaled 3 = archived 3");
        let lost = Account { archived: 2, ..account() };
        assert_eq!(lost.equation(), "written 3 = journaled 3 ≠ archived 2");
        let by_hand = Account { over_http: 1, journaled: 4, archived: 4, ..account() };
        assert_eq!(by_hand.equation(), "written 3 + over HTTP 1 = journaled 4 = archived 4");
        assert!(by_hand.balances());
        let changed = Account { same: false, ..account() };
        let empty = Account { written: 0, journaled: 0, archived: 0, ..account() };
        let broken = Account { trail_break: Some("record 1".into()), ..account() };
        assert!([lost, changed, empty, broken].iter().all(|it| !it.balances()));
    }

    #[test]
    fn objects_of_one_partition_are_summed_up() {
        let object = |severity, events| ObjectSummary {
            path: String::new(),
            date: "2026-11-22".into(),
            app: "shop".into(),
            severity,
            events,
            bytes: 10,
        };
        let summed =
            partitions(&[object(Severity::Info, 1), object(Severity::Error, 2), object(Severity::Info, 3)]);
        let found: Vec<_> = summed.iter().map(|it| (it.severity, it.objects, it.events, it.bytes)).collect();
        assert_eq!(found, [("info", 2, 4, 20), ("error", 1, 2, 10)]);
    }
}
