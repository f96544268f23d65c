//! How the values of a period become one datapoint.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How the values of a period become one datapoint. Prints and serialises as CloudWatch spells it: `Sum`, `p99.9`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Statistic {
    /// How many values.
    SampleCount,
    /// Their sum.
    Sum,
    /// Sum ÷ count.
    Average,
    /// The least.
    Minimum,
    /// The greatest.
    Maximum,
    /// The value that a share of them does not exceed.
    Percentile(Percentile),
}

/// What is no statistic that Watchbell has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a statistic: SampleCount, Sum, Average, Minimum, Maximum, or p0 to p100 such as p99.9")]
pub struct StatisticError(pub String);

impl Statistic {
    /// Every statistic that has one name, in CloudWatch's order.
    pub const NAMED: [Statistic; 5] =
        [Statistic::SampleCount, Statistic::Sum, Statistic::Average, Statistic::Minimum, Statistic::Maximum];

    /// The percentile that it is, if it is one.
    pub fn percentile(self) -> Option<Percentile> {
        match self {
            Statistic::Percentile(percentile) => Some(percentile),
            _ => None,
        }
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Statistic::SampleCount => f.pad("SampleCount"),
            Statistic::Sum => f.pad("Sum"),
            Statistic::Average => f.pad("Average"),
            Statistic::Minimum => f.pad("Minimum"),
            Statistic::Maximum => f.pad("Maximum"),
            Statistic::Percentile(percentile) => percentile.fmt(f),
        }
    }
}

impl FromStr for Statistic {
    type Err = StatisticError;

    fn from_str(text: &str) -> Result<Statistic, StatisticError> {
        let named = Statistic::NAMED.into_iter().find(|statistic| statistic.to_string() == text);
        let percentile = || text.strip_prefix('p').and_then(Percentile::read).map(Statistic::Percentile);
        named.or_else(percentile).ok_or_else(|| StatisticError(text.to_owned()))
    }
}

impl TryFrom<String> for Statistic {
    type Error = StatisticError;

    fn try_from(text: String) -> Result<Statistic, StatisticError> {
        text.parse()
    }
}

impl From<Statistic> for String {
    fn from(statistic: Statistic) -> String {
        statistic.to_string()
    }
}

/// A percentile from p0 to p100 with up to ten decimals, kept exactly.
///
/// Source: CloudWatch API Reference, `PutMetricAlarm`, `ExtendedStatistic`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percentile(u64);

impl Percentile {
    /// Decimals that a percentile may have.
    pub const DECIMALS_MAX: usize = 10;
    /// p100 in the unit that is kept: 10^-10 of a percent.
    const WHOLE: u64 = 1_000_000_000_000;

    /// Reads `99.9`.
    fn read(text: &str) -> Option<Percentile> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(decimals) || whole.len() > 3 || decimals.len() > Self::DECIMALS_MAX
        {
            return None;
        }
        let scaled = format!("{whole}{decimals:0<width$}", width = Self::DECIMALS_MAX).parse().ok()?;
        (scaled <= Self::WHOLE).then_some(Percentile(scaled))
    }

    /// The nearest rank among `count` sorted values, from 1; 0 only if there are none.
    ///
    /// CloudWatch does not publish its method; nearest rank always gives a value that occurred.
    pub fn rank(self, count: u64) -> u64 {
        let rank = (u128::from(self.0) * u128::from(count)).div_ceil(u128::from(Self::WHOLE));
        u64::try_from(rank).expect("at most the count").max(1).min(count)
    }

    /// Whether `count` values are enough to say something: 10 ÷ (1 − p) for p ≥ 0.5, 10 ÷ p below.
    ///
    /// Source: Amazon CloudWatch User Guide, "Percentile-based CloudWatch alarms and low data samples".
    pub fn is_significant(self, count: u64) -> bool {
        let tail = self.0.min(Self::WHOLE - self.0);
        u128::from(count) * u128::from(tail) >= 10 * u128::from(Self::WHOLE)
    }

    /// As a share, from 0 to 1.
    pub fn share(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "both are far below 2^53")]
        let share = self.0 as f64 / Self::WHOLE as f64;
        share
    }
}

impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = Self::WHOLE / 100;
        let (whole, decimals) = (self.0 / percent, self.0 % percent);
        let decimals = format!("{decimals:0width$}", width = Self::DECIMALS_MAX);
        match decimals.trim_end_matches('0') {
            "" => f.pad(&format!("p{whole}")),
            decimals => f.pad(&format!("p{whole}.{decimals}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percentile(text: &str) -> Percentile {
        text.parse::<Statistic>().unwrap().percentile().unwrap()
    }

    #[test]
    fn statistics_read_back_as_they_print() {
        for text in [
            "SampleCount",
            "Sum",
            "Average",
            "Minimum",
            "Maximum",
            "p0",
            "p50",
            "p99.9",
            "p100",
            "p0.0000000001",
        ] {
            assert_eq!(text.parse::<Statistic>().unwrap().to_string(), text);
        }
        assert_eq!("p099.90".parse::<Statistic>().unwrap().to_string(), "p99.9");
        for text in ["", "sum", "p", "p-1", "p100.1", "p1e1", "p1.", "p.5", "p0.00000000001", "p1000", "tm90"]
        {
            assert!(text.parse::<Statistic>().is_err(), "{text}");
        }
    }

    #[test]
    fn ranks_are_exact() {
        assert_eq!(percentile("p99.9").rank(1000), 999);
        assert_eq!(percentile("p90").rank(10), 9);
        assert_eq!(percentile("p90").rank(11), 10);
        assert_eq!(percentile("p50").rank(1), 1);
        assert_eq!(percentile("p0").rank(7), 1);
        assert_eq!(percentile("p100").rank(7), 7);
        assert_eq!(percentile("p100").rank(0), 0);
    }

    #[test]
    fn significance_has_the_recorded_boundary() {
        assert!(percentile("p90").is_significant(100) && !percentile("p90").is_significant(99));
        assert!(percentile("p10").is_significant(100) && !percentile("p10").is_significant(99));
        assert!(percentile("p50").is_significant(20) && !percentile("p50").is_significant(19));
        assert!(!percentile("p100").is_significant(u64::MAX), "no number of samples makes p100 significant");
    }
}
