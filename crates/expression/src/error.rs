//! Why an expression was refused: the reason, the place and the way out.

use std::fmt;
use std::ops::Range;

/// A refused metric math expression or alarm rule.
///
/// `message` says the rule that was broken, `span` the bytes of the given text that broke it (empty when
/// something is missing at that place), `help` what to write instead. `Display` prints the message alone: the
/// caller knows the file and line to print beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    /// The broken rule, lower case, without a full stop.
    pub message: String,
    /// Where, in bytes of the text that was given; both ends are character boundaries.
    pub span: Range<usize>,
    /// What to write instead.
    pub help: Option<String>,
}

impl ExpressionError {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), span, help: None }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for ExpressionError {}
