//! Finding files: by the groups' globs, and what rotation made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use watchbell_model::{Entry, GroupName, LogGroup, LossReason, StartAt, Timestamp};

use super::follower::{Follower, Truncated};
use super::followers::Key;
use super::rotation::{bases, is_compressed_name, rotated, rotated_in};
use super::{Collector, identity, say};
use crate::run::checkpoint::{CHECKPOINTS_MAX, Checkpoint, Checkpoints, FileId};

/// Why a path could not be opened.
pub(super) struct Refusal {
    /// What was said.
    reason: String,
    /// It was there when its group was first looked for: when it opens in the end, its content is old.
    first_time: bool,
}

/// A path under which files are followed for a log group.
type Name = (GroupName, PathBuf);

/// What rotation left in the folders that were looked at in one round, by folder and by path.
type Beside = BTreeMap<PathBuf, BTreeMap<PathBuf, Vec<(PathBuf, Metadata)>>>;

/// Since when each path of the checkpoints has been followed.
pub(super) fn since(checkpoints: &Checkpoints) -> BTreeMap<Name, SystemTime> {
    let mut since = BTreeMap::new();
    for (_, checkpoint) in checkpoints.iter() {
        let at = system_time(checkpoint.first_at.plus_ms(-FILE_CLOCK_MS));
        let known = since.entry((checkpoint.group.clone(), checkpoint.path.clone().into())).or_insert(at);
        *known = at.min(*known);
    }
    since
}

impl Collector {
    /// Finds files that are not followed yet, and notices those that have moved.
    pub(super) fn discover(&mut self) {
        let now = self.clock.now();
        self.watch.forget_missing();
        let mut found: BTreeSet<Key> = BTreeSet::new();
        let groups = self.groups.clone();
        let mut beside = Beside::default();
        for (name, group) in &groups {
            let first_time = self.known_groups.insert(name.clone());
            let mut strangers = Vec::new();
            for path in self.paths(name, group) {
                let Ok(metadata) = std::fs::metadata(&path) else { continue };
                let key = (name.clone(), identity::id(&metadata));
                if !metadata.is_file() || !found.insert(key.clone()) {
                    continue;
                }
                match self.followers.get(&key) {
                    Some(follower) if Path::new(&follower.path) == path => {}
                    Some(_) => self.followers.rename(&key, &path),
                    None if self.checkpoints.get(key.1, name).is_some() => {
                        self.open(&path, (name, group), first_time, &mut beside, now);
                    }
                    None => strangers.push(path),
                }
            }
            // What was truncated finds its copy before the copy is taken for a new file.
            for path in strangers {
                self.open(&path, (name, group), first_time, &mut beside, now);
            }
        }
        let mut left = std::mem::take(&mut self.look_beside);
        if !std::mem::replace(&mut self.looked_for_moved, true) {
            // Once is enough: what moves while we run is still open.
            self.find_moved_while_stopped(&groups, &found, now);
            left.extend(self.since.keys().filter(|(name, _)| groups.contains_key(name)).cloned());
        }
        self.notice_moved(&found, &mut left, now);
        self.find_rotated(left, now);
        self.tell_lag();
        self.refused.retain(|(_, path), _| path.symlink_metadata().is_ok());
        self.copies.retain(|(_, path)| path.symlink_metadata().is_ok());
        let refused = self.refused.iter().map(|((name, path), refusal)| {
            ((name.clone(), path.to_string_lossy().into_owned()), refusal.reason.clone())
        });
        self.sources.refused(refused.collect());
    }

    /// Marks those whose path leads elsewhere, lets go of those that are done, and tells which paths were left.
    fn notice_moved(&mut self, found: &BTreeSet<Key>, left: &mut BTreeSet<Name>, now: Timestamp) {
        for key in self.followers.keys() {
            let Some(follower) = self.followers.get(&key) else { continue };
            match (found.contains(&key), follower.moved_away) {
                (true, Some(_)) => drop(self.followers.with(&key, |follower| follower.moved_away = None)),
                (false, None) => {
                    left.insert((key.0.clone(), follower.path.clone().into()));
                    self.followers.with(&key, |follower| follower.moved_away = Some(now));
                }
                (false, Some(_)) if follower.is_finished(now) => {
                    self.let_go(&key, now);
                }
                (false, Some(_)) => {
                    // While the path leads nowhere, a file may have had it and left it since the last look.
                    let path = Path::new(&follower.path);
                    if !self.followers.at(path).any(|(key, _)| found.contains(key)) {
                        left.insert((key.0.clone(), path.to_owned()));
                    }
                }
                (true, None) => {}
            }
        }
    }

    /// Paths that match the group's globs, and their folders watched.
    fn paths(&mut self, name: &GroupName, group: &LogGroup) -> Vec<PathBuf> {
        let mut all = Vec::new();
        for pattern in &group.files {
            self.watch.folder_of(Path::new(pattern));
            // The plan holds only globs that parse; folders that cannot be read have nothing to follow.
            let mut paths: Vec<PathBuf> = glob::glob(pattern).into_iter().flatten().flatten().collect();
            if paths.is_empty() && self.empty_globs.insert(pattern.clone()) {
                tracing::warn!(files = pattern, "no file matches yet; will keep looking");
            }
            paths.retain(|path| {
                let compressed = is_compressed_name(path);
                if compressed && self.with_compressed.insert(name.clone()) {
                    let example = path.display();
                    tracing::warn!(log_group = %name, files = pattern, %example, "compressed files are not followed");
                }
                !compressed
            });
            all.extend(paths);
        }
        all.sort();
        all
    }

    fn open(
        &mut self,
        path: &Path,
        (name, group): (&GroupName, &LogGroup),
        first_time: bool,
        beside: &mut Beside,
        now: Timestamp,
    ) {
        let refusal = (name.clone(), path.to_owned());
        let first_time = first_time || self.refused.get(&refusal).is_some_and(|refusal| refusal.first_time);
        match self.try_open(path, (name, group), first_time, beside, now) {
            Ok(()) => drop(self.refused.remove(&refusal)),
            Err(error) => {
                let reason = error.to_string();
                if self.refused.get(&refusal).is_none_or(|before| before.reason != reason) {
                    tracing::warn!(log_group = %name, path = %path.display(), reason, "cannot be followed");
                }
                self.refused.insert(refusal, Refusal { reason, first_time });
            }
        }
    }

    fn try_open(
        &mut self,
        path: &Path,
        (name, group): (&GroupName, &LogGroup),
        first_time: bool,
        beside: &mut Beside,
        now: Timestamp,
    ) -> std::io::Result<()> {
        let mut follower = Follower::open(path, name, group, now)?;
        // The name may have been given to another file since it was looked up.
        if self.followers.contains(&(name.clone(), follower.id)) {
            return Ok(());
        }
        if self.is_copy(&follower, path)? {
            if self.copies.insert((name.clone(), path.to_owned())) {
                tracing::info!(log_group = %name, path = %path.display(), "left alone as long as it looks like a copy");
            }
            return Ok(());
        }
        let known = self.checkpoints.get(follower.id, name).cloned();
        let resumed = known.as_ref().map_or(Ok(false), |checkpoint| follower.resume(checkpoint))?;
        let mut marked = None;
        if first_time && !resumed {
            marked = Some(match group.start {
                StartAt::Beginning => follower.mark_backfill()?,
                StartAt::End => follower.skip_to_end()?,
            });
        }
        self.copies.remove(&(name.clone(), path.to_owned()));
        tracing::info!(log_group = %name, path = %path.display(), resumed, "following");
        self.watch.folder_of(path);
        // Behind a symbolic link the changes happen in another folder.
        self.watch.folder_of(&follower.real_path);
        let place = (name.clone(), path.to_owned());
        if self.since.contains_key(&place) {
            // Between the last file here and this one there may have been others.
            self.look_beside.insert(place);
        }
        self.remember_since(path, &follower, beside);
        self.followers.insert(follower);
        if let Some(before) = known.filter(|_| !resumed && !self.looked_for_moved) {
            // Truncated while nobody looked, or replaced by another file.
            self.recover(name, &Truncated { before, unread_bytes: 0 });
        }
        // Nobody waits for it: it stands in the journal before whatever is read from the file.
        drop(marked.map(|batch| self.hand_over(batch)));
        Ok(())
    }

    /// What stands beside a path when it is first followed is older than what will be rotated from it.
    fn remember_since(&mut self, path: &Path, follower: &Follower, beside: &mut Beside) {
        let name = (follower.group.clone(), path.to_owned());
        if self.since.contains_key(&name) {
            return;
        }
        let Some(folder) = path.parent() else { return };
        let files = beside.entry(folder.to_owned()).or_insert_with(|| rotated_in(folder)).get(path);
        let born = files.into_iter().flatten().map(|(_, metadata)| identity::born(metadata));
        self.since.insert(name, born.fold(follower.born, SystemTime::max));
        if self.since.len() > CHECKPOINTS_MAX {
            let oldest = self.since.iter().min_by_key(|(_, since)| **since).map(|(name, _)| name.clone());
            oldest.and_then(|name| self.since.remove(&name));
        }
    }

    /// Whether a file that nobody follows, and that has a name that rotation gives, has the content of one that is
    /// followed. Then its lines are not new: it is left alone until the original is truncated.
    fn is_copy(&mut self, follower: &Follower, path: &Path) -> std::io::Result<bool> {
        for base in bases(path) {
            for (_, original) in self.followers.at(&base).filter(|((group, _), _)| *group == follower.group) {
                // Of an empty one it cannot be known yet, and there is nothing to read.
                if follower.is_empty() || original.is_copied_by(follower)? {
                    self.look_beside.insert((follower.group.clone(), base.clone()));
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Something happened to a path that no glob leads to: if rotation gave that name to a file that is followed, which one;
    /// if to one that nobody knows, it is looked for.
    pub(super) fn rotated_file(&mut self, path: &Path) -> Vec<Key> {
        let Some(id) = std::fs::metadata(path).ok().map(|metadata| identity::id(&metadata)) else {
            return Vec::new();
        };
        let mut names: BTreeSet<Name> = BTreeSet::new();
        for base in bases(path) {
            names.extend(self.followers.at(&base).map(|((group, _), _)| (group.clone(), base.clone())));
            // Also if none of the files that had the path is followed any more.
            let known = self.groups.keys().map(|group| (group.clone(), base.clone()));
            names.extend(known.filter(|name| self.since.contains_key(name)));
        }
        let mut keys = Vec::new();
        names.retain(|(group, _)| {
            let key = (group.clone(), id);
            let known = self.followers.contains(&key);
            keys.extend(known.then_some(key));
            !known
        });
        keys.extend(self.find_rotated(names, self.clock.now()));
        keys
    }

    /// A file was truncated: reads on in the copy that was made of it, if there is one, and reports what is known to be
    /// lost. The copy is followed from then on.
    pub(super) fn recover(&mut self, name: &GroupName, truncated: &Truncated) -> Option<Key> {
        let Truncated { before, unread_bytes } = truncated;
        let now = self.clock.now();
        let group = self.groups.get(name)?.clone();
        let mut bytes = *unread_bytes;
        if before.end == 0 {
            // Its copy is found as a file that rotation left, and read as a whole, perhaps by now. Which one it is cannot be
            // known: no more is reported than is missing from all of them.
            let whole = (name.clone(), PathBuf::from(&before.path));
            bytes = bytes.saturating_sub(self.longest_rotated(&whole));
            self.look_beside.insert(whole);
        }
        let copy = self.find_copy(name, &group, before, now);
        let key = copy.map(|copy| {
            let in_copy = copy.length().saturating_sub(before.end);
            bytes = unread_bytes.saturating_sub(in_copy);
            tracing::info!(log_group = %name, path = before.path, unread_bytes = in_copy, "reading on in its copy");
            // In the journal before anything that is read from the original from now on: a crash in between finds it.
            drop(self.hand_over(copy.mark()));
            let key = (name.clone(), copy.id);
            self.followers.insert(copy);
            key
        });
        let stream = before.path.clone();
        let loss = watchbell_model::Loss {
            group: name.clone(),
            stream,
            reason: LossReason::Truncated,
            bytes,
            shipped: None,
            times: 1,
        };
        say(&loss);
        self.writer.append(Entry::Loss(loss));
        key
    }

    /// The length of the longest file that rotation left at this path since it was first followed.
    fn longest_rotated(&self, name: &Name) -> u64 {
        let Some(since) = self.since.get(name) else { return 0 };
        let ours = rotated(&name.1).into_iter().filter(|(_, metadata)| identity::born(metadata) > *since);
        ours.map(|(_, metadata)| metadata.len()).max().unwrap_or(0)
    }

    fn find_copy(
        &self,
        name: &GroupName,
        group: &LogGroup,
        before: &Checkpoint,
        now: Timestamp,
    ) -> Option<Follower> {
        // Nothing of it had been read: every file would look like its copy.
        if before.end == 0 {
            return None;
        }
        let path = Path::new(&before.path).canonicalize().ok()?;
        // While it is looked for, rotation may go on and give its name away.
        for _ in 0..ROTATED_LOOKS_MAX {
            let mut moved = false;
            for (sibling, metadata) in rotated(&path).into_iter().rev() {
                let id = identity::id(&metadata);
                if self.followers.contains(&(name.clone(), id)) {
                    continue;
                }
                let opened = Follower::open(&sibling, name, group, now).ok().filter(|copy| copy.id == id);
                let Some(mut copy) = opened else {
                    moved = true;
                    continue;
                };
                if copy.resume_copy(before).unwrap_or(false) {
                    // After a crash in the middle of reading it.
                    if let Some(own) = self.checkpoints.get(id, name).filter(|own| own.end > before.end) {
                        // If it is another file's, the copy stays where it is.
                        let _ = copy.resume(own);
                    }
                    return Some(copy);
                }
            }
            if !moved {
                break;
            }
        }
        None
    }

    /// Files that were being read when the process ended and have another name now: their rest is still ours.
    fn find_moved_while_stopped(
        &mut self,
        groups: &BTreeMap<GroupName, LogGroup>,
        found: &BTreeSet<Key>,
        now: Timestamp,
    ) {
        let mut lost: BTreeMap<PathBuf, Vec<Key>> = BTreeMap::new();
        for (id, checkpoint) in self.checkpoints.iter() {
            let key = (checkpoint.group.clone(), id);
            let followed = found.contains(&key) || self.followers.contains(&key);
            if let Some(folder) = Path::new(&checkpoint.path).parent()
                && !followed
                && groups.contains_key(&key.0)
            {
                lost.entry(folder.to_owned()).or_default().push(key);
            }
        }
        for (folder, wanted) in lost {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let Ok(metadata) = entry.metadata() else { continue };
                let id = identity::id(&metadata);
                for (name, _) in wanted.iter().filter(|(_, wanted)| *wanted == id) {
                    let Some(checkpoint) = self.checkpoints.get(id, name) else { continue };
                    let Ok(mut follower) = Follower::open(&entry.path(), name, &groups[name], now) else {
                        continue;
                    };
                    if follower.resume(checkpoint).unwrap_or(false) {
                        tracing::info!(log_group = %name, path = follower.path, "following a file that was moved");
                        follower.path.clone_from(&checkpoint.path);
                        self.followers.insert(follower);
                    }
                }
            }
        }
    }

    /// Files that had one of these paths after it was first followed, and left it before anybody looked: they are beside it
    /// under names that rotation gives.
    fn find_rotated(&mut self, names: BTreeSet<Name>, now: Timestamp) -> Vec<Key> {
        let mut by_folder: BTreeMap<PathBuf, Vec<(Name, SystemTime)>> = BTreeMap::new();
        for name in names {
            if let (Some(folder), Some(since)) = (name.1.parent(), self.since.get(&name)) {
                by_folder.entry(folder.to_owned()).or_default().push((name.clone(), *since));
            }
        }
        let mut keys = Vec::new();
        for (folder, names) in by_folder {
            // While it is looked for, rotation may go on.
            let mut moved = false;
            for _ in 0..ROTATED_LOOKS_MAX {
                let rotated = rotated_in(&folder);
                let before = keys.len();
                moved = false;
                for (name, since) in &names {
                    for (sibling, metadata) in rotated.get(&name.1).into_iter().flatten() {
                        let key = (name.0.clone(), identity::id(metadata));
                        if !self.followers.contains(&key) && identity::born(metadata) > *since {
                            let opened = self.open_rotated(sibling, name, key.1, now);
                            keys.extend(opened.unwrap_or_else(|error| {
                                tracing::debug!(path = %sibling.display(), %error, "gone before it was opened");
                                moved |= error.kind() == std::io::ErrorKind::NotFound;
                                None
                            }));
                        }
                    }
                }
                if keys.len() == before && !moved {
                    break;
                }
            }
            if moved {
                self.look_beside.extend(names.into_iter().map(|(name, _)| name));
            }
        }
        keys
    }

    fn open_rotated(
        &mut self,
        sibling: &Path,
        (name, path): &Name,
        id: FileId,
        now: Timestamp,
    ) -> std::io::Result<Option<Key>> {
        let Some(group) = self.groups.get(name) else { return Ok(None) };
        let mut follower = Follower::open(sibling, name, group, now)?;
        if follower.id != id {
            return Err(std::io::Error::new(std::io::ErrorKind::NotFound, "another file has its name now"));
        }
        let key = (name.clone(), follower.id);
        if self.followers.contains(&key) || self.is_copy(&follower, sibling)? {
            return Ok(None);
        }
        let known = self.checkpoints.get(follower.id, name);
        let resumed = known.map_or(Ok(false), |checkpoint| follower.resume(checkpoint))?;
        if resumed && follower.unread_bytes() == 0 {
            return Ok(None);
        }
        tracing::info!(log_group = %name, path = %sibling.display(), "following a file that was rotated before it was seen");
        follower.path = path.to_string_lossy().into_owned();
        self.followers.insert(follower);
        Ok(Some(key))
    }
}

/// How far the clock of a file system may be behind, in milliseconds: it goes on with the kernel's timer.
const FILE_CLOCK_MS: i64 = 20;

/// Looks at what rotation left, as long as each finds something.
const ROTATED_LOOKS_MAX: usize = 4;

fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(at.0.max(0).unsigned_abs())
}
