//! How a command ends when it does not end well.

use std::fmt;

/// What the process says to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// A finding: a test failed, a verification did not match.
    Finding = 1,
    /// The command line or a pattern is wrong.
    Usage = 2,
    /// Something that is needed is not available: a port, a lock.
    Unavailable = 69,
    /// Watchbell itself is at fault.
    Defect = 70,
    /// Reading or writing did not work.
    InputOutput = 74,
    /// The file is wrong.
    Configuration = 78,
}

/// An end that is not good, with a message that says what, where and the way out.
#[derive(Debug)]
pub struct Failure {
    /// What the process says to its caller.
    pub status: ExitStatus,
    /// What people read; empty if everything has been said already.
    pub message: String,
    /// The way out.
    pub help: Option<String>,
}

impl Failure {
    /// A failure without a known way out.
    pub fn new(status: ExitStatus, message: impl fmt::Display) -> Failure {
        Failure { status, message: message.to_string(), help: None }
    }

    /// The same, with a way out.
    #[must_use]
    pub fn help(self, help: impl fmt::Display) -> Failure {
        Failure { help: Some(help.to_string()), ..self }
    }

    /// Reading or writing `what` did not work.
    pub fn io(what: impl fmt::Display, error: &std::io::Error) -> Failure {
        Failure::new(ExitStatus::InputOutput, format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  = help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}
