//! The three logs: `access.log` (combined), `app.log` (JSON lines), `auth.log` (syslog style).
//!
//! Promise: one event is one line, written with one call; what a visitor sends can neither start a line of its own
//! nor leave its quotes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;

use serde::Serialize;

use crate::clock::{access_style, now, syslog_style};

/// The logs, open for appending.
pub(crate) struct Logs {
    access: File,
    app: File,
    auth: File,
}

/// One answered request, as the access log has it.
pub(crate) struct Access<'a> {
    pub(crate) from: IpAddr,
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) referer: &'a str,
    pub(crate) agent: &'a str,
}

/// One event of the application.
#[derive(Serialize)]
pub(crate) struct App<'a> {
    pub(crate) level: &'static str,
    pub(crate) logger: &'static str,
    pub(crate) message: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) latency_ms: f64,
}

/// The same with its time, in the order in which it is written.
#[derive(Serialize)]
struct Event<'a> {
    timestamp: String,
    #[serde(flatten)]
    event: &'a App<'a>,
}

impl Logs {
    /// Opens or makes the three files.
    pub(crate) fn open(folder: &Path) -> io::Result<Logs> {
        std::fs::create_dir_all(folder)?;
        let open = |name: &str| OpenOptions::new().append(true).create(true).open(folder.join(name));
        Ok(Logs { access: open("access.log")?, app: open("app.log")?, auth: open("auth.log")? })
    }

    pub(crate) fn access(&self, it: &Access<'_>) {
        let Access { from, method, target, status, bytes, referer, agent } = it;
        let (time, target) = (access_style(now()), quoted(target));
        let (referer, agent) = (quoted(referer), quoted(agent));
        append(
            &self.access,
            &format!(
                "{from} - - [{time}] \"{method} {target} HTTP/1.1\" {status} {bytes} \"{referer}\" \"{agent}\"\n"
            ),
        );
    }

    pub(crate) fn app(&self, it: &App<'_>) {
        let event = Event { timestamp: format!("{:.3}", now()), event: it };
        let event = serde_json::to_string(&event).expect("texts and a finite number");
        append(&self.app, &format!("{event}\n"));
    }

    pub(crate) fn login(&self, user: &str, from: IpAddr, port: u16, accepted: bool) {
        let (time, process) = (syslog_style(now()), std::process::id());
        let verdict = if accepted { "Accepted" } else { "Failed" };
        let user = quoted(user);
        append(
            &self.auth,
            &format!("{time} shop login[{process}]: {verdict} password for {user} from {from} port {port}\n"),
        );
    }
}

/// A whole line with one call: two requests at the same time do not mix. A shop that cannot log goes on selling.
fn append(mut file: &File, line: &str) {
    let _ = file.write_all(line.as_bytes());
}

/// Text that others chose, as Apache writes it: quotes, backslashes and control characters are escaped.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '"' || c == '\\' || c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    if out.is_empty() { "-".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_cannot_write_a_line_of_his_own() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::open(folder.path()).unwrap();
        let user = "eve\nNov 22 21:11:52 shop login[1]: Accepted password for root";
        logs.login(user, IpAddr::from([203, 0, 113, 7]), 40_000, false);
        let written = std::fs::read_to_string(folder.path().join("auth.log")).unwrap();
        assert_eq!(written.lines().count(), 1, "{written}");
        assert!(written.contains("Failed password for eve\\nNov 22"), "{written}");
        assert_eq!(quoted("a \"b\" \\"), "a \\\"b\\\" \\\\");
        assert_eq!(quoted(""), "-");
    }
}
