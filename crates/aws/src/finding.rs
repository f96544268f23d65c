//! What AWS makes of a plan that nobody would expect, or cannot make of it at all.
//!
//! What holds for every value of a key stands in the table of keys; here is what depends on values. Each noun knows
//! its own: `alarm.rs` what alarms cannot be, and so on. What `config` refuses of every plan is not looked for again.

use std::fmt;

use watchbell_model::Plan;

use crate::{
    alarm, app, cis, composite, dashboard, log_group, metric_filter, mute, pipeline, queue, security_group,
    topic,
};

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    /// AWS cannot have it; nothing is rendered.
    Refused,
    /// AWS does it otherwise.
    Difference,
}

/// Something in a plan that AWS does not take as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it stands in the file: the keys from the top, `["alarms", "slow", "period"]`. The last ones may be absent there.
    pub path: Vec<String>,
    /// How grave it is.
    pub gravity: Gravity,
    /// What AWS says or does: lower case, no full stop, the offending value in quotes.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Finding {
    /// AWS cannot have what stands under `path`.
    pub(crate) fn refused(path: &[&str], message: impl fmt::Display) -> Finding {
        Finding::new(path, Gravity::Refused, message)
    }

    /// AWS does otherwise what stands under `path`.
    pub(crate) fn difference(path: &[&str], message: impl fmt::Display) -> Finding {
        Finding::new(path, Gravity::Difference, message)
    }

    fn new(path: &[&str], gravity: Gravity, message: impl fmt::Display) -> Finding {
        let path = path.iter().map(|key| (*key).to_owned()).collect();
        Finding { path, gravity, message: message.to_string(), help: None }
    }

    /// With what to write instead.
    #[must_use]
    pub(crate) fn help(mut self, help: impl fmt::Display) -> Finding {
        self.help = Some(help.to_string());
        self
    }
}

/// Everything in the plan that AWS does not take as it is, in the order of the plan. Empty for a plan without `[aws]`.
pub fn findings(plan: &Plan) -> Vec<Finding> {
    let Some(aws) = &plan.aws else { return Vec::new() };
    let mut findings = log_group::findings(plan, aws);
    findings.extend(metric_filter::findings(plan));
    findings.extend(alarm::findings(plan, aws));
    findings.extend(composite::findings(plan));
    findings.extend(mute::findings(plan, aws));
    findings.extend(topic::findings(plan, aws));
    findings.extend(queue::findings(plan, aws));
    findings.extend(app::findings(plan));
    findings.extend(security_group::findings(plan, aws));
    findings.extend(cis::findings(plan, aws));
    findings.extend(dashboard::findings(plan, aws));
    // What is refused has no template whose size could be told.
    if findings.iter().all(|finding| finding.gravity != Gravity::Refused) {
        findings.extend(pipeline::findings(plan, aws));
    }
    findings
}
