//! What a metric of the plan is called on AWS: its own name, or, where Watchbell measures itself, what AWS measures
//! of the same thing.

use std::collections::BTreeMap;

use watchbell_model::{Aws, Dimensions, MetricStat, OwnMetric, Statistic, Unit};

use crate::name::physical;
use crate::queue;

/// A metric as AWS has it.
#[derive(Debug, PartialEq)]
pub(crate) struct AwsMetric {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) dimensions: Dimensions,
    /// Only values of this unit.
    pub(crate) unit: Option<Unit>,
}

/// Why AWS has no such metric, and what to watch instead.
#[derive(Debug, PartialEq)]
pub(crate) struct NoCounterpart {
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

/// Whether Watchbell measures it of itself.
pub(crate) fn is_own(stat: &MetricStat) -> bool {
    stat.metric.namespace == OwnMetric::NAMESPACE
}

/// The metric that a statistic is of.
///
/// # Errors
/// If it is one of Watchbell's own that AWS has nothing for.
pub(crate) fn of(stat: &MetricStat, aws: &Aws) -> Result<AwsMetric, NoCounterpart> {
    if !is_own(stat) {
        return Ok(AwsMetric {
            namespace: stat.metric.namespace.clone(),
            name: stat.metric.name.clone(),
            dimensions: stat.dimensions.clone(),
            unit: stat.unit,
        });
    }
    let name = stat.metric.name.as_str();
    let given = |dimension: &str| stat.dimensions.get(dimension).cloned();
    let nothing =
        |help| NoCounterpart { message: format!("AWS has nothing like Watchbell's metric {name:?}"), help };
    // The unit is left out: AWS gives each of these one, not always ours.
    let counterpart = |namespace: &str, name: &str, dimension: &str, value: String| {
        let dimensions = BTreeMap::from([(dimension.to_owned(), value)]);
        AwsMetric { namespace: namespace.to_owned(), name: name.to_owned(), dimensions, unit: None }
    };
    if let Some(group) = given(OwnMetric::LOG_GROUP) {
        let is_counted =
            [OwnMetric::INCOMING_LOG_EVENTS.name, OwnMetric::INCOMING_BYTES.name].contains(&name);
        return match (is_counted, given(OwnMetric::LOG_STREAM)) {
            (true, None) => Ok(counterpart("AWS/Logs", name, OwnMetric::LOG_GROUP, group)),
            (true, Some(_)) => Err(nothing("watch the whole log group")),
            (false, _) => Err(nothing("watch IncomingLogEvents of the log group")),
        };
    }
    if let Some(queue) = given(OwnMetric::QUEUE) {
        let own = |metric: OwnMetric| metric.name == name;
        let of_queue = |name| counterpart("AWS/SQS", name, OwnMetric::QUEUE, physical(aws, &queue));
        let same = [
            OwnMetric::QUEUE_VISIBLE,
            OwnMetric::QUEUE_IN_FLIGHT,
            OwnMetric::QUEUE_AGE,
            OwnMetric::QUEUE_RECEIVED,
            OwnMetric::QUEUE_DELETED,
        ];
        return if same.into_iter().any(own) {
            Ok(of_queue(name))
        } else if own(OwnMetric::QUEUE_DEAD) {
            let dead = queue::dead_name(aws, &queue);
            Ok(counterpart("AWS/SQS", OwnMetric::QUEUE_VISIBLE.name, OwnMetric::QUEUE, dead))
        } else {
            Err(nothing("watch DeadLetters, how many there are"))
        };
    }
    match given("Topic") {
        Some(topic) if name == OwnMetric::DELIVERY_ERRORS.name => {
            Ok(counterpart("AWS/SNS", "NumberOfNotificationsFailed", "TopicName", physical(aws, &topic)))
        }
        _ => Err(nothing("remove the alarm from the file that is deployed")),
    }
}

/// What is other about a statistic of one of Watchbell's own metrics, if it is.
pub(crate) fn difference(stat: &MetricStat) -> Option<&'static str> {
    let measured =
        [OwnMetric::QUEUE_VISIBLE, OwnMetric::QUEUE_IN_FLIGHT, OwnMetric::QUEUE_AGE, OwnMetric::QUEUE_DEAD];
    if !is_own(stat) {
        return None;
    }
    if measured.into_iter().any(|own| own.name == stat.metric.name) {
        let counts_values = matches!(stat.statistic, Statistic::Sum | Statistic::SampleCount);
        return counts_values.then_some("AWS measures this once a minute, not every ten seconds");
    }
    (stat.statistic != Statistic::Sum).then_some("AWS adds this up by other pieces: only the Sum is the same")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::plan;

    fn stat(own: OwnMetric) -> MetricStat {
        let dimensions = own.dimensions.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect();
        MetricStat { metric: own.metric(), dimensions, unit: Some(own.unit), statistic: Statistic::Sum }
    }

    #[test]
    fn what_watchbell_measures_of_itself_is_what_aws_measures_or_nothing() {
        let plan = plan("");
        let aws = plan.aws.as_ref().unwrap();
        let spelled: Vec<String> = OwnMetric::ALL
            .into_iter()
            .map(|own| match of(&stat(own), aws) {
                Ok(metric) => {
                    format!("{}: {} {} {:?}", own.name, metric.namespace, metric.name, metric.dimensions)
                }
                Err(_) => format!("{}: nothing", own.name),
            })
            .collect();
        assert_eq!(
            spelled,
            [
                r#"IncomingLogEvents: AWS/Logs IncomingLogEvents {"LogGroupName": "x"}"#,
                "IncomingLogEvents: nothing",
                r#"IncomingBytes: AWS/Logs IncomingBytes {"LogGroupName": "x"}"#,
                r#"DeliveryErrors: AWS/SNS NumberOfNotificationsFailed {"TopicName": "shop-x"}"#,
                "SourceLagBytes: nothing",
                "MessagesWaiting: nothing",
                "ArchiveWaitingBytes: nothing",
                r#"ApproximateNumberOfMessagesVisible: AWS/SQS ApproximateNumberOfMessagesVisible {"QueueName": "shop-x"}"#,
                r#"ApproximateNumberOfMessagesNotVisible: AWS/SQS ApproximateNumberOfMessagesNotVisible {"QueueName": "shop-x"}"#,
                r#"ApproximateAgeOfOldestMessage: AWS/SQS ApproximateAgeOfOldestMessage {"QueueName": "shop-x"}"#,
                r#"DeadLetters: AWS/SQS ApproximateNumberOfMessagesVisible {"QueueName": "shop-x-dead"}"#,
                r#"NumberOfMessagesReceived: AWS/SQS NumberOfMessagesReceived {"QueueName": "shop-x"}"#,
                r#"NumberOfMessagesDeleted: AWS/SQS NumberOfMessagesDeleted {"QueueName": "shop-x"}"#,
                "NumberOfMessagesDeadLettered: nothing",
                "NumberOfMessagesExpired: nothing",
            ]
        );
    }

    #[test]
    fn statistics_that_count_measurements_are_other_ones() {
        let age = |statistic| MetricStat { statistic, ..stat(OwnMetric::QUEUE_AGE) };
        assert_eq!(difference(&age(Statistic::Maximum)), None);
        assert!(difference(&age(Statistic::Sum)).is_some());
        let events = |statistic| MetricStat { statistic, ..stat(OwnMetric::INCOMING_LOG_EVENTS) };
        assert_eq!(difference(&events(Statistic::Sum)), None);
        assert!(difference(&events(Statistic::SampleCount)).is_some());
    }
}
