//! What waits for one queue, and what becomes of it in a round.

use std::collections::{BTreeSet, VecDeque};

use serde_json::{Value, json};
use tokio::sync::oneshot;
use watchbell_functions::queue::{Completed, Draft, Leases, Refused};
use watchbell_model::{InstallationId, MessageId, Timestamp};
use watchbell_server::QueueError;

use super::work::{Completes, Delivered, Done};

/// What an ask is answered with.
pub type Answer = Result<Value, QueueError>;

/// Where an answer goes.
pub(super) type Reply = oneshot::Sender<Answer>;

/// Who receives.
pub(super) enum Receiver {
    /// Over HTTP.
    Outside(Reply),
    /// A function's worker.
    Worker(oneshot::Sender<Result<Vec<Delivered>, QueueError>>),
}

impl Receiver {
    fn is_gone(&self) -> bool {
        match self {
            Receiver::Outside(reply) => reply.is_closed(),
            Receiver::Worker(reply) => reply.is_closed(),
        }
    }

    pub(super) fn refuse(self, error: QueueError) {
        match self {
            Receiver::Outside(reply) => tell(reply, Err(error)),
            // It may have gone away.
            Receiver::Worker(reply) => drop(reply.send(Err(error))),
        }
    }
}

/// A receive that waits for a message.
pub(super) struct Poller {
    pub(super) reply: Receiver,
    pub(super) max: usize,
    pub(super) visibility_timeout_ms: Option<i64>,
    pub(super) deadline: Timestamp,
    /// Asked for no waiting at all.
    pub(super) is_short: bool,
}

/// Receipt handles that are worked through, perhaps in several rounds.
pub(super) struct Handles {
    reply: Reply,
    /// Hides messages for so long; without it they are deleted.
    visibility_timeout_ms: Option<i64>,
    left: VecDeque<String>,
    done: Vec<String>,
    refused: Vec<(String, Refused)>,
}

impl Handles {
    pub(super) fn new(reply: Reply, receipts: Vec<String>, visibility_timeout_ms: Option<i64>) -> Handles {
        // The same handle twice is one.
        let mut seen = BTreeSet::new();
        let left = receipts.into_iter().filter(|receipt| seen.insert(receipt.clone())).collect();
        Handles { reply, visibility_timeout_ms, left, done: Vec::new(), refused: Vec::new() }
    }

    /// Works through them as far as this draft allows.
    fn work(&mut self, draft: &mut Draft<'_>) {
        while let Some(receipt) = self.left.pop_front() {
            let outcome = match self.visibility_timeout_ms {
                Some(ms) => draft.change_visibility(&receipt, ms),
                None => draft.delete(&receipt).map(drop),
            };
            match outcome {
                Ok(()) => self.done.push(receipt),
                Err(Refused::Busy) => return self.left.push_front(receipt),
                Err(refused) => self.refused.push((receipt, refused)),
            }
        }
    }

    fn answer(self) {
        let verb = if self.visibility_timeout_ms.is_some() { "changed" } else { "deleted" };
        if let (true, Some((_, refused))) = (self.done.is_empty(), self.refused.first()) {
            return tell(self.reply, Err(refusal(refused)));
        }
        let refused: Vec<Value> = self
            .refused
            .iter()
            .map(|(receipt, refused)| {
                json!({ "receipt": receipt, "code": code(refused), "message": refused.to_string() })
            })
            .collect();
        tell(self.reply, Ok(json!({ verb: self.done, "refused": refused })));
    }
}

/// A redrive: of these dead letters, or of all.
pub(super) struct Redrive {
    pub(super) reply: Reply,
    pub(super) principal: String,
    pub(super) messages: Option<Vec<MessageId>>,
}

/// A message that a function has dealt with.
pub(super) struct Completion {
    pub(super) reply: oneshot::Sender<Result<Completes, QueueError>>,
    pub(super) done: Done,
}

/// What waits for one queue.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) completions: VecDeque<Completion>,
    pub(super) handles: VecDeque<Handles>,
    pub(super) redrives: VecDeque<Redrive>,
    pub(super) pollers: VecDeque<Poller>,
}

/// Who is to be told what, once the round is on disk.
#[derive(Default)]
pub(super) struct Answers {
    handles: Vec<Handles>,
    pub(super) redriven: Vec<(Redrive, Vec<MessageId>)>,
    /// Messages as they were handed out; their payloads have to be read.
    pub(super) leases: Vec<(Receiver, Leases)>,
    /// The same with their payloads.
    pub(super) offered: Vec<Offer>,
    /// What functions have dealt with; to be journaled.
    pub(super) completions: Vec<(Completion, Completed)>,
    /// Who is told once that is on disk.
    pub(super) completed: Vec<oneshot::Sender<Result<Completes, QueueError>>>,
    refused: Vec<(Reply, QueueError)>,
}

/// Messages on their way to whoever received them.
pub(super) enum Offer {
    Outside(Reply, Vec<Value>),
    Worker(oneshot::Sender<Result<Vec<Delivered>, QueueError>>, Vec<Delivered>),
}

impl Offer {
    fn give(self) {
        match self {
            Offer::Outside(reply, messages) => tell(reply, Ok(json!({ "messages": messages }))),
            Offer::Worker(reply, delivered) => drop(reply.send(Ok(delivered))),
        }
    }

    fn refuse(self, error: QueueError) {
        match self {
            Offer::Outside(reply, _) => Receiver::Outside(reply).refuse(error),
            Offer::Worker(reply, _) => Receiver::Worker(reply).refuse(error),
        }
    }
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.is_settled() && self.pollers.is_empty()
    }

    /// Whether only receives wait.
    pub(super) fn is_settled(&self) -> bool {
        self.completions.is_empty() && self.handles.is_empty() && self.redrives.is_empty()
    }

    /// Forgets receivers that have gone away.
    pub(super) fn forget_the_gone(&mut self) {
        self.pollers.retain(|poller| !poller.reply.is_gone());
    }

    /// Decides whatever the draft allows. With `is_stopping`, nobody waits any longer.
    pub(super) fn work(
        &mut self,
        draft: &mut Draft<'_>,
        now: Timestamp,
        is_stopping: bool,
        installation: InstallationId,
    ) -> Answers {
        let mut answers = Answers::default();
        for completion in std::mem::take(&mut self.completions) {
            match draft.complete(&completion.done.receipt, completion.done.dead.len()) {
                Ok(completed) => answers.completions.push((completion, completed)),
                Err(Refused::Busy) => self.completions.push_back(completion),
                Err(Refused::NoRoom) => drop(completion.reply.send(Ok(Completes::NoRoom))),
                // Whoever has the message now, or had it, deals with it: this work does not count.
                Err(_) => drop(completion.reply.send(Ok(Completes::TooLate))),
            }
        }
        for mut handles in std::mem::take(&mut self.handles) {
            handles.work(draft);
            if handles.left.is_empty() {
                answers.handles.push(handles);
            } else {
                self.handles.push_back(handles);
            }
        }
        for redrive in std::mem::take(&mut self.redrives) {
            match draft.redrive(redrive.messages.as_deref()) {
                Ok(messages) => answers.redriven.push((redrive, messages)),
                Err(Refused::Busy) => self.redrives.push_back(redrive),
                Err(Refused::NoDeadLetter(message)) => {
                    answers.refused.push((redrive.reply, no_dead_letter(&message.name(installation))));
                }
                Err(refused) => answers.refused.push((redrive.reply, refusal(&refused))),
            }
        }
        for poller in std::mem::take(&mut self.pollers) {
            let waits = poller.deadline > now && !is_stopping;
            match draft.receive(poller.max, poller.visibility_timeout_ms) {
                Ok(leases) if !leases.is_empty() => answers.leases.push((poller.reply, leases)),
                // A draft that is full has not looked at every message.
                _ if waits || draft.is_full() => self.pollers.push_back(poller),
                Err(refused) if poller.is_short => poller.reply.refuse(refusal(&refused)),
                _ => answers.leases.push((poller.reply, Vec::new())),
            }
        }
        answers
    }

    /// Refuses everything that waits.
    pub(super) fn refuse(self, error: &QueueError) {
        let handles = self.handles.into_iter().map(|handles| handles.reply);
        let redrives = self.redrives.into_iter().map(|redrive| redrive.reply);
        handles.chain(redrives).for_each(|reply| tell(reply, Err(error.clone())));
        self.pollers.into_iter().for_each(|poller| poller.reply.refuse(error.clone()));
        for completion in self.completions {
            let _ = completion.reply.send(Err(error.clone()));
        }
    }
}

impl Answers {
    /// Tells everybody what was done.
    pub(super) fn give(self) {
        self.handles.into_iter().for_each(Handles::answer);
        for (redrive, messages) in self.redriven {
            tell(redrive.reply, Ok(json!({ "redriven": messages.len() })));
        }
        self.offered.into_iter().for_each(Offer::give);
        for reply in self.completed {
            let _ = reply.send(Ok(Completes::Done));
        }
        for (reply, error) in self.refused {
            tell(reply, Err(error));
        }
    }

    /// Tells everybody that nothing was done.
    pub(super) fn refuse(self, error: &QueueError) {
        let handles = self.handles.into_iter().map(|handles| handles.reply);
        let redriven = self.redriven.into_iter().map(|(redrive, _)| redrive.reply);
        handles.chain(redriven).for_each(|reply| tell(reply, Err(error.clone())));
        self.leases.into_iter().for_each(|(receiver, _)| receiver.refuse(error.clone()));
        self.offered.into_iter().for_each(|offer| offer.refuse(error.clone()));
        let completions = self.completions.into_iter().map(|(completion, _)| completion.reply);
        for reply in completions.chain(self.completed) {
            let _ = reply.send(Err(error.clone()));
        }
        for (reply, error) in self.refused {
            tell(reply, Err(error));
        }
    }
}

/// Answers; whoever asked may have gone away.
pub(super) fn tell(reply: Reply, answer: Answer) {
    let _ = reply.send(answer);
}

pub(super) fn no_dead_letter(name: &str) -> QueueError {
    QueueError::Refused {
        code: "no_such_dead_letter",
        message: format!("{name:?} is not among the dead letters"),
        help: "nothing was redriven; the dead letters are at GET /queues/NAME/dead",
    }
}

fn refusal(refused: &Refused) -> QueueError {
    let message = refused.to_string();
    let help = match refused {
        Refused::OverLimit { .. } => return QueueError::OverLimit(message),
        Refused::NoReceipt { .. } => "send the \"receipt\" of a message that this queue gave",
        Refused::Stale => "whoever received it last has the handle that counts; nothing was done",
        Refused::IsDead => "redrive it to have it offered again",
        Refused::Gone => "there is nothing left to do",
        Refused::NotInFlight => "receive it again; ask for a longer visibility timeout next time",
        Refused::NoRoom => "redrive or let expire what is there",
        Refused::TooLong { .. } => "ask for less, or let it come back and receive it again",
        Refused::NoDeadLetter(_) | Refused::Busy => "look again",
    };
    QueueError::Refused { code: code(refused), message, help }
}

fn code(refused: &Refused) -> &'static str {
    match refused {
        Refused::Busy => "busy",
        Refused::NoReceipt { .. } => "no_receipt",
        Refused::Stale => "stale_receipt",
        Refused::IsDead => "dead_letter",
        Refused::Gone => "gone",
        Refused::NotInFlight => "not_in_flight",
        Refused::TooLong { .. } => "too_long",
        Refused::NoRoom => "no_room",
        Refused::OverLimit { .. } => "over_limit",
        Refused::NoDeadLetter(_) => "no_such_dead_letter",
    }
}

#[cfg(test)]
mod tests {
    use watchbell_functions::queue::{Limits, Message, View};
    use watchbell_model::{Offset, Queue};

    use super::*;

    fn view() -> View {
        let rule = Queue {
            log_groups: vec!["*".into()],
            alarms: false,
            visibility_timeout_ms: 30_000,
            max_receives: 3,
            retention_ms: 600_000,
            dead_letter_retention_ms: 600_000,
        };
        View::new(rule, Limits::default())
    }

    fn poller(deadline_ms: i64) -> (Poller, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        let deadline = Timestamp(deadline_ms);
        (
            Poller {
                reply: Receiver::Outside(reply),
                max: 1,
                visibility_timeout_ms: None,
                deadline,
                is_short: false,
            },
            answer,
        )
    }

    /// What a round at `now` leaves waiting and hands out.
    fn work(waiting: &mut Waiting, view: &View, now_ms: i64, is_stopping: bool) -> Vec<usize> {
        let now = Timestamp(now_ms);
        let mut draft = Draft::new("events", view, now, Offset(10));
        let answers = waiting.work(&mut draft, now, is_stopping, InstallationId([0; 8]));
        answers.leases.iter().map(|(_, leases)| leases.len()).collect()
    }

    #[test]
    fn nobody_waits_beyond_the_deadline_or_while_watchbell_stops() {
        let (mut waiting, view) = (Waiting::default(), view());
        let (first, _keep) = poller(1000);
        let (second, _keep_too) = poller(2000);
        waiting.pollers.extend([first, second]);
        assert_eq!(work(&mut waiting, &view, 999, false), Vec::<usize>::new());
        assert_eq!(work(&mut waiting, &view, 1000, false), [0], "the first is told that nothing came");
        assert_eq!(work(&mut waiting, &view, 1001, true), [0], "so is the second, because of the stop");
        assert!(waiting.is_empty());
    }

    #[test]
    fn a_receiver_that_went_away_gets_nothing_and_the_next_one_does() {
        let (mut waiting, mut view) = (Waiting::default(), view());
        let id = MessageId { offset: Offset(1), first: 0, last: 0 };
        view.enqueue(vec![Message { id, enqueued: Timestamp(0), bytes: 1 }]);
        let (gone, answer) = poller(1000);
        let (here, _keep) = poller(1000);
        waiting.pollers.extend([gone, here]);
        drop(answer);
        waiting.forget_the_gone();
        assert_eq!((waiting.pollers.len(), work(&mut waiting, &view, 0, false)), (1, vec![1]));
    }

    #[test]
    fn handles_of_one_message_are_worked_through_in_rounds() {
        let (mut waiting, mut view) = (Waiting::default(), view());
        let id = MessageId { offset: Offset(1), first: 0, last: 0 };
        view.enqueue(vec![Message { id, enqueued: Timestamp(0), bytes: 1 }]);
        let mut draft = Draft::new("events", &view, Timestamp(0), Offset(10));
        draft.receive(1, None).unwrap();
        for change in draft.finish().changes {
            view.apply(&change, watchbell_functions::queue::Place { entry: Offset(2), change: 0 });
        }
        let handle = || vec!["events.1.0.0.1".to_owned()];
        let ((first, _keep), (second, _keep_too)) = (oneshot::channel(), oneshot::channel());
        waiting.handles.push_back(Handles::new(first, handle(), Some(1000)));
        waiting.handles.push_back(Handles::new(second, handle(), None));
        work(&mut waiting, &view, 1, false);
        assert_eq!(waiting.handles.len(), 1, "the second waits until the first is journaled");
        work(&mut waiting, &view, 1, false);
        assert!(waiting.is_settled());
    }
}
