//! `POST /ingest/GROUP`: a request's body becomes one batch.
//!
//! Promise: one request is one batch, stored whole or not at all, and acknowledged only after [`crate::Host::ingest`]
//! resolved; memory and time that a body may take have bounds.
//! Not here: what a line is (`lines`), what the head says (`ask`).

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::header::EXPECT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use watchbell_model::{EventId, Offset};

use crate::Accepted;
use crate::answer::{Refusal, json};
use crate::ask::{Ask, Parameters};
use crate::encoding::Encoding;
use crate::lines::{BATCH_BYTES_MAX, Counts, Lines, TooLarge, split, split_joined};
use crate::routes::Server;

/// Largest body, in bytes, and largest that a compressed one may become.
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bodies in memory at a time, in bytes; each counts as what its `Content-Length` says, or as [`BODY_BYTES_MAX`]. A
/// compressed one counts a second time, as what it becomes.
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

pub(crate) async fn ingest(
    State(server): State<Arc<Server>>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<Parameters>, QueryRejection>,
    request: Request,
) -> Response {
    let (head, mut body) = request.into_parts();
    let taken = match Ask::check(&server, &path, query, &head.uri, &head.headers) {
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

/// Reads the body, makes a batch of it and waits until that is on disk. The body's share of memory is held until then,
/// because the batch lives as long.
async fn take(server: &Arc<Server>, ask: Ask, body: &mut Body) -> Result<Answer, Refusal> {
    let _share = reserve(server, body.size_hint().upper(), BODY_BYTES_MAX)?;
    let bytes = read_in_time(body, BODY_BYTES_MAX).await?;
    let _grown = match ask.encoding {
        Encoding::Identity => None,
        encoding => Some(reserve(server, encoding.announced(&bytes), BODY_BYTES_MAX)?),
    };
    let lines = split_body(&ask, bytes).await?;
    let counts = lines.counts;
    if lines.events.is_empty() {
        return Ok(Answer { events: 0, duplicate: false, offset: None, first_event_id: None, counts });
    }
    let Accepted { first_event_id, offset, events, duplicate } =
        server.host.ingest(ask.into_batch(lines.events)).await?;
    Ok(Answer { events, duplicate, offset: Some(offset), first_event_id, counts })
}

/// Takes a share of [`BODIES_BYTES_MAX`], or refuses; `announced` is the body's length if the sender told.
pub(crate) fn reserve(
    server: &Server,
    announced: Option<u64>,
    bytes_max: usize,
) -> Result<OwnedSemaphorePermit, Refusal> {
    let most = u32::try_from(bytes_max).expect("bodies are some MiB at most");
    let least = u32::try_from(BODIES_BYTES_MAX / CONCURRENT_BODIES_MAX).expect("1 MiB");
    let too_large = || body_too_large(bytes_max);
    let share = match announced {
        None => most,
        Some(bytes) => u32::try_from(bytes).ok().filter(|bytes| *bytes <= most).ok_or_else(too_large)?,
    };
    let bodies = Arc::clone(&server.bodies);
    bodies
        .try_acquire_many_owned(share.max(least))
        .map_err(|_| Refusal::overloaded("too many requests with a body at a time"))
}

/// Reads a whole body, within [`BODY_READ_TIMEOUT`].
pub(crate) async fn read_in_time(body: &mut Body, bytes_max: usize) -> Result<Vec<u8>, Refusal> {
    timeout(BODY_READ_TIMEOUT, read(body, bytes_max)).await.unwrap_or_else(|_| {
        Err(Refusal::body_too_slow("nothing was stored; send it again, in smaller requests"))
    })
}

async fn read(body: &mut Body, bytes_max: usize) -> Result<Vec<u8>, Refusal> {
    // What the sender announced is within the limit here; without an announcement this is 0.
    let mut bytes = Vec::with_capacity(usize::try_from(body.size_hint().lower()).unwrap_or_default());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame
            .map_err(|error| Refusal::broken_body(error, "nothing was stored; send it again"))?
            .into_data()
        else {
            continue;
        };
        if bytes.len() + data.len() > bytes_max {
            return Err(body_too_large(bytes_max));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Reads on to the end of a refused body: closing a connection with bytes unread resets it, and then many a sender
/// does not see the answer. One that waits for `100 Continue` has sent nothing yet.
pub(crate) async fn discard(headers: &HeaderMap, mut body: Body) {
    if headers.contains_key(EXPECT) {
        return;
    }
    let reading = async {
        let mut left = DISCARD_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let Some(less) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
            left = less;
        }
    };
    let _ = timeout(DISCARD_TIMEOUT, reading).await;
}

async fn split_body(ask: &Ask, bytes: Vec<u8>) -> Result<Lines, Refusal> {
    let (timestamp, json) = (ask.group.timestamp.clone(), ask.json);
    let redactor = Arc::clone(&ask.group.redactor);
    // A line of JSON is whole.
    let joiner = ask.group.joiner.clone().filter(|_| !json);
    let encoding = ask.encoding;
    let large = bytes.len() > SPLIT_INLINE_BYTES_MAX || encoding != Encoding::Identity;
    let work = move || {
        let bytes = encoding.decode(bytes, BODY_BYTES_MAX, || body_too_large(BODY_BYTES_MAX))?;
        let time = |line: &str| timestamp.as_ref().and_then(|timestamp| timestamp(line));
        let lines = match joiner {
            None => split(&bytes, json, &redactor, time),
            Some(joiner) => split_joined(&bytes, &joiner, &redactor, time),
        };
        lines.map_err(|TooLarge| {
            Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "batch_too_large",
                format!("the lines of this body take more than {BATCH_BYTES_MAX} bytes once stored"),
                "nothing was stored; send it in several requests",
            )
        })
    };
    if large { beside(work).await } else { work() }
}

/// Does work on a thread of its own.
pub(crate) async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    // The task is never aborted, so it can only fail by panicking.
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|failed| resume_unwind(failed.into_panic()))
}

pub(crate) fn body_too_large(bytes_max: usize) -> Refusal {
    Refusal::body_too_large(bytes_max, "nothing was stored; send it in several requests")
}
