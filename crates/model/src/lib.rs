//! The words of Watchbell: what a log event, a batch, an alarm, a decision and a plan *are*.
//!
//! Every other crate speaks in these types; what goes into the journal is an [`Entry`].
//! Promise: encoding an entry and decoding it again gives the same entry, for ever, for every released format.
//! Not here: how things are written in a file (`config`), how they run (`engine`), where they are kept (`journal`).

mod access;
mod alarm;
mod archive;
mod batch;
mod decision;
mod delivery;
mod entry;
mod event;
mod line;
mod log_group;
mod loss;
mod metric;
mod plan;
mod secret;
mod time;
mod topic;
mod trail;

pub use access::{Access, Action, Resource, Role, Statement, Token};
pub use alarm::{
    Alarm, AlarmSeverity, AlarmState, Comparison, EVALUATION_RANGE_S_MAX, Period, PeriodError, Statistic,
    TreatMissingData,
};
pub use archive::{Archive, ArchiveDone, ArchiveObject, ArchivePlan};
pub use batch::{Batch, BatchBuilder, Fingerprint, Source};
pub use decision::{
    Datapoint, Decision, DecisionId, Decisions, MatchedLine, Recipient, Transition, TransitionFilter,
};
pub use delivery::{Delivery, DeliveryOutcome};
pub use entry::{DATA_FORMAT, Entry, EntryError, Record};
pub use event::{Event, EventFlags, EventId, InstallationId, Offset, Severity};
pub use line::{Kept, LINE_BYTES_MAX, without_end};
pub use log_group::{GroupName, LogGroup, NameError, ParseKind, StartAt, TimestampFrom, WrittenTime};
pub use loss::{Loss, LossReason};
pub use metric::{MetricFilter, MetricName, MetricTransformation, SAMPLE_MAX};
pub use plan::{Http, Plan};
pub use secret::SecretRef;
pub use time::Timestamp;
pub use topic::{Channel, Subscription, Topic, Url};
pub use trail::{TrailOutcome, TrailRecord};
