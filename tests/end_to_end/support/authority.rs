//! Certificates for tests: an authority and what it signs.

use std::fs::{self, Permissions};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::site::Site;

/// An authority of its own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A connection, after the handshake, of a client that trusts this authority.
    pub(crate) fn connect(&self, to: SocketAddr) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut client = ClientConnection::new(Arc::new(config), ServerName::from(to.ip())).unwrap();
        let mut stream = TcpStream::connect(to)?;
        client.complete_io(&mut stream)?;
        Ok(StreamOwned::new(client, stream))
    }

    /// Writes its certificate to `ca.pem` of the site.
    pub(crate) fn introduce(&self, site: &Site) {
        site.write("ca.pem", self.0.pem());
    }

    /// Writes `server.pem` and `server.key` for 127.0.0.1 to the site.
    pub(crate) fn sign(&self, site: &Site) {
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        site.write("server.pem", params.signed_by(&key, &self.0).unwrap().pem());
        site.write("server.key", key.serialize_pem());
        fs::set_permissions(site.path("server.key"), Permissions::from_mode(0o600)).unwrap();
    }
}
