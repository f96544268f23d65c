//! Where events come from beside files: what is sent, what the system's journal has, standard input.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::LossReason;

/// How messages of syslog are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// One message a datagram. Source: RFC 5426.
    Udp,
    /// Messages one after the other, counted or ended by LF. Source: RFC 6587.
    Tcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        })
    }
}

/// Listening for messages of syslog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Syslog {
    /// A loopback address in this version.
    pub listen: SocketAddr,
    /// How messages may be sent: at least one way, each once, in order.
    pub transports: Vec<Transport>,
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
