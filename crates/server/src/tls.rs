//! TLS of whatever listens: a certificate from files, and handshakes with it.
//!
//! Promise: TLS 1.2 and 1.3 only; a key that others may read is refused; a handshake ends within
//! [`HANDSHAKE_TIMEOUT`]; a certificate can be replaced while connections go on.
//! Not here: who may connect (the listener asks before the handshake), certificates of clients.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{InvalidMessage, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a handshake may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest file of a certificate or key, in bytes.
pub const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// Rights of a key's file that are refused: any of others, and that of the group to write.
const MODE_REFUSED: u32 = 0o027;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The key's file is open to others.
    #[error("{path}: others may read or change this key (mode {mode:04o}); chmod 600 it, or 640")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its rights.
        mode: u32,
    },
    /// A file does not hold what it should.
    #[error("{path}: {reason}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A certificate with its key, checked: they belong together.
#[derive(Clone)]
pub struct Certificate(Arc<ServerConfig>);

impl Certificate {
    /// Reads PEM files. `protocols` are what is spoken inside (ALPN), the preferred one first.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it.
    pub fn read(certificate: &Path, key: &Path, protocols: &[&[u8]]) -> Result<Certificate, TlsError> {
        let unusable = |path: &Path, reason: String| TlsError::Unusable { path: path.to_owned(), reason };
        let chain: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_slice_iter(&read(certificate)?).collect();
        let chain = chain.map_err(|error| unusable(certificate, error.to_string()))?;
        if chain.is_empty() {
            return Err(unusable(certificate, "no certificate in PEM is in this file".to_owned()));
        }
        refuse_exposed(key)?;
        let private = PrivateKeyDer::from_pem_slice(&read(key)?)
            .map_err(|error| unusable(key, format!("no private key in PEM is in this file ({error})")))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has what TLS 1.2 and 1.3 need")
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|error| {
                unusable(key, format!("this key does not go with {}: {error}", certificate.display()))
            })?;
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Certificate(Arc::new(config)))
    }

    /// The same for peers that only write. They get no tickets for another session: they would close with these unread,
    /// which resets the connection, and what is still on its way is lost.
    #[must_use]
    pub fn for_writers(mut self) -> Certificate {
        Arc::make_mut(&mut self.0).send_tls13_tickets = 0;
        self
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(PEM_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|source| TlsError::Io { path: path.to_owned(), source })?;
    Ok(bytes)
}

fn refuse_exposed(path: &Path) -> Result<(), TlsError> {
    let metadata = fs::metadata(path).map_err(|source| TlsError::Io { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & MODE_REFUSED == 0 { Ok(()) } else { Err(TlsError::Exposed { path: path.to_owned(), mode }) }
}

/// People mistype transports; what rustls says of that takes knowing TLS.
fn in_words(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            io::Error::new(io::ErrorKind::InvalidData, "it does not speak TLS")
        }
        _ => error,
    }
}

/// Makes handshakes with the certificate in force. Clones share it.
#[derive(Clone)]
pub struct Handshakes(Arc<Mutex<Certificate>>);

impl Handshakes {
    /// With this certificate.
    pub fn new(certificate: Certificate) -> Handshakes {
        Handshakes(Arc::new(Mutex::new(certificate)))
    }

    /// From the next handshake on with this one.
    pub fn replace(&self, certificate: Certificate) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = certificate;
    }

    /// Makes the handshake.
    ///
    /// # Errors
    /// What the peer did wrong, or `TimedOut`.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let config = Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner).0);
        let accepted = timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(config).accept(stream)).await;
        accepted
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long")))
            .map_err(in_words)
    }
}
