//! Where HTTP is served, and to whom.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Where HTTP is served.
///
/// An address that other machines can reach comes only with `tls`, `allow` and a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Http {
    /// The address and port.
    pub listen: SocketAddr,
    /// Speaks TLS with this certificate; `None`: plain HTTP, on loopback only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Networks whose machines may connect; this machine always may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<IpNet>,
}

/// A certificate and its key, as files. They are read again at a reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// The certificate, then those between it and its authority: a PEM file, absolute.
    pub certificate: String,
    /// Its private key: a PEM file, absolute.
    pub key: String,
}

/// Whether a peer may connect: from this machine, or from one of `networks`.
pub fn admits(networks: &[IpNet], peer: IpAddr) -> bool {
    // A socket for both families shows IPv4 peers as IPv6 addresses.
    let peer = peer.to_canonical();
    peer.is_loopback() || networks.iter().any(|network| network.contains(&peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_admitted_from_this_machine_and_from_allowed_networks() {
        let networks = ["10.1.0.0/16", "fd00::/8"].map(|text| text.parse().unwrap());
        for (peer, admitted) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("fd12::1", true),
            ("fe80::1", false),
        ] {
            assert_eq!(admits(&networks, peer.parse().unwrap()), admitted, "{peer}");
        }
        assert!(!admits(&[], "10.1.2.3".parse().unwrap()));
    }
}
