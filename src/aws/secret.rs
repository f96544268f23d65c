//! Values of secrets.

use super::account::Account;
use super::error::{AwsError, wrong};

/// Longest value, in bytes.
///
/// Source: AWS Secrets Manager API Reference, `PutSecretValue`, `SecretString`.
pub const SECRET_BYTES_MAX: usize = 65_536;

impl Account {
    /// Gives a secret of the plan a new value; the value before stays readable as the previous version.
    ///
    /// # Errors
    /// What AWS says: the secret is there once the data stack is.
    pub async fn put_secret(&self, name: &str, value: String) -> Result<(), AwsError> {
        let id = format!("{}/{name}", self.aws.name);
        let answer = self.secrets.put_secret_value().secret_id(&id).secret_string(value).send().await;
        answer.map_err(|error| wrong(format!("putting a value into secret {id}"), &error))?;
        Ok(())
    }
}
