//! Secrets: that there is one and what it is called, never what it is.

use serde_json::json;
use watchbell_model::{Aws, SecretPlan};

use crate::key;
use crate::name::logical_id;
use crate::template::{Resource, Template};

/// Adds a secret without a value. One is put there by people, with `watchbell aws secret put`.
///
/// Source: AWS CloudFormation User Guide, `AWS::SecretsManager::Secret`: without `SecretString` and
/// `GenerateSecretString` the secret is empty.
pub(crate) fn add(template: &mut Template, aws: &Aws, name: &str, plan: &SecretPlan) {
    let id = logical_id("Secret", name);
    let stored_as = secret_name(aws, name);
    let description =
        plan.description.clone().unwrap_or_else(|| format!("The secret {name} of {}", aws.name));
    let properties = json!({ "Name": stored_as, "Description": description, "KmsKeyId": key::key_arn() });
    let secret = Resource::new("AWS::SecretsManager::Secret", properties);
    template.add(&id, secret.tagged(&aws.tags, &stored_as).retained());
    template.output(id, "The name of a secret.", json!(stored_as));
}

/// What a secret of the plan is called on AWS: `shop/hook-key`.
pub(crate) fn secret_name(aws: &Aws, name: &str) -> String {
    format!("{}/{name}", aws.name)
}
