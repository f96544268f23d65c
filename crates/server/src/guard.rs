//! Keeps web pages away. A browser on this machine can reach loopback for any site it shows, so loopback alone
//! protects nothing.
//!
//! Promise: a request goes on only if it names this server as a loopback name with our port (a site whose name was
//! rebound to 127.0.0.1 still sends its own name in `Host`) or came over TLS, and only if it comes from no web page or
//! from one of ours (a page of another site may send a plain POST without asking first, but then says so in `Origin`).
//! A port forward to this server must therefore use the same port number on both ends.
//! Not here: tokens (`access`). What is refused here is no denial for the audit trail: nobody was asked who calls.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::answer::Refusal;

/// The port of a `Host` or `Origin` that names none.
const HTTP_PORT: u16 = 80;

/// How callers reach this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// By a loopback name and this port.
    Loopback(u16),
    /// Over TLS, under any name that is in the certificate.
    Tls,
}

/// Lets a request through to its route, or refuses it.
pub(crate) async fn keep_web_pages_away(
    State(reached): State<Reached>,
    request: Request,
    next: Next,
) -> Response {
    let authority = request.uri().authority().map(axum::http::uri::Authority::as_str);
    match check(authority, request.headers(), reached) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// `authority` is what a request line of the form `GET http://name:port/path` names.
fn check(authority: Option<&str>, headers: &HeaderMap, reached: Reached) -> Result<(), Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        let help = "send one Host header, as HTTP/1.1 asks";
        return Err(Refusal::bad_request("no_host", "the request does not say which host it is for", help));
    };
    let host = host.to_str().unwrap_or_default();
    // Over TLS a browser has checked the name already: one that was rebound to us is not in our certificate.
    if let Reached::Loopback(port) = reached
        && let Some(foreign) = [Some(host), authority].into_iter().flatten().find(|it| !is_ours(it, port))
    {
        return Err(Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            "foreign_host",
            format!("{foreign:?} is not this server"),
            format!("call it as 127.0.0.1:{port} or localhost:{port}"),
        ));
    }
    let of_ours = |origin: &str| match reached {
        Reached::Loopback(port) => origin.strip_prefix("http://").is_some_and(|it| is_ours(it, port)),
        Reached::Tls => origin.strip_prefix("https://").is_some_and(|it| it.eq_ignore_ascii_case(host)),
    };
    match headers.get_all(ORIGIN).iter().find(|origin| !origin.to_str().is_ok_and(of_ours)) {
        None => Ok(()),
        Some(origin) => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            format!("the web page {:?} may not call this server", String::from_utf8_lossy(origin.as_bytes())),
            "call it from a program, or without an Origin header",
        )),
    }
}

/// Whether this is a loopback name or address with our port.
fn is_ours(authority: &str, port: u16) -> bool {
    let (name, its_port) = match authority.rsplit_once(':') {
        Some((name, digits)) if !digits.ends_with(']') => (name, digits.parse().ok()),
        _ => (authority, Some(HTTP_PORT)),
    };
    its_port == Some(port) && is_loopback(name)
}

fn is_loopback(name: &str) -> bool {
    let bracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match bracketed {
        Some(inside) => inside.parse().is_ok_and(|address: Ipv6Addr| address.is_loopback()),
        None => {
            name.eq_ignore_ascii_case("localhost")
                || name.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_with_our_port_are_ours() {
        for (authority, port, ours) in [
            ("127.0.0.1:8420", 8420, true),
            ("127.8.9.1:8420", 8420, true),
            ("LocalHost:8420", 8420, true),
            ("[::1]:8420", 8420, true),
            ("localhost", 80, true),
            ("[::1]", 80, true),
            ("localhost", 8420, false),
            ("localhost:3000", 8420, false),
            ("localhost:65616", 80, false),
            ("localhost:", 80, false),
            ("evil.example:8420", 8420, false),
            ("localhost.evil.example:8420", 8420, false),
            ("127.0.0.1.evil.example:8420", 8420, false),
            ("evil@localhost:8420", 8420, false),
            ("0.0.0.0:8420", 8420, false),
            ("[::2]:8420", 8420, false),
            ("::1:8420", 8420, false),
            ("[127.0.0.1]:8420", 8420, false),
            ("", 80, false),
        ] {
            assert_eq!(is_ours(authority, port), ours, "{authority}");
        }
    }
}
