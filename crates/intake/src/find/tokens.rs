//! Credentials that show what they are: bearer and basic tokens, JSON web tokens, keys of AWS, passwords in addresses.

use std::ops::Range;

use aho_corasick::{AhoCorasick, Match, packed};

use super::run;

/// What every one of them has in it.
const LITERALS: [&str; 10] = [
    "earer ",
    "EARER ",
    "uthorization: Basic ",
    "eyJ",
    "AKIA",
    "ASIA",
    "://",
    "aws_secret_access_key",
    "AWS_SECRET_ACCESS_KEY",
    "ecretAccessKey",
];

/// Shortest token after `Bearer` or `Basic`, in bytes.
const BEARER_BYTES_MIN: usize = 8;

/// Shortest header of a JSON web token, in bytes.
const HEADER_BYTES_MIN: usize = 10;

/// Finds where one of them may stand.
pub(crate) enum Literals {
    /// With the vector instructions of the processor.
    Packed(packed::Searcher),
    /// On a processor without them.
    Plain(AhoCorasick),
}

impl Literals {
    pub(crate) fn new() -> Literals {
        match packed::Searcher::new(LITERALS) {
            Some(packed) => Literals::Packed(packed),
            None => Literals::Plain(AhoCorasick::new(LITERALS).expect("ten short texts")),
        }
    }

    fn each(&self, text: &[u8], see: impl FnMut(Match)) {
        match self {
            Literals::Packed(packed) => packed.find_iter(text).for_each(see),
            Literals::Plain(plain) => plain.find_iter(text).for_each(see),
        }
    }
}

/// Finds them; of those with a name before them, only the value.
pub(crate) fn find(literals: &Literals, text: &[u8], mut found: impl FnMut(Range<usize>)) {
    // Where the run of characters of web tokens ends that was looked at last: a run may hold many beginnings.
    let mut token_end = 0;
    literals.each(text, |hit| {
        let range = match hit.pattern().as_usize() {
            0..=2 => bearer(text, hit.end()),
            3 => json_web_token(text, hit.start(), &mut token_end),
            4 | 5 => access_key(text, hit.start()),
            6 => password(text, hit.end()),
            _ => secret_key(text, hit.end()),
        };
        if let Some(range) = range {
            found(range);
        }
    });
}

/// Source: RFC 6750 §2.1, `b64token`.
fn bearer(text: &[u8], start: usize) -> Option<Range<usize>> {
    let length = run(text, start, |byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte));
    (length >= BEARER_BYTES_MIN).then(|| start..start + length)
}

/// At least header, payload and a dot. Source: RFC 7519 §3, RFC 7516 §3.
fn json_web_token(text: &[u8], start: usize, run_end: &mut usize) -> Option<Range<usize>> {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if start > 0 && part(text[start - 1]) {
        return None;
    }
    if start >= *run_end {
        *run_end = start + run(text, start, |byte| part(byte) || byte == b'.');
    }
    let token = &text[start..*run_end];
    let mut dots = memchr::memchr_iter(b'.', token);
    let (header, _) = (dots.next()?, dots.next()?);
    if header < HEADER_BYTES_MIN {
        return None;
    }
    let has_signature = dots.next().is_some();
    // A full stop after one with a signature is not part of it.
    let stop = usize::from(has_signature && token.ends_with(b"."));
    Some(start..*run_end - stop)
}

/// Twenty capitals and digits. Source: IAM User Guide, "Unique identifiers".
fn access_key(text: &[u8], start: usize) -> Option<Range<usize>> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_inside = start > 0 && word(text[start - 1]);
    let length = if is_inside { 0 } else { run(text, start, word) };
    let fits = length == 20
        && text[start..start + 20].iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    fits.then(|| start..start + 20)
}

/// What stands after the name: forty characters of base64.
fn secret_key(text: &[u8], name_end: usize) -> Option<Range<usize>> {
    let between = run(text, name_end, |byte| b"\\\"' \t:=".contains(&byte));
    let start = name_end + between;
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'/' || byte == b'+';
    let length = if between > 0 { run(text, start, is_base64) } else { 0 };
    (length == 40).then(|| start..start + 40)
}

/// The password of `scheme://user:password@host`. Source: RFC 3986 §3.2.1.
fn password(text: &[u8], start: usize) -> Option<Range<usize>> {
    let authority = run(text, start, |byte| byte > b' ' && !b"/?#\"'<>\\".contains(&byte));
    let authority = &text[start..start + authority];
    let end = memchr::memrchr(b'@', authority)?;
    let colon = memchr::memchr(b':', &authority[..end])?;
    (colon + 1 < end).then(|| start + colon + 1..start + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found, with and without the processor's vector instructions.
    fn all(text: &str) -> Vec<&str> {
        let plain = Literals::Plain(AhoCorasick::new(LITERALS).unwrap());
        let [all, plain] = [Literals::new(), plain].map(|literals| {
            let mut all = Vec::new();
            find(&literals, text.as_bytes(), |range| all.push(&text[range]));
            all
        });
        assert_eq!(all, plain, "{text}");
        all
    }

    #[test]
    fn each_kind_is_found() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r";
        for (text, expected) in [
            ("Authorization: Bearer abcdef123456", "abcdef123456"),
            ("authorization=bearer abcdef123456 x", "abcdef123456"),
            ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
            (&format!("token={jwt}."), jwt),
            (&format!("Bearer {jwt}"), jwt),
            ("key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE"),
            (
                "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            ),
            (
                "{\"SecretAccessKey\":\"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\"}",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            ),
            ("postgres://shop:s3cr3t@db:5432/shop", "s3cr3t"),
            ("https://user:p%40ss@host.example.com/x", "p%40ss"),
        ] {
            assert!(all(text).contains(&expected), "{text}: {:?}", all(text));
        }
    }

    #[test]
    fn a_text_of_nothing_but_beginnings_is_no_work() {
        // Each would be a look at the whole rest, or at all before it: hours.
        for beginning in ["eyJ", "eyJ.", "AKIA", "ecretAccessKey", "earer ", "://", "://a:b", "eyJaaaaaaa."] {
            assert!(all(&beginning.repeat((1 << 20) / beginning.len())).len() < 1 << 20);
        }
    }

    #[test]
    fn what_only_looks_like_one_is_left_alone() {
        for text in [
            "the bearer of bad news",
            "https://host:8080/path@x",
            "http://user@host/",
            "eyJust a word",
            "AKIASHORT",
            "xAKIAIOSFODNN7EXAMPLE",
            "keyJhbGciOiJIUzI1NiJ9.a.b",
            "postgres://shop:@db",
        ] {
            assert!(all(text).is_empty(), "{text}: {:?}", all(text));
        }
    }
}
