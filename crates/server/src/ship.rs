//! `POST /agents/shipments`: what an agent read on another machine becomes entries of this journal.
//!
//! Promise: a shipment is stored whole or not at all, and acknowledged only after [`crate::Host::ship`] resolved; an
//! entry keeps its group, source, byte range, times and flags; what must not be stored is taken out again here, by the
//! rules in force here. Who may not send to a group may not ship to it.
//! Not here: which entries came before (the host), how an agent reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use watchbell_intake::Redactor;
use watchbell_model::{
    Action, Batch, BatchBuilder, Entry, EventFlags, GroupName, Resource, Shipment, ShipmentHead, Shipped,
    ShippedEntry, Source,
};

use crate::access::Principal;
use crate::answer::{self, Refusal};
use crate::ask::no_such_group;
use crate::encoding::Encoding;
use crate::ingest::{beside, body_too_large, discard, read_in_time, reserve};
use crate::routes::Server;
use crate::{Received, ShipAccepted};

/// Largest body of a shipment, before and after it is compressed, in bytes: room for one entry of the largest size behind
/// others, and for what is told of files.
pub const SHIPMENT_BYTES_MAX: usize = 24 * 1024 * 1024;

/// Longest name of an agent, in characters.
const HOST_CHARS_MAX: usize = 255;

pub(crate) async fn ship(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (head, mut body) = request.into_parts();
    match take(&server, &head.headers, &mut body).await {
        Ok(ShipAccepted { events, duplicate }) => {
            answer::json(StatusCode::OK, &json!({ "events": events, "duplicate": duplicate }))
        }
        Err(refusal) => {
            discard(&head.headers, body).await;
            refusal.into_response()
        }
    }
}

async fn take(server: &Server, headers: &HeaderMap, body: &mut Body) -> Result<ShipAccepted, Refusal> {
    let principal = server.authorize(headers, None, Resource::Watchbell)?;
    let encoding = Encoding::of(headers)?;
    let _share = reserve(server, body.size_hint().upper(), SHIPMENT_BYTES_MAX)?;
    let bytes = read_in_time(body, SHIPMENT_BYTES_MAX).await?;
    let _grown = reserve(server, encoding.announced(&bytes), SHIPMENT_BYTES_MAX)?;
    let Shipment { head, entries } = beside(move || decode(encoding, bytes)).await?;
    check_host(&head)?;
    let mut redactors = BTreeMap::new();
    for name in head.groups.iter().chain(entries.iter().filter_map(|it| group_of(&it.entry))) {
        if !redactors.contains_key(name) {
            server.authorize(headers, Some(Action::PutLogEvents), Resource::LogGroup(name.as_str()))?;
            let group = server.host.group(name.as_str());
            let group = group.ok_or_else(|| no_such_group(server, &principal, name.as_str()))?;
            redactors.insert(name.clone(), group.redactor);
        }
    }
    // Who tells only how it is must be somebody who could ship.
    if redactors.is_empty() && !may_ship(server, &principal) {
        server.authorize(headers, Some(Action::PutLogEvents), Resource::LogGroup("*"))?;
    }
    let principal = principal.into_name();
    let (entries, head) = beside({
        let (head, principal) = (head, principal.clone());
        move || (entries.into_iter().map(|it| here(it, &head, &principal, &redactors)).collect(), head)
    })
    .await;
    Ok(server.host.ship(Received { principal, head, entries }).await?)
}

fn may_ship(server: &Server, principal: &Principal) -> bool {
    let access = server.host.access();
    let mut names = server.host.group_names().into_iter();
    names.any(|name| access.may(principal, Action::PutLogEvents, Resource::LogGroup(&name)))
}

fn decode(encoding: Encoding, bytes: Vec<u8>) -> Result<Shipment, Refusal> {
    let bytes = encoding.decode(bytes, SHIPMENT_BYTES_MAX, || body_too_large(SHIPMENT_BYTES_MAX))?;
    Shipment::decode(&bytes).map_err(|error| {
        let help = "nothing was stored; agent and server should be of one version";
        Refusal::bad_request("bad_shipment", error.to_string(), help)
    })
}

/// The name begins the names of log streams, and stands in logs.
fn check_host(head: &ShipmentHead) -> Result<(), Refusal> {
    let fits = (1..=HOST_CHARS_MAX).contains(&head.host.chars().count())
        && head.host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
    let help = "name the agent with 1 to 255 letters, digits, \".\", \"-\" and \"_\": name in [agent]";
    let message = || format!("an agent cannot be called {:?}", head.host);
    if fits { Ok(()) } else { Err(Refusal::bad_request("bad_agent_name", message(), help)) }
}

fn group_of(entry: &Entry) -> Option<&GroupName> {
    match entry {
        Entry::Batch(batch) => Some(&batch.group),
        Entry::Loss(loss) => Some(&loss.group),
        _ => None,
    }
}

/// The entry as it stands in this journal.
fn here(
    ShippedEntry { offset, time, entry }: ShippedEntry,
    head: &ShipmentHead,
    principal: &str,
    redactors: &BTreeMap<GroupName, Arc<Redactor>>,
) -> Entry {
    let shipped = Shipped { agent: head.agent, host: head.host.clone(), offset, accepted: time };
    let stream = |stream: &str| format!("{}/{}", head.host, stream.trim_start_matches('/'));
    match entry {
        Entry::Batch(batch) => {
            let redactor = &redactors[&batch.group];
            let batch = redacted(batch, redactor);
            let (stream, origin) = (stream(&batch.stream), Box::new(batch.source.clone()));
            let source = Source::Agent { principal: principal.to_owned(), shipped, origin };
            // It happened when the agent saw it, however long it was on its way.
            Entry::Batch(batch.brought(stream, source, time))
        }
        Entry::Loss(mut loss) => {
            loss.stream = stream(&loss.stream);
            loss.shipped = Some(shipped);
            Entry::Loss(loss)
        }
        other => unreachable!("a shipment holds batches and losses, not {}", other.kind_name()),
    }
}

/// The batch without what must not be stored. Usually the agent has found everything, and nothing is copied.
fn redacted(batch: Batch, redactor: &Redactor) -> Batch {
    if redactor.redact(batch.text()).is_none() {
        return batch;
    }
    let mut builder = BatchBuilder::default();
    for event in batch.events() {
        match redactor.redact(event.message) {
            Some((text, _)) => {
                builder.push(&text, event.timestamp, event.flags.with(EventFlags::REDACTED));
            }
            None => builder.push(event.message, event.timestamp, event.flags),
        }
        if let Some(severity) = event.severity {
            builder.grave(severity);
        }
    }
    builder.build(batch.group, batch.stream, batch.source, batch.backfill)
}

#[cfg(test)]
mod tests {
    use watchbell_model::{Redaction, Severity, Timestamp};

    use super::*;

    #[test]
    fn what_the_agent_left_is_taken_out_here_and_flags_and_severities_stay() {
        let redactor = Redactor::new(&Redaction::default(), &["s3cret-value".to_owned()]).unwrap();
        let mut builder = BatchBuilder::default();
        builder.push("a s3cret-value b", Some(Timestamp(1)), EventFlags::CUT);
        builder.push("nothing", None, EventFlags::CONTINUED);
        builder.grave(Severity::Error);
        let source = Source::Http { principal: "loopback".into(), batch_id: None };
        let batch = builder.build(GroupName::new("g").unwrap(), "/a".into(), source, true);
        let batch = redacted(batch, &redactor);
        assert!(!batch.text().contains("s3cret-value"));
        let seen: Vec<_> =
            batch.events().map(|event| (event.flags, event.timestamp, event.severity)).collect();
        assert_eq!(
            seen,
            [
                (EventFlags::CUT.with(EventFlags::REDACTED), Some(Timestamp(1)), None),
                (EventFlags::CONTINUED, None, Some(Severity::Error))
            ]
        );
        assert!(batch.backfill && redacted(batch.clone(), &redactor) == batch);
    }
}
