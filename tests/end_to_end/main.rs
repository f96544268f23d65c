//! The whole program from outside: real files, real sockets, real signals, and the journal and archive read back.
//!
//! One test program, so that the helpers are compiled and linked once. Every test has its own folder and its own port;
//! a pause happens only inside [`support::eventually`], which waits for a condition.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]

mod support;

mod agent;
mod backup;
mod bench;
mod bound;
mod data_format;
mod data_model;
mod delivery;
mod determinism;
mod drain;
mod explain;
mod faults;
mod following;
mod full_disk;
mod functions;
mod import;
mod ingest;
mod init;
mod journal;
mod journald;
mod multiline;
mod other_tools;
mod otlp;
mod own_metrics;
mod queue_page;
mod queue_verb;
mod queues;
mod redaction;
mod reload;
mod ringing;
mod rotation;
mod sources;
mod start_errors;
mod stdin;
mod syslog;
mod tail;
mod tls;
mod torture;
mod trail;
mod trouble;
mod unusual_files;
mod verbs;
