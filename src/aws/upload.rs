//! Templates that are too large for a call go through the bucket of artifacts.

use std::fmt::Write as _;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::client::{ClientOptions, HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::{ObjectStoreExt, StaticCredentialProvider};
use ring::digest::{SHA256, digest};
use watchbell_aws::BODY_BYTES_MAX;

use super::account::Account;
use super::error::{AwsError, innermost};
use super::stack::Wanted;
use crate::client;

/// How a template gets to CloudFormation.
pub(super) enum Sent {
    /// With the call.
    Body(String),
    /// Before it: the address of the object.
    Url(String),
}

impl Account {
    pub(super) async fn sent(&self, wanted: &Wanted) -> Result<Sent, AwsError> {
        let body = wanted.template.to_string();
        let stack = &wanted.name;
        if body.len() <= BODY_BYTES_MAX {
            return Ok(Sent::Body(body));
        }
        let Some(artifacts) = &self.aws.artifacts else {
            return Err(AwsError::NoBucket { stack: stack.clone(), bytes: body.len(), max: BODY_BYTES_MAX });
        };
        let hash = digest(&SHA256, body.as_bytes());
        let hash = hash.as_ref().iter().fold(String::new(), |mut hash, byte| {
            write!(hash, "{byte:02x}").expect("a string takes all");
            hash
        });
        let key = format!("{}templates/{stack}-{hash}.json", artifacts.prefix);
        let failed = |error: object_store::Error| AwsError::NoAnswer {
            call: format!("putting the template of stack {stack} into bucket {}", artifacts.bucket),
            reason: innermost(&error),
        };
        let store = self.bucket(&artifacts.bucket).await.map_err(|error| match error {
            Unready::Account(error) => error,
            Unready::Store(error) => failed(error),
        })?;
        store.put(&Path::from(key.as_str()), body.into()).await.map_err(failed)?;
        let bucket = &artifacts.bucket;
        Ok(Sent::Url(match &self.aws.endpoint {
            Some(endpoint) => format!("{endpoint}/{bucket}/{key}"),
            None => format!("https://{bucket}.s3.{}.{}/{key}", self.aws.region, suffix(&self.aws.region)),
        }))
    }

    async fn bucket(&self, name: &str) -> Result<object_store::aws::AmazonS3, Unready> {
        let credentials = self.credentials().await.map_err(Unready::Account)?;
        let credential = AwsCredential {
            key_id: credentials.access_key_id().to_owned(),
            secret_key: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(str::to_owned),
        };
        let mut store = AmazonS3Builder::new()
            .with_bucket_name(name)
            .with_region(&self.aws.region)
            .with_credentials(Arc::new(StaticCredentialProvider::new(credential)))
            .with_http_connector(Connector);
        if let Some(endpoint) = &self.aws.endpoint {
            store = store.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        store.build().map_err(Unready::Store)
    }
}

/// Why there is no bucket to write to.
enum Unready {
    Account(AwsError),
    Store(object_store::Error),
}

/// Our own HTTP client: `object_store` would ask for a provider of TLS that the whole process shares.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = client::Client::new(None)
            .map_err(|error| object_store::Error::Generic { store: "S3", source: Box::new(error) })?;
        Ok(HttpClient::new(client.into_inner()))
    }
}

/// What the names of services in a region end with.
///
/// Source: AWS General Reference, service endpoints.
fn suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}
