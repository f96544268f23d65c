//! Names of log streams.

/// Longest name, in characters. Source: CloudWatch Logs API Reference, `CreateLogStream`.
const STREAM_CHARS_MAX: usize = 512;

/// What a sender calls itself, as the name of a log stream: without `:`, `*` and control characters, which no name has,
/// without a `/` in front, which only files have, and not longer than a name may be.
pub fn stream_name(sender: &str) -> String {
    let wrong = |c: char| c == ':' || c == '*' || c.is_control();
    let mut name: String =
        sender.chars().take(STREAM_CHARS_MAX).map(|c| if wrong(c) { '_' } else { c }).collect();
    if name.starts_with('/') {
        name.replace_range(..1, "_");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_streams_have_nothing_that_names_of_others_have() {
        for (host, stream) in [("web-1", "web-1"), ("::1", "__1"), ("/etc", "_etc"), ("a*\u{7}b", "a__b")] {
            assert_eq!(stream_name(host), stream);
        }
        assert_eq!(stream_name(&"\u{e9}".repeat(600)).chars().count(), 512);
    }
}
