//! Metrics in CloudWatch.

use aws_config::SdkConfig;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use watchbell_model::Timestamp;

use super::error::{AwsError, wrong};

/// Where metrics go.
#[derive(Clone)]
pub(crate) struct Metrics(Client);

impl Metrics {
    /// In the account and region of `config`.
    pub(crate) fn new(config: &SdkConfig) -> Metrics {
        Metrics(Client::new(config))
    }

    /// Adds a datapoint in bytes.
    ///
    /// # Errors
    /// [`AwsError`] if CloudWatch has not taken it.
    pub(crate) async fn put_bytes(
        &self,
        (namespace, name): (&str, &str),
        (dimension, value): (&str, &str),
        at: Timestamp,
        bytes: u64,
    ) -> Result<(), AwsError> {
        #[expect(clippy::cast_precision_loss, reason = "a metric's value is a double")]
        let datum = MetricDatum::builder()
            .metric_name(name)
            .dimensions(Dimension::builder().name(dimension).value(value).build())
            .timestamp(DateTime::from_millis(at.0))
            .unit(StandardUnit::Bytes)
            .value(bytes as f64);
        let put = self.0.put_metric_data().namespace(namespace).metric_data(datum.build()).send().await;
        put.map(drop).map_err(|error| wrong("PutMetricData", &error))
    }
}
