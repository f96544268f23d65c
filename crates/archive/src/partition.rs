//! A partition: which folder an event belongs to.

use std::fmt::Write;

use watchbell_model::{Severity, Timestamp};

/// Midnight at which the year 1 begins: earlier dates have no four digits, which readers take for dates.
const FIRST_DATE: Timestamp = Timestamp(-62_135_596_800_000);

/// Midnight of 9999-12-30, the last day that is whole in every zone, and so the last that the date library has.
const LAST_DATE: Timestamp = Timestamp(253_402_128_000_000);

/// Longest app name in a path, in bytes, escapes included: file systems end names at 255.
const APP_BYTES_MAX: usize = 200;

/// Hive's word for "no value".
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// What all events of an object share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Partition {
    /// UTC date, `2026-11-22`, of the [`clamped`] time.
    pub(crate) date: String,
    /// The app as it is.
    pub(crate) app: String,
    /// The severity.
    pub(crate) severity: Severity,
}

impl Partition {
    /// `date=2026-11-22/app=shop/severity=error`.
    pub(crate) fn path(&self) -> String {
        format!("date={}/app={}/severity={}", self.date, escape(&self.app), self.severity)
    }
}

/// The nearest time that has a date of four digits.
pub(crate) fn clamped(timestamp: Timestamp) -> Timestamp {
    timestamp.clamp(FIRST_DATE, LAST_DATE)
}

/// The app as one part of a path.
pub(crate) fn escape(app: &str) -> String {
    if app.is_empty() {
        return NO_VALUE.to_owned();
    }
    let mut out = String::with_capacity(app.len());
    for (at, byte) in app.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || byte == b'-' || (byte == b'_' && app != NO_VALUE);
        match byte {
            b'.' if at > 0 => out.push('.'),
            _ if plain => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02X}").expect("a String takes everything"),
        }
    }
    if out.len() > APP_BYTES_MAX { shorten(&out, app) } else { out }
}

/// The beginning and a hash of the whole: two long names must not share a folder.
fn shorten(escaped: &str, app: &str) -> String {
    let mut kept = &escaped[..APP_BYTES_MAX];
    if let Some(escape) = kept.rfind('%').filter(|at| at + 3 > kept.len()) {
        kept = &kept[..escape];
    }
    format!("{kept}~{:016x}", fnv_1a(app.as_bytes()))
}

/// FNV-1a, 64 bits: a part of the format, and too short to take from elsewhere.
fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The severity of this name.
pub(crate) fn severity_of(name: &str) -> Option<Severity> {
    use Severity::{Critical, Debug, Error, Info, Trace, Unknown, Warn};
    [Unknown, Trace, Debug, Info, Warn, Error, Critical]
        .into_iter()
        .find(|severity| severity.as_str() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_names_cannot_leave_their_folder() {
        for (app, escaped) in [
            ("shop", "shop"),
            ("Shop-2_a.b", "Shop-2_a.b"),
            ("", "__HIVE_DEFAULT_PARTITION__"),
            ("__HIVE_DEFAULT_PARTITION__", "%5F%5FHIVE%5FDEFAULT%5FPARTITION%5F%5F"),
            (".", "%2E"),
            ("..", "%2E."),
            ("../../etc", "%2E.%2F..%2Fetc"),
            ("a=b", "a%3Db"),
            ("a%2Fb", "a%252Fb"),
            ("a b\0#*?~", "a%20b%00%23%2A%3F%7E"),
            ("käse", "k%C3%A4se"),
        ] {
            assert_eq!(escape(app), escaped, "{app}");
        }
    }

    #[test]
    fn long_app_names_are_cut_and_stay_apart() {
        let (a, b) = (format!("{}a", "ä".repeat(300)), format!("{}b", "ä".repeat(300)));
        let (a, b) = (escape(&a), escape(&b));
        assert_ne!(a, b);
        assert!(a.len() <= APP_BYTES_MAX + 17, "{a}");
        let (kept, hash) = a.split_once('~').unwrap();
        assert_eq!((kept.len() % 3, hash.len()), (0, 16));
        assert_eq!(escape(&"x".repeat(200)), "x".repeat(200));
        assert_eq!(fnv_1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn every_time_has_a_date_of_four_digits() {
        let date_of = |timestamp| clamped(timestamp).utc_date();
        assert_eq!(date_of(Timestamp(1_795_381_912_125)), "2026-11-22");
        assert_eq!(date_of(Timestamp(-1)), "1969-12-31");
        assert_eq!(date_of(Timestamp(i64::MIN)), "0001-01-01");
        assert_eq!(date_of(Timestamp(i64::MAX)), "9999-12-30");
    }
}
