//! What every client of AWS is made with: region and endpoint of the file, credentials of this machine, our TLS.

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use watchbell_model::Aws;

/// Finds credentials where every tool of AWS does: environment, profile, single sign-on, web identity, container and
/// instance. A call is made so many `attempts` before it counts as failed, where another one may help.
pub(crate) async fn config(aws: &Aws, attempts: u32) -> SdkConfig {
    let http =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new(aws.region.clone()))
        .http_client(http)
        .retry_config(RetryConfig::standard().with_max_attempts(attempts));
    if let Some(endpoint) = &aws.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    loader.load().await
}
