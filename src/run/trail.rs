//! The audit trail as a hash chain: every record holds the hash of the one before.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use watchbell_model::{Timestamp, TrailOutcome, TrailRecord};

/// What is to be recorded; number, time and hashes come from the writer.
#[derive(Clone, Debug)]
pub struct TrailDraft {
    actor: String,
    action: &'static str,
    resource: String,
    outcome: TrailOutcome,
    detail: BTreeMap<String, String>,
}

impl TrailDraft {
    /// Something that Watchbell itself did.
    pub fn done(action: &'static str, resource: impl Into<String>) -> TrailDraft {
        let (actor, resource) = ("watchbell".to_owned(), resource.into());
        TrailDraft { actor, action, resource, outcome: TrailOutcome::Done, detail: BTreeMap::new() }
    }

    /// The same, done by somebody else.
    #[must_use]
    pub fn by(self, actor: impl Into<String>) -> TrailDraft {
        TrailDraft { actor: actor.into(), ..self }
    }

    /// The same, with another outcome.
    #[must_use]
    pub fn outcome(self, outcome: TrailOutcome) -> TrailDraft {
        TrailDraft { outcome, ..self }
    }

    /// The same, saying more. Never hand in a secret.
    #[must_use]
    pub fn detail(mut self, name: &str, value: impl Display) -> TrailDraft {
        self.detail.insert(name.to_owned(), value.to_string());
        self
    }
}

/// The end of the chain so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailHead {
    next: u64,
    hash: String,
}

impl Default for TrailHead {
    fn default() -> TrailHead {
        TrailHead { next: 0, hash: "0".repeat(64) }
    }
}

/// Where a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrailBreak {
    /// A record is missing, or one was put in.
    #[error("record {found} follows where record {expected} belongs")]
    Number {
        /// What belongs here.
        expected: u64,
        /// What is here.
        found: u64,
    },
    /// The record does not follow the one before it.
    #[error("record {number} was written after another record than the one that stands before it")]
    Previous {
        /// The record.
        number: u64,
    },
    /// The record was changed after it was written.
    #[error("record {number} is not as it was written")]
    Changed {
        /// The record.
        number: u64,
    },
}

impl TrailHead {
    /// The next record of the chain.
    pub fn extend(&mut self, at: Timestamp, draft: TrailDraft) -> TrailRecord {
        let TrailDraft { actor, action, resource, outcome, detail } = draft;
        let (number, previous) = (self.next, self.hash.clone());
        let action = action.to_owned();
        let hash = String::new();
        let mut record = TrailRecord { number, at, actor, action, resource, outcome, detail, previous, hash };
        record.hash = hash_of(&record);
        self.next += 1;
        self.hash.clone_from(&record.hash);
        record
    }

    /// Checks that `record` is the next one, and moves on to it.
    ///
    /// # Errors
    /// [`TrailBreak`] if it is not, or was changed. The head stays where it was.
    pub fn follow(&mut self, record: &TrailRecord) -> Result<(), TrailBreak> {
        let number = record.number;
        if number != self.next {
            return Err(TrailBreak::Number { expected: self.next, found: number });
        }
        if record.previous != self.hash {
            return Err(TrailBreak::Previous { number });
        }
        if record.hash != hash_of(record) {
            return Err(TrailBreak::Changed { number });
        }
        self.next += 1;
        self.hash.clone_from(&record.hash);
        Ok(())
    }

    /// How many records the chain has.
    pub fn len(&self) -> u64 {
        self.next
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.next == 0
    }

    /// The hash of the last record: note it elsewhere, and nobody can rewrite the chain unnoticed.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// SHA-256 of the record's JSON without its `hash`, hexadecimal.
fn hash_of(record: &TrailRecord) -> String {
    let unsigned = TrailRecord { hash: String::new(), ..record.clone() };
    let json = serde_json::to_vec(&unsigned).expect("a record has only texts and numbers");
    digest(&SHA256, &json).as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a string");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> Vec<TrailRecord> {
        let mut head = TrailHead::default();
        (0..4)
            .map(|n| head.extend(Timestamp(n), TrailDraft::done("test.act", format!("thing {n}"))))
            .collect()
    }

    fn follow(records: &[TrailRecord]) -> Result<(), TrailBreak> {
        let mut head = TrailHead::default();
        records.iter().try_for_each(|record| head.follow(record))
    }

    #[test]
    fn an_untouched_chain_holds() {
        assert_eq!(follow(&chain()), Ok(()));
    }

    #[test]
    fn every_kind_of_tampering_is_found() {
        let mut changed = chain();
        changed[1].resource = "other".into();
        assert_eq!(follow(&changed), Err(TrailBreak::Changed { number: 1 }));

        let mut rehashed = chain();
        rehashed[1].resource = "other".into();
        rehashed[1].hash = hash_of(&rehashed[1]);
        assert_eq!(follow(&rehashed), Err(TrailBreak::Previous { number: 2 }));

        let mut missing = chain();
        missing.remove(2);
        assert_eq!(follow(&missing), Err(TrailBreak::Number { expected: 2, found: 3 }));

        let mut swapped = chain();
        swapped.swap(1, 2);
        assert!(follow(&swapped).is_err());
    }
}
