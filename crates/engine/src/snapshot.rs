//! The engine's state as data, to be kept beside the journal and read back after a restart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchbell_model::{Decision, DecisionId, InstallationId, MetricName, Offset, Plan, Timestamp};

use crate::alarm::AlarmRun;
use crate::compiled::CompiledPlan;
use crate::counters::{Counters, pairs};
use crate::engine::{Engine, EngineError};
use crate::metric::{Bucket, Series};

/// Everything an [`Engine`] knows. Folding the records after it gives what folding all of them gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    plan: Option<(Offset, Plan)>,
    series: Vec<(MetricName, Vec<(Timestamp, Bucket)>)>,
    alarms: BTreeMap<String, AlarmRun>,
    counters: Counters,
    #[serde(with = "pairs")]
    unconfirmed: BTreeMap<DecisionId, Decision>,
}

impl Engine {
    /// The state as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let buckets =
            |series: &Series| series.buckets.iter().map(|(at, bucket)| (*at, bucket.clone())).collect();
        Snapshot {
            plan: self.plan().map(|(offset, plan)| (offset, plan.clone())),
            series: self.series.iter().map(|(metric, series)| (metric.clone(), buckets(series))).collect(),
            alarms: self.alarms.clone(),
            counters: self.counters.clone(),
            unconfirmed: self.unconfirmed.clone(),
        }
    }

    /// The engine that `snapshot` was taken of.
    ///
    /// # Errors
    /// [`EngineError`] if its plan cannot run in this version.
    pub fn restore(installation: InstallationId, snapshot: Snapshot) -> Result<Engine, EngineError> {
        let Snapshot { plan, series, alarms, counters, unconfirmed } = snapshot;
        let compile =
            |(offset, plan): (Offset, Plan)| CompiledPlan::new(offset, &plan).map(|ready| (plan, ready));
        let plan = plan.map(compile).transpose()?;
        let series = series
            .into_iter()
            .map(|(metric, buckets)| (metric, Series { buckets: buckets.into_iter().collect() }))
            .collect();
        let mut engine =
            Engine { installation, plan, series, alarms, counters, unconfirmed, next_instant: None };
        engine.next_instant = engine.earliest_instant();
        Ok(engine)
    }
}
