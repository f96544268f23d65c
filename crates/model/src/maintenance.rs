//! Maintenance: scheduled work on machines.

use serde::{Deserialize, Serialize};

/// A piece of scheduled work, as planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// What it is called; no other has this name.
    pub name: String,
    /// When it begins: `cron(…)` or `at(…)`, as of mute rules.
    pub schedule: String,
    /// The time zone of the schedule, by its IANA name.
    pub timezone: String,
    /// How long it may take, in milliseconds; then it is ended.
    pub timeout_ms: i64,
    /// What is done.
    pub work: Work,
}

/// What maintenance does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// Removes old files.
    Prune {
        /// Glob patterns of the files, absolute.
        files: Vec<String>,
        /// Those that have not been written to for so long, in milliseconds.
        older_than_ms: i64,
    },
    /// Runs a script: its file, absolute.
    Run(String),
    /// Installs the operating system's updates.
    Patch {
        /// Whether the machine restarts if an update asks for it.
        reboot: bool,
    },
}
