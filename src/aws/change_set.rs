//! Change sets: what CloudFormation says it would do, and having it done.

use aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput;
use aws_sdk_cloudformation::types::{
    Capability, ChangeAction, ChangeSetStatus, ChangeSetType, Parameter, Replacement, ResourceChange,
    ResourceChangeDetail, Tag,
};
use serde_json::Value;

use super::account::{Account, Waits};
use super::change::{Action, Change, Property, Said, completed};
use super::error::{AwsError, wrong};
use super::stack::{TAG, Wanted};
use super::upload::Sent;

/// A change set that has something in it.
#[derive(Debug)]
pub(super) struct ChangeSet {
    /// Its ARN.
    pub(super) id: String,
    /// The ARN of its stack.
    pub(super) stack_id: String,
    /// What it would do.
    pub(super) changes: Vec<Change>,
}

impl Account {
    /// Has CloudFormation work out what a template would change; `None`: nothing. `old` is what the stack was made from,
    /// `None` if nothing is in it.
    pub(super) async fn propose(
        &self,
        wanted: &Wanted,
        old: Option<&Value>,
        parameters: Vec<Parameter>,
    ) -> Result<Option<ChangeSet>, AwsError> {
        let stack = &wanted.name;
        let kind = if old.is_some() { ChangeSetType::Update } else { ChangeSetType::Create };
        let call = self
            .cloudformation
            .create_change_set()
            .stack_name(stack)
            .change_set_name(self.change_set_name())
            .change_set_type(kind)
            .capabilities(Capability::CapabilityIam)
            // What a stack left when it was destroyed is there under its name: without this a new one could not be made.
            .import_existing_resources(true)
            .set_parameters(Some(parameters))
            .set_tags(Some(self.tags()));
        let call = match self.sent(wanted).await? {
            Sent::Body(body) => call.template_body(body),
            Sent::Url(url) => call.template_url(url),
        };
        let made = call.send().await;
        let made =
            made.map_err(|error| match wrong(format!("making a change set of stack {stack}"), &error) {
                AwsError::Refused { code, message, .. } if code == "ValidationError" => {
                    AwsError::ChangeSet { stack: stack.clone(), reason: message }
                }
                error => error,
            })?;
        let id = made.id().unwrap_or_default().to_owned();
        let mut waits = Waits::new();
        loop {
            let first = self.describe_change_set(stack, &id, None).await?;
            match first.status() {
                Some(ChangeSetStatus::CreateComplete) => {
                    let changes = self.changes(stack, &id, first, old, &wanted.template).await?;
                    let stack_id = made.stack_id().unwrap_or(stack).to_owned();
                    return Ok(Some(ChangeSet { id, stack_id, changes }));
                }
                Some(ChangeSetStatus::Failed) => {
                    let reason = first.status_reason().unwrap_or("it gives no reason").to_owned();
                    let reason = self.explained(stack, Some(&id), reason).await;
                    self.withdraw(stack, &id).await?;
                    if says_nothing_changes(&reason) {
                        return Ok(None);
                    }
                    return Err(AwsError::ChangeSet { stack: stack.clone(), reason });
                }
                _ => waits.wait().await,
            }
        }
    }

    fn tags(&self) -> Vec<Tag> {
        let own = (TAG, self.aws.name.as_str());
        let all = self.aws.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let all = all.filter(|(key, _)| *key != TAG).chain([own]);
        all.map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
    }

    async fn describe_change_set(
        &self,
        stack: &str,
        id: &str,
        page: Option<String>,
    ) -> Result<DescribeChangeSetOutput, AwsError> {
        let call = self.cloudformation.describe_change_set().stack_name(stack).change_set_name(id);
        let answer = call.include_property_values(true).set_next_token(page).send().await;
        answer.map_err(|error| wrong(format!("reading the change set of stack {stack}"), &error))
    }

    async fn changes(
        &self,
        stack: &str,
        id: &str,
        mut page: DescribeChangeSetOutput,
        old: Option<&Value>,
        new: &Value,
    ) -> Result<Vec<Change>, AwsError> {
        let mut changes = Vec::new();
        loop {
            let here = page.changes().iter().filter_map(|change| change.resource_change());
            changes.extend(here.map(|change| completed(said(change), old, new)));
            let Some(next) = page.next_token().map(str::to_owned) else { break };
            page = self.describe_change_set(stack, id, Some(next)).await?;
        }
        changes.sort_by(|one, other| one.resource.cmp(&other.resource));
        Ok(changes)
    }

    /// Takes a change set back; a stack that only it has made goes with [`Account::forget`].
    pub(super) async fn withdraw(&self, stack: &str, id: &str) -> Result<(), AwsError> {
        let call = self.cloudformation.delete_change_set().stack_name(stack).change_set_name(id);
        let answer = call.send().await;
        answer.map_err(|error| wrong(format!("deleting the change set of stack {stack}"), &error))?;
        Ok(())
    }

    /// Removes a stack that has nothing in it: what a change set for a new stack leaves behind.
    pub(super) async fn forget(&self, stack: &str) -> Result<(), AwsError> {
        let answer = self.cloudformation.delete_stack().stack_name(stack).send().await;
        answer.map_err(|error| wrong(format!("deleting the empty stack {stack}"), &error))?;
        // Until it is gone, its name is taken.
        let mut waits = Waits::new();
        while self.describe(stack).await?.is_some() {
            waits.wait().await;
        }
        Ok(())
    }

    /// Has a change set done; what comes of it is in the stack's events.
    pub(super) async fn execute(&self, stack: &str, set: &ChangeSet) -> Result<(), AwsError> {
        let call = self.cloudformation.execute_change_set().stack_name(stack).change_set_name(&set.id);
        let answer = call.send().await;
        answer.map_err(|error| wrong(format!("executing the change set of stack {stack}"), &error))?;
        Ok(())
    }
}

/// Source: CloudFormation's texts; there is no status for it.
fn says_nothing_changes(reason: &str) -> bool {
    reason.contains("didn't contain changes") || reason.contains("No updates are to be performed")
}

fn said(change: &ResourceChange) -> Said {
    let action = match (change.action(), change.replacement()) {
        (Some(ChangeAction::Add), _) => Action::Add,
        (Some(ChangeAction::Import), _) => Action::Import,
        (Some(ChangeAction::Remove), _) => Action::Remove,
        (Some(ChangeAction::Modify), None | Some(Replacement::False)) => Action::Modify,
        (_, Some(Replacement::True)) => Action::Replace,
        _ => Action::MayReplace,
    };
    Said {
        resource: change.logical_resource_id().unwrap_or_default().to_owned(),
        resource_type: change.resource_type().unwrap_or_default().to_owned(),
        action,
        properties: change.details().iter().map(property).collect(),
    }
}

fn property(detail: &ResourceChangeDetail) -> Property {
    let target = detail.target();
    let attribute = target.and_then(|target| target.attribute()).map_or("", |attribute| attribute.as_str());
    let name = target.and_then(|target| target.name());
    let text = |value: Option<&str>| value.map(str::to_owned);
    Property {
        path: name.unwrap_or(attribute).to_owned(),
        before: text(target.and_then(|target| target.before_value())),
        after: text(target.and_then(|target| target.after_value())),
        because_of: text(detail.causing_entity()),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudformation::types::{ResourceAttribute, ResourceTargetDefinition};

    use super::*;

    #[test]
    fn what_is_replaced_is_what_the_change_set_says() {
        let action = |action, replacement: Option<Replacement>| {
            said(&ResourceChange::builder().action(action).set_replacement(replacement).build()).action
        };
        assert_eq!(action(ChangeAction::Add, None), Action::Add);
        assert_eq!(action(ChangeAction::Remove, None), Action::Remove);
        assert_eq!(action(ChangeAction::Modify, None), Action::Modify);
        assert_eq!(action(ChangeAction::Modify, Some(Replacement::False)), Action::Modify);
        assert_eq!(action(ChangeAction::Modify, Some(Replacement::True)), Action::Replace);
        assert_eq!(action(ChangeAction::Modify, Some(Replacement::Conditional)), Action::MayReplace);
        assert_eq!(action(ChangeAction::Dynamic, None), Action::MayReplace);
    }

    #[test]
    fn a_property_has_its_name_and_an_attribute_its_own() {
        let of = |target: ResourceTargetDefinition| {
            property(&ResourceChangeDetail::builder().target(target).build())
        };
        let target = ResourceTargetDefinition::builder().attribute(ResourceAttribute::Properties);
        let named = of(target.name("Threshold").before_value("5").after_value("10").build());
        assert_eq!((named.path.as_str(), named.before.as_deref()), ("Threshold", Some("5")));
        let tags = of(ResourceTargetDefinition::builder().attribute(ResourceAttribute::Tags).build());
        assert_eq!(tags.path, "Tags");
    }

    #[test]
    fn only_these_words_mean_that_nothing_changes() {
        let same = "The submitted information didn't contain changes. Submit different information to create a change set.";
        assert!(says_nothing_changes(same) && says_nothing_changes("No updates are to be performed."));
        assert!(!says_nothing_changes(
            "Template error: instance of Fn::GetAtt references undefined resource X"
        ));
    }
}
