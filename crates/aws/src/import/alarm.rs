//! Metric alarms, and what every kind of alarm has.

use std::collections::BTreeMap;

use watchbell_expression::MetricMath;
use watchbell_model::{
    Alarm, AlarmKind, AlarmSeverity, Comparison, Dimensions, LowSamples, MetricAlarm, MetricName, MetricStat,
    OwnMetric, Period, Statistic, TreatMissingData, Unit, Watched,
};

use super::found::{Lost, Properties};
use super::node::Node;
use super::{insights, topic};

/// Longest expression that is put together from several, in bytes; a longer one is refused anyway.
const EXPRESSION_BYTES_MAX: usize = 8192;

/// An alarm that was read.
pub(super) struct ReadAlarm {
    /// If a property says it.
    pub(super) name: Option<String>,
    pub(super) alarm: Alarm,
    /// Whether CloudWatch told its topics also of OK, as Watchbell does.
    pub(super) tells_ok: bool,
}

/// Reads a metric alarm.
pub(super) fn read(properties: &mut Properties) -> Result<ReadAlarm, Lost> {
    let name = properties.text("AlarmName")?;
    if properties.has("ThresholdMetricId") {
        return Err("anomaly detection is not available (ThresholdMetricId)".to_owned());
    }
    if properties.has("EvaluationCriteria") {
        return Err("alarms on PromQL are not available (EvaluationCriteria)".to_owned());
    }
    let comparison = match properties.need_text("ComparisonOperator")?.as_str() {
        "GreaterThanThreshold" => Comparison::GreaterThanThreshold,
        "GreaterThanOrEqualToThreshold" => Comparison::GreaterThanOrEqualToThreshold,
        "LessThanThreshold" => Comparison::LessThanThreshold,
        "LessThanOrEqualToThreshold" => Comparison::LessThanOrEqualToThreshold,
        other => return Err(format!("anomaly detection is not available (ComparisonOperator {other:?})")),
    };
    let (watched, each, period) = if properties.has("Metrics") {
        math(properties)?
    } else {
        let (watched, period) = single(properties)?;
        (watched, Vec::new(), period)
    };
    let threshold = properties.number("Threshold")?.ok_or("it has no Threshold")?;
    let evaluation_periods = properties.whole("EvaluationPeriods")?.ok_or("it has no EvaluationPeriods")?;
    let treat_missing_data = match properties.text("TreatMissingData")?.as_deref() {
        None | Some("missing") => TreatMissingData::Missing,
        Some("ignore") => TreatMissingData::Ignore,
        Some("breaching") => TreatMissingData::Breaching,
        Some("notBreaching") => TreatMissingData::NotBreaching,
        Some(other) => return Err(format!("TreatMissingData cannot be {other:?}")),
    };
    let low_samples = match properties.text("EvaluateLowSampleCountPercentile")?.as_deref() {
        Some("ignore") => LowSamples::Ignore,
        None | Some("evaluate") => LowSamples::Evaluate,
        Some(other) => return Err(format!("EvaluateLowSampleCountPercentile cannot be {other:?}")),
    };
    let mut alarm = MetricAlarm {
        watched,
        each,
        period: Period::from_s(period).map_err(|error| format!("Period: {error}"))?,
        comparison,
        threshold,
        datapoints_to_alarm: properties.whole("DatapointsToAlarm")?.unwrap_or(evaluation_periods),
        evaluation_periods,
        treat_missing_data,
        low_samples,
        warms_up: false,
    };
    alarm.warms_up = is_heartbeat(&alarm, properties)?;
    announced(name, AlarmKind::Metric(alarm), properties)
}

/// Whether it is what Watchbell calls a heartbeat: an alarm on a log group's silence that waits until it can tell.
fn is_heartbeat(alarm: &MetricAlarm, properties: &mut Properties) -> Result<bool, Lost> {
    let Some(mut warm_up) = properties.inner("WarmUpConfiguration")? else { return Ok(false) };
    let waits = warm_up.flag("OnlyStartEvaluatingAfterWarmUpPeriodEnds", false)?;
    let is_on_silence = match &alarm.watched {
        Watched::Stat(stat) => {
            stat.metric == OwnMetric::INCOMING_LOG_EVENTS.metric() && stat.statistic == Statistic::Sum
        }
        Watched::Math { .. } => false,
    };
    let is_silence = (alarm.comparison, alarm.threshold) == (Comparison::LessThanThreshold, 1.0);
    let is_heartbeat =
        waits && is_on_silence && is_silence && alarm.treat_missing_data == TreatMissingData::Breaching;
    if !is_heartbeat {
        properties.remark("WarmUpConfiguration is not taken over");
    }
    Ok(is_heartbeat)
}

/// A statistic of one metric, and the period.
fn single(properties: &mut Properties) -> Result<(Watched, u32), Lost> {
    let metric = metric_name(properties)?;
    let dimensions = dimensions(properties)?;
    let statistic = match (properties.text("Statistic")?, properties.text("ExtendedStatistic")?) {
        (Some(statistic), _) | (None, Some(statistic)) => self::statistic(&statistic)?,
        (None, None) => return Err("it has neither Statistic nor ExtendedStatistic".to_owned()),
    };
    let unit = properties.parsed::<Unit>("Unit")?;
    let period = properties.whole("Period")?.ok_or("it has no Period")?;
    Ok((Watched::Stat(ours(MetricStat { metric, dimensions, unit, statistic })), period))
}

fn metric_name(properties: &mut Properties) -> Result<MetricName, Lost> {
    let namespace = properties.need_text("Namespace")?;
    let name = properties.need_text("MetricName")?;
    // Said before anything else that is wrong: no value that is given would help.
    if namespace.starts_with("AWS/") && namespace != "AWS/Logs" {
        return Err(format!("{namespace} {name} is measured by AWS, not in log events"));
    }
    Ok(MetricName { namespace, name })
}

fn dimensions(properties: &mut Properties) -> Result<Dimensions, Lost> {
    Ok(properties.pairs("Dimensions", "Name")?.into_iter().collect())
}

fn statistic(text: &str) -> Result<Statistic, Lost> {
    text.parse().map_err(|_| format!("statistic {text:?} is not available"))
}

/// What AWS measures of a log group, Watchbell does, too, under its own name.
fn ours(mut stat: MetricStat) -> MetricStat {
    let own = [OwnMetric::INCOMING_LOG_EVENTS, OwnMetric::INCOMING_BYTES];
    let of_group = stat.dimensions.keys().map(String::as_str).eq([OwnMetric::LOG_GROUP]);
    if stat.metric.namespace == "AWS/Logs" && of_group && own.iter().any(|own| own.name == stat.metric.name) {
        OwnMetric::NAMESPACE.clone_into(&mut stat.metric.namespace);
        stat.unit = None;
    }
    stat
}

/// One entry of `Metrics`.
enum Query {
    Stat(MetricStat),
    Each(MetricStat, Vec<String>),
    Expression(String),
}

/// Metric math, or one statistic that is written in its form; dimensions with a state for each value; and the period.
fn math(properties: &mut Properties) -> Result<(Watched, Vec<String>, u32), Lost> {
    let mut queries: BTreeMap<String, Query> = BTreeMap::new();
    let mut result: Option<String> = None;
    let mut period: Option<u32> = None;
    let entries = properties.items("Metrics")?;
    let is_only = entries.len() == 1;
    for entry in entries {
        let Node::Map(map) = entry else { return Err("Metrics is no list of objects".to_owned()) };
        let mut entry = Properties::new(map);
        let id = entry.need_text("Id")?;
        let in_entry = |reason: Lost| format!("Metrics, {id}: {reason}");
        let (query, periods) = query(&mut entry).map_err(in_entry)?;
        for one in periods {
            if *period.get_or_insert(one) != one {
                return Err("its metrics have different periods".to_owned());
            }
        }
        let returns =
            entry.flag("ReturnData", is_only || matches!(query, Query::Expression(_))).map_err(in_entry)?;
        if returns && result.replace(id.clone()).is_some() {
            return Err("more than one of its Metrics has ReturnData".to_owned());
        }
        properties.remarks.extend(entry.finish(&["Label"]));
        if queries.insert(id.clone(), query).is_some() {
            return Err(format!("its Metrics have two that are called {id}"));
        }
    }
    let result = result.ok_or("none of its Metrics has ReturnData")?;
    let period = period.ok_or("none of its Metrics has a period")?;
    let expression = match queries.get(&result) {
        Some(Query::Stat(stat)) => return Ok((Watched::Stat(stat.clone()), Vec::new(), period)),
        Some(Query::Each(stat, each)) => return Ok((Watched::Stat(stat.clone()), each.clone(), period)),
        Some(Query::Expression(expression)) => expression.clone(),
        None => return Err("none of its Metrics has ReturnData".to_owned()),
    };
    let ids: Vec<&str> = queries.keys().map(String::as_str).collect();
    let (expression, minimum) = unguarded(expression, &queries);
    let expression = flattened(expression, &queries, &ids)?;
    let used =
        MetricMath::parse(&expression, &ids).map_err(|error| format!("Expression: {}", error.message))?;
    let used: Vec<&str> = used.ids().iter().map(|reference| reference.name.as_str()).collect();
    let mut metrics = BTreeMap::new();
    for (id, query) in &queries {
        match query {
            Query::Stat(stat) if used.contains(&id.as_str()) => {
                metrics.insert(id.clone(), stat.clone());
            }
            Query::Stat(_) => {
                properties.remark(format!("the metric {id} is left out: the expression does not use it"));
            }
            Query::Expression(_) | Query::Each(..) => {}
        }
    }
    Ok((Watched::Math { expression, metrics, minimum }, Vec::new(), period))
}

/// The expression and its minima, if it has the form in which `watchbell aws` writes them:
/// `value / ((value == value) / (requests >= 20))`.
fn unguarded(expression: String, queries: &BTreeMap<String, Query>) -> (String, BTreeMap<String, f64>) {
    let guarded = || {
        let (value, rest) = expression.split_once(" / ((")?;
        let guards = rest.strip_prefix(&format!("{value} == {value}) / ("))?.strip_suffix("))")?;
        let Some(Query::Expression(inner)) = queries.get(value) else { return None };
        let guard = |guard: &str| {
            let (id, least) = guard.split_once(" >= ")?;
            matches!(queries.get(id), Some(Query::Stat(_))).then_some((id.to_owned(), least.parse().ok()?))
        };
        let minimum = guards.split(" AND ").map(guard).collect::<Option<BTreeMap<String, f64>>>()?;
        Some((inner.clone(), minimum))
    };
    guarded().unwrap_or((expression, BTreeMap::new()))
}

/// A metric or an expression, and the periods that it names.
fn query(entry: &mut Properties) -> Result<(Query, Vec<u32>), Lost> {
    if entry.text("AccountId")?.is_some() {
        return Err("it is of another account (AccountId)".to_owned());
    }
    let mut periods: Vec<u32> = entry.whole("Period")?.into_iter().collect();
    if let Some(expression) = entry.text("Expression")? {
        let upper = expression.trim_start().to_ascii_uppercase();
        if upper.starts_with("SELECT") {
            let (stat, each) = insights::read(&expression)?;
            return Ok((Query::Each(stat, each), periods));
        }
        let refused = [
            ("ANOMALY_DETECTION_BAND", "anomaly detection is not available"),
            ("SEARCH(", "a search over metrics is not available"),
            ("INSIGHT_RULE_METRIC", "Contributor Insights is not available"),
        ];
        if let Some((word, why)) = refused.iter().find(|(word, _)| upper.starts_with(word)) {
            return Err(format!("{why} ({})", word.trim_end_matches('(')));
        }
        return Ok((Query::Expression(expression.trim().to_owned()), periods));
    }
    let mut stat = entry.inner("MetricStat")?.ok_or("it has neither Expression nor MetricStat")?;
    let mut metric = stat.inner("Metric")?.ok_or("its MetricStat has no Metric")?;
    let name = metric_name(&mut metric)?;
    let dimensions = dimensions(&mut metric)?;
    let statistic = statistic(&stat.need_text("Stat")?)?;
    let unit = stat.parsed::<Unit>("Unit")?;
    periods.push(stat.whole("Period")?.ok_or("its MetricStat has no Period")?);
    entry.remarks.extend(metric.finish(&[]).into_iter().chain(stat.finish(&[])));
    Ok((Query::Stat(ours(MetricStat { metric: name, dimensions, unit, statistic })), periods))
}

/// The expression with those that it names put in their places.
fn flattened(
    mut expression: String,
    queries: &BTreeMap<String, Query>,
    ids: &[&str],
) -> Result<String, Lost> {
    // Each round takes one level; there are as many levels as expressions, or they are in a circle.
    for _ in 0..=queries.len() {
        let math =
            MetricMath::parse(&expression, ids).map_err(|error| format!("Expression: {}", error.message))?;
        let mut result = String::new();
        let mut from = 0;
        for reference in math.ids() {
            let Some(Query::Expression(inner)) = queries.get(&reference.name) else { continue };
            if expression.get(reference.span.clone()) != Some(reference.name.as_str()) {
                return Err("METRICS() over other expressions is not available".to_owned());
            }
            result += &expression[from..reference.span.start];
            result.extend(["(", inner, ")"]);
            from = reference.span.end;
        }
        if from == 0 {
            return Ok(expression);
        }
        result += &expression[from..];
        if result.len() > EXPRESSION_BYTES_MAX {
            return Err("its expressions together are too long".to_owned());
        }
        expression = result;
    }
    Err("its expressions name each other in a circle".to_owned())
}

/// What every kind of alarm has: whom it tells and what it means.
pub(super) fn announced(
    name: Option<String>,
    kind: AlarmKind,
    properties: &mut Properties,
) -> Result<ReadAlarm, Lost> {
    let description = properties.text("AlarmDescription").unwrap_or_else(|reason| {
        properties.remark(reason);
        None
    });
    let (description, severity, runbook) = described(description.unwrap_or_default());
    let mut notify = topics(properties, "AlarmActions", "");
    let ok = topics(properties, "OKActions", "in OK, ");
    for topic in ok.iter().filter(|topic| !notify.contains(topic)) {
        properties.remark(format!(
            "topic {topic:?} of OKActions is not told: those that are told of ALARM are told of OK"
        ));
    }
    let tells_ok = notify.iter().all(|topic| ok.contains(topic));
    if properties.items("InsufficientDataActions").map_or(true, |actions| !actions.is_empty()) {
        properties.remark("InsufficientDataActions is not taken over: nobody is told of INSUFFICIENT_DATA");
    }
    if !properties.flag("ActionsEnabled", true)? {
        properties.remark("ActionsEnabled is false: it tells nobody");
        notify.clear();
    }
    let alarm = Alarm { kind, severity, notify, description, runbook };
    Ok(ReadAlarm { name, alarm, tells_ok })
}

/// The meaning, severity and runbook of a description in whose last lines `watchbell aws` wrote the latter two.
fn described(text: String) -> (Option<String>, AlarmSeverity, Option<String>) {
    let last = |text: &str| match text.rsplit_once('\n') {
        Some((before, line)) => (Some(before.to_owned()), line.to_owned()),
        None => (None, text.to_owned()),
    };
    let (before, line) = last(&text);
    let runbook = line.strip_prefix("runbook: ").map(str::to_owned);
    let (meaning, line) = match (&runbook, before) {
        (Some(_), Some(before)) => last(&before),
        (None, before) => (before, line),
        (Some(_), None) => (None, String::new()),
    };
    let severities =
        [AlarmSeverity::Info, AlarmSeverity::Warning, AlarmSeverity::Error, AlarmSeverity::Critical];
    let named = line.strip_prefix("severity: ");
    match severities.into_iter().find(|severity| named == Some(severity.as_str())) {
        Some(severity) => (meaning, severity, runbook),
        None => (Some(text).filter(|text| !text.is_empty()), AlarmSeverity::Error, None),
    }
}

/// The topics among the actions; what else they do is said.
fn topics(properties: &mut Properties, key: &str, when: &str) -> Vec<String> {
    let actions = match properties.items(key) {
        Ok(actions) => actions,
        Err(reason) => {
            properties.remark(reason);
            return Vec::new();
        }
    };
    let mut topics: Vec<String> = Vec::new();
    for action in actions {
        match action {
            Node::Text(action) => match topic::name(&action) {
                Some(topic) if topics.contains(&topic) => {}
                Some(topic) => topics.push(topic),
                None => properties.remark(format!("{when}{} is not taken over", action_words(&action))),
            },
            Node::Unknown(reason) => properties.remark(format!("{key}: {reason}")),
            _ => properties.remark(format!("{key} has an entry that is no text")),
        }
    }
    topics
}

/// What an action does.
fn action_words(action: &str) -> String {
    let kinds = [
        (":automate:", "the action on an EC2 instance"),
        (":autoscaling:", "the Auto Scaling policy"),
        (":swf:", "the action on an EC2 instance"),
        (":lambda:", "the Lambda function"),
        (":ssm:", "the OpsItem of Systems Manager"),
        (":ssm-incidents:", "the incident of Systems Manager"),
        (":aiops:", "the investigation"),
    ];
    let kind = kinds.iter().find(|(part, _)| action.contains(part)).map_or("the action", |(_, kind)| kind);
    format!("{kind} {action:?}")
}

/// What says nothing about what is imported.
pub(super) fn silent() -> Vec<&'static str> {
    super::describe::HISTORY.into_iter().chain(["Tags"]).collect()
}
