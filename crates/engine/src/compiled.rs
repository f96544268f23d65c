//! A plan made ready to run: patterns parsed, names resolved.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchbell_expression::{AlarmRule, MetricMath};
use watchbell_model::{
    Alarm, AlarmKind, CompositeAlarm, DIMENSION_VALUE_BYTES_MAX, Dimensions, Function, GroupName,
    MetricAlarm, MetricFilter, MetricName, MetricStat, MetricTransformation, Offset, OwnMetric, Plan,
    Recipient, SAMPLE_MAX, TransitionFilter, Watched,
};
use watchbell_pattern::{Line, Pattern, PatternSet, Selector, number};

use crate::EngineError;
use crate::alarm::is_monotone;
use crate::evaluation::Rule;
use crate::mute::CompiledMute;
use crate::store::SeriesKey;

/// What a matching event adds.
pub(crate) enum Value {
    Literal(f64),
    Selected(Selector),
}

/// A metric filter, ready.
pub(crate) struct CompiledFilter {
    pub(crate) name: String,
    pub(crate) value: Value,
    pub(crate) default: Option<f64>,
    /// The series of its metric without dimensions.
    pub(crate) series: SeriesKey,
    /// Some alarm watches its metric.
    pub(crate) is_watched: bool,
    pub(crate) dimensions: Vec<(String, Selector)>,
    pub(crate) series_max: u32,
}

impl CompiledFilter {
    fn new(name: &str, filter: &MetricFilter, pattern: &Pattern) -> Result<CompiledFilter, EngineError> {
        let selector = |text: &str| Selector::parse(text, pattern).map_err(|error| refused(name, error));
        let value = match filter.metric.literal_value() {
            Some(number) => Value::Literal(number),
            None => Value::Selected(selector(&filter.metric.value)?),
        };
        let dimension = |(name, text): (&String, &String)| Ok((name.clone(), selector(text)?));
        Ok(CompiledFilter {
            name: name.to_owned(),
            value,
            default: filter.metric.default.filter(|default| default.abs() <= SAMPLE_MAX),
            series: SeriesKey {
                metric: filter.metric.metric.clone(),
                dimensions: Dimensions::new(),
                unit: filter.metric.unit,
            },
            is_watched: false,
            dimensions: filter.metric.dimensions.iter().map(dimension).collect::<Result<_, EngineError>>()?,
            series_max: filter.metric.series_max,
        })
    }

    /// The value that a matching event publishes, if any.
    pub(crate) fn value(&self, line: &Line<'_>) -> Option<f64> {
        let value = match &self.value {
            Value::Literal(number) => *number,
            Value::Selected(selector) => number(&selector.value_in(line)?)?,
        };
        (value.abs() <= SAMPLE_MAX).then_some(value)
    }

    /// The dimensions that a matching event publishes under; `None` if one of them is not in it: then nothing is
    /// published.
    pub(crate) fn dimensions(&self, line: &Line<'_>) -> Option<Dimensions> {
        let value = |(name, selector): &(String, Selector)| {
            let value = selector.value_in(line).filter(|value| !value.is_empty())?;
            let end = value.floor_char_boundary(DIMENSION_VALUE_BYTES_MAX);
            Some((name.clone(), value[..end].to_owned()))
        };
        self.dimensions.iter().map(value).collect()
    }

    /// Whether no event can make the metric's sum smaller.
    pub(crate) fn never_subtracts(&self) -> bool {
        matches!(self.value, Value::Literal(number) if number >= 0.0)
            && self.default.is_none_or(|number| number >= 0.0)
    }
}

fn refused(filter: &str, error: watchbell_pattern::PatternError) -> EngineError {
    EngineError::Pattern { filter: filter.to_owned(), error }
}

/// The metric filters of one log group.
pub(crate) struct CompiledGroup {
    /// One matcher for all of them; pattern `i` is that of filter `i`. Groups with the same patterns share it.
    pub(crate) patterns: Arc<PatternSet>,
    pub(crate) filters: Vec<CompiledFilter>,
    /// The watched ones among them that publish something for events which do not match.
    pub(crate) with_default: Vec<usize>,
    /// How long samples of some of their metrics are kept, if some alarm watches one.
    pub(crate) horizon_ms: Option<i64>,
}

/// What an alarm needs besides its own rule to make and describe a change.
pub(crate) struct Announcement {
    pub(crate) alarm: Alarm,
    /// The filters that feed the alarm, for messages.
    pub(crate) filters: Vec<TransitionFilter>,
    /// Everyone who is told.
    pub(crate) recipients: Vec<Recipient>,
    /// Mute rules that apply to it, by their place in the plan.
    pub(crate) mutes: Vec<usize>,
}

/// A metric alarm, ready.
pub(crate) struct CompiledAlarm {
    pub(crate) announcement: Announcement,
    pub(crate) metric: MetricAlarm,
    /// What its datapoints are made of; one without a name, or several that `math` names.
    pub(crate) inputs: Vec<(String, MetricStat)>,
    pub(crate) math: Option<MetricMath>,
    pub(crate) rule: Rule,
    /// How many slots are looked at: more than N.
    pub(crate) range_slots: usize,
    /// Time between evaluations.
    pub(crate) step_ms: i64,
    /// The largest lateness of the groups that feed the metric.
    pub(crate) lateness_ms: i64,
    /// Whether it can fire before its newest slot is complete.
    pub(crate) early: bool,
}

impl CompiledAlarm {
    fn new(
        name: &str,
        metric: &MetricAlarm,
        announcement: Announcement,
        plan: &Plan,
        groups: &BTreeMap<GroupName, CompiledGroup>,
    ) -> Result<CompiledAlarm, EngineError> {
        let (inputs, math) = match &metric.watched {
            Watched::Stat(stat) => (vec![(String::new(), stat.clone())], None),
            Watched::Math { expression, metrics, .. } => {
                let ids: Vec<&str> = metrics.keys().map(String::as_str).collect();
                let refused = |error| EngineError::Expression { alarm: name.to_owned(), error };
                let math = MetricMath::parse(expression, &ids).map_err(refused)?;
                (metrics.iter().map(|(id, stat)| (id.clone(), stat.clone())).collect(), Some(math))
            }
        };
        let feeding = feeding(plan, metric);
        let lateness = feeding.filter_map(|(_, f)| plan.log_groups.get(&f.log_group)).map(|g| g.lateness_ms);
        let watches =
            |filter: &&CompiledFilter| inputs.iter().any(|(_, stat)| stat.metric == filter.series.metric);
        let compiled = groups.values().flat_map(|group| &group.filters).filter(watches);
        let is_input =
            |metric: &&MetricTransformation| inputs.iter().any(|(_, stat)| stat.metric == metric.metric);
        let raised = plan.functions.values().flat_map(Function::metrics).filter(is_input);
        let period_s = metric.period.as_s();
        let slots = metric.evaluation_periods as usize;
        Ok(CompiledAlarm {
            rule: Rule {
                datapoints_to_alarm: metric.datapoints_to_alarm as usize,
                evaluation_periods: slots,
                treat_missing_data: metric.treat_missing_data,
            },
            range_slots: slots + if period_s < 60 { (60 / period_s) as usize } else { 2 },
            step_ms: if period_s < 60 { 10_000 } else { 60_000 },
            lateness_ms: lateness.max().unwrap_or(0),
            early: is_monotone(metric, compiled, raised),
            metric: metric.clone(),
            announcement,
            inputs,
            math,
        })
    }

    /// How long a sample can matter to this alarm.
    pub(crate) fn horizon_ms(&self) -> i64 {
        let slots = i64::try_from(self.range_slots).expect("the plan's limit on N keeps this small");
        // One more slot: a short period's newest slot may end up to a period before the evaluation does.
        (slots + 1) * self.metric.period.as_ms() + self.lateness_ms + self.step_ms
    }

    /// Which of its states a series belongs to, if it belongs to the alarm at all: the values of `each`.
    pub(crate) fn contributor(&self, key: &SeriesKey) -> Option<Dimensions> {
        let SeriesKey { metric, dimensions, unit } = key;
        let belongs = |stat: &MetricStat| {
            stat.metric == *metric
                && stat.unit.is_none_or(|wanted| wanted == *unit)
                && dimensions.len() == stat.dimensions.len() + self.metric.each.len()
                && stat.dimensions.iter().all(|(name, value)| dimensions.get(name) == Some(value))
        };
        if !self.inputs.iter().any(|(_, stat)| belongs(stat)) {
            return None;
        }
        let value = |name: &String| Some((name.clone(), dimensions.get(name)?.clone()));
        self.metric.each.iter().map(value).collect()
    }
}

impl Announcement {
    fn new(name: &str, alarm: &Alarm, plan: &Plan, mutes: &[CompiledMute]) -> Announcement {
        let filter = |(name, filter): (&String, &MetricFilter)| TransitionFilter {
            name: name.clone(),
            log_group: filter.log_group.clone(),
            pattern: filter.pattern.clone(),
            value: filter.metric.value.clone(),
            default: filter.metric.default,
        };
        let applies = |(_, mute): &(usize, &CompiledMute)| mute.applies_to(name);
        Announcement {
            filters: alarm
                .metric()
                .into_iter()
                .flat_map(|metric| feeding(plan, metric))
                .map(filter)
                .collect(),
            recipients: alarm.notify.iter().flat_map(|topic| recipients(plan, topic)).collect(),
            mutes: mutes.iter().enumerate().filter(applies).map(|(index, _)| index).collect(),
            alarm: alarm.clone(),
        }
    }
}

/// The metric filters that feed an alarm.
fn feeding<'p>(
    plan: &'p Plan,
    alarm: &'p MetricAlarm,
) -> impl Iterator<Item = (&'p String, &'p MetricFilter)> {
    let stats = alarm.watched.stats();
    plan.metric_filters.iter().filter(move |(_, filter)| {
        stats.iter().any(|stat| {
            stat.metric == filter.metric.metric && stat.unit.is_none_or(|unit| unit == filter.metric.unit)
        })
    })
}

fn recipients(plan: &Plan, topic: &str) -> Vec<Recipient> {
    let subscriptions = plan.topics.get(topic).into_iter().flat_map(|topic| &topic.subscriptions);
    let here = subscriptions.filter(|subscription| subscription.channel.is_embedded());
    let recipient = |name: &str| Recipient { topic: topic.to_owned(), subscription: name.to_owned() };
    here.map(|subscription| recipient(&subscription.name)).collect()
}

/// A composite alarm, ready.
pub(crate) struct CompiledComposite {
    pub(crate) name: String,
    pub(crate) announcement: Announcement,
    pub(crate) rule: AlarmRule,
}

/// What is known about a metric that some alarm watches.
#[derive(Default)]
pub(crate) struct WatchedMetric {
    /// How long its samples are kept.
    pub(crate) horizon_ms: i64,
    /// Events younger than this are late for none of its alarms.
    pub(crate) lateness_ms_min: i64,
    /// Some alarm asks for a percentile.
    pub(crate) keeps_values: bool,
    /// The alarms, by name.
    pub(crate) alarms: Vec<String>,
}

/// A plan, ready.
pub(crate) struct CompiledPlan {
    pub(crate) offset: Offset,
    pub(crate) groups: BTreeMap<GroupName, CompiledGroup>,
    pub(crate) alarms: BTreeMap<String, CompiledAlarm>,
    /// In an order in which each comes after those that it names, its suppressor too.
    pub(crate) composites: Vec<CompiledComposite>,
    /// Metrics that no alarm watches are not in it.
    pub(crate) watched: BTreeMap<MetricName, WatchedMetric>,
    pub(crate) mutes: Vec<CompiledMute>,
}

impl CompiledPlan {
    pub(crate) fn new(offset: Offset, plan: &Plan) -> Result<CompiledPlan, EngineError> {
        let mut groups = groups(plan)?;
        let mutes: Vec<CompiledMute> = plan
            .mute_rules
            .iter()
            .map(|(name, rule)| CompiledMute::new(name, rule))
            .collect::<Result<_, _>>()?;
        let mut alarms = BTreeMap::new();
        let mut rules = BTreeMap::new();
        for (name, alarm) in &plan.alarms {
            let announcement = Announcement::new(name, alarm, plan, &mutes);
            match &alarm.kind {
                AlarmKind::Metric(metric) => {
                    alarms
                        .insert(name.clone(), CompiledAlarm::new(name, metric, announcement, plan, &groups)?);
                }
                AlarmKind::Composite(CompositeAlarm { rule, .. }) => {
                    let refused = |error| EngineError::Expression { alarm: name.clone(), error };
                    rules.insert(name.clone(), (AlarmRule::parse(rule).map_err(refused)?, announcement));
                }
            }
        }
        let watched = watched(&alarms);
        for group in groups.values_mut() {
            for filter in &mut group.filters {
                let metric = watched.get(&filter.series.metric);
                filter.is_watched = metric.is_some();
                group.horizon_ms = group.horizon_ms.max(metric.map(|metric| metric.horizon_ms));
            }
            let publishes = |filter: &CompiledFilter| filter.is_watched && filter.default.is_some();
            group.with_default =
                (0..group.filters.len()).filter(|at| publishes(&group.filters[*at])).collect();
        }
        Ok(CompiledPlan { offset, groups, alarms, composites: in_order(rules)?, watched, mutes })
    }

    /// What is needed to announce changes of an alarm.
    pub(crate) fn announcement(&self, alarm: &str) -> Option<&Announcement> {
        let composite = || self.composites.iter().find(|composite| composite.name == alarm);
        let metric = self.alarms.get(alarm).map(|alarm| &alarm.announcement);
        metric.or_else(|| composite().map(|composite| &composite.announcement))
    }

    /// The alarms that take the samples of a series.
    pub(crate) fn alarms_on(&self, key: &SeriesKey) -> impl Iterator<Item = (&String, &CompiledAlarm)> {
        let names = self.watched.get(&key.metric).into_iter().flat_map(|watched| &watched.alarms);
        let key = key.clone();
        let alarms = names.filter_map(|name| self.alarms.get_key_value(name));
        alarms.filter(move |(_, alarm)| alarm.contributor(&key).is_some())
    }

    /// Whether an alarm watches `own`.
    pub(crate) fn is_watched(&self, own: OwnMetric) -> bool {
        self.watched.contains_key(&own.metric())
    }
}

fn groups(plan: &Plan) -> Result<BTreeMap<GroupName, CompiledGroup>, EngineError> {
    let mut filters: BTreeMap<GroupName, (Vec<Pattern>, Vec<CompiledFilter>)> = BTreeMap::new();
    for (name, filter) in &plan.metric_filters {
        let pattern = Pattern::parse(&filter.pattern).map_err(|error| refused(name, error))?;
        let (patterns, compiled) = filters.entry(filter.log_group.clone()).or_default();
        compiled.push(CompiledFilter::new(name, filter, &pattern)?);
        patterns.push(pattern);
    }
    let mut sets: BTreeMap<Vec<String>, Arc<PatternSet>> = BTreeMap::new();
    let group = |(name, (patterns, filters)): (GroupName, (Vec<Pattern>, Vec<CompiledFilter>))| {
        let texts = patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect();
        let patterns = Arc::clone(sets.entry(texts).or_insert_with(|| Arc::new(PatternSet::new(patterns))));
        (name, CompiledGroup { patterns, filters, with_default: Vec::new(), horizon_ms: None })
    };
    Ok(filters.into_iter().map(group).collect())
}

fn watched(alarms: &BTreeMap<String, CompiledAlarm>) -> BTreeMap<MetricName, WatchedMetric> {
    let mut watched: BTreeMap<MetricName, WatchedMetric> = BTreeMap::new();
    for (name, alarm) in alarms {
        for (_, stat) in &alarm.inputs {
            let metric = watched.entry(stat.metric.clone()).or_default();
            metric.horizon_ms = metric.horizon_ms.max(alarm.horizon_ms());
            let is_first = metric.alarms.is_empty();
            metric.lateness_ms_min =
                if is_first { alarm.lateness_ms } else { metric.lateness_ms_min.min(alarm.lateness_ms) };
            metric.keeps_values |= stat.statistic.percentile().is_some();
            if metric.alarms.last() != Some(name) {
                metric.alarms.push(name.clone());
            }
        }
    }
    watched
}

/// The composite alarms, children and suppressors before those that name them.
fn in_order(
    mut rules: BTreeMap<String, (AlarmRule, Announcement)>,
) -> Result<Vec<CompiledComposite>, EngineError> {
    let names = |(rule, announcement): &(AlarmRule, Announcement)| {
        let children = rule.names().iter().map(|child| child.name.clone());
        children.chain(announcement.alarm.suppressor().map(|it| it.alarm.clone())).collect::<Vec<_>>()
    };
    let uses: BTreeMap<String, Vec<String>> =
        rules.iter().map(|(name, rule)| (name.clone(), names(rule))).collect();
    let uses =
        uses.iter().map(|(name, used)| (name.as_str(), used.iter().map(String::as_str).collect())).collect();
    let order = watchbell_expression::evaluation_order(&uses);
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let order = order.map(owned).map_err(|cycle| EngineError::Cycle { alarms: owned(cycle) })?;
    let ready = |name: String| {
        let (rule, announcement) = rules.remove(&name)?;
        Some(CompiledComposite { name, announcement, rule })
    };
    Ok(order.into_iter().filter_map(ready).collect())
}
