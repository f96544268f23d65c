//! What deploying would do.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::types::Parameter;
use serde::Serialize;
use serde_json::Value;
use watchbell_aws::Part;

use super::account::Account;
use super::change::{Action, Change, between};
use super::error::AwsError;
use super::stack::{Deployed, Standing, Wanted};

/// What would be done with a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It is made.
    Create,
    /// What is left of a creation that was rolled back goes, then it is made.
    Recreate,
    /// It is changed.
    Update,
    /// It is as it should be.
    Nothing,
    /// The plan has no use for it any more.
    Delete,
}

/// What would become of a stack.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StackPlan {
    /// What it is called.
    pub stack: String,
    /// What would be done with it.
    pub step: Step,
    /// What would become of its resources, in the order of their ids.
    pub changes: Vec<Change>,
    /// Parameters whose values only an earlier stack's deployment gives: without them the changes are those of the texts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// What it was made from.
    #[serde(skip)]
    pub old: Option<Value>,
    /// What it would be made from.
    #[serde(skip)]
    pub new: Option<Value>,
    #[serde(skip)]
    pub(super) part: Part,
}

/// Outputs of earlier stacks.
#[derive(Debug, Default)]
pub(super) struct Outputs(BTreeMap<String, String>);

impl Outputs {
    pub(super) fn learn(&mut self, deployed: &Deployed) {
        self.0.extend(deployed.outputs.clone());
    }

    /// The values of a stack's parameters, or the names of those that are not known.
    pub(super) fn fill(&self, wanted: &Wanted) -> Result<Vec<Parameter>, Vec<String>> {
        let (known, unknown): (Vec<&str>, Vec<&str>) =
            wanted.parameters().partition(|name| self.0.contains_key(*name));
        if !unknown.is_empty() {
            return Err(unknown.into_iter().map(str::to_owned).collect());
        }
        let parameter =
            |name: &str| Parameter::builder().parameter_key(name).parameter_value(&self.0[name]).build();
        Ok(known.into_iter().map(parameter).collect())
    }
}

impl Account {
    /// What deploying these stacks would do; nothing is different afterwards.
    ///
    /// # Errors
    /// A stack is busy, stuck or somebody else's; CloudFormation does not take a template; what AWS says.
    pub async fn plan(&self, wanted: &[Wanted]) -> Result<Vec<StackPlan>, AwsError> {
        let mut outputs = Outputs::default();
        let mut plans = Vec::new();
        for wanted in wanted {
            plans.push(self.plan_stack(wanted, &mut outputs).await?);
        }
        for part in Part::ALL.into_iter().rev() {
            if part != Part::Data && !wanted.iter().any(|wanted| wanted.part == part) {
                plans.extend(self.plan_deletion(part).await?);
            }
        }
        Ok(plans)
    }

    async fn plan_stack(&self, wanted: &Wanted, outputs: &mut Outputs) -> Result<StackPlan, AwsError> {
        let deployed = self.stack_at_rest(&wanted.name).await?;
        let standing = deployed.as_ref().map(Deployed::standing);
        let old = match standing {
            Some(Standing::Ready) => self.template(&wanted.name).await?,
            _ => None,
        };
        let plan = |step, changes, unknown| StackPlan {
            stack: wanted.name.clone(),
            step,
            changes,
            unknown,
            old: old.clone(),
            new: Some(wanted.template.clone()),
            part: wanted.part,
        };
        let in_texts = || between(old.as_ref(), Some(&wanted.template));
        if standing == Some(Standing::RolledBack) {
            return Ok(plan(Step::Recreate, in_texts(), Vec::new()));
        }
        let step = if old.is_some() { Step::Update } else { Step::Create };
        let parameters = match outputs.fill(wanted) {
            Ok(parameters) => parameters,
            // The texts may be the same and the values not, so this is never "nothing".
            Err(unknown) => return Ok(plan(step, in_texts(), unknown)),
        };
        let set = self.propose(wanted, old.as_ref(), parameters).await?;
        let changes = match set {
            None => None,
            Some(set) => {
                self.withdraw(&wanted.name, &set.id).await?;
                Some(set.changes)
            }
        };
        if deployed.is_none() {
            self.forget(&wanted.name).await?;
        }
        // A resource that is replaced may give another output: then the old one is worth nothing.
        let is_stable = changes.iter().flatten().all(|change| !change.action.is_loss());
        if let Some(deployed) = deployed.filter(|_| is_stable && step == Step::Update) {
            outputs.learn(&deployed);
        }
        Ok(match changes {
            None => plan(Step::Nothing, Vec::new(), Vec::new()),
            Some(changes) => plan(step, changes, Vec::new()),
        })
    }

    async fn plan_deletion(&self, part: Part) -> Result<Option<StackPlan>, AwsError> {
        let name = self.name_of(part);
        // What is not ours is not in the way here.
        let deployed = match self.stack(&name).await {
            Err(AwsError::Foreign { .. }) => None,
            other => other?,
        };
        let Some(deployed) = deployed else { return Ok(None) };
        let old = match deployed.standing() {
            Standing::Empty => None,
            Standing::Busy => return Err(AwsError::Busy { stack: name, status: deployed.status }),
            _ => self.template(&name).await?,
        };
        let changes = between(old.as_ref(), None);
        Ok(Some(StackPlan {
            stack: name,
            step: Step::Delete,
            changes,
            unknown: Vec::new(),
            old,
            new: None,
            part,
        }))
    }
}

impl StackPlan {
    /// What of it may be lost.
    pub(super) fn losses(&self) -> impl Iterator<Item = (&str, Action)> {
        let lost = self.changes.iter().filter(|change| change.action.is_loss());
        lost.map(|change| (change.resource.as_str(), change.action))
    }
}
