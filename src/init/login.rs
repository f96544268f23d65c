//! Failed logins, as sshd and PAM tell of them, counted for each address.

use super::group::Group;
use super::rule::{Draft, Each, Threshold};

/// Failed logins in a minute that are no typing mistakes: from one address, and from everywhere.
const FROM_ONE_MIN: usize = 5;
const FROM_ALL_MIN: usize = 10;

/// How a failed login is told.
struct Telling {
    /// Stands in such lines.
    text: &'static str,
    /// What follows the time, host and program of such a line, field by field.
    fields: &'static str,
    /// The field that says from where.
    from: &'static str,
    /// The rest of a made-up line.
    example: &'static str,
}

/// sshd's own line first: a login that fails there may be told by both.
const TELLINGS: [Telling; 2] = [
    Telling {
        text: "Failed password",
        fields: "failed=Failed, password=password, ..., from=from, ip, port_word=port, port, protocol",
        from: "ip",
        example: "sshd[7]: Failed password for root from 10.0.0.1 port 9 ssh2",
    },
    Telling {
        text: "authentication failure",
        fields: "authentication=authentication, failure=\"failure;\", logname, uid, euid, tty, ruser, rhost=\"rhost=*\", ...",
        from: "rhost",
        example: "sshd(pam_unix)[7]: authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=10.0.0.1",
    },
];

/// Time, host and program of a syslog line, as fields and as an example: the old form and the new one.
const HEADS: [(&str, &str); 2] = [
    ("month, day, time, host, program", "Nov 22 21:11:52 host"),
    ("time, host, program", "2026-11-22T21:11:52Z host"),
];

/// The rule on failed logins, if such lines are there or could come.
pub(super) fn rule(group: &Group) -> Option<Draft> {
    let has = |text: &str| group.lines().any(|line| line.contains(text));
    let seen = TELLINGS.iter().find(|telling| has(telling.text));
    let telling = seen.or_else(|| has("sshd[").then_some(&TELLINGS[0]))?;
    let is_new = |line: &str| line.starts_with(|c: char| c.is_ascii_digit());
    let (fields, start) = HEADS[usize::from(group.lines().next().is_some_and(is_new))];
    let by_address = Draft {
        name: "failed-logins",
        pattern: format!("[{fields}, {}]", telling.fields),
        example: format!("{start} {}", telling.example),
        description: "One address tries passwords.",
        severity: "error",
        threshold: Threshold::Fixed(FROM_ONE_MIN),
        each: Some(Each { dimension: telling.from, metric: "FailedLogins" }),
    };
    if by_address.finds_most_of(telling.text, group) {
        return Some(by_address);
    }
    Some(Draft {
        pattern: format!("\"{}\"", telling.text),
        description: "Somebody tries passwords.",
        threshold: Threshold::Fixed(FROM_ALL_MIN),
        each: None,
        ..by_address
    })
}
