//! The dispatcher: one task per subscription hands messages to its notifier, in order, until each has ended.
//!
//! Delivery is at least once: an attempt whose answer was lost, or that a crash kept from being journaled, is made
//! again under the same message id.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use watchbell_model::{Delivery, DeliveryOutcome, Entry, InstallationId, TrailOutcome};
use watchbell_notify::{GIVE_UP_AFTER, Message, Notifier, SendError, backoff, backoff_seed};

use super::clock::Clock;
use super::outbox::Outgoing;
use super::trail::TrailDraft;
use super::writer::{Durable, Writer};

/// How many messages may wait for one subscription; the next is given up and that is journaled.
pub const MESSAGES_WAITING_MAX: usize = 10_000;

/// How long a stopping process tries to hand over what waits. The rest goes out after the next start.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A subscription: topic and name.
pub type Address = (String, String);

/// The notifiers of the plan in force; replaced by a reload.
#[derive(Clone, Default)]
pub struct Notifiers(Arc<Mutex<BTreeMap<Address, Arc<dyn Notifier>>>>);

impl Notifiers {
    /// Puts others in force.
    pub fn replace(&self, notifiers: BTreeMap<Address, Arc<dyn Notifier>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = notifiers;
    }

    fn get(&self, address: &Address) -> Option<Arc<dyn Notifier>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(address).cloned()
    }
}

/// What every task needs.
#[derive(Clone)]
pub struct Dispatcher {
    /// Part of every message's id.
    pub installation: InstallationId,
    /// Who can be told.
    pub notifiers: Notifiers,
    /// Where outcomes go.
    pub writer: Writer,
    /// Tells the age of messages.
    pub clock: Arc<dyn Clock>,
    /// Nothing goes out before its decision is on disk.
    pub durable: Durable,
    /// Turns true when the process stops: no further attempts after a failed one.
    pub stopping: watch::Receiver<bool>,
}

impl Dispatcher {
    /// Hands out what comes in. After `finish` nothing more is taken in; it ends when everything has ended or must wait
    /// for the next start.
    pub async fn run(self, mut outgoing: UnboundedReceiver<Outgoing>, finish: oneshot::Receiver<()>) {
        let mut queues: BTreeMap<Address, mpsc::Sender<Outgoing>> = BTreeMap::new();
        let mut tasks = JoinSet::new();
        let mut finish = Some(finish);
        loop {
            let next = match &mut finish {
                None => outgoing.recv().await,
                Some(asked) => tokio::select! {
                    biased;
                    next = outgoing.recv() => next,
                    _ = asked => {
                        finish = None;
                        outgoing.close();
                        continue;
                    }
                },
            };
            let Some(next) = next else { break };
            let address = (next.topic.clone(), next.subscription.clone());
            let queue = queues.entry(address).or_insert_with_key(|address| {
                let (queue, waiting) = mpsc::channel(MESSAGES_WAITING_MAX);
                tasks.spawn(self.clone().subscription(address.clone(), waiting));
                queue
            });
            match queue.try_send(next) {
                Ok(()) => {}
                Err(TrySendError::Full(next)) => {
                    let reason =
                        format!("{MESSAGES_WAITING_MAX} messages are waiting for this subscription already");
                    self.ended(&next, next.attempts, DeliveryOutcome::GaveUp { reason });
                }
                // It ends early only when the process stops; the outbox remembers what is left.
                Err(TrySendError::Closed(next)) => {
                    tracing::debug!(topic = next.topic, "left for the next start");
                }
            }
        }
        drop(queues);
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a subscription's task has failed");
            }
        }
    }

    async fn subscription(mut self, address: Address, mut waiting: mpsc::Receiver<Outgoing>) {
        while let Some(outgoing) = waiting.recv().await {
            if self.durable.wait_for(|durable| *durable > outgoing.decided_at).await.is_err() {
                return; // The writer has failed: the decision may not exist.
            }
            if !self.deliver(&address, &outgoing).await {
                return;
            }
        }
    }

    /// Tries until the delivery has ended; false if the process stops before that.
    async fn deliver(&mut self, address: &Address, outgoing: &Outgoing) -> bool {
        let message = Message::new(self.installation, outgoing.decision, &outgoing.transition);
        let seed = backoff_seed(outgoing.decision, &outgoing.topic, &outgoing.subscription);
        let mut attempt = outgoing.attempts;
        loop {
            attempt += 1;
            let error = match self.notifiers.get(address) {
                Some(notifier) => notifier.send(&message).await.err(),
                None => {
                    Some(SendError::Never { reason: "the plan in force has no such subscription".into() })
                }
            };
            let (reason, after) = match error {
                None => {
                    self.ended(outgoing, attempt, DeliveryOutcome::Delivered);
                    return true;
                }
                Some(SendError::Never { reason }) => {
                    self.ended(outgoing, attempt, DeliveryOutcome::GaveUp { reason });
                    return true;
                }
                Some(SendError::Again { reason, after }) => (reason, after),
            };
            if self.is_too_old(outgoing) {
                self.ended(outgoing, attempt, DeliveryOutcome::GaveUp { reason });
                return true;
            }
            self.ended(outgoing, attempt, DeliveryOutcome::Failed { reason });
            let pause = backoff(attempt, seed).max(after.unwrap_or_default());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = self.stopping.wait_for(|stopping| *stopping) => return false,
            }
        }
    }

    fn is_too_old(&self, outgoing: &Outgoing) -> bool {
        let age_ms = self.clock.now().ms_since(outgoing.transition.at);
        u128::try_from(age_ms).is_ok_and(|age_ms| age_ms > GIVE_UP_AFTER.as_millis())
    }

    fn ended(&self, outgoing: &Outgoing, attempt: u32, outcome: DeliveryOutcome) {
        let Outgoing { decision, topic, subscription, transition, .. } = outgoing;
        let (trail_outcome, reason) = match &outcome {
            DeliveryOutcome::Delivered => (TrailOutcome::Done, None),
            DeliveryOutcome::Failed { reason } => {
                tracing::warn!(
                    topic,
                    subscription,
                    alarm = transition.alarm,
                    attempt,
                    reason,
                    "not delivered, will try again"
                );
                (TrailOutcome::Failed, Some(reason))
            }
            DeliveryOutcome::GaveUp { reason } => {
                tracing::error!(
                    topic,
                    subscription,
                    alarm = transition.alarm,
                    attempt,
                    reason,
                    "not delivered, given up"
                );
                (TrailOutcome::Failed, Some(reason))
            }
        };
        let mut draft = TrailDraft::done("notification.send", format!("topic {topic}/{subscription}"))
            .outcome(trail_outcome)
            .detail("alarm", &transition.alarm)
            .detail("state", transition.to)
            .detail("decision", decision)
            .detail("attempt", attempt);
        if let Some(reason) = reason {
            draft = draft.detail("reason", reason);
        }
        let (topic, subscription) = (topic.clone(), subscription.clone());
        self.writer.append(Entry::Delivery(Delivery {
            decision: *decision,
            topic,
            subscription,
            attempt,
            outcome,
        }));
        self.writer.trail(draft);
    }
}
