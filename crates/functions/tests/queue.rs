//! A queue against a model that knows only the rules: random receives, deletes, stale handles, timeouts, redrives, parts
//! of the journal that go, and crashes. A crash is a replay of what was journaled, from the beginning or from a snapshot.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use watchbell_functions::queue::{
    Copying, Draft, Drafted, Figures, Limits, Message, Place, RECEIVE_TEXT_BYTES_MAX, Receipt, Refused,
    Releasing, Totals, VISIBILITY_TIMEOUT_MS_MAX, View,
};
use watchbell_model::{MessageId, Offset, Position, Queue, QueueChange, Timestamp};

const NAME: &str = "events";
const LIMITS: Limits = Limits { waiting: 4, in_flight: 5, dead: 3 };

fn rule() -> Queue {
    Queue {
        log_groups: vec!["*".into()],
        alarms: false,
        visibility_timeout_ms: 30_000,
        max_receives: 2,
        retention_ms: 600_000,
        dead_letter_retention_ms: 900_000,
    }
}

/// What a message is, to somebody who has only read the rules.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Waiting,
    Open { receives: u32, receipt: u64, received: i64, visible: i64 },
    Dead,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    enqueued: i64,
    bytes: u64,
    state: State,
    /// It is or was a dead letter, so its payload was copied.
    is_copied: bool,
}

/// The rules, one after the other, over a plain list of messages.
#[derive(Default)]
struct Rules {
    now: i64,
    messages: BTreeMap<MessageId, Known>,
    totals: Totals,
}

impl Rules {
    fn expire(&mut self) {
        let now = self.now;
        let before = self.messages.len();
        self.messages.retain(|_, it| {
            let kept = if it.state == State::Dead { 900_000 } else { 600_000 };
            now - it.enqueued < kept
        });
        self.totals.expired += (before - self.messages.len()) as u64;
    }

    /// The journal before this entry goes: with it what stands nowhere else.
    fn release(&mut self, offset: Offset) {
        let before = self.messages.len();
        self.messages.retain(|id, it| it.is_copied || id.offset >= offset);
        self.totals.expired += (before - self.messages.len()) as u64;
    }

    fn is_in_flight(&self, it: &Known) -> bool {
        matches!(it.state, State::Open { visible, .. } if visible > self.now)
    }

    fn count(&self, holds: impl Fn(&Known) -> bool) -> usize {
        self.messages.values().filter(|it| holds(it)).count()
    }

    fn figures(&self) -> Figures {
        let in_flight = self.count(|it| self.is_in_flight(it));
        let dead = self.count(|it| it.state == State::Dead);
        let alive = self.messages.values().filter(|it| it.state != State::Dead);
        Figures {
            visible: (self.messages.len() - in_flight - dead) as u64,
            in_flight: in_flight as u64,
            dead: dead as u64,
            oldest: alive.map(|it| Timestamp(it.enqueued)).min(),
            totals: self.totals,
        }
    }

    /// Checks that what was drafted for a receive of `max` is allowed and leaves nothing undone, and does it.
    fn receive(&mut self, max: usize, hidden_ms: i64, durable: u64, drafted: &Drafted, is_full: bool) {
        for dying in &drafted.dying {
            let known = self.messages[&dying.message];
            let is_due = matches!(known.state, State::Open { receives, visible, .. }
                if receives >= 2 && visible <= self.now && receives == dying.receives);
            assert!(is_due, "{dying:?} is {known:?}");
            let known = self.messages.get_mut(&dying.message).unwrap();
            (known.state, known.is_copied) = (State::Dead, true);
            self.totals.dead += 1;
        }
        assert!(self.count(|it| it.state == State::Dead) <= LIMITS.dead);
        let (mut leases, mut bytes) = (0, 0);
        for change in &drafted.changes {
            let QueueChange::Received(lease) = change else { continue };
            let known = self.messages.get_mut(&lease.message).unwrap();
            let receives = match known.state {
                State::Waiting => {
                    assert!(lease.message.offset.0 < durable, "{lease:?} is not on disk");
                    0
                }
                State::Open { receives, visible, .. } => {
                    assert!(visible <= self.now, "{lease:?} is hidden: {known:?}");
                    receives
                }
                State::Dead => panic!("{lease:?} is dead"),
            };
            assert_eq!((lease.receives, lease.until.0), (receives + 1, self.now + hidden_ms));
            assert_eq!((lease.bytes, lease.enqueued.0), (known.bytes, known.enqueued));
            let (receipt, visible) = (lease.receipt, self.now + hidden_ms);
            known.state = State::Open { receives: lease.receives, receipt, received: self.now, visible };
            (leases, bytes) = (leases + 1, bytes + lease.bytes);
            self.totals.received += 1;
        }
        assert!(leases <= max);
        assert!(leases == 1 || bytes <= RECEIVE_TEXT_BYTES_MAX);
        let in_flight = self.count(|it| self.is_in_flight(it));
        assert!(in_flight <= LIMITS.in_flight);
        // With `hidden_ms` of 0 what was just received is visible again already: then nothing can be said.
        if leases < max && in_flight < LIMITS.in_flight && !is_full && hidden_ms > 0 {
            let left = self.messages.iter().filter(|(id, it)| match it.state {
                State::Waiting => id.offset.0 < durable,
                State::Open { visible, .. } => visible <= self.now,
                State::Dead => false,
            });
            // It ends at the first that does not fit.
            let largest = left.map(|(id, it)| (it.bytes, id)).max();
            let left = largest.filter(|(largest, _)| bytes + largest <= RECEIVE_TEXT_BYTES_MAX);
            assert_eq!(left, None, "a receive of {max} got {leases}");
        }
    }

    fn held(&self, receipt: &Receipt) -> Result<Known, Refused> {
        match self.messages.get(&receipt.message) {
            None => Err(Refused::Gone),
            Some(Known { state: State::Dead, .. }) => Err(Refused::IsDead),
            Some(known) => match known.state {
                State::Open { receipt: newest, .. } if newest == receipt.number => Ok(*known),
                _ => Err(Refused::Stale),
            },
        }
    }

    fn delete(&mut self, receipt: &Receipt) -> Result<bool, Refused> {
        match self.held(receipt) {
            Ok(_) => {
                self.messages.remove(&receipt.message);
                self.totals.deleted += 1;
                Ok(true)
            }
            Err(Refused::Gone) => Ok(false),
            Err(refused) => Err(refused),
        }
    }

    fn change_visibility(&mut self, handle: &Receipt, hidden_ms: i64) -> Result<(), Refused> {
        let Known { state: State::Open { receives, receipt, received, visible }, .. } = self.held(handle)?
        else {
            unreachable!("only open messages are held")
        };
        if visible <= self.now {
            return Err(Refused::NotInFlight);
        }
        let left_ms = received + VISIBILITY_TIMEOUT_MS_MAX - self.now;
        if hidden_ms > left_ms {
            return Err(Refused::TooLong { left_s: left_ms.max(0) / 1000 });
        }
        let visible = self.now + hidden_ms;
        self.messages.get_mut(&handle.message).unwrap().state =
            State::Open { receives, receipt, received, visible };
        Ok(())
    }

    fn redrive(&mut self, messages: &[MessageId]) {
        for message in messages {
            let known = self.messages.get_mut(message).unwrap();
            assert_eq!(known.state, State::Dead);
            let (received, visible) = (self.now, self.now);
            *known = Known {
                enqueued: self.now,
                state: State::Open { receives: 0, receipt: 0, received, visible },
                ..*known
            };
            self.totals.redriven += 1;
        }
    }
}

/// What stands in the journal.
#[derive(Clone)]
enum Written {
    Messages(Vec<Message>),
    Changes(Vec<QueueChange>),
    Release(Offset),
}

fn is_of_age(change: &QueueChange) -> bool {
    use QueueChange::{Expired, Forgotten, Passed};
    matches!(change, Passed { .. } | Expired { .. } | Forgotten { .. })
}

struct World {
    view: View,
    journal: Vec<Written>,
    /// A view as it was saved, and the entries that it covers.
    saved: Option<(watchbell_functions::queue::ViewSnapshot, usize)>,
    rules: Rules,
    /// Every handle ever given.
    handles: Vec<Receipt>,
    /// Entries that are on disk.
    durable: usize,
    /// Entries before this one are not there any more.
    released: Offset,
}

fn fold(view: &mut View, offset: usize, written: &Written) {
    match written {
        Written::Messages(messages) => view.enqueue(messages.clone()),
        Written::Release(before) => view.released(*before),
        Written::Changes(changes) => {
            for (change, index) in changes.iter().zip(0..) {
                view.apply(change, Place { entry: Offset(offset as u64), change: index });
            }
        }
    }
}

impl World {
    fn new() -> World {
        World {
            view: View::new(rule(), LIMITS),
            journal: Vec::new(),
            saved: None,
            rules: Rules { now: 1_000_000, ..Rules::default() },
            handles: Vec::new(),
            durable: 0,
            released: Offset(0),
        }
    }

    fn write(&mut self, written: Written) {
        fold(&mut self.view, self.journal.len(), &written);
        self.journal.push(written);
    }

    fn enqueue(&mut self, parts: &[u64]) {
        let offset = Offset(self.journal.len() as u64);
        let part = |(index, bytes): (u32, &u64)| Message {
            id: MessageId { offset, first: index * 10, last: index * 10 + 9 },
            enqueued: Timestamp(self.rules.now),
            bytes: *bytes,
        };
        let messages: Vec<Message> = (0..).zip(parts).map(part).collect();
        for message in &messages {
            let known = Known {
                enqueued: self.rules.now,
                bytes: message.bytes,
                state: State::Waiting,
                is_copied: false,
            };
            self.rules.messages.insert(message.id, known);
        }
        self.write(Written::Messages(messages));
    }

    /// Reads ahead as the broker does: entries that are on disk, up to the room there is.
    fn read_on(&mut self) {
        let Some(from) = self.view.reads_on_from() else { return };
        let (mut found, mut to): (Vec<Message>, Position) = (Vec::new(), from);
        assert!(from.0 >= self.released, "reads what is not there any more");
        let start = usize::try_from(from.0.0).unwrap();
        for (offset, written) in self.journal.iter().enumerate().take(self.durable).skip(start) {
            if found.len() >= self.view.room() {
                break;
            }
            if let Written::Messages(messages) = written {
                found.extend(messages.iter().filter(|message| message.id.position() >= from));
            }
            to = (Offset(offset as u64 + 1), 0);
        }
        self.view.read_on(from, found, to);
    }

    /// What `ask` decides is journaled; its answer comes back. What is too old goes first, in drafts of its own.
    fn draft<T>(&mut self, ask: impl FnOnce(&mut Draft<'_>) -> T) -> (T, Drafted, bool) {
        self.rules.expire();
        while self.draft_now(Releasing::NOTHING, |_| ()).1.changes.iter().any(is_of_age) {}
        self.draft_now(Releasing::NOTHING, ask)
    }

    fn draft_now<T>(
        &mut self,
        releasing: Releasing,
        ask: impl FnOnce(&mut Draft<'_>) -> T,
    ) -> (T, Drafted, bool) {
        self.read_on();
        let (now, durable) = (Timestamp(self.rules.now), Offset(self.durable as u64));
        let mut draft = Draft::releasing(NAME, &self.view, now, durable, releasing);
        let answer = ask(&mut draft);
        let is_full = draft.is_full();
        let Drafted { changes, dying, copying } = draft.finish();
        let dead = dying.iter().cloned().map(|dying| dying.with_body("payload".into()));
        let copied = copying.iter().map(|Copying { message, copy }| {
            assert!(copy.entry >= self.released, "copies what is not there any more");
            QueueChange::Copied { message: *message, body: "payload".into() }
        });
        let all: Vec<QueueChange> = changes.iter().cloned().chain(dead).chain(copied).collect();
        if !all.is_empty() {
            self.write(Written::Changes(all));
            self.durable = self.journal.len();
        }
        (answer, Drafted { changes, dying, copying }, is_full)
    }

    /// Everything before `before` goes, once the queue needs none of it.
    fn release(&mut self, before: Offset) {
        self.draft(|_| ());
        for round in 0.. {
            assert!(round < 1000, "the queue needs something before {before} for ever");
            if !self.view.needs_before(before) {
                break;
            }
            self.draft_now(Releasing { before, copied_bytes_max: u64::MAX }, |_| ());
        }
        self.rules.release(before);
        self.write(Written::Release(before));
        self.durable = self.journal.len();
        self.released = self.released.max(before);
    }

    fn receive(&mut self, max: usize, hidden_ms: i64) {
        let durable = self.durable as u64;
        let (answer, drafted, is_full) = self.draft(|draft| draft.receive(max, Some(hidden_ms)));
        match answer {
            Ok(leases) => {
                let receipt = |number, message| Receipt { queue: NAME.to_owned(), message, number };
                self.handles.extend(leases.iter().map(|(lease, _)| receipt(lease.receipt, lease.message)));
                self.rules.receive(max, hidden_ms, durable, &drafted, is_full);
            }
            Err(refused) => {
                assert_eq!(refused, Refused::OverLimit { in_flight: LIMITS.in_flight });
                assert_eq!(self.rules.count(|it| self.rules.is_in_flight(it)), LIMITS.in_flight);
            }
        }
    }

    /// The process dies: what was not synced is gone, and nobody was told of it.
    fn crash(&mut self, from_snapshot: bool) {
        for written in self.journal.drain(self.durable..) {
            let Written::Messages(messages) = written else { unreachable!("all else waits for the sync") };
            for message in messages {
                self.rules.messages.remove(&message.id);
            }
        }
        let saved = self.saved.clone().filter(|(_, covered)| from_snapshot && *covered <= self.durable);
        let (mut view, covered) = match saved {
            Some((snapshot, covered)) => {
                let json = serde_json::to_string(&snapshot).unwrap();
                (View::restore(serde_json::from_str(&json).unwrap(), LIMITS), covered)
            }
            None => (View::new(rule(), LIMITS), 0),
        };
        for (offset, written) in self.journal.iter().enumerate().skip(covered) {
            fold(&mut view, offset, written);
        }
        self.view = view;
        if self.saved.as_ref().is_some_and(|(_, covered)| *covered > self.durable) {
            self.saved = None;
        }
    }

    fn check(&mut self) {
        self.draft(|_| ());
        assert_eq!(self.view.figures(Timestamp(self.rules.now)), self.rules.figures());
    }
}

#[derive(Clone, Debug)]
enum Op {
    Enqueue(Vec<u64>),
    Sync,
    Receive { max: usize, hidden_ms: i64 },
    Delete { handle: usize },
    Hide { handle: usize, hidden_ms: i64 },
    Redrive { all: bool },
    Release { upto: usize },
    Wait { ms: i64 },
    Save,
    Crash { from_snapshot: bool },
}

fn op() -> impl Strategy<Value = Op> {
    let hidden = || prop_oneof![Just(0), Just(1000), Just(30_000), Just(VISIBILITY_TIMEOUT_MS_MAX)];
    let bytes = prop_oneof![4 => 1..100_u64, 1 => Just(RECEIVE_TEXT_BYTES_MAX / 2), 1 => Just(2 * RECEIVE_TEXT_BYTES_MAX)];
    prop_oneof![
        4 => prop::collection::vec(bytes, 0..4).prop_map(Op::Enqueue),
        3 => Just(Op::Sync),
        6 => (1..=3_usize, hidden()).prop_map(|(max, hidden_ms)| Op::Receive { max, hidden_ms }),
        3 => any::<prop::sample::Index>().prop_map(|it| Op::Delete { handle: it.index(1 << 20) }),
        2 => (any::<prop::sample::Index>(), hidden()).prop_map(|(it, hidden_ms)| Op::Hide { handle: it.index(1 << 20), hidden_ms }),
        1 => any::<bool>().prop_map(|all| Op::Redrive { all }),
        1 => any::<prop::sample::Index>().prop_map(|it| Op::Release { upto: it.index(1 << 20) }),
        3 => prop_oneof![Just(500), Just(1000), Just(30_000), Just(200_000)].prop_map(|ms| Op::Wait { ms }),
        1 => Just(Op::Save),
        2 => any::<bool>().prop_map(|from_snapshot| Op::Crash { from_snapshot }),
    ]
}

fn run(ops: &[Op]) {
    let mut world = World::new();
    for op in ops {
        match op {
            Op::Enqueue(parts) => world.enqueue(parts),
            Op::Sync => world.durable = world.journal.len(),
            Op::Receive { max, hidden_ms } => world.receive(*max, *hidden_ms),
            Op::Delete { handle } if !world.handles.is_empty() => {
                let handle = world.handles[handle % world.handles.len()].clone();
                let (answer, ..) = world.draft(|draft| draft.delete(&handle.to_string()));
                assert_eq!(answer, world.rules.delete(&handle), "{handle}");
            }
            Op::Hide { handle, hidden_ms } if !world.handles.is_empty() => {
                let handle = world.handles[handle % world.handles.len()].clone();
                let (answer, ..) =
                    world.draft(|draft| draft.change_visibility(&handle.to_string(), *hidden_ms));
                assert_eq!(answer, world.rules.change_visibility(&handle, *hidden_ms), "{handle}");
            }
            Op::Delete { .. } | Op::Hide { .. } => {}
            Op::Redrive { all } => {
                let first = world.view.dead_letters(None).map(|(id, _)| id).next();
                let some: Option<Vec<MessageId>> = (!all).then(|| first.into_iter().collect());
                let messages = world.draft(|draft| draft.redrive(some.as_deref())).0;
                world.rules.redrive(&messages.unwrap());
            }
            Op::Release { upto } => world.release(Offset((upto % (world.durable + 1)) as u64)),
            Op::Wait { ms } => {
                // A sync takes less time than this.
                world.durable = world.journal.len();
                world.rules.now += ms;
            }
            Op::Save => world.saved = Some((world.view.snapshot(), world.journal.len())),
            Op::Crash { from_snapshot } => world.crash(*from_snapshot),
        }
        world.check();
    }
}

#[test]
fn dead_letters_beyond_what_may_be_copied_are_forgotten_the_oldest_first() {
    let mut world = World::new();
    world.enqueue(&[10, 10, 10]);
    world.durable = 1;
    for _ in 0..2 {
        world.receive(3, 1000);
        world.rules.now += 1000;
    }
    world.receive(3, 1000);
    assert_eq!(world.view.figures(Timestamp(world.rules.now)).dead, 3);
    let releasing = Releasing { before: Offset(world.durable as u64), copied_bytes_max: 20 };
    let ((), drafted, _) = world.draft_now(releasing, |_| ());
    let copied: Vec<u32> = drafted.copying.iter().map(|it| it.message.first).collect();
    let oldest = MessageId { offset: Offset(0), first: 0, last: 9 };
    assert_eq!(
        (copied, &drafted.changes[..]),
        (vec![20, 10], &[QueueChange::Forgotten { messages: vec![oldest] }][..])
    );
    assert!(!world.view.needs_before(releasing.before));
}

proptest! {
    #[test]
    fn a_queue_does_what_the_rules_say_also_across_crashes(ops in prop::collection::vec(op(), 1..80)) {
        run(&ops);
    }
}

/// Receives one message for `hidden_ms` and tells its handle.
fn receive_one(world: &mut World, hidden_ms: i64) -> String {
    let given = world.handles.len();
    world.receive(1, hidden_ms);
    assert_eq!(world.handles.len(), given + 1, "nothing was received");
    world.handles[given].to_string()
}

fn with_one_message() -> World {
    let mut world = World::new();
    world.enqueue(&[10]);
    world.durable = 1;
    world
}

#[test]
fn a_handle_counts_until_the_message_is_received_again() {
    let mut world = with_one_message();
    let first = receive_one(&mut world, 1000);
    world.rules.now += 1000;
    let second = receive_one(&mut world, 1000);
    assert_eq!(world.draft(|draft| draft.delete(&first)).0, Err(Refused::Stale));
    world.rules.now += 5000;
    let not_in_flight = world.draft(|draft| draft.change_visibility(&second, 1000)).0;
    assert_eq!(not_in_flight, Err(Refused::NotInFlight));
    assert_eq!(world.draft(|draft| draft.delete(&second)).0, Ok(true), "late, but nobody else has it");
    assert_eq!(world.draft(|draft| draft.delete(&second)).0, Ok(false), "deleting again is no mistake");
}

#[test]
fn the_receive_after_the_last_allowed_one_makes_a_dead_letter() {
    let mut world = with_one_message();
    for _ in 0..2 {
        receive_one(&mut world, 1000);
        world.rules.now += 1000;
        assert_eq!(world.view.figures(Timestamp(world.rules.now)).dead, 0);
    }
    let (leases, drafted, _) = world.draft(|draft| draft.receive(1, None));
    assert_eq!(leases, Ok(vec![]));
    assert_eq!(drafted.dying[0].reason, "received 2 times and never deleted");
    let handle = world.handles[1].to_string();
    assert_eq!(world.draft(|draft| draft.delete(&handle)).0, Err(Refused::IsDead));
    let (redriven, ..) = world.draft(|draft| draft.redrive(None));
    assert_eq!(redriven.unwrap().len(), 1);
    assert_eq!(world.draft(|draft| draft.delete(&handle)).0, Err(Refused::Stale));
    let (leases, ..) = world.draft(|draft| draft.receive(1, None));
    let (lease, copy) = leases.unwrap()[0];
    assert_eq!((lease.receives, copy), (1, Some(Place { entry: Offset(3), change: 0 })));
    world.rules.now += 30_000;
    let (again, ..) = world.draft(|draft| draft.receive(1, None));
    assert_eq!(again.unwrap()[0].1, copy, "its payload stays where it was copied to");
}

#[test]
fn no_receive_hides_a_message_for_more_than_twelve_hours() {
    let mut world = World::new();
    world.view = View::new(Queue { retention_ms: i64::MAX, ..rule() }, LIMITS);
    world.enqueue(&[10]);
    world.durable = 1;
    let (leases, ..) = world.draft(|draft| draft.receive(1, Some(VISIBILITY_TIMEOUT_MS_MAX)));
    let number = leases.unwrap()[0].0.receipt;
    let handle = format!("events.0.0.9.{number}");
    world.rules.now += 3_600_000;
    let too_long = world.draft(|draft| draft.change_visibility(&handle, VISIBILITY_TIMEOUT_MS_MAX)).0;
    assert_eq!(too_long, Err(Refused::TooLong { left_s: 11 * 3600 }));
    assert_eq!(world.draft(|draft| draft.change_visibility(&handle, 11 * 3_600_000)).0, Ok(()));
}

#[test]
fn what_no_receive_gave_is_no_handle() {
    let mut world = with_one_message();
    let handle = receive_one(&mut world, 1000);
    for wrong in ["", "x", &handle.replace("events", "other"), "events.0.0.9.2", "events.0.0.9.0"] {
        let refused = world.draft(|draft| draft.delete(wrong)).0;
        assert_eq!(refused, Err(Refused::NoReceipt { queue: "events".into() }), "{wrong}");
    }
}

#[test]
fn one_draft_decides_on_a_message_once() {
    let mut world = with_one_message();
    let handle = receive_one(&mut world, 1000);
    let answers = world.draft(|draft| (draft.delete(&handle), draft.delete(&handle))).0;
    assert_eq!(answers, (Ok(true), Err(Refused::Busy)));
}

#[test]
fn a_receive_takes_no_more_than_what_may_still_be_in_flight() {
    let mut world = World::new();
    world.enqueue(&[1; 9]);
    world.durable = 1;
    world.receive(3, 30_000);
    world.receive(3, 30_000);
    assert_eq!(world.handles.len(), LIMITS.in_flight);
    let refused = world.draft(|draft| draft.receive(1, None)).0;
    assert_eq!(refused, Err(Refused::OverLimit { in_flight: LIMITS.in_flight }));
}
