//! What the demo shows: headings, lines, and a block that is kept up to date on a terminal.

use std::io::IsTerminal;

use crate::out;

/// The widest line that is written.
pub(super) const WIDTH: usize = 98;

/// How a text stands out.
#[derive(Clone, Copy)]
pub(super) enum Look {
    Heading,
    Alarm,
    Good,
    Faint,
    Bold,
}

/// The terminal, the pipe, or nothing.
pub(super) struct Screen {
    colour: bool,
    terminal: bool,
    silent: bool,
    /// Lines of the block that stand below everything else.
    live: Vec<String>,
}

impl Screen {
    /// Standard output; nothing at all is shown if `silent`.
    pub(super) fn new(silent: bool) -> Screen {
        let terminal = std::io::stdout().is_terminal();
        Screen { colour: out::colour(), terminal, silent, live: Vec::new() }
    }

    /// The text with its look, if there are colours.
    pub(super) fn paint(&self, look: Look, text: &str) -> String {
        let code = match look {
            Look::Heading => "1;36",
            Look::Alarm => "1;31",
            Look::Good => "1;32",
            Look::Faint => "2",
            Look::Bold => "1",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// An empty line and a heading.
    pub(super) fn heading(&mut self, text: &str) {
        let text = self.paint(Look::Heading, text);
        self.say("");
        self.say(&text);
    }

    /// A line; what is live stays below it.
    pub(super) fn say(&mut self, text: &str) {
        let below = std::mem::take(&mut self.live);
        self.show(below.len(), &[&[text.to_owned()], &below[..]].concat());
        self.live = below;
    }

    /// Replaces the block below everything else. In a pipe nothing is shown until [`Screen::settle`].
    pub(super) fn live(&mut self, lines: Vec<String>) {
        if self.terminal {
            self.show(self.live.len(), &lines);
            self.live = lines;
        }
    }

    /// Writes the block for good.
    pub(super) fn settle(&mut self, lines: &[String]) {
        self.show(self.live.len(), lines);
        self.live.clear();
    }

    /// Goes up over `over` lines, and writes.
    fn show(&self, over: usize, lines: &[String]) {
        if self.silent {
            return;
        }
        // A reader that went away does not stop the demo: its exit code still says how it went.
        let _ = out::buffered(|out| {
            if over > 0 {
                write!(out, "\x1b[{over}A\x1b[J")?;
            }
            lines.iter().try_for_each(|line| writeln!(out, "{line}"))
        });
    }
}

/// The text, cut at `width` characters.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

/// The line, broken at spaces so that each part has at most `width` characters, if its words allow that. From the
/// second part on there are `indent` spaces before it.
pub(super) fn wrap(line: &str, width: usize, indent: usize) -> Vec<String> {
    let mut parts = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let part = parts.last_mut().expect("there is one from the start");
        if part.chars().count() + word.trim_end().chars().count() <= width || part.trim().is_empty() {
            part.push_str(word);
        } else {
            parts.push(" ".repeat(indent) + word);
        }
    }
    parts
}

/// Bytes for people: `812 B`, `14.2 KiB`.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{}.{} KiB", bytes / 1024, bytes % 1024 * 10 / 1024),
        _ => format!("{}.{} MiB", bytes / 1_048_576, bytes % 1_048_576 * 10 / 1_048_576),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_by_characters() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("éééééé", 5), "éééé…");
    }

    #[test]
    fn what_is_wrapped_loses_nothing() {
        assert_eq!(wrap("  a bb  ccc", 6, 4), ["  a bb ", "     ccc"]);
        assert_eq!(wrap("  longer-than-wide x", 6, 2), ["  longer-than-wide ", "  x"]);
        assert_eq!(wrap("", 6, 2), [""]);
    }

    #[test]
    fn sizes_are_said_in_their_largest_unit() {
        assert_eq!(
            [0, 1023, 1024, 14_592, 3_145_728].map(bytes),
            ["0 B", "1023 B", "1.0 KiB", "14.2 KiB", "3.0 MiB"]
        );
    }
}
