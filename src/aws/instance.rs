//! The instance of EC2 that this runs on.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::imds::Client;
use aws_config::provider_config::ProviderConfig;

/// How long one answer may take: it comes from the machine that the instance runs on.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it is asked: elsewhere than on EC2 nobody answers, and the start waits.
const ATTEMPTS: u32 = 2;

/// With `true` nobody is asked, as for every tool of AWS.
const DISABLED: &str = "AWS_EC2_METADATA_DISABLED";

/// Its id, as its metadata service says it (version 2); `None` elsewhere.
///
/// Source: EC2 User Guide, "Instance metadata categories".
pub(crate) async fn id(config: &SdkConfig) -> Option<String> {
    if std::env::var(DISABLED).is_ok_and(|value| value.eq_ignore_ascii_case("true")) {
        return None;
    }
    let mut provider = ProviderConfig::without_region();
    if let Some(http) = config.http_client() {
        provider = provider.with_http_client(http);
    }
    let client = Client::builder()
        .configure(&provider)
        .max_attempts(ATTEMPTS)
        .connect_timeout(PATIENCE)
        .read_timeout(PATIENCE)
        .build();
    let id: String = client.get("/latest/meta-data/instance-id").await.ok()?.into();
    let is_id = id.starts_with("i-") && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    is_id.then_some(id)
}
