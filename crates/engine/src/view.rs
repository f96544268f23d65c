//! What an engine shows of its metrics to those who draw or explain them.

use watchbell_model::{Datapoint, Dimensions, MetricName, Unit};

use crate::Engine;
use crate::store::SeriesKey;

impl Engine {
    /// The slots that the last evaluation of `alarm`, or of one of its many states, looked at, as they are now, oldest
    /// first. Empty for an alarm that is not in the plan, and for a composite alarm.
    pub fn datapoints(&self, alarm: &str, dimensions: &Dimensions) -> Vec<Datapoint> {
        let run = self.runs.get(alarm).and_then(|runs| runs.get(dimensions));
        let ready = self.in_force.as_ref().and_then(|in_force| in_force.compiled.alarms.get(alarm));
        let (Some(alarm), Some(run)) = (ready, run) else { return Vec::new() };
        alarm.inputs(&self.store, dimensions).range(run.next_end.plus_ms(-alarm.step_ms))
    }

    /// Whether some alarm of the plan in force looks at the series of `metric` with exactly these dimensions.
    pub fn watches(&self, metric: &MetricName, dimensions: &Dimensions) -> bool {
        let Some(in_force) = &self.in_force else { return false };
        let key = SeriesKey { metric: metric.clone(), dimensions: dimensions.clone(), unit: Unit::NONE };
        in_force.compiled.alarms_on(&key).next().is_some()
    }
}
