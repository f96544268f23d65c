//! Taking stacks down.

use serde::Serialize;
use serde_json::Value;
use watchbell_aws::Part;

use super::account::Account;
use super::error::{AwsError, wrong};
use super::event::Event;
use super::stack::Standing;

/// A resource that stays although its stack is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Its type.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// What it is called on AWS.
    pub name: String,
}

/// A stack that is gone, or that will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Destroyed {
    /// What it was called.
    pub stack: String,
    /// What of it stays.
    pub kept: Vec<Kept>,
}

impl Account {
    /// The stacks of this plan that are there, in the order in which they go, with what will stay of them; that of
    /// `data` only if asked for.
    ///
    /// # Errors
    /// A stack is busy or somebody else's; what AWS says.
    pub async fn destroyable(&self, with_data: bool) -> Result<Vec<Destroyed>, AwsError> {
        let mut there = Vec::new();
        for part in Part::ALL.into_iter().rev().filter(|part| with_data || *part != Part::Data) {
            let name = self.name_of(part);
            let Some(deployed) = self.stack(&name).await? else { continue };
            let kept = match deployed.standing() {
                Standing::Busy => return Err(AwsError::Busy { stack: name, status: deployed.status }),
                Standing::Empty => Vec::new(),
                _ => self.retained(&name).await?,
            };
            there.push(Destroyed { stack: name, kept });
        }
        Ok(there)
    }

    /// Takes these stacks down, one after another; tells what happens.
    ///
    /// # Errors
    /// The first that fails ends it; those before it are gone.
    pub async fn destroy(&self, stacks: &[Destroyed], tell: &mut dyn FnMut(&Event)) -> Result<(), AwsError> {
        for stack in stacks {
            if stack.stack == self.name_of(Part::Data) {
                self.protect(&stack.stack, false).await?;
            }
            self.delete(&stack.stack, tell).await?;
        }
        Ok(())
    }

    /// Deletes a stack and waits until it is gone.
    pub(super) async fn delete(&self, name: &str, tell: &mut dyn FnMut(&Event)) -> Result<(), AwsError> {
        let Some(deployed) = self.stack(name).await? else { return Ok(()) };
        let before = self.newest_event(&deployed.id).await?;
        let answer = self.cloudformation.delete_stack().stack_name(name).send().await;
        answer.map_err(|error| wrong(format!("deleting stack {name}"), &error))?;
        if deployed.standing() == Standing::Empty {
            return Ok(());
        }
        // By its ARN: the name of a stack that is gone means nothing.
        self.follow(&deployed.id, before, tell).await?.judged(name, &["DELETE_COMPLETE"])
    }

    /// Resources that its template says to keep.
    async fn retained(&self, name: &str) -> Result<Vec<Kept>, AwsError> {
        let template = self.template(name).await?.unwrap_or(Value::Null);
        let (mut kept, mut page) = (Vec::new(), None);
        loop {
            let call = self.cloudformation.list_stack_resources().stack_name(name).set_next_token(page);
            let answer = call.send().await;
            let answer =
                answer.map_err(|error| wrong(format!("listing the resources of stack {name}"), &error))?;
            for resource in answer.stack_resource_summaries() {
                let id = resource.logical_resource_id().unwrap_or_default();
                let policy = &template["Resources"][id]["DeletionPolicy"];
                if policy == "Retain" || policy == "RetainExceptOnCreate" {
                    kept.push(Kept {
                        resource_type: resource.resource_type().unwrap_or_default().to_owned(),
                        name: resource.physical_resource_id().unwrap_or(id).to_owned(),
                    });
                }
            }
            page = answer.next_token().map(str::to_owned);
            if page.is_none() {
                kept.sort_by(|one: &Kept, other| {
                    (&one.resource_type, &one.name).cmp(&(&other.resource_type, &other.name))
                });
                return Ok(kept);
            }
        }
    }
}
