//! What an engine shows of its metrics to those who draw or explain them.

use watchbell_model::Datapoint;

use crate::Engine;
use crate::metric::Series;

impl Engine {
    /// The slots that the last evaluation of `alarm` looked at, as they are now, oldest first. Empty for an alarm that
    /// is not in the plan.
    pub fn datapoints(&self, alarm: &str) -> Vec<Datapoint> {
        let Some((_, compiled)) = &self.plan else { return Vec::new() };
        let (Some(alarm), Some(run)) = (compiled.alarms.get(alarm), self.alarms.get(alarm)) else {
            return Vec::new();
        };
        let none = Series::default();
        let series = self.series.get(&alarm.alarm.metric).unwrap_or(&none);
        alarm.range(series, run.next_end.plus_ms(-alarm.step_ms))
    }
}
