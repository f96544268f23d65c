//! A plan as AWS has it: the only crate that says AWS out loud.
//!
//! Promise: the same plan and files give the same templates, byte for byte; what a plan says is in them, or
//! [`findings`] says what is not. Text only: no clock, no network, no file is read.
//! Not here: where a mistake stands in the file (`config`), calls to AWS (the root package).

mod app;
mod bastion;
mod bucket;
pub mod cost;
mod data;
mod endpoint;
mod finding;
mod flow_log;
mod key;
mod name;
mod network;
mod output;
mod pipeline;
mod policy;
mod secret;
mod security_group;
mod stack;
mod template;
mod trail;

pub use app::{USER_DATA_BYTES_MAX, file_findings};
pub use finding::{Finding, Gravity, findings};
pub use policy::{EXCEPTIONS, Exception};
pub use stack::{Files, Part, Stack, render};
pub use template::{BODY_BYTES_MAX, RESOURCES_MAX, Template};
