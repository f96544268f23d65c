//! Certificates for tests: an authority and what it signs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::site::Site;

/// An authority of its own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
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
