//! The client of AWS: what a plan's stacks are there, what would change, and making it so.
//!
//! Promise: a stack changes only by a change set that was read first, and loses or replaces nothing that was not shown
//! before; a stack that somebody else made is not touched; what went wrong is said in the words of the resource that
//! failed first.
//! Not here: what is in a template (`watchbell-aws`), asking people and showing things to them (`cli/aws`).

mod account;
mod change;
mod change_set;
mod deploy;
mod destroy;
mod drift;
mod error;
mod event;
mod instance;
mod logs;
mod metric;
mod plan;
mod sdk;
mod secret;
mod stack;
mod upload;

pub use account::Account;
pub use change::{Action, Change, Property, between};
pub use deploy::{Deployment, Outcome};
pub use destroy::{Destroyed, Kept};
pub use drift::{Drift, Drifted};
pub use error::AwsError;
pub use event::Event;
pub(crate) use instance::id as instance_id;
pub(crate) use logs::{Logs, Looked, PutError, Rejected};
pub(crate) use metric::Metrics;
pub use plan::{StackPlan, Step};
pub(crate) use sdk::config as sdk_config;
pub use secret::SECRET_BYTES_MAX;
pub use stack::{Deployed, Standing, Wanted};
