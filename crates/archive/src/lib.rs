//! The archive: log events as Parquet objects, under `date=…/app=…/severity=…/`.
//!
//! Promise: the same rows give the same objects, name for name and byte for byte, so that what a crash interrupted is
//! written again over itself; once [`put`] returns on a folder of [`open_folder`], the objects are on disk; no app
//! name can leave its folder. Any Parquet reader can read the archive without Watchbell; the date is in the path alone,
//! and app and severity are in both, so a reader of Hive partitions must not guess their types from the path.
//! Not here: which events are due (the journal's archive cursor), how long objects are kept.
//!
//! # Format 1
//!
//! An object holds the events of one partition: UTC date of the timestamp, app, severity. Its path is
//! `date=2026-11-22/app=shop/severity=error/<first event id>_<offset>-<line of the last event>.parquet`.
//! Rows stand in event order. Its columns:
//!
//! | column | Parquet type | what it is |
//! | --- | --- | --- |
//! | `event_id` | string | names the event for ever |
//! | `timestamp` | INT64, TIMESTAMP(MILLIS, UTC) | when it happened |
//! | `ingestion_time` | INT64, TIMESTAMP(MILLIS, UTC) | when it was accepted |
//! | `log_group` | string | the log group |
//! | `log_stream` | string | the log stream |
//! | `app` | string | the app, as it is; the path has it escaped |
//! | `severity` | string | `unknown trace debug info warn error critical` |
//! | `message` | string | the text as stored |
//! | `fields` | string, optional | the parsed fields, one JSON object |
//! | `flags` | string, optional | names joined by commas: `cut continued repaired redacted` |
//!
//! Key-value metadata: `watchbell.format` is `1`; `watchbell.installation`, `watchbell.first_event`,
//! `watchbell.last_event` and `watchbell.app` say what is inside.
//!
//! App names in paths: bytes other than `A-Z a-z 0-9 - _ .` become `%XX`, a dot at the start too; no name at all is
//! `__HIVE_DEFAULT_PARTITION__`, Hive's word for it; a name over 200 bytes is cut and ends in `~` and its hash.

mod collector;
mod error;
mod folder;
mod footer;
mod object;
mod partition;
mod read;
mod store;

pub use collector::{Collector, Row};
pub use error::ArchiveError;
pub use folder::open_folder;
pub use object::Object;
pub use read::{StoredEvent, read};
pub use store::{ObjectSummary, list, objects_of, put};

/// The format that objects are written in, `watchbell.format` in their metadata.
pub const FORMAT: &str = "1";
