//! The virtual journal: lines become batches, batches become records, and the engine folds them as it does live.

use std::collections::BTreeSet;
use std::sync::Arc;

use watchbell_engine::{Counters, Engine, EngineError};
use watchbell_model::{
    BatchBuilder, Decisions, Entry, InstallationId, Offset, Plan, Record, Source, Timestamp,
};

use super::datapoints::Gatherer;
use super::timeline::warnings;
use super::{Change, Line, Points, StreamName};

/// How finely a replay of much data tells arrivals apart, in milliseconds: lines of a stream that arrive within the
/// same second arrive together. An ALARM that fires early is told by up to this much too late; states at evaluation
/// instants are exact.
pub const GRAIN_MS: i64 = 1000;

/// Most text in one batch, in bytes.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// A plan in force in virtual time.
pub struct Replay {
    engine: Engine,
    /// The next record.
    next: Offset,
    /// The time of the last record.
    now: Timestamp,
    /// Arrivals are told apart by this.
    grain_ms: i64,
    pending: Option<Pending>,
    /// The engine's next wake: lines that arrive later must not stand in one batch with lines before it.
    wake: Option<Timestamp>,
    with_messages: bool,
    changes: Vec<Change>,
    warnings: BTreeSet<String>,
    datapoints: Option<Gatherer>,
}

/// Lines that arrive together.
struct Pending {
    origin: Arc<StreamName>,
    lines: BatchBuilder,
    /// When the first and the last of them arrive.
    first: Timestamp,
    last: Timestamp,
}

impl Replay {
    /// Puts `plan` in force at `start`. Lines that arrive within the same `grain_ms` arrive together.
    ///
    /// # Errors
    /// [`EngineError`] if the plan cannot run.
    pub fn start(plan: Plan, start: Timestamp, grain_ms: i64) -> Result<Replay, EngineError> {
        let mut replay = Replay {
            engine: Engine::new(InstallationId([0; 8])),
            next: Offset(0),
            now: start,
            grain_ms,
            pending: None,
            wake: None,
            with_messages: false,
            changes: Vec::new(),
            warnings: BTreeSet::new(),
            datapoints: None,
        };
        replay.append(start, Entry::Plan(Box::new(plan)))?;
        Ok(replay)
    }

    /// Keeps the whole message of each change.
    #[must_use]
    pub fn with_messages(self) -> Replay {
        Replay { with_messages: true, ..self }
    }

    /// Gathers the values that the alarms see.
    #[must_use]
    pub fn with_datapoints(self) -> Replay {
        Replay { datapoints: Some(Gatherer::default()), ..self }
    }

    /// The engine as it is now.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A line arrives.
    ///
    /// # Errors
    /// [`EngineError`], which only a plan causes.
    pub fn push(&mut self, line: &Line<'_>) -> Result<(), EngineError> {
        if self.pending.as_ref().is_some_and(|pending| !self.belongs(pending, line)) {
            self.flush()?;
        }
        let pending = self.pending.get_or_insert_with(|| Pending {
            origin: Arc::clone(line.origin),
            lines: BatchBuilder::default(),
            first: line.arrival,
            last: line.arrival,
        });
        pending.last = pending.last.max(line.arrival);
        pending.lines.push(line.text, Some(line.timestamp), line.flags);
        Ok(())
    }

    /// No evaluation instant may lie between lines of one batch: the engine evaluates before it counts them.
    fn belongs(&self, pending: &Pending, line: &Line<'_>) -> bool {
        (Arc::ptr_eq(&pending.origin, line.origin) || pending.origin == *line.origin)
            && pending.first.floor_to(self.grain_ms) == line.arrival.floor_to(self.grain_ms)
            && self.wake.is_none_or(|wake| line.arrival <= wake)
            && pending.lines.text_bytes() + line.text.len() < BATCH_BYTES_MAX
    }

    /// Lets time pass up to and including `until`: everything that is due by then is decided.
    ///
    /// # Errors
    /// [`EngineError`], which only a plan causes.
    pub fn advance(&mut self, until: Timestamp) -> Result<(), EngineError> {
        self.flush()?;
        // An instant has passed only when the clock is beyond it.
        self.append(until.plus_ms(1).max(self.now), Entry::Tick)
    }

    fn flush(&mut self) -> Result<(), EngineError> {
        let Some(Pending { origin, lines, last, .. }) = self.pending.take() else { return Ok(()) };
        let source = Source::Http { principal: "replay".to_owned(), batch_id: None };
        let batch = lines.build(origin.group.clone(), origin.stream.clone(), source, false);
        self.append(last, Entry::Batch(batch))
    }

    /// Appends an entry; if datapoints are gathered, after a tick for every instant before it.
    fn append(&mut self, time: Timestamp, entry: Entry) -> Result<(), EngineError> {
        // Where nothing is kept there is nothing to gather, however long it lasts.
        while let (Some(wake), true) =
            (self.wake.filter(|wake| *wake < time), self.datapoints.is_some() && self.engine.has_series())
        {
            self.record(wake.plus_ms(1), Entry::Tick)?;
            if let Some(datapoints) = &mut self.datapoints {
                datapoints.look(&self.engine);
            }
        }
        self.record(time, entry)
    }

    /// Folds an entry, and after it the decisions that it causes, as the writer does.
    fn record(&mut self, time: Timestamp, entry: Entry) -> Result<(), EngineError> {
        self.now = self.now.max(time);
        let mut waiting = vec![entry];
        while let Some(entry) = waiting.pop() {
            let record = Record { offset: self.next, time: self.now, entry };
            self.next = self.next.next();
            let decisions = self.engine.step(&record)?;
            self.changes.extend(Change::among(&decisions, self.with_messages));
            self.warnings.extend(warnings(&decisions));
            let entries = Decisions::entries(record.offset, 0, decisions);
            waiting.extend(entries.into_iter().rev().map(Entry::Decisions));
        }
        self.wake = self.engine.next_wake();
        Ok(())
    }

    /// When time alone will next change something.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.wake
    }

    /// The changes so far, in the order in which they were decided.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// What is worth a word beside the changes, in the order of its letters.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.warnings.iter().map(String::as_str)
    }

    /// The values that `alarm`, by its title, saw, if they were gathered and there are some.
    pub fn datapoints(&self, alarm: &str) -> Option<&Points> {
        self.datapoints.as_ref()?.of(alarm)
    }

    /// What was counted.
    pub fn counters(&self) -> &Counters {
        self.engine.counters()
    }
}

/// When every slot that a line at `last` can be in has been decided once: the next minute after it and the largest
/// lateness.
pub(super) fn decided_at(plan: &Plan, last: Timestamp) -> Timestamp {
    let lateness_ms = plan.log_groups.values().map(|group| group.lateness_ms).max().unwrap_or(0);
    last.plus_ms(1).ceil_to(60_000).plus_ms(lateness_ms)
}
