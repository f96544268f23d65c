//! Two sets of rules over the same lines: which stays in ALARM the new ones have gained, lost or moved.

use std::collections::BTreeMap;

use serde::Serialize;
use watchbell_model::Timestamp;

use super::{AlarmStory, Episode};

/// Two stays that do not overlap are the same one moved if one begins at most this long after the other has ended, in
/// milliseconds.
const NEAR_MS: i64 = 10 * 60 * 1000;

/// What became of one stay in ALARM.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// Only the new rules have it.
    Gained {
        /// The alarm.
        alarm: String,
        /// The stay.
        new: Episode,
    },
    /// Only the old rules have it.
    Lost {
        /// The alarm.
        alarm: String,
        /// The stay.
        old: Episode,
    },
    /// Both have it, at other times.
    Moved {
        /// The alarm.
        alarm: String,
        /// The stay under the old rules.
        old: Episode,
        /// The stay under the new rules.
        new: Episode,
    },
}

/// All differences.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// In the order of their times.
    pub differences: Vec<Difference>,
    /// How many stays are the same under both.
    pub same: usize,
}

impl Difference {
    /// When it begins; for a moved one under the new rules.
    pub fn at(&self) -> Timestamp {
        match self {
            Difference::Gained { new, .. } | Difference::Moved { new, .. } => new.from,
            Difference::Lost { old, .. } => old.from,
        }
    }
}

/// Holds the stories of `new` rules against those of `old` ones, alarm by alarm.
pub fn compare(old: &[AlarmStory], new: &[AlarmStory]) -> Comparison {
    let mut both: BTreeMap<&str, (&[Episode], &[Episode])> = BTreeMap::new();
    for story in old {
        both.entry(&story.alarm).or_default().0 = &story.episodes;
    }
    for story in new {
        both.entry(&story.alarm).or_default().1 = &story.episodes;
    }
    let mut comparison = Comparison::default();
    for (alarm, (old, new)) in both {
        compare_alarm(alarm, old, new, &mut comparison);
    }
    comparison.differences.sort_by_key(Difference::at);
    comparison
}

fn compare_alarm(alarm: &str, old: &[Episode], new: &[Episode], comparison: &mut Comparison) {
    let partner = pairs(old, new);
    let alarm = || alarm.to_owned();
    for (old, partner) in old.iter().zip(&partner) {
        match partner.map(|index| &new[index]) {
            None => comparison.differences.push(Difference::Lost { alarm: alarm(), old: old.clone() }),
            Some(new) if (old.from, old.until) == (new.from, new.until) => comparison.same += 1,
            Some(new) => {
                let (old, new) = (old.clone(), new.clone());
                comparison.differences.push(Difference::Moved { alarm: alarm(), old, new });
            }
        }
    }
    for (index, new) in new.iter().enumerate() {
        if !partner.contains(&Some(index)) {
            comparison.differences.push(Difference::Gained { alarm: alarm(), new: new.clone() });
        }
    }
}

/// For each of `old` its partner in `new`: those that touch and begin nearest to each other first, each once.
fn pairs(old: &[Episode], new: &[Episode]) -> Vec<Option<usize>> {
    let mut candidates: Vec<(i64, usize, usize)> = Vec::new();
    let mut first = 0;
    for (o, old) in old.iter().enumerate() {
        // Episodes of one alarm do not overlap each other, so what has ended long before this one has also ended long
        // before the next.
        while new.get(first).is_some_and(|new| is_long_before(new, old)) {
            first += 1;
        }
        let touching = new.iter().enumerate().skip(first).take_while(|(_, new)| !is_long_before(old, new));
        candidates.extend(touching.map(|(n, new)| (new.from.ms_since(old.from).abs(), o, n)));
    }
    candidates.sort_unstable();
    let (mut partner, mut taken) = (vec![None; old.len()], vec![false; new.len()]);
    for (_, o, n) in candidates {
        if partner[o].is_none() && !taken[n] {
            (partner[o], taken[n]) = (Some(n), true);
        }
    }
    partner
}

fn is_long_before(a: &Episode, b: &Episode) -> bool {
    a.until.is_some_and(|until| b.from.ms_since(until) > NEAR_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episodes(minutes: &[(i64, i64)]) -> Vec<Episode> {
        let at = |minute: i64| Timestamp(minute * 60_000);
        let episode = |(from, until): &(i64, i64)| Episode {
            from: at(*from),
            until: (*until >= 0).then_some(at(*until)),
            summary: String::new(),
        };
        minutes.iter().map(episode).collect()
    }

    fn story(alarm: &str, minutes: &[(i64, i64)]) -> AlarmStory {
        AlarmStory {
            alarm: alarm.to_owned(),
            rule: alarm.to_owned(),
            episodes: episodes(minutes),
            in_alarm_ms: 0,
            began_at_night: 0,
            messages: BTreeMap::new(),
        }
    }

    #[test]
    fn stays_that_touch_are_partners_nearest_first() {
        assert_eq!(pairs(&episodes(&[(0, 5), (60, 65)]), &episodes(&[(1, 6), (61, 70)])), [Some(0), Some(1)]);
        assert_eq!(
            pairs(&episodes(&[(0, 5)]), &episodes(&[(16, 20)])),
            [None],
            "more than ten minutes apart"
        );
        assert_eq!(pairs(&episodes(&[(0, 5)]), &episodes(&[(15, 20)])), [Some(0)]);
        assert_eq!(pairs(&episodes(&[(0, 100)]), &episodes(&[(50, 60), (2, 40)])[..1]), [Some(0)]);
        assert_eq!(pairs(&episodes(&[(0, 100)]), &episodes(&[(2, 40), (50, 60)])), [Some(0)], "one of two");
        assert_eq!(pairs(&episodes(&[(0, 10), (12, 20)]), &episodes(&[(12, 30)])), [None, Some(0)]);
        assert_eq!(pairs(&episodes(&[(0, -1)]), &episodes(&[(1000, -1)])), [Some(0)], "neither ends");
    }

    #[test]
    fn every_stay_is_the_same_gained_lost_or_moved() {
        let old = [story("a", &[(0, 5), (100, 105), (200, 205)]), story("gone", &[(1, 2)])];
        let new = [story("a", &[(0, 5), (101, 105), (300, 305)]), story("new", &[(3, 4)])];
        let comparison = compare(&old, &new);
        assert_eq!(comparison.same, 1);
        let found: Vec<(&str, i64)> = comparison
            .differences
            .iter()
            .map(|difference| {
                let kind = match difference {
                    Difference::Gained { .. } => "gained",
                    Difference::Lost { .. } => "lost",
                    Difference::Moved { .. } => "moved",
                };
                (kind, difference.at().0 / 60_000)
            })
            .collect();
        assert_eq!(found, [("lost", 1), ("gained", 3), ("moved", 101), ("lost", 200), ("gained", 300)]);
    }
}
