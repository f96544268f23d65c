//! The collector: follows the files of the plan's log groups and hands their lines to the writer.
//!
//! A file's position moves only with a batch that says so, and the batch is in the journal before the next one of the
//! same round is read: after a crash reading goes on where the journal ends, no line lost and none twice.

mod discovery;
mod follower;
mod followers;
mod identity;
mod inbox;
pub(super) mod lines;
mod rotation;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use watchbell_intake::Redactor;
use watchbell_model::{Batch, Entry, GroupName, LogGroup, Loss, LossReason, Source, Timestamp};

use self::discovery::Refusal;
use self::followers::{Followers, Key};
use self::inbox::{Inbox, Waiting};
pub(crate) use self::rotation::is_compressed_name;
use self::watch::Watch;
use super::checkpoint::{Checkpoints, FileId};
use super::clock::Clock;
use super::own::SourceLag;
use super::sources::Sources;
use super::writer::{AppendError, Appended, Writer};

/// How often files are looked for and looked at when no notification comes, in milliseconds.
pub const POLL_EVERY_MS: i64 = 1000;

/// How soon a rest without line end is looked at again.
const REST_AGAIN: Duration = Duration::from_millis(200);

/// Batches of one file that are handed to the writer before the collector waits for the disk.
const FILE_BATCHES_MAX: usize = 16;

/// Batches that are handed over before it waits: so many of files that something happened to, and so many of those that had
/// more to read than one round takes. Neither keeps the other waiting for longer than a round.
const ROUND_BATCHES_MAX: usize = 32;

/// What the collector is told to do.
enum Command {
    /// Follow these groups from now on.
    Follow(BTreeMap<GroupName, LogGroup>, Arc<Redactor>),
    /// Read everything to its end, tell, and stop.
    Drain(oneshot::Sender<()>),
}

/// A handle on the collector.
#[derive(Clone)]
pub struct CollectorHandle(Inbox);

impl CollectorHandle {
    /// Follows these groups from now on.
    pub fn follow(&self, groups: BTreeMap<GroupName, LogGroup>, redactor: Arc<Redactor>) {
        self.0.command(Command::Follow(groups, redactor));
    }

    /// Reads everything to its end and stops; resolves when that is on disk.
    pub fn drain(&self) -> oneshot::Receiver<()> {
        let (done, drained) = oneshot::channel();
        self.0.command(Command::Drain(done));
        drained
    }
}

/// The thread's own side.
pub struct Collector {
    groups: BTreeMap<GroupName, LogGroup>,
    /// Takes out of lines what must not be stored.
    redactor: Arc<Redactor>,
    /// The globs of all groups.
    globs: Vec<glob::Pattern>,
    /// Groups that have been looked for once: a file that appears later is new, not backfill.
    known_groups: BTreeSet<GroupName>,
    followers: Followers,
    /// Files with more than was read of them.
    unfinished: Unfinished,
    /// Of files that are not followed now: where they go on if they come back.
    checkpoints: Checkpoints,
    /// By path: files beside it that are younger than this, and that rotation named, once had that path.
    since: BTreeMap<(GroupName, PathBuf), SystemTime>,
    /// Paths beside which, at the next look for files, those are looked for that rotation left: a copy stands there, the path
    /// led nowhere for a while, or rotation went on during the last look.
    look_beside: BTreeSet<(GroupName, PathBuf)>,
    /// What moved while the process was stopped has been looked for.
    looked_for_moved: bool,
    /// Paths that could not be opened.
    refused: BTreeMap<(GroupName, PathBuf), Refusal>,
    /// Files that look like copies of followed ones; it was said.
    copies: BTreeSet<(GroupName, PathBuf)>,
    empty_globs: BTreeSet<String>,
    /// Groups whose globs match compressed files; it has been said.
    with_compressed: BTreeSet<GroupName>,
    /// Tells others how much is unread.
    lag: SourceLag,
    /// Tells others what is followed.
    sources: Sources,
    writer: Writer,
    clock: Arc<dyn Clock>,
    inbox: Inbox,
    watch: Watch,
}

/// The writer takes nothing more.
struct Stopped;

/// Files with more to read, one after another.
#[derive(Default)]
struct Unfinished {
    files: BTreeSet<Key>,
    /// Whose turn it was.
    last: Option<Key>,
}

impl Unfinished {
    /// The one whose turn it is.
    fn next(&mut self) -> Option<Key> {
        let after = self.last.take().map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.files.range((after, Bound::Unbounded)).next().or_else(|| self.files.first());
        self.last = next.cloned();
        self.last.clone()
    }
}

/// What was read before the disk is waited for.
#[derive(Default)]
struct Round {
    read: Vec<Key>,
    told: Vec<oneshot::Receiver<Appended>>,
}

impl Collector {
    /// A collector that follows `groups`. `known_groups` are those that some earlier plan had.
    pub fn new(
        groups: BTreeMap<GroupName, LogGroup>,
        known_groups: BTreeSet<GroupName>,
        checkpoints: Checkpoints,
        (lag, sources): (SourceLag, Sources),
        redactor: Arc<Redactor>,
        writer: Writer,
        clock: Arc<dyn Clock>,
    ) -> (Collector, CollectorHandle) {
        let inbox = Inbox::default();
        let watch = Watch::new(inbox.clone());
        let collector = Collector {
            redactor,
            globs: globs(&groups),
            groups,
            known_groups,
            followers: Followers::default(),
            unfinished: Unfinished::default(),
            since: discovery::since(&checkpoints),
            look_beside: BTreeSet::new(),
            checkpoints,
            looked_for_moved: false,
            refused: BTreeMap::new(),
            copies: BTreeSet::new(),
            empty_globs: BTreeSet::new(),
            with_compressed: BTreeSet::new(),
            lag,
            sources,
            writer,
            clock,
            inbox: inbox.clone(),
            watch,
        };
        (collector, CollectorHandle(inbox))
    }

    /// Journals, for every file of a group that no plan had yet, that what is in it now is old.
    pub fn mark_old_lines(&mut self) {
        self.discover();
    }

    /// Follows until it is told to drain, or the writer has ended.
    pub fn run(mut self) {
        let followed = self.follow();
        self.inbox.close();
        if let Ok(drained) = followed {
            // Whoever asked may have run out of patience.
            let _ = drained.send(());
        }
    }

    fn follow(&mut self) -> Result<oneshot::Sender<()>, Stopped> {
        self.discover();
        self.read(self.followers.keys())?;
        let mut next_poll = self.clock.now().plus_ms(POLL_EVERY_MS);
        loop {
            let patience = self.patience();
            let Waiting { changed, missed, commands, .. } = self.inbox.take(patience);
            let nothing = changed.is_empty() && commands.is_empty() && !patience.is_zero();
            for command in commands {
                match command {
                    Command::Follow(groups, redactor) => {
                        self.redactor = redactor;
                        self.adopt(groups)?;
                    }
                    Command::Drain(done) => {
                        self.discover();
                        self.read_to_the_end()?;
                        return Ok(done);
                    }
                }
            }
            // Also when notifications about other files never let it run out of patience.
            if nothing || missed || self.clock.now() >= next_poll {
                next_poll = self.clock.now().plus_ms(POLL_EVERY_MS);
                self.discover();
                self.read(self.followers.keys())?;
            } else {
                self.read_changed(&changed)?;
            }
        }
    }

    /// How long to wait for something to happen.
    fn patience(&self) -> Duration {
        if !self.unfinished.files.is_empty() {
            Duration::ZERO
        } else if self.followers.rests().is_empty() {
            Duration::from_millis(POLL_EVERY_MS.unsigned_abs())
        } else {
            REST_AGAIN
        }
    }

    fn adopt(&mut self, groups: BTreeMap<GroupName, LogGroup>) -> Result<(), Stopped> {
        self.globs = globs(&groups);
        self.groups = groups;
        self.empty_globs.clear();
        self.with_compressed.clear();
        let now = self.clock.now();
        for key in self.followers.keys() {
            if let Some(group) = self.groups.get(&key.0) {
                self.followers.with(&key, |follower| follower.reconfigure(group));
            } else {
                self.let_go(&key, now);
            }
        }
        self.discover();
        self.read(self.followers.keys())
    }

    /// Follows a file no longer; it may come back.
    fn let_go(&mut self, key: &Key, now: Timestamp) {
        if let Some(follower) = self.followers.remove(key) {
            self.checkpoints.remember(key.1, follower.checkpoint(now));
            self.sources.update(std::iter::once((key.clone(), None)));
        }
    }

    /// Tells how much is unread as of now, before anything is waited for.
    fn tell_lag(&self) {
        self.lag.replace(self.followers.unread(self.groups.keys()));
    }

    /// Tells what these files are like now.
    fn tell_sources(&mut self, keys: &[Key]) {
        let now = self.clock.now();
        let followers = &mut self.followers;
        let files = keys.iter().map(|key| (key.clone(), followers.with(key, |follower| follower.tell(now))));
        self.sources.update(files);
    }

    /// Gives a batch to the writer, and counts what it stands for as read.
    fn hand_over(&self, batch: Batch) -> oneshot::Receiver<Appended> {
        if let Source::File { range, .. } = &batch.source {
            self.sources.read(&batch.group, &batch.stream, range.end.saturating_sub(range.start));
        }
        self.writer.batch_waiting(batch)
    }

    /// Reads the files that these paths lead to; looks for new ones if a path could be one.
    fn read_changed(&mut self, changed: &BTreeSet<PathBuf>) -> Result<(), Stopped> {
        let mut keys = self.followers.rests().clone();
        for path in changed {
            // Those that have moved away keep their old path and say nothing about what is there now.
            let here = self.followers.at(path).filter(|(_, follower)| follower.moved_away.is_none());
            let here: Vec<&Key> = here.map(|(key, _)| key).collect();
            let look_for_new = match here.first() {
                None => self.could_be_followed(path),
                Some((_, id)) => !leads_to(path, *id),
            };
            if look_for_new {
                self.discover();
                return self.read(self.followers.keys());
            }
            if here.is_empty() {
                keys.extend(self.rotated_file(path));
            } else {
                keys.extend(here.into_iter().cloned());
            }
        }
        self.read(keys.into_iter().collect())
    }

    /// Whether some glob may lead to `path`, or to something below it.
    fn could_be_followed(&self, path: &Path) -> bool {
        self.globs.iter().any(|glob| glob.matches_path(path)) && !is_compressed_name(path) || path.is_dir()
    }

    /// Reads one round: of these files, and of those that had more.
    fn read(&mut self, keys: Vec<Key>) -> Result<(), Stopped> {
        let mut round = Round::default();
        for key in keys {
            if round.told.len() >= ROUND_BATCHES_MAX {
                self.unfinished.files.insert(key);
            } else if !self.unfinished.files.contains(&key) {
                self.read_one(key, FILE_BATCHES_MAX, false, &mut round);
            }
        }
        let end = round.told.len() + ROUND_BATCHES_MAX;
        // Each at most once, however many they are.
        for _ in 0..self.unfinished.files.len() {
            let left = end.saturating_sub(round.told.len());
            let Some(key) = self.unfinished.next().filter(|_| left > 0) else { break };
            self.read_one(key, left.min(FILE_BATCHES_MAX), false, &mut round);
        }
        self.settle(round)
    }

    /// Reads all files until none has more, the rests without a line end included.
    fn read_to_the_end(&mut self) -> Result<(), Stopped> {
        let mut keys = self.followers.keys();
        while !keys.is_empty() {
            self.unfinished.files.clear();
            let mut round = Round::default();
            for key in keys {
                self.read_one(key, FILE_BATCHES_MAX, true, &mut round);
                if round.told.len() >= ROUND_BATCHES_MAX {
                    self.settle(std::mem::take(&mut round))?;
                }
            }
            self.settle(round)?;
            keys = self.unfinished.files.iter().cloned().collect();
        }
        Ok(())
    }

    /// Tells what was read, and waits until it is on disk.
    fn settle(&mut self, round: Round) -> Result<(), Stopped> {
        self.tell_lag();
        self.tell_sources(&round.read);
        if !round.told.is_empty() {
            self.sources.waiting(Some(self.clock.now()));
            round.told.into_iter().try_for_each(wait)?;
            self.sources.waiting(None);
        }
        Ok(())
    }

    /// Hands over some batches of one file, and notes if it has more.
    fn read_one(&mut self, key: Key, batches: usize, to_the_end: bool, round: &mut Round) {
        self.unfinished.files.remove(&key);
        round.read.push(key.clone());
        for _ in 0..batches {
            let now = self.clock.now();
            let looked = self.followers.with(&key, |follower| {
                let looked = follower.look(now, to_the_end, &self.redactor);
                follower.error = looked.as_ref().err().map(ToString::to_string);
                looked
            });
            let Some(looked) = looked else { return };
            let look = match looked {
                Ok(look) => look,
                Err(error) => {
                    let path = self.followers.get(&key).map_or("", |follower| &follower.path);
                    tracing::warn!(log_group = %key.0, path, %error, "cannot be read now");
                    return;
                }
            };
            if let Some(truncated) = look.truncated {
                let copy = self.recover(&key.0, &truncated);
                self.unfinished.files.extend(copy);
            }
            round.told.extend(look.batch.map(|batch| self.hand_over(batch)));
            look.losses.into_iter().for_each(|loss| self.lose(loss));
            if !look.more {
                return;
            }
        }
        self.unfinished.files.insert(key);
    }

    fn lose(&self, loss: Loss) {
        say(&loss);
        self.writer.append(Entry::Loss(loss));
    }
}

fn globs(groups: &BTreeMap<GroupName, LogGroup>) -> Vec<glob::Pattern> {
    let all = groups.values().flat_map(|group| &group.files);
    all.filter_map(|glob| glob::Pattern::new(glob).ok()).collect()
}

fn leads_to(path: &Path, id: FileId) -> bool {
    std::fs::metadata(path).is_ok_and(|now| identity::id(&now) == id)
}

/// Says what was lost.
pub(crate) fn say(loss: &Loss) {
    let Loss { group, stream, reason, bytes, times, .. } = loss;
    let what = match reason {
        LossReason::Truncated => {
            "truncated; what was written after the last look and before that cannot be known"
        }
        LossReason::LineTooLong => "line too long, its end was dropped",
        LossReason::NotText => "not followed: holds no text",
        LossReason::ReceiveBuffer => "datagrams came faster than they could be read: the kernel dropped them",
        LossReason::Unreadable => "not in the form of its source, or without a message: dropped",
        LossReason::NoSpace => "what had been taken in is lost: there was no room for it until the end",
        LossReason::TooOld => "CloudWatch Logs takes nothing that happened more than 14 days ago",
        LossReason::Expired => "CloudWatch Logs takes nothing that is older than what the log group keeps",
        LossReason::TooNew => "CloudWatch Logs takes nothing that is more than 2 hours ahead",
        LossReason::Empty => "CloudWatch Logs takes no empty lines",
    };
    tracing::warn!(log_group = %group, path = stream, bytes, times, "{what}");
}

fn wait(told: oneshot::Receiver<Appended>) -> Result<(), Stopped> {
    match told.blocking_recv() {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(AppendError::Stopping)) | Err(_) => Err(Stopped),
        Ok(Err(error)) => {
            tracing::error!(%error, "the journal does not take what was read");
            Err(Stopped)
        }
    }
}
