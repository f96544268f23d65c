//! Decides what is to be journaled about a queue next, and changes nothing.
//!
//! Promise: what one draft decides can be journaled as one entry, because no message is in two of its changes. An ask
//! about a message that it has decided on already is [`Refused::Busy`]: it belongs in the next draft.

use std::collections::BTreeSet;

use watchbell_model::{DeadLetter, Lease, MessageId, Offset, QueueChange, Timestamp};

use super::view::Place;
use super::{Message, RECEIVE_MAX, RECEIVE_TEXT_BYTES_MAX, Receipt, VISIBILITY_TIMEOUT_MS_MAX, View};

/// Messages that one draft finds too old at most, of each kind; the next one goes on.
const EXPIRED_MAX: usize = 10_000;

/// Bytes of text that one draft makes dead letters of, unless the first alone has more: their payloads are copied into
/// the entry.
const DYING_TEXT_BYTES_MAX: u64 = 1024 * 1024;

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Ask the next draft.
    #[error("the message is being changed")]
    Busy,
    /// The text is none of this queue's receipt handles.
    #[error("this is no receipt handle of queue {queue:?}")]
    NoReceipt {
        /// The queue that was asked.
        queue: String,
    },
    /// The message was received again since, and that receive's handle counts; or it was redriven.
    #[error("the receipt handle is stale: the message has been offered again since")]
    Stale,
    /// It is a dead letter by now.
    #[error("the message was received too often and is a dead letter now")]
    IsDead,
    /// It was deleted, or is too old.
    #[error("the message is not in the queue any more")]
    Gone,
    /// Its time is over, so there is nothing to extend.
    #[error("the message is not in flight: its visibility timeout is over")]
    NotInFlight,
    /// Longer than one receive can hide a message.
    #[error("one receive hides a message for 12 hours at most, {left_s} s of them are left")]
    TooLong {
        /// What is left, in seconds.
        left_s: i64,
    },
    /// Too many messages are hidden.
    #[error("{in_flight} messages are in flight, which is the most there can be")]
    OverLimit {
        /// How many.
        in_flight: usize,
    },
    /// There are as many dead letters as there can be.
    #[error("there is no room for more dead letters")]
    NoRoom,
    /// No dead letter has this name.
    #[error("message {0} is not among the dead letters")]
    NoDeadLetter(MessageId),
}

/// A message that becomes a dead letter once its payload has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dying {
    /// The message.
    pub message: MessageId,
    /// When it was enqueued.
    pub enqueued: Timestamp,
    /// About how many bytes of text it has.
    pub bytes: u64,
    /// How often it was received.
    pub receives: u32,
    /// Now.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// Where its payload is, if not in its own entry.
    pub copy: Option<Place>,
}

impl Dying {
    /// The change, with the payload.
    pub fn with_body(self, body: serde_json::Value) -> QueueChange {
        let Dying { message, enqueued, bytes, receives, at, reason, copy: _ } = self;
        QueueChange::Dead(Box::new(DeadLetter { message, enqueued, bytes, receives, at, reason, body }))
    }
}

/// A message that has been dealt with by a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completed {
    /// The message.
    pub message: MessageId,
    /// When it was enqueued.
    pub enqueued: Timestamp,
    /// How often it was received.
    pub receives: u32,
    /// Now.
    pub at: Timestamp,
}

impl Completed {
    /// The changes that say it: `dead` are its events that failed, as messages of their own, with payload and reason. They
    /// are journaled in one entry with what the others raised.
    pub fn changes(self, dead: Vec<(MessageId, serde_json::Value, String)>) -> Vec<QueueChange> {
        let Completed { message, enqueued, receives, at } = self;
        let is_whole = dead.iter().any(|(part, ..)| *part == message);
        let deleted = (!is_whole).then_some(QueueChange::Deleted { message });
        let letter = |(part, body, reason): (MessageId, serde_json::Value, String)| {
            let bytes = body.to_string().len() as u64;
            let letter = DeadLetter { message: part, enqueued, bytes, receives, at, reason, body };
            QueueChange::Dead(Box::new(letter))
        };
        deleted.into_iter().chain(dead.into_iter().map(letter)).collect()
    }
}

/// A payload that is to be copied before it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copying {
    /// The message.
    pub message: MessageId,
    /// Where its payload is.
    pub copy: Place,
}

/// What is to be journaled.
#[derive(Debug, Default)]
pub struct Drafted {
    /// Changes that are complete.
    pub changes: Vec<QueueChange>,
    /// Changes that lack a payload.
    pub dying: Vec<Dying>,
    /// Payloads to be copied.
    pub copying: Vec<Copying>,
}

/// A part of the journal that is about to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Releasing {
    /// The oldest entry that stays.
    pub before: Offset,
    /// Text of dead letters that a queue keeps at most when their entries go; the oldest beyond it are forgotten.
    pub copied_bytes_max: u64,
}

impl Releasing {
    /// Nothing goes.
    pub const NOTHING: Releasing = Releasing { before: Offset(0), copied_bytes_max: u64::MAX };
}

/// Messages handed out by one receive, each with the place of its payload if that is not its own entry.
pub type Leases = Vec<(Lease, Option<Place>)>;

/// Decides, from the state of a queue and a time.
pub struct Draft<'a> {
    name: &'a str,
    view: &'a View,
    now: Timestamp,
    /// Messages from here on are not on disk yet.
    durable: Offset,
    releasing: Releasing,
    /// How many of the view's waiting messages are used up.
    taken: usize,
    touched: BTreeSet<MessageId>,
    next_receipt: u64,
    leased: usize,
    dying_bytes: u64,
    /// Dead letters that completed messages leave.
    completed_dead: usize,
    is_full: bool,
    drafted: Drafted,
}

impl<'a> Draft<'a> {
    /// A draft about the queue called `name`. Begins with the messages that are too old.
    pub fn new(name: &'a str, view: &'a View, now: Timestamp, durable: Offset) -> Draft<'a> {
        Draft::releasing(name, view, now, durable, Releasing::NOTHING)
    }

    /// The same, with messages in entries that are about to go: they are taken for too old, and the payloads of dead
    /// letters are copied out of them.
    pub fn releasing(
        name: &'a str,
        view: &'a View,
        now: Timestamp,
        durable: Offset,
        releasing: Releasing,
    ) -> Draft<'a> {
        let mut draft = Draft {
            name,
            view,
            now,
            durable,
            releasing,
            taken: 0,
            touched: BTreeSet::new(),
            next_receipt: view.next_receipt,
            leased: 0,
            dying_bytes: 0,
            completed_dead: 0,
            is_full: false,
            drafted: Drafted::default(),
        };
        draft.expire();
        draft.carry_on();
        draft
    }

    /// What was decided.
    pub fn finish(self) -> Drafted {
        self.drafted
    }

    /// Whether it decided as much as one entry may hold; the next draft goes on at once.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    fn is_too_old(&self, enqueued: Timestamp) -> bool {
        self.now.ms_since(enqueued) >= self.view.rule.retention_ms
    }

    /// Whether a message that nobody has received is too old, or about to go.
    fn is_over(&self, message: &Message) -> bool {
        self.is_too_old(message.enqueued) || message.id.offset < self.releasing.before
    }

    fn expire(&mut self) {
        let (view, rule) = (self.view, &self.view.rule);
        let oldest = |by_age: &BTreeSet<(Timestamp, MessageId)>, retention_ms: i64| {
            let old = |(enqueued, _): &&(Timestamp, MessageId)| self.now.ms_since(*enqueued) >= retention_ms;
            by_age.iter().take_while(old).take(EXPIRED_MAX).map(|(_, id)| *id).collect::<Vec<_>>()
        };
        let mut open = oldest(&view.open_by_age, rule.retention_ms);
        let old: BTreeSet<MessageId> = open.iter().copied().collect();
        let end = MessageId { offset: self.releasing.before, ..MessageId::FIRST };
        let going =
            view.open.range(..end).filter(|(message, it)| it.copy.is_none() && !old.contains(message));
        open.extend(going.take(EXPIRED_MAX - open.len()).map(|(message, _)| *message));
        let dead = oldest(&view.dead_by_age, rule.dead_letter_retention_ms);
        let waiting = view.waiting.iter().take_while(|message| self.is_over(message));
        let passed = waiting.take(EXPIRED_MAX).count();
        self.is_full = [open.len(), dead.len(), passed].contains(&EXPIRED_MAX);
        self.touched.extend(open.iter().chain(&dead));
        self.taken = passed;
        let changes = &mut self.drafted.changes;
        if let Some(last) = passed.checked_sub(1) {
            let next = view.waiting[last].id.end();
            changes.push(QueueChange::Passed { next, messages: passed as u64 });
        }
        if !open.is_empty() {
            changes.push(QueueChange::Expired { messages: open });
        }
        if !dead.is_empty() {
            changes.push(QueueChange::Forgotten { messages: dead });
        }
    }

    /// Copies payloads of dead letters, and of those that were redriven, out of entries that are about to go.
    fn carry_on(&mut self) {
        let (view, before) = (self.view, self.releasing.before);
        if before == Offset(0) {
            return;
        }
        let dead = view.dead.iter().map(|(id, dead)| (dead.enqueued, *id, dead.bytes, dead.place));
        let redriven = view.open.iter().filter_map(|(id, it)| Some((it.enqueued, *id, it.bytes, it.copy?)));
        let mut copies: Vec<_> = dead.chain(redriven).collect();
        copies.sort_unstable_by_key(|(enqueued, id, ..)| std::cmp::Reverse((*enqueued, *id)));
        let (mut kept_bytes, mut copied_bytes) = (0, 0);
        let (mut expired, mut forgotten) = (Vec::new(), Vec::new());
        for (_, message, bytes, copy) in copies {
            kept_bytes += bytes;
            if copy.entry >= before || self.touched.contains(&message) {
                continue;
            }
            if kept_bytes > self.releasing.copied_bytes_max {
                let is_dead = view.dead.contains_key(&message);
                if is_dead { &mut forgotten } else { &mut expired }.push(message);
            } else if copied_bytes > 0 && copied_bytes + bytes > DYING_TEXT_BYTES_MAX {
                self.is_full = true;
                continue;
            } else {
                copied_bytes += bytes.max(1);
                self.drafted.copying.push(Copying { message, copy });
            }
            self.touched.insert(message);
        }
        if !expired.is_empty() {
            self.drafted.changes.push(QueueChange::Expired { messages: expired });
        }
        if !forgotten.is_empty() {
            self.drafted.changes.push(QueueChange::Forgotten { messages: forgotten });
        }
    }

    /// Hands out up to `max` messages, hidden for `visibility_timeout_ms` or what the queue says. Messages that come back
    /// go first; those that were received too often become dead letters instead.
    ///
    /// # Errors
    /// [`Refused::OverLimit`].
    pub fn receive(&mut self, max: usize, visibility_timeout_ms: Option<i64>) -> Result<Leases, Refused> {
        let (max, limit) = (max.min(RECEIVE_MAX), self.view.limits.in_flight);
        // Counting is dear, and needless while even with all that are open there would be room.
        let mut in_flight = self.view.open.len() + self.leased;
        if in_flight + max > limit {
            in_flight = self.view.in_flight(self.now) + self.leased;
        }
        let room = limit.saturating_sub(in_flight);
        if room == 0 {
            return Err(Refused::OverLimit { in_flight });
        }
        let hidden_ms = visibility_timeout_ms.unwrap_or(self.view.rule.visibility_timeout_ms);
        let mut asked = Asked { hidden_ms, max: max.min(room), leases: Vec::new(), bytes: 0 };
        self.receive_again(&mut asked);
        self.receive_first(&mut asked);
        self.leased += asked.leases.len();
        Ok(asked.leases)
    }

    /// Messages that were received before.
    fn receive_again(&mut self, asked: &mut Asked) {
        let view = self.view;
        let last = MessageId { offset: Offset(u64::MAX), first: u32::MAX, last: u32::MAX };
        for (_, message) in view.open_by_visible.range(..=(self.now, last)) {
            let open = &view.open[message];
            if self.touched.contains(message) || self.is_too_old(open.enqueued) {
                continue;
            }
            if open.receives >= view.rule.max_receives && self.has_room_for_the_dead() {
                if self.dying_bytes > 0 && self.dying_bytes + open.bytes > DYING_TEXT_BYTES_MAX {
                    self.is_full = true;
                    continue;
                }
                self.dying_bytes += open.bytes.max(1);
                self.touched.insert(*message);
                let times = if open.receives == 1 { "once" } else { "times" };
                let count = if open.receives == 1 { String::new() } else { format!("{} ", open.receives) };
                self.drafted.dying.push(Dying {
                    message: *message,
                    enqueued: open.enqueued,
                    bytes: open.bytes,
                    receives: open.receives,
                    at: self.now,
                    reason: format!("received {count}{times} and never deleted"),
                    copy: open.copy,
                });
                continue;
            }
            if !asked.takes(open.bytes) {
                return;
            }
            let lease = self.lease(asked, *message, open.enqueued, open.bytes, open.receives + 1);
            asked.leases.push((lease, open.copy));
        }
    }

    fn has_room_for_the_dead(&self) -> bool {
        self.view.dead.len() + self.drafted.dying.len() < self.view.limits.dead
    }

    /// Messages that were never received, in the order of the journal.
    fn receive_first(&mut self, asked: &mut Asked) {
        while let Some(message) = self.view.waiting.get(self.taken) {
            let is_there = message.id.offset < self.durable && !self.is_over(message);
            if !is_there || !asked.takes(message.bytes) {
                return;
            }
            self.taken += 1;
            let lease = self.lease(asked, message.id, message.enqueued, message.bytes, 1);
            asked.leases.push((lease, None));
        }
    }

    fn lease(
        &mut self,
        asked: &mut Asked,
        message: MessageId,
        enqueued: Timestamp,
        bytes: u64,
        receives: u32,
    ) -> Lease {
        let (at, until) = (self.now, self.now.plus_ms(asked.hidden_ms));
        let lease = Lease { message, enqueued, bytes, receipt: self.next_receipt, receives, at, until };
        self.next_receipt += 1;
        asked.bytes += bytes;
        self.touched.insert(message);
        self.drafted.changes.push(QueueChange::Received(lease));
        lease
    }

    /// Deletes the message of a receipt handle. `false` if it is not there any more, which is as good.
    ///
    /// # Errors
    /// [`Refused::NoReceipt`], [`Refused::Stale`], [`Refused::IsDead`], [`Refused::Busy`].
    pub fn delete(&mut self, receipt: &str) -> Result<bool, Refused> {
        match self.held(receipt) {
            Ok((message, _)) => {
                self.change(message, QueueChange::Deleted { message });
                Ok(true)
            }
            Err(Refused::Gone) => Ok(false),
            Err(refused) => Err(refused),
        }
    }

    /// Notes that a function has dealt with the message of a receipt handle, with so many events dead. The caller journals
    /// [`Completed::changes`] in an entry of their own.
    ///
    /// # Errors
    /// Those of [`Draft::delete`], [`Refused::Gone`] and [`Refused::NoRoom`].
    pub fn complete(&mut self, receipt: &str, dead: usize) -> Result<Completed, Refused> {
        let (message, _) = self.held(receipt)?;
        let open = &self.view.open[&message];
        let dying = self.drafted.dying.len() + self.completed_dead;
        if dead > 0 && self.view.dead.len() + dying + dead > self.view.limits.dead {
            return Err(Refused::NoRoom);
        }
        self.completed_dead += dead;
        self.touched.insert(message);
        Ok(Completed { message, enqueued: open.enqueued, receives: open.receives, at: self.now })
    }

    /// Hides the message of a receipt handle for `visibility_timeout_ms` from now; 0 gives it back at once.
    ///
    /// # Errors
    /// Those of [`Draft::delete`], [`Refused::Gone`], [`Refused::NotInFlight`] and [`Refused::TooLong`].
    pub fn change_visibility(&mut self, receipt: &str, visibility_timeout_ms: i64) -> Result<(), Refused> {
        let (message, received) = self.held(receipt)?;
        if self.view.open[&message].visible <= self.now {
            return Err(Refused::NotInFlight);
        }
        let until = self.now.plus_ms(visibility_timeout_ms);
        let end = received.plus_ms(VISIBILITY_TIMEOUT_MS_MAX);
        if until > end {
            return Err(Refused::TooLong { left_s: end.ms_since(self.now).max(0) / 1000 });
        }
        self.change(message, QueueChange::Hidden { message, until });
        Ok(())
    }

    /// The message that a receipt handle still stands for, and when it was received.
    fn held(&self, receipt: &str) -> Result<(MessageId, Timestamp), Refused> {
        let parsed = receipt.parse::<Receipt>().ok();
        let known = |receipt: &Receipt| {
            receipt.queue == self.name && (1..self.view.next_receipt).contains(&receipt.number)
        };
        let Some(Receipt { message, number, .. }) = parsed.filter(known) else {
            return Err(Refused::NoReceipt { queue: self.name.to_owned() });
        };
        if self.touched.contains(&message) {
            return Err(Refused::Busy);
        }
        match self.view.open.get(&message) {
            Some(open) if open.receipt == number => Ok((message, open.received)),
            Some(_) => Err(Refused::Stale),
            None if self.view.dead.contains_key(&message) => Err(Refused::IsDead),
            None => Err(Refused::Gone),
        }
    }

    /// Offers dead letters again: these, or all. Tells which.
    ///
    /// # Errors
    /// [`Refused::NoDeadLetter`] if one of them is none, [`Refused::Busy`]; then nothing is done.
    pub fn redrive(&mut self, messages: Option<&[MessageId]>) -> Result<Vec<MessageId>, Refused> {
        let view = self.view;
        let messages: BTreeSet<MessageId> = match messages {
            Some(messages) => messages.iter().copied().collect(),
            None => view.dead.keys().copied().collect(),
        };
        if let Some(unknown) = messages.iter().find(|message| !view.dead.contains_key(message)) {
            return Err(Refused::NoDeadLetter(*unknown));
        }
        if messages.iter().any(|message| self.touched.contains(message)) {
            return Err(Refused::Busy);
        }
        let messages: Vec<MessageId> = messages.into_iter().collect();
        self.touched.extend(&messages);
        if !messages.is_empty() {
            let change = QueueChange::Redriven { messages: messages.clone(), at: self.now };
            self.drafted.changes.push(change);
        }
        Ok(messages)
    }

    fn change(&mut self, message: MessageId, change: QueueChange) {
        self.touched.insert(message);
        self.drafted.changes.push(change);
    }
}

/// One receive in the making.
struct Asked {
    hidden_ms: i64,
    max: usize,
    leases: Leases,
    bytes: u64,
}

impl Asked {
    /// Whether a message of so many bytes still fits.
    fn takes(&self, bytes: u64) -> bool {
        let fits = self.leases.is_empty() || self.bytes + bytes <= RECEIVE_TEXT_BYTES_MAX;
        self.leases.len() < self.max && fits
    }
}
