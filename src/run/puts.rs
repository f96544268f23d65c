//! What an agent has put into CloudWatch Logs, as far as it must be known to tell whether a call has arrived. Derived from
//! its journal, and empty everywhere else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchbell_model::{GroupName, Put, Timestamp};

/// Log streams that are remembered at most.
const STREAMS_MAX: usize = 10_000;

/// The last call, and how streams end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Puts {
    /// It may have been made, and may have arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending: Option<Put>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    ends: BTreeMap<GroupName, BTreeMap<String, End>>,
    /// The latest event of streams that were forgotten because there are too many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forgotten: Option<Timestamp>,
}

/// The end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    /// The time of its latest events.
    latest: Timestamp,
    /// How many events have that time; `None`: nobody knows.
    events: Option<u64>,
}

impl Puts {
    /// A call is about to be made.
    pub fn put(&mut self, put: &Put) {
        let is_again = |before: &&Put| (before.from, before.call) == (put.from, put.call);
        if self.pending.as_ref().is_none_or(|before| is_again(&before)) {
            self.pending = Some(put.clone());
        } else if let Some(before) = self.pending.replace(put.clone()) {
            self.arrived(before);
        }
    }

    /// Everything that was put has arrived.
    pub fn shipped(&mut self) {
        if let Some(put) = self.pending.take() {
            self.arrived(put);
        }
    }

    /// Nothing was ever put.
    pub fn is_empty(&self) -> bool {
        *self == Puts::default()
    }

    /// The call that may have been made.
    pub fn pending(&self) -> Option<&Put> {
        self.pending.as_ref()
    }

    /// How many events of this time have been put into the stream by calls that have arrived; `None`: nobody knows.
    pub fn events_at(&self, group: &GroupName, stream: &str, latest: Timestamp) -> Option<u64> {
        match self.ends.get(group).and_then(|streams| streams.get(stream)) {
            Some(end) if end.latest == latest => end.events,
            Some(end) => (end.latest < latest).then_some(0),
            None => self.forgotten.is_none_or(|forgotten| forgotten < latest).then_some(0),
        }
    }

    fn arrived(&mut self, put: Put) {
        let streams = self.ends.entry(put.group).or_default();
        if streams.get(&put.stream).is_none_or(|end| end.latest <= put.latest) {
            let events = put.before.filter(|_| !put.again).map(|before| before + put.latest_events);
            streams.insert(put.stream, End { latest: put.latest, events });
        }
        if self.ends.values().map(BTreeMap::len).sum::<usize>() > STREAMS_MAX {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let all = self.ends.iter().flat_map(|(group, streams)| streams.iter().map(move |it| (group, it)));
        let Some((group, (stream, end))) = all.min_by_key(|(_, (_, end))| end.latest) else { return };
        let (group, stream, latest) = (group.clone(), stream.clone(), end.latest);
        self.ends.get_mut(&group).and_then(|streams| streams.remove(&stream));
        self.forgotten = self.forgotten.max(Some(latest));
    }
}

#[cfg(test)]
mod tests {
    use watchbell_model::Offset;

    use super::*;

    fn put(from: u64, call: u32, stream: &str, latest: i64, before: Option<u64>) -> Put {
        Put {
            from: Offset(from),
            to: Offset(from + 1),
            call,
            group: GroupName::new("g").unwrap(),
            stream: stream.to_owned(),
            latest: Timestamp(latest),
            latest_events: 2,
            before,
            again: false,
        }
    }

    #[test]
    fn a_stream_ends_with_what_has_arrived() {
        let group = GroupName::new("g").unwrap();
        let mut puts = Puts::default();
        puts.put(&put(0, 0, "a", 5, Some(0)));
        assert_eq!(puts.events_at(&group, "a", Timestamp(5)), Some(0), "it may not have arrived");
        puts.put(&put(0, 1, "b", 7, Some(0)));
        assert_eq!(puts.events_at(&group, "a", Timestamp(5)), Some(2));
        assert_eq!(puts.events_at(&group, "a", Timestamp(4)), None, "it is not remembered that far back");
        assert_eq!(puts.events_at(&group, "a", Timestamp(6)), Some(0));
        puts.shipped();
        assert_eq!((puts.pending(), puts.events_at(&group, "b", Timestamp(7))), (None, Some(2)));
    }

    #[test]
    fn a_call_that_was_made_again_in_doubt_makes_the_end_unknown_until_a_later_event() {
        let group = GroupName::new("g").unwrap();
        let mut puts = Puts::default();
        puts.put(&put(0, 0, "a", 5, Some(0)));
        puts.put(&Put { again: true, ..put(0, 0, "a", 5, Some(0)) });
        puts.shipped();
        assert_eq!(puts.events_at(&group, "a", Timestamp(5)), None);
        puts.put(&put(1, 0, "a", 6, Some(0)));
        puts.shipped();
        assert_eq!(puts.events_at(&group, "a", Timestamp(6)), Some(2));
    }

    #[test]
    fn of_a_forgotten_stream_only_later_events_are_surely_new() {
        let group = GroupName::new("g").unwrap();
        let mut puts = Puts::default();
        for number in 0..=STREAMS_MAX {
            puts.put(&put(number as u64, 0, &format!("s{number}"), i64::try_from(number).unwrap(), Some(0)));
        }
        puts.shipped();
        assert_eq!(puts.events_at(&group, "s0", Timestamp(0)), None);
        assert_eq!(puts.events_at(&group, "s0", Timestamp(1)), Some(0));
        assert_eq!(puts.events_at(&group, "s1", Timestamp(1)), Some(2));
    }
}
