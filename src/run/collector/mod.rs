//! The collector: follows the files of the plan's log groups and hands their lines to the writer.
//!
//! A file's position moves only with a batch that says so, and the batch is in the journal before the next one of the
//! same round is read: after a crash reading goes on where the journal ends, no line lost and none twice.

mod follower;
mod lines;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;
use watchbell_model::{Entry, GroupName, LogGroup, Loss, LossReason, StartAt, Timestamp};

use self::follower::Follower;
use self::watch::Watch;
use super::checkpoint::{Checkpoints, FileId};
use super::clock::Clock;
use super::own::SourceLag;
use super::writer::{Appended, Writer};

/// How often files are looked for and looked at when no notification comes, in milliseconds.
pub const POLL_EVERY_MS: i64 = 1000;

/// How soon a rest without line end is looked at again.
const REST_AGAIN: Duration = Duration::from_millis(200);

/// Batches of one file that are handed to the writer before the collector waits for the disk.
const ROUND_BATCHES_MAX: usize = 16;

/// Notifications that may wait; when there are more, every file is looked at.
const WAKES_MAX: usize = 4096;

/// What wakes the collector.
pub(crate) enum Wake {
    /// Something happened to these paths.
    Changed(Vec<PathBuf>),
    /// Follow these groups from now on.
    Groups(BTreeMap<GroupName, LogGroup>),
    /// Read everything to its end, tell, and stop.
    Drain(oneshot::Sender<()>),
}

/// A handle on the collector.
#[derive(Clone)]
pub struct CollectorHandle(SyncSender<Wake>);

impl CollectorHandle {
    /// Follows these groups from now on.
    pub fn follow(&self, groups: BTreeMap<GroupName, LogGroup>) {
        // If the collector has ended the process is stopping.
        let _ = self.0.send(Wake::Groups(groups));
    }

    /// Reads everything to its end and stops; resolves when that is on disk.
    pub fn drain(&self) -> oneshot::Receiver<()> {
        let (done, drained) = oneshot::channel();
        let _ = self.0.send(Wake::Drain(done));
        drained
    }
}

/// The thread's own side.
pub struct Collector {
    groups: BTreeMap<GroupName, LogGroup>,
    /// Groups that have been looked for once: a file that appears later is new, not backfill.
    known_groups: BTreeSet<GroupName>,
    followers: BTreeMap<(GroupName, FileId), Follower>,
    /// Of files that are not followed now: where they go on if they come back.
    checkpoints: Checkpoints,
    /// What moved while the process was stopped has been looked for.
    looked_for_moved: bool,
    /// Paths that could not be opened.
    refused: BTreeMap<(GroupName, PathBuf), Refusal>,
    empty_globs: BTreeSet<String>,
    /// Tells others how much is unread.
    lag: SourceLag,
    writer: Writer,
    clock: Arc<dyn Clock>,
    wakes: Receiver<Wake>,
    watch: Watch,
}

/// Why a path could not be opened.
struct Refusal {
    /// What was said.
    reason: String,
    /// It was there when its group was first looked for: when it opens in the end, its content is old.
    first_time: bool,
}

/// The writer takes nothing more.
struct Stopped;

impl Collector {
    /// A collector that follows `groups`. `known_groups` are those that some earlier plan had.
    pub fn new(
        groups: BTreeMap<GroupName, LogGroup>,
        known_groups: BTreeSet<GroupName>,
        checkpoints: Checkpoints,
        lag: SourceLag,
        writer: Writer,
        clock: Arc<dyn Clock>,
    ) -> (Collector, CollectorHandle) {
        let (wake, wakes) = sync_channel(WAKES_MAX);
        let watch = Watch::new(wake.clone());
        let collector = Collector {
            groups,
            known_groups,
            followers: BTreeMap::new(),
            checkpoints,
            looked_for_moved: false,
            refused: BTreeMap::new(),
            empty_globs: BTreeSet::new(),
            lag,
            writer,
            clock,
            wakes,
            watch,
        };
        (collector, CollectorHandle(wake))
    }

    /// Journals, for every file of a group that no plan had yet, that what is in it now is old.
    pub fn mark_old_lines(&mut self) {
        self.discover();
    }

    /// Follows until it is told to drain, or the writer has ended.
    pub fn run(mut self) {
        if let Ok(drained) = self.follow() {
            // Whoever asked may have run out of patience.
            let _ = drained.send(());
        }
    }

    fn follow(&mut self) -> Result<oneshot::Sender<()>, Stopped> {
        self.discover();
        self.read_all(false)?;
        let mut next_poll = self.clock.now().plus_ms(POLL_EVERY_MS);
        loop {
            let rest = self.followers.values().any(|follower| follower.rest_bytes > 0);
            let mut changed = BTreeSet::new();
            let mut next = self.wakes.recv_timeout(if rest {
                REST_AGAIN
            } else {
                Duration::from_millis(POLL_EVERY_MS.unsigned_abs())
            });
            // Also when notifications about other files never let it time out.
            let poll = next.is_err() || self.clock.now() >= next_poll;
            while let Ok(wake) = next {
                match wake {
                    Wake::Changed(paths) => changed.extend(paths),
                    Wake::Groups(groups) => self.adopt(groups)?,
                    Wake::Drain(done) => {
                        self.discover();
                        self.read_all(true)?;
                        return Ok(done);
                    }
                }
                next = self.wakes.try_recv().map_err(|_| RecvTimeoutError::Timeout);
            }
            if poll || self.watch.missed_some() {
                next_poll = self.clock.now().plus_ms(POLL_EVERY_MS);
                self.discover();
                self.read_all(false)?;
            } else {
                self.read_changed(&changed)?;
            }
        }
    }

    fn adopt(&mut self, groups: BTreeMap<GroupName, LogGroup>) -> Result<(), Stopped> {
        self.groups = groups;
        self.empty_globs.clear();
        let now = self.clock.now();
        self.followers.retain(|(name, id), follower| {
            let group = self.groups.get(name);
            match group {
                Some(group) => follower.reconfigure(group),
                None => self.checkpoints.remember(*id, follower.checkpoint(now)),
            }
            group.is_some()
        });
        self.discover();
        self.read_all(false)
    }

    /// Finds files that are not followed yet, and notices those that have moved.
    fn discover(&mut self) {
        let now = self.clock.now();
        self.watch.forget_missing();
        let mut found: BTreeSet<(GroupName, FileId)> = BTreeSet::new();
        let groups: Vec<_> = self.groups.iter().map(|(name, group)| (name.clone(), group.clone())).collect();
        for (name, group) in &groups {
            let first_time = self.known_groups.insert(name.clone());
            for path in self.paths(group) {
                let Ok(metadata) = std::fs::metadata(&path) else { continue };
                let id = FileId { device: metadata.dev(), inode: metadata.ino() };
                if !metadata.is_file() || !found.insert((name.clone(), id)) {
                    continue;
                }
                if let Some(follower) = self.followers.get_mut(&(name.clone(), id)) {
                    follower.path = path.to_string_lossy().into_owned();
                } else {
                    self.open(&path, name, group, first_time, now);
                }
            }
        }
        self.find_moved_while_stopped(&groups, &found, now);
        for (key, follower) in &mut self.followers {
            follower.moved_away = if found.contains(key) { None } else { follower.moved_away.or(Some(now)) };
        }
        self.followers.retain(|(_, id), follower| {
            let finished = follower.is_finished(now);
            if finished {
                self.checkpoints.remember(*id, follower.checkpoint(now));
            }
            !finished
        });
        self.tell_lag();
    }

    /// Tells how much is unread as of now, before anything is waited for.
    fn tell_lag(&self) {
        let mut unread: BTreeMap<GroupName, u64> = self.groups.keys().map(|name| (name.clone(), 0)).collect();
        for ((name, _), follower) in &self.followers {
            if let Some(bytes) = unread.get_mut(name) {
                *bytes += follower.unread_bytes();
            }
        }
        self.lag.replace(unread);
    }

    /// Paths that match the group's globs, and their folders watched.
    fn paths(&mut self, group: &LogGroup) -> Vec<PathBuf> {
        let mut all = Vec::new();
        for pattern in &group.files {
            self.watch.folder_of(Path::new(pattern));
            // The plan holds only globs that parse; folders that cannot be read have nothing to follow.
            let paths: Vec<PathBuf> = glob::glob(pattern).into_iter().flatten().flatten().collect();
            if paths.is_empty() && self.empty_globs.insert(pattern.clone()) {
                tracing::warn!(files = pattern, "no file matches yet; will keep looking");
            }
            all.extend(paths);
        }
        all.sort();
        all
    }

    fn open(&mut self, path: &Path, name: &GroupName, group: &LogGroup, first_time: bool, now: Timestamp) {
        let refusal = (name.clone(), path.to_owned());
        let first_time = first_time || self.refused.get(&refusal).is_some_and(|refusal| refusal.first_time);
        let opened = Follower::open(path, name, group, now).and_then(|mut follower| {
            let known = self.checkpoints.get(follower.id, name);
            let resumed = known.map_or(Ok(false), |checkpoint| follower.resume(checkpoint))?;
            let mut marked = None;
            if first_time && !resumed {
                match group.start {
                    StartAt::Beginning => marked = Some(follower.mark_backfill()?),
                    StartAt::End => marked = Some(follower.skip_to_end()?),
                }
            }
            let rewritten = known.is_some() && !resumed && !self.looked_for_moved;
            Ok((follower, resumed, rewritten, marked))
        });
        match opened {
            Ok((follower, resumed, rewritten, marked)) => {
                tracing::info!(log_group = %name, path = %path.display(), resumed, "following");
                if rewritten {
                    // Truncated while nobody looked, or replaced by another file: what stood there unread is gone.
                    let loss = follower.loss(LossReason::Truncated, 0);
                    say(&loss);
                    self.writer.append(Entry::Loss(loss));
                }
                self.refused.remove(&refusal);
                self.watch.folder_of(path);
                // Behind a symbolic link the changes happen in another folder.
                self.watch.folder_of(&follower.real_path);
                self.followers.insert((name.clone(), follower.id), follower);
                // Nobody waits for it: it stands in the journal before whatever is read from the file.
                drop(marked.map(|batch| self.writer.batch_waiting(batch)));
            }
            Err(error) => {
                let reason = error.to_string();
                if self.refused.get(&refusal).is_none_or(|before| before.reason != reason) {
                    tracing::warn!(log_group = %name, path = %path.display(), reason, "cannot be followed");
                }
                self.refused.insert(refusal, Refusal { reason, first_time });
            }
        }
    }

    /// Files that were being read when the process ended and have another name now: their rest is still ours.
    fn find_moved_while_stopped(
        &mut self,
        groups: &[(GroupName, LogGroup)],
        found: &BTreeSet<(GroupName, FileId)>,
        now: Timestamp,
    ) {
        // Once is enough: what moves while we run is still open.
        if std::mem::replace(&mut self.looked_for_moved, true) {
            return;
        }
        let mut lost: BTreeMap<PathBuf, Vec<(FileId, GroupName)>> = BTreeMap::new();
        for (id, checkpoint) in self.checkpoints.iter() {
            let key = (checkpoint.group.clone(), id);
            let folder = Path::new(&checkpoint.path).parent();
            if let Some(folder) =
                folder.filter(|_| !found.contains(&key) && !self.followers.contains_key(&key))
            {
                lost.entry(folder.to_owned()).or_default().push((id, checkpoint.group.clone()));
            }
        }
        for (folder, wanted) in lost {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let Ok(metadata) = entry.metadata() else { continue };
                let id = FileId { device: metadata.dev(), inode: metadata.ino() };
                for (_, name) in wanted.iter().filter(|(wanted, _)| *wanted == id) {
                    let group = groups.iter().find(|(known, _)| known == name).map(|(_, group)| group);
                    let (Some(group), Some(checkpoint)) = (group, self.checkpoints.get(id, name)) else {
                        continue;
                    };
                    let Ok(mut follower) = Follower::open(&entry.path(), name, group, now) else { continue };
                    if follower.resume(checkpoint).unwrap_or(false) {
                        tracing::info!(log_group = %name, path = follower.path, "following a file that was moved");
                        self.followers.insert((name.clone(), id), follower);
                    }
                }
            }
        }
    }

    /// Reads the files that these paths lead to; looks for new ones if a path could be one.
    fn read_changed(&mut self, changed: &BTreeSet<PathBuf>) -> Result<(), Stopped> {
        let mut keys = BTreeSet::new();
        for path in changed {
            let known =
                self.followers.iter().filter(|(_, it)| *path == it.real_path || path == Path::new(&it.path));
            let known: Vec<_> = known.map(|(key, it)| (key.clone(), is_still(path, it.id))).collect();
            let moved = known.iter().any(|(_, still)| !still);
            if moved || (known.is_empty() && self.could_be_followed(path)) {
                self.discover();
                return self.read_all(false);
            }
            keys.extend(known.into_iter().map(|(key, _)| key));
        }
        let rests = self.followers.iter().filter(|(_, it)| it.rest_bytes > 0).map(|(key, _)| key.clone());
        keys.extend(rests);
        self.read(keys.into_iter().collect(), false)
    }

    /// Whether some glob may lead to `path`, or to something below it.
    fn could_be_followed(&self, path: &Path) -> bool {
        let globs = self.groups.values().flat_map(|group| &group.files);
        path.is_dir()
            || globs.filter_map(|glob| glob::Pattern::new(glob).ok()).any(|glob| glob.matches_path(path))
    }

    fn read_all(&mut self, to_the_end: bool) -> Result<(), Stopped> {
        self.read(self.followers.keys().cloned().collect(), to_the_end)
    }

    /// Reads these files, round by round, until none has more.
    fn read(&mut self, mut keys: Vec<(GroupName, FileId)>, to_the_end: bool) -> Result<(), Stopped> {
        while !keys.is_empty() {
            let mut told = Vec::new();
            let mut again = Vec::new();
            for key in keys {
                if self.read_one(&key, to_the_end, &mut told) {
                    again.push(key);
                }
            }
            self.tell_lag();
            told.into_iter().try_for_each(wait)?;
            keys = again;
        }
        Ok(())
    }

    /// Hands over some batches of one file; true if there is more.
    fn read_one(
        &mut self,
        key: &(GroupName, FileId),
        to_the_end: bool,
        told: &mut Vec<oneshot::Receiver<Appended>>,
    ) -> bool {
        let Some(follower) = self.followers.get_mut(key) else { return false };
        for _ in 0..ROUND_BATCHES_MAX {
            let look = match follower.look(self.clock.now(), to_the_end) {
                Ok(look) => look,
                Err(error) => {
                    tracing::warn!(log_group = %key.0, path = follower.path, %error, "cannot be read now");
                    return false;
                }
            };
            told.extend(look.batch.map(|batch| self.writer.batch_waiting(batch)));
            for loss in look.losses {
                say(&loss);
                self.writer.append(Entry::Loss(loss));
            }
            if !look.more {
                return false;
            }
        }
        true
    }
}

fn is_still(path: &Path, id: FileId) -> bool {
    std::fs::metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == (id.device, id.inode))
}

fn say(loss: &Loss) {
    let Loss { group, stream, reason, bytes } = loss;
    let what = match reason {
        LossReason::Truncated => {
            "truncated; what was written after the last look and before that cannot be known"
        }
        LossReason::LineTooLong => "line too long, its end was dropped",
        LossReason::NotText => "not followed: holds no text",
    };
    tracing::warn!(log_group = %group, path = stream, bytes, "{what}");
}

fn wait(told: oneshot::Receiver<Appended>) -> Result<(), Stopped> {
    match told.blocking_recv() {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => {
            tracing::error!(%error, "the journal does not take what was read");
            Err(Stopped)
        }
        Err(_) => Err(Stopped),
    }
}
