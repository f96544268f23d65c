//! A plan as AWS has it: the only crate that says AWS out loud.
//!
//! Promise: the same plan and files give the same templates, byte for byte; what a plan says is in them, or
//! [`findings`] says what is not. Text only: no clock, no network, no file is read.
//! Not here: where a mistake stands in the file (`config`), calls to AWS (the root package).

mod alarm;
mod app;
mod bastion;
mod bucket;
mod cis;
mod composite;
pub mod cost;
mod dashboard;
mod data;
mod endpoint;
mod finding;
mod flow_log;
mod import;
mod key;
mod log_group;
mod math;
mod metric;
mod metric_filter;
mod mute;
mod name;
mod network;
mod output;
mod pipeline;
mod policy;
mod query;
mod queue;
mod secret;
mod security_group;
mod stack;
mod template;
#[cfg(test)]
mod testing;
mod topic;
mod trail;

pub use app::{USER_DATA_BYTES_MAX, file_findings};
pub use finding::{Finding, Gravity, findings};
pub use import::{
    Counts, DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX, Document, IMPORTED_MAX, ImportError, Imported,
    Parameters, Remark, import,
};
pub use policy::{EXCEPTIONS, Exception};
pub use stack::{Files, Part, Stack, render};
pub use template::{BODY_BYTES_MAX, RESOURCES_MAX, Template};
