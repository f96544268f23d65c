//! The calls that put events into CloudWatch Logs, each within what `PutLogEvents` takes.
//!
//! Promise: the same events make the same calls, whatever the time; a call is of one stream, and in the order of time; nothing
//! is left out but empty messages, and nothing is cut but what no call can hold, and both are counted.
//! Not here: what is too old or too new. CloudWatch Logs says so itself, and stores the rest of the call.

use std::collections::BTreeMap;
use std::ops::Range;

use watchbell_model::{Batch, GroupName, Loss, LossReason, Timestamp};

/// What a call may hold, in bytes, each event with [`EVENT_HEAD_BYTES`].
///
/// Source of this and the next four: CloudWatch Logs API Reference, `PutLogEvents`.
pub const CALL_BYTES_MAX: usize = 1_048_576;

/// What an event counts beside its message.
pub const EVENT_HEAD_BYTES: usize = 26;

/// Most events of a call.
pub const CALL_EVENTS_MAX: usize = 10_000;

/// The first and the last event of a call are less than this apart, in milliseconds.
pub const CALL_SPAN_MS: i64 = 24 * 60 * 60 * 1000;

/// Longest message: with its head it fills a call. What Watchbell takes as a line is only a little longer.
pub const MESSAGE_BYTES_MAX: usize = CALL_BYTES_MAX - EVENT_HEAD_BYTES;

/// The end of a message that was longer.
const CUT: &str = "… [cut]";

/// A call that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The log group.
    pub group: GroupName,
    /// What the events were read from.
    pub source: String,
    /// When they happened, in milliseconds since 1970 and in that order, and their messages. Not empty.
    pub events: Vec<(i64, String)>,
}

impl Call {
    /// The time of the first and of the last events.
    pub fn times(&self) -> (i64, i64) {
        let at = |event: Option<&(i64, String)>| event.expect("a call has events").0;
        (at(self.events.first()), at(self.events.last()))
    }

    /// How many events have the last time.
    pub fn latest_events(&self) -> u64 {
        let (_, latest) = self.times();
        self.events.iter().rev().take_while(|(at, _)| *at == latest).count() as u64
    }

    /// What the events at `range` are as a loss; `None` if there is none.
    pub fn loss(&self, reason: LossReason, range: Range<usize>) -> Option<Loss> {
        let events = self.events.get(range).filter(|events| !events.is_empty())?;
        let bytes = events.iter().map(|(_, message)| message.len() as u64).sum();
        Some(loss(&self.group, &self.source, reason, bytes, events.len() as u64))
    }
}

/// Batches being made into calls.
#[derive(Debug, Default)]
pub struct Calls {
    events: BTreeMap<(GroupName, String), Vec<(i64, String)>>,
    losses: BTreeMap<(GroupName, String, LossReason), (u64, u64)>,
    bytes: usize,
    count: usize,
}

impl Calls {
    /// Adds what was accepted together `at` a time: when events happened that do not say it themselves.
    pub fn push(&mut self, batch: &Batch, at: Timestamp) {
        for line in 0..batch.len() {
            let event = batch.event(line);
            // CloudWatch Logs knows no time before 1970; this one is too old for it all the same.
            let at = event.timestamp.unwrap_or(at).0.max(0);
            let Some(message) = self.fit(batch, event.message) else { continue };
            self.bytes += message.len() + EVENT_HEAD_BYTES;
            self.count += 1;
            let stream = (batch.group.clone(), batch.stream.clone());
            self.events.entry(stream).or_default().push((at, message));
        }
    }

    fn fit(&mut self, batch: &Batch, message: &str) -> Option<String> {
        let (reason, bytes, fits) = if message.is_empty() {
            (LossReason::Empty, 0, None)
        } else if message.len() > MESSAGE_BYTES_MAX {
            let kept = &message[..message.floor_char_boundary(MESSAGE_BYTES_MAX - CUT.len())];
            (LossReason::LineTooLong, message.len() - kept.len(), Some(format!("{kept}{CUT}")))
        } else {
            return Some(message.to_owned());
        };
        let lost = self.losses.entry((batch.group.clone(), batch.stream.clone(), reason)).or_default();
        *lost = (lost.0 + bytes as u64, lost.1 + 1);
        fits
    }

    /// What its events count for a call.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many events there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The calls, and what is not in them.
    pub fn finish(self) -> (Vec<Call>, Vec<Loss>) {
        let mut calls = Vec::new();
        for ((group, source), mut events) in self.events {
            // Those of one time stay in the order in which they were read.
            events.sort_by_key(|(at, _)| *at);
            let (mut first, mut bytes) = (i64::MIN, usize::MAX);
            for (at, message) in events {
                let more = message.len() + EVENT_HEAD_BYTES;
                let call = calls.last_mut().filter(|call: &&mut Call| {
                    bytes <= CALL_BYTES_MAX.saturating_sub(more)
                        && call.events.len() < CALL_EVENTS_MAX
                        && at - first < CALL_SPAN_MS
                });
                if let Some(call) = call {
                    call.events.push((at, message));
                    bytes += more;
                } else {
                    (first, bytes) = (at, more);
                    let (group, source) = (group.clone(), source.clone());
                    calls.push(Call { group, source, events: vec![(at, message)] });
                }
            }
        }
        let losses = self.losses.into_iter();
        let losses = losses
            .map(|((group, source, reason), (bytes, times))| loss(&group, &source, reason, bytes, times));
        (calls, losses.collect())
    }
}

fn loss(group: &GroupName, source: &str, reason: LossReason, bytes: u64, times: u64) -> Loss {
    Loss { group: group.clone(), stream: source.to_owned(), reason, bytes, times, shipped: None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use watchbell_model::{BatchBuilder, EventFlags, Source};

    use super::*;

    fn batch(stream: &str, events: &[(Option<i64>, String)]) -> Batch {
        let mut builder = BatchBuilder::default();
        for (at, message) in events {
            builder.push(message, at.map(Timestamp), EventFlags::default());
        }
        let source = Source::Http { principal: "loopback".into(), batch_id: None };
        builder.build(GroupName::new("g").unwrap(), stream.into(), source, false)
    }

    fn made(batches: &[Batch]) -> (Vec<Call>, Vec<Loss>) {
        let mut calls = Calls::default();
        for batch in batches {
            calls.push(batch, Timestamp(1000));
        }
        calls.finish()
    }

    fn assert_within_limits(call: &Call) {
        let bytes: usize = call.events.iter().map(|(_, it)| it.len() + EVENT_HEAD_BYTES).sum();
        let (first, last) = call.times();
        assert!(bytes <= 1_048_576 && call.events.len() <= 10_000 && last - first < 86_400_000);
        assert!(call.events.iter().all(|(at, message)| *at >= 0 && !message.is_empty()));
        assert!(call.events.is_sorted_by_key(|(at, _)| *at));
    }

    #[test]
    fn each_limit_begins_another_call() {
        let many = vec![(None, "x".to_owned()); CALL_EVENTS_MAX + 1];
        let sizes = |batch| -> Vec<usize> { made(&[batch]).0.iter().map(|call| call.events.len()).collect() };
        assert_eq!(sizes(batch("a", &many)), [CALL_EVENTS_MAX, 1]);
        let half = CALL_BYTES_MAX / 2 - EVENT_HEAD_BYTES;
        let halves = |more: usize| vec![(None, "x".repeat(half)), (None, "x".repeat(half + more))];
        assert_eq!(sizes(batch("a", &halves(0))), [2]);
        assert_eq!(sizes(batch("a", &halves(1))), [1, 1]);
        let apart = |ms: i64| vec![(Some(5), "x".to_owned()), (Some(5 + ms), "y".to_owned())];
        assert_eq!(sizes(batch("a", &apart(CALL_SPAN_MS - 1))), [2]);
        assert_eq!(sizes(batch("a", &apart(CALL_SPAN_MS))), [1, 1]);
    }

    #[test]
    fn a_call_is_of_one_stream_in_the_order_of_time_and_then_of_reading() {
        let first = batch("a", &[(Some(3), "3".into()), (Some(1), "1a".into()), (None, "later".into())]);
        let (calls, losses) =
            made(&[first, batch("b", &[(None, "b".into())]), batch("a", &[(Some(1), "1b".into())])]);
        let told: Vec<_> = calls.iter().map(|call| (call.source.as_str(), call.events.clone())).collect();
        let a = [(1, "1a"), (1, "1b"), (3, "3"), (1000, "later")].map(|(at, it)| (at, it.to_owned()));
        assert_eq!(told, [("a", a.to_vec()), ("b", vec![(1000, "b".to_owned())])]);
        assert_eq!((losses, calls[0].latest_events(), calls[0].times()), (Vec::new(), 1, (1, 1000)));
    }

    #[test]
    fn what_no_call_takes_is_counted() {
        let long = "ä".repeat(LINE / 2);
        let (calls, losses) =
            made(&[batch("a", &[(None, String::new()), (None, long), (Some(-5), "old".into())])]);
        let counted: Vec<_> = losses.iter().map(|it| (it.reason, it.bytes, it.times)).collect();
        assert_eq!(counted[1], (LossReason::Empty, 0, 1));
        assert!(matches!(counted[0], (LossReason::LineTooLong, 26..60, 1)), "{counted:?}");
        let cut = &calls[1].events[0].1;
        assert!(cut.ends_with("ä… [cut]") && cut.len() <= MESSAGE_BYTES_MAX);
        assert_eq!(calls[0].events, [(0, "old".to_owned())], "{:?}", calls[0].times());
    }

    /// The longest line that Watchbell takes.
    const LINE: usize = watchbell_model::LINE_BYTES_MAX;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_events_are_in_calls_within_the_limits_each_once(
            events in prop::collection::vec(
                (0..3_u8, prop::option::of(-10..5 * CALL_SPAN_MS), prop::sample::select(vec![0, 1, 80, 300_000, LINE])),
                0..40,
            ),
        ) {
            let messages: Vec<_> = events.iter().enumerate().map(|(number, (stream, at, bytes))| {
                let stem = number.to_string();
                (*stream, *at, if *bytes == 0 { String::new() } else { stem.clone() + &"x".repeat(bytes - stem.len().min(*bytes)) })
            }).collect();
            let batches: Vec<_> = messages.iter().map(|(stream, at, message)| batch(&stream.to_string(), &[(*at, message.clone())])).collect();
            let (calls, losses) = made(&batches);
            calls.iter().for_each(assert_within_limits);
            let sent: usize = calls.iter().map(|call| call.events.len()).sum();
            let empty: u64 = losses.iter().filter(|it| it.reason == LossReason::Empty).map(|it| it.times).sum();
            prop_assert_eq!(sent + usize::try_from(empty).unwrap(), messages.len());
            let stem = |message: &str| message.trim_end_matches(CUT).trim_end_matches('x').to_owned();
            let mut found: Vec<String> = calls.iter().flat_map(|call| call.events.iter().map(|(_, it)| stem(it))).collect();
            let mut expected: Vec<String> = messages.iter().filter(|it| !it.2.is_empty()).map(|it| stem(&it.2)).collect();
            found.sort();
            expected.sort();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(made(&batches).0, calls);
        }
    }
}
