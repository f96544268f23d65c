//! The words of Watchbell: what a log event, a batch, an alarm, a decision and a plan *are*.
//!
//! Every other crate speaks in these types; what goes into the journal is an [`Entry`].
//! Promise: encoding an entry and decoding it again gives the same entry, for ever, for every released format.
//! Not here: how things are written in a file (`config`), how they run (`engine`), where they are kept (`journal`).

mod access;
mod agent;
mod alarm;
mod archive;
mod aws;
mod batch;
mod decision;
mod delivery;
mod entry;
mod event;
mod fleet;
mod function;
mod http;
mod input;
mod journal;
mod line;
mod log_group;
mod loss;
mod maintenance;
mod metric;
mod mute;
mod own;
mod plan;
mod put;
mod queue;
mod redaction;
pub mod rfc3339;
mod sample;
mod secret;
mod shipment;
mod skip;
mod statistic;
mod time;
mod topic;
mod trail;
mod unit;

pub use access::{Access, Action, Resource, Role, Statement, Token, matches_wildcard};
pub use agent::{Agent, Shipped};
pub use alarm::{
    ActionsSuppressor, Alarm, AlarmKind, AlarmSeverity, AlarmState, Comparison, CompositeAlarm,
    EVALUATION_RANGE_S_MAX, LowSamples, MetricAlarm, MetricStat, Period, PeriodError, TreatMissingData,
    Watched,
};
pub use archive::{Archive, ArchiveDone, ArchiveObject, ArchivePlan, Lifecycle, Tier};
pub use aws::{Artifacts, Aws, AwsFleet, AwsNetwork, AwsTrail, Bastion, Nat, RETENTION_DAYS};
pub use batch::{Batch, BatchBuilder, Fingerprint, Source};
pub use decision::{
    Child, Correction, Datapoint, Decision, DecisionId, Decisions, MatchedLine, Recipient, SeriesLimit,
    SuppressedBy, Transition, TransitionFilter,
};
pub use delivery::{Delivery, DeliveryOutcome};
pub use entry::{DATA_FORMAT, Entry, EntryError, Record};
pub use event::{Event, EventFlags, EventId, InstallationId, Offset, Severity};
pub use fleet::{Fleet, Health, Instances, PORT_PLACEHOLDER, ScaleOn};
pub use function::{Function, HOPS_MAX, Hook, Lookup, Mapping, Raise, RaiseTo, Remedy, Step, Workers};
pub use http::{Http, Tls, admits};
pub use input::{Inputs, Journald, Otlp, Syslog, Taken, Transport};
pub use journal::{JournalBound, Release, ReleaseReason};
pub use line::{BYTE_ORDER_MARK, Kept, LINE_BYTES_MAX, without_end};
pub use log_group::{
    GroupName, LogGroup, Multiline, MultilineBy, NameError, ParseKind, StartAt, TimestampFrom, WrittenTime,
};
pub use loss::{Loss, LossReason};
pub use maintenance::{Maintenance, Work};
pub use metric::{
    DIMENSION_VALUE_BYTES_MAX, Dimensions, FILTER_DIMENSIONS_MAX, MetricFilter, MetricName,
    MetricTransformation, OTHER, SAMPLE_MAX, SERIES_MAX_DEFAULT,
};
pub use mute::MuteRule;
pub use own::OwnMetric;
pub use plan::Plan;
pub use put::Put;
pub use queue::{DeadLetter, Lease, MessageId, Position, Queue, QueueChange, QueueChanges};
pub use redaction::Redaction;
pub use sample::{Sample, Samples};
pub use secret::{SecretPlan, SecretRef};
pub use shipment::{
    SHIPMENT_ENTRIES_MAX, SHIPMENT_FORMAT, SHIPMENT_HEAD_BYTES_MAX, Shipment, ShipmentBuilder, ShipmentError,
    ShipmentHead, ShippedEntry,
};
pub use statistic::{Percentile, Statistic, StatisticError};
pub use time::Timestamp;
pub use topic::{Channel, Email, Subscription, Topic, Url};
pub use trail::{TrailOutcome, TrailRecord};
pub use unit::{Unit, UnitError};
