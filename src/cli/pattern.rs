//! `watchbell pattern`: the lines that match a filter pattern.

use std::fmt::{Display, Write as _};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use watchbell_model::{BYTE_ORDER_MARK, Kept, without_end};
use watchbell_pattern::{Explanation, Pattern, PatternError, PatternKind, Words};

use super::{Format, Global, say, written};
use crate::{ExitStatus, Failure, out};

/// Prints the lines that match.
#[derive(Args)]
#[command(after_help = "Examples:\n  watchbell pattern '\"Failed password\"' /var/log/auth.log\n  \
                        watchbell pattern '[ip, id, user, time, request, status=5*, size]' access.log\n  \
                        watchbell pattern '{ $.level = \"ERROR\" && $.latency > 100 }' app.jsonl --format json\n  \
                        journalctl -f | watchbell pattern -- '-debug'\n  \
                        watchbell pattern --explain '{ $.status >= 500 || $.error != none }'\n\n\
                        Exit code 0 whether or not a line matched, 2 for a pattern that is refused.")]
pub(super) struct Options {
    /// A CloudWatch filter pattern; put -- before one that starts with -
    pattern: String,
    /// Files to read, standard input if none
    files: Vec<PathBuf>,
    /// Say in words what it matches; reads nothing
    #[arg(long, conflicts_with = "files")]
    explain: bool,
}

pub(super) fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let pattern =
        Pattern::parse(&options.pattern).map_err(|error| refusal(global.format, &options.pattern, &error))?;
    if options.explain {
        return written(out::line(&explained(&pattern.explain(), global.format)));
    }
    let mut trouble = None;
    let outcome = out::buffered(|out| {
        let mut printer = Printer { out, pattern: &pattern, format: global.format, number: 0 };
        let mut note = |name: &dyn Display, read: io::Result<()>| {
            if let Err(error) = read {
                let failure = Failure::io(name, &error);
                say(&failure.to_string());
                trouble = Some(failure);
            }
        };
        if options.files.is_empty() {
            note(&"standard input", printer.print(BufReader::new(io::stdin().lock()))?);
        }
        for path in &options.files {
            let read = match File::open(path) {
                Ok(file) => printer.print(BufReader::with_capacity(256 * 1024, file))?,
                Err(error) => Err(error),
            };
            note(&path.display(), read);
        }
        Ok(())
    });
    written(outcome)?;
    trouble.map_or(Ok(()), |failure| Err(Failure { message: String::new(), help: None, ..failure }))
}

struct Printer<'a> {
    out: &'a mut dyn Write,
    pattern: &'a Pattern,
    format: Format,
    /// Lines read so far, over all files.
    number: u64,
}

impl Printer<'_> {
    /// Prints what matches in `input`. The outer result is about writing, the inner one about reading.
    fn print(&mut self, mut input: BufReader<impl Read>) -> io::Result<io::Result<()>> {
        let mut line = Vec::new();
        let mut is_first = true;
        loop {
            if input.buffer().is_empty() {
                // The next line may take its time: what has matched so far is shown first.
                self.out.flush()?;
            }
            line.clear();
            match input.read_until(b'\n', &mut line) {
                Ok(0) => return Ok(Ok(())),
                Ok(_) => {
                    let mark = line.strip_prefix(BYTE_ORDER_MARK).filter(|_| is_first);
                    self.print_line(mark.unwrap_or(&line))?;
                    is_first = false;
                }
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    fn print_line(&mut self, line: &[u8]) -> io::Result<()> {
        self.number += 1;
        // The text as `up` would keep it, so that a line matches here if it matches there.
        let message = Kept::of(without_end(line)).text;
        match self.format {
            Format::Text if self.pattern.matches(&message) => writeln!(self.out, "{message}"),
            Format::Text => Ok(()),
            Format::Json => {
                let Some(extracted) = self.pattern.extract(&message) else { return Ok(()) };
                let object = json!({
                    "eventNumber": self.number,
                    "eventMessage": message,
                    "extractedValues": extracted,
                });
                writeln!(self.out, "{object}")
            }
        }
    }
}

fn explained(explanation: &Explanation, format: Format) -> String {
    match format {
        Format::Text => in_words(explanation),
        Format::Json => {
            let fields = explanation.fields.iter().map(|field| (field.selector.clone(), json!(field.place)));
            let language = match explanation.kind {
                PatternKind::MatchAll => "match all",
                PatternKind::Terms => "terms",
                PatternKind::Json => "JSON",
                PatternKind::SpaceDelimited => "space-delimited",
            };
            json!({
                "language": language,
                "event": explanation.event,
                "condition": explanation.condition.as_ref().map(as_json),
                "fields": fields.collect::<serde_json::Map<_, _>>(),
                "notes": explanation.notes,
            })
            .to_string()
        }
    }
}

/// A text for one condition, an object with `all` or `any` for several.
fn as_json(words: &Words) -> Value {
    let each = |parts: &[Words]| parts.iter().map(as_json).collect::<Vec<_>>();
    match words {
        Words::One(condition) => json!(condition),
        Words::All(parts) => json!({ "all": each(parts) }),
        Words::Any(parts) => json!({ "any": each(parts) }),
    }
}

fn in_words(explanation: &Explanation) -> String {
    let mut text = format!("matches {}", explanation.event);
    if let Some(condition) = &explanation.condition {
        text += " if";
        add(&mut text, condition, 0);
    }
    let width = explanation.fields.iter().map(|field| field.selector.len()).max().unwrap_or(0);
    for field in &explanation.fields {
        let _ = write!(text, "\n  {:width$}  {}", field.selector, field.place);
    }
    for note in &explanation.notes {
        let _ = write!(text, "\n  = note: {note}");
    }
    text
}

/// A condition on the line that is being written, or its parts on lines of their own.
fn add(text: &mut String, words: &Words, depth: usize) {
    let (head, parts) = match words {
        Words::One(condition) => {
            let _ = write!(text, " {condition}");
            return;
        }
        Words::All(parts) => ("all of these hold:", parts),
        Words::Any(parts) => ("one of these holds:", parts),
    };
    let _ = write!(text, " {head}");
    for part in parts {
        let _ = write!(text, "\n{:indent$}-", "", indent = 2 * depth + 2);
        add(text, part, depth + 1);
    }
}

pub(super) fn refusal(format: Format, pattern: &str, error: &PatternError) -> Failure {
    match format {
        Format::Json => {
            let PatternError { message, span, help } = error;
            let object = json!({ "message": message, "start": span.start, "end": span.end, "help": help });
            say(&json!({ "error": object }).to_string());
        }
        Format::Text => say(&picture(pattern, error)),
    }
    Failure::new(ExitStatus::Usage, "")
}

/// The pattern with the place marked.
fn picture(pattern: &str, error: &PatternError) -> String {
    let shown = |text: &str| text.replace(|c: char| c.is_control(), " ");
    let before = pattern[..error.span.start].chars().count();
    let marked = pattern[error.span.clone()].chars().count().max(1);
    let help = error.help.as_ref().map(|help| format!("\n  = help: {help}")).unwrap_or_default();
    let marks = " ".repeat(before) + &"^".repeat(marked);
    format!("error: {}\n  | {}\n  | {marks}{help}", error.message, shown(pattern))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(pattern: &str, input: &[u8], format: Format) -> String {
        let mut out = Vec::new();
        let pattern = Pattern::parse(pattern).unwrap();
        Printer { out: &mut out, pattern: &pattern, format, number: 0 }
            .print(BufReader::new(input))
            .unwrap()
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_lose_their_ends_only() {
        let input = &b"ERROR one\r\nfine\nERROR two\r\r\nERROR \xff"[..];
        assert_eq!(matching("ERROR", input, Format::Text), "ERROR one\nERROR two\r\nERROR \u{fffd}\n");
    }

    #[test]
    fn json_numbers_lines_from_one() {
        let json = matching("[level=ERROR, what]", &b"INFO a\nERROR b c\n"[..], Format::Json);
        let expected = "{\"eventMessage\":\"ERROR b c\",\"eventNumber\":2,\"extractedValues\":{\"$level\":\"ERROR\",\"$what\":\"b c\"}}\n";
        assert_eq!(json, expected);
    }

    #[test]
    fn an_explanation_is_a_sentence_with_parts() {
        let shown = |pattern: &str| in_words(&Pattern::parse(pattern).unwrap().explain());
        assert_eq!(shown(""), "matches every event");
        assert_eq!(
            shown("{ $.level = \"ERROR\" && ($.ms > 100 || $.path = \"/pay*\") }"),
            "matches an event that is one JSON object if all of these hold:\n\
             \x20 - $.level is \"ERROR\"\n\
             \x20 - one of these holds:\n\
             \x20   - $.ms is a number, greater than 100\n\
             \x20   - $.path is a number or a text that begins with \"/pay\"\n\
             \x20 = note: a text is never greater or smaller than a number, even \"500\"\n\
             \x20 = note: an event that is no JSON object matches nothing, NOT EXISTS included"
        );
        assert_eq!(
            shown("[ip, ..., status=5*]"),
            "matches an event with at least 2 tokens if $status is a token that begins with \"5\"\n\
             \x20 $ip      token 1\n\
             \x20 $status  the last token\n\
             \x20 = note: a token ends at white space; \"…\" and […] hold one together, and are not part of it"
        );
    }

    #[test]
    fn an_explanation_as_json_has_the_tree() {
        let shown = explained(&Pattern::parse("?a ?b").unwrap().explain(), Format::Json);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(shown["condition"], json!({ "any": ["it contains \"a\"", "it contains \"b\""] }));
        assert_eq!(shown["language"], "terms");
    }

    #[test]
    fn a_refusal_marks_the_place() {
        let error = Pattern::parse("\u{e9}\tERR*").unwrap_err();
        let picture = picture("\u{e9}\tERR*", &error);
        assert!(picture.contains("\n  | "), "{picture}");
        assert!(picture.contains('^'), "{picture}");
    }
}
