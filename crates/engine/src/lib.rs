//! The engine: a fold over the journal. Records in, decisions out.
//!
//! Promise: the same records give the same decisions, byte for byte, whenever and however often they are folded.
//! At every evaluation instant an alarm's state equals what CloudWatch's rules give, except that an ALARM which is
//! already certain fires early and stands until its own slot has been decided.
//! Not here: clocks, files, threads, sending. Time comes with the records.

mod age;
mod alarm;
mod compiled;
mod composite;
mod counters;
mod engine;
pub mod evaluation;
mod explain;
mod intake;
mod mute;
mod reason;
mod series;
mod snapshot;
mod store;
mod suppressor;
mod transition;
mod values;
mod view;

pub use age::TOO_NEW_MS;
pub use alarm::AlarmRun;
pub use counters::{Counters, FilterCounters, GroupCounters};
pub use engine::{CONTRIBUTOR_KEPT_MS, Engine, EngineError, STATES_MAX, alarms_that_fire_early, can_run};
pub use explain::{Basis, Decider, Explanation, Flip, Instead, Looked, MetricBasis, Muted, Suppressed};
pub use intake::OWN_SERIES_MAX;
pub use series::{BUCKETS_WITH_LINES_MAX, MATCHED_LINE_BYTES_MAX, MATCHED_LINES_KEPT, SERIES_VALUES_MAX};
pub use snapshot::Snapshot;
pub use values::{EXACT_VALUES_MAX, PERCENTILE_ERROR};
