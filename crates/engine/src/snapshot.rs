//! The engine's state as data, to be kept beside the journal and read back after a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchbell_model::{
    Decision, DecisionId, Dimensions, InstallationId, MetricName, Offset, Plan, Timestamp,
};

use crate::alarm::AlarmRun;
use crate::compiled::CompiledPlan;
use crate::composite::States;
use crate::counters::{Counters, pairs};
use crate::engine::{Engine, EngineError, InForce};
use crate::series::{Bucket, Series};
use crate::store::{SeriesKey, SeriesStore};

/// Everything an [`Engine`] knows. Folding the records after it gives what folding all of them gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    plan: Option<(Offset, Plan)>,
    series: Vec<(SeriesKey, Vec<(Timestamp, Bucket)>)>,
    runs: BTreeMap<String, Vec<(Dimensions, AlarmRun)>>,
    counters: Counters,
    #[serde(with = "pairs")]
    limits_said: BTreeMap<MetricName, Timestamp>,
    #[serde(with = "pairs")]
    unconfirmed: BTreeMap<DecisionId, Decision>,
}

impl Engine {
    /// The state as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let runs = |(name, runs): (&String, &BTreeMap<Dimensions, AlarmRun>)| {
            let runs = runs.iter().map(|(dimensions, run)| (dimensions.clone(), run.clone()));
            (name.clone(), runs.collect())
        };
        Snapshot {
            plan: self.plan().map(|(offset, plan)| (offset, plan.clone())),
            series: self.store.snapshot(),
            runs: self.runs.iter().map(runs).collect(),
            counters: self.counters.clone(),
            limits_said: self.limits_said.clone(),
            unconfirmed: self.unconfirmed.clone(),
        }
    }

    /// The engine that `snapshot` was taken of.
    ///
    /// # Errors
    /// [`EngineError`] if its plan cannot run in this version.
    pub fn restore(installation: InstallationId, snapshot: Snapshot) -> Result<Engine, EngineError> {
        let Snapshot { plan, series, runs, counters, limits_said, unconfirmed } = snapshot;
        let mut engine = Engine { counters, limits_said, unconfirmed, ..Engine::new(installation) };
        engine.runs = runs.into_iter().map(|(name, runs)| (name, runs.into_iter().collect())).collect();
        let Some((offset, plan)) = plan else { return Ok(engine) };
        let compiled = CompiledPlan::new(offset, &plan)?;
        engine.store = SeriesStore::default();
        for (key, buckets) in series {
            let keeps_values = compiled.watched.get(&key.metric).is_some_and(|metric| metric.keeps_values);
            engine.store.insert(key, Series { keeps_values, ..Series::restore(buckets) });
        }
        engine.states = States::of(&engine.runs, &compiled);
        engine.next_instant = engine.earliest_instant(&compiled);
        engine.in_force = Some(Arc::new(InForce { plan, compiled }));
        Ok(engine)
    }
}
