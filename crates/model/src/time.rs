//! A point in time, as data.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z, as in every CloudWatch Logs API.
///
/// Prints as RFC 3339 in UTC with milliseconds: `2026-11-22T21:11:52.125Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This instant moved by `ms` milliseconds; stops at the ends of the range.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this instant; negative if `earlier` is later.
    pub fn ms_since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The largest multiple of `step_ms` that is not after this instant.
    ///
    /// `step_ms` must be positive.
    #[must_use]
    pub fn floor_to(self, step_ms: i64) -> Timestamp {
        Timestamp(self.0.saturating_sub(self.0.rem_euclid(step_ms)))
    }

    /// The smallest multiple of `step_ms` that is not before this instant.
    #[must_use]
    pub fn ceil_to(self, step_ms: i64) -> Timestamp {
        let floor = self.floor_to(step_ms);
        if floor == self { self } else { floor.plus_ms(step_ms) }
    }

    /// The UTC date: `2026-11-22`. Instants outside the years -9999 to 9999 print the nearest end's date.
    pub fn utc_date(self) -> String {
        self.civil().strftime("%Y-%m-%d").to_string()
    }

    /// UTC time as CloudWatch writes it in state reasons: `14/09/26 05:51:30`.
    pub fn reason_style(self) -> String {
        self.civil().strftime("%d/%m/%y %H:%M:%S").to_string()
    }

    /// UTC wall time with seconds: `05:51:30`.
    pub fn utc_clock(self) -> String {
        self.civil().strftime("%H:%M:%S").to_string()
    }

    fn civil(self) -> jiff::Timestamp {
        let (first, last) = (jiff::Timestamp::MIN, jiff::Timestamp::MAX);
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 { first } else { last })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.civil())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_rfc_3339_with_milliseconds() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(1_795_381_912_125).to_string(), "2026-11-22T21:11:52.125Z");
        assert_eq!(Timestamp(1_795_381_912_125).utc_date(), "2026-11-22");
        assert_eq!(Timestamp(1_795_381_912_125).reason_style(), "22/11/26 21:11:52");
    }

    #[test]
    fn the_ends_of_the_range_do_not_panic() {
        for end in [i64::MIN, i64::MAX] {
            let _ = Timestamp(end).to_string();
            let _ = Timestamp(end).utc_date();
            let _ = Timestamp(end).floor_to(60_000).plus_ms(i64::MIN).ceil_to(10_000);
        }
    }

    #[test]
    fn floor_and_ceiling_work_before_1970() {
        assert_eq!(Timestamp(-1).floor_to(60_000), Timestamp(-60_000));
        assert_eq!(Timestamp(-1).ceil_to(60_000), Timestamp(0));
        assert_eq!(Timestamp(60_000).ceil_to(60_000), Timestamp(60_000));
    }
}
