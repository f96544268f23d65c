//! A plan: a whole, checked `watchbell.toml`. The plan in force is itself an entry of the journal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Access, Agent, Alarm, Archive, Aws, Fleet, Function, GroupName, Http, JournalBound, LogGroup,
    Maintenance, MetricFilter, MuteRule, Queue, Redaction, SecretPlan, Topic,
};

/// A whole file, checked: every name it mentions exists, every value is in range, every pattern parses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The file it came from, as the user named it.
    pub file: String,
    /// The data folder, absolute.
    pub data_dir: String,
    /// Where HTTP is served.
    pub http: Http,
    /// By name.
    pub log_groups: BTreeMap<GroupName, LogGroup>,
    /// What is taken out of lines.
    #[serde(default, skip_serializing_if = "Redaction::is_empty")]
    pub redaction: Redaction,
    /// By name.
    pub metric_filters: BTreeMap<String, MetricFilter>,
    /// By name.
    pub alarms: BTreeMap<String, Alarm>,
    /// By name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mute_rules: BTreeMap<String, MuteRule>,
    /// By name.
    pub topics: BTreeMap<String, Topic>,
    /// By name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub queues: BTreeMap<String, Queue>,
    /// By name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub functions: BTreeMap<String, Function>,
    /// Who may call.
    #[serde(default)]
    pub access: Access,
    /// Where an agent ships to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Agent>,
    /// Where events are kept in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Archive>,
    /// How large and how old the journal may become.
    #[serde(default, skip_serializing_if = "JournalBound::is_default")]
    pub journal: JournalBound,
    /// The application's own processes, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fleet: BTreeMap<String, Fleet>,
    /// Scheduled work on machines, in the order of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maintenance: Vec<Maintenance>,
    /// The store's secrets, by name: those of `[secrets]` and those that are only referred to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretPlan>,
    /// What only AWS needs; `None`: the plan does not say that it is to run there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<Aws>,
}
