//! Standard output: the only module that writes to it.

use std::io::{self, IsTerminal, Write};

/// Writes `line` and a line end, and flushes: a reader at the other end of a pipe sees it at once.
///
/// # Errors
/// What the operating system says; a closed pipe is an error like any other.
pub fn line(line: &str) -> io::Result<()> {
    text(&format!("{line}\n"))
}

/// Writes `text` as it is, and flushes.
///
/// # Errors
/// As [`line()`].
pub fn text(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Hands standard output, locked and buffered, to `write`.
///
/// # Errors
/// What `write` or the operating system says.
pub fn buffered(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut stdout = io::BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    write(&mut stdout)?;
    stdout.flush()
}

/// Whether colours make sense on standard output: a terminal, and `NO_COLOR` not set.
pub fn colour() -> bool {
    io::stdout().is_terminal() && no_color_is_unset()
}

/// The same for standard error.
pub fn colour_on_stderr() -> bool {
    io::stderr().is_terminal() && no_color_is_unset()
}

/// See <https://no-color.org>: any value but the empty one counts.
fn no_color_is_unset() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
