//! What a request for `POST /ingest/GROUP` says beside its body, checked.
//!
//! Promise: who calls and whether it may is settled first, so that a stranger learns of no log group.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use watchbell_model::{Action, Batch, BatchBuilder, GroupName, Resource, Source};

use crate::GroupInForce;
use crate::access::Principal;
use crate::answer::Refusal;
use crate::encoding::Encoding;
use crate::routes::Server;

/// Longest name of a log stream, in characters. Source: CloudWatch Logs API Reference, `CreateLogStream`.
const STREAM_CHARS_MAX: usize = 512;
/// Where events go if the request names no stream.
const STREAM_DEFAULT: &str = "http";
/// Longest batch id of a client, in bytes.
const BATCH_ID_BYTES_MAX: usize = 255;
/// Names of log groups in an answer to someone who asked for an unknown one.
const GROUP_NAMES_SHOWN: usize = 10;

/// What stands behind the `?`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    stream: Option<String>,
}

/// Everything about a request but its body, checked.
pub(crate) struct Ask {
    principal: Principal,
    pub(crate) group: GroupInForce,
    stream: String,
    batch_id: Option<String>,
    pub(crate) encoding: Encoding,
    /// Each line should be JSON.
    pub(crate) json: bool,
}

impl Ask {
    pub(crate) fn check(
        server: &Server,
        path: &Result<Path<String>, PathRejection>,
        query: Result<Query<Parameters>, QueryRejection>,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Ask, Refusal> {
        // A path that is not text names no log group; it is judged as the empty name, which no group has.
        let name = path.as_ref().map_or("", |Path(name)| name.as_str());
        let principal = server.authorize(headers, Some(Action::PutLogEvents), Resource::LogGroup(name))?;
        if let Err(rejection) = path {
            let help = "percent-encode the log group's name as UTF-8";
            return Err(Refusal::bad_request("bad_path", rejection.body_text(), help));
        }
        let Some(group) = server.host.group(name) else {
            return Err(no_such_group(server, &principal, name));
        };
        let stream = stream(query, uri)?;
        let batch_id = batch_id(headers)?;
        let encoding = Encoding::of(headers)?;
        Ok(Ask { principal, group, stream, batch_id, encoding, json: is_json(headers)? })
    }

    pub(crate) fn into_batch(self, events: BatchBuilder) -> Batch {
        let source = Source::Http { principal: self.principal.into_name(), batch_id: self.batch_id };
        events.build(self.group.name, self.stream, source, false)
    }
}

pub(crate) fn no_such_group(server: &Server, principal: &Principal, name: &str) -> Refusal {
    let access = server.host.access();
    let mut names = server.host.group_names();
    // A token learns of no group that it may not write to.
    names.retain(|name| access.may(principal, Action::PutLogEvents, Resource::LogGroup(name)));
    names.sort_unstable();
    let help = match nearest(name, &names) {
        Some(near) => format!("did you mean {near:?}?"),
        None if names.is_empty() => "configure one as [log_groups.\"NAME\"]".to_owned(),
        None => format!("log groups here: {}", shortened(&names)),
    };
    Refusal::new(StatusCode::NOT_FOUND, "no_such_log_group", format!("no log group {name:?}"), help)
}

/// The name that differs least, if few letters differ.
pub(crate) fn nearest<'a>(name: &str, names: &'a [String]) -> Option<&'a str> {
    let letters_max = (name.len() / 3).max(1);
    // Comparing costs length times length, so what cannot be near is not compared.
    let similar = |known: &&String| {
        name.len() <= GroupName::CHARS_MAX && known.len().abs_diff(name.len()) <= letters_max
    };
    let distances = names.iter().filter(similar).map(|known| (strsim::levenshtein(name, known), known));
    distances.filter(|(letters, _)| *letters <= letters_max).min().map(|(_, known)| known.as_str())
}

fn shortened(names: &[String]) -> String {
    let shown = &names[..names.len().min(GROUP_NAMES_SHOWN)];
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Source of the rule: CloudWatch Logs API Reference, `CreateLogStream`, `logStreamName`; the slash is ours.
fn stream(query: Result<Query<Parameters>, QueryRejection>, uri: &Uri) -> Result<String, Refusal> {
    let help =
        "the only parameter is stream=NAME: 1 to 512 characters without \":\", \"*\" and control characters";
    let Query(Parameters { stream }) =
        query.map_err(|rejection| Refusal::bad_request("bad_query", rejection.body_text(), help))?;
    let Some(stream) = stream else { return Ok(STREAM_DEFAULT.to_owned()) };
    let refused = |message, help| Err(Refusal::bad_request("bad_stream", message, help));
    // What `Query` gives has U+FFFD for bytes that are no text, so that different names would become one stream.
    if percent_decode_str(uri.query().unwrap_or_default()).decode_utf8().is_err() {
        return refused("the name of the log stream is not UTF-8", "percent-encode it as UTF-8");
    }
    if stream.starts_with('/') {
        let help = "leave the slash at the start away: names with one are kept for followed files";
        return refused("the name of this log stream begins with \"/\"", help);
    }
    let fits = (1..=STREAM_CHARS_MAX).contains(&stream.chars().count())
        && !stream.contains(|c: char| c == ':' || c == '*' || c.is_control());
    if fits { Ok(stream) } else { refused("this is not the name of a log stream", help) }
}

fn batch_id(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all("idempotency-key").iter();
    let fits =
        |id: &[u8]| (1..=BATCH_ID_BYTES_MAX).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(id), None) if fits(id.as_bytes()) => {
            Ok(Some(String::from_utf8_lossy(id.as_bytes()).into_owned()))
        }
        _ => Err(Refusal::bad_request(
            "bad_idempotency_key",
            "this is not an Idempotency-Key",
            "send one: 1 to 255 visible ASCII characters, the same one for the same body only",
        )),
    }
}

/// Whether each line should be JSON. A form is taken as plain text, because that is what curl calls any body.
fn is_json(headers: &HeaderMap) -> Result<bool, Refusal> {
    let Some(given) = headers.get(CONTENT_TYPE) else { return Ok(false) };
    let given = text(given.as_bytes());
    let mut parts = given.split(';').map(|part| part.trim().to_ascii_lowercase());
    let kind = parts.next().unwrap_or_default();
    let utf8 = parts
        .filter_map(|part| part.strip_prefix("charset=").map(|it| it.trim_matches('"').to_owned()))
        .all(|charset| matches!(charset.as_str(), "utf-8" | "utf8" | "us-ascii"));
    match kind.as_str() {
        "application/x-ndjson" | "application/jsonl" if utf8 => Ok(true),
        "text/plain" | "application/octet-stream" | "application/x-www-form-urlencoded" if utf8 => Ok(false),
        _ => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_content_type",
            format!("bodies with Content-Type {given:?} are not accepted"),
            "send lines in UTF-8 as text/plain, or one JSON value a line as application/x-ndjson or \
             application/jsonl",
        )),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
