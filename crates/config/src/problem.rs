//! A problem: one mistake in a file, its place, the reason and the way out.

use std::ops::Range;

use serde::Serialize;

use crate::Source;

/// How grave a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The file cannot be used.
    Error,
    /// The file can be used, but probably does not say what was meant.
    Warning,
    /// The file is good; what it says is not done everywhere.
    Note,
}

/// One mistake in a file.
///
/// No field ever holds a secret that stands in the file; snippets of the file are masked by [`crate::render`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How grave it is.
    pub level: Level,
    /// What is wrong: lower case, no full stop, the offending value in quotes.
    pub message: String,
    /// The bytes of the text to change; both ends are character boundaries. Empty where something is missing.
    pub span: Range<usize>,
    /// The reason, written beside the marked text.
    pub label: Option<String>,
    /// What to write instead.
    pub help: Option<String>,
    /// Whether it is about AWS alone; who runs the plan elsewhere need not read it.
    pub is_about_aws: bool,
}

impl Problem {
    pub(crate) fn error(span: Range<usize>, message: impl Into<String>) -> Problem {
        Problem {
            level: Level::Error,
            message: message.into(),
            span,
            label: None,
            help: None,
            is_about_aws: false,
        }
    }

    pub(crate) fn note(span: Range<usize>, message: impl Into<String>) -> Problem {
        Problem { level: Level::Note, ..Problem::error(span, message) }
    }

    pub(crate) fn warning(span: Range<usize>, message: impl Into<String>) -> Problem {
        Problem { level: Level::Warning, ..Problem::error(span, message) }
    }

    pub(crate) fn label(self, label: impl Into<String>) -> Problem {
        Problem { label: Some(label.into()), ..self }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Problem {
        Problem { help: Some(help.into()), ..self }
    }

    /// Line and column of the problem's first character, both from 1; the column counts characters.
    pub fn line_column(&self, source: &Source<'_>) -> (usize, usize) {
        Lines::of(source.text).line_column(source.text, self.span.start)
    }
}

/// Where the lines of a text begin.
pub(crate) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    pub(crate) fn of(text: &str) -> Lines {
        let after_line_ends =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Lines { starts: std::iter::once(0).chain(after_line_ends).collect() }
    }

    /// The line of the byte `at`, from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    /// The bytes of line `line` (from 1), without its end.
    pub(crate) fn range(&self, text: &str, line: usize) -> Range<usize> {
        let start = self.starts[line - 1];
        let end = self.starts.get(line).copied().unwrap_or(text.len());
        start..start + text[start..end].trim_end_matches(['\n', '\r']).len()
    }

    pub(crate) fn line_column(&self, text: &str, at: usize) -> (usize, usize) {
        let line = self.line(at);
        (line, text[self.starts[line - 1]..at].chars().count() + 1)
    }
}

/// Most characters of a value that a message repeats.
const QUOTED_CHARS_MAX: usize = 80;

/// `text` as a message repeats it: in quotes, without control characters, cut at [`QUOTED_CHARS_MAX`], and
/// without anything that looks like the password of a web address.
pub(crate) fn quote(text: &str) -> String {
    if holds_password(text) {
        return "\"********\"".into();
    }
    let mut characters = text.chars();
    let head: String = characters.by_ref().take(QUOTED_CHARS_MAX).flat_map(char::escape_debug).collect();
    let head = head.replace("\\'", "'").replace("\\\"", "\"").replace("\\\\", "\\");
    if characters.next().is_some() { format!("\"{head}…\"") } else { format!("\"{head}\"") }
}

/// Whether a text holds a web address with a user or password in it: `https://user:password@host`.
pub(crate) fn holds_password(text: &str) -> bool {
    text.match_indices("://").any(|(at, separator)| {
        let rest = &text[at + separator.len()..];
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        authority.contains('@')
    })
}
