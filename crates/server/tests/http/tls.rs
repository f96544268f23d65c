//! TLS: who gets in, under which certificate, and what those are told who do not.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use watchbell_server::tls::{Certificate, HANDSHAKE_TIMEOUT, Handshakes};
use watchbell_server::{Door, TurnedAway};

use crate::client::{Served, answer, soon};
use crate::host::Recorder;

/// An authority, and a folder with what it signed.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Authority { issuer, folder: tempfile::tempdir().unwrap() }
    }

    /// Signs a certificate for these names that ends with this year, and puts it and its key into the folder.
    fn sign(&self, file: &str, names: &[&str], last_year: i32) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = date_time_ymd(last_year, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.folder.path().join(format!("{file}.pem")), certificate.pem()).unwrap();
        let path = self.folder.path().join(format!("{file}.key"));
        fs::write(&path, key.serialize_pem()).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    }

    fn read(&self, file: &str) -> Result<Certificate, String> {
        let path = |end: &str| self.folder.path().join(format!("{file}.{end}"));
        Certificate::read(&path("pem"), &path("key"), &[b"http/1.1"]).map_err(|error| error.to_string())
    }

    /// A server with this certificate.
    fn served(&self, file: &str) -> (Served, Handshakes) {
        let handshakes = Handshakes::new(self.read(file).unwrap());
        let door = Door::new(Some(handshakes.clone()), Vec::new());
        (Served::behind(door, Recorder::new()), handshakes)
    }

    /// A connection of a client that trusts this authority, to `name`.
    async fn connect(&self, served: &Served, name: &'static str) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.issuer.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from(name).unwrap();
        soon(TlsConnector::from(Arc::new(config)).connect(name, served.connect().await)).await
    }
}

async fn get(stream: &mut TlsStream<TcpStream>, headers: &str) -> u16 {
    let request = format!("GET /readyz HTTP/1.1\r\nHost: logs.example.com:8420\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    answer(stream).await.status
}

async fn why(served: &Served) -> String {
    let told = async {
        loop {
            if let Some((peer, why)) = served.host.turned_away.lock().unwrap().pop() {
                assert!(peer.is_loopback());
                return match why {
                    TurnedAway::Handshake(why) => why,
                    TurnedAway::Network => "network".to_owned(),
                };
            }
            tokio::task::yield_now().await;
        }
    };
    soon(told).await
}

#[tokio::test]
async fn over_tls_it_answers_under_any_name_of_its_certificate() {
    let authority = Authority::new();
    authority.sign("server", &["logs.example.com"], 2090);
    let (served, _) = authority.served("server");
    let mut stream = authority.connect(&served, "logs.example.com").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(get(&mut stream, "").await, 200);
    assert_eq!(get(&mut stream, "Origin: https://logs.example.com:8420\r\n").await, 200);
    assert_eq!(get(&mut stream, "Origin: http://logs.example.com:8420\r\n").await, 403);
    assert_eq!(get(&mut stream, "Origin: https://evil.example\r\n").await, 403);
}

#[tokio::test]
async fn a_client_says_what_is_wrong_with_a_certificate() {
    let authority = Authority::new();
    authority.sign("old", &["logs.example.com"], 2001);
    authority.sign("good", &["logs.example.com"], 2090);
    let (served, _) = authority.served("old");
    let error = authority.connect(&served, "logs.example.com").await.unwrap_err().to_string();
    assert!(error.contains("expired"), "{error}");
    assert!(why(&served).await.contains("CertificateExpired"));
    let (served, _) = authority.served("good");
    let error = Authority::new().connect(&served, "logs.example.com").await.unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer") || error.contains("BadSignature"), "{error}");
    let error = authority.connect(&served, "other.example.com").await.unwrap_err().to_string();
    assert!(error.contains("not valid for name"), "{error}");
}

#[tokio::test]
async fn plain_http_is_told_that_this_port_speaks_tls() {
    let authority = Authority::new();
    authority.sign("server", &["localhost"], 2090);
    let (served, _) = authority.served("server");
    let told = served.get("/readyz").await;
    assert_eq!(told.error(), (400, "tls_needed".to_owned()));
    assert!(why(&served).await.contains("plain HTTP"));
    let mut noise = served.begin(&[0; 64]).await;
    let mut rest = Vec::new();
    let _ = soon(tokio::io::AsyncReadExt::read_to_end(&mut noise, &mut rest)).await;
    assert!(why(&served).await.contains("does not speak TLS"));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_come_in_time_ends_the_connection() {
    let authority = Authority::new();
    authority.sign("server", &["localhost"], 2090);
    let (served, _) = authority.served("server");
    for begun in [&b""[..], b"\x16\x03\x01"] {
        let mut stream = served.begin(begun).await;
        let began = Instant::now();
        let mut rest = Vec::new();
        let _ = soon(tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest)).await;
        assert!(began.elapsed() <= HANDSHAKE_TIMEOUT * 2, "{:?}", began.elapsed());
        why(&served).await;
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_from_the_next_handshake_on() {
    let (old, new) = (Authority::new(), Authority::new());
    for authority in [&old, &new] {
        authority.sign("server", &["logs.example.com"], 2090);
    }
    let (served, handshakes) = old.served("server");
    let mut before = old.connect(&served, "logs.example.com").await.unwrap();
    handshakes.replace(new.read("server").unwrap());
    new.connect(&served, "logs.example.com").await.unwrap();
    assert!(old.connect(&served, "logs.example.com").await.is_err());
    assert_eq!(get(&mut before, "").await, 200);
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_with_file_and_reason() {
    let authority = Authority::new();
    authority.sign("server", &["localhost"], 2090);
    authority.sign("other", &["localhost"], 2090);
    let path = |name: &str| authority.folder.path().join(name);
    let read = |certificate: &Path, key: &Path| {
        Certificate::read(certificate, key, &[]).map(drop).unwrap_err().to_string()
    };
    let (certificate, key) = (path("server.pem"), path("server.key"));
    let mixed = read(&certificate, &path("other.key"));
    assert!(mixed.contains("other.key: this key does not go with"), "{mixed}");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let exposed = read(&certificate, &key);
    assert!(exposed.contains("server.key") && exposed.contains("mode 0644"), "{exposed}");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    assert!(Certificate::read(&certificate, &key, &[]).is_ok());
    assert!(read(&key, &key).contains("no certificate in PEM"));
    assert!(read(&certificate, &certificate).contains("mode"));
    fs::set_permissions(&certificate, Permissions::from_mode(0o600)).unwrap();
    assert!(read(&certificate, &certificate).contains("no private key in PEM"));
    assert!(read(&path("gone.pem"), &key).contains("gone.pem"));
}
