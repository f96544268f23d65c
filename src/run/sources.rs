//! Followed files and inputs as they are now: what those who read tell others, and what `watchbell sources` shows of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use watchbell_model::{GroupName, LossReason, Timestamp};

use super::checkpoint::{CHECKPOINTS_MAX, FileId};
use super::door::TurnedAwayCount;
use super::ledger::{Account, Ledger};

/// How long the collector may wait for the journal before its files count as paused, in milliseconds.
pub const PAUSED_AFTER_MS: i64 = 1000;

/// What is the matter with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// Its path leads to it.
    Following,
    /// Its path leads elsewhere; it is read to its end.
    Rotated,
    /// It was deleted and is still open.
    Deleted,
    /// What is sent there is taken in.
    Listening,
    /// Nothing has come from it since the start.
    Quiet,
    /// The journal takes nothing at the moment.
    Paused,
    /// It cannot be read, or holds no text; the reason is beside it.
    Error,
    /// Nothing more can come.
    Ended,
    /// It was followed, and is no more.
    Gone,
    /// An agent follows it that has not been heard of for a while.
    Silent,
}

impl SourceState {
    /// `following`, `rotated`, `deleted but open`, `listening`, `quiet`, `paused`, `error`, `ended`, `gone` or `silent`.
    pub fn as_str(self) -> &'static str {
        match self {
            SourceState::Following => "following",
            SourceState::Rotated => "rotated",
            SourceState::Deleted => "deleted but open",
            SourceState::Listening => "listening",
            SourceState::Quiet => "quiet",
            SourceState::Paused => "paused",
            SourceState::Error => "error",
            SourceState::Ended => "ended",
            SourceState::Gone => "gone",
            SourceState::Silent => "silent",
        }
    }
}

/// One file, as the collector last saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNow {
    /// Its log stream.
    pub path: String,
    /// What is the matter with it.
    pub state: SourceState,
    /// Why, if something is wrong.
    pub reason: Option<String>,
    /// Bytes that have not been handed over.
    pub unread_bytes: u64,
    /// Since when it has had some.
    pub behind_since: Option<Timestamp>,
}

/// An input, or a log stream that comes through one, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputNow {
    /// What is the matter with it.
    pub state: SourceState,
    /// Why, if something is wrong.
    pub reason: Option<String>,
    /// Since when it has been waiting for the journal.
    pub waiting_since: Option<Timestamp>,
    /// Bytes that came and wait.
    pub lag_bytes: u64,
}

/// What the collector and the inputs tell.
#[derive(Clone, Default)]
pub struct Sources(Arc<Mutex<Now>>);

#[derive(Default)]
struct Now {
    files: BTreeMap<(GroupName, FileId), FileNow>,
    inputs: BTreeMap<(GroupName, String), InputNow>,
    /// Those who were turned away at the sockets of inputs.
    turned_away: BTreeMap<(GroupName, String), Arc<TurnedAwayCount>>,
    /// Paths that cannot be opened, and why.
    refused: BTreeMap<(GroupName, String), String>,
    /// Bytes read of each log stream and log group, since their accounts began.
    read: BTreeMap<(GroupName, String), u64>,
    read_of_groups: BTreeMap<GroupName, u64>,
    /// Since when the collector has been waiting for the journal.
    waiting_since: Option<Timestamp>,
}

impl Sources {
    /// Begins with what has been read according to `ledger`.
    pub fn new(ledger: &Ledger) -> Sources {
        let read = ledger.streams().iter().map(|(name, account)| (name.clone(), account.settled_bytes()));
        let of_groups = ledger.groups().iter().map(|(name, account)| (name.clone(), account.settled_bytes()));
        let now = Now { read: read.collect(), read_of_groups: of_groups.collect(), ..Now::default() };
        Sources(Arc::new(Mutex::new(now)))
    }

    /// So many bytes of a stream were read and handed over.
    pub(crate) fn read(&self, group: &GroupName, stream: &str, bytes: u64) {
        let mut now = self.lock();
        *now.read.entry((group.clone(), stream.to_owned())).or_default() += bytes;
        *now.read_of_groups.entry(group.clone()).or_default() += bytes;
        if now.read.len() > CHECKPOINTS_MAX {
            // Of those that are followed no longer the ledger knows.
            let Now { files, inputs, read, .. } = &mut *now;
            let paths: BTreeSet<(&GroupName, &str)> =
                files.iter().map(|((group, _), file)| (group, file.path.as_str())).collect();
            read.retain(|name, _| paths.contains(&(&name.0, name.1.as_str())) || inputs.contains_key(name));
        }
    }

    /// These files are so now; `None`: no longer followed.
    pub(crate) fn update(&self, files: impl Iterator<Item = ((GroupName, FileId), Option<FileNow>)>) {
        let mut now = self.lock();
        for (key, file) in files {
            match file {
                Some(file) => drop(now.files.insert(key, file)),
                None => drop(now.files.remove(&key)),
            }
        }
    }

    /// An input, or a stream of one, is so now.
    pub(crate) fn input(&self, group: &GroupName, name: &str, input: InputNow) {
        self.lock().inputs.insert((group.clone(), name.to_owned()), input);
    }

    /// Whom an input turns away is counted here.
    pub(crate) fn turns_away(&self, group: &GroupName, name: &str, count: Arc<TurnedAwayCount>) {
        self.lock().turned_away.insert((group.clone(), name.to_owned()), count);
    }

    /// How many the inputs of each log group turned away since the start, by reason.
    pub fn turned_away(&self) -> BTreeMap<(GroupName, &'static str), u64> {
        let mut sum = BTreeMap::new();
        for ((group, _), count) in &self.lock().turned_away {
            for (reason, times) in count.look() {
                *sum.entry((group.clone(), reason)).or_default() += times;
            }
        }
        sum
    }

    /// These paths cannot be opened.
    pub(crate) fn refused(&self, refused: BTreeMap<(GroupName, String), String>) {
        self.lock().refused = refused;
    }

    /// The collector waits for the journal since then, or no longer does.
    pub(crate) fn waiting(&self, since: Option<Timestamp>) {
        self.lock().waiting_since = since;
    }

    /// Bytes read of each log group.
    pub fn read_of_groups(&self) -> BTreeMap<GroupName, u64> {
        self.lock().read_of_groups.clone()
    }

    /// Everything, one report a log stream.
    pub fn report(&self, ledger: &Ledger, at: Timestamp) -> Vec<SourceReport> {
        let now = self.lock();
        let paused = now.waiting_since.is_some_and(|since| at.ms_since(since) >= PAUSED_AFTER_MS);
        let mut reports: BTreeMap<(GroupName, String), SourceReport> = BTreeMap::new();
        for ((group, _), file) in &now.files {
            let report = reports
                .entry((group.clone(), file.path.clone()))
                .or_insert_with(|| SourceReport::new(group, &file.path, file.state));
            report.files += 1;
            // What is the matter with the file that the path leads to says more than what is with older ones.
            if file.state < report.state || file.state == SourceState::Error {
                report.state = file.state;
            }
            if file.reason.is_some() {
                report.reason.clone_from(&file.reason);
            }
            report.lag_bytes += file.unread_bytes;
            let behind_ms = file.behind_since.map_or(0, |since| at.ms_since(since).max(0));
            report.lag_ms = report.lag_ms.max(behind_ms.unsigned_abs());
        }
        for report in reports.values_mut() {
            if paused && report.lag_bytes > 0 {
                report.state = SourceState::Paused;
            }
        }
        for ((group, path), reason) in &now.refused {
            let report = reports
                .entry((group.clone(), path.clone()))
                .or_insert_with(|| SourceReport::new(group, path, SourceState::Error));
            report.reason = Some(reason.clone());
        }
        let mut with_inputs = BTreeSet::new();
        for ((group, name), input) in &now.inputs {
            with_inputs.insert(group);
            let report = reports
                .entry((group.clone(), name.clone()))
                .or_insert_with(|| SourceReport::new(group, name, input.state));
            report.reason.clone_from(&input.reason);
            report.lag_bytes = input.lag_bytes;
            let waiting_ms = input.waiting_since.map_or(0, |since| at.ms_since(since).max(0));
            report.lag_ms = waiting_ms.unsigned_abs();
            if waiting_ms >= PAUSED_AFTER_MS {
                report.state = SourceState::Paused;
            }
        }
        for (name, account) in ledger.streams() {
            let (group, path) = name;
            // Only files begin with a slash.
            let may_come_back = with_inputs.contains(group) && !path.starts_with('/');
            let state = if may_come_back { SourceState::Quiet } else { SourceState::Gone };
            let report = reports.entry(name.clone()).or_insert_with(|| SourceReport::new(group, path, state));
            report.account(account);
        }
        for (name, report) in &mut reports {
            let turned_away = now.turned_away.get(name).into_iter().flat_map(|count| count.look());
            report.refused = turned_away
                .filter(|(_, times)| *times > 0)
                .map(|(reason, times)| (reason.to_owned(), times))
                .collect();
            let settled = ledger.streams().get(name).map_or(0, Account::settled_bytes);
            report.read_bytes = now.read.get(name).copied().unwrap_or(settled);
        }
        reports.into_values().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One log stream that is read from files, as `watchbell sources` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    /// The log group.
    pub log_group: String,
    /// The path.
    pub path: String,
    /// The agent that follows it; absent: this process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What is the matter with it.
    pub state: SourceState,
    /// Why, if something is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Files that are open for it: more than one after a rotation.
    pub files: u64,
    /// Bytes in them that are not read, or wait for their line end.
    pub lag_bytes: u64,
    /// For how long some have been, in milliseconds.
    pub lag_ms: u64,
    /// Bytes that were read. Once the journal has caught up this is the sum of the next three.
    pub read_bytes: u64,
    /// Bytes that events in the journal stand for.
    pub journaled_bytes: u64,
    /// Bytes that were read and are in no event, by reason.
    pub dropped_bytes: BTreeMap<LossReason, u64>,
    /// Bytes that `start = "end"` passed over.
    pub skipped_bytes: u64,
    /// Bytes known to be lost before they could be read, by reason.
    pub lost_bytes: BTreeMap<LossReason, u64>,
    /// Times that something was lost before it could be read, by reason.
    pub losses: BTreeMap<LossReason, u64>,
    /// Connections and datagrams that were turned away since the start, by reason: `network` or `handshake`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, u64>,
    /// Events in the journal.
    pub events: u64,
    /// Events from which something was taken out that must not be stored.
    pub redacted_events: u64,
}

impl SourceReport {
    fn new(group: &GroupName, path: &str, state: SourceState) -> SourceReport {
        SourceReport {
            log_group: group.to_string(),
            path: path.to_owned(),
            state,
            agent: None,
            reason: None,
            files: 0,
            lag_bytes: 0,
            lag_ms: 0,
            read_bytes: 0,
            journaled_bytes: 0,
            dropped_bytes: BTreeMap::new(),
            skipped_bytes: 0,
            lost_bytes: BTreeMap::new(),
            losses: BTreeMap::new(),
            refused: BTreeMap::new(),
            events: 0,
            redacted_events: 0,
        }
    }

    pub(crate) fn account(&mut self, account: &Account) {
        self.events = account.events;
        self.redacted_events = account.redacted_events;
        self.journaled_bytes = account.journaled_bytes;
        self.dropped_bytes.clone_from(&account.dropped_bytes);
        self.skipped_bytes = account.skipped_bytes;
        self.lost_bytes.clone_from(&account.lost_bytes);
        self.losses.clone_from(&account.losses);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, state: SourceState, unread_bytes: u64) -> FileNow {
        let behind_since = (unread_bytes > 0).then_some(Timestamp(1000));
        FileNow { path: path.into(), state, reason: None, unread_bytes, behind_since }
    }

    #[test]
    fn a_stream_is_as_the_file_its_path_leads_to_and_as_far_behind_as_all_of_its_files() {
        let group = GroupName::new("g").unwrap();
        let key = |inode| (group.clone(), FileId { device: 1, inode });
        let sources = Sources::new(&Ledger::default());
        sources.update(
            [
                (key(1), Some(file("/a", SourceState::Rotated, 5))),
                (key(2), Some(file("/a", SourceState::Following, 7))),
                (key(3), Some(file("/b", SourceState::Deleted, 0))),
            ]
            .into_iter(),
        );
        sources.refused([((group.clone(), "/c".to_owned()), "permission denied".to_owned())].into());
        let report = sources.report(&Ledger::default(), Timestamp(3500));
        let seen: Vec<_> =
            report.iter().map(|it| (it.path.as_str(), it.state, it.files, it.lag_bytes, it.lag_ms)).collect();
        assert_eq!(
            seen,
            [
                ("/a", SourceState::Following, 2, 12, 2500),
                ("/b", SourceState::Deleted, 1, 0, 0),
                ("/c", SourceState::Error, 0, 0, 0)
            ]
        );
        sources.waiting(Some(Timestamp(2000)));
        let states =
            |at| sources.report(&Ledger::default(), at).iter().map(|it| it.state).collect::<Vec<_>>();
        assert_eq!(states(Timestamp(2999))[0], SourceState::Following);
        assert_eq!(states(Timestamp(3000))[..2], [SourceState::Paused, SourceState::Deleted]);
    }
}
