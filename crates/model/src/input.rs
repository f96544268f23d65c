//! Where events come from beside files: what is sent, what the system's journal has, standard input.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{LossReason, Tls};

/// How messages of syslog are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// One message a datagram. Source: RFC 5426.
    Udp,
    /// Messages one after the other, counted or ended by LF. Source: RFC 6587.
    Tcp,
    /// The same inside TLS. Source: RFC 5425.
    Tls,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        })
    }
}

/// Listening for messages of syslog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Syslog {
    /// The address and port; one that other machines can reach comes only with `allow`.
    pub listen: SocketAddr,
    /// How messages may be sent: at least one way, each once, in order; never both over TCP and over TLS.
    pub transports: Vec<Transport>,
    /// The certificate of [`Transport::Tls`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Networks whose messages are taken; without one, those of this machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<IpNet>,
}

impl Syslog {
    /// The port of TLS if none is written. Source: RFC 5425 §4.1.
    pub const TLS_PORT: u16 = 6514;

    /// Whether messages from `peer` are taken. Nobody is allowed in silence: where there are networks, this machine is
    /// heard only if it is in one of them.
    pub fn hears(&self, peer: IpAddr) -> bool {
        // A socket for both families shows IPv4 peers as IPv6 addresses.
        let peer = peer.to_canonical();
        match self.allow.as_slice() {
            [] => peer.is_loopback(),
            networks => networks.iter().any(|network| network.contains(&peer)),
        }
    }
}

/// Reading the system's journal through `journalctl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journald {
    /// The program: a name that is looked for in `PATH`, or a path.
    pub command: String,
    /// Only entries of these units; of all if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<String>,
}

/// Taking log records of OpenTelemetry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Otlp {
    /// The services, by their resource attribute `service.name`, whose records are taken; `*` stands for any run of
    /// characters. A name without it goes before one with it.
    pub services: Vec<String>,
}

/// What of a log group's events comes from elsewhere than files and `POST /ingest`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// Messages of syslog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syslog: Option<Syslog>,
    /// The system's journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journald: Option<Journald>,
    /// Standard input.
    #[serde(default, skip_serializing_if = "crate::skip::is_false")]
    pub stdin: bool,
    /// Log records of OpenTelemetry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp: Option<Otlp>,
}

impl Inputs {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Inputs::default()
    }
}

/// What a batch from an input stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Bytes as they came, with what separates messages.
    pub bytes: u64,
    /// Those of them that are in no event, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped_bytes: BTreeMap<LossReason, u64>,
}

impl Taken {
    /// So many of the bytes are in no event.
    pub fn drop_bytes(&mut self, reason: LossReason, bytes: u64) {
        if bytes > 0 {
            *self.dropped_bytes.entry(reason).or_default() += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syslog_is_heard_from_the_networks_and_without_any_from_this_machine() {
        let listen = "[::]:514".parse().unwrap();
        let alone = Syslog { listen, transports: vec![Transport::Udp], tls: None, allow: Vec::new() };
        let allow = ["10.1.0.0/16", "127.0.0.1/32", "fd00::/8"].map(|text| text.parse().unwrap()).into();
        let with_networks = Syslog { allow, ..alone.clone() };
        for (peer, heard, without_networks) in [
            ("127.0.0.1", true, true),
            ("::ffff:127.0.0.1", true, true),
            ("127.0.0.2", false, true),
            ("::1", false, true),
            ("10.1.2.3", true, false),
            ("::ffff:10.1.2.3", true, false),
            ("10.2.0.1", false, false),
            ("fd12::1", true, false),
        ] {
            let peer = peer.parse().unwrap();
            let found = (with_networks.hears(peer), alone.hears(peer));
            assert_eq!(found, (heard, without_networks), "{peer}");
        }
    }
}
