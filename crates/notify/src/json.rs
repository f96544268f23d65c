//! The JSON form of a message, for webhooks. Version 1: within a version keys are added, never changed or removed.
//!
//! Log text stands here as it was stored: JSON's own escapes are the protection.

use serde_json::{Map, Value, json};
use watchbell_model::{
    Datapoint, MatchedLine, MetricAlarm, MetricName, MetricStat, TransitionFilter, Watched,
};

use crate::Message;
use crate::command::look_further;

impl Message {
    /// The form for webhooks, an object:
    ///
    /// | key | value |
    /// | --- | --- |
    /// | `version` | 1; within a version keys are added, never changed or removed |
    /// | `type` | `"alarm.state_change"` |
    /// | `id` | names the message for ever, the same in every attempt |
    /// | `alarm`, `severity` | the alarm's name; `info`, `warning`, `error` or `critical` |
    /// | `state`, `previous_state` | `OK`, `ALARM` or `INSUFFICIENT_DATA` |
    /// | `summary`, `reason` | one line for people; the reason in CloudWatch's words |
    /// | `at` | when it was decided; every time is RFC 3339 in UTC with milliseconds |
    /// | `early` | whether it fired before its newest slot was complete |
    /// | `dimensions` | which of an alarm's many states, as `{"ip": "10.0.0.7"}`; `{}` for an alarm with one |
    /// | `late` | whether events that came after their slot had been decided made the difference |
    /// | `muted_by` | the mute rule that held the message back, or null |
    /// | `suppressed_by` | `WaitPeriod`, `Alarm` or `ExtensionPeriod` if a composite alarm's suppressor held it back, or null |
    /// | `metric` | `{namespace, name, dimensions}`; null if `expression` or `rule` stands in its place |
    /// | `expression`, `metrics` | metric math, and by its names `{namespace, name, dimensions, statistic}`; or null |
    /// | `minimum` | how large metrics have to be for a slot to have a datapoint, by name; or null |
    /// | `rule`, `children` | a composite alarm's rule, and the alarms in it as `[{alarm, state}]`; or null |
    /// | `statistic`, `period_s` | CloudWatch's name for it; seconds; these and the next three are null for a composite alarm |
    /// | `condition` | `{operator, threshold}`, the operator as `>=` |
    /// | `datapoints_to_alarm`, `evaluation_periods` | M and N |
    /// | `datapoints` | `[{start, value, samples, breaching, estimated}]`, oldest first; `value` is null where no samples were |
    /// | `matched` | how many events matched in those slots |
    /// | `lines` | `{first, last}`, each `[{event_id, timestamp, log_group, log_stream, message}]`, oldest first |
    /// | `filters` | `[{name, log_group, pattern}]`: the metric filters that feed the alarm |
    /// | `description`, `runbook` | text or null |
    /// | `look_further` | shell commands |
    /// | `plan` | the journal offset of the plan that was in force |
    pub fn json(&self) -> Value {
        let transition = self.transition();
        let rule = &transition.rule;
        let metric = rule.metric();
        let (stat, math) = match metric.map(|rule| &rule.watched) {
            Some(Watched::Stat(stat)) => (Some(stat), None),
            Some(Watched::Math { expression, metrics, minimum }) => {
                (None, Some((expression, metrics, minimum)))
            }
            None => (None, None),
        };
        let metrics = math.map(|(_, metrics, _)| {
            metrics.iter().map(|(id, stat)| (id.clone(), metric_stat(stat, true))).collect::<Map<_, _>>()
        });
        let condition =
            |it: &MetricAlarm| json!({ "operator": it.comparison.symbol(), "threshold": it.threshold });
        json!({
            "version": 1,
            "type": "alarm.state_change",
            "id": self.id(),
            "alarm": transition.alarm,
            "dimensions": transition.dimensions,
            "state": transition.to,
            "previous_state": transition.from,
            "severity": rule.severity,
            "summary": self.summary(),
            "reason": transition.reason,
            "at": transition.at.to_string(),
            "early": transition.early,
            "late": transition.late,
            "muted_by": transition.muted,
            "suppressed_by": transition.suppressed_by,
            "metric": stat.map(|stat| metric_stat(stat, false)),
            "expression": math.map(|(expression, ..)| expression),
            "metrics": metrics,
            "minimum": math.map(|(.., minimum)| minimum),
            "rule": rule.composite().map(|composite| &composite.rule),
            "children": rule.composite().map(|_| &transition.children),
            "statistic": stat.map(|stat| stat.statistic),
            "period_s": metric.map(|it| it.period),
            "condition": metric.map(condition),
            "datapoints_to_alarm": metric.map(|it| it.datapoints_to_alarm),
            "evaluation_periods": metric.map(|it| it.evaluation_periods),
            "datapoints": transition.datapoints.iter().map(datapoint).collect::<Vec<_>>(),
            "matched": transition.matched,
            "lines": {
                "first": transition.first_lines.iter().map(line).collect::<Vec<_>>(),
                "last": transition.last_lines.iter().map(line).collect::<Vec<_>>(),
            },
            "filters": transition.filters.iter().map(filter).collect::<Vec<_>>(),
            "description": rule.description,
            "runbook": rule.runbook,
            "look_further": look_further(transition),
            "plan": transition.plan,
        })
    }
}

fn metric_stat(stat: &MetricStat, with_statistic: bool) -> Value {
    let MetricName { namespace, name } = &stat.metric;
    let mut object = json!({ "namespace": namespace, "name": name, "dimensions": stat.dimensions });
    if with_statistic {
        object["statistic"] = json!(stat.statistic);
    }
    object
}

fn datapoint(it: &Datapoint) -> Value {
    json!({
        "start": it.start.to_string(),
        "value": it.value,
        "samples": it.samples,
        "breaching": it.breaching,
        "estimated": it.estimated,
    })
}

fn line(it: &MatchedLine) -> Value {
    json!({
        "event_id": it.event_id,
        "timestamp": it.timestamp.to_string(),
        "log_group": it.group,
        "log_stream": it.stream,
        "message": it.message,
    })
}

fn filter(it: &TransitionFilter) -> Value {
    json!({ "name": it.name, "log_group": it.log_group, "pattern": it.pattern })
}
