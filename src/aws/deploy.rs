//! Making stacks what they should be.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use watchbell_aws::Part;

use super::account::Account;
use super::change::Change;
use super::change_set::ChangeSet;
use super::error::{AwsError, wrong};
use super::event::Event;
use super::plan::{Outputs, StackPlan, Step};
use super::stack::{Standing, Wanted};

/// What was done with a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was made.
    Created,
    /// It was changed.
    Updated,
    /// It was as it should be.
    Unchanged,
    /// The plan had no use for it.
    Deleted,
}

/// A stack after a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deployment {
    /// What it is called.
    pub stack: String,
    /// What was done with it.
    pub outcome: Outcome,
    /// What it says to people.
    pub outputs: BTreeMap<String, String>,
}

impl Account {
    /// Makes the stacks what they should be, one after another, as `shown` has it; tells what happens.
    ///
    /// # Errors
    /// The first stack that fails ends it, and is rolled back by CloudFormation; those before it keep what they got.
    pub async fn deploy(
        &self,
        wanted: &[Wanted],
        shown: &[StackPlan],
        tell: &mut dyn FnMut(&Event),
    ) -> Result<Vec<Deployment>, AwsError> {
        let mut outputs = Outputs::default();
        let mut deployments = Vec::new();
        for wanted in wanted {
            let shown = shown.iter().find(|plan| plan.stack == wanted.name);
            deployments.push(self.deploy_stack(wanted, shown, &mut outputs, tell).await?);
        }
        for plan in shown.iter().filter(|plan| plan.step == Step::Delete) {
            self.delete(&plan.stack, tell).await?;
            let (stack, outputs) = (plan.stack.clone(), BTreeMap::new());
            deployments.push(Deployment { stack, outcome: Outcome::Deleted, outputs });
        }
        Ok(deployments)
    }

    async fn deploy_stack(
        &self,
        wanted: &Wanted,
        shown: Option<&StackPlan>,
        outputs: &mut Outputs,
        tell: &mut dyn FnMut(&Event),
    ) -> Result<Deployment, AwsError> {
        let name = &wanted.name;
        let mut deployed = self.stack_at_rest(name).await?;
        if deployed.as_ref().is_some_and(|deployed| deployed.standing() == Standing::RolledBack) {
            self.delete(name, tell).await?;
            deployed = None;
        }
        let old = match &deployed {
            Some(deployed) if deployed.standing() == Standing::Ready => self.template(name).await?,
            _ => None,
        };
        let parameters = outputs.fill(wanted).map_err(|unknown| AwsError::ChangeSet {
            stack: name.clone(),
            reason: format!("no earlier stack has an output {}", unknown.join(", ")),
        })?;
        let outcome = match self.propose(wanted, old.as_ref(), parameters).await? {
            None => Outcome::Unchanged,
            Some(set) => {
                if let Err(error) = within(name, &set.changes, shown) {
                    self.withdraw(name, &set.id).await?;
                    return Err(error);
                }
                self.carry_out(name, &set, tell).await?;
                if old.is_some() { Outcome::Updated } else { Outcome::Created }
            }
        };
        let vanished = || AwsError::Stuck { stack: name.clone(), status: "gone".to_owned(), reason: None };
        let deployed = self.stack(name).await?.ok_or_else(vanished)?;
        if wanted.part == Part::Data && !deployed.protected {
            self.protect(name, true).await?;
        }
        outputs.learn(&deployed);
        Ok(Deployment { stack: name.clone(), outcome, outputs: deployed.outputs })
    }

    async fn carry_out(
        &self,
        name: &str,
        set: &ChangeSet,
        tell: &mut dyn FnMut(&Event),
    ) -> Result<(), AwsError> {
        let before = self.newest_event(&set.stack_id).await?;
        self.execute(name, set).await?;
        let end = self.follow(&set.stack_id, before, tell).await?;
        match end.judged(name, &["CREATE_COMPLETE", "UPDATE_COMPLETE"]) {
            Err(AwsError::Failed { stack, status, resource, reason }) => {
                let reason = self.explained(&set.stack_id, None, reason).await;
                Err(AwsError::Failed { stack, status, resource, reason })
            }
            judged => judged,
        }
    }

    /// Whether a stack can be deleted only after somebody has allowed it.
    pub(super) async fn protect(&self, name: &str, protected: bool) -> Result<(), AwsError> {
        let call = self.cloudformation.update_termination_protection().stack_name(name);
        let answer = call.enable_termination_protection(protected).send().await;
        answer.map_err(|error| wrong(format!("setting the protection of stack {name}"), &error))?;
        Ok(())
    }
}

/// Nothing is lost that was not shown: what was not known then is known now.
fn within(stack: &str, changes: &[Change], shown: Option<&StackPlan>) -> Result<(), AwsError> {
    let shown: BTreeSet<_> = shown.into_iter().flat_map(StackPlan::losses).map(|(id, _)| id).collect();
    let more =
        changes.iter().filter(|change| change.action.is_loss() && !shown.contains(change.resource.as_str()));
    let resources: Vec<String> = more.map(|change| change.resource.clone()).collect();
    if resources.is_empty() {
        Ok(())
    } else {
        Err(AwsError::MoreThanShown { stack: stack.to_owned(), resources })
    }
}
