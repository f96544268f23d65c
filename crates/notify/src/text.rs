//! The text form of a message, for a console.

use watchbell_model::{AlarmState, MatchedLine, Transition, TransitionFilter};

use crate::Message;
use crate::command::look_further;
use crate::escape::{visible, visible_cut};
use crate::facts::{advice, facts, origin};

/// A width that suits a terminal: log lines longer than this many characters are cut.
pub const TEXT_WIDTH: usize = 160;

/// Columns of a label, the space after the longest included.
const LABEL_WIDTH: usize = 13;

impl Message {
    /// The form for a console: the summary, then indented facts, aligned; ends with an empty line.
    ///
    /// Log lines are cut at `width` characters (an indent comes on top; [`TEXT_WIDTH`] is a good choice); what is
    /// there to be copied is never cut. `colour` adds ANSI colour to the state and nothing else. Characters in foreign
    /// text that could steer a terminal are written out, so each line feed here is the message's own.
    pub fn text(&self, width: usize, colour: bool) -> String {
        let transition = self.transition();
        let mut out = coloured_summary(&self.summary(), transition.to, colour);
        out.push('\n');
        for (label, lines) in facts(transition) {
            push_fact(&mut out, label, &lines);
        }
        for filter in &transition.filters {
            push_fact(
                &mut out,
                "filter",
                &[format!("{} on {}", filter.name, filter.log_group), pattern(filter)],
            );
        }
        push_lines(&mut out, transition, width);
        for (label, lines) in advice(transition) {
            push_fact(&mut out, label, &lines);
        }
        push_fact(&mut out, "look further", &look_further(transition));
        push_fact(&mut out, "id", &[self.id()]);
        out.push('\n');
        out
    }
}

/// A filter's pattern; the empty one in words.
fn pattern(filter: &TransitionFilter) -> String {
    if filter.pattern.trim().is_empty() { "every event".to_owned() } else { filter.pattern.clone() }
}

fn coloured_summary(summary: &str, state: AlarmState, colour: bool) -> String {
    if !colour {
        return summary.to_owned();
    }
    let code = match state {
        AlarmState::Alarm => "1;31",
        AlarmState::Ok => "1;32",
        AlarmState::InsufficientData => "1;33",
    };
    let rest = summary.strip_prefix(state.as_str()).unwrap_or(summary);
    format!("\x1b[{code}m{state}\x1b[0m{rest}")
}

/// The label before the first line, the others under it.
fn push_fact(out: &mut String, label: &str, lines: &[String]) {
    for (i, line) in lines.iter().enumerate() {
        let label = if i == 0 { label } else { "" };
        let line = format!("  {label:<LABEL_WIDTH$}{}", visible(line));
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

fn push_lines(out: &mut String, transition: &Transition, width: usize) {
    let shown = |lines: &[MatchedLine]| -> Vec<String> {
        lines
            .iter()
            .flat_map(|line| [origin(line), format!("  {}", visible_cut(&line.message, width))])
            .collect()
    };
    push_fact(out, "first", &shown(&transition.first_lines));
    push_fact(out, "last", &shown(&transition.last_lines));
}
