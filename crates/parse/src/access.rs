//! The common and the combined access log: `ip identity user [time] "request" status size "referer" "user agent"`.
//!
//! Source: Apache HTTP Server documentation, "Log Files", Common and Combined Log Format; nginx `combined`.
//! What follows the last known column is left to the message.

use memchr::{memchr, memchr_iter, memchr2};
use watchbell_model::{Severity, Timestamp};

use crate::object::{Object, has_backslash_or_control, has_quote};
use crate::{Parsed, time};

/// The columns of one line, borrowed from it, as written there.
struct Columns<'a> {
    ip: &'a str,
    identity: &'a str,
    user: &'a str,
    time: &'a str,
    request: &'a str,
    status: &'a str,
    size: &'a str,
    referer: Option<&'a str>,
    user_agent: Option<&'a str>,
    /// No text has escapes in JSON: the line has no backslash, so none of the columns in quotes has a quote.
    plain: bool,
}

/// The first part in brackets that is a time.
pub(crate) fn timestamp(line: &str) -> Option<Timestamp> {
    find_time(line).map(|(_, timestamp)| timestamp)
}

/// Everything the line says; `None` if it is no access line.
pub(crate) fn parse(line: &str) -> Option<Parsed> {
    let columns = Columns::split(line)?;
    let severity = match columns.status.as_bytes()[0] {
        b'5' => Severity::Error,
        b'4' => Severity::Warn,
        _ => Severity::Info,
    };
    Some(Parsed { severity, fields: Some(columns.to_json(line.len())) })
}

/// Where the bracket of the time opens, and the time. Brackets around an address or a name before it hold no time.
fn find_time(line: &str) -> Option<(usize, Timestamp)> {
    memchr_iter(b'[', line.as_bytes()).find_map(|open| {
        let end = open + 1 + time::ACCESS_BYTES;
        let inner = line.as_bytes().get(open + 1..end)?;
        let closed = line.as_bytes().get(end) == Some(&b']');
        closed.then(|| time::access(inner)).flatten().map(|timestamp| (open, timestamp))
    })
}

impl<'a> Columns<'a> {
    fn split(line: &'a str) -> Option<Columns<'a>> {
        let (open, _) = find_time(line)?;
        let (time_start, time_end) = (open + 1, open + 1 + time::ACCESS_BYTES);
        let (ip, rest) = line[..open].strip_suffix(' ')?.split_once(' ')?;
        let (identity, user) = rest.split_once(' ')?;
        let (request, rest) = quoted(line[time_end + 1..].strip_prefix(' ')?)?;
        let (status, rest) = word(rest.strip_prefix(' ')?);
        let (size, rest) = word(rest.strip_prefix(' ')?);
        let (referer, rest) = next_quoted(rest)?;
        let (user_agent, _) = next_quoted(rest)?;
        let columns = Columns {
            ip,
            identity,
            user,
            time: &line[time_start..time_end],
            request,
            status,
            size,
            referer,
            user_agent,
            plain: !has_backslash_or_control(line) && !has_quote(&line[..open]),
        };
        columns.is_sound().then_some(columns)
    }

    fn is_sound(&self) -> bool {
        let is_status = self.status.len() == 3 && is_number(self.status) && !self.status.starts_with('0');
        let is_size = self.size == "-" || is_number(self.size);
        !self.ip.is_empty() && !self.identity.is_empty() && !self.user.is_empty() && is_status && is_size
    }

    fn to_json(&self, line_bytes: usize) -> String {
        let mut object = Object::with_capacity(line_bytes + 128);
        // `-` stands for nothing.
        let put = |object: &mut Object, key: &str, text: &str| match text {
            "-" => object.null(key),
            _ if self.plain => object.plain_text(key, text),
            _ => object.text(key, text),
        };
        put(&mut object, "ip", self.ip);
        put(&mut object, "identity", self.identity);
        put(&mut object, "user", self.user);
        put(&mut object, "time", self.time);
        match three_words(self.request) {
            Some([method, path, protocol]) => {
                put(&mut object, "method", method);
                put(&mut object, "path", path);
                put(&mut object, "protocol", protocol);
            }
            None => put(&mut object, "request", self.request),
        }
        number_or_null(&mut object, "status", self.status);
        number_or_null(&mut object, "size", self.size);
        for (key, text) in [("referer", self.referer), ("user_agent", self.user_agent)] {
            if let Some(text) = text {
                put(&mut object, key, text);
            }
        }
        object.finish()
    }
}

/// The quoted column that comes next, if one does, and what follows it; `None` if its quote stays open.
fn next_quoted(rest: &str) -> Option<(Option<&str>, &str)> {
    let Some(inner) = rest.strip_prefix(" \"") else { return Some((None, rest)) };
    let (text, rest) = until_quote(inner)?;
    Some((Some(text), rest))
}

/// What stands in quotes at the start of `text`, and what follows them.
fn quoted(text: &str) -> Option<(&str, &str)> {
    until_quote(text.strip_prefix('"')?)
}

/// Splits at the first quote without a backslash before it; the quote is dropped.
fn until_quote(text: &str) -> Option<(&str, &str)> {
    let mut from = 0;
    loop {
        let at = from + memchr2(b'"', b'\\', text.as_bytes().get(from..)?)?;
        if text.as_bytes()[at] == b'"' {
            return Some((&text[..at], &text[at + 1..]));
        }
        from = at + 2;
    }
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(memchr(b' ', text.as_bytes()).unwrap_or(text.len()))
}

/// Method, path and protocol, if the request is exactly that.
fn three_words(request: &str) -> Option<[&str; 3]> {
    let (method, rest) = word(request);
    let (path, protocol) = word(rest.strip_prefix(' ')?);
    let protocol = protocol.strip_prefix(' ')?;
    let whole = !method.is_empty() && !path.is_empty() && !protocol.is_empty() && !protocol.contains(' ');
    whole.then_some([method, path, protocol])
}

fn is_number(text: &str) -> bool {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits && (text.len() == 1 || !text.starts_with('0'))
}

/// Digits, checked by [`is_number`], or `-`.
fn number_or_null(object: &mut Object, key: &str, number: &str) {
    if number == "-" { object.null(key) } else { object.number(key, number) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use watchbell_model::ParseKind;

    use super::*;

    const HEAD: &str = "1.2.3.4 - ann [17/May/2015:10:05:03 +0000]";

    fn fields(line: &str) -> Option<String> {
        let fields = parse(line)?.fields?;
        serde_json::from_str::<serde_json::Map<_, _>>(&fields).expect("fields are a JSON object");
        Some(fields)
    }

    #[test]
    fn a_combined_line_has_all_fields() {
        let line =
            format!(r#"{HEAD} "GET /a?b=%20 HTTP/1.1" 503 12 "http://x/" "Mozilla/5.0 (X; \"y\")" 0.004"#);
        assert_eq!(
            fields(&line).unwrap(),
            r#"{"ip":"1.2.3.4","identity":null,"user":"ann","time":"17/May/2015:10:05:03 +0000","method":"GET","path":"/a?b=%20","protocol":"HTTP/1.1","status":503,"size":12,"referer":"http://x/","user_agent":"Mozilla/5.0 (X; \\\"y\\\")"}"#
        );
        assert_eq!(parse(&line).unwrap().severity, Severity::Error);
    }

    #[test]
    fn a_common_line_has_no_referer_and_user_agent() {
        let found = fields(&format!(r#"{HEAD} "HEAD / HTTP/1.0" 304 -"#)).unwrap();
        assert!(found.ends_with(r#""protocol":"HTTP/1.0","status":304,"size":null}"#), "{found}");
    }

    #[test]
    fn an_odd_request_is_kept_whole() {
        for request in ["-", "", "GET /a b HTTP/1.1", r"\x16\x03\x01", "GET  /", r#"GET /\" x"#] {
            let found = fields(&format!(r#"{HEAD} "{request}" 400 0 "-" "-""#)).unwrap();
            let found: serde_json::Value = serde_json::from_str(&found).unwrap();
            let kept = if request == "-" { serde_json::Value::Null } else { request.into() };
            let expected = if request == r#"GET /\" x"# { None } else { Some(&kept) };
            assert_eq!(found.get("request"), expected, "{request}");
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        let found = fields(&format!("{HEAD} \"GET /\u{1f}\t\u{7f}é HTTP/1.1\" 200 1")).unwrap();
        assert!(found.contains("\"path\":\"/\\u001f\\t\u{7f}é\""), "{found}");
    }

    #[test]
    fn severity_follows_the_status() {
        let of =
            |status| parse(&format!("{HEAD} \"GET / HTTP/1.1\" {status} 1")).map(|parsed| parsed.severity);
        assert_eq!(of("500"), Some(Severity::Error));
        assert_eq!(of("404"), Some(Severity::Warn));
        assert_eq!(of("200"), Some(Severity::Info));
        assert_eq!(of("101"), Some(Severity::Info));
        for odd in ["50", "5000", "-", "5xx", "000", "+50"] {
            assert_eq!(of(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_line_with_an_open_quote_keeps_its_time_and_no_fields() {
        for line in [
            format!("{HEAD} \"GET / HTTP/1.1 500 1"),
            format!("{HEAD} \"GET / HTTP/1.1\" 500 1 \"http://x"),
            format!("{HEAD} \"GET / HTTP/1.1\" 500 1 \"-\" \"Mozilla"),
            format!("{HEAD} \"GET / HTTP/1.1\" 500 1 \"-\" \"Mozilla\\\""),
            format!("{HEAD} \"GET /\\"),
        ] {
            let found = crate::parse(ParseKind::Combined, &line);
            assert_eq!(found, Parsed { severity: Severity::Unknown, fields: None }, "{line}");
            assert_eq!(timestamp(&line), Some(Timestamp(1_431_857_103_000)), "{line}");
        }
    }

    #[test]
    fn brackets_and_spaces_before_the_time_do_no_harm() {
        let found =
            fields(r#"[::1] - ann [x] lee [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1"#).unwrap();
        assert!(found.starts_with(r#"{"ip":"[::1]","identity":null,"user":"ann [x] lee","time""#), "{found}");
    }

    #[test]
    fn a_line_that_is_no_access_line_is_read_as_plain() {
        let line = "ERROR [17/May/2015:10:05:03 +0000] no access line";
        let found = crate::parse(ParseKind::Combined, line);
        assert_eq!((found.severity, found.fields), (Severity::Error, None));
        assert_eq!(timestamp(line), Some(Timestamp(1_431_857_103_000)));
        assert_eq!(timestamp("[::1"), None);
    }

    proptest! {
        #[test]
        fn any_text_has_an_answer(head in "[0-9a-z\\[\\]\"\t -]{0,20}", tail in "[0-9A-Z/\"\\\\ é-]{0,60}", cut in 0..200_usize) {
            let line = format!("{head} - - [17/May/2015:10:05:03 +0000] \"GET /{tail}");
            let line = &line[..line.floor_char_boundary(cut)];
            let parsed = crate::parse(ParseKind::Combined, line);
            if let Some(fields) = parsed.fields {
                prop_assert!(timestamp(line).is_some());
                prop_assert!(serde_json::from_str::<serde_json::Map<_, _>>(&fields).is_ok());
            }
        }
    }
}
