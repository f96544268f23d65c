//! Asks a running `watchbell up` over HTTP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use clap::Args;
use serde::de::DeserializeOwned;

use super::Global;
use super::file::File;
use crate::client::{Answer, Call, Client};
use crate::run::door::web_address;
use crate::{ExitStatus, Failure};

/// How long a page about how the process is may take.
const STATUS_TIMEOUT: Duration = Duration::from_secs(10);

/// Which process to ask.
#[derive(Args)]
pub(super) struct Place {
    /// Where watchbell up serves: IP:PORT on this machine, or https://HOST:PORT; by default the http.listen of the file
    #[arg(long, global = true, value_name = "ADDRESS", value_parser = base)]
    address: Option<String>,
    /// Trust certificates of the authority in this PEM file only; by default those that this machine trusts
    #[arg(long, global = true, value_name = "FILE", env = "WATCHBELL_CA")]
    ca: Option<PathBuf>,
    /// A token whose role allows what is asked
    #[arg(long, global = true, env = "WATCHBELL_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// `http://127.0.0.1:8420`, from what a user writes.
fn base(text: &str) -> Result<String, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return if address.ip().is_loopback() {
            Ok(format!("http://{address}"))
        } else {
            Err("another machine is reached over TLS: write https://HOST:PORT".to_owned())
        };
    }
    let text = text.trim_end_matches('/');
    if text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.contains('/')) {
        return Ok(text.to_owned());
    }
    match text.strip_prefix("http://").map(base) {
        Some(Ok(base)) => Ok(base),
        _ => Err("write IP:PORT for this machine, or https://HOST:PORT".to_owned()),
    }
}

impl Place {
    /// The process to ask.
    pub(super) fn server(&self, global: &Global) -> Result<Server, Failure> {
        let base = if let Some(base) = &self.address {
            base.clone()
        } else {
            let http = File::read(&global.config)?.plan()?.0.http;
            web_address(SocketAddr::new(reachable(http.listen.ip()), http.listen.port()), &http)
        };
        let client = Client::new(self.ca.as_deref());
        let client = client.map_err(|error| Failure::new(ExitStatus::Unavailable, error))?;
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            let value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
                Failure::new(ExitStatus::Usage, "the token has characters that no header may have")
            })?;
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(Server { base, client, headers })
    }
}

/// From this machine, one that listens on every address is on loopback.
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

/// The process that is asked.
pub(super) struct Server {
    base: String,
    client: Client,
    headers: HeaderMap,
}

/// What is asked.
pub(super) struct Question<'a> {
    pub(super) method: Method,
    /// With its query.
    pub(super) path: &'a str,
    pub(super) body: String,
    /// How long the answer may take.
    pub(super) timeout: Duration,
}

impl Server {
    /// The whole address of what stands at `path`.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The answer's status and body.
    pub(super) fn ask(&self, question: Question<'_>) -> Result<(StatusCode, Vec<u8>), Failure> {
        let Question { method, path, body, timeout } = question;
        let url = self.url(path);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new(ExitStatus::Unavailable, error))?;
        let (headers, body) = (self.headers.clone(), body.into_bytes());
        let call = Call { method, url: url.clone(), headers, body, timeout };
        let Answer { status, body, .. } = runtime.block_on(self.client.call(call)).map_err(|error| {
            let failure = Failure::new(ExitStatus::Unavailable, format!("{url}: {error}"));
            let elsewhere = "is watchbell up running? name another place with --address";
            failure.help(error.help.unwrap_or(elsewhere))
        })?;
        Ok((StatusCode::from_u16(status).expect("it came as a status"), body))
    }

    /// The page at `path` about how the process is.
    pub(super) fn status_page<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let question = Question { method: Method::GET, path, body: String::new(), timeout: STATUS_TIMEOUT };
        let (status, body) = self.ask(question)?;
        let failure = Failure::new(ExitStatus::Unavailable, format!("{}: {status}", self.url(path)));
        match status {
            StatusCode::OK => serde_json::from_slice(&body).map_err(|error| {
                let message = format!("{}: unknown answer: {error}", self.url(path));
                Failure::new(ExitStatus::Unavailable, message)
            }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(failure
                .help("set WATCHBELL_TOKEN to a token whose role allows watchbell:GetStatus on watchbell")),
            _ => Err(failure.help("is watchbell up running? name another place with --address")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, expected) in [
            ("127.0.0.1:8420", "http://127.0.0.1:8420"),
            ("http://[::1]:1/", "http://[::1]:1"),
            ("https://logs.example.com:8420/", "https://logs.example.com:8420"),
        ] {
            assert_eq!(base(text).as_deref(), Ok(expected));
        }
        for refused in
            ["10.0.0.1:8420", "http://logs.example.com", "logs.example.com:8420", "https://", "https://a/b"]
        {
            assert!(base(refused).is_err(), "{refused}");
        }
    }
}
