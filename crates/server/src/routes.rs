//! The routes, and the ones that only tell something.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;
use watchbell_model::{Action, Resource};

use crate::access::Principal;
use crate::answer::Refusal;
use crate::guard::{Reached, keep_web_pages_away};
use crate::ingest::{BODIES_BYTES_MAX, ingest};
use crate::ship::ship;
use crate::{Host, otlp, queue};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const ROUTES: &str = "POST /ingest/GROUP?stream=NAME, POST /v1/logs, POST /agents/shipments, GET /queues, GET /queues/NAME, POST /queues/NAME/receive, \
                      POST /queues/NAME/delete, POST /queues/NAME/visibility, GET /queues/NAME/dead, \
                      POST /queues/NAME/redrive, GET /healthz, GET /readyz, GET /metrics, GET /sources, GET /functions";

/// What all routes share.
pub(crate) struct Server {
    pub(crate) host: Arc<dyn Host>,
    /// One permit for each byte of a body that may be in memory.
    pub(crate) bodies: Arc<Semaphore>,
    /// One permit for each body of OTLP that may be decoded.
    pub(crate) decoding: Semaphore,
}

impl Server {
    /// Who calls, if it may do this; `action` is `None` where any token will do. A denial is told to the host.
    pub(crate) fn authorize(
        &self,
        headers: &HeaderMap,
        action: Option<Action>,
        resource: Resource<'_>,
    ) -> Result<Principal, Refusal> {
        self.host.access().authorize(headers, action, resource).map_err(|denied| {
            let refusal = Refusal::from(&denied);
            self.host.denied(denied);
            refusal
        })
    }
}

/// Every route.
pub(crate) fn router(host: Arc<dyn Host>, reached: Reached) -> Router {
    let bodies = Arc::new(Semaphore::new(BODIES_BYTES_MAX));
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/sources", get(sources))
        .route("/functions", get(functions))
        .route("/ingest/{*group}", post(ingest))
        .route("/agents/shipments", post(ship))
        .route("/v1/logs", post(otlp::logs))
        .route("/queues", get(queue::list))
        .route("/queues/{name}", get(queue::figures))
        .route("/queues/{name}/receive", post(queue::receive))
        .route("/queues/{name}/delete", post(queue::delete))
        .route("/queues/{name}/visibility", post(queue::visibility))
        .route("/queues/{name}/dead", get(queue::dead_letters))
        .route("/queues/{name}/redrive", post(queue::redrive))
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::new(Server { host, bodies, decoding: Semaphore::new(otlp::DECODED_AT_A_TIME) }))
        .layer(from_fn_with_state(reached, keep_web_pages_away))
}

async fn index(State(server): State<Arc<Server>>, headers: HeaderMap) -> Result<String, Refusal> {
    server.authorize(&headers, None, Resource::Watchbell)?;
    Ok(format!("Watchbell {} watches logs and rings: {ROUTES}\n", env!("CARGO_PKG_VERSION")))
}

async fn readyz(State(server): State<Arc<Server>>, headers: HeaderMap) -> Result<&'static str, Refusal> {
    server.authorize(&headers, Some(Action::GetStatus), Resource::Watchbell)?;
    let help = "it becomes ready by itself, or its log says what to do";
    let unready = |reason| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", reason, help);
    server.host.ready().map_err(unready)?;
    Ok("ready")
}

async fn metrics(State(server): State<Arc<Server>>, headers: HeaderMap) -> Result<Response, Refusal> {
    server.authorize(&headers, Some(Action::GetMetrics), Resource::Watchbell)?;
    Ok(([(CONTENT_TYPE, OPENMETRICS)], server.host.metrics()).into_response())
}

async fn sources(State(server): State<Arc<Server>>, headers: HeaderMap) -> Result<Response, Refusal> {
    server.authorize(&headers, Some(Action::GetStatus), Resource::Watchbell)?;
    Ok(([(CONTENT_TYPE, "application/json")], server.host.sources()).into_response())
}

async fn functions(State(server): State<Arc<Server>>, headers: HeaderMap) -> Result<Response, Refusal> {
    server.authorize(&headers, Some(Action::GetStatus), Resource::Watchbell)?;
    Ok(([(CONTENT_TYPE, "application/json")], server.host.functions()).into_response())
}

async fn no_such_route(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<(), Refusal> {
    server.authorize(&headers, None, Resource::Watchbell)?;
    let message = format!("no route {:?}", uri.path());
    Err(Refusal::new(StatusCode::NOT_FOUND, "no_such_route", message, format!("routes: {ROUTES}")))
}

async fn wrong_method(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    method: Method,
    uri: Uri,
) -> Result<(), Refusal> {
    server.authorize(&headers, None, Resource::Watchbell)?;
    let message = format!("{method} does not work on {:?}", uri.path());
    Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", message, format!("routes: {ROUTES}")))
}
