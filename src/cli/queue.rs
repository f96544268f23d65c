//! `watchbell queue`: the queues of a running `watchbell up`, asked over HTTP.

use std::fmt::Write;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use watchbell_notify::visible;

use super::server::{Place, Question, Server};
use super::{Format, Global, written};
use crate::replay::words;
use crate::{ExitStatus, Failure, out};

/// How long an answer may take, beside what is waited for.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Shows queues and does things with them.
#[derive(Args)]
#[command(after_help = "Examples:\n  watchbell queue ls                        what each queue holds\n  \
                        watchbell queue dead events               its dead letters, with the reason\n  \
                        watchbell queue redrive events --all      offer them again\n  \
                        watchbell queue receive events --wait 20s --format json | jq -r .receipt\n  \
                        watchbell queue delete events RECEIPT     it has been dealt with\n\n\
                        It asks a running watchbell up at the http.listen of the file.")]
pub(super) struct Options {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: Verb,
}

/// What to do.
#[derive(Subcommand)]
enum Verb {
    /// What each queue holds
    Ls,
    /// Show dead letters, and leave them where they are
    Dead {
        /// The queue
        queue: String,
        /// How many at most
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100))]
        max: u64,
        /// Only those after the one of this id
        #[arg(long, value_name = "ID")]
        after: Option<String>,
    },
    /// Offer dead letters again
    Redrive {
        /// The queue
        queue: String,
        /// Their ids
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        ids: Vec<String>,
        /// All of them
        #[arg(long)]
        all: bool,
    },
    /// Receive messages, which hides them from others for a while
    Receive {
        /// The queue
        queue: String,
        /// How many at most
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10))]
        max: u64,
        /// How long to wait for the first, up to 20s
        #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = seconds)]
        wait: u64,
        /// How long they are hidden, up to 12h; by default as the queue says
        #[arg(long, value_name = "DURATION", value_parser = seconds)]
        visibility_timeout: Option<u64>,
    },
    /// Delete received messages
    Delete {
        /// The queue
        queue: String,
        /// Their receipt handles, up to 10
        #[arg(required = true, num_args = 1..=10)]
        receipts: Vec<String>,
    },
}

/// Whole seconds of `20s` or `5m`.
fn seconds(text: &str) -> Result<u64, String> {
    let ms = watchbell_config::parse_ms(text).map_err(|reason| format!("{text:?} {reason}"))?;
    u64::try_from(ms / 1000).map_err(|_| format!("{text:?} is negative"))
}

pub(super) fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let server = Queues { server: options.place.server(global)?, format: global.format };
    match &options.verb {
        Verb::Ls => server.list(),
        Verb::Dead { queue, max, after } => server.dead(queue, *max, after.as_deref()),
        Verb::Redrive { queue, ids, all } => {
            let body = if *all { json!({ "all": true }) } else { json!({ "messages": ids }) };
            let answer = server.post(queue, "redrive", &body, TIMEOUT)?;
            server.print(&answer, |answer| format!("{} redriven\n", answer["redriven"]))
        }
        Verb::Receive { queue, max, wait, visibility_timeout } => {
            let mut body = json!({ "max": max, "wait_s": wait });
            if let Some(timeout_s) = visibility_timeout {
                body["visibility_timeout_s"] = json!(timeout_s);
            }
            let answer = server.post(queue, "receive", &body, TIMEOUT + Duration::from_secs(*wait))?;
            server.print_each(&answer["messages"], message)
        }
        Verb::Delete { queue, receipts } => {
            let answer = server.post(queue, "delete", &json!({ "receipts": receipts }), TIMEOUT)?;
            server.print(&answer, |answer| {
                let mut text = format!("{} deleted\n", items(&answer["deleted"]).len());
                for refused in items(&answer["refused"]) {
                    writeln!(text, "{}: {}", plain(&refused["receipt"]), plain(&refused["message"]))
                        .expect("a string takes all");
                }
                text
            })?;
            if items(&answer["refused"]).is_empty() { Ok(()) } else { Err(super::finding()) }
        }
    }
}

struct Queues {
    server: Server,
    format: Format,
}

impl Queues {
    fn list(&self) -> Result<(), Failure> {
        let answer = self.ask(Method::GET, "/queues", String::new(), TIMEOUT)?;
        self.print(&answer, |answer| table(items(&answer["queues"])))
    }

    fn dead(&self, queue: &str, max: u64, after: Option<&str>) -> Result<(), Failure> {
        let after = after.map_or_else(String::new, |after| format!("&after={}", escaped(after)));
        let path = format!("/queues/{}/dead?max={max}{after}", escaped(queue));
        let answer = self.ask(Method::GET, &path, String::new(), TIMEOUT)?;
        self.print_each(&answer["dead_letters"], message)
    }

    fn post(&self, queue: &str, what: &str, body: &Value, timeout: Duration) -> Result<Value, Failure> {
        self.ask(Method::POST, &format!("/queues/{}/{what}", escaped(queue)), body.to_string(), timeout)
    }

    fn ask(&self, method: Method, path: &str, body: String, timeout: Duration) -> Result<Value, Failure> {
        let question = Question { method, path, body, timeout };
        let (status, body) = self.server.ask(question)?;
        let url = self.server.url(path);
        let answer: Value = serde_json::from_slice(&body).map_err(|error| {
            Failure::new(ExitStatus::Unavailable, format!("{url}: {status}, unknown answer: {error}"))
        })?;
        let exit = match status {
            StatusCode::OK => return Ok(answer),
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => ExitStatus::Usage,
            StatusCode::CONFLICT => ExitStatus::Finding,
            _ => ExitStatus::Unavailable,
        };
        let error = &answer["error"];
        Err(Failure::new(exit, plain(&error["message"])).help(plain(&error["help"])))
    }

    fn print(&self, answer: &Value, text: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
        written(match self.format {
            Format::Json => out::line(&answer.to_string()),
            Format::Text => out::text(&text(answer)),
        })
    }

    /// One line of JSON for each item, or its text.
    fn print_each(&self, list: &Value, text: impl Fn(&Value) -> String) -> Result<(), Failure> {
        let shown = |item: &Value| match self.format {
            Format::Json => format!("{item}\n"),
            Format::Text => text(item),
        };
        written(out::text(&items(list).iter().map(shown).collect::<String>()))
    }
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

/// A text of the answer that does nothing to the terminal.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), visible)
}

/// Percent-encoded wherever it could mean something in a path or query.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("a string takes all");
        }
        escaped
    })
}

/// A message or dead letter for people: what it is, then its lines.
fn message(message: &Value) -> String {
    let mut text = plain(&message["id"]);
    for (key, name) in [("receives", "received"), ("receipt", "receipt"), ("reason", "reason")] {
        if !message[key].is_null() {
            write!(text, "  {name} {}", plain(&message[key])).expect("a string takes all");
        }
    }
    text.push('\n');
    if let Some(event) = message.get("event") {
        let detail = &event["detail"];
        let (alarm, state) = (plain(&detail["alarmName"]), plain(&detail["state"]["value"]));
        writeln!(text, "  alarm {alarm}  {state}  {}", plain(&detail["state"]["reason"]))
            .expect("a string takes all");
    }
    for event in items(&message["events"]) {
        let (group, line) = (plain(&message["log_group"]), plain(&event["message"]));
        writeln!(text, "  {}  {group}  {line}", plain(&event["timestamp"])).expect("a string takes all");
    }
    text
}

fn table(queues: &[Value]) -> String {
    let head = ["QUEUE", "VISIBLE", "IN FLIGHT", "OLDEST", "DEAD", "RECEIVED", "DELETED", "EXPIRED"];
    let mut rows = vec![head.map(str::to_owned)];
    for queue in queues {
        let age_ms = queue["oldest_age_s"].as_i64().unwrap_or(0).saturating_mul(1000);
        let count = |key: &str| queue[key].to_string();
        rows.push([
            plain(&queue["queue"]),
            count("visible"),
            count("in_flight"),
            words::duration(age_ms),
            count("dead"),
            count("received"),
            count("deleted"),
            count("expired"),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}  "));
        text += cells.collect::<String>().trim_end();
        text.push('\n');
    }
    text
}
