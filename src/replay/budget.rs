//! A budget: how often alarms may ring in any hour, day or week.

use std::str::FromStr;

use serde::Serialize;
use watchbell_model::Timestamp;

use super::AlarmStory;

/// Whose ringing counts.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Whose {
    /// That of all alarms together.
    All,
    /// That of each alarm, or each of its states, by itself.
    Each,
    /// That of one alarm, all its states together.
    One(String),
}

/// At most so many stays in ALARM begin in any stretch of this length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    written: String,
    whose: Whose,
    times: usize,
    span_ms: i64,
}

/// How a budget was kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spent {
    /// The budget as it was written.
    pub budget: String,
    /// Whose ringing counted: an alarm, or `all alarms`.
    pub whose: String,
    /// The most there was in one such stretch.
    pub most: usize,
    /// When that stretch began; `None` if nothing rang.
    #[serde(serialize_with = "watchbell_model::rfc3339::optional_time")]
    pub from: Option<Timestamp>,
    /// Whether it was more than allowed.
    pub exceeded: bool,
}

impl FromStr for Budget {
    type Err = String;

    /// `5/week`: all alarms together; `each=2/day`: each alarm; `NAME=1/hour`: one alarm.
    fn from_str(text: &str) -> Result<Budget, String> {
        let refused = || "write 5/week, each=2/day or ALARM=1/hour".to_owned();
        let (whose, rate) = match text.rsplit_once('=') {
            None => (Whose::All, text),
            Some(("each", rate)) => (Whose::Each, rate),
            Some((name, rate)) => (Whose::One(name.to_owned()), rate),
        };
        let (times, unit) = rate.split_once('/').ok_or_else(refused)?;
        let span_ms = match unit.trim() {
            "hour" => 3_600_000,
            "day" => 86_400_000,
            "week" => 7 * 86_400_000,
            _ => return Err(refused()),
        };
        let times = times.trim().parse().map_err(|_| refused())?;
        Ok(Budget { written: text.to_owned(), whose, times, span_ms })
    }
}

impl Budget {
    /// The alarm that it is about, if it is about one.
    pub fn alarm(&self) -> Option<&str> {
        match &self.whose {
            Whose::One(name) => Some(name),
            Whose::All | Whose::Each => None,
        }
    }

    /// How it was kept: one answer for each that it is about.
    pub fn spent(&self, stories: &[AlarmStory]) -> Vec<Spent> {
        let of = |story: &AlarmStory| self.held_against(&story.alarm, &begins(std::slice::from_ref(story)));
        match &self.whose {
            Whose::All => vec![self.held_against("all alarms", &begins(stories))],
            Whose::Each => stories.iter().map(of).collect(),
            Whose::One(name) => {
                let of_alarm: Vec<AlarmStory> =
                    stories.iter().filter(|story| story.rule == *name).cloned().collect();
                vec![self.held_against(name, &begins(&of_alarm))]
            }
        }
    }

    fn held_against(&self, whose: &str, begins: &[Timestamp]) -> Spent {
        let (mut most, mut from, mut last) = (0, None, 0);
        for (first, begin) in begins.iter().enumerate() {
            while begins.get(last).is_some_and(|later| later.ms_since(*begin) < self.span_ms) {
                last += 1;
            }
            if last - first > most {
                (most, from) = (last - first, Some(*begin));
            }
        }
        Spent {
            budget: self.written.clone(),
            whose: whose.to_owned(),
            most,
            from,
            exceeded: most > self.times,
        }
    }
}

/// When stays in ALARM began, oldest first.
fn begins(stories: &[AlarmStory]) -> Vec<Timestamp> {
    let mut begins: Vec<Timestamp> =
        stories.iter().flat_map(|story| &story.episodes).map(|episode| episode.from).collect();
    begins.sort_unstable();
    begins
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::replay::Episode;

    fn story(alarm: &str, hours: &[i64]) -> AlarmStory {
        let episode = |hour: &i64| Episode {
            from: Timestamp(hour * 3_600_000),
            until: Some(Timestamp(hour * 3_600_000 + 1)),
            summary: String::new(),
        };
        AlarmStory {
            alarm: alarm.to_owned(),
            rule: alarm.to_owned(),
            episodes: hours.iter().map(episode).collect(),
            in_alarm_ms: 0,
            began_at_night: 0,
            messages: BTreeMap::new(),
        }
    }

    #[test]
    fn the_worst_stretch_counts_wherever_it_begins() {
        let stories = [story("a", &[0, 20, 30, 43]), story("b", &[31])];
        let spent = |text: &str| text.parse::<Budget>().unwrap().spent(&stories);
        let all = spent("3/day");
        assert_eq!((all[0].most, all[0].from, all[0].exceeded), (4, Some(Timestamp(20 * 3_600_000)), true));
        assert!(!spent("4/day")[0].exceeded && spent("4/week")[0].exceeded && spent("0/hour")[0].exceeded);
        let each: Vec<(String, usize)> =
            spent("each=1/day").into_iter().map(|it| (it.whose, it.most)).collect();
        assert_eq!(each, [("a".to_owned(), 3), ("b".to_owned(), 1)]);
        assert_eq!(spent("b=1/day")[0].most, 1);
        assert_eq!((spent("c=1/day").len(), spent("c=1/day")[0].most), (1, 0));
        assert!(!"0/week".parse::<Budget>().unwrap().spent(&[])[0].exceeded);
    }

    #[test]
    fn a_stretch_does_not_hold_its_own_end() {
        let stories = [story("a", &[0, 24])];
        assert_eq!("9/day".parse::<Budget>().unwrap().spent(&stories)[0].most, 1);
    }

    #[test]
    fn what_is_no_budget_is_refused() {
        for text in ["", "5", "5/month", "many/day", "-1/day", "a=5", "=/day"] {
            assert!(text.parse::<Budget>().is_err(), "{text}");
        }
        assert_eq!("a=b=1/day".parse::<Budget>().unwrap().alarm(), Some("a=b"));
    }
}
