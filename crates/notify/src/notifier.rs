//! A notifier: one receiver that messages are handed to.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::Message;

/// A future in a box, so that [`Notifier`] can be used as `dyn Notifier`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One receiver.
pub trait Notifier: Send + Sync {
    /// Makes one attempt to hand `message` over; `Ok` means that the receiver took it.
    ///
    /// An attempt that failed may still have reached the receiver (its answer was lost), so a receiver can see a
    /// message twice; [`Message::id`] is the same each time.
    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), SendError>>;
}

/// Why a receiver did not take a message. The reasons hold no secret: of an address they name the host only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Another attempt may work.
    ///
    /// This is every answer of a receiver, 404 and redirects included: somebody may repair the receiver within
    /// [`GIVE_UP_AFTER`](crate::GIVE_UP_AFTER), and a person's alarm is not thrown away over a wrong setting.
    #[error("{reason}")]
    Again {
        /// What the receiver or the network said.
        reason: String,
        /// How long the receiver asked to be left alone; at most an hour; wait the longer of this and
        /// [`backoff`](crate::backoff()).
        after: Option<Duration>,
    },
    /// No attempt with these settings can work: the address or the signing key is malformed.
    #[error("{reason}")]
    Never {
        /// What is malformed, without its value.
        reason: String,
    },
}

impl SendError {
    /// Another attempt may work, at any time.
    pub(crate) fn again(reason: impl Into<String>) -> SendError {
        SendError::Again { reason: reason.into(), after: None }
    }
}
