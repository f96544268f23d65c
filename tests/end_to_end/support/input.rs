//! Generated log lines: like those of real programs, numbered, and the same every time.

use std::fmt::Write as _;

use serde_json::json;

/// Lines as sshd writes them, each with a number of its own; two of three are failed passwords.
pub(crate) fn sshd(numbers: std::ops::Range<usize>) -> Vec<String> {
    let line = |number: usize| {
        let (minute, second, host) = (number / 60 % 60, number % 60, number % 254 + 1);
        let head = format!("Dec 10 06:{minute:02}:{second:02} LabSZ sshd[{number}]:");
        match number % 3 {
            0 => format!("{head} Accepted password for fztu from 119.137.62.{host} port 49116 ssh2"),
            1 => format!("{head} Failed password for root from 183.62.140.{host} port 37999 ssh2"),
            _ => format!(
                "{head} Failed password for invalid user \u{17e}\u{e1}k from 5.36.59.{host} port 42393 ssh2"
            ),
        }
    };
    numbers.map(line).collect()
}

/// The bytes of a file with CRLF after every line but the last.
pub(crate) fn crlf_without_final_end(lines: &[String]) -> Vec<u8> {
    lines.join("\r\n").into_bytes()
}

/// Every line with LF.
pub(crate) fn lf(lines: &[String]) -> Vec<u8> {
    lines
        .iter()
        .fold(String::new(), |mut text, line| {
            writeln!(text, "{line}").unwrap();
            text
        })
        .into_bytes()
}

/// Cuts bytes into pieces of 1 to `bytes_max` bytes, wherever that falls; the same every time.
pub(crate) fn pieces(bytes: &[u8], bytes_max: usize) -> Vec<&[u8]> {
    let (mut rest, mut seed, mut pieces) = (bytes, 12_345_usize, Vec::new());
    while !rest.is_empty() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (piece, after) = rest.split_at(rest.len().min(1 + (seed >> 33) % bytes_max));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Access lines in the combined format; every tenth has a status of 500 or more. `time` is as in `22/Nov/2026:21:12:00 +0000`.
pub(crate) fn access(count: usize, time: &str) -> Vec<String> {
    let status =
        |number: usize| if number.is_multiple_of(10) { 500 + number % 4 } else { 200 + number % 2 * 104 };
    let line = |number: usize| {
        format!(
            "10.0.0.{} - - [{time}] \"GET /item/{number} HTTP/1.1\" {} {} \"-\" \"curl/8\"",
            number % 250,
            status(number),
            number * 7
        )
    };
    (0..count).map(line).collect()
}

/// Records as CloudTrail writes them; `errorCode` is missing, `AccessDenied…`, or `…UnauthorizedOperation` in turn.
pub(crate) fn cloudtrail(count: usize, time: &str) -> Vec<String> {
    let line = |number: usize| {
        let mut record = json!({
            "eventVersion": "1.08",
            "eventTime": time,
            "eventName": format!("Describe{number}"),
            "userIdentity": { "type": "IAMUser", "userName": "eve" },
        });
        match number % 4 {
            1 => record["errorCode"] = json!("AccessDeniedException"),
            2 => record["errorCode"] = json!("Client.UnauthorizedOperation"),
            3 => record["errorCode"] = json!("NoSuchBucket"),
            _ => {}
        }
        record.to_string()
    };
    (0..count).map(line).collect()
}
