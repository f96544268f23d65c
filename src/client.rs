//! An HTTP client that talks to another Watchbell: over TLS, or plain on this machine.
//!
//! Promise: one attempt a call; no redirects and no proxy: what is sent goes to the named host or nowhere. What went
//! wrong is said in words, with the way out.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, Method, header};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, InvalidMessage, RootCertStore};

/// How long a connection may take to be made, name lookup and TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest answer that is read, in bytes.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file with the authority cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It holds no certificate.
    #[error("{path}: no certificate in PEM is in this file")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The parts do not fit together.
    #[error("no HTTP client: {0}")]
    Parts(String),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NoAnswer {
    /// What happened.
    pub reason: String,
    /// What to do, where the reason does not say it.
    pub help: Option<&'static str>,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// After how many seconds it may be asked again, if it says so.
    pub retry_after_s: Option<u64>,
    /// Its body.
    pub body: Vec<u8>,
}

/// What is sent.
pub struct Call {
    /// `GET` or `POST`.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// Beside those that every call has.
    pub headers: HeaderMap,
    /// Empty for `GET`.
    pub body: Vec<u8>,
    /// How long the answer may take, the connection included.
    pub timeout: Duration,
}

/// The client. Clones share connections.
#[derive(Clone, Debug)]
pub struct Client(reqwest::Client);

impl Client {
    /// Trusts those whom the authorities in the file `ca` have signed, or without it those of this machine.
    ///
    /// # Errors
    /// [`ClientError`] if the file cannot be used.
    pub fn new(ca: Option<&Path>) -> Result<Client, ClientError> {
        let roots = if let Some(path) = ca {
            authorities(path)?
        } else {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        };
        let parts = |error: &dyn Error| ClientError::Parts(error.to_string());
        let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| parts(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("watchbell/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .build();
        client.map(Client).map_err(|error| parts(&error))
    }

    /// What it is made of, for libraries that bring their own calls.
    #[cfg(feature = "aws")]
    pub(crate) fn into_inner(self) -> reqwest::Client {
        self.0
    }

    /// Calls once.
    ///
    /// # Errors
    /// [`NoAnswer`] if nothing came back: what was sent may have arrived or not.
    pub async fn call(&self, call: Call) -> Result<Answer, NoAnswer> {
        let Call { method, url, headers, body, timeout } = call;
        let request = self.0.request(method, url).headers(headers).timeout(timeout).body(body);
        let mut response = request.send().await.map_err(|error| no_answer(&error))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after_s = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| no_answer(&error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let reason = format!("the answer has more than {ANSWER_BYTES_MAX} bytes");
                return Err(NoAnswer { reason, help: None });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, retry_after_s, body })
    }
}

/// The authorities in a PEM file.
fn authorities(path: &Path) -> Result<RootCertStore, ClientError> {
    let bytes = std::fs::read(path).map_err(|source| ClientError::Io { path: path.to_owned(), source })?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes).flatten() {
        roots.add_parsable_certificates([certificate]);
    }
    if roots.is_empty() { Err(ClientError::NoCertificate { path: path.to_owned() }) } else { Ok(roots) }
}

fn no_answer(error: &reqwest::Error) -> NoAnswer {
    if let Some(tls) = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return of_tls(tls);
    }
    if error.is_timeout() {
        let reason = if error.is_connect() { "no connection in time" } else { "no answer in time" };
        return NoAnswer { reason: reason.to_owned(), help: None };
    }
    // The innermost says what happened; those around it, what was tried.
    let innermost = causes(error).last().map_or_else(|| error.to_string(), ToString::to_string);
    NoAnswer { reason: innermost, help: None }
}

fn of_tls(error: &rustls::Error) -> NoAnswer {
    let (reason, help) = match error {
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => (
            "its certificate is not signed by an authority that is trusted here".to_owned(),
            Some("name the file with the authority's certificate: --ca FILE, or ca = \"FILE\" in [agent]"),
        ),
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            ("it does not speak TLS".to_owned(), Some("is its address http:// in place of https://?"))
        }
        rustls::Error::InvalidCertificate(_) => (error.to_string(), None),
        _ => (format!("no TLS with it: {error}"), None),
    };
    NoAnswer { reason, help }
}

/// The error and what caused it, outermost first.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| {
        let error: &'e (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>() {
            // Its source is that of the error in it, not that error.
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}
