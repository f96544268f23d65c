//! The writer's queue: bounded in bytes for what comes from outside, open for what the process itself has to say.
//!
//! Decisions, deliveries and trail records never wait here. They are caused by what was let in, so they are bounded
//! with it; if they waited, the writer and the fold could wait for each other.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of log text that may wait for the writer; whoever brings more waits or is told to come back.
pub(crate) const WAITING_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A queue with one consumer.
pub(crate) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    changed: Condvar,
}

#[expect(clippy::struct_excessive_bools, reason = "each can be so without the others")]
struct Inner<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    closed: bool,
    /// Nothing is let in from outside for now.
    paused: bool,
    /// The same, for as long as what is in has to wait for others.
    held: bool,
    /// Whoever waits during a pause gets in all the same: the taker sends it away.
    impatient: bool,
}

/// The queue is closed; here is the item back.
pub(crate) struct Closed<T>(pub(crate) T);

/// Why an item that may wait was not let in.
pub(crate) enum SentBack<T> {
    Held(T),
    Closed(T),
}

/// Why an item was not let in.
pub(crate) enum Refused<T> {
    Full(T),
    Paused(T),
    Held(T),
    Closed(T),
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Queue<T> {
        let inner = Inner {
            items: VecDeque::new(),
            bytes: 0,
            closed: false,
            paused: false,
            held: false,
            impatient: false,
        };
        Queue { inner: Mutex::new(inner), changed: Condvar::new() }
    }

    /// Puts `item` in, however full it is.
    pub(crate) fn push(&self, item: T) -> Result<(), Closed<T>> {
        self.put(self.lock(), item, 0)
    }

    /// Puts `item` in, or gives it back if its bytes find no room. Something always fits into an empty queue.
    pub(crate) fn try_push(&self, item: T, bytes: usize) -> Result<(), Refused<T>> {
        let inner = self.lock();
        if inner.paused && !inner.closed {
            return Err(Refused::Paused(item));
        }
        if inner.held && !inner.closed {
            return Err(Refused::Held(item));
        }
        if inner.is_full(bytes) {
            return Err(Refused::Full(item));
        }
        self.put(inner, item, bytes).map_err(|Closed(item)| Refused::Closed(item))
    }

    /// Puts `item` in as soon as there is room and no pause. While it is held and nobody may wait, gives it back.
    pub(crate) fn push_waiting(&self, item: T, bytes: usize) -> Result<(), SentBack<T>> {
        let waiting = self.changed.wait_while(self.lock(), |inner| inner.must_wait(bytes) && !inner.closed);
        let inner = waiting.unwrap_or_else(PoisonError::into_inner);
        if inner.held {
            return Err(SentBack::Held(item));
        }
        self.put(inner, item, bytes).map_err(|Closed(item)| SentBack::Closed(item))
    }

    /// Everything that waits, up to `bytes_max`, oldest first; waits for the first. Empty only once closed and done.
    pub(crate) fn take(&self, bytes_max: usize) -> Vec<T> {
        let waiting = self.changed.wait_while(self.lock(), |inner| inner.items.is_empty() && !inner.closed);
        let mut inner = waiting.unwrap_or_else(PoisonError::into_inner);
        let (mut taken, mut taken_bytes) = (Vec::new(), 0);
        while let Some((item, bytes)) = inner.items.pop_front() {
            taken.push(item);
            taken_bytes += bytes;
            if taken_bytes >= bytes_max {
                break;
            }
        }
        inner.bytes -= taken_bytes;
        self.changed.notify_all();
        taken
    }

    /// Lets nothing in from outside until it is told otherwise.
    pub(crate) fn pause(&self, paused: bool) {
        self.lock().paused = paused;
        self.changed.notify_all();
    }

    /// The same for another reason, which only an agent has: its buffer is full. Once nobody waits any more, what is held
    /// stays held: nothing gets in behind what was sent back.
    pub(crate) fn hold(&self, held: bool) {
        let mut inner = self.lock();
        inner.held = held || inner.held && inner.impatient;
        drop(inner);
        self.changed.notify_all();
    }

    /// Whether nothing is let in from outside.
    pub(crate) fn is_paused(&self) -> bool {
        self.lock().paused
    }

    /// From now on nobody waits for the end of a pause.
    pub(crate) fn end_waiting(&self) {
        self.lock().impatient = true;
        self.changed.notify_all();
    }

    /// Whether nobody waits for the end of a pause.
    pub(crate) fn is_impatient(&self) -> bool {
        self.lock().impatient
    }

    /// Lets nothing more in; what is in it can still be taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn put(&self, mut inner: MutexGuard<'_, Inner<T>>, item: T, bytes: usize) -> Result<(), Closed<T>> {
        if inner.closed {
            return Err(Closed(item));
        }
        inner.items.push_back((item, bytes));
        inner.bytes += bytes;
        self.changed.notify_all();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Inner<T> {
    fn is_full(&self, bytes: usize) -> bool {
        self.bytes > 0 && self.bytes + bytes > WAITING_BYTES_MAX
    }

    fn must_wait(&self, bytes: usize) -> bool {
        self.is_full(bytes) || (self.paused || self.held) && !self.impatient
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_takes_up_to_its_bound_and_internal_items_always() {
        let queue = Queue::new();
        assert!(
            queue.try_push(1, WAITING_BYTES_MAX * 2).is_ok(),
            "something always fits into an empty queue"
        );
        assert!(matches!(queue.try_push(2, 1), Err(Refused::Full(2))));
        assert!(queue.push(3).is_ok());
        assert_eq!(queue.take(1), [1]);
        assert!(queue.try_push(4, 1).is_ok());
        queue.close();
        assert!(queue.push(5).is_err());
        assert_eq!(queue.take(usize::MAX), [3, 4]);
        assert!(queue.take(usize::MAX).is_empty());
    }

    #[test]
    fn a_pause_keeps_out_what_comes_from_outside_until_it_ends_or_nobody_waits_any_more() {
        let queue = Queue::new();
        queue.pause(true);
        assert!(matches!(queue.try_push(1, 1), Err(Refused::Paused(1))));
        assert!(queue.push(2).is_ok());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.push_waiting(3, 1).is_ok());
            assert_eq!(queue.take(1), [2]);
            queue.pause(false);
            assert!(waiting.join().unwrap());
        });
        assert_eq!(queue.take(1), [3]);
        queue.pause(true);
        queue.end_waiting();
        assert!(queue.push_waiting(4, 1).is_ok());
    }

    #[test]
    fn what_is_held_waits_until_it_is_let_go_or_goes_back_at_the_end() {
        let queue = Queue::new();
        queue.hold(true);
        assert!(matches!(queue.try_push(1, 1), Err(Refused::Held(1))));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.push_waiting(2, 1).is_ok());
            queue.hold(false);
            assert!(waiting.join().unwrap());
        });
        assert_eq!(queue.take(1), [2]);
        queue.hold(true);
        queue.end_waiting();
        assert!(matches!(queue.push_waiting(3, 1), Err(SentBack::Held(3))));
        queue.hold(false);
        assert!(matches!(queue.push_waiting(4, 1), Err(SentBack::Held(4))), "nothing gets in behind 3");
    }

    #[test]
    fn whoever_waits_for_room_gets_in_when_there_is_some() {
        let queue = Queue::new();
        assert!(queue.try_push(1, WAITING_BYTES_MAX).is_ok());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.push_waiting(2, 1).is_ok());
            assert_eq!(queue.take(1), [1]);
            assert!(waiting.join().unwrap());
        });
        assert_eq!(queue.take(1), [2]);
    }
}
