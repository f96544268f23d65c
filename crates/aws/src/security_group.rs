//! Who may talk to whom inside the network: load balancers to instances, instances to endpoints, and a bastion to
//! instances. Groups name each other, not addresses.
//!
//! Promise: nothing outside reaches an instance but through a load balancer or the bastion, and the load balancer only
//! from the networks that the plan allows.
//! Not here: the group that every virtual private cloud comes with. Nothing is in it; CloudFormation cannot empty it.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde_json::{Value, json};
use watchbell_model::{Aws, Bastion};

use crate::app::load_balancer::redirected;
use crate::name::physical;
use crate::network::VPC;
use crate::output::{INSTANCE_GROUP_ID, LOAD_BALANCER_GROUP_ID};
use crate::stack::Input;
use crate::template::{Resource, Template, attribute, reference};

/// Ids of the groups.
pub(crate) const LOAD_BALANCERS: &str = "LoadBalancerSecurityGroup";
pub(crate) const INSTANCES: &str = "InstanceSecurityGroup";
pub(crate) const ENDPOINTS: &str = "EndpointSecurityGroup";
pub(crate) const BASTION: &str = "BastionSecurityGroup";

const SSH: u16 = 22;
const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// Adds the groups and their rules.
pub(crate) fn add(template: &mut Template, input: Input<'_>) {
    let (aws, fleets) = (input.aws, &input.plan.fleet);
    let app_ports: BTreeSet<u16> = fleets.values().map(|fleet| fleet.listen.port()).collect();
    instances(template, aws, &app_ports);
    load_balancers(template, aws, &app_ports);
    if aws.network.endpoints {
        let ingress = vec![from_group(INSTANCES, HTTPS, "Calls of instances")];
        group(template, aws, ENDPOINTS, "endpoints", "Endpoints of services", &ingress, &[nowhere()]);
    }
    if let Some(bastion) = &aws.network.bastion {
        self::bastion(template, aws, bastion);
    }
}

/// Instances reach the web (packages, endpoints of services) and what is in their network (a database).
fn instances(template: &mut Template, aws: &Aws, app_ports: &BTreeSet<u16>) {
    let inside = aws.network.cidr.to_string();
    let egress = vec![
        rule("0.0.0.0/0", HTTPS, "HTTPS: services, packages"),
        rule("0.0.0.0/0", HTTP, "HTTP: packages"),
        json!({
            "IpProtocol": "tcp", "FromPort": 1, "ToPort": 65_535, "CidrIp": inside,
            "Description": "What is in the same network",
        }),
    ];
    group(template, aws, INSTANCES, "instances", "Instances", &[], &egress);
    // Rules of their own: load balancers name this group, and this group names load balancers.
    for port in app_ports {
        let from = from_group(LOAD_BALANCERS, *port, "Requests and health checks of load balancers");
        ingress(template, &format!("InstanceIngressPort{port}"), INSTANCES, from);
    }
    template.output(INSTANCE_GROUP_ID, "The security group of instances.", attribute(INSTANCES, "GroupId"));
}

fn load_balancers(template: &mut Template, aws: &Aws, app_ports: &BTreeSet<u16>) {
    let redirected = redirected(aws).map(|fleet| (HTTP, fleet));
    let allowed: BTreeSet<(u16, IpNet)> = aws
        .fleet
        .values()
        .map(|fleet| (fleet.port, fleet))
        .chain(redirected)
        .flat_map(|(port, fleet)| fleet.allow.iter().map(move |network| (port, network.trunc())))
        .collect();
    let users: Vec<Value> = allowed
        .iter()
        .map(|(port, network)| rule(&network.to_string(), *port, "Requests of users"))
        .collect();
    let egress: Vec<Value> =
        app_ports.iter().map(|port| to_group(INSTANCES, *port, "Requests and health checks")).collect();
    group(template, aws, LOAD_BALANCERS, "load-balancers", "Load balancers", &users, &egress);
    template.output(
        LOAD_BALANCER_GROUP_ID,
        "The security group of load balancers.",
        attribute(LOAD_BALANCERS, "GroupId"),
    );
}

fn bastion(template: &mut Template, aws: &Aws, bastion: &Bastion) {
    let from: BTreeSet<IpNet> = bastion.allow.iter().map(IpNet::trunc).collect();
    let people: Vec<Value> =
        from.iter().map(|network| rule(&network.to_string(), SSH, "Logins of people")).collect();
    let egress = vec![
        to_group(INSTANCES, SSH, "Logins of people"),
        rule("0.0.0.0/0", HTTPS, "Updates of the operating system"),
    ];
    group(template, aws, BASTION, "bastion", "The bastion", &people, &egress);
    let logins = from_group(BASTION, SSH, "Logins through the bastion");
    ingress(template, "InstanceIngressBastion", INSTANCES, logins);
}

/// A group; a group without egress rules may send everywhere, so there is always one.
fn group(
    template: &mut Template,
    aws: &Aws,
    id: &str,
    name: &str,
    description: &str,
    ingress: &[Value],
    egress: &[Value],
) {
    let mut properties = json!({
        "GroupDescription": format!("{description} of {}", aws.name),
        "VpcId": reference(VPC),
        "SecurityGroupEgress": egress,
    });
    if !ingress.is_empty() {
        properties["SecurityGroupIngress"] = json!(ingress);
    }
    let group = Resource::new("AWS::EC2::SecurityGroup", properties);
    template.add(id, group.tagged(&aws.tags, &physical(aws, name)));
}

/// A rule as a resource of its own.
fn ingress(template: &mut Template, id: &str, group: &str, mut rule: Value) {
    rule["GroupId"] = attribute(group, "GroupId");
    template.add(id, Resource::new("AWS::EC2::SecurityGroupIngress", rule));
}

/// A rule for addresses of either family.
fn rule(network: &str, port: u16, description: &str) -> Value {
    let key = if network.contains(':') { "CidrIpv6" } else { "CidrIp" };
    json!({
        "IpProtocol": "tcp", "FromPort": port, "ToPort": port, key: network, "Description": description,
    })
}

fn from_group(group: &str, port: u16, description: &str) -> Value {
    group_rule("SourceSecurityGroupId", group, port, description)
}

fn to_group(group: &str, port: u16, description: &str) -> Value {
    group_rule("DestinationSecurityGroupId", group, port, description)
}

fn group_rule(key: &str, group: &str, port: u16, description: &str) -> Value {
    json!({
        "IpProtocol": "tcp", "FromPort": port, "ToPort": port, key: attribute(group, "GroupId"),
        "Description": description,
    })
}

/// The one rule of a group that sends nothing of its own accord: to the machine itself.
fn nowhere() -> Value {
    json!({ "IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "CidrIp": "127.0.0.1/32", "Description": "Nowhere" })
}
