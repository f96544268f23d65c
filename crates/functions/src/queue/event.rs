//! A state change of an alarm in the shape in which EventBridge tells of it.
//!
//! Source: Amazon CloudWatch User Guide, "Alarm events and EventBridge". Account and region are those of no account; an
//! alarm that has a state for each value of some dimensions is one alarm there, so its event has the member
//! `dimensions` beside the others.

use serde_json::{Map, Value, json};
use watchbell_model::{
    ActionsSuppressor, AlarmKind, CompositeAlarm, DecisionId, InstallationId, MetricAlarm, MetricStat,
    Timestamp, Transition, Watched,
};

const ACCOUNT: &str = "000000000000";
const REGION: &str = "local";

/// The event of `transition`, which is the decision `id`. The same decision gives the same event, its `id` included.
pub fn state_change(transition: &Transition, id: DecisionId, installation: InstallationId) -> Value {
    let name = &transition.alarm;
    let mut detail = json!({
        "alarmName": name,
        "state": {
            "value": transition.to,
            "reason": transition.reason,
            "timestamp": with_milliseconds(transition.at),
        },
        "previousState": { "value": transition.from },
        "configuration": configuration(transition),
    });
    if !transition.dimensions.is_empty() {
        detail["dimensions"] = json!(transition.dimensions);
    }
    if let Some(by) = transition.suppressed_by {
        detail["state"]["actionsSuppressedBy"] = json!(by);
    }
    json!({
        "version": "0",
        "id": uuid(installation, id),
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": ACCOUNT,
        "time": with_seconds(transition.at),
        "region": REGION,
        "resources": [format!("arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}")],
        "detail": detail,
    })
}

fn configuration(transition: &Transition) -> Value {
    let mut configuration = match &transition.rule.kind {
        AlarmKind::Metric(alarm) => json!({ "metrics": metrics(transition, alarm) }),
        AlarmKind::Composite(alarm) => composite(alarm),
    };
    if let Some(description) = &transition.rule.description {
        configuration["description"] = json!(description);
    }
    configuration
}

fn metrics(transition: &Transition, alarm: &MetricAlarm) -> Vec<Value> {
    let stat = |id: &str, stat: &MetricStat, is_result: bool| {
        // What an alarm has a state for each value of is a dimension of the metric too.
        let mut dimensions = stat.dimensions.clone();
        dimensions.extend(transition.dimensions.clone());
        let mut metric = json!({
            "metric": { "namespace": stat.metric.namespace, "name": stat.metric.name, "dimensions": dimensions },
            "period": alarm.period.as_s(),
            "stat": stat.statistic,
        });
        if let Some(unit) = &stat.unit {
            metric["unit"] = json!(unit);
        }
        json!({ "id": id, "metricStat": metric, "returnData": is_result })
    };
    match &alarm.watched {
        Watched::Stat(only) => vec![stat("m1", only, true)],
        Watched::Math { expression, metrics, .. } => {
            let result = json!({ "id": "result", "expression": expression, "returnData": true });
            metrics.iter().map(|(id, it)| stat(id, it, false)).chain([result]).collect()
        }
    }
}

fn composite(alarm: &CompositeAlarm) -> Value {
    let mut configuration = Map::from_iter([("alarmRule".to_owned(), json!(alarm.rule))]);
    if let Some(ActionsSuppressor { alarm, wait_period_ms, extension_period_ms }) = &alarm.suppressor {
        configuration.insert("actionsSuppressor".to_owned(), json!(alarm));
        configuration.insert("actionsSuppressorWaitPeriod".to_owned(), json!(wait_period_ms / 1000));
        configuration
            .insert("actionsSuppressorExtensionPeriod".to_owned(), json!(extension_period_ms / 1000));
    }
    Value::Object(configuration)
}

/// `2026-09-14T05:51:57Z`.
fn with_seconds(at: Timestamp) -> String {
    let text = at.to_string();
    let (seconds, _) = text.split_once('.').expect("a time prints with milliseconds");
    format!("{seconds}Z")
}

/// `2026-09-14T05:51:57.553+0000`.
fn with_milliseconds(at: Timestamp) -> String {
    at.to_string().replace('Z', "+0000")
}

/// A UUID of version 8 (RFC 9562: the maker's own) out of the installation and the decision: 64 bits, 40 of the offset
/// and 18 of the index. Offsets beyond 10^12 would repeat.
fn uuid(installation: InstallationId, id: DecisionId) -> String {
    let low = |value: u64, bits: u32| u128::from(value & ((1 << bits) - 1));
    let custom = (u128::from(u64::from_be_bytes(installation.0)) << 58)
        | (low(id.offset.0, 40) << 18)
        | low(u64::from(id.index), 18);
    // 48 bits, version, 12 bits, variant, 62 bits.
    let (high, middle, rest) = (custom >> 74, (custom >> 62) & 0xfff, custom & ((1 << 62) - 1));
    let bits = (high << 80) | (8 << 76) | (middle << 64) | (2 << 62) | rest;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use watchbell_model::Offset;

    use super::*;

    #[test]
    fn times_are_spelled_as_eventbridge_spells_them() {
        let at = Timestamp(1_795_381_912_125);
        assert_eq!(with_seconds(at), "2026-11-22T21:11:52Z");
        assert_eq!(with_milliseconds(at), "2026-11-22T21:11:52.125+0000");
    }

    #[test]
    fn ids_are_uuids_of_version_8_and_differ_as_decisions_do() {
        let one = InstallationId([0x3c, 0x1d, 0x55, 0x9c, 0x63, 0x06, 0xd4, 0xf0]);
        let id = |offset, index| DecisionId { offset: Offset(offset), index };
        let first = uuid(one, id(0, 0));
        assert_eq!((first.len(), &first[14..15], &first[19..20]), (36, "8", "8"));
        let ids: BTreeSet<String> = [id(0, 0), id(0, 1), id(1, 0), id(262_144, 0), id(1 << 39, 7)]
            .into_iter()
            .flat_map(|id| [uuid(one, id), uuid(InstallationId([1; 8]), id)])
            .collect();
        assert_eq!(ids.len(), 10);
        assert!(ids.iter().all(|id| matches!(&id[19..20], "8" | "9" | "a" | "b")), "{ids:?}");
    }
}
