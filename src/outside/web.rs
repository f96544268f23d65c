//! A small HTTP client for this machine.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, StatusCode, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// A client of one server; its connections stay open.
#[derive(Clone)]
pub(crate) struct Web {
    client: Client<HttpConnector, Body>,
    server: SocketAddr,
}

/// Why a request was not answered.
pub(crate) type WebError = Box<dyn std::error::Error + Send + Sync>;

impl Web {
    pub(crate) fn new(server: SocketAddr) -> Web {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Web { client: Client::builder(TokioExecutor::new()).build(connector), server }
    }

    /// The status and text of a page.
    pub(crate) async fn get(&self, path: &str) -> Result<(StatusCode, String), WebError> {
        self.ask(Request::get(self.url(path)).body(Body::empty())?).await
    }

    /// The status that the visitor at `from` gets for a page, or for a form if there is one.
    pub(crate) async fn visit(
        &self,
        method: &str,
        path: &str,
        from: &str,
        form: String,
    ) -> Result<StatusCode, WebError> {
        let request = Request::builder()
            .method(method)
            .uri(self.url(path))
            .header(header::USER_AGENT, "Mozilla/5.0")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("x-forwarded-for", from);
        Ok(self.ask(request.body(Body::from(form))?).await?.0)
    }

    /// Posts lines.
    pub(crate) async fn post(&self, path: &str, body: Bytes) -> Result<(StatusCode, String), WebError> {
        self.ask(Request::post(self.url(path)).body(Body::from(body))?).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server)
    }

    async fn ask(&self, request: Request<Body>) -> Result<(StatusCode, String), WebError> {
        let answered = async {
            let answer = self.client.request(request).await?;
            let status = answer.status();
            let body = to_bytes(Body::new(answer.into_body()), ANSWER_BYTES_MAX).await?;
            Ok((status, String::from_utf8_lossy(&body).into_owned()))
        };
        tokio::time::timeout(TIMEOUT, answered).await?
    }
}
