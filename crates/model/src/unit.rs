//! Units of metrics.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of CloudWatch's standard units.
///
/// Source: CloudWatch API Reference, `MetricDatum`, `Unit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Unit(u8);

/// What is no standard unit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not one of CloudWatch's units")]
pub struct UnitError(pub String);

impl Unit {
    /// The unit of what has none.
    pub const NONE: Unit = Unit(0);
    /// Things that are counted.
    pub const COUNT: Unit = Unit(1);
    /// Bytes.
    pub const BYTES: Unit = Unit(2);
    /// Seconds.
    pub const SECONDS: Unit = Unit(3);

    /// Every unit, as CloudWatch spells it.
    pub const ALL: &[&str] = &[
        "None",
        "Count",
        "Bytes",
        "Seconds",
        "Microseconds",
        "Milliseconds",
        "Kilobytes",
        "Megabytes",
        "Gigabytes",
        "Terabytes",
        "Bits",
        "Kilobits",
        "Megabits",
        "Gigabits",
        "Terabits",
        "Percent",
        "Bytes/Second",
        "Kilobytes/Second",
        "Megabytes/Second",
        "Gigabytes/Second",
        "Terabytes/Second",
        "Bits/Second",
        "Kilobits/Second",
        "Megabits/Second",
        "Gigabits/Second",
        "Terabits/Second",
        "Count/Second",
    ];

    /// CloudWatch's name for it.
    pub fn as_str(self) -> &'static str {
        Unit::ALL[usize::from(self.0)]
    }
}

impl Default for Unit {
    fn default() -> Unit {
        Unit::NONE
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Unit {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Unit, UnitError> {
        let known = (0..).zip(Unit::ALL).find(|(_, unit)| **unit == text);
        known.map(|(index, _)| Unit(index)).ok_or_else(|| UnitError(text.to_owned()))
    }
}

impl TryFrom<String> for Unit {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Unit, UnitError> {
        text.parse()
    }
}

impl From<Unit> for String {
    fn from(unit: Unit) -> String {
        unit.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_read_back_as_they_print() {
        for text in Unit::ALL {
            assert_eq!(text.parse::<Unit>().unwrap().as_str(), *text);
        }
        assert_eq!(
            [Unit::NONE, Unit::COUNT, Unit::BYTES, Unit::SECONDS].map(Unit::as_str),
            ["None", "Count", "Bytes", "Seconds"]
        );
        assert!("seconds".parse::<Unit>().is_err());
    }
}
