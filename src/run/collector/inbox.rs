//! What waits for the collector: paths that changed, each once, and commands in their order.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Command;

/// Paths that may wait; when there are more, every file is looked at.
pub(super) const CHANGED_MAX: usize = 65_536;

/// A handle on what waits.
#[derive(Clone, Default)]
pub(super) struct Inbox(Arc<(Mutex<Waiting>, Condvar)>);

/// What the collector takes at a time.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) changed: BTreeSet<PathBuf>,
    /// Notifications were lost.
    pub(super) missed: bool,
    pub(super) commands: VecDeque<Command>,
    /// Nobody takes anything any more.
    closed: bool,
}

impl Inbox {
    /// Something happened to these paths.
    pub(super) fn changed(&self, paths: Vec<PathBuf>) {
        let mut waiting = self.lock();
        for path in paths {
            if waiting.changed.len() < CHANGED_MAX {
                waiting.changed.insert(path);
            } else {
                waiting.missed |= !waiting.changed.contains(&path);
            }
        }
        self.0.1.notify_one();
    }

    /// Something may have happened to any path.
    pub(super) fn missed(&self) {
        self.lock().missed = true;
        self.0.1.notify_one();
    }

    /// Dropped if the collector has ended, so that nobody waits for its answer.
    pub(super) fn command(&self, command: Command) {
        let mut waiting = self.lock();
        if !waiting.closed {
            waiting.commands.push_back(command);
            self.0.1.notify_one();
        }
    }

    /// Drops what waits; nothing is taken any more.
    pub(super) fn close(&self) {
        *self.lock() = Waiting { closed: true, ..Waiting::default() };
    }

    /// Everything that waits, as soon as there is something; nothing after `patience`.
    pub(super) fn take(&self, patience: Duration) -> Waiting {
        let waited = self.0.1.wait_timeout_while(self.lock(), patience, |waiting| waiting.is_empty());
        std::mem::take(&mut *waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.changed.is_empty() && !self.missed && self.commands.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_changes_often_waits_once_and_too_many_are_told_as_all() {
        let inbox = Inbox::default();
        for _ in 0..10 {
            inbox.changed(vec!["/a".into(), "/b".into()]);
        }
        let waiting = inbox.take(Duration::ZERO);
        assert_eq!((waiting.changed.len(), waiting.missed), (2, false));
        inbox.changed((0..CHANGED_MAX).map(|number| PathBuf::from(format!("/{number}"))).collect());
        inbox.changed(vec!["/0".into()]);
        assert!(!inbox.lock().missed);
        inbox.changed(vec!["/one more".into()]);
        let waiting = inbox.take(Duration::ZERO);
        assert_eq!((waiting.changed.len(), waiting.missed), (CHANGED_MAX, true));
        assert!(inbox.take(Duration::ZERO).is_empty());
    }

    #[test]
    fn nobody_waits_for_the_answer_to_a_command_that_nobody_takes() {
        let inbox = Inbox::default();
        let drain = || {
            let (done, drained) = tokio::sync::oneshot::channel();
            inbox.command(Command::Drain(done));
            drained
        };
        let before = drain();
        inbox.close();
        let after = drain();
        assert!(before.blocking_recv().is_err() && after.blocking_recv().is_err());
    }
}
