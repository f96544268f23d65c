//! The shop's clock, and how its three logs write the time.

use std::time::{Instant, SystemTime};

use jiff::Timestamp;

/// The time now.
pub(crate) fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "an application of its own: its logs carry the real time")]
    let now = SystemTime::now();
    Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Where a measurement of a request starts.
pub(crate) fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an application of its own: it times its requests")]
    Instant::now()
}

/// As access logs have it: `22/Nov/2026:21:11:52 +0000`.
pub(crate) fn access_style(at: Timestamp) -> String {
    at.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
}

/// As syslog has it: `Nov 22 21:11:52`.
pub(crate) fn syslog_style(at: Timestamp) -> String {
    at.strftime("%b %e %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_log_has_its_own_way_to_write_the_time() {
        let at: Timestamp = "2026-11-02T21:11:52.125Z".parse().unwrap();
        assert_eq!(access_style(at), "02/Nov/2026:21:11:52 +0000");
        assert_eq!(syslog_style(at), "Nov  2 21:11:52");
    }
}
