//! Agents that ship to this Watchbell: how far each has come, derived from the journal; and how each is now.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use watchbell_model::{
    Entry, GroupName, InstallationId, Offset, SHIPMENT_ENTRIES_MAX, ShipmentHead, Shipped, Timestamp,
};

use super::ledger::{Account, Ledger};
use super::sources::{SourceReport, SourceState};

/// Agents that may ship to one Watchbell; what further ones send is refused. Of what is only told, the oldest is forgotten.
pub const AGENTS_MAX: usize = 1000;

/// How long an agent may keep quiet before its files count as silent, in milliseconds. It tells how it is every ten seconds.
pub const SILENT_AFTER_MS: i64 = 60_000;

/// How far one agent has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// Everything before this is here.
    next: Offset,
    /// The last entries with their checksums: what may come again, because its acknowledgement was lost.
    last: VecDeque<(Offset, u32)>,
}

/// How far agents have come: what they repeat is not stored again, however long ago they sent it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursors(BTreeMap<InstallationId, Cursor>);

/// What an entry of an agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was not here before.
    New,
    /// It is here.
    Repeated,
    /// Another entry was here under this number: two agents have one installation id.
    Other,
    /// There are [`AGENTS_MAX`] others.
    TooMany,
}

impl Cursors {
    /// What this entry is; `None` if no agent sent it.
    pub fn verdict(&self, entry: &Entry) -> Option<Verdict> {
        let (shipped, checksum) = identify(entry)?;
        let Some(cursor) = self.0.get(&shipped.agent) else {
            return Some(if self.0.len() < AGENTS_MAX { Verdict::New } else { Verdict::TooMany });
        };
        if shipped.offset >= cursor.next {
            return Some(Verdict::New);
        }
        let at = cursor.last.binary_search_by_key(&shipped.offset, |(offset, _)| *offset);
        let is_same = at.is_ok_and(|at| cursor.last[at].1 == checksum);
        Some(if is_same { Verdict::Repeated } else { Verdict::Other })
    }

    /// Takes note of an entry that is stored.
    pub fn remember(&mut self, entry: &Entry) {
        let Some((shipped, checksum)) = identify(entry) else { return };
        let cursor = self.0.entry(shipped.agent).or_default();
        cursor.next = shipped.offset.next();
        cursor.last.push_back((shipped.offset, checksum));
        if cursor.last.len() > SHIPMENT_ENTRIES_MAX {
            cursor.last.pop_front();
        }
    }
}

/// Who shipped it, and a checksum of what tells it from others: not of its text, from which more may be taken out the
/// next time.
fn identify(entry: &Entry) -> Option<(&Shipped, u32)> {
    let of = |shipped: &Shipped, what: &[u8], events: usize| {
        let numbers = [shipped.accepted.0.to_le_bytes(), (events as u64).to_le_bytes()].concat();
        crc32c::crc32c_append(crc32c::crc32c(what), &numbers)
    };
    match entry {
        Entry::Batch(batch) => {
            let watchbell_model::Source::Agent { shipped, origin, .. } = &batch.source else { return None };
            let origin = serde_json::to_vec(origin).expect("a source has only texts and numbers");
            Some((shipped, of(shipped, &origin, batch.len())))
        }
        Entry::Loss(loss) => {
            let shipped = loss.shipped.as_ref()?;
            Some((shipped, of(shipped, loss.reason.as_str().as_bytes(), 0)))
        }
        _ => None,
    }
}

/// One agent as it last told.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Now {
    host: String,
    principal: String,
    version: String,
    seen: Timestamp,
    ahead_ms: i64,
    waiting_bytes: u64,
    sources: Vec<SourceReport>,
}

/// Agents as they last told. Not journaled: whoever is there tells again.
#[derive(Debug, Default)]
pub struct Agents(Mutex<BTreeMap<InstallationId, Now>>);

impl Agents {
    /// Takes note of what an agent tells.
    pub fn heard(&self, principal: String, head: ShipmentHead, now: Timestamp) {
        let mut agents = self.lock();
        let known = agents.remove(&head.agent);
        // What another version tells of its files may be nothing that this one knows; then it is as told before.
        let sources = head.sources.and_then(|sources| serde_json::from_value(sources).ok());
        let sources = sources.or(known.map(|known| known.sources)).unwrap_or_default();
        let heard = Now {
            host: head.host,
            principal,
            version: head.version,
            seen: now,
            ahead_ms: head.sent_at.ms_since(now),
            waiting_bytes: head.waiting_bytes,
            sources,
        };
        if agents.len() >= AGENTS_MAX {
            let quietest = agents.iter().min_by_key(|(_, agent)| agent.seen).map(|(id, _)| *id);
            quietest.and_then(|id| agents.remove(&id));
        }
        agents.insert(head.agent, heard);
    }

    /// How agents are.
    pub fn report(&self, now: Timestamp) -> Vec<AgentReport> {
        let report = |(agent, it): (&InstallationId, &Now)| AgentReport {
            agent: agent.to_string(),
            name: it.host.clone(),
            principal: it.principal.clone(),
            version: it.version.clone(),
            last_seen: it.seen.to_string(),
            silent_ms: now.ms_since(it.seen).max(0).unsigned_abs(),
            clock_ahead_ms: it.ahead_ms,
            waiting_bytes: it.waiting_bytes,
        };
        self.lock().iter().map(report).collect()
    }

    /// Adds to the reports of local files those of agents: read there, journaled here.
    pub fn complete(&self, reports: &mut Vec<SourceReport>, ledger: &Ledger, now: Timestamp) {
        let mut by_name: BTreeMap<(String, String), SourceReport> = reports
            .drain(..)
            .map(|report| ((report.log_group.clone(), report.path.clone()), report))
            .collect();
        for agent in self.lock().values() {
            let is_silent = now.ms_since(agent.seen) > SILENT_AFTER_MS;
            for there in &agent.sources {
                let path = format!("{}/{}", agent.host, there.path.trim_start_matches('/'));
                let name = (there.log_group.clone(), path.clone());
                let mut here = there.clone();
                let known = GroupName::new(&there.log_group).ok().map(|group| (group, path.clone()));
                let account = known.and_then(|name| ledger.streams().get(&name));
                here.account(account.unwrap_or(&Account::default()));
                here.path = path;
                here.agent = Some(agent.host.clone());
                here.lag_bytes += there.read_bytes.saturating_sub(account.map_or(0, Account::settled_bytes));
                if is_silent {
                    here.state = SourceState::Silent;
                }
                by_name.insert(name, here);
            }
        }
        reports.extend(by_name.into_values());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<InstallationId, Now>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An agent, as `watchbell sources` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentReport {
    /// Its installation.
    pub agent: String,
    /// What it is called.
    pub name: String,
    /// What it showed: `token NAME`, or `loopback`.
    pub principal: String,
    /// Its version of Watchbell.
    pub version: String,
    /// When it was last heard of.
    pub last_seen: String,
    /// How long ago that was.
    pub silent_ms: u64,
    /// How far its clock is ahead of this one, network included.
    pub clock_ahead_ms: i64,
    /// Bytes that waited there to be shipped.
    pub waiting_bytes: u64,
}

#[cfg(test)]
mod tests {
    use watchbell_model::{BatchBuilder, EventFlags, Source};

    use super::*;

    fn entry(agent: u8, offset: u64, accepted: i64) -> Entry {
        let shipped = Shipped {
            agent: InstallationId([agent; 8]),
            host: "web-1".into(),
            offset: Offset(offset),
            accepted: Timestamp(accepted),
        };
        let origin = Box::new(Source::Http { principal: "loopback".into(), batch_id: None });
        let source = Source::Agent { principal: "token a".into(), shipped, origin };
        let mut builder = BatchBuilder::default();
        builder.push("line", None, EventFlags::default());
        Entry::Batch(builder.build(GroupName::new("g").unwrap(), "s".into(), source, false))
    }

    #[test]
    fn what_an_agent_repeats_is_known_and_what_another_sends_in_its_name_is_told_apart() {
        let mut cursors = Cursors::default();
        for offset in [3, 4, 7] {
            let entry = entry(1, offset, 100);
            assert_eq!(cursors.verdict(&entry), Some(Verdict::New));
            cursors.remember(&entry);
        }
        assert_eq!(cursors.verdict(&entry(1, 4, 100)), Some(Verdict::Repeated));
        assert_eq!(cursors.verdict(&entry(1, 4, 101)), Some(Verdict::Other));
        assert_eq!(cursors.verdict(&entry(1, 5, 100)), Some(Verdict::Other));
        assert_eq!(cursors.verdict(&entry(1, 8, 100)), Some(Verdict::New));
        assert_eq!(cursors.verdict(&entry(2, 4, 100)), Some(Verdict::New));
        assert_eq!(cursors.verdict(&Entry::Tick), None);
        let data = serde_json::to_vec(&cursors).unwrap();
        assert_eq!(serde_json::from_slice::<Cursors>(&data).unwrap(), cursors);
    }

    #[test]
    fn agents_have_a_bound() {
        let mut cursors = Cursors::default();
        let agent = |number: usize| {
            let mut entry = entry(1, 0, 100);
            if let Entry::Batch(batch) = &mut entry
                && let Source::Agent { shipped, .. } = &mut batch.source
            {
                shipped.agent = InstallationId((number as u64).to_be_bytes());
            }
            entry
        };
        for number in 0..AGENTS_MAX {
            assert_eq!(cursors.verdict(&agent(number)), Some(Verdict::New));
            cursors.remember(&agent(number));
        }
        assert_eq!(cursors.verdict(&agent(AGENTS_MAX)), Some(Verdict::TooMany));
        assert_eq!(cursors.verdict(&agent(0)), Some(Verdict::Repeated));
    }

    #[test]
    fn as_many_entries_as_a_shipment_has_can_come_again() {
        let mut cursors = Cursors::default();
        let many = SHIPMENT_ENTRIES_MAX as u64;
        for offset in 0..=many {
            cursors.remember(&entry(1, offset, 100));
        }
        assert_eq!(cursors.verdict(&entry(1, 1, 100)), Some(Verdict::Repeated));
        assert_eq!(cursors.verdict(&entry(1, 0, 100)), Some(Verdict::Other));
    }
}
