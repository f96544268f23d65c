//! What goes back: errors as JSON with a way out.

use std::fmt;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::ingest::BODY_READ_TIMEOUT;
use crate::{Denied, DeniedReason, IngestError, QueueError};

/// When to come back to a server that has too much to do, in seconds.
const RETRY_OVERLOADED_S: u16 = 1;
/// When to come back to a server that restarts, in seconds: a restart takes at most this long.
const RETRY_STOPPING_S: u16 = 5;

/// When to come back to a full disk, in seconds: its owner is not that quick.
const RETRY_NO_SPACE_S: u16 = 30;

/// An error answer: `{"error":{"code":…,"message":…,"help":…}}`.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    hint: Hint,
    error: ErrorBody,
}

/// A header that tells a program what to do.
#[derive(Clone, Copy, Debug)]
enum Hint {
    None,
    /// Show a token.
    Authenticate,
    /// Come back after so many seconds.
    RetryAfter(u16),
}

impl Hint {
    fn header(self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Hint::None => None,
            Hint::Authenticate => Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Hint::RetryAfter(seconds) => Some((RETRY_AFTER, seconds.into())),
        }
    }
}

#[derive(Debug, Serialize)]
struct ErrorBody {
    code: &'static str,
    message: String,
    help: String,
}

impl Refusal {
    /// `code` is for programs and never changes; `message` says what is wrong, `help` what to do.
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Refusal {
        Refusal {
            status,
            hint: Hint::None,
            error: ErrorBody { code, message: message.into(), help: help.into() },
        }
    }

    pub(crate) fn bad_request(
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, code, message, help)
    }

    /// A body of more than `bytes_max`; `help` says what to do, as in the next two.
    pub(crate) fn body_too_large(bytes_max: usize, help: &str) -> Refusal {
        let message = format!("the body has more than {bytes_max} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message, help)
    }

    /// A body that took longer than [`BODY_READ_TIMEOUT`].
    pub(crate) fn body_too_slow(help: &str) -> Refusal {
        let message = format!("the body did not arrive within {} seconds", BODY_READ_TIMEOUT.as_secs());
        Refusal::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message, help)
    }

    /// A body that ended with `error`.
    pub(crate) fn broken_body(error: impl fmt::Display, help: &str) -> Refusal {
        Refusal::bad_request("broken_body", format!("the body broke off: {error}"), help)
    }

    pub(crate) fn overloaded(message: impl Into<String>) -> Refusal {
        Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            message,
            "nothing was stored; send the same request again after the seconds in Retry-After",
        )
        .retry_after(RETRY_OVERLOADED_S)
    }

    /// Its status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong and what to do, in one text.
    pub(crate) fn told(&self) -> String {
        format!("{}; {}", self.error.message, self.error.help)
    }

    /// The header that tells a program what to do.
    pub(crate) fn hint(&self) -> Option<(HeaderName, HeaderValue)> {
        self.hint.header()
    }

    fn retry_after(self, seconds: u16) -> Refusal {
        Refusal { hint: Hint::RetryAfter(seconds), ..self }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = json(self.status, &serde_json::json!({ "error": self.error }));
        response.headers_mut().extend(self.hint.header());
        response
    }
}

/// An answer with this value as its body.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let text = serde_json::to_string(body).expect("answers have only texts, numbers and text keys");
    (status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
}

impl From<&Denied> for Refusal {
    fn from(denied: &Denied) -> Refusal {
        match denied.reason {
            DeniedReason::NoToken => unauthorized(
                "no_token",
                "this server needs a token",
                "send one header \"Authorization: Bearer VALUE\" with the value of one of its [tokens.NAME]",
            ),
            DeniedReason::UnknownToken => unauthorized(
                "unknown_token",
                "no token has this value",
                "compare it with the secret that the value of [tokens.NAME] refers to",
            ),
            DeniedReason::NotAllowed => {
                let token = denied.token.as_deref().unwrap_or_default();
                let action = denied.action.map_or("this", watchbell_model::Action::as_str);
                Refusal::new(
                    StatusCode::FORBIDDEN,
                    "not_allowed",
                    format!("no role of token {token:?} allows {action} on {:?}", denied.resource),
                    "give the token a role with a statement that allows this action on this resource",
                )
            }
        }
    }
}

fn unauthorized(code: &'static str, message: &str, help: &str) -> Refusal {
    Refusal { hint: Hint::Authenticate, ..Refusal::new(StatusCode::UNAUTHORIZED, code, message, help) }
}

impl From<IngestError> for Refusal {
    fn from(error: IngestError) -> Refusal {
        let message = error.to_string();
        match error {
            IngestError::Overloaded => Refusal::overloaded(message),
            IngestError::NoSpace => Refusal::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "disk_full",
                message,
                "nothing was stored; send the same request again when the disk of data_dir has room",
            )
            .retry_after(RETRY_NO_SPACE_S),
            IngestError::JournalFull(_) => Refusal::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "journal_full",
                message,
                "nothing was stored; send the same request again when the oldest part of the journal could go",
            )
            .retry_after(RETRY_NO_SPACE_S),
            IngestError::Stopping => Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "stopping",
                message,
                "nothing was stored; send the same request again when it runs",
            )
            .retry_after(RETRY_STOPPING_S),
            IngestError::Refused(_) => Refusal::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "refused",
                message,
                "nothing was stored; sending the same again will not help",
            ),
            IngestError::Failed(_) => Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "not_stored",
                message,
                "the events may be stored or not: once the server is well, send them again with the same \
                 Idempotency-Key",
            ),
        }
    }
}

impl From<QueueError> for Refusal {
    fn from(error: QueueError) -> Refusal {
        let message = error.to_string();
        match error {
            QueueError::NoSuchQueue => Refusal::new(
                StatusCode::NOT_FOUND,
                "no_such_queue",
                message,
                "GET /queues tells which there are",
            ),
            QueueError::Refused { code, help, .. } => Refusal::new(StatusCode::CONFLICT, code, message, help),
            QueueError::OverLimit(_) => Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                "over_limit",
                message,
                "delete messages that are dealt with, then receive again",
            )
            .retry_after(RETRY_OVERLOADED_S),
            QueueError::Overloaded => Refusal::overloaded(message),
            QueueError::Stopping => Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "stopping",
                message,
                "send the same request again when it runs",
            )
            .retry_after(RETRY_STOPPING_S),
            QueueError::Failed(_) => Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "queue_failed",
                message,
                "it may have been done or not; the log of watchbell up says more",
            ),
        }
    }
}
