//! What a receiver's answer, or its silence, means for a message.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use crate::SendError;
use crate::address::Address;
use crate::client::Timeouts;
use crate::escape::visible_cut;

/// How much of an answer's body is read.
const BODY_BYTES_MAX: usize = 4096;

/// How much of it goes into the reason, in characters.
const BODY_SHOWN_MAX: usize = 200;

/// The longest wait that a receiver can ask for: an alarm that is later than this is asked about again.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// `Ok` from 200 to 299; anything else is worth another attempt, see [`SendError::Again`]. The status stands beside it.
pub(crate) async fn judge(address: &Address, mut response: Response) -> Result<(), (u16, SendError)> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let after = retry_after(response.headers());
    let said = match body_start(&mut response).await {
        _ if status.is_redirection() => "; redirects are not followed, set the new address".to_owned(),
        body if body.trim().is_empty() => String::new(),
        body if address.is_repeated_in(&body) => "; its text repeats the address and is left out".to_owned(),
        body => format!(": {}", visible_cut(body.trim(), BODY_SHOWN_MAX)),
    };
    let reason = format!("{address} answered {}{said}", status_name(status));
    Err((status.as_u16(), SendError::Again { reason, after }))
}

/// There was no answer.
pub(crate) fn lost(address: &Address, error: &reqwest::Error, timeouts: Timeouts) -> SendError {
    let reason = if error.is_timeout() && error.is_connect() {
        format!("{address}: no connection within {:?}", timeouts.connect)
    } else if error.is_timeout() {
        format!("{address}: no answer within {:?}", timeouts.request)
    } else {
        let cause = innermost_cause(error);
        let cause = if address.is_repeated_in(&cause) { "the connection failed".to_owned() } else { cause };
        format!("{address}: {}", visible_cut(&cause, BODY_SHOWN_MAX))
    };
    SendError::again(reason)
}

/// The outer errors only say that sending failed, and the outermost names the address.
fn innermost_cause(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.last().map_or_else(|| "the connection failed".to_owned(), ToString::to_string)
}

/// `503 Service Unavailable`, or `599`.
fn status_name(status: StatusCode) -> String {
    let name = status.canonical_reason().unwrap_or_default();
    format!("{} {name}", status.as_u16()).trim_end().to_owned()
}

/// The first [`BODY_BYTES_MAX`] bytes at most, or what came before the connection broke.
async fn body_start(response: &mut Response) -> String {
    let mut body = Vec::new();
    while body.len() < BODY_BYTES_MAX {
        let Ok(Some(chunk)) = response.chunk().await else { break };
        body.extend(chunk.iter().take(BODY_BYTES_MAX - body.len()));
    }
    String::from_utf8_lossy(&body).into_owned()
}

/// Seconds, or a date that is held against the receiver's own `Date`, so that no clock here matters.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let asked = text(RETRY_AFTER)?;
    if asked.is_empty() {
        return None;
    }
    let after_s = if asked.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a u64 holds mean "very long", as the largest does.
        asked.parse().unwrap_or(u64::MAX)
    } else {
        u64::try_from(http_date_s(asked)?.saturating_sub(http_date_s(text(DATE)?)?)).ok()?
    };
    Some(Duration::from_secs(after_s).min(RETRY_AFTER_MAX))
}

/// Seconds since 1970 of a date as HTTP writes it: `Sun, 22 Nov 2026 21:11:52 GMT`.
fn http_date_s(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn asked(retry_after_value: &'static str, date: Option<&'static str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(retry_after_value));
        headers.extend(date.map(|date| (DATE, HeaderValue::from_static(date))));
        retry_after(&headers)
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date() {
        let at = Some("Sun, 22 Nov 2026 21:11:52 GMT");
        assert_eq!(asked("30", None), Some(Duration::from_secs(30)));
        assert_eq!(asked("Sun, 22 Nov 2026 21:12:02 GMT", at), Some(Duration::from_secs(10)));
        assert_eq!(asked("Sun, 22 Nov 2026 21:12:02 GMT", None), None);
        assert_eq!(asked("Sun, 22 Nov 2026 21:11:00 GMT", at), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn nonsense_in_retry_after_neither_fails_nor_silences_an_alarm() {
        assert_eq!(asked("soon", None), None);
        assert_eq!(asked("-5", None), None);
        assert_eq!(asked("", None), None);
        assert_eq!(asked("999999999", None), Some(RETRY_AFTER_MAX));
        assert_eq!(asked("99999999999999999999999", None), Some(RETRY_AFTER_MAX));
    }
}
