//! Episodes: how often an alarm was in ALARM, how long, how much of it at night, and who was told.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use serde::Serialize;
use watchbell_model::{AlarmState, Timestamp};

use super::Change;

/// One stay in ALARM.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Episode {
    /// When it began.
    #[serde(serialize_with = "watchbell_model::rfc3339::time")]
    pub from: Timestamp,
    /// When it ended; `None` if it had not when the lines ended.
    #[serde(serialize_with = "watchbell_model::rfc3339::optional_time")]
    pub until: Option<Timestamp>,
    /// The first line of the message about its beginning.
    pub summary: String,
}

/// The night, 22:00 to 06:00 on the clocks of a time zone.
#[derive(Clone, Debug)]
pub struct Night(TimeZone);

/// What became of one alarm.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlarmStory {
    /// The alarm, and which of its states: `brute-force [ip 10.0.0.7]`.
    pub alarm: String,
    /// The alarm alone.
    pub rule: String,
    /// Its stays in ALARM, oldest first.
    pub episodes: Vec<Episode>,
    /// How long it was in ALARM altogether, in milliseconds.
    pub in_alarm_ms: i64,
    /// How many of the episodes began at night.
    pub began_at_night: usize,
    /// How many messages each subscription got, by `topic/subscription`.
    pub messages: BTreeMap<String, u64>,
}

impl Night {
    /// The night of a time zone.
    pub fn of(zone: TimeZone) -> Night {
        Night(zone)
    }

    /// Whether `at` is in the night. Instants that no calendar has are not.
    pub fn has(&self, at: Timestamp) -> bool {
        let Ok(instant) = jiff::Timestamp::from_millisecond(at.0) else { return false };
        !(6..22).contains(&self.0.to_datetime(instant).hour())
    }
}

/// The story of every alarm state that changed, and of those of `alarms` that have none, in the order of their names;
/// `end` is when the lines ended.
pub fn stories<'a>(
    alarms: impl IntoIterator<Item = &'a str>,
    changes: &[Change],
    end: Timestamp,
    night: &Night,
) -> Vec<AlarmStory> {
    let empty = |title: String, rule: &str| AlarmStory {
        alarm: title,
        rule: rule.to_owned(),
        episodes: Vec::new(),
        in_alarm_ms: 0,
        began_at_night: 0,
        messages: BTreeMap::new(),
    };
    let mut stories: BTreeMap<String, AlarmStory> = BTreeMap::new();
    for change in changes {
        let title = change.title();
        let story = stories.entry(title.clone()).or_insert_with(|| empty(title, &change.alarm));
        story.take(change, night);
    }
    let known: BTreeSet<&str> = changes.iter().map(|change| change.alarm.as_str()).collect();
    for name in alarms.into_iter().filter(|name| !known.contains(name)) {
        stories.insert(name.to_owned(), empty(name.to_owned(), name));
    }
    for story in stories.values_mut() {
        let length_ms = |it: &Episode| it.until.unwrap_or(end).ms_since(it.from).max(0);
        story.in_alarm_ms = story.episodes.iter().map(length_ms).sum();
    }
    stories.into_values().collect()
}

impl AlarmStory {
    fn take(&mut self, change: &Change, night: &Night) {
        if change.is_about_alarm()
            && change.from == AlarmState::Alarm
            && let Some(episode) = self.episodes.last_mut()
        {
            episode.until.get_or_insert(change.at);
        }
        if change.is_about_alarm() && change.to == AlarmState::Alarm {
            let summary = change.summary.clone();
            self.episodes.push(Episode { from: change.at, until: None, summary });
            self.began_at_night += usize::from(night.has(change.at));
        }
        for told in &change.told {
            *self.messages.entry(told.clone()).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(at_s: i64, from: AlarmState, to: AlarmState) -> Change {
        Change {
            at: Timestamp(at_s * 1000),
            alarm: "hot".into(),
            dimensions: BTreeMap::new(),
            from,
            to,
            early: false,
            late: false,
            released: false,
            reason: String::new(),
            summary: String::new(),
            first_line: None,
            told: vec!["ops/console".into()],
            muted: None,
            suppressed_by: None,
            held_back_by: None,
            message: None,
        }
    }

    #[test]
    fn an_episode_that_has_not_ended_lasts_until_the_lines_end() {
        let changes = [
            change(10, AlarmState::InsufficientData, AlarmState::Alarm),
            change(40, AlarmState::Alarm, AlarmState::Ok),
            change(100, AlarmState::Ok, AlarmState::Alarm),
        ];
        let utc = Night::of(TimeZone::UTC);
        let stories = stories(["hot", "quiet"], &changes, Timestamp(120_000), &utc);
        assert_eq!(stories[0].in_alarm_ms, 30_000 + 20_000);
        assert_eq!(stories[0].episodes[0].until, Some(Timestamp(40_000)));
        assert_eq!(stories[0].episodes[1].until, None);
        assert_eq!(stories[0].began_at_night, 2);
        assert_eq!(stories[0].messages["ops/console"], 3);
        assert_eq!((stories[1].alarm.as_str(), stories[1].episodes.len()), ("quiet", 0));
    }

    #[test]
    fn the_night_is_that_of_the_zone() {
        let at = |hour: i64| Timestamp(hour * 3_600_000);
        let utc = Night::of(TimeZone::UTC);
        assert_eq!(
            [0, 5, 6, 21, 22, 23].map(|hour| utc.has(at(hour))),
            [true, true, false, false, true, true]
        );
        let east = Night::of(TimeZone::fixed(jiff::tz::offset(2)));
        assert_eq!([3, 4, 19, 20].map(|hour| east.has(at(hour))), [true, false, false, true]);
    }
}
