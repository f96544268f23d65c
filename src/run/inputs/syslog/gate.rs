//! Who is heard: the networks of the plan in force, its certificate, and who was turned away.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use watchbell_model::{Syslog, Tls};
use watchbell_server::tls::{Certificate, Handshakes, TlsError};

/// The gate of one log group. Clones share it.
#[derive(Clone)]
pub(in crate::run::inputs) struct Gate(Arc<Inside>);

struct Inside {
    handshakes: Option<Handshakes>,
    in_force: Mutex<Syslog>,
}

impl Gate {
    /// With the certificate that was read for `syslog`.
    pub(super) fn new(syslog: &Syslog, certificate: Option<Certificate>) -> Gate {
        let in_force = Mutex::new(syslog.clone());
        Gate(Arc::new(Inside { handshakes: certificate.map(Handshakes::new), in_force }))
    }

    /// From the next connection and datagram on with these settings; where it listens is as before.
    pub(in crate::run::inputs) fn replace(&self, syslog: &Syslog, certificate: Option<Certificate>) {
        if let (Some(handshakes), Some(certificate)) = (&self.0.handshakes, certificate) {
            handshakes.replace(certificate);
        }
        *self.0.in_force.lock().unwrap_or_else(PoisonError::into_inner) = syslog.clone();
    }

    pub(super) fn hears(&self, peer: IpAddr) -> bool {
        self.0.in_force.lock().unwrap_or_else(PoisonError::into_inner).hears(peer)
    }

    /// What makes handshakes; there is one where messages come over TLS.
    pub(super) fn handshakes(&self) -> Option<&Handshakes> {
        self.0.handshakes.as_ref()
    }
}

/// The certificate that messages come under, if any do.
///
/// # Errors
/// [`TlsError`] names the file and what is wrong with it.
pub(in crate::run::inputs) fn certificate(tls: Option<&Tls>) -> Result<Option<Certificate>, TlsError> {
    let read = |tls: &Tls| Certificate::read(Path::new(&tls.certificate), Path::new(&tls.key), &[]);
    Ok(tls.map(read).transpose()?.map(Certificate::for_writers))
}
