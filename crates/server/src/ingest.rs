//! `POST /ingest/GROUP`: a request's body becomes one batch.
//!
//! Promise: one request is one batch, stored whole or not at all, and acknowledged only after [`crate::Host::ingest`]
//! resolved; memory and time that a body may take have bounds.
//! Not here: what a line is (`lines`), who may (`access`).

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use watchbell_model::{Action, Batch, EventId, GroupName, Offset, Resource, Source, TimestampFrom};

use crate::access::Principal;
use crate::answer::{Refusal, json};
use crate::lines::{BATCH_BYTES_MAX, Counts, Lines, TooLarge, split};
use crate::routes::Server;
use crate::{Accepted, GroupInForce};

/// Largest body, in bytes.
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bodies in memory at a time, in bytes; each counts as what its `Content-Length` says, or as [`BODY_BYTES_MAX`].
pub const BODIES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bodies in memory at a time, however small.
pub const CONCURRENT_BODIES_MAX: usize = 64;
/// How long a whole body may take to arrive.
pub const BODY_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a refused body is read and thrown away, in bytes, so that its sender gets to read the answer.
const DISCARD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long that may take. Short, because it serves manners only.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);
/// Larger bodies are split on a thread of their own, so that they do not hold up other connections.
const SPLIT_INLINE_BYTES_MAX: usize = 64 * 1024;
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

/// The answer to an accepted request.
#[derive(Serialize)]
struct Answer {
    events: usize,
    duplicate: bool,
    offset: Option<Offset>,
    first_event_id: Option<EventId>,
    #[serde(flatten)]
    counts: Counts,
}

/// Everything about a request but its body, checked.
struct Ask {
    principal: Principal,
    group: GroupInForce,
    stream: String,
    batch_id: Option<String>,
    /// Each line should be JSON.
    json: bool,
}

pub(crate) async fn ingest(
    State(server): State<Arc<Server>>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<Parameters>, QueryRejection>,
    request: Request,
) -> Response {
    let (head, mut body) = request.into_parts();
    let taken = match Ask::check(&server, path, query, &head.headers) {
        Ok(ask) => take(&server, ask, &mut body).await,
        Err(refusal) => Err(refusal),
    };
    match taken {
        Ok(answer) => json(StatusCode::OK, &answer),
        Err(refusal) => {
            discard(&head.headers, body).await;
            refusal.into_response()
        }
    }
}

impl Ask {
    fn check(
        server: &Server,
        path: Result<Path<String>, PathRejection>,
        query: Result<Query<Parameters>, QueryRejection>,
        headers: &HeaderMap,
    ) -> Result<Ask, Refusal> {
        // A path that is not text names no group that a role could allow; the empty name keeps the order of checks.
        let name = path.as_ref().map_or("", |Path(name)| name.as_str());
        let principal = server.authorize(headers, Some(Action::PutLogEvents), Resource::LogGroup(name))?;
        let Some(group) = server.host.group(name) else {
            return Err(no_such_group(server, &principal, name));
        };
        let stream = stream(query)?;
        let batch_id = batch_id(headers)?;
        refuse_encodings(headers)?;
        Ok(Ask { principal, group, stream, batch_id, json: is_json(headers)? })
    }

    fn into_batch(self, lines: Lines) -> Batch {
        let source = Source::Http { principal: self.principal.into_name(), batch_id: self.batch_id };
        lines.events.build(self.group.name, self.stream, source, false)
    }
}

/// Reads the body, makes a batch of it and waits until that is on disk. The body's share of memory is held until then,
/// because the batch lives as long.
async fn take(server: &Arc<Server>, ask: Ask, body: &mut Body) -> Result<Answer, Refusal> {
    let announced = body.size_hint().upper();
    let _share = reserve(server, announced)?;
    let bytes = match timeout(BODY_READ_TIMEOUT, read(body)).await {
        Ok(bytes) => bytes?,
        Err(_) => return Err(too_slow()),
    };
    let lines = split_body(server, &ask, bytes).await?;
    let counts = lines.counts;
    if lines.events.is_empty() {
        return Ok(Answer { events: 0, duplicate: false, offset: None, first_event_id: None, counts });
    }
    let Accepted { first_event_id, offset, events, duplicate } =
        server.host.ingest(ask.into_batch(lines)).await?;
    Ok(Answer { events, duplicate, offset: Some(offset), first_event_id, counts })
}

/// Takes a share of [`BODIES_BYTES_MAX`], or refuses; `announced` is the body's length if the sender told.
fn reserve(server: &Server, announced: Option<u64>) -> Result<OwnedSemaphorePermit, Refusal> {
    let most = u32::try_from(BODY_BYTES_MAX).expect("8 MiB");
    let least = u32::try_from(BODIES_BYTES_MAX / CONCURRENT_BODIES_MAX).expect("1 MiB");
    let share = match announced {
        None => most,
        Some(bytes) => u32::try_from(bytes).ok().filter(|bytes| *bytes <= most).ok_or_else(body_too_large)?,
    };
    let bodies = Arc::clone(&server.bodies);
    bodies
        .try_acquire_many_owned(share.max(least))
        .map_err(|_| Refusal::overloaded("too many requests with a body at a time"))
}

async fn read(body: &mut Body) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(broken_off)?.into_data() else { continue };
        if bytes.len() + data.len() > BODY_BYTES_MAX {
            return Err(body_too_large());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Reads on to the end of a refused body: closing a connection with bytes unread resets it, and then many a sender
/// does not see the answer. One that waits for `100 Continue` has sent nothing yet.
async fn discard(headers: &HeaderMap, mut body: Body) {
    if headers.contains_key(EXPECT) {
        return;
    }
    let reading = async {
        let mut left = DISCARD_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let Some(less) = left.checked_sub(frame.data_ref().map_or(0, |data| data.len())) else { return };
            left = less;
        }
    };
    let _ = timeout(DISCARD_TIMEOUT, reading).await;
}

async fn split_body(server: &Arc<Server>, ask: &Ask, bytes: Vec<u8>) -> Result<Lines, Refusal> {
    let (host, group, json) = (Arc::clone(&server.host), ask.group.clone(), ask.json);
    let large = bytes.len() > SPLIT_INLINE_BYTES_MAX;
    let work = move || {
        split(&bytes, json, |line| match group.timestamp {
            TimestampFrom::Line => host.timestamp(&group, line),
            TimestampFrom::Arrival => None,
        })
    };
    let lines = if large {
        // The task is never aborted, so it can only fail by panicking.
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|failed| resume_unwind(failed.into_panic()))
    } else {
        work()
    };
    lines.map_err(|TooLarge| {
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "batch_too_large",
            format!("the lines of this body take more than {BATCH_BYTES_MAX} bytes once stored"),
            "nothing was stored; send it in several requests",
        )
    })
}

fn no_such_group(server: &Server, principal: &Principal, name: &str) -> Refusal {
    let access = server.host.access();
    let mut names = server.host.group_names();
    // A token learns of no group that it may not write to.
    names.retain(|name| access.may_put(principal, name));
    names.sort_unstable();
    let help = match nearest(name, &names) {
        Some(near) => format!("did you mean {near:?}?"),
        None if names.is_empty() => "configure one as [log_groups.\"NAME\"]".to_owned(),
        None => format!("log groups here: {}", shortened(&names)),
    };
    Refusal::new(StatusCode::NOT_FOUND, "no_such_log_group", format!("no log group {name:?}"), help)
}

/// The name that differs least, if few letters differ.
fn nearest<'a>(name: &str, names: &'a [String]) -> Option<&'a str> {
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

/// Source of the rule: CloudWatch Logs API Reference, `CreateLogStream`, `logStreamName`.
fn stream(query: Result<Query<Parameters>, QueryRejection>) -> Result<String, Refusal> {
    let help =
        "the only parameter is stream=NAME: 1 to 512 characters without \":\", \"*\" and control characters";
    let Query(Parameters { stream }) =
        query.map_err(|rejection| Refusal::bad_request("bad_query", rejection.body_text(), help))?;
    let Some(stream) = stream else { return Ok(STREAM_DEFAULT.to_owned()) };
    let fits = (1..=STREAM_CHARS_MAX).contains(&stream.chars().count())
        && !stream.contains(|c: char| c == ':' || c == '*' || c.is_control());
    if fits {
        Ok(stream)
    } else {
        Err(Refusal::bad_request("bad_stream", "this is not the name of a log stream", help))
    }
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

fn refuse_encodings(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    match encodings.find(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        None => Ok(()),
        Some(encoding) => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_encoding",
            format!("bodies with Content-Encoding {:?} are not accepted", text(encoding.as_bytes())),
            "send the body uncompressed: Content-Encoding identity, or none",
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

fn body_too_large() -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        format!("the body has more than {BODY_BYTES_MAX} bytes"),
        "nothing was stored; send it in several requests",
    )
}

fn too_slow() -> Refusal {
    Refusal::new(
        StatusCode::REQUEST_TIMEOUT,
        "body_too_slow",
        format!("the body did not arrive within {} seconds", BODY_READ_TIMEOUT.as_secs()),
        "nothing was stored; send it again, in smaller requests",
    )
}

#[expect(clippy::needless_pass_by_value, reason = "the shape map_err asks for")]
fn broken_off(error: axum::Error) -> Refusal {
    Refusal::bad_request(
        "broken_body",
        format!("the body broke off: {error}"),
        "nothing was stored; send it again",
    )
}
