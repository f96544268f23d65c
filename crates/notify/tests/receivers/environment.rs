//! What depends on the environment of the process: certificate authorities and proxies.
//!
//! A process reads its environment as it was started, so each case runs one ignored test of this file in a process
//! of its own.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::{env, thread};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use watchbell_notify::{Client, Notifier, SendError, Slack};

use super::message;
use super::server::{Server, http};

const CASE: &str = "environment::post_to_the_address_in_url_and_print_the_outcome";

/// Posts to `url` in a process with only these variables, and gives the outcome as it was printed.
fn post_with(variables: &[(&str, &str)], url: &str) -> String {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", CASE, "--ignored", "--nocapture"])
        .env_clear()
        .envs(variables.iter().copied())
        .env("URL", url)
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}");
    printed
}

#[tokio::test]
#[ignore = "run by the other tests of this file, in a process of its own"]
#[expect(clippy::print_stdout, reason = "how the outcome gets to the process that asked")]
async fn post_to_the_address_in_url_and_print_the_outcome() {
    let slack = Slack::new(Client::new().unwrap(), &env::var("URL").unwrap()).unwrap();
    match slack.send(&message()).await {
        Err(SendError::Again { reason, .. }) => println!("again: {reason}"),
        other => println!("{other:?}"),
    }
}

fn tls_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/receivers/tls").join(name)
}

/// Answers one request over TLS as `localhost`.
fn tls_server() -> SocketAddr {
    let certificate = CertificateDer::from_pem_file(tls_file("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(tls_file("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = StreamOwned::new(connection, listener.accept().unwrap().0);
        // A client that does not trust this server leaves in the middle of the handshake.
        if super::server::read_request(&mut stream).is_ok() {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        }
    });
    address
}

/// Stands for a machine without certificate authorities: once these are set, nothing else is looked at.
const NO_AUTHORITIES: [(&str, &str); 2] =
    [("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/dev/null/none")];

#[test]
fn plain_http_works_without_certificate_authorities() {
    let server = Server::start(vec![http("200 OK", "", "ok")]);
    let printed = post_with(&NO_AUTHORITIES, &server.url("/s3cr3t"));
    assert!(printed.contains("Ok(())"), "{printed}");
}

#[test]
fn https_without_certificate_authorities_names_the_way_out() {
    let printed = post_with(&NO_AUTHORITIES, "https://localhost/s3cr3t");
    assert!(
        printed.contains("again: localhost: no certificate authority was found on this machine"),
        "{printed}"
    );
    assert!(
        printed.contains("install the package ca-certificates") && !printed.contains("s3cr3t"),
        "{printed}"
    );
}

#[test]
fn https_works_with_the_authorities_of_the_machine() {
    let authorities = tls_file("authority.pem");
    let url = format!("https://localhost:{}/s3cr3t", tls_server().port());
    let printed = post_with(&[("SSL_CERT_FILE", authorities.to_str().unwrap())], &url);
    assert!(printed.contains("Ok(())"), "{printed}");
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authorities = tls_file("authority.pem");
    let url = format!("https://{}/s3cr3t", tls_server());
    let printed = post_with(&[("SSL_CERT_FILE", authorities.to_str().unwrap())], &url);
    assert!(printed.contains("invalid peer certificate") && !printed.contains("s3cr3t"), "{printed}");
}

#[test]
fn a_proxy_is_used_for_other_machines() {
    let proxy = Server::start(vec![http("200 OK", "", "ok")]);
    let printed = post_with(&[("HTTP_PROXY", &proxy.url(""))], "http://hooks.invalid/x");
    assert!(printed.contains("Ok(())"), "{printed}");
    assert!(proxy.request().starts_with("POST http://hooks.invalid/x HTTP/1.1"));
}

#[test]
fn a_proxy_is_not_used_for_this_machine() {
    let (server, nobody) = (Server::start(vec![http("200 OK", "", "ok")]), super::server::nobody());
    let proxy = format!("http://{nobody}");
    let printed = post_with(&[("HTTP_PROXY", &proxy), ("ALL_PROXY", &proxy)], &server.url("/x"));
    assert!(printed.contains("Ok(())"), "{printed}");
}
