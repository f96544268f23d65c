//! The HTTP client that all web receivers share.
//!
//! Promise: `http://` works on a machine without certificate authorities; `https://` then fails with the way out.
//! No redirects: whoever may move a receiver may not move messages. One attempt per call. Proxies are taken from
//! `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` as curl does, but never for this machine's own addresses.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};

use crate::SendError;
use crate::address::Address;
use crate::answer::{judge, lost};

/// How long a connection may take to be made, name lookup and TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a whole attempt may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

const USER_AGENT: &str = concat!("watchbell/", env!("CARGO_PKG_VERSION"));

/// How long an attempt may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until there is a connection.
    pub connect: Duration,
    /// Until there is an answer, the connection included.
    pub request: Duration,
}

impl Default for Timeouts {
    /// [`CONNECT_TIMEOUT`] and [`REQUEST_TIMEOUT`].
    fn default() -> Timeouts {
        Timeouts { connect: CONNECT_TIMEOUT, request: REQUEST_TIMEOUT }
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client: {reason}")]
pub struct ClientError {
    reason: String,
}

/// An HTTP client. Clones share everything.
#[derive(Clone, Debug)]
pub struct Client {
    direct: reqwest::Client,
    proxied: reqwest::Client,
    timeouts: Timeouts,
    https_problem: Option<Arc<str>>,
}

impl Client {
    /// One with the usual timeouts. Reads the system's certificate authorities and the proxy variables.
    ///
    /// # Errors
    /// [`ClientError`] if the parts do not fit together; a missing certificate authority is no error here.
    pub fn new() -> Result<Client, ClientError> {
        Client::with_timeouts(Timeouts::default())
    }

    /// One with other timeouts.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_timeouts(timeouts: Timeouts) -> Result<Client, ClientError> {
        let (tls, https_problem) = tls()?;
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .user_agent(USER_AGENT)
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(timeouts.connect)
                .timeout(timeouts.request)
                // Messages are minutes apart: a kept connection would mostly be one that the receiver has closed.
                .pool_max_idle_per_host(0)
        };
        let built = |builder: reqwest::ClientBuilder| {
            builder.build().map_err(|error| ClientError { reason: error.to_string() })
        };
        Ok(Client {
            direct: built(builder().no_proxy())?,
            proxied: built(builder())?,
            timeouts,
            https_problem,
        })
    }

    /// Why no `https://` address can be reached from here, and the way out; `None` if nothing is wrong.
    pub fn https_problem(&self) -> Option<&str> {
        self.https_problem.as_deref()
    }

    /// Posts JSON once. `Ok` for an answer from 200 to 299.
    pub(crate) async fn post(
        &self,
        address: &Address,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<(), SendError> {
        self.post_once(address, headers, body).await.map_err(|(_, error)| error)
    }

    /// The same with the status of the answer, if there was one.
    pub(crate) async fn post_once(
        &self,
        address: &Address,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<(), (Option<u16>, SendError)> {
        if let (true, Some(problem)) = (address.is_https(), self.https_problem()) {
            return Err((None, SendError::again(format!("{address}: {problem}"))));
        }
        let client = if address.is_loopback() { &self.direct } else { &self.proxied };
        let request = client
            .post(address.url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .headers(headers)
            .body(body);
        match request.send().await {
            Ok(response) => judge(address, response).await.map_err(|(status, error)| (Some(status), error)),
            Err(error) => Err((None, lost(address, &error, self.timeouts))),
        }
    }
}

/// TLS with `ring`, trusting the system's certificate authorities; and what is wrong if there are none.
///
/// Handed to reqwest ready-made, because its own verifier makes the whole client fail where there are none, for
/// `http://` too, and because a provider installed for the process would be a global. The authorities are the
/// machine's and not a list built in: an operator's own authority counts, and updates arrive without a new binary.
fn tls() -> Result<(ClientConfig, Option<Arc<str>>), ClientError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    let problem = roots.is_empty().then(|| {
        let cause = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        format!(
            "no certificate authority was found on this machine{cause}, so no https:// address can be checked; \
             install the package ca-certificates, or point SSL_CERT_FILE at a PEM file, and start again"
        )
        .into()
    });
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError { reason: error.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((config, problem))
}
