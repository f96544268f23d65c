//! Lines into events of several lines: by the first line of each, or by what continues a stack trace.

use regex::bytes::{Regex, RegexBuilder};
use watchbell_model::{LINE_BYTES_MAX, Multiline, MultilineBy};

use crate::trace::{Rules, Trace};

/// What a pattern may take once compiled, in bytes.
const COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// Why a pattern cannot say where events start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JoinerError(String);

/// Tells which lines belong together.
#[derive(Clone, Debug)]
pub struct Joiner {
    by: By,
    lines_max: u32,
}

#[derive(Clone, Debug)]
enum By {
    Start(Regex),
    Trace(&'static Rules),
}

/// Where a run of lines stands. A run begins anew wherever reading begins.
#[derive(Debug, Default)]
pub struct Run {
    /// Lines of the event so far; 0 before the first.
    lines: u32,
    /// Bytes of the event so far.
    bytes: usize,
    trace: Trace,
}

/// What a line is to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It begins an event.
    Starts,
    /// It begins an event although it continues something: what came before is not there, or the event is full.
    StartsInside,
    /// It belongs to the event.
    Continues,
}

impl Joiner {
    /// Compiles the settings of a log group.
    ///
    /// # Errors
    /// [`JoinerError`] if the pattern is none, or too large.
    pub fn new(multiline: &Multiline) -> Result<Joiner, JoinerError> {
        let by = match &multiline.by {
            MultilineBy::Start(pattern) => By::Start(compile(pattern)?),
            MultilineBy::Java => By::Trace(Rules::java()),
            MultilineBy::Python => By::Trace(Rules::python()),
            MultilineBy::Go => By::Trace(Rules::go()),
            MultilineBy::Node => By::Trace(Rules::node()),
            MultilineBy::Rust => By::Trace(Rules::rust()),
            MultilineBy::Dotnet => By::Trace(Rules::dotnet()),
        };
        Ok(Joiner { by, lines_max: multiline.lines_max })
    }

    /// Looks at the next line, which has no line end any more.
    pub fn see(&self, run: &mut Run, line: &[u8]) -> Verdict {
        let continues = match &self.by {
            By::Start(start) => !start.is_match(line),
            By::Trace(rules) => run.trace.see(rules, line),
        };
        let fits = run.lines < self.lines_max && run.bytes + line.len() < LINE_BYTES_MAX;
        if continues && run.lines > 0 && fits {
            run.lines += 1;
            run.bytes += 1 + line.len();
            return Verdict::Continues;
        }
        (run.lines, run.bytes) = (1, line.len());
        if continues { Verdict::StartsInside } else { Verdict::Starts }
    }
}

fn compile(pattern: &str) -> Result<Regex, JoinerError> {
    let built = RegexBuilder::new(pattern).unicode(false).size_limit(COMPILED_BYTES_MAX).build();
    built.map_err(|error| JoinerError(error.to_string()))
}

/// An event's text without blank lines at its end.
pub fn without_blank_end(text: &[u8]) -> &[u8] {
    let mut text = text;
    while let Some(shorter) = text.strip_suffix(b"\n") {
        text = shorter;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joiner(by: MultilineBy, lines_max: u32) -> Joiner {
        Joiner::new(&Multiline { by, timeout_ms: 1000, lines_max }).unwrap()
    }

    fn verdicts(joiner: &Joiner, lines: &[&str]) -> Vec<Verdict> {
        let mut run = Run::default();
        lines.iter().map(|line| joiner.see(&mut run, line.as_bytes())).collect()
    }

    #[test]
    fn a_line_that_does_not_start_belongs_to_the_one_before() {
        use Verdict::{Continues, Starts, StartsInside};
        let dated = joiner(MultilineBy::Start(r"^\d{4}-\d\d-\d\d ".into()), 500);
        let lines = ["lost its head", "more", "2026-11-22 one", "", "  two", "2026-11-22 next"];
        assert_eq!(verdicts(&dated, &lines), [StartsInside, Continues, Starts, Continues, Continues, Starts]);
    }

    #[test]
    fn a_full_event_is_closed_and_nothing_is_lost() {
        use Verdict::{Continues, Starts, StartsInside};
        let three = joiner(MultilineBy::Start("^a".into()), 3);
        assert_eq!(
            verdicts(&three, &["a", "b", "c", "d", "e", "f", "g", "a"]),
            [Starts, Continues, Continues, StartsInside, Continues, Continues, StartsInside, Starts]
        );
        let long = "b".repeat(LINE_BYTES_MAX / 2);
        let many = joiner(MultilineBy::Start("^a".into()), 500);
        assert_eq!(verdicts(&many, &["a", &long, &long]), [Starts, Continues, StartsInside]);
    }

    #[test]
    fn a_pattern_that_is_none_says_so() {
        let wrong = Multiline { by: MultilineBy::Start("(".into()), timeout_ms: 1000, lines_max: 5 };
        assert!(Joiner::new(&wrong).unwrap_err().to_string().contains("unclosed"));
    }

    #[test]
    fn blank_lines_at_the_end_go() {
        assert_eq!(without_blank_end(b"a\n\nb\n\n"), b"a\n\nb");
        assert_eq!(without_blank_end(b"\n"), b"");
    }
}
