//! A schedule: a start that comes once or again and again, and how long it lasts.

use jiff::Timestamp;

use crate::duration;
use crate::error::{Part, ScheduleError};
use crate::start::Start;
use crate::zone::Zone;

/// When something is active: from its starts on, for a fixed time each.
#[derive(Debug, Clone)]
pub struct Schedule {
    start: Start,
    duration_ms: i64,
    zone: Zone,
    limits: Limits,
}

/// From when to when a schedule counts, in milliseconds since the Unix epoch. Outside nothing is active: a window
/// that reaches over a limit is cut there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Active from here on at the earliest. CloudWatch's `StartDate`.
    pub from_ms: Option<i64>,
    /// No longer active from here on. CloudWatch's `ExpireDate`.
    pub until_ms: Option<i64>,
}

impl Limits {
    /// For ever.
    pub const NONE: Self = Self { from_ms: None, until_ms: None };
}

/// A time in which a schedule is active, in milliseconds since the Unix epoch: `start_ms` belongs to it, `end_ms` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its first millisecond.
    pub start_ms: i64,
    /// The first millisecond after it.
    pub end_ms: i64,
}

impl Schedule {
    /// Reads a schedule.
    ///
    /// `expression` is `cron(minutes hours day-of-month month day-of-week)` or `at(yyyy-MM-ddThh:mm)`, `duration_ms` how
    /// long each window lasts, `zone` the IANA name of the time zone whose clock counts.
    ///
    /// # Errors
    /// With the part and the place of the first mistake, in the order of the arguments: an expression of another
    /// form or one that never comes, a duration that is shorter than [`crate::DURATION_MS_MIN`] or longer than
    /// [`crate::DURATION_MS_MAX`], an unknown zone, limits that leave no time.
    pub fn parse(
        expression: &str,
        duration_ms: i64,
        zone: &str,
        limits: Limits,
    ) -> Result<Self, ScheduleError> {
        let start = Start::parse(expression)?;
        duration::check(duration_ms).map_err(|message| {
            ScheduleError::new(Part::Duration, 0..0, message, "give it a minute to 15 days")
        })?;
        let zone = Zone::parse(zone)?;
        if let (Some(from_ms), Some(until_ms)) = (limits.from_ms, limits.until_ms)
            && until_ms <= from_ms
        {
            let message = "the schedule ends before it begins";
            return Err(ScheduleError::new(Part::Limits, 0..0, message, "let it end after its beginning"));
        }
        Ok(Self { start, duration_ms, zone, limits })
    }

    /// The window that is active at `at_ms`, if one is.
    ///
    /// Where windows overlap, the one that started last: it ends last, too.
    pub fn active(&self, at_ms: i64) -> Option<Window> {
        let Limits { from_ms, until_ms } = self.limits;
        if from_ms.is_some_and(|from_ms| at_ms < from_ms)
            || until_ms.is_some_and(|until_ms| at_ms >= until_ms)
        {
            return None;
        }
        let start_ms = self.last_start(at_ms)?;
        let end_ms = start_ms + self.duration_ms;
        (at_ms < end_ms).then(|| Window {
            start_ms: from_ms.map_or(start_ms, |from_ms| start_ms.max(from_ms)),
            end_ms: until_ms.map_or(end_ms, |until_ms| end_ms.min(until_ms)),
        })
    }

    /// When next a window starts or the active one ends, strictly after `after_ms`; `None` if never again.
    ///
    /// A start while another window is active counts: it moves the end.
    pub fn next_change(&self, after_ms: i64) -> Option<i64> {
        let mut after_ms = after_ms;
        if let Some(from_ms) = self.limits.from_ms.filter(|from_ms| after_ms < *from_ms) {
            if self.active(from_ms).is_some() {
                return Some(from_ms);
            }
            after_ms = from_ms;
        }
        let end_ms = self.active(after_ms).map(|window| window.end_ms);
        let start_ms = self.next_start(after_ms);
        let start_ms =
            start_ms.filter(|start_ms| self.limits.until_ms.is_none_or(|until_ms| *start_ms < until_ms));
        end_ms.into_iter().chain(start_ms).min()
    }

    fn last_start(&self, at_ms: i64) -> Option<i64> {
        let reading = self.zone.last_reading(Timestamp::from_millisecond(at_ms).ok()?)?;
        Some(self.zone.instant(self.start.last(reading)?)?.as_millisecond())
    }

    fn next_start(&self, after_ms: i64) -> Option<i64> {
        let reading = self.zone.last_reading(Timestamp::from_millisecond(after_ms).ok()?)?;
        Some(self.zone.instant(self.start.next(reading)?)?.as_millisecond())
    }
}
