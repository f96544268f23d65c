//! What AWS makes of a plan that nobody would expect, or cannot make of it at all.

use watchbell_model::Plan;

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

/// Everything in the plan that AWS does not take as it is, in the order of the plan. Empty for a plan without `[aws]`.
pub fn findings(plan: &Plan) -> Vec<Finding> {
    crate::app::findings(plan)
}
