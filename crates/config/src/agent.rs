//! `[agent]`

use std::ops::RangeInclusive;

use watchbell_model::Agent;

use crate::problem::{Problem, quote};
use crate::reader::{Field, Table};
use crate::{plan, secret, web_address};

/// What `buffer` may be: some shipments at least, and what a file system takes.
const BUFFER_BYTES: RangeInclusive<u64> = 16 << 20..=1 << 40;

/// Longest name of an agent, in characters. It stands at the beginning of the names of log streams.
const NAME_CHARS_MAX: usize = 255;

/// Where an agent ships to, if the file says so; `None` if it is wrong, which is noted.
#[expect(clippy::option_option, reason = "absent, wrong, good")]
pub(crate) fn read(root: &mut Table<'_>) -> Option<Option<Agent>> {
    good(root.field("agent").map(|field| field.table("[agent]".into()).and_then(agent)))
}

fn agent(mut table: Table<'_>) -> Option<Agent> {
    let to_field = table.need("to");
    let to = to_field.as_ref().and_then(to);
    let token = table.field("token").map(|field| secret::read(&field));
    if let (Some(field), Some(to), None) = (&to_field, &to, &token) {
        need_token(field, to);
    }
    let ca = table.field("ca").map(|field| plan::absolute_path(&field, field.text()?.value));
    let name = table.field("name").map(|field| name(&field));
    let buffer_bytes = match table.field("buffer") {
        Some(field) => buffer_bytes(&field),
        None => Some(Agent::BUFFER_BYTES_DEFAULT),
    };
    table.finish();
    Some(Agent {
        to: to?,
        token: good(token)?,
        ca: good(ca)?,
        name: good(name)?,
        buffer_bytes: buffer_bytes?,
    })
}

/// A value that may be absent; `None` if it is there and wrong.
#[expect(clippy::option_option, reason = "absent, wrong, good")]
fn good<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        Some(value) => value.map(Some),
        None => Some(None),
    }
}

fn to(field: &Field<'_>) -> Option<String> {
    let help = "write \"https://HOST:PORT\", or \"http://127.0.0.1:PORT\" for this machine";
    let help_password = "put the token in a secret: token = { env = \"NAME\" }";
    web_address::read_server(field, "lines and token", [help, help_password])
}

/// A Watchbell that others can reach has tokens.
fn need_token(field: &Field<'_>, to: &str) {
    if to.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")) {
        let message = "[agent] has no \"token\"";
        let help = "add token = { env = \"NAME\" } or { file = \"path\" }: the other Watchbell asks for one";
        field.context.report_absence(Problem::error(field.span(), message).help(help));
    }
}

fn name(field: &Field<'_>) -> Option<String> {
    let text = field.text()?.value;
    let fits = (1..=NAME_CHARS_MAX).contains(&text.chars().count())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
    if !fits {
        let message = format!("{} cannot be {}", field.title(), quote(text));
        field.refuse(message, "write 1 to 255 letters, digits, \".\", \"-\" and \"_\"");
    }
    fits.then(|| text.to_owned())
}

fn buffer_bytes(field: &Field<'_>) -> Option<u64> {
    let bytes = field.size_bytes()?;
    if !BUFFER_BYTES.contains(&bytes) {
        field.refuse(format!("{} is out of range", field.title()), "write \"16MiB\" to \"1024GiB\"");
        return None;
    }
    Some(bytes)
}
