//! The console: messages as text for whoever looks at the terminal.

use std::io;

use crate::text::TEXT_WIDTH;
use crate::{BoxFuture, Message, Notifier, SendError};

/// Writes one whole message and flushes; errors if it could not.
pub type WriteText = Box<dyn Fn(&str) -> io::Result<()> + Send + Sync>;

/// Messages as text, written through a function that the binary hands in: no library touches standard output.
pub struct Console {
    colour: bool,
    write: WriteText,
}

impl Console {
    /// Writes each message with one call of `write`, log lines cut at [`TEXT_WIDTH`], coloured if `colour`.
    pub fn new(colour: bool, write: WriteText) -> Console {
        Console { colour, write }
    }
}

impl Notifier for Console {
    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), SendError>> {
        let written = (self.write)(&message.text(TEXT_WIDTH, self.colour));
        let outcome = written.map_err(|error| SendError::again(format!("console: {error}")));
        Box::pin(std::future::ready(outcome))
    }
}
