//! How long a log may be quiet.

use watchbell_model::Timestamp;
use watchbell_parse::Timestamps;

use super::group::Group;

/// Periods that are offered, in minutes.
const PERIODS_MIN: [i64; 7] = [5, 10, 15, 30, 60, 120, 240];

/// Fewer lines say nothing about pauses.
const LINES_MIN: usize = 100;

/// A log whose last line is older is not being written, in milliseconds.
const RECENT_MS: i64 = 86_400_000;

/// A minute, in milliseconds.
const MINUTE_MS: i64 = 60_000;

/// A log that is written to steadily.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    /// In minutes; not shorter than any pause so far.
    pub(crate) period_min: i64,
    /// In milliseconds.
    pub(crate) longest_pause_ms: i64,
}

/// The heartbeat of the group, if it is alive and has pauses of hours at most.
///
/// An alarm with this period rings after three of them: CloudWatch looks at two more slots than it needs.
pub(super) fn of(group: &Group, now: Timestamp) -> Option<Heartbeat> {
    let timestamps =
        Timestamps::new(group.form.parse, &group.form.timestamp).expect("the form was tried on the lines");
    let mut longest_pause_ms = 0;
    let mut all = Vec::new();
    for sample in &group.samples {
        // Between the two pieces of a long file nobody looked.
        for piece in sample.pieces() {
            let times = piece.iter().filter_map(|line| timestamps.of(line, sample.written));
            let mut times: Vec<Timestamp> = times.collect();
            times.sort_unstable();
            let pauses = times.windows(2).map(|pair| pair[1].ms_since(pair[0]));
            longest_pause_ms = pauses.fold(longest_pause_ms, i64::max);
            all.extend(times);
        }
    }
    let last = all.iter().max()?;
    let is_alive = last.ms_since(now).abs() <= RECENT_MS && all.len() >= LINES_MIN;
    let period_min = PERIODS_MIN.into_iter().find(|period_min| period_min * MINUTE_MS >= longest_pause_ms)?;
    is_alive.then_some(Heartbeat { period_min, longest_pause_ms })
}
