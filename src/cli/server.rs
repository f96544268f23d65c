//! Asks a running `watchbell up` over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use clap::Args;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::Global;
use super::file::File;
use crate::{ExitStatus, Failure};

/// Which process to ask.
#[derive(Args)]
pub(super) struct Place {
    /// Where watchbell up serves; by default the http.listen of the file
    #[arg(long, global = true, value_name = "IP:PORT")]
    address: Option<SocketAddr>,
    /// A token whose role allows what is asked
    #[arg(long, global = true, env = "WATCHBELL_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
}

impl Place {
    /// Where it serves.
    pub(super) fn address(&self, global: &Global) -> Result<SocketAddr, Failure> {
        match self.address {
            Some(address) => Ok(address),
            None => Ok(File::read(&global.config)?.plan()?.0.http.listen),
        }
    }
}

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What is asked.
pub(super) struct Question<'a> {
    pub(super) method: Method,
    /// With its query.
    pub(super) path: &'a str,
    pub(super) body: String,
    /// How long the answer may take.
    pub(super) timeout: Duration,
}

/// The answer's status and body.
pub(super) fn ask(
    address: SocketAddr,
    token: Option<&str>,
    question: Question<'_>,
) -> Result<(StatusCode, Vec<u8>), Failure> {
    let Question { method, path, body, timeout } = question;
    let url = format!("http://{address}{path}");
    let unavailable = |reason: String| {
        Failure::new(ExitStatus::Unavailable, format!("{url}: {reason}"))
            .help("is watchbell up running? name another place with --address IP:PORT")
    };
    let mut request = Request::builder().method(method).uri(&url);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request
        .body(Body::from(body))
        .map_err(|_| Failure::new(ExitStatus::Usage, "the token has characters that no header may have"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(ExitStatus::Unavailable, error))?;
    let client = Client::builder(TokioExecutor::new()).build::<_, Body>(HttpConnector::new());
    let answered = async {
        let answer = client.request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = to_bytes(Body::new(answer.into_body()), ANSWER_BYTES_MAX).await;
        body.map(|body| (status, body.to_vec())).map_err(|error| error.to_string())
    };
    let answered = runtime.block_on(async { tokio::time::timeout(timeout, answered).await });
    answered.map_err(|_| unavailable("no answer".to_owned()))?.map_err(unavailable)
}
