//! Stacks: as they are wanted, and as they are there.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::types::{Stack, TemplateStage};
use serde::Serialize;
use serde_json::Value;
use watchbell_aws::Part;

use super::account::Account;
use super::error::{AwsError, wrong};

/// The tag of every stack that is made here; its value is `name` of `[aws]`.
pub(super) const TAG: &str = "watchbell";

/// A stack as it is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Which part it is.
    pub part: Part,
    /// What it is called.
    pub name: String,
    /// What is in it.
    pub template: Value,
}

impl From<&watchbell_aws::Stack> for Wanted {
    fn from(stack: &watchbell_aws::Stack) -> Wanted {
        Wanted { part: stack.part, name: stack.name.clone(), template: stack.template.to_value() }
    }
}

impl Wanted {
    /// The parameters that another stack's output must fill in.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        let all = self.template["Parameters"].as_object().into_iter().flatten();
        all.filter(|(_, parameter)| parameter.get("Default").is_none()).map(|(name, _)| name.as_str())
    }
}

/// What can be done with a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is in it yet.
    Empty,
    /// It can be changed.
    Ready,
    /// Its creation was rolled back: it can only be deleted.
    RolledBack,
    /// Something is going on.
    Busy,
    /// A person must look.
    Stuck,
}

/// A stack as it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deployed {
    /// Its ARN.
    pub id: String,
    /// Its status, in CloudFormation's words.
    pub status: String,
    /// Why it is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was last changed, in seconds since 1970.
    pub changed_s: i64,
    /// Whether it can be deleted only after somebody has allowed it.
    pub protected: bool,
    /// What it says to other stacks and to people.
    pub outputs: BTreeMap<String, String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl Deployed {
    fn of(stack: &Stack) -> Deployed {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let changed = stack.last_updated_time().or(stack.creation_time());
        Deployed {
            id: text(stack.stack_id()),
            status: text(stack.stack_status().map(aws_sdk_cloudformation::types::StackStatus::as_str)),
            reason: stack.stack_status_reason().filter(|reason| !reason.is_empty()).map(str::to_owned),
            changed_s: changed.map_or(0, aws_sdk_cloudformation::primitives::DateTime::secs),
            protected: stack.enable_termination_protection().unwrap_or(false),
            outputs: stack
                .outputs()
                .iter()
                .map(|output| (text(output.output_key()), text(output.output_value())))
                .collect(),
            tags: stack.tags().iter().map(|tag| (text(tag.key()), text(tag.value()))).collect(),
        }
    }

    /// What can be done with it.
    pub fn standing(&self) -> Standing {
        match self.status.as_str() {
            "REVIEW_IN_PROGRESS" => Standing::Empty,
            "ROLLBACK_COMPLETE" => Standing::RolledBack,
            "CREATE_COMPLETE"
            | "UPDATE_COMPLETE"
            | "UPDATE_ROLLBACK_COMPLETE"
            | "IMPORT_COMPLETE"
            | "IMPORT_ROLLBACK_COMPLETE" => Standing::Ready,
            status if status.ends_with("_IN_PROGRESS") => Standing::Busy,
            _ => Standing::Stuck,
        }
    }
}

impl Account {
    /// The stack of this name as it is there, if it is.
    ///
    /// # Errors
    /// [`AwsError::Foreign`] if it is there and was not made here; what AWS says.
    pub async fn stack(&self, name: &str) -> Result<Option<Deployed>, AwsError> {
        let Some(deployed) = self.describe(name).await? else { return Ok(None) };
        // One that has nothing in it yet may have no tags yet either, and nobody misses it.
        let is_ours =
            deployed.tags.get(TAG) == Some(&self.aws.name) || deployed.standing() == Standing::Empty;
        if !is_ours {
            return Err(AwsError::Foreign { stack: name.to_owned() });
        }
        Ok(Some(deployed))
    }

    /// The same, and it can be changed or is not there.
    pub(super) async fn stack_at_rest(&self, name: &str) -> Result<Option<Deployed>, AwsError> {
        let Some(deployed) = self.stack(name).await? else { return Ok(None) };
        let stack = name.to_owned();
        match deployed.standing() {
            Standing::Empty | Standing::Ready | Standing::RolledBack => Ok(Some(deployed)),
            Standing::Busy => Err(AwsError::Busy { stack, status: deployed.status }),
            Standing::Stuck => {
                Err(AwsError::Stuck { stack, status: deployed.status, reason: deployed.reason })
            }
        }
    }

    pub(super) async fn describe(&self, name: &str) -> Result<Option<Deployed>, AwsError> {
        let answer = self.cloudformation.describe_stacks().stack_name(name).send().await;
        let answer = match answer.map_err(|error| wrong(format!("describing stack {name}"), &error)) {
            Ok(answer) => answer,
            // CloudFormation has no code of its own for this.
            Err(AwsError::Refused { code, message, .. })
                if code == "ValidationError" && message.contains("does not exist") =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let stack = answer.stacks().first().map(Deployed::of);
        Ok(stack.filter(|stack| stack.status != "DELETE_COMPLETE"))
    }

    /// The template that a stack was made from; `None` if it is not JSON, so not ours.
    pub(super) async fn template(&self, name: &str) -> Result<Option<Value>, AwsError> {
        let call =
            self.cloudformation.get_template().stack_name(name).template_stage(TemplateStage::Original);
        let answer = call.send().await;
        let answer =
            answer.map_err(|error| wrong(format!("reading the template of stack {name}"), &error))?;
        Ok(answer.template_body().and_then(|body| serde_json::from_str(body).ok()))
    }

    /// What the stack of a part is called, whether the plan has it or not.
    pub(super) fn name_of(&self, part: Part) -> String {
        format!("{}-{part}", self.aws.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_standing() {
        let standing = |status: &str| {
            let empty = BTreeMap::new();
            let deployed = Deployed {
                id: String::new(),
                status: status.to_owned(),
                reason: None,
                changed_s: 0,
                protected: false,
                outputs: empty.clone(),
                tags: empty,
            };
            deployed.standing()
        };
        assert_eq!(standing("REVIEW_IN_PROGRESS"), Standing::Empty);
        assert_eq!(standing("UPDATE_ROLLBACK_COMPLETE"), Standing::Ready);
        assert_eq!(standing("ROLLBACK_COMPLETE"), Standing::RolledBack);
        assert_eq!(standing("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"), Standing::Busy);
        for stuck in ["UPDATE_ROLLBACK_FAILED", "DELETE_FAILED", "ROLLBACK_FAILED", "CREATE_FAILED"] {
            assert_eq!(standing(stuck), Standing::Stuck, "{stuck}");
        }
    }
}
