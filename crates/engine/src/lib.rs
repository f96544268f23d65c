//! The engine: a fold over the journal. Records in, decisions out.
//!
//! Promise: the same records give the same decisions, byte for byte, whenever and however often they are folded.
//! At every evaluation instant an alarm's state equals what CloudWatch's rules give, except that an ALARM which is
//! already certain fires early and stands until its own slot has been decided.
//! Not here: clocks, files, threads, sending. Time comes with the records.

mod alarm;
mod compiled;
mod counters;
mod engine;
pub mod evaluation;
mod metric;
mod reason;
mod snapshot;
mod view;

pub use alarm::AlarmRun;
pub use counters::{Counters, FilterCounters, GroupCounters};
pub use engine::{Engine, EngineError, TOO_NEW_MS, alarms_that_fire_early};
pub use metric::{MATCHED_LINE_BYTES_MAX, MATCHED_LINES_KEPT};
pub use snapshot::Snapshot;
