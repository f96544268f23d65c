//! One event, with what several patterns want to know of it worked out once.
//!
//! A line is read as JSON and split into tokens at most once each, when first asked, however many patterns and
//! selectors look at it. Not here: matching, which is the patterns' own.

use std::cell::OnceCell;

use crate::document::Document;
use crate::token::{self, Token};

/// An event's text and its lazily made views.
pub struct Line<'m> {
    message: &'m str,
    /// `None` inside if the text is not one JSON object.
    document: OnceCell<Option<Document<'m>>>,
    tokens: OnceCell<Vec<Token<'m>>>,
}

impl<'m> Line<'m> {
    /// Looks at nothing yet.
    pub fn new(message: &'m str) -> Self {
        Self { message, document: OnceCell::new(), tokens: OnceCell::new() }
    }

    /// The event's text.
    pub fn message(&self) -> &'m str {
        self.message
    }

    pub(crate) fn document(&self) -> Option<&Document<'m>> {
        self.document.get_or_init(|| Document::read(self.message)).as_ref()
    }

    pub(crate) fn tokens(&self) -> &[Token<'m>] {
        self.tokens.get_or_init(|| token::split(self.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_and_read_once() {
        let line = Line::new(r#"{"a": 1}"#);
        assert!(std::ptr::eq(line.tokens(), line.tokens()));
        assert!(std::ptr::eq(line.document().unwrap(), line.document().unwrap()));
        assert!(Line::new("no object").document().is_none());
    }
}
