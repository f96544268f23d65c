//! The JSON form of a message, for webhooks. Version 1: within a version keys are added, never changed or removed.
//!
//! Log text stands here as it was stored: JSON's own escapes are the protection.

use serde_json::{Value, json};
use watchbell_model::{Datapoint, MatchedLine, TransitionFilter};

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
    /// | `metric` | `{namespace, name}` |
    /// | `statistic`, `period_s` | CloudWatch's name for it; seconds |
    /// | `condition` | `{operator, threshold}`, the operator as `>=` |
    /// | `datapoints_to_alarm`, `evaluation_periods` | M and N |
    /// | `datapoints` | `[{start, value, samples, breaching}]`, oldest first; `value` is null where no samples were |
    /// | `matched` | how many events matched in those slots |
    /// | `lines` | `{first, last}`, each `[{event_id, timestamp, log_group, log_stream, message}]`, oldest first |
    /// | `filters` | `[{name, log_group, pattern}]`: the metric filters that feed the alarm |
    /// | `description`, `runbook` | text or null |
    /// | `look_further` | shell commands |
    /// | `plan` | the journal offset of the plan that was in force |
    pub fn json(&self) -> Value {
        let transition = self.transition();
        let rule = &transition.rule;
        json!({
            "version": 1,
            "type": "alarm.state_change",
            "id": self.id(),
            "alarm": transition.alarm,
            "state": transition.to,
            "previous_state": transition.from,
            "severity": rule.severity,
            "summary": self.summary(),
            "reason": transition.reason,
            "at": transition.at.to_string(),
            "early": transition.early,
            "metric": { "namespace": rule.metric.namespace, "name": rule.metric.name },
            "statistic": rule.statistic,
            "period_s": rule.period,
            "condition": { "operator": rule.comparison.symbol(), "threshold": rule.threshold },
            "datapoints_to_alarm": rule.datapoints_to_alarm,
            "evaluation_periods": rule.evaluation_periods,
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

fn datapoint(it: &Datapoint) -> Value {
    json!({ "start": it.start.to_string(), "value": it.value, "samples": it.samples, "breaching": it.breaching })
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
