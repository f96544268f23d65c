//! Events for tests: plain ones, to be changed where a test wants something else.

use watchbell_archive::{Row, StoredEvent};
use watchbell_model::{EventFlags, EventId, InstallationId, Offset, Severity, Timestamp};

/// Every severity.
pub(crate) const SEVERITIES: [Severity; 7] = [
    Severity::Unknown,
    Severity::Trace,
    Severity::Debug,
    Severity::Info,
    Severity::Warn,
    Severity::Error,
    Severity::Critical,
];

/// An event that owns its texts.
pub(crate) struct Event {
    pub(crate) id: EventId,
    pub(crate) timestamp: Timestamp,
    pub(crate) log_group: String,
    pub(crate) stream: String,
    pub(crate) app: String,
    pub(crate) severity: Severity,
    pub(crate) message: String,
    pub(crate) fields: Option<String>,
    pub(crate) flags: EventFlags,
}

/// The plain event of this number, a thousand to an entry, at 2026-11-22T21:11:52Z and as many milliseconds.
pub(crate) fn event(number: usize) -> Event {
    let id = EventId {
        installation: InstallationId([1, 2, 3, 4, 5, 6, 7, 8]),
        offset: Offset((number / 1000) as u64),
        line: u32::try_from(number % 1000).unwrap(),
    };
    Event {
        id,
        timestamp: Timestamp(1_795_381_912_000 + i64::try_from(number).unwrap()),
        log_group: "shop/app".into(),
        stream: "/var/log/shop.log".into(),
        app: "shop".into(),
        severity: Severity::Info,
        message: format!("message {number}"),
        fields: None,
        flags: EventFlags::default(),
    }
}

impl Event {
    fn ingestion_time(&self) -> Timestamp {
        self.timestamp.plus_ms(7)
    }

    /// As it goes in.
    pub(crate) fn row(&self) -> Row<'_> {
        Row {
            event_id: self.id,
            timestamp: self.timestamp,
            ingestion_time: self.ingestion_time(),
            log_group: &self.log_group,
            stream: &self.stream,
            app: &self.app,
            severity: self.severity,
            message: &self.message,
            fields: self.fields.as_deref(),
            flags: self.flags,
        }
    }

    /// As it is expected to come out.
    pub(crate) fn stored(&self) -> StoredEvent {
        StoredEvent {
            event_id: self.id,
            timestamp: self.timestamp,
            ingestion_time: self.ingestion_time(),
            log_group: self.log_group.clone(),
            stream: self.stream.clone(),
            app: self.app.clone(),
            severity: self.severity,
            message: self.message.clone(),
            fields: self.fields.clone(),
            flags: self.flags,
        }
    }
}
