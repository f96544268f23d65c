//! Events of a stack: what is going on in it, and what went wrong first.

use aws_sdk_cloudformation::types::{EventFilter, StackEvent};
use serde::Serialize;

use super::account::{Account, Waits};
use super::error::{AwsError, wrong};

/// Something that happened to a resource of a stack, or to the stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The stack.
    pub stack: String,
    /// The resource, by its id in the template, or the stack.
    pub resource: String,
    /// Its type.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Its status, in CloudFormation's words.
    pub status: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip)]
    id: String,
    #[serde(skip)]
    is_of_stack: bool,
}

impl Event {
    fn of(event: &StackEvent) -> Event {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        Event {
            stack: text(event.stack_name()),
            resource: text(event.logical_resource_id()),
            resource_type: text(event.resource_type()),
            status: text(event.resource_status().map(aws_sdk_cloudformation::types::ResourceStatus::as_str)),
            reason: event.resource_status_reason().filter(|reason| !reason.is_empty()).map(str::to_owned),
            id: text(event.event_id()),
            is_of_stack: event.physical_resource_id() == event.stack_id(),
        }
    }

    /// Whether it says that the stack is done with what it did.
    fn is_end(&self) -> bool {
        self.is_of_stack && (self.status.ends_with("_COMPLETE") || self.status.ends_with("_FAILED"))
    }

    /// Whether something did not work, and not only because something else had not.
    fn is_cause(&self) -> bool {
        let follows = |reason: &String| reason.to_ascii_lowercase().contains("cancelled");
        self.status.ends_with("_FAILED") && !self.is_of_stack && !self.reason.as_ref().is_some_and(follows)
    }
}

/// What went wrong first; the stack's own event if no resource says more.
pub(super) fn cause(events: &[Event]) -> Option<&Event> {
    let of_stack = || events.iter().find(|event| event.is_of_stack && event.status.ends_with("_FAILED"));
    let rolled_back = || events.iter().find(|event| event.is_of_stack && event.status.contains("ROLLBACK"));
    events.iter().find(|event| event.is_cause()).or_else(of_stack).or_else(rolled_back)
}

/// How what was begun has ended.
pub(super) struct End {
    /// The status of the stack.
    pub(super) status: String,
    /// Everything that happened, oldest first.
    pub(super) events: Vec<Event>,
}

impl End {
    /// Nothing if it is well, or why it is not.
    pub(super) fn judged(self, stack: &str, good: &[&str]) -> Result<(), AwsError> {
        if good.contains(&self.status.as_str()) {
            return Ok(());
        }
        let (resource, reason) = match cause(&self.events) {
            Some(event) => {
                let resource = format!("{} ({})", event.resource, event.resource_type);
                (
                    resource,
                    event.reason.clone().unwrap_or_else(|| "CloudFormation gives no reason".to_owned()),
                )
            }
            None => ("the stack".to_owned(), "CloudFormation gives no reason".to_owned()),
        };
        Err(AwsError::Failed { stack: stack.to_owned(), status: self.status, resource, reason })
    }
}

impl Account {
    /// A reason that only points at CloudFormation's validation, with what that found; any other as it is.
    pub(super) async fn explained(&self, stack: &str, change_set: Option<&str>, reason: String) -> String {
        if !reason.contains("DescribeEvents") {
            return reason;
        }
        let call =
            self.cloudformation.describe_events().filters(EventFilter::builder().failed_events(true).build());
        let call = match change_set {
            Some(change_set) => call.change_set_name(change_set),
            None => call.stack_name(stack),
        };
        // Without an answer, the reason that is known is the best one.
        let Ok(answer) = call.send().await else { return reason };
        let found: Vec<String> = answer
            .operation_events()
            .iter()
            .filter_map(|event| {
                let (resource, found) = (event.logical_resource_id()?, event.validation_status_reason()?);
                let path = event.validation_path().map_or_else(String::new, |path| format!(" ({path})"));
                Some(format!("{resource}: {found}{path}"))
            })
            .collect();
        if found.is_empty() { reason } else { found.join("; ") }
    }

    /// The newest event of a stack: what comes after it is new.
    pub(super) async fn newest_event(&self, stack_id: &str) -> Result<Option<String>, AwsError> {
        let answer = self.cloudformation.describe_stack_events().stack_name(stack_id).send().await;
        let answer = answer.map_err(|error| wrong(format!("reading the events of {stack_id}"), &error))?;
        Ok(answer.stack_events().first().and_then(|event| event.event_id()).map(str::to_owned))
    }

    /// Tells what happens to a stack after the event `after`, until it is done.
    pub(super) async fn follow(
        &self,
        stack_id: &str,
        after: Option<String>,
        tell: &mut dyn FnMut(&Event),
    ) -> Result<End, AwsError> {
        let (mut known, mut events, mut waits) = (after, Vec::<Event>::new(), Waits::new());
        loop {
            for event in self.events_after(stack_id, known.as_deref()).await? {
                known = Some(event.id.clone());
                tell(&event);
                events.push(event);
            }
            if let Some(status) =
                events.iter().rev().find(|event| event.is_end()).map(|event| event.status.clone())
            {
                return Ok(End { status, events });
            }
            waits.wait().await;
        }
    }

    /// Oldest first.
    async fn events_after(&self, stack_id: &str, known: Option<&str>) -> Result<Vec<Event>, AwsError> {
        let (mut events, mut page) = (Vec::new(), None);
        'pages: loop {
            let call = self.cloudformation.describe_stack_events().stack_name(stack_id).set_next_token(page);
            let answer = call.send().await;
            let answer =
                answer.map_err(|error| wrong(format!("reading the events of {stack_id}"), &error))?;
            for event in answer.stack_events() {
                if known.is_some() && event.event_id() == known {
                    break 'pages;
                }
                events.push(Event::of(event));
            }
            page = answer.next_token().map(str::to_owned);
            if page.is_none() {
                break;
            }
        }
        events.reverse();
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(resource: &str, status: &str, reason: &str) -> Event {
        Event {
            stack: "shop-app".to_owned(),
            resource: resource.to_owned(),
            resource_type: "AWS::SQS::Queue".to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
            id: String::new(),
            is_of_stack: resource == "shop-app",
        }
    }

    #[test]
    fn the_cause_is_the_first_that_failed_on_its_own() {
        let events = [
            event("shop-app", "CREATE_IN_PROGRESS", ""),
            event("A", "CREATE_FAILED", "Resource creation cancelled"),
            event("B", "CREATE_FAILED", "bucket is taken"),
            event("C", "CREATE_FAILED", "something later"),
            event("shop-app", "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [A, B]"),
            event("shop-app", "ROLLBACK_COMPLETE", ""),
        ];
        assert_eq!(cause(&events).map(|event| event.resource.as_str()), Some("B"));
        let end = End { status: "ROLLBACK_COMPLETE".to_owned(), events: events.to_vec() };
        let error = end.judged("shop-app", &["CREATE_COMPLETE"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "stack shop-app is ROLLBACK_COMPLETE: B (AWS::SQS::Queue): bucket is taken"
        );
    }

    #[test]
    fn a_stack_that_alone_knows_why_is_heard() {
        let events = [
            event("shop-app", "ROLLBACK_IN_PROGRESS", "Parameter x is bad"),
            event("shop-app", "ROLLBACK_COMPLETE", ""),
        ];
        assert_eq!(cause(&events).and_then(|event| event.reason.as_deref()), Some("Parameter x is bad"));
        assert_eq!(cause(&[event("A", "CREATE_COMPLETE", "")]), None);
    }

    #[test]
    fn only_the_stacks_own_event_ends_it() {
        assert!(event("shop-app", "UPDATE_COMPLETE", "").is_end());
        assert!(!event("shop-app", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "").is_end());
        assert!(!event("A", "UPDATE_COMPLETE", "").is_end());
    }
}
