//! `/queues`: messages of queues for workers in any language.
//!
//! Promise: an answer means that what it says is on disk ([`crate::Host::queue`]); bodies and waits are bounded.
//! Not here: what may happen to a message, and its payload: both come from the host as they go out.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;
use watchbell_model::{Action, Resource};

use crate::access::Principal;
use crate::answer::{Refusal, json as answer};
use crate::ask::nearest;
use crate::ingest::BODY_READ_TIMEOUT;
use crate::routes::Server;
use crate::{QueueAsk, QueueCall, QueueError};

/// Largest body of a request about a queue, in bytes.
pub const QUEUE_BODY_BYTES_MAX: usize = 64 * 1024;
/// Most messages in one receive, and receipt handles in one request. Source: Amazon SQS API Reference.
const MESSAGES_MAX: usize = 10;
/// Longest wait for a message, in seconds. Source: Amazon SQS API Reference, `ReceiveMessage`, `WaitTimeSeconds`.
const WAIT_S_MAX: i64 = 20;
/// Longest visibility timeout, in seconds. Source: Amazon SQS API Reference, `ChangeMessageVisibility`.
const VISIBILITY_TIMEOUT_S_MAX: i64 = 43_200;
/// Most dead letters in one answer.
const DEAD_LETTERS_MAX: usize = 100;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Receive {
    max: Option<usize>,
    wait_s: Option<i64>,
    visibility_timeout_s: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    receipts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Visibility {
    receipts: Vec<String>,
    visibility_timeout_s: i64,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Redrive {
    all: bool,
    messages: Option<Vec<String>>,
}

/// What stands behind the `?` of a look at dead letters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeadParameters {
    after: Option<String>,
    max: Option<usize>,
}

type Shared = State<Arc<Server>>;

pub(crate) async fn receive(
    State(server): Shared,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let principal =
        server.authorize(request.headers(), Some(Action::ReceiveMessage), Resource::Queue(&name))?;
    let Receive { max, wait_s, visibility_timeout_s } = body(request).await?;
    let max = max.unwrap_or(1);
    within("max", i64::try_from(max).unwrap_or(i64::MAX), 1, 10)?;
    let wait_s = within("wait_s", wait_s.unwrap_or(0), 0, WAIT_S_MAX)?;
    let visibility_timeout_ms = visibility_timeout_s.map(visibility_ms).transpose()?;
    let call = QueueCall::Receive { max, wait_ms: wait_s * 1000, visibility_timeout_ms };
    ask(&server, Action::ReceiveMessage, principal, name, call).await
}

pub(crate) async fn delete(
    State(server): Shared,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let principal =
        server.authorize(request.headers(), Some(Action::DeleteMessage), Resource::Queue(&name))?;
    let Delete { receipts } = body(request).await?;
    let call = QueueCall::Delete { receipts: some(receipts)? };
    ask(&server, Action::DeleteMessage, principal, name, call).await
}

pub(crate) async fn visibility(
    State(server): Shared,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let action = Action::ChangeMessageVisibility;
    let principal = server.authorize(request.headers(), Some(action), Resource::Queue(&name))?;
    let Visibility { receipts, visibility_timeout_s } = body(request).await?;
    let visibility_timeout_ms = visibility_ms(visibility_timeout_s)?;
    let call = QueueCall::ChangeVisibility { receipts: some(receipts)?, visibility_timeout_ms };
    ask(&server, action, principal, name, call).await
}

pub(crate) async fn redrive(
    State(server): Shared,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let action = Action::StartMessageMoveTask;
    let principal = server.authorize(request.headers(), Some(action), Resource::Queue(&name))?;
    let messages = match body(request).await? {
        Redrive { all: true, messages: None } => None,
        Redrive { all: false, messages: Some(messages) } => Some(messages),
        Redrive { .. } => {
            let help = "send {\"all\":true}, or {\"messages\":[…]} with the ids of dead letters";
            return Err(Refusal::bad_request("bad_body", "it is not said what to redrive", help));
        }
    };
    ask(&server, action, principal, name, QueueCall::Redrive { messages }).await
}

pub(crate) async fn dead_letters(
    State(server): Shared,
    Path(name): Path<String>,
    query: Result<Query<DeadParameters>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let principal = server.authorize(&headers, Some(Action::ReceiveMessage), Resource::Queue(&name))?;
    let help = "the parameters are max=N and after=ID";
    let Query(DeadParameters { after, max }) =
        query.map_err(|rejection| Refusal::bad_request("bad_query", rejection.body_text(), help))?;
    let max = max.unwrap_or(MESSAGES_MAX);
    within("max", i64::try_from(max).unwrap_or(i64::MAX), 1, 100)?;
    let call = QueueCall::DeadLetters { after, max: max.min(DEAD_LETTERS_MAX) };
    ask(&server, Action::ReceiveMessage, principal, name, call).await
}

pub(crate) async fn figures(
    State(server): Shared,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let action = Action::GetQueueAttributes;
    let principal = server.authorize(&headers, Some(action), Resource::Queue(&name))?;
    match server.host.queue_figures().get(&name) {
        Some(figures) => Ok(answer(StatusCode::OK, figures)),
        None => Err(no_such_queue(&server, &principal, action, &name)),
    }
}

/// Every queue that the caller may read the figures of.
pub(crate) async fn list(State(server): Shared, headers: HeaderMap) -> Result<Response, Refusal> {
    let principal = server.authorize(&headers, None, Resource::Watchbell)?;
    let access = server.host.access();
    let figures = server.host.queue_figures();
    let readable = |name: &str| access.may(&principal, Action::GetQueueAttributes, Resource::Queue(name));
    let queues: Vec<&Value> = figures.iter().filter(|(name, _)| readable(name)).map(|(_, it)| it).collect();
    Ok(answer(StatusCode::OK, &json!({ "queues": queues })))
}

async fn ask(
    server: &Server,
    action: Action,
    principal: Principal,
    queue: String,
    call: QueueCall,
) -> Result<Response, Refusal> {
    let (name, who) = (queue.clone(), principal.clone().into_name());
    match server.host.queue(QueueAsk { queue, principal: who, call }).await {
        Ok(value) => Ok(answer(StatusCode::OK, &value)),
        Err(QueueError::NoSuchQueue) => Err(no_such_queue(server, &principal, action, &name)),
        Err(error) => Err(error.into()),
    }
}

/// A token learns of no queue that it may not do this to.
fn no_such_queue(server: &Server, principal: &Principal, action: Action, name: &str) -> Refusal {
    let access = server.host.access();
    let mut names: Vec<String> = server.host.queue_figures().into_keys().collect();
    names.retain(|name| access.may(principal, action, Resource::Queue(name)));
    let help = match nearest(name, &names) {
        Some(near) => format!("did you mean {near:?}?"),
        None if names.is_empty() => "configure one as [queues.NAME]".to_owned(),
        None => "GET /queues tells which there are".to_owned(),
    };
    Refusal::new(StatusCode::NOT_FOUND, "no_such_queue", format!("no queue {name:?}"), help)
}

/// The body of a request; an empty one is `{}`.
async fn body<T: DeserializeOwned>(request: Request) -> Result<T, Refusal> {
    let limited = Limited::new(request.into_body(), QUEUE_BODY_BYTES_MAX);
    let Ok(read) = timeout(BODY_READ_TIMEOUT, limited.collect()).await else {
        return Err(Refusal::body_too_slow("nothing was done; send it again"));
    };
    let bytes = read.map_err(|error| {
        if error.is::<LengthLimitError>() {
            return Refusal::body_too_large(QUEUE_BODY_BYTES_MAX, "nothing was done; send less at a time");
        }
        Refusal::broken_body(error, "nothing was done; send it again")
    })?;
    let bytes = bytes.to_bytes();
    let json = if bytes.trim_ascii().is_empty() { b"{}" } else { &bytes[..] };
    serde_json::from_slice(json).map_err(|error| {
        let help = "send a JSON object with the members that the reference page on HTTP names";
        Refusal::bad_request("bad_body", format!("the body does not fit: {error}"), help)
    })
}

fn some(receipts: Vec<String>) -> Result<Vec<String>, Refusal> {
    if (1..=MESSAGES_MAX).contains(&receipts.len()) {
        return Ok(receipts);
    }
    let message = format!("{} receipts in one request", receipts.len());
    Err(Refusal::bad_request("bad_body", message, format!("send 1 to {MESSAGES_MAX}")))
}

fn visibility_ms(timeout_s: i64) -> Result<i64, Refusal> {
    Ok(within("visibility_timeout_s", timeout_s, 0, VISIBILITY_TIMEOUT_S_MAX)? * 1000)
}

fn within(name: &str, value: i64, least: i64, most: i64) -> Result<i64, Refusal> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    let help = format!("write {least} to {most}");
    Err(Refusal::bad_request("out_of_range", format!("{name} cannot be {value}"), help))
}
