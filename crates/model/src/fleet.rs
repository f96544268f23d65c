//! A fleet: the application's own processes, as many as are needed.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What stands for the port in a fleet's command.
pub const PORT_PLACEHOLDER: &str = "{port}";

/// A fleet as planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fleet {
    /// The program and its arguments; [`PORT_PLACEHOLDER`] in them is the port that the process is to listen on.
    pub command: Vec<String>,
    /// How many there are.
    pub instances: Instances,
    /// How it is seen that one is well.
    pub health: Health,
    /// Where users reach the fleet.
    pub listen: SocketAddr,
    /// What the number of instances follows; it is the largest that one of them asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scale_on: Vec<ScaleOn>,
}

/// How many instances there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instances {
    /// At least; 1 or more.
    pub min: u32,
    /// At most; not less than `min`.
    pub max: u32,
}

/// How it is seen that an instance is well: it answers a GET with 200.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// What is asked for; begins with `/`.
    pub path: String,
    /// How often, in milliseconds.
    pub interval_ms: i64,
}

/// A measurement and what it should be, on average over the instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScaleOn {
    /// Processor time, in percent: 1 to 100.
    Cpu(u32),
    /// Requests in a minute, to each instance.
    RequestsPerInstance(u64),
    /// Bytes of log lines in a second, from each instance.
    LogBytesPerInstance(u64),
}
