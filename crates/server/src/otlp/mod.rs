//! `POST /v1/logs`: log records of OpenTelemetry, as protobuf or JSON.
//!
//! Promise: 200 means that every record is on disk that was not rejected; what was rejected is counted in the answer. An
//! answer has the form that OTLP gives it, errors included, and a status that makes senders come back where that helps.
//! Not here: traces and metrics; attributes of scopes and resources; OTLP over gRPC. And no telling a repeated request
//! from another with the same bytes: OTLP has no batch ids, and two equal lines within a clock's tick, sent one by one,
//! differ in nothing. Taking them for one would lose a line; a line that comes twice is the smaller harm.
//!
//! Source: OTLP Specification 1.x, "OTLP/HTTP".

mod message;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::panic::resume_unwind;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response as HttpResponse};
use prost::Message;
use serde::Serialize;
use watchbell_intake::stream_name;
use watchbell_model::{Action, BatchBuilder, Resource as OnResource, Source, matches_wildcard};

use self::message::{PartialSuccess, Request, ResourceLogs, Response, Status};
use crate::GroupInForce;
use crate::answer::Refusal;
use crate::encoding::Encoding;
use crate::ingest::{BODY_BYTES_MAX, discard, read_in_time, reserve};
use crate::routes::Server;

/// Largest body, in bytes, once it is decompressed.
pub const OTLP_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bodies that are decoded at a time: what two bytes of a body stand for may take a hundred in memory.
pub(crate) const DECODED_AT_A_TIME: usize = 1;

/// Bytes of text after which another batch begins.
const BATCH_TEXT_BYTES: usize = 4 * 1024 * 1024;

/// Where the records go whose sender names neither its instance nor its host.
const STREAM_DEFAULT: &str = "otlp";

/// Names of services in an answer.
const SERVICES_SHOWN: usize = 5;

/// How a body is written; the answer is written likewise.
#[derive(Clone, Copy)]
enum Form {
    Protobuf,
    Json,
}

pub(crate) async fn logs(State(server): State<Arc<Server>>, request: HttpRequest) -> HttpResponse {
    let (head, mut body) = request.into_parts();
    let form = form(&head.headers);
    let answered_in = *form.as_ref().unwrap_or(&Form::Json);
    let taken = match form {
        Ok(form) => take(&server, &head.headers, &mut body, form).await,
        Err(refusal) => Err(refusal),
    };
    match taken {
        Ok(rejected) => answer(answered_in, StatusCode::OK, &rejected.into_response()),
        Err(refusal) => {
            discard(&head.headers, body).await;
            refused(answered_in, &refusal)
        }
    }
}

async fn take(
    server: &Arc<Server>,
    headers: &HeaderMap,
    body: &mut Body,
    form: Form,
) -> Result<Rejected, Refusal> {
    let principal = server.authorize(headers, None, OnResource::Watchbell)?;
    let encoding = Encoding::of(headers)?;
    // Compressed or not, it may come to what the largest body takes.
    let _share = reserve(server, None, BODY_BYTES_MAX)?;
    let bytes = read_in_time(body, OTLP_BODY_BYTES_MAX).await?;
    let turn = server.decoding.acquire().await.expect("it is never closed");
    let (deciding, headers) = (Arc::clone(server), headers.clone());
    let work = move || Decoded::of(&deciding, &headers, bytes, encoding, form);
    // The task is never aborted, so it can only fail by panicking.
    let decoded =
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|failed| resume_unwind(failed.into_panic()));
    drop(turn);
    let Decoded { groups, events, rejected } = decoded?;
    store(server, groups, events, &principal.into_name()).await?;
    if rejected.records > 0 {
        let service = rejected.services.first().map_or("", String::as_str);
        server.host.otlp_rejected(rejected.records, service);
    }
    Ok(rejected)
}

/// What was not taken.
#[derive(Default)]
struct Rejected {
    records: u64,
    /// Services that no log group takes.
    services: BTreeSet<String>,
    /// Records without a body and without attributes.
    empty: u64,
}

impl Rejected {
    fn into_response(self) -> Response {
        if self.records == 0 {
            return Response { partial_success: None };
        }
        let mut reasons = Vec::new();
        if !self.services.is_empty() {
            let shown: Vec<String> =
                self.services.iter().take(SERVICES_SHOWN).map(|it| format!("{it:?}")).collect();
            let more = self.services.len() - shown.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let shown = shown.join(", ");
            reasons.push(format!("no log group has otlp = {{ service = … }} for service.name {shown}{more}"));
        }
        if self.empty > 0 {
            reasons.push(format!("{} records have neither a body nor attributes", self.empty));
        }
        let rejected_log_records = i64::try_from(self.records).unwrap_or(i64::MAX);
        let error_message = reasons.join("; ");
        Response { partial_success: Some(PartialSuccess { rejected_log_records, error_message }) }
    }
}

/// What a body holds.
#[derive(Default)]
struct Decoded {
    groups: Vec<GroupInForce>,
    /// By the place of their group, and log stream.
    events: BTreeMap<(usize, String), Vec<BatchBuilder>>,
    rejected: Rejected,
}

impl Decoded {
    fn of(
        server: &Server,
        headers: &HeaderMap,
        bytes: Vec<u8>,
        encoding: Encoding,
        form: Form,
    ) -> Result<Decoded, Refusal> {
        let bytes = encoding.decode(bytes, OTLP_BODY_BYTES_MAX, too_large)?;
        let request = match form {
            Form::Protobuf => Request::decode(bytes.as_slice()).map_err(malformed),
            Form::Json => serde_json::from_slice(&bytes).map_err(malformed),
        }?;
        drop(bytes);
        let services = server.host.otlp_services();
        let mut decoded = Decoded::default();
        let mut known: BTreeMap<String, Option<usize>> = BTreeMap::new();
        for logs in request.resource_logs {
            let service = record::attribute(logs.resource.as_ref(), "service.name").unwrap_or_default();
            let place = if let Some(place) = known.get(service) {
                *place
            } else {
                let place = match group_of(&services, service) {
                    Some(name) => decoded.group(server, headers, name)?,
                    None => None,
                };
                known.insert(service.to_owned(), place);
                place
            };
            match place {
                Some(place) => decoded.add(place, &logs),
                None => decoded.reject(service, &logs),
            }
        }
        Ok(decoded)
    }

    /// The place of a log group; `None` if a reload has just taken it away.
    fn group(&mut self, server: &Server, headers: &HeaderMap, name: &str) -> Result<Option<usize>, Refusal> {
        server.authorize(headers, Some(Action::PutLogEvents), OnResource::LogGroup(name))?;
        let Some(group) = server.host.group(name) else { return Ok(None) };
        self.groups.push(group);
        Ok(Some(self.groups.len() - 1))
    }

    fn reject(&mut self, service: &str, logs: &ResourceLogs) {
        let records: u64 = logs.scope_logs.iter().map(|scope| scope.log_records.len() as u64).sum();
        if records > 0 {
            self.rejected.records += records;
            self.rejected.services.insert(service.to_owned());
        }
    }

    fn add(&mut self, place: usize, logs: &ResourceLogs) {
        let attribute = |key| record::attribute(logs.resource.as_ref(), key);
        let sender = attribute("service.instance.id").or_else(|| attribute("host.name"));
        let stream = stream_name(sender.unwrap_or(STREAM_DEFAULT));
        let group = &self.groups[place];
        let batches = self.events.entry((place, stream)).or_default();
        for log in logs.scope_logs.iter().flat_map(|scope| &scope.log_records) {
            let text = if group.whole_records { record::whole(log) } else { record::text(log) };
            let Some(text) = text else {
                self.rejected.records += 1;
                self.rejected.empty += 1;
                continue;
            };
            let kept = group.redactor.kept(text.as_bytes());
            let in_line = group.timestamp.as_ref().and_then(|timestamp| timestamp(&kept.text));
            if batches.last().is_none_or(|batch| batch.text_bytes() > BATCH_TEXT_BYTES) {
                batches.push(BatchBuilder::default());
            }
            let batch = batches.last_mut().expect("there is one");
            batch.push(&kept.text, in_line.or_else(|| record::time(log)), kept.flags);
            if let Some(severity) = record::severity(log) {
                batch.grave(severity);
            }
        }
    }
}

/// The group that takes the records of a service: who names it goes before who has a wildcard.
fn group_of<'a>(services: &'a [(String, Vec<String>)], service: &str) -> Option<&'a str> {
    let find = |fits: &dyn Fn(&str) -> bool| {
        let group = services.iter().find(|(_, patterns)| patterns.iter().any(|pattern| fits(pattern)));
        group.map(|(group, _)| group.as_str())
    };
    find(&|pattern| pattern == service).or_else(|| find(&|pattern| matches_wildcard(pattern, service)))
}

/// Journals the events; resolves when all are on disk.
async fn store(
    server: &Server,
    groups: Vec<GroupInForce>,
    events: BTreeMap<(usize, String), Vec<BatchBuilder>>,
    principal: &str,
) -> Result<(), Refusal> {
    let mut told = Vec::new();
    for ((place, stream), batches) in events {
        for batch in batches {
            let source = Source::Http { principal: principal.to_owned(), batch_id: None };
            told.push(server.host.ingest(batch.build(
                groups[place].name.clone(),
                stream.clone(),
                source,
                false,
            )));
        }
    }
    for told in told {
        told.await?;
    }
    Ok(())
}

fn form(headers: &HeaderMap) -> Result<Form, Refusal> {
    let given = headers.get(CONTENT_TYPE).and_then(|given| given.to_str().ok()).unwrap_or_default();
    match given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/x-protobuf" => Ok(Form::Protobuf),
        "application/json" => Ok(Form::Json),
        _ => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_content_type",
            format!("bodies with Content-Type {given:?} are not accepted here"),
            "send application/x-protobuf or application/json",
        )),
    }
}

fn malformed(error: impl Display) -> Refusal {
    let help = "nothing was stored; send an ExportLogsServiceRequest";
    Refusal::bad_request("bad_body", format!("the body cannot be read: {error}"), help)
}

fn too_large() -> Refusal {
    Refusal::body_too_large(OTLP_BODY_BYTES_MAX, "nothing was stored; send smaller batches")
}

fn answer(form: Form, status: StatusCode, message: &(impl Message + Serialize)) -> HttpResponse {
    let (kind, body) = match form {
        Form::Protobuf => ("application/x-protobuf", message.encode_to_vec()),
        Form::Json => {
            let json = serde_json::to_vec(message).expect("answers have only texts and numbers");
            ("application/json", json)
        }
    };
    (status, [(CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response()
}

/// Source: OTLP Specification, "Failures": senders come back after 429, 502, 503 and 504 only.
fn refused(form: Form, refusal: &Refusal) -> HttpResponse {
    let may_help =
        matches!(refusal.status(), StatusCode::INSUFFICIENT_STORAGE | StatusCode::INTERNAL_SERVER_ERROR);
    let status = if may_help { StatusCode::SERVICE_UNAVAILABLE } else { refusal.status() };
    // Of google.rpc.Code.
    let code = match status {
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::FORBIDDEN => 7,
        StatusCode::PAYLOAD_TOO_LARGE => 8,
        StatusCode::REQUEST_TIMEOUT => 4,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        _ => 3,
    };
    let mut response = answer(form, status, &Status { code, message: refusal.told() });
    response.headers_mut().extend(refusal.hint());
    response
}
