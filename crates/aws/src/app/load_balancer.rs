//! What users reach: one Application Load Balancer, with a listener for each fleet.

use serde_json::{Value, json};
use watchbell_model::{Aws, AwsFleet};

use crate::finding::{Finding, Gravity};
use crate::name::logical_id;
use crate::output::{ACCESS_LOGS_BUCKET, LOAD_BALANCER_GROUP_ID, PUBLIC_SUBNET_IDS, VPC_ID};
use crate::stack::Input;
use crate::template::{Resource, Template, attribute, reference};

use super::Place;

/// The id of the load balancer.
pub(super) const ID: &str = "LoadBalancer";

/// TLS 1.2 with forward secrecy and authenticated ciphers only, and TLS 1.3.
///
/// Source: Elastic Load Balancing, Application Load Balancers, "Security policies".
const TLS_POLICY: &str = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06";

/// How long an instance that leaves may finish what it is asked, in seconds.
const DEREGISTRATION_DELAY_S: u32 = 30;

/// The ports that browsers take without being told.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// Shortest interval of health checks, in milliseconds.
///
/// Source: Elastic Load Balancing API Reference, `CreateTargetGroup`, `HealthCheckIntervalSeconds`.
const INTERVAL_MS_MIN: i64 = 5_000;

/// The id of a fleet's target group.
pub(super) fn target_group_id(place: Place<'_>) -> String {
    logical_id("TargetGroup", place.name)
}

/// The id of a fleet's listener.
pub(super) fn listener_id(place: Place<'_>) -> String {
    logical_id("Listener", place.name)
}

/// The fleet that browsers are sent to when they come with plain HTTP: the one at the port of HTTPS, if nothing else is at
/// the port of HTTP. Then the load balancer listens there, too.
pub(crate) fn redirected(aws: &Aws) -> Option<&AwsFleet> {
    let at_https = aws.fleet.values().find(|own| own.certificate.is_some() && own.port == HTTPS_PORT)?;
    let is_free = aws.fleet.values().all(|own| own.port != HTTP_PORT);
    is_free.then_some(at_https)
}

pub(super) fn add(template: &mut Template, input: Input<'_>) {
    let subnets =
        template.parameter(PUBLIC_SUBNET_IDS, "List<AWS::EC2::Subnet::Id>", "The subnets of load balancers");
    let security_group = template.parameter(
        LOAD_BALANCER_GROUP_ID,
        "AWS::EC2::SecurityGroup::Id",
        "The security group of load balancers",
    );
    let bucket =
        template.parameter(ACCESS_LOGS_BUCKET, "String", "The bucket that load balancers log requests to");
    let attributes = attribute_list(&[
        ("access_logs.s3.enabled", json!("true")),
        ("access_logs.s3.bucket", bucket),
        ("routing.http.drop_invalid_header_fields.enabled", json!("true")),
        // Its removal is part of `destroy`, and of nothing else that we do.
        ("deletion_protection.enabled", json!("false")),
    ]);
    let properties = json!({
        "Type": "application",
        "Scheme": "internet-facing",
        "Subnets": subnets,
        "SecurityGroups": [security_group],
        "LoadBalancerAttributes": attributes,
    });
    let resource = Resource::new("AWS::ElasticLoadBalancingV2::LoadBalancer", properties);
    template.add(ID, resource.tagged(&input.aws.tags, &input.aws.name));
    if redirected(input.aws).is_some() {
        let action = json!([{ "Type": "redirect", "RedirectConfig": {
            "Protocol": "HTTPS", "Port": HTTPS_PORT.to_string(), "StatusCode": "HTTP_301",
        } }]);
        let properties = json!({
            "LoadBalancerArn": reference(ID), "Protocol": "HTTP", "Port": HTTP_PORT, "DefaultActions": action,
        });
        let listener = Resource::new("AWS::ElasticLoadBalancingV2::Listener", properties);
        template.add("RedirectListener", listener);
    }
    template.output("LoadBalancerDnsName", "Where users reach the fleets", attribute(ID, "DNSName"));
}

/// A fleet's target group and listener.
pub(super) fn add_fleet(template: &mut Template, input: Input<'_>, place: Place<'_>) {
    let vpc = template.parameter(VPC_ID, "AWS::EC2::VPC::Id", "The virtual private cloud");
    let interval_s = interval_s(place);
    let properties = json!({
        "TargetType": "instance",
        "VpcId": vpc,
        "Protocol": "HTTP",
        "Port": place.fleet.listen.port(),
        "HealthCheckProtocol": "HTTP",
        "HealthCheckPath": place.fleet.health.path,
        "HealthCheckIntervalSeconds": interval_s,
        // Less than the interval, as AWS wants it.
        "HealthCheckTimeoutSeconds": (interval_s - 1).min(5),
        "HealthyThresholdCount": 2,
        // Ten is the most: an instance that restarts after its updates is not replaced for it.
        "UnhealthyThresholdCount": if super::maintenance::reboots(input.plan) { 10 } else { 3 },
        "Matcher": { "HttpCode": "200" },
        "TargetGroupAttributes": attribute_list(&[
            ("deregistration_delay.timeout_seconds", json!(DEREGISTRATION_DELAY_S.to_string())),
        ]),
    });
    let resource = Resource::new("AWS::ElasticLoadBalancingV2::TargetGroup", properties);
    template.add(target_group_id(place), resource.tagged(&place.aws.tags, &place.full_name()));

    let mut properties = json!({
        "LoadBalancerArn": reference(ID),
        "Port": place.own.port,
        "Protocol": "HTTP",
        "DefaultActions": [{ "Type": "forward", "TargetGroupArn": reference(&target_group_id(place)) }],
    });
    if let Some(certificate) = &place.own.certificate {
        properties["Protocol"] = json!("HTTPS");
        properties["SslPolicy"] = json!(TLS_POLICY);
        properties["Certificates"] = json!([{ "CertificateArn": certificate }]);
    }
    let listener = Resource::new("AWS::ElasticLoadBalancingV2::Listener", properties);
    template.add(listener_id(place), listener);
}

/// The name of a fleet among the requests that are counted: load balancer and target group.
pub(super) fn resource_label(place: Place<'_>) -> Value {
    let target_group = attribute(&target_group_id(place), "TargetGroupFullName");
    json!({ "Fn::Join": ["/", [attribute(ID, "LoadBalancerFullName"), target_group]] })
}

fn attribute_list(attributes: &[(&str, Value)]) -> Value {
    attributes.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

/// How often an instance is asked whether it is well, in seconds.
fn interval_s(place: Place<'_>) -> i64 {
    (place.fleet.health.interval_ms.max(INTERVAL_MS_MIN) + 999) / 1000
}

pub(super) fn findings(place: Place<'_>) -> Vec<Finding> {
    let asked_ms = place.fleet.health.interval_ms;
    let interval_s = interval_s(place);
    let interval = (asked_ms != interval_s * 1000).then(|| Finding {
        path: place.path(&["health", "interval"]),
        gravity: Gravity::Difference,
        message: format!("the load balancer asks every \"{interval_s}s\""),
        help: None,
    });
    interval.into_iter().collect()
}
