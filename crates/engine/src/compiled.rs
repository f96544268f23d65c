//! A plan made ready to run: patterns parsed, names resolved.

use std::collections::BTreeMap;

use watchbell_model::{
    Alarm, GroupName, MetricFilter, MetricName, Offset, Plan, Recipient, SAMPLE_MAX, TransitionFilter,
};
use watchbell_pattern::{Pattern, Selector, number};

use crate::EngineError;
use crate::alarm::is_monotone;
use crate::evaluation::Rule;

/// What a matching event adds.
pub(crate) enum Value {
    Literal(f64),
    Selected(Selector),
}

/// A metric filter, ready.
pub(crate) struct CompiledFilter {
    pub(crate) name: String,
    pub(crate) pattern: Pattern,
    pub(crate) value: Value,
    pub(crate) default: Option<f64>,
    pub(crate) metric: MetricName,
}

impl CompiledFilter {
    fn new(name: &str, filter: &MetricFilter) -> Result<CompiledFilter, EngineError> {
        let refused = |error| EngineError::Pattern { filter: name.to_owned(), error };
        let pattern = Pattern::parse(&filter.pattern).map_err(refused)?;
        let value = match filter.metric.literal_value() {
            Some(number) => Value::Literal(number),
            None => Value::Selected(Selector::parse(&filter.metric.value, &pattern).map_err(refused)?),
        };
        let default = filter.metric.default.filter(|default| default.abs() <= SAMPLE_MAX);
        let metric = filter.metric.metric.clone();
        Ok(CompiledFilter { name: name.to_owned(), pattern, value, default, metric })
    }

    /// The value that a matching `message` publishes, if any.
    pub(crate) fn value(&self, message: &str) -> Option<f64> {
        let value = match &self.value {
            Value::Literal(number) => *number,
            Value::Selected(selector) => number(&selector.value(message)?)?,
        };
        (value.abs() <= SAMPLE_MAX).then_some(value)
    }

    /// Whether no event can make the metric's sum smaller.
    pub(crate) fn never_subtracts(&self) -> bool {
        matches!(self.value, Value::Literal(number) if number >= 0.0)
            && self.default.is_none_or(|number| number >= 0.0)
    }
}

/// An alarm, ready.
pub(crate) struct CompiledAlarm {
    pub(crate) alarm: Alarm,
    pub(crate) rule: Rule,
    /// How many slots are looked at: more than N.
    pub(crate) range_slots: usize,
    /// Time between evaluations.
    pub(crate) step_ms: i64,
    /// The largest lateness of the groups that feed the metric.
    pub(crate) lateness_ms: i64,
    /// Whether it can fire before its newest slot is complete.
    pub(crate) early: bool,
    /// The filters that feed the metric, for messages.
    pub(crate) filters: Vec<TransitionFilter>,
    /// Everyone who is told.
    pub(crate) recipients: Vec<Recipient>,
}

impl CompiledAlarm {
    fn new(alarm: &Alarm, plan: &Plan, filters: &BTreeMap<GroupName, Vec<CompiledFilter>>) -> CompiledAlarm {
        let feeding: Vec<_> =
            plan.metric_filters.iter().filter(|(_, f)| f.metric.metric == alarm.metric).collect();
        let lateness =
            feeding.iter().filter_map(|(_, f)| plan.log_groups.get(&f.log_group)).map(|g| g.lateness_ms);
        let compiled = filters.values().flatten().filter(|f| f.metric == alarm.metric);
        let period_s = alarm.period.as_s();
        let slots = alarm.evaluation_periods as usize;
        CompiledAlarm {
            rule: Rule {
                datapoints_to_alarm: alarm.datapoints_to_alarm as usize,
                evaluation_periods: slots,
                treat_missing_data: alarm.treat_missing_data,
            },
            range_slots: slots + if period_s < 60 { (60 / period_s) as usize } else { 2 },
            step_ms: if period_s < 60 { 10_000 } else { 60_000 },
            lateness_ms: lateness.max().unwrap_or(0),
            early: is_monotone(alarm, compiled),
            filters: feeding
                .iter()
                .map(|(name, filter)| TransitionFilter {
                    name: (*name).clone(),
                    log_group: filter.log_group.clone(),
                    pattern: filter.pattern.clone(),
                    value: filter.metric.value.clone(),
                    default: filter.metric.default,
                })
                .collect(),
            recipients: alarm.notify.iter().flat_map(|topic| recipients(plan, topic)).collect(),
            alarm: alarm.clone(),
        }
    }

    /// How long a sample can matter to this alarm.
    pub(crate) fn horizon_ms(&self) -> i64 {
        let slots = i64::try_from(self.range_slots).expect("the plan's limit on N keeps this small");
        // One more slot: a short period's newest slot may end up to a period before the evaluation does.
        (slots + 1) * self.alarm.period.as_ms() + self.lateness_ms + self.step_ms
    }
}

fn recipients(plan: &Plan, topic: &str) -> Vec<Recipient> {
    let subscriptions = plan.topics.get(topic).into_iter().flat_map(|topic| &topic.subscriptions);
    let recipient = |name: &str| Recipient { topic: topic.to_owned(), subscription: name.to_owned() };
    subscriptions.map(|subscription| recipient(&subscription.name)).collect()
}

/// A plan, ready.
pub(crate) struct CompiledPlan {
    pub(crate) offset: Offset,
    pub(crate) filters: BTreeMap<GroupName, Vec<CompiledFilter>>,
    pub(crate) alarms: BTreeMap<String, CompiledAlarm>,
    /// How long samples of a metric are kept. Metrics that no alarm watches are not in it.
    pub(crate) horizons_ms: BTreeMap<MetricName, i64>,
}

impl CompiledPlan {
    pub(crate) fn new(offset: Offset, plan: &Plan) -> Result<CompiledPlan, EngineError> {
        let mut filters: BTreeMap<GroupName, Vec<CompiledFilter>> = BTreeMap::new();
        for (name, filter) in &plan.metric_filters {
            filters.entry(filter.log_group.clone()).or_default().push(CompiledFilter::new(name, filter)?);
        }
        let compile =
            |(name, alarm): (&String, &Alarm)| (name.clone(), CompiledAlarm::new(alarm, plan, &filters));
        let alarms: BTreeMap<String, CompiledAlarm> = plan.alarms.iter().map(compile).collect();
        let mut horizons_ms = BTreeMap::new();
        for alarm in alarms.values() {
            let horizon = horizons_ms.entry(alarm.alarm.metric.clone()).or_insert(0);
            *horizon = alarm.horizon_ms().max(*horizon);
        }
        Ok(CompiledPlan { offset, filters, alarms, horizons_ms })
    }
}
