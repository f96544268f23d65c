//! The names of log streams: who ships, and what it was read from.

use std::fmt::Write as _;

/// Longest name of a log stream, in characters.
///
/// Source: CloudWatch Logs API Reference, `CreateLogStream`.
const NAME_CHARS_MAX: usize = 512;

/// What stands for characters that no name may have.
const INSTEAD: char = '_';

/// Digits that tell names apart whose source could not be written as it is.
const DIGEST_BYTES: usize = 8;

/// The log stream of what `host` reads from `source`, a path or the name of an input: `i-0abc/var/log/app.log`,
/// `web-1/sshd.service`. Different sources have different streams.
pub fn name(host: &str, source: &str) -> String {
    let slash = if source.starts_with('/') { "" } else { "/" };
    let whole = format!("{host}{slash}{source}");
    let is_ambiguous = source.starts_with('/') && !source[1..].contains('/');
    let fits = whole.chars().count() <= NAME_CHARS_MAX && !whole.contains(is_refused);
    if fits && !is_ambiguous {
        return whole;
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, source.as_bytes());
    let mut end = String::from("-");
    for byte in &digest.as_ref()[..DIGEST_BYTES] {
        write!(end, "{byte:02x}").expect("a text takes everything");
    }
    let kept = whole.chars().map(|c| if is_refused(c) { INSTEAD } else { c });
    kept.take(NAME_CHARS_MAX - end.len()).collect::<String>() + &end
}

fn is_refused(c: char) -> bool {
    matches!(c, ':' | '*') || c.is_control()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_fit_and_tell_sources_apart() {
        assert_eq!(name("i-0abc", "/var/log/app.log"), "i-0abc/var/log/app.log");
        assert_eq!(name("web-1", "sshd.service"), "web-1/sshd.service");
        let long = format!("/{}/a", "ä".repeat(600));
        let sources = ["/a/b:c", "/a/b*c", "/a/b_c", "/a", "a", &long, &format!("{long}b")];
        let names: BTreeSet<String> = sources.iter().map(|source| name("h", source)).collect();
        assert_eq!(names.len(), sources.len(), "{names:?}");
        for name in names {
            assert!(
                name.chars().count() <= 512 && !name.contains([':', '*']) && name.starts_with("h/"),
                "{name}"
            );
        }
    }
}
