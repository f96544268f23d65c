//! `watchbell aws secret put`: a value that never stands in a file or on a command line.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::OnAws;
use super::session::Session;
use crate::aws::SECRET_BYTES_MAX;
use crate::cli::{Global, say};
use crate::{ExitStatus, Failure};

pub(super) fn put(global: &Global, name: &str) -> Result<(), Failure> {
    let on_aws = OnAws::read(global)?;
    if !on_aws.plan.secrets.contains_key(name) {
        let names: Vec<&str> = on_aws.plan.secrets.keys().map(String::as_str).collect();
        let failure = Failure::new(ExitStatus::Usage, format!("the file has no secret \"{name}\""));
        return Err(failure.help(format!("it has: {}", names.join(", "))));
    }
    let value = value(name)?;
    let Session { runtime, account } = Session::open(&on_aws.aws)?;
    runtime.block_on(account.put_secret(name, value))?;
    say(&format!("secret \"{name}\" has a new value"));
    Ok(())
}

/// What standard input says, without the end of its last line.
fn value(name: &str) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::io("standard input", &error);
    let stdin = std::io::stdin();
    let mut value = String::new();
    if stdin.is_terminal() {
        let silence = Silence::begin().map_err(failed)?;
        // If standard error is closed there is nobody to ask.
        let _ = write!(std::io::stderr().lock(), "value of secret \"{name}\" (not shown): ");
        let read = stdin.lock().read_line(&mut value);
        drop(silence);
        say("");
        read.map_err(failed)?;
    } else {
        let limit = SECRET_BYTES_MAX as u64 + 3;
        stdin.lock().take(limit).read_to_string(&mut value).map_err(failed)?;
    }
    let value =
        value.strip_suffix('\n').map_or(value.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if value.is_empty() {
        return Err(Failure::new(ExitStatus::Usage, format!("secret \"{name}\": the value is empty")));
    }
    if value.len() > SECRET_BYTES_MAX {
        let message = format!("secret \"{name}\": the value has more than {SECRET_BYTES_MAX} bytes");
        return Err(Failure::new(ExitStatus::Usage, message));
    }
    Ok(value.to_owned())
}

/// A terminal that does not show what is typed, until dropped.
struct Silence(Termios);

impl Silence {
    fn begin() -> std::io::Result<Silence> {
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &silent)?;
        Ok(Silence(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that has gone shows nothing anyway.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
