//! The state of one queue: a fold of what was enqueued and what was journaled about it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use watchbell_model::{DeadLetter, Lease, MessageId, Offset, Position, Queue, QueueChange, Timestamp};

use super::Message;

/// How much a queue keeps in memory; the constants are those of `watchbell up`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages that nobody has received and that are known by name; of more only their number is known.
    pub waiting: usize,
    /// Messages that are hidden because somebody works on them.
    pub in_flight: usize,
    /// Dead letters; with so many, messages are offered beyond `max_receives`.
    pub dead: usize,
}

impl Limits {
    /// Messages waiting by name; an entry that was begun is taken in whole.
    pub const WAITING_MAX: usize = 10_000;
    /// Source: Amazon SQS Developer Guide, quotas: in-flight messages of a standard queue.
    pub const IN_FLIGHT_MAX: usize = 120_000;
    /// Dead letters of a queue.
    pub const DEAD_LETTERS_MAX: usize = 100_000;
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { waiting: Self::WAITING_MAX, in_flight: Self::IN_FLIGHT_MAX, dead: Self::DEAD_LETTERS_MAX }
    }
}

/// Where a payload was copied to: an entry of changes, and the change in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The entry.
    pub entry: Offset,
    /// The index of the change.
    pub change: u32,
}

/// A message that was received, or redriven, and not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) enqueued: Timestamp,
    pub(super) bytes: u64,
    pub(super) receives: u32,
    /// The number of its newest receive; 0 if it was redriven and not received since.
    pub(super) receipt: u64,
    /// When that was.
    pub(super) received: Timestamp,
    pub(super) visible: Timestamp,
    /// Its payload's copy, if it once was a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) copy: Option<Place>,
}

impl Open {
    /// The entry that holds its payload.
    pub(super) fn stands_at(&self, message: MessageId) -> Offset {
        self.copy.map_or(message.offset, |copy| copy.entry)
    }
}

/// A dead letter, without its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dead {
    /// When it was enqueued.
    pub enqueued: Timestamp,
    /// About how many bytes of text it has.
    pub bytes: u64,
    /// How often it was received.
    pub receives: u32,
    /// When it was given up.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// Where its payload is.
    pub place: Place,
}

/// Messages that nobody has received and that are only counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Beyond {
    messages: u64,
    /// None of them begins before this place.
    from: Position,
}

/// What has happened since the queue is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Receives of messages.
    pub received: u64,
    /// Messages deleted.
    pub deleted: u64,
    /// Messages that became dead letters.
    pub dead: u64,
    /// Dead letters that were offered again.
    pub redriven: u64,
    /// Messages, dead letters among them, that were too old.
    pub expired: u64,
}

/// What a queue holds at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Messages that can be received.
    pub visible: u64,
    /// Messages that are hidden because somebody works on them.
    pub in_flight: u64,
    /// Dead letters.
    pub dead: u64,
    /// When the oldest message that is no dead letter was enqueued.
    pub oldest: Option<Timestamp>,
    /// What has happened so far.
    pub totals: Totals,
}

impl Figures {
    /// How old the oldest message is `now`, in seconds; 0 without one.
    pub fn oldest_age_s(&self, now: Timestamp) -> u64 {
        self.oldest.map_or(0, |oldest| now.ms_since(oldest).max(0).unsigned_abs() / 1000)
    }
}

/// The state of one queue.
#[derive(Clone, Debug)]
pub struct View {
    pub(super) rule: Queue,
    pub(super) limits: Limits,
    pub(super) waiting: VecDeque<Message>,
    beyond: Beyond,
    pub(super) open: BTreeMap<MessageId, Open>,
    /// The same by when they are visible, and by when they were enqueued.
    pub(super) open_by_visible: BTreeSet<(Timestamp, MessageId)>,
    pub(super) open_by_age: BTreeSet<(Timestamp, MessageId)>,
    pub(super) dead: BTreeMap<MessageId, Dead>,
    pub(super) dead_by_age: BTreeSet<(Timestamp, MessageId)>,
    /// The number of the next receive.
    pub(super) next_receipt: u64,
    totals: Totals,
}

/// The same as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ViewSnapshot {
    rule: Queue,
    waiting: VecDeque<Message>,
    beyond: Beyond,
    open: BTreeMap<MessageId, Open>,
    dead: BTreeMap<MessageId, Dead>,
    next_receipt: u64,
    totals: Totals,
}

impl View {
    /// A queue without a message.
    pub fn new(rule: Queue, limits: Limits) -> View {
        View {
            rule,
            limits,
            waiting: VecDeque::new(),
            beyond: Beyond::default(),
            open: BTreeMap::new(),
            open_by_visible: BTreeSet::new(),
            open_by_age: BTreeSet::new(),
            dead: BTreeMap::new(),
            dead_by_age: BTreeSet::new(),
            next_receipt: 1,
            totals: Totals::default(),
        }
    }

    /// The queue as planned.
    pub fn rule(&self) -> &Queue {
        &self.rule
    }

    /// Puts another plan of the queue in force; what it holds stays.
    pub fn replace_rule(&mut self, rule: Queue) {
        self.rule = rule;
    }

    /// Takes in the messages of the next entry.
    pub fn enqueue(&mut self, messages: Vec<Message>) {
        let Some(first) = messages.first() else { return };
        if self.beyond.messages > 0 || self.waiting.len() >= self.limits.waiting {
            if self.beyond.messages == 0 {
                self.beyond.from = first.id.position();
            }
            self.beyond.messages += messages.len() as u64;
        } else {
            self.waiting.extend(messages);
        }
    }

    /// From where the journal is to be read for messages that are only counted, if it is time: half of those that are
    /// known by name are gone.
    pub fn reads_on_from(&self) -> Option<Position> {
        let is_time = self.beyond.messages > 0 && self.waiting.len() <= self.limits.waiting / 2;
        is_time.then_some(self.beyond.from)
    }

    /// How many messages there is room for to be known by name.
    pub fn room(&self) -> usize {
        self.limits.waiting - self.waiting.len().min(self.limits.waiting)
    }

    /// Takes in by name what was read `from` a place: all messages between it and `to`.
    ///
    /// Nothing observable changes by it, so it is not journaled. Does nothing if the queue stands elsewhere by now.
    pub fn read_on(&mut self, from: Position, found: Vec<Message>, to: Position) {
        if self.beyond.messages > 0 && self.beyond.from == from {
            self.beyond.messages = self.beyond.messages.saturating_sub(found.len() as u64);
            self.beyond.from = to;
            self.waiting.extend(found);
        }
    }

    /// The place that messages which are only counted begin at; `None` if there are none.
    pub fn beyond(&self) -> Option<Position> {
        (self.beyond.messages > 0).then_some(self.beyond.from)
    }

    /// Takes note of a journaled change; `place` is where it stands.
    pub fn apply(&mut self, change: &QueueChange, place: Place) {
        match change {
            QueueChange::Received(lease) => self.received(lease),
            QueueChange::Hidden { message, until } => self.hidden(*message, *until),
            QueueChange::Deleted { message } => {
                self.totals.deleted += u64::from(self.close(*message).is_some());
            }
            QueueChange::Dead(letter) => self.died(letter, place),
            QueueChange::Redriven { messages, at } => {
                for message in messages {
                    self.redriven(*message, *at);
                }
            }
            QueueChange::Expired { messages } => {
                let gone = messages.iter().filter(|message| self.close(**message).is_some()).count();
                self.totals.expired += gone as u64;
            }
            QueueChange::Passed { next, messages } => self.passed(*next, *messages),
            QueueChange::Copied { message, .. } => self.copied(*message, place),
            QueueChange::Forgotten { messages } => {
                let gone = messages.iter().filter(|message| self.bury(**message).is_some()).count();
                self.totals.expired += gone as u64;
            }
        }
    }

    fn received(&mut self, lease: &Lease) {
        let before = self.close(lease.message);
        if before.is_none() {
            self.take(lease.message);
        }
        let open = Open {
            enqueued: lease.enqueued,
            bytes: lease.bytes,
            receives: lease.receives,
            receipt: lease.receipt,
            received: lease.at,
            visible: lease.until,
            copy: before.and_then(|before| before.copy),
        };
        self.open(lease.message, open);
        self.next_receipt = self.next_receipt.max(lease.receipt + 1);
        self.totals.received += 1;
    }

    fn hidden(&mut self, message: MessageId, until: Timestamp) {
        if let Some(open) = self.close(message) {
            self.open(message, Open { visible: until, ..open });
        }
    }

    fn died(&mut self, letter: &DeadLetter, place: Place) {
        self.close(letter.message);
        self.dead_by_age.insert((letter.enqueued, letter.message));
        let DeadLetter { message, enqueued, bytes, receives, at, ref reason, .. } = *letter;
        self.dead.insert(message, Dead { enqueued, bytes, receives, at, reason: reason.clone(), place });
        self.totals.dead += 1;
    }

    fn redriven(&mut self, message: MessageId, at: Timestamp) {
        let Some(dead) = self.bury(message) else { return };
        let open = Open {
            enqueued: at,
            bytes: dead.bytes,
            receives: 0,
            receipt: 0,
            received: at,
            visible: at,
            copy: Some(dead.place),
        };
        self.open(message, open);
        self.totals.redriven += 1;
    }

    fn passed(&mut self, next: Position, messages: u64) {
        let mut known = 0;
        while self.waiting.front().is_some_and(|first| first.id.position() < next) {
            self.waiting.pop_front();
            known += 1;
        }
        let unknown = messages.saturating_sub(known);
        self.beyond.messages = self.beyond.messages.saturating_sub(unknown);
        self.beyond.from = self.beyond.from.max(next);
        self.totals.expired += messages;
    }

    fn copied(&mut self, message: MessageId, place: Place) {
        if let Some(dead) = self.dead.get_mut(&message) {
            dead.place = place;
        } else if let Some(copy) = self.open.get_mut(&message).and_then(|open| open.copy.as_mut()) {
            *copy = place;
        }
    }

    /// Takes note that entries before this one may go. Whoever journaled that has expired or copied what stands there
    /// ([`Draft::releasing`](super::Draft::releasing)).
    pub fn released(&mut self, before: Offset) {
        // How far messages were read ahead is not journaled: nobody must begin where there is nothing any more.
        self.beyond.from = self.beyond.from.max((before, 0));
    }

    /// Whether some message, or its payload, stands in an entry before this one.
    pub fn needs_before(&self, before: Offset) -> bool {
        self.waiting.front().is_some_and(|first| first.id.offset < before)
            || self.beyond().is_some_and(|(from, _)| from < before)
            || self.open.iter().any(|(message, open)| open.stands_at(*message) < before)
            || self.dead.values().any(|dead| dead.place.entry < before)
    }

    /// Takes a message out of those that nobody has received.
    fn take(&mut self, message: MessageId) {
        if self.waiting.front().is_some_and(|first| first.id == message) {
            self.waiting.pop_front();
        } else if let Ok(at) = self.waiting.binary_search_by_key(&message, |waiting| waiting.id) {
            self.waiting.remove(at);
        } else if self.beyond.messages > 0 {
            // Read ahead when it was received, which is not journaled.
            self.beyond.messages -= 1;
            self.beyond.from = self.beyond.from.max(message.end());
        }
    }

    fn open(&mut self, message: MessageId, open: Open) {
        self.open_by_visible.insert((open.visible, message));
        self.open_by_age.insert((open.enqueued, message));
        self.open.insert(message, open);
    }

    fn close(&mut self, message: MessageId) -> Option<Open> {
        let open = self.open.remove(&message)?;
        self.open_by_visible.remove(&(open.visible, message));
        self.open_by_age.remove(&(open.enqueued, message));
        Some(open)
    }

    fn bury(&mut self, message: MessageId) -> Option<Dead> {
        let dead = self.dead.remove(&message)?;
        self.dead_by_age.remove(&(dead.enqueued, message));
        Some(dead)
    }

    /// What it holds `now`.
    pub fn figures(&self, now: Timestamp) -> Figures {
        let in_flight = self.in_flight(now) as u64;
        let open = self.open_by_age.first().map(|(enqueued, _)| *enqueued);
        let waiting = self.waiting.front().map(|first| first.enqueued);
        Figures {
            visible: self.waiting.len() as u64 + self.beyond.messages + self.open.len() as u64 - in_flight,
            in_flight,
            dead: self.dead.len() as u64,
            oldest: open.into_iter().chain(waiting).min(),
            totals: self.totals,
        }
    }

    pub(super) fn in_flight(&self, now: Timestamp) -> usize {
        self.open_by_visible.range((now.plus_ms(1), MessageId::FIRST)..).count()
    }

    /// Dead letters after `after`, in the order of their names.
    pub fn dead_letters(&self, after: Option<MessageId>) -> impl Iterator<Item = (MessageId, &Dead)> {
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        self.dead.range((from, std::ops::Bound::Unbounded)).map(|(message, dead)| (*message, dead))
    }

    /// When something happens by itself after `now`: a message becomes visible, or too old.
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let visible = self.open_by_visible.range((now.plus_ms(1), MessageId::FIRST)..).next();
        let age = |enqueued: Timestamp, retention_ms| enqueued.plus_ms(retention_ms);
        let (kept, dead_kept) = (self.rule.retention_ms, self.rule.dead_letter_retention_ms);
        [
            visible.map(|(at, _)| *at),
            self.open_by_age.first().map(|(enqueued, _)| age(*enqueued, kept)),
            self.waiting.front().map(|first| age(first.enqueued, kept)),
            self.dead_by_age.first().map(|(enqueued, _)| age(*enqueued, dead_kept)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// As data.
    pub fn snapshot(&self) -> ViewSnapshot {
        ViewSnapshot {
            rule: self.rule.clone(),
            waiting: self.waiting.clone(),
            beyond: self.beyond,
            open: self.open.clone(),
            dead: self.dead.clone(),
            next_receipt: self.next_receipt,
            totals: self.totals,
        }
    }

    /// Back from data.
    pub fn restore(snapshot: ViewSnapshot, limits: Limits) -> View {
        let ViewSnapshot { rule, waiting, beyond, open, dead, next_receipt, totals } = snapshot;
        let mut view = View { waiting, beyond, next_receipt, totals, ..View::new(rule, limits) };
        for (message, open) in open {
            view.open(message, open);
        }
        view.dead_by_age = dead.iter().map(|(message, dead)| (dead.enqueued, *message)).collect();
        view.dead = dead;
        view
    }
}
