//! As many instances as are needed.

use serde_json::{Value, json};
use watchbell_model::ScaleOn;

use crate::name::logical_id;
use crate::output::PRIVATE_SUBNET_IDS;
use crate::template::{Resource, Template, attribute, reference};

use super::instance_role::NAMESPACE;
use super::{Place, launch_template, load_balancer};

/// How long an instance may take until it says that it is ready, as CloudFormation writes durations.
const READY_WITHIN: &str = "PT15M";

/// How long a new instance is not asked whether it is well, in seconds: as long as it may take to be ready.
const GRACE_S: u32 = 15 * 60;

/// How long the measurements of a new instance are not counted, in seconds.
const WARMUP_S: u32 = 180;

/// What of an Auto Scaling group is published.
const METRICS: [&str; 4] =
    ["GroupDesiredCapacity", "GroupInServiceInstances", "GroupPendingInstances", "GroupTotalInstances"];

/// The id of a fleet's Auto Scaling group, which its instances signal to.
pub(super) fn id(place: Place<'_>) -> String {
    logical_id("AutoScalingGroup", place.name)
}

pub(super) fn add(template: &mut Template, place: Place<'_>) {
    let subnets =
        template.parameter(PRIVATE_SUBNET_IDS, "List<AWS::EC2::Subnet::Id>", "The subnets of instances");
    let launch_template = launch_template::id(place);
    let id = id(place);
    let instances = place.fleet.instances;
    let tags: Vec<Value> = launch_template::tags(place)
        .map(|(key, value)| json!({ "Key": key, "Value": value, "PropagateAtLaunch": true }))
        .collect();
    // No desired capacity: a deployment would set it back.
    let properties = json!({
        "VPCZoneIdentifier": subnets,
        "LaunchTemplate": {
            "LaunchTemplateId": reference(&launch_template),
            "Version": attribute(&launch_template, "LatestVersionNumber"),
        },
        "MinSize": instances.min.to_string(),
        "MaxSize": instances.max.to_string(),
        "TargetGroupARNs": [reference(&load_balancer::target_group_id(place))],
        "HealthCheckType": "ELB",
        "HealthCheckGracePeriod": GRACE_S,
        "DefaultInstanceWarmup": WARMUP_S,
        "MetricsCollection": [{ "Granularity": "1Minute", "Metrics": METRICS }],
        "Tags": tags,
    });
    let creation = json!({ "ResourceSignal": { "Count": instances.min, "Timeout": READY_WITHIN } });
    let update = json!({
        "AutoScalingRollingUpdate": {
            "MaxBatchSize": 1,
            // Less than the maximum, as AWS wants it; so a fleet of one is away for a moment.
            "MinInstancesInService": instances.min.min(instances.max - 1),
            "PauseTime": READY_WITHIN,
            "WaitOnResourceSignals": true,
            "SuspendProcesses": [
                "AZRebalance", "AlarmNotification", "HealthCheck", "ReplaceUnhealthy", "ScheduledActions",
            ],
        },
    });
    let group = Resource::new("AWS::AutoScaling::AutoScalingGroup", properties)
        .with("CreationPolicy", creation)
        .with("UpdatePolicy", update)
        // Targets of a target group without a listener are never well.
        .after(&[&load_balancer::listener_id(place)]);
    template.add(id.as_str(), group);
    template.output(
        logical_id("AutoScalingGroupName", place.name),
        "The Auto Scaling group of the fleet",
        reference(&id),
    );
    for &scale_on in &place.fleet.scale_on {
        template.add(policy_id(place, scale_on), policy(place, scale_on));
    }
}

fn policy_id(place: Place<'_>, scale_on: ScaleOn) -> String {
    let kind = match scale_on {
        ScaleOn::Cpu(_) => "CpuPolicy",
        ScaleOn::RequestsPerInstance(_) => "RequestPolicy",
        ScaleOn::LogBytesPerInstance(_) => "LogBytesPolicy",
    };
    logical_id(kind, place.name)
}

/// A policy that holds a measurement at its target. With several, the one that asks for most instances counts.
fn policy(place: Place<'_>, scale_on: ScaleOn) -> Resource {
    let tracking = match scale_on {
        ScaleOn::Cpu(percent) => json!({
            "PredefinedMetricSpecification": { "PredefinedMetricType": "ASGAverageCPUUtilization" },
            "TargetValue": percent,
        }),
        // Requests in a minute, as in the plan.
        ScaleOn::RequestsPerInstance(requests) => json!({
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "ALBRequestCountPerTarget",
                "ResourceLabel": load_balancer::resource_label(place),
            },
            "TargetValue": requests,
        }),
        ScaleOn::LogBytesPerInstance(bytes) => json!({
            "CustomizedMetricSpecification": { "Metrics": log_bytes(place) },
            "TargetValue": bytes,
        }),
    };
    let properties = json!({
        "AutoScalingGroupName": reference(&id(place)),
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingConfiguration": tracking,
    });
    Resource::new("AWS::AutoScaling::ScalingPolicy", properties)
}

/// Bytes of log lines in a second from each instance: what all agents of the fleet say in a minute, shared out.
fn log_bytes(place: Place<'_>) -> Value {
    let stat = |id: &str, namespace: &str, name: &str, dimension: &str, value: Value, stat: &str| {
        json!({
            "Id": id,
            "ReturnData": false,
            "MetricStat": { "Stat": stat, "Metric": {
                "Namespace": namespace, "MetricName": name,
                "Dimensions": [{ "Name": dimension, "Value": value }],
            } },
        })
    };
    json!([
        stat("bytes", NAMESPACE, "LogBytes", "Fleet", json!(place.full_name()), "Sum"),
        stat(
            "instances",
            "AWS/AutoScaling",
            "GroupInServiceInstances",
            "AutoScalingGroupName",
            reference(&id(place)),
            "Average",
        ),
        {
            "Id": "each",
            "Label": "Bytes of log lines in a second, from each instance",
            "Expression": "bytes / 60 / instances",
            "ReturnData": true,
        },
    ])
}
