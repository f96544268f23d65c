//! What only AWS needs to know of a plan.

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

/// What only AWS needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aws {
    /// What its stacks are called after, and much in them: 1 to 24 lowercase letters, digits and hyphens.
    pub name: String,
    /// The region: `eu-central-1`.
    pub region: String,
    /// Where calls go instead of to AWS; no slash at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Tags of everything that can have them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Where instances find what is installed on them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<Artifacts>,
    /// The network that a fleet is in.
    pub network: AwsNetwork,
    /// By the name of the fleet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fleet: BTreeMap<String, AwsFleet>,
    /// What of the account is recorded.
    pub trail: AwsTrail,
    /// Whether there is a dashboard.
    pub dashboard: bool,
}

/// Objects in S3 that instances may read: the program itself, and what the application is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifacts {
    /// The bucket.
    pub bucket: String,
    /// What their keys begin with; empty, or with a slash at its end.
    pub prefix: String,
    /// SHA-256 of the object `watchbell` there, the program for x86-64, as 64 lowercase hexadecimal digits.
    pub watchbell_sha256: String,
}

/// How instances reach the world beyond their network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nat {
    /// One NAT gateway: cheaper; without its zone, no instance reaches anything outside.
    Single,
    /// One NAT gateway in each zone.
    PerZone,
}

/// A virtual private cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsNetwork {
    /// Its addresses: /16 to /22.
    pub cidr: Ipv4Net,
    /// Availability zones it covers: 2 or 3.
    pub zones: u32,
    /// How instances reach the world.
    pub nat: Nat,
    /// Whether the services that instances call have addresses inside; the one of S3, which costs nothing, always has.
    pub endpoints: bool,
    /// How long records of accepted and refused connections are kept, in days; `None`: there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow_logs_days: Option<u32>,
    /// A machine that people reach instances through, if Session Manager is not enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bastion: Option<Bastion>,
}

/// A machine in a public subnet that people reach instances through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bastion {
    /// Networks whose machines may connect to it; never all.
    pub allow: Vec<IpNet>,
    /// What kind of machine.
    pub instance_type: String,
    /// The key pair, by its name, whose holder may log in.
    pub key_pair: String,
}

/// What only AWS needs to know of a fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsFleet {
    /// What kind of machine, of the x86-64 family.
    pub instance_type: String,
    /// An image's id; `None`: the newest Amazon Linux 2023.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Size of an instance's disk, in GiB.
    pub volume_gib: u32,
    /// A script, absolute, that installs the application on a new instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<String>,
    /// The certificate of the load balancer, by its ARN; `None`: plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The port of the load balancer.
    pub port: u16,
    /// Networks whose machines may connect to the load balancer.
    pub allow: Vec<IpNet>,
}

/// What of the account is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsTrail {
    /// Whether there is a trail.
    pub enabled: bool,
    /// How long it stays in its log group, in days.
    pub retention_days: u32,
    /// Whether the metric filters and alarms that the CIS AWS Foundations Benchmark asks for come with it.
    pub cis: bool,
    /// Topics that these alarms tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<String>,
}

/// Days that CloudWatch Logs can keep events for.
///
/// Source: CloudWatch Logs API Reference, `PutRetentionPolicy`, `retentionInDays`.
pub const RETENTION_DAYS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];
