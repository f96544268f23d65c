//! An account of AWS, in one region, as somebody who may call it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_cloudformation::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use watchbell_model::{Aws, Timestamp};

use super::error::{AwsError, innermost};
use super::sdk;

/// How often a call is made before it counts as failed, where another attempt may help.
const ATTEMPTS: u32 = 8;

/// How long it is waited until the next look at what AWS is doing: at first, and at most.
pub(super) const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(3));

/// The account that the credentials of this machine are for.
#[derive(Clone, Debug)]
pub struct Account {
    pub(super) cloudformation: aws_sdk_cloudformation::Client,
    pub(super) secrets: aws_sdk_secretsmanager::Client,
    pub(super) aws: Aws,
    /// What change sets are called, without their number: nothing else is called so.
    token: String,
    change_sets: Arc<AtomicU32>,
    credentials: SharedCredentialsProvider,
}

impl Account {
    /// Finds credentials where every tool of AWS does: environment, profile, single sign-on, web identity, container and
    /// instance.
    ///
    /// `now` names what is made on the way.
    ///
    /// # Errors
    /// [`AwsError::NoCredentials`] if there are none.
    pub async fn open(aws: &Aws, now: Timestamp) -> Result<Account, AwsError> {
        let config = sdk::config(aws, ATTEMPTS).await;
        let Some(credentials) = config.credentials_provider() else {
            return Err(AwsError::NoCredentials { reason: "there is no place to look for them".to_owned() });
        };
        let account = Account {
            cloudformation: aws_sdk_cloudformation::Client::new(&config),
            secrets: aws_sdk_secretsmanager::Client::new(&config),
            aws: aws.clone(),
            token: format!("watchbell-{}-{}", now.0, std::process::id()),
            change_sets: Arc::default(),
            credentials,
        };
        // Asked here, once: the error of a call that found none does not say so.
        account.credentials().await?;
        Ok(account)
    }

    /// A name for the next change set: one that was executed keeps its own.
    pub(super) fn change_set_name(&self) -> String {
        format!("{}-{}", self.token, self.change_sets.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) async fn credentials(&self) -> Result<Credentials, AwsError> {
        let found = self.credentials.provide_credentials().await;
        found.map_err(|error| AwsError::NoCredentials { reason: innermost(&error) })
    }
}

/// Grows from the first to the longest wait.
#[derive(Debug)]
pub(super) struct Waits(Duration);

impl Waits {
    pub(super) fn new() -> Waits {
        Waits(LOOK_AGAIN.0)
    }

    /// Waits until it makes sense to look again.
    pub(super) async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(LOOK_AGAIN.1);
    }
}
