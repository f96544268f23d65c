//! The outbox: deliveries that were decided on and have not ended. Derived from the journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchbell_model::{DecisionId, Decisions, Delivery, Offset, Transition};

/// One message to one subscription.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// What is told.
    pub decision: DecisionId,
    /// The entry that holds the decision; nothing goes out before that is on disk.
    pub decided_at: Offset,
    /// The topic.
    pub topic: String,
    /// The subscription within the topic.
    pub subscription: String,
    /// Attempts that have failed so far.
    pub attempts: u32,
    /// What happened.
    pub transition: Arc<Transition>,
}

type Key = (DecisionId, String, String);

/// All of them, oldest decision first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outbox(BTreeMap<Key, Outgoing>);

/// The same as data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutboxSnapshot(Vec<Waiting>);

/// One decision with everyone who still has to be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Waiting {
    decision: DecisionId,
    decided_at: Offset,
    transition: Transition,
    to: Vec<(String, String, u32)>,
}

impl Outbox {
    /// Takes note of journaled decisions; gives what has to go out.
    pub fn decided(&mut self, decisions: &Decisions, decided_at: Offset) -> Vec<Outgoing> {
        let mut new = Vec::new();
        for (decision, transition) in decisions.with_ids().filter_map(|(id, it)| Some((id, it.told()?))) {
            let transition = Arc::new(transition.clone());
            new.extend(transition.notify.iter().map(|recipient| Outgoing {
                decision,
                decided_at,
                topic: recipient.topic.clone(),
                subscription: recipient.subscription.clone(),
                attempts: 0,
                transition: Arc::clone(&transition),
            }));
        }
        self.0.extend(new.iter().map(|outgoing| (outgoing.key(), outgoing.clone())));
        new
    }

    /// Takes note of a journaled attempt.
    pub fn attempted(&mut self, delivery: &Delivery) {
        let key = (delivery.decision, delivery.topic.clone(), delivery.subscription.clone());
        if delivery.is_final() {
            self.0.remove(&key);
        } else if let Some(outgoing) = self.0.get_mut(&key) {
            outgoing.attempts = delivery.attempt;
        }
    }

    /// Everything that still has to go out, oldest decision first.
    pub fn waiting(&self) -> impl Iterator<Item = &Outgoing> {
        self.0.values()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As data.
    pub fn snapshot(&self) -> OutboxSnapshot {
        let mut all: Vec<Waiting> = Vec::new();
        for outgoing in self.waiting() {
            let to = (outgoing.topic.clone(), outgoing.subscription.clone(), outgoing.attempts);
            match all.last_mut().filter(|last| last.decision == outgoing.decision) {
                Some(last) => last.to.push(to),
                None => all.push(Waiting {
                    decision: outgoing.decision,
                    decided_at: outgoing.decided_at,
                    transition: (*outgoing.transition).clone(),
                    to: vec![to],
                }),
            }
        }
        OutboxSnapshot(all)
    }

    /// Back from data.
    pub fn restore(snapshot: OutboxSnapshot) -> Outbox {
        let mut outbox = Outbox::default();
        for Waiting { decision, decided_at, transition, to } in snapshot.0 {
            let transition = Arc::new(transition);
            for (topic, subscription, attempts) in to {
                let transition = Arc::clone(&transition);
                let outgoing = Outgoing { decision, decided_at, topic, subscription, attempts, transition };
                outbox.0.insert(outgoing.key(), outgoing);
            }
        }
        outbox
    }
}

impl Outgoing {
    fn key(&self) -> Key {
        (self.decision, self.topic.clone(), self.subscription.clone())
    }
}
