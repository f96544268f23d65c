//! A receiver for tests: keeps what it is told, and fails when told to.

use std::sync::{Mutex, MutexGuard};

use crate::{BoxFuture, Message, Notifier, SendError};

/// Keeps every message it takes, in order.
#[derive(Debug, Default)]
pub struct Recorder {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: Vec<Message>,
    failures: Vec<SendError>,
}

impl Recorder {
    /// One that takes everything.
    pub fn new() -> Recorder {
        Recorder::default()
    }

    /// Answers the next `times` messages with `error`, keeping none of them.
    pub fn fail(&self, times: usize, error: &SendError) {
        let mut state = self.locked();
        state.failures.extend(std::iter::repeat_n(error.clone(), times));
    }

    /// What it has taken so far, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        self.locked().taken.clone()
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

impl Notifier for Recorder {
    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), SendError>> {
        let mut state = self.locked();
        let outcome = if state.failures.is_empty() {
            state.taken.push(message.clone());
            Ok(())
        } else {
            Err(state.failures.remove(0))
        };
        Box::pin(std::future::ready(outcome))
    }
}
