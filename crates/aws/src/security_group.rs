//! Who may talk to whom inside the network: load balancers to instances, instances to endpoints, and a bastion to
//! instances. Groups name each other, not addresses.
//!
//! Promise: nothing outside reaches an instance but through a load balancer or the bastion, and the load balancer only
//! from the networks that the plan allows.
//! Not here: the group that every virtual private cloud comes with. Nothing is in it; CloudFormation cannot empty it.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde_json::{Value, json};
use watchbell_model::{Aws, Bastion, Plan};

use crate::app::load_balancer::redirected;
use crate::finding::Finding;
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

/// Most rules of a group in one direction.
///
/// Source: Amazon VPC User Guide, quotas, "Inbound or outbound rules per security group"; it can be raised.
const RULES_MAX: usize = 60;

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

/// From where users reach the load balancer, and at which port.
fn users(aws: &Aws) -> BTreeSet<(u16, IpNet)> {
    let redirected = redirected(aws).map(|fleet| (HTTP, fleet));
    let listeners = aws.fleet.values().map(|fleet| (fleet.port, fleet)).chain(redirected);
    listeners
        .flat_map(|(port, fleet)| fleet.allow.iter().map(move |network| (port, network.trunc())))
        .collect()
}

/// What an account has to be allowed first.
pub(crate) fn findings(plan: &Plan, aws: &Aws) -> Vec<Finding> {
    let rules = users(aws).len();
    if plan.fleet.is_empty() || rules <= RULES_MAX {
        return Vec::new();
    }
    let message = format!(
        "the load balancer's security group has {rules} rules, one for each port and allowed network, and AWS gives \
         {RULES_MAX} unless an account asks for more"
    );
    let help =
        "allow fewer, larger networks, or raise the quota \"Inbound or outbound rules per security group\"";
    vec![Finding::difference(&["aws", "fleet"], message).help(help)]
}

fn load_balancers(template: &mut Template, aws: &Aws, app_ports: &BTreeSet<u16>) {
    let users: Vec<Value> = users(aws)
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

#[cfg(test)]
mod tests {
    use crate::testing::{finding, plan};

    #[test]
    fn more_rules_than_an_account_has_are_said() {
        let file = |networks: usize| {
            let allow: Vec<String> = (0..networks).map(|it| format!("\"10.0.{it}.0/24\"")).collect();
            format!(
                "[fleet.shop]\ncommand = [\"shop\", \"{{port}}\"]\ninstances = {{ min = 1, max = 2 }}\n\
                 listen = \"127.0.0.1:8080\"\n[aws]\nregion = \"eu-central-1\"\nartifacts = {{ url = \"s3://artifacts\", watchbell_sha256 = \"{}\" }}\n\
                 [aws.fleet.shop]\nallow = [{}]\n",
                "0".repeat(64),
                allow.join(", ")
            )
        };
        assert_eq!(finding(&plan(&file(60)), "aws.fleet"), "");
        assert!(
            finding(&plan(&file(61)), "aws.fleet")
                .starts_with("difference: the load balancer's security group has 61")
        );
    }
}
