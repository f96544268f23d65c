//! Schedules: when something that recurs is active, by a clock on a wall somewhere.
//!
//! Promise: the same answer on every machine (the time zones are bundled); every answer takes a bounded number of
//! steps; a schedule that can never start is refused. The shape is that of CloudWatch's alarm mute rules.
//! Not here: what happens when a schedule is active (`engine`), and what time it is now.
//!
//! A start is a reading of the clock in the schedule's zone. Where clocks go forward and skip it, it starts at the
//! moment they do; where they go back and show it twice, it starts the first time. The duration is absolute: four
//! hours are four hours, whatever the clock does meanwhile.
//!
//! ```
//! use watchbell_schedule::{Limits, Schedule, Window};
//!
//! let hour_ms = 3_600_000;
//! let nights = Schedule::parse("cron(0 22 * * MON-FRI)", 8 * hour_ms, "Europe/Berlin", Limits::NONE)?;
//! let monday_ms = 1_783_893_600_000; // 2026-07-13T00:00 in Berlin
//! let start_ms = monday_ms + 22 * hour_ms;
//! assert_eq!(nights.active(monday_ms), None);
//! assert_eq!(nights.next_change(monday_ms), Some(start_ms));
//! assert_eq!(nights.active(start_ms), Some(Window { start_ms, end_ms: start_ms + 8 * hour_ms }));
//! # Ok::<(), watchbell_schedule::ScheduleError>(())
//! ```

mod duration;
mod error;
mod schedule;
mod start;
mod zone;

pub use duration::{DURATION_MS_MAX, DURATION_MS_MIN, parse_duration};
pub use error::{Part, ScheduleError};
pub use schedule::{Limits, Schedule, Window};
pub use start::EXPRESSION_CHARS_MAX;
