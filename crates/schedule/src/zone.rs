//! Instants and what the clock of a zone shows.
//!
//! Clocks are set forward and back, so a reading may come never or twice. Here each reading has one instant: the
//! first that shows it, or the moment the clock jumped over it. Later readings never have earlier instants, and
//! [`Zone::last_reading`] is the other direction: a reading's instant is at or before `at` exactly if the reading
//! is at or before `last_reading(at)`.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};

use crate::error::{Part, ScheduleError};

#[derive(Debug, Clone)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    /// Finds an IANA time zone among those bundled: the machine's own are not asked.
    pub(crate) fn parse(name: &str) -> Result<Self, ScheduleError> {
        TimeZoneDatabase::bundled().get(name).map(Self).map_err(|_| {
            ScheduleError::new(
                Part::Zone,
                0..name.len(),
                format!("there is no time zone \"{name}\""),
                "write an IANA name, such as UTC, Europe/Berlin or America/New_York",
            )
        })
    }

    /// The instant of a reading. `None` at the ends of the calendar.
    pub(crate) fn instant(&self, reading: DateTime) -> Option<Timestamp> {
        match self.0.to_ambiguous_timestamp(reading).offset() {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
                offset.to_timestamp(reading).ok()
            }
            AmbiguousOffset::Gap { after, .. } => {
                // By the later rules the reading is shortly before the jump.
                let before = after.to_timestamp(reading).ok()?;
                self.0.following(before).next().map(|jump| jump.timestamp())
            }
        }
    }

    /// The last reading whose instant is at or before `at`: what the clock shows, or, after it was set back, what
    /// it showed just before. `None` at the ends of the calendar.
    pub(crate) fn last_reading(&self, at: Timestamp) -> Option<DateTime> {
        let shown = self.0.to_datetime(at);
        // `preceding` is strict, and a change at `at` counts.
        let change = self.0.preceding(at.checked_add(1.nanosecond()).ok()?).next();
        let Some(change) = change else { return Some(shown) };
        let before = change.timestamp().checked_sub(1.nanosecond()).ok()?;
        Some(shown.max(self.0.to_datetime(before)))
    }
}
