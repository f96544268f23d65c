//! Which messages an entry holds for a queue.

use serde::{Deserialize, Serialize};
use watchbell_model::{Batch, Entry, MessageId, Queue, Record, Timestamp, matches_wildcard};

/// Bytes of text in one message, unless a single line has more: a larger batch is several messages.
pub const MESSAGE_TEXT_BYTES_MAX: usize = 256 * 1024;

/// Log events in one message, so that many short lines make no huge one.
pub const MESSAGE_EVENTS_MAX: usize = 1000;

/// What an alarm state change counts in bytes of text; it is far less than a batch can have.
const STATE_CHANGE_BYTES: u64 = 4096;

/// A message that nobody has received yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its name.
    pub id: MessageId,
    /// When it was enqueued: when its entry was accepted.
    pub enqueued: Timestamp,
    /// About how many bytes of text it has.
    pub bytes: u64,
}

/// The messages that `record` holds for `queue`, in order. The same record gives the same messages, for ever.
pub fn messages(record: &Record, queue: &Queue) -> Vec<Message> {
    let message = |(first, last, bytes)| Message {
        id: MessageId { offset: record.offset, first, last },
        enqueued: record.time,
        bytes,
    };
    let parts = match &record.entry {
        Entry::Batch(batch) if takes(queue, batch) => parts(batch),
        Entry::Decisions(decisions) if queue.alarms => (0..)
            .zip(&decisions.items)
            .filter(|(_, decision)| decision.transition().is_some())
            .map(|(index, _)| (index, index, STATE_CHANGE_BYTES))
            .collect(),
        _ => Vec::new(),
    };
    parts.into_iter().map(message).collect()
}

fn takes(queue: &Queue, batch: &Batch) -> bool {
    queue.log_groups.iter().any(|pattern| matches_wildcard(pattern, batch.group.as_str()))
}

/// First line, last line and bytes of each part of a batch: as many lines as fit.
fn parts(batch: &Batch) -> Vec<(u32, u32, u64)> {
    let mut parts = Vec::new();
    let (mut first, mut start) = (0, 0);
    let ends = batch.ends();
    for line in 0..ends.len() {
        let end = ends[line] as usize + 1;
        let next_end = ends.get(line + 1).map(|end| *end as usize + 1);
        let is_full = line + 1 - first >= MESSAGE_EVENTS_MAX
            || next_end.is_none_or(|next_end| next_end - start > MESSAGE_TEXT_BYTES_MAX);
        if is_full {
            let index = |line: usize| u32::try_from(line).expect("a batch has fewer than 2^32 lines");
            parts.push((index(first), index(line), (end - start) as u64));
            (first, start) = (line + 1, end);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use watchbell_model::{BatchBuilder, EventFlags, GroupName, Offset, Source};

    use super::*;

    fn queue(log_groups: &[&str]) -> Queue {
        Queue {
            log_groups: log_groups.iter().map(|group| (*group).to_owned()).collect(),
            alarms: false,
            visibility_timeout_ms: 30_000,
            max_receives: 3,
            retention_ms: 60_000,
            dead_letter_retention_ms: 60_000,
        }
    }

    fn record(lines: &[usize]) -> Record {
        let mut builder = BatchBuilder::default();
        for bytes in lines {
            builder.push(&"x".repeat(*bytes), None, EventFlags::default());
        }
        let source = Source::Http { principal: "loopback".into(), batch_id: None };
        let batch = builder.build(GroupName::new("shop/app").unwrap(), "s".into(), source, false);
        Record { offset: Offset(7), time: Timestamp(5), entry: Entry::Batch(batch) }
    }

    fn ranges(lines: &[usize]) -> Vec<(u32, u32)> {
        let messages = messages(&record(lines), &queue(&["shop/*"]));
        messages.iter().map(|message| (message.id.first, message.id.last)).collect()
    }

    #[test]
    fn a_batch_is_one_message_for_a_queue_that_takes_its_group_and_none_for_others() {
        let id = MessageId { offset: Offset(7), first: 0, last: 1 };
        let message = Message { id, enqueued: Timestamp(5), bytes: 7 };
        for (groups, expected) in [
            (&["shop/*"][..], &[message][..]),
            (&["bank/*", "shop/app"], &[message]),
            (&["*"], &[message]),
            (&["shop"], &[]),
            (&[], &[]),
        ] {
            assert_eq!(messages(&record(&[2, 3]), &queue(groups)), expected, "{groups:?}");
        }
        assert!(ranges(&[]).is_empty(), "a batch without lines is no message");
    }

    #[test]
    fn a_batch_over_a_limit_is_several_messages_that_cover_every_line_once() {
        const MAX: usize = MESSAGE_TEXT_BYTES_MAX;
        assert_eq!(ranges(&[MAX - 1]), [(0, 0)]);
        assert_eq!(ranges(&[MAX / 2 - 1, MAX / 2 - 1]), [(0, 1)]);
        assert_eq!(ranges(&[MAX / 2 - 1, MAX / 2]), [(0, 0), (1, 1)]);
        assert_eq!(ranges(&[3 * MAX, 0, 3 * MAX]), [(0, 0), (1, 1), (2, 2)], "a long line stays whole");
        assert_eq!(ranges(&vec![0; 2500]), [(0, 999), (1000, 1999), (2000, 2499)]);
    }
}
