//! How a body is compressed, and what it says.
//!
//! Promise: no more than the allowed bytes come out, however few went in; a body that is cut off or damaged is refused.

use std::io::Read;

use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, HeaderValue, StatusCode};

use crate::answer::Refusal;

/// Largest window that a zstd body may ask for, as a power of two: 8 MiB, what every decoder must offer (RFC 8878).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// What `Content-Encoding` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

impl Encoding {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Encoding, Refusal> {
        let mut given = headers.get_all(CONTENT_ENCODING).iter();
        let encoding = match given.next().map(|value| value.as_bytes().to_ascii_lowercase()) {
            None => Some(Encoding::Identity),
            Some(name) => match name.as_slice() {
                b"identity" => Some(Encoding::Identity),
                b"gzip" | b"x-gzip" => Some(Encoding::Gzip),
                b"zstd" => Some(Encoding::Zstd),
                _ => None,
            },
        };
        encoding.filter(|_| given.next().is_none()).ok_or_else(|| {
            let shown: Vec<_> = headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes).collect();
            Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_encoding",
                format!(
                    "bodies with Content-Encoding {:?} are not accepted",
                    String::from_utf8_lossy(&shown.join(&b", "[..]))
                ),
                "compress the body once, with zstd or gzip, or not at all: Content-Encoding identity, or none",
            )
        })
    }

    /// How many bytes will come out of `body`, if it says so.
    pub(crate) fn announced(self, body: &[u8]) -> Option<u64> {
        match self {
            Encoding::Identity => Some(body.len() as u64),
            Encoding::Gzip => None,
            Encoding::Zstd => zstd::zstd_safe::get_frame_content_size(body).ok().flatten(),
        }
    }

    /// The body as it was before it was compressed; `too_large` refuses more than `bytes_max`.
    pub(crate) fn decode(
        self,
        body: Vec<u8>,
        bytes_max: usize,
        too_large: impl Fn() -> Refusal,
    ) -> Result<Vec<u8>, Refusal> {
        let decoded = match self {
            Encoding::Identity => Ok(body),
            Encoding::Gzip => read(flate2::read::MultiGzDecoder::new(body.as_slice()), bytes_max),
            Encoding::Zstd => zstd::Decoder::with_buffer(body.as_slice()).and_then(|mut decoder| {
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                read(decoder, bytes_max)
            }),
        };
        let decoded = decoded.map_err(|error| {
            let message = format!("the body is not what its Content-Encoding says: {error}");
            Refusal::bad_request("bad_encoding", message, "nothing was stored; send it whole")
        })?;
        if decoded.len() > bytes_max { Err(too_large()) } else { Ok(decoded) }
    }
}

/// One byte more than `bytes_max` tells that there is more.
fn read(decoder: impl Read, bytes_max: usize) -> std::io::Result<Vec<u8>> {
    let mut decoded = Vec::new();
    decoder.take(bytes_max as u64 + 1).read_to_end(&mut decoded)?;
    Ok(decoded)
}
