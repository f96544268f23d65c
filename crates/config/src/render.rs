//! Problems as people and programs read them.
//!
//! Promise: the output is bounded however bad the file is, and never holds a secret of the file.

use std::ops::Range;

use codespan_reporting::diagnostic::{Diagnostic, Label};
use codespan_reporting::files::{Error, Files};
use codespan_reporting::term::{self, Config, Styles, StylesWriter, termcolor};
use serde::Serialize;

use crate::problem::{Level, Lines, Problem};
use crate::{Source, mask};

/// Most problems that are written out; the others are only counted.
pub const PROBLEMS_SHOWN_MAX: usize = 100;
/// Most bytes of a line that are shown before the marked text.
const BEFORE_BYTES_MAX: usize = 100;
/// Most bytes of a line that are shown from the marked text on.
const AFTER_BYTES_MAX: usize = 160;
/// What stands in a snippet for a secret, however long it is.
const MASK: &str = "********";

/// The problems as text: each with its line, the reason and the way out, then one line that counts them.
///
/// Empty without problems. `colour` adds ANSI colours. At most [`PROBLEMS_SHOWN_MAX`] problems are written out,
/// the gravest first choice.
pub fn render(problems: &[Problem], source: &Source<'_>, colour: bool) -> String {
    if problems.is_empty() {
        return String::new();
    }
    let (lines, masked) = (Lines::of(source.text), mask::secrets(source.text));
    let mut writer = if colour { termcolor::Buffer::ansi() } else { termcolor::Buffer::no_color() };
    let (palette, config) = (Styles::default(), Config::default());
    for problem in shown(problems) {
        let excerpt = Excerpt::of(problem, source, &lines, &masked);
        let diagnostic = excerpt.diagnostic(problem);
        let mut styled = StylesWriter::new(&mut writer, &palette);
        term::emit_to_write_style(&mut styled, &config, &excerpt, &diagnostic)
            .expect("an excerpt has its one line, and memory takes every write");
    }
    let mut text = String::from_utf8_lossy(writer.as_slice()).into_owned();
    text.push_str(&summary(problems, source.name));
    text.push('\n');
    text
}

/// The problems to write out, in file order: all, or as many as fit, the gravest first.
fn shown(problems: &[Problem]) -> Vec<&Problem> {
    let of = |level| problems.iter().filter(move |problem| problem.level == level);
    let gravest_first = of(Level::Error).chain(of(Level::Warning)).chain(of(Level::Note));
    let mut shown: Vec<&Problem> = gravest_first.take(PROBLEMS_SHOWN_MAX).collect();
    shown.sort_by_key(|problem| (problem.span.start, problem.span.end));
    shown
}

/// How many problems of a level there are.
fn count(problems: &[Problem], level: Level) -> usize {
    problems.iter().filter(|problem| problem.level == level).count()
}

/// `5 errors, 1 warning and 2 notes in watchbell.toml`.
fn summary(problems: &[Problem], name: &str) -> String {
    let counts: Vec<String> = [(Level::Error, "error"), (Level::Warning, "warning"), (Level::Note, "note")]
        .into_iter()
        .map(|(level, noun)| (count(problems, level), noun))
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| format!("{count} {noun}{}", if count == 1 { "" } else { "s" }))
        .collect();
    let (last, before) = counts.split_last().expect("there are problems");
    let counts = if before.is_empty() { last.clone() } else { format!("{} and {last}", before.join(", ")) };
    if problems.len() > PROBLEMS_SHOWN_MAX {
        return format!("{counts} in {name}, of which {PROBLEMS_SHOWN_MAX} are shown");
    }
    format!("{counts} in {name}")
}

/// The first line of a problem's text, masked, and cut if it is long.
struct Excerpt<'a> {
    name: &'a str,
    /// From 1.
    line: usize,
    /// From 1, in characters.
    column: usize,
    text: String,
    /// What is marked in `text`; without, its end.
    marked: Option<Range<usize>>,
}

impl<'a> Excerpt<'a> {
    fn of(problem: &Problem, source: &Source<'a>, lines: &Lines, masked: &[Range<usize>]) -> Excerpt<'a> {
        let (line, column) = lines.line_column(source.text, problem.span.start);
        let whole = lines.range(source.text, line);
        let at = problem.span.start.min(whole.end);
        let start = source.text.floor_char_boundary(at.saturating_sub(BEFORE_BYTES_MAX)).max(whole.start);
        let end = source.text.ceil_char_boundary(at.saturating_add(AFTER_BYTES_MAX)).min(whole.end);
        let mut excerpt = Excerpt { name: source.name, line, column, text: String::new(), marked: None };
        excerpt.text.push_str(if start > whole.start { "…" } else { "" });
        let mut masks = masked[masked.partition_point(|mask| mask.end <= start)..].iter();
        let (mut at, mut mask) = (start, masks.next());
        while at < end {
            let hidden = mask.filter(|mask| mask.start <= at);
            let character = source.text[at..].chars().next().expect("at < end, at a boundary");
            let next = hidden.map_or(at + character.len_utf8(), |mask| mask.end.min(end));
            match hidden {
                Some(_) => excerpt.push(MASK, &problem.span, at..next),
                None => excerpt.push(printable(character).encode_utf8(&mut [0; 4]), &problem.span, at..next),
            }
            if hidden.is_some() {
                mask = masks.next();
            }
            at = next;
        }
        excerpt.marked.get_or_insert(excerpt.text.len()..excerpt.text.len());
        excerpt.text.push_str(if end < whole.end { "…" } else { "" });
        excerpt
    }

    /// Adds what stands for the bytes `source` of the file, marked if `span` covers or begins at them.
    fn push(&mut self, shown: &str, span: &Range<usize>, source: Range<usize>) {
        let before = self.text.len();
        self.text.push_str(shown);
        if span.start < source.end && (source.start < span.end || source.start == span.start) {
            let end = if span.is_empty() { before } else { self.text.len() };
            self.marked.get_or_insert(before..end).end = end;
        }
    }

    fn diagnostic(&self, problem: &Problem) -> Diagnostic<()> {
        let diagnostic = match problem.level {
            Level::Error => Diagnostic::error(),
            Level::Warning => Diagnostic::warning(),
            Level::Note => Diagnostic::note(),
        };
        let marked = self.marked.clone().unwrap_or_default();
        let label = Label::primary((), marked).with_message(problem.label.as_deref().unwrap_or(""));
        let help = problem.help.as_ref().map(|help| format!("help: {help}"));
        diagnostic.with_message(&problem.message).with_label(label).with_notes(help.into_iter().collect())
    }
}

/// The character, unless a terminal would act on it.
fn printable(character: char) -> char {
    let turns_text = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if turns_text || (character.is_control() && character != '\t') { '\u{fffd}' } else { character }
}

/// A file of one line, so that a snippet can show other text than the file's and still name its place.
impl<'f> Files<'f> for Excerpt<'_> {
    type FileId = ();
    type Name = &'f str;
    type Source = &'f str;

    fn name(&'f self, (): ()) -> Result<&'f str, Error> {
        Ok(self.name)
    }

    fn source(&'f self, (): ()) -> Result<&'f str, Error> {
        Ok(&self.text)
    }

    fn line_index(&'f self, (): (), _byte_index: usize) -> Result<usize, Error> {
        Ok(0)
    }

    fn line_number(&'f self, (): (), _line_index: usize) -> Result<usize, Error> {
        Ok(self.line)
    }

    fn column_number(&'f self, (): (), _line_index: usize, _byte_index: usize) -> Result<usize, Error> {
        Ok(self.column)
    }

    fn line_range(&'f self, (): (), _line_index: usize) -> Result<Range<usize>, Error> {
        Ok(0..self.text.len())
    }
}

/// The problems for programs: what `--format json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report<'a> {
    /// The file as the user named it.
    pub file: &'a str,
    /// How many errors there are.
    pub errors: usize,
    /// How many warnings there are.
    pub warnings: usize,
    /// How many notes there are.
    pub notes: usize,
    /// In file order; at most [`PROBLEMS_SHOWN_MAX`], the gravest first choice.
    pub problems: Vec<PlacedProblem<'a>>,
}

/// A problem with its place in lines and columns, from 1; columns count characters. The end is exclusive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlacedProblem<'a> {
    /// The file as the user named it.
    pub file: &'a str,
    /// Where the text to change begins.
    pub line: usize,
    /// Where in that line.
    pub column: usize,
    /// Where it ends.
    pub end_line: usize,
    /// Where in that line.
    pub end_column: usize,
    /// How grave it is.
    pub level: Level,
    /// What is wrong.
    pub message: &'a str,
    /// The reason, where the message does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<&'a str>,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<&'a str>,
}

/// The problems for programs.
pub fn report<'a>(problems: &'a [Problem], source: &Source<'a>) -> Report<'a> {
    let lines = Lines::of(source.text);
    let place = |problem: &'a Problem| {
        let (line, column) = lines.line_column(source.text, problem.span.start);
        let (end_line, end_column) = lines.line_column(source.text, problem.span.end);
        PlacedProblem {
            file: source.name,
            line,
            column,
            end_line,
            end_column,
            level: problem.level,
            message: &problem.message,
            label: problem.label.as_deref(),
            help: problem.help.as_deref(),
        }
    };
    Report {
        file: source.name,
        errors: count(problems, Level::Error),
        warnings: count(problems, Level::Warning),
        notes: count(problems, Level::Note),
        problems: shown(problems).into_iter().map(place).collect(),
    }
}
