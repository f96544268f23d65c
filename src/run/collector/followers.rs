//! The followed files, found by file and by path, and how much of them is unread.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use watchbell_model::GroupName;

use super::super::checkpoint::FileId;
use super::follower::Follower;

/// A file as it is followed for one log group.
pub(super) type Key = (GroupName, FileId);

/// All followers.
#[derive(Default)]
pub(super) struct Followers {
    all: BTreeMap<Key, Follower>,
    /// By the path they are followed under, and by where that leads.
    by_path: BTreeMap<PathBuf, BTreeSet<Key>>,
    /// Those with bytes that wait for their line end or for quiet.
    rests: BTreeSet<Key>,
    /// Unread bytes by log group.
    unread: BTreeMap<GroupName, u64>,
}

impl Followers {
    pub(super) fn insert(&mut self, follower: Follower) {
        let key = (follower.group.clone(), follower.id);
        self.remove(&key);
        for path in [PathBuf::from(&follower.path), follower.real_path.clone()] {
            self.by_path.entry(path).or_default().insert(key.clone());
        }
        *self.unread.entry(key.0.clone()).or_default() += follower.unread_bytes();
        if follower.rest_bytes > 0 {
            self.rests.insert(key.clone());
        }
        self.all.insert(key, follower);
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Follower> {
        let follower = self.all.remove(key)?;
        for path in [Path::new(&follower.path), &follower.real_path] {
            if let Some(keys) = self.by_path.get_mut(path) {
                keys.remove(key);
                if keys.is_empty() {
                    self.by_path.remove(path);
                }
            }
        }
        self.rests.remove(key);
        if let Some(unread) = self.unread.get_mut(&key.0) {
            *unread -= follower.unread_bytes();
        }
        Some(follower)
    }

    /// The file has another name now.
    pub(super) fn rename(&mut self, key: &Key, path: &Path) {
        let Some(mut follower) = self.remove(key) else { return };
        follower.path = path.to_string_lossy().into_owned();
        follower.real_path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        self.insert(follower);
    }

    /// Does something to a follower that leaves its name as it is.
    pub(super) fn with<T>(&mut self, key: &Key, act: impl FnOnce(&mut Follower) -> T) -> Option<T> {
        let follower = self.all.get_mut(key)?;
        let before = follower.unread_bytes();
        let outcome = act(follower);
        let unread = self.unread.entry(key.0.clone()).or_default();
        *unread = *unread - before + follower.unread_bytes();
        if follower.rest_bytes > 0 {
            self.rests.insert(key.clone());
        } else {
            self.rests.remove(key);
        }
        Some(outcome)
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Follower> {
        self.all.get(key)
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.all.contains_key(key)
    }

    /// Those that are, or were, followed under this path.
    pub(super) fn at(&self, path: &Path) -> impl Iterator<Item = (&Key, &Follower)> {
        self.by_path.get(path).into_iter().flatten().map(|key| (key, &self.all[key]))
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        self.all.keys().cloned().collect()
    }

    /// Files with bytes that wait for their line end or for quiet.
    pub(super) fn rests(&self) -> &BTreeSet<Key> {
        &self.rests
    }

    /// Unread bytes of each of these log groups.
    pub(super) fn unread<'a>(&self, groups: impl Iterator<Item = &'a GroupName>) -> BTreeMap<GroupName, u64> {
        groups.map(|name| (name.clone(), self.unread.get(name).copied().unwrap_or(0))).collect()
    }
}
