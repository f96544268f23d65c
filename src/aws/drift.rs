//! Drift: what somebody has changed past CloudFormation.

use aws_sdk_cloudformation::types::{
    StackDriftDetectionStatus, StackResourceDrift, StackResourceDriftStatus,
};
use serde::Serialize;

use super::account::{Account, Waits};
use super::change::Property;
use super::error::{AwsError, wrong};

/// How far a stack is from its template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// `IN_SYNC`, `DRIFTED`, `NOT_CHECKED` or `UNKNOWN`.
    pub status: String,
    /// What differs.
    pub resources: Vec<Drifted>,
}

/// A resource that is not as its template says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drifted {
    /// Its id in the template.
    pub resource: String,
    /// Its type.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// `MODIFIED` or `DELETED`.
    pub status: String,
    /// What of it differs: before is what the template says, after what it is.
    pub properties: Vec<Property>,
}

impl Drifted {
    fn of(drift: &StackResourceDrift) -> Drifted {
        let text = |value: Option<&str>| value.map(str::to_owned);
        let properties = drift.property_differences().iter().map(|difference| Property {
            path: text(difference.property_path()).unwrap_or_default(),
            before: text(difference.expected_value()),
            after: text(difference.actual_value()),
            because_of: None,
        });
        Drifted {
            resource: text(drift.logical_resource_id()).unwrap_or_default(),
            resource_type: text(drift.resource_type()).unwrap_or_default(),
            status: text(drift.stack_resource_drift_status().map(StackResourceDriftStatus::as_str))
                .unwrap_or_default(),
            properties: properties.collect(),
        }
    }
}

impl Account {
    /// Has CloudFormation compare a stack with its template.
    ///
    /// # Errors
    /// What AWS says.
    pub async fn drift(&self, stack: &str) -> Result<Drift, AwsError> {
        let call = || format!("looking for drift in stack {stack}");
        let begun = self.cloudformation.detect_stack_drift().stack_name(stack).send().await;
        let begun = begun.map_err(|error| wrong(call(), &error))?;
        let id = begun.stack_drift_detection_id().unwrap_or_default();
        let mut waits = Waits::new();
        let status = loop {
            let look =
                self.cloudformation.describe_stack_drift_detection_status().stack_drift_detection_id(id);
            let answer = look.send().await.map_err(|error| wrong(call(), &error))?;
            match answer.detection_status() {
                Some(StackDriftDetectionStatus::DetectionInProgress) => waits.wait().await,
                Some(StackDriftDetectionStatus::DetectionComplete) => {
                    break answer.stack_drift_status().map_or("UNKNOWN", |status| status.as_str()).to_owned();
                }
                _ => {
                    let message = answer.detection_status_reason().unwrap_or("it gives no reason").to_owned();
                    return Err(AwsError::Refused {
                        call: call(),
                        code: "DETECTION_FAILED".to_owned(),
                        message,
                    });
                }
            }
        };
        let (mut resources, mut page) = (Vec::new(), None);
        loop {
            let answer = self
                .cloudformation
                .describe_stack_resource_drifts()
                .stack_name(stack)
                .stack_resource_drift_status_filters(StackResourceDriftStatus::Modified)
                .stack_resource_drift_status_filters(StackResourceDriftStatus::Deleted)
                .set_next_token(page)
                .send()
                .await
                .map_err(|error| wrong(call(), &error))?;
            resources.extend(answer.stack_resource_drifts().iter().map(Drifted::of));
            page = answer.next_token().map(str::to_owned);
            if page.is_none() {
                resources.sort_by(|one: &Drifted, other| one.resource.cmp(&other.resource));
                return Ok(Drift { status, resources });
            }
        }
    }
}
