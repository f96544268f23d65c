//! Addresses of electronic mail, in ASCII.

use std::ops::Range;

use super::{run, run_before};

/// Longest part before the `@`. Source: RFC 5321 §4.5.3.1.1.
const LOCAL_BYTES_MAX: usize = 64;

/// Finds `name@domain.tld`.
pub(crate) fn find(text: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut taken = 0;
    for at in memchr::memchr_iter(b'@', text) {
        let local = run_before(&text[taken..], at - taken, |byte| {
            byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte)
        });
        let domain = domain(text, at + 1);
        if (1..=LOCAL_BYTES_MAX).contains(&local) && domain > 0 {
            taken = at + 1 + domain;
            found(at - local..taken);
        }
    }
}

/// The length of the domain that begins here; 0 if none does.
fn domain(text: &[u8], start: usize) -> usize {
    let mut length = run(text, start, |byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-');
    // A full stop after an address is not part of it.
    while length > 0 && matches!(text[start + length - 1], b'.' | b'-') {
        length -= 1;
    }
    let labels: Vec<&[u8]> = text[start..start + length].split(|byte| *byte == b'.').collect();
    let top = labels.last().expect("split gives at least one piece");
    let is_domain = labels.len() >= 2
        && labels.iter().all(|label| !label.is_empty())
        && top.len() >= 2
        && top.iter().all(u8::is_ascii_alphabetic);
    if is_domain { length } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_and_what_looks_like_them_is_not() {
        for (text, expected) in [
            ("from=<jane@example.com>", &["jane@example.com"][..]),
            ("a.b+c_d%e-f@mail.sub-domain.example.org.", &["a.b+c_d%e-f@mail.sub-domain.example.org"]),
            ("a@b.de,c@d.de", &["a@b.de", "c@d.de"]),
            ("user@host", &[]),
            ("@decorator", &[]),
            ("x@1.2.3.4", &[]),
            ("a@b..de", &[]),
            ("@example.com", &[]),
        ] {
            let mut all = Vec::new();
            find(text.as_bytes(), |range| all.push(&text[range]));
            assert_eq!(all, expected, "{text}");
        }
    }
}
