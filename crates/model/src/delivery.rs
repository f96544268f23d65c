//! What became of telling someone.

use serde::{Deserialize, Serialize};

use crate::DecisionId;

/// How one attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum DeliveryOutcome {
    /// The receiver took it.
    Delivered,
    /// It did not; another attempt follows.
    Failed {
        /// What the receiver or the network said; holds no secret.
        reason: String,
    },
    /// It did not, and there will be no other attempt.
    GaveUp {
        /// Why.
        reason: String,
    },
}

/// One attempt to tell one subscription of one decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// What was told.
    pub decision: DecisionId,
    /// The topic.
    pub topic: String,
    /// The subscription within the topic.
    pub subscription: String,
    /// From 1.
    pub attempt: u32,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: DeliveryOutcome,
}

impl Delivery {
    /// Whether no further attempt follows.
    pub fn is_final(&self) -> bool {
        !matches!(self.outcome, DeliveryOutcome::Failed { .. })
    }
}
