//! Metrics that Watchbell publishes about itself. They can be alarmed on like any other, without a metric filter.

use crate::{GroupName, MetricName, Unit};

/// One of Watchbell's own metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnMetric {
    /// Its name in the namespace [`OwnMetric::NAMESPACE`].
    pub name: &'static str,
    /// The names of its dimensions, all of which an alarm has to give.
    pub dimensions: &'static [&'static str],
    /// The unit of its values.
    pub unit: Unit,
    /// What it counts or measures, in one line.
    pub doc: &'static str,
}

impl OwnMetric {
    /// The namespace of all of them.
    pub const NAMESPACE: &str = "Watchbell";
    /// The dimension whose value is a log group's name.
    pub const LOG_GROUP: &str = "LogGroupName";
    /// The dimension whose value is a queue's name.
    pub const QUEUE: &str = "QueueName";
    /// The dimension whose value is a log stream's name.
    pub const LOG_STREAM: &str = "LogStreamName";

    /// Events accepted.
    pub const INCOMING_LOG_EVENTS: OwnMetric = OwnMetric {
        name: "IncomingLogEvents",
        dimensions: &[Self::LOG_GROUP],
        unit: Unit::COUNT,
        doc: "log events accepted into a log group",
    };
    /// Events accepted, by stream.
    pub const STREAM_LOG_EVENTS: OwnMetric = OwnMetric {
        name: "IncomingLogEvents",
        dimensions: &[Self::LOG_GROUP, Self::LOG_STREAM],
        unit: Unit::COUNT,
        doc: "log events accepted into a log stream",
    };
    /// Text accepted.
    pub const INCOMING_BYTES: OwnMetric = OwnMetric {
        name: "IncomingBytes",
        dimensions: &[Self::LOG_GROUP],
        unit: Unit::BYTES,
        doc: "bytes of log text accepted into a log group, line ends not counted",
    };
    /// Messages that did not arrive.
    pub const DELIVERY_ERRORS: OwnMetric = OwnMetric {
        name: "DeliveryErrors",
        dimensions: &["Topic"],
        unit: Unit::COUNT,
        doc: "attempts to tell a subscription of a topic that failed",
    };
    /// Unread bytes.
    pub const SOURCE_LAG_BYTES: OwnMetric = OwnMetric {
        name: "SourceLagBytes",
        dimensions: &[Self::LOG_GROUP],
        unit: Unit::BYTES,
        doc: "bytes in a log group's files that have not been read, measured every 10 s",
    };
    /// Messages on their way.
    pub const MESSAGES_WAITING: OwnMetric = OwnMetric {
        name: "MessagesWaiting",
        dimensions: &[],
        unit: Unit::COUNT,
        doc: "messages that have not reached their subscription, measured every 10 s",
    };
    /// Text that is not archived.
    pub const ARCHIVE_WAITING_BYTES: OwnMetric = OwnMetric {
        name: "ArchiveWaitingBytes",
        dimensions: &[],
        unit: Unit::BYTES,
        doc: "bytes of log text that are not archived yet, measured every 10 s",
    };

    /// Messages that can be received.
    pub const QUEUE_VISIBLE: OwnMetric = OwnMetric {
        name: "ApproximateNumberOfMessagesVisible",
        dimensions: &[Self::QUEUE],
        unit: Unit::COUNT,
        doc: "messages of a queue that can be received, measured every 10 s",
    };
    /// Messages that somebody works on.
    pub const QUEUE_IN_FLIGHT: OwnMetric = OwnMetric {
        name: "ApproximateNumberOfMessagesNotVisible",
        dimensions: &[Self::QUEUE],
        unit: Unit::COUNT,
        doc: "messages of a queue that are in flight, measured every 10 s",
    };
    /// How long the oldest message has been waiting.
    pub const QUEUE_AGE: OwnMetric = OwnMetric {
        name: "ApproximateAgeOfOldestMessage",
        dimensions: &[Self::QUEUE],
        unit: Unit::SECONDS,
        doc: "age of the oldest message of a queue that is no dead letter, measured every 10 s",
    };
    /// Dead letters.
    pub const QUEUE_DEAD: OwnMetric = OwnMetric {
        name: "DeadLetters",
        dimensions: &[Self::QUEUE],
        unit: Unit::COUNT,
        doc: "dead letters of a queue, measured every 10 s",
    };
    /// Receives.
    pub const QUEUE_RECEIVED: OwnMetric = OwnMetric {
        name: "NumberOfMessagesReceived",
        dimensions: &[Self::QUEUE],
        unit: Unit::COUNT,
        doc: "receives of messages of a queue",
    };
    /// Deletes.
    pub const QUEUE_DELETED: OwnMetric = OwnMetric {
        name: "NumberOfMessagesDeleted",
        dimensions: &[Self::QUEUE],
        unit: Unit::COUNT,
        doc: "messages of a queue that were deleted",
    };
    /// Messages given up.
    pub const QUEUE_DEAD_LETTERED: OwnMetric = OwnMetric {
        name: "NumberOfMessagesDeadLettered",
        dimensions: &[Self::QUEUE],
        unit: Unit::COUNT,
        doc: "messages of a queue that became dead letters",
    };
    /// Messages that were too old.
    pub const QUEUE_EXPIRED: OwnMetric = OwnMetric {
        name: "NumberOfMessagesExpired",
        dimensions: &[Self::QUEUE],
        unit: Unit::COUNT,
        doc: "messages and dead letters of a queue that were too old",
    };

    /// Every one.
    pub const ALL: [OwnMetric; 15] = [
        Self::INCOMING_LOG_EVENTS,
        Self::STREAM_LOG_EVENTS,
        Self::INCOMING_BYTES,
        Self::DELIVERY_ERRORS,
        Self::SOURCE_LAG_BYTES,
        Self::MESSAGES_WAITING,
        Self::ARCHIVE_WAITING_BYTES,
        Self::QUEUE_VISIBLE,
        Self::QUEUE_IN_FLIGHT,
        Self::QUEUE_AGE,
        Self::QUEUE_DEAD,
        Self::QUEUE_RECEIVED,
        Self::QUEUE_DELETED,
        Self::QUEUE_DEAD_LETTERED,
        Self::QUEUE_EXPIRED,
    ];

    /// How an alarm names it.
    pub fn metric(self) -> MetricName {
        MetricName { namespace: Self::NAMESPACE.to_owned(), name: self.name.to_owned() }
    }

    /// Dimensions with the values of one group.
    pub fn of_group(group: &GroupName) -> crate::Dimensions {
        [(Self::LOG_GROUP.to_owned(), group.to_string())].into()
    }

    /// Dimensions with the values of one queue.
    pub fn of_queue(queue: &str) -> crate::Dimensions {
        [(Self::QUEUE.to_owned(), queue.to_owned())].into()
    }

    /// Dimensions with the values of one stream.
    pub fn of_stream(group: &GroupName, stream: &str) -> crate::Dimensions {
        let mut dimensions = Self::of_group(group);
        dimensions.insert(Self::LOG_STREAM.to_owned(), stream.to_owned());
        dimensions
    }
}
