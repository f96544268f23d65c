//! Mute rules: changes go on, their messages wait.

use watchbell_model::{MuteRule, Timestamp, matches_wildcard};
use watchbell_schedule::{Limits, Schedule};

use crate::EngineError;

/// A mute rule, ready.
pub(crate) struct CompiledMute {
    pub(crate) name: String,
    alarms: Vec<String>,
    schedule: Schedule,
}

impl CompiledMute {
    pub(crate) fn new(name: &str, rule: &MuteRule) -> Result<CompiledMute, EngineError> {
        let refused = |error| EngineError::Schedule { rule: name.to_owned(), error };
        let schedule = Schedule::parse(&rule.schedule, rule.duration_ms, &rule.timezone, Limits::NONE)
            .map_err(refused)?;
        Ok(CompiledMute { name: name.to_owned(), alarms: rule.alarms.clone(), schedule })
    }

    pub(crate) fn applies_to(&self, alarm: &str) -> bool {
        self.alarms.iter().any(|pattern| matches_wildcard(pattern, alarm))
    }

    /// If `at` lies in a window: its end.
    pub(crate) fn window_end(&self, at: Timestamp) -> Option<Timestamp> {
        self.schedule.active(at.0).map(|window| Timestamp(window.end_ms))
    }
}

/// The rule among `mutes` (by their place in `all`) whose window around `at` ends last, and that end.
pub(crate) fn muted<'m>(
    all: &'m [CompiledMute],
    mutes: &[usize],
    at: Timestamp,
) -> Option<(&'m str, Timestamp)> {
    let windows = mutes.iter().filter_map(|index| {
        let mute = all.get(*index)?;
        Some((mute.name.as_str(), mute.window_end(at)?))
    });
    windows.max_by_key(|(name, end)| (*end, std::cmp::Reverse(*name)))
}
