//! HTTP of the running process: it takes log events in, hands messages of queues out, and tells health, readiness and
//! metrics.
//!
//! Promise: an answer of 200 to `POST /ingest/…` means that [`Host::ingest`] has said that the events are on disk;
//! every error is JSON with a code, a message and a way out; a caller that no role allows is denied and reported;
//! a web page of another site reaches nothing; every wait and every buffer has a bound with a name.
//! What is no HTTP at all, or has a head of unreasonable size, gets a bare 400, 414 or 431 and loses its connection.
//! Other machines get in over TLS only ([`tls`]), from allowed networks only ([`Door`]).
//! Not here: the journal, the parsers, the metrics themselves (all behind [`Host`]).
//!
//! | route | action | answer |
//! | --- | --- | --- |
//! | `POST /ingest/GROUP?stream=NAME` | `logs:PutLogEvents` on the group | what was accepted, as JSON |
//! | `POST /agents/shipments` | `logs:PutLogEvents` on each group in it | how much was stored, as JSON |
//! | `POST /v1/logs` | `logs:PutLogEvents` on each group | OTLP's own |
//! | `GET /queues` | any token | what each queue holds that the caller may read |
//! | `GET /queues/NAME` | `sqs:GetQueueAttributes` on the queue | what it holds |
//! | `POST /queues/NAME/receive` | `sqs:ReceiveMessage` on the queue | messages |
//! | `POST /queues/NAME/delete` | `sqs:DeleteMessage` on the queue | what was deleted |
//! | `POST /queues/NAME/visibility` | `sqs:ChangeMessageVisibility` on the queue | what was changed |
//! | `GET /queues/NAME/dead` | `sqs:ReceiveMessage` on the queue | dead letters |
//! | `POST /queues/NAME/redrive` | `sqs:StartMessageMoveTask` on the queue | how many were redriven |
//! | `GET /healthz` | none, always open | `ok` |
//! | `GET /readyz` | `watchbell:GetStatus` on `watchbell` | 200, or 503 with the reason |
//! | `GET /metrics` | `watchbell:GetMetrics` on `watchbell` | OpenMetrics text |
//! | `GET /` | any token | what this is |
//!
//! Start at [`serve`] and [`Host`].

mod access;
mod answer;
mod ask;
mod encoding;
mod guard;
mod host;
mod ingest;
mod lines;
mod otlp;
mod queue;
mod routes;
mod serve;
mod ship;
pub mod tls;
mod write_timeout;

pub use access::AccessInForce;
pub use host::{
    Accepted, BoxFuture, Denied, DeniedReason, GroupInForce, Host, IngestError, QueueAsk, QueueCall,
    QueueError, Received, ShipAccepted, TimestampOf,
};
pub use ingest::{BODIES_BYTES_MAX, BODY_BYTES_MAX, BODY_READ_TIMEOUT, CONCURRENT_BODIES_MAX};
pub use lines::BATCH_BYTES_MAX;
pub use otlp::OTLP_BODY_BYTES_MAX;
pub use queue::QUEUE_BODY_BYTES_MAX;
pub use serve::{CONNECTIONS_MAX, DRAIN_TIMEOUT, Door, HEADER_READ_TIMEOUT, TurnedAway, serve};
pub use ship::SHIPMENT_BYTES_MAX;
pub use write_timeout::WRITE_TIMEOUT;
