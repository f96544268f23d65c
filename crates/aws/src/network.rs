//! The virtual private cloud that a fleet is in.
//!
//! Promise: instances have no address that others can reach; a zone's subnets have the same addresses whatever the
//! number of zones.
//! Not here: who may talk to whom (`security_group`).

use ipnet::Ipv4Net;
use serde_json::{Value, json};
use watchbell_model::{Aws, Nat};

use crate::name::{logical_id, physical};
use crate::output::{PRIVATE_SUBNET_IDS, PUBLIC_SUBNET_IDS, VPC_ID};
use crate::stack::Input;
use crate::template::{Resource, Template, attribute, reference};
use crate::{bastion, endpoint, flow_log, security_group};

/// Ids of what other files of this stack refer to.
pub(crate) const VPC: &str = "Vpc";
pub(crate) const INTERNET_ROUTE: &str = "PublicInternetRoute";
const INTERNET_GATEWAY: &str = "InternetGateway";
const INTERNET_GATEWAY_ATTACHMENT: &str = "InternetGatewayAttachment";
const PUBLIC_ROUTE_TABLE: &str = "PublicRouteTable";

/// Everywhere, as the destination of a route.
const EVERYWHERE: &str = "0.0.0.0/0";

pub(crate) fn render(input: Input<'_>) -> Template {
    let aws = input.aws;
    let mut template = Template::new(format!("{}: network", aws.name));
    if input.plan.fleet.is_empty() {
        return template;
    }
    let zones: Vec<Zone> = (0..aws.network.zones).map(Zone).collect();
    vpc(&mut template, aws);
    subnets(&mut template, aws, &zones);
    routes(&mut template, aws, &zones);
    security_group::add(&mut template, input);
    endpoint::add(&mut template, aws, &zones);
    if let Some(days) = aws.network.flow_logs_days {
        flow_log::add(&mut template, aws, days);
    }
    if let Some(bastion) = &aws.network.bastion {
        bastion::add(&mut template, aws, bastion, zones[0]);
    }
    template
}

/// An availability zone, counted from 0.
#[derive(Clone, Copy)]
pub(crate) struct Zone(u32);

impl Zone {
    fn id(self, kind: &str) -> String {
        logical_id(kind, &format!("zone{}", self.0 + 1))
    }

    /// The id of its subnet that load balancers are in.
    pub(crate) fn public_subnet(self) -> String {
        self.id("PublicSubnet")
    }

    /// The id of its subnet that instances are in.
    pub(crate) fn private_subnet(self) -> String {
        self.id("PrivateSubnet")
    }

    /// The id of the route table of its instances.
    pub(crate) fn private_route_table(self) -> String {
        self.id("PrivateRouteTable")
    }

    fn nat_gateway(self) -> String {
        self.id("NatGateway")
    }
}

fn vpc(template: &mut Template, aws: &Aws) {
    let properties = json!({
        "CidrBlock": aws.network.cidr.to_string(),
        "EnableDnsSupport": true,
        "EnableDnsHostnames": true, // so that endpoints answer to the services' own names
    });
    let named = |resource: Resource, name: &str| resource.tagged(&aws.tags, &physical(aws, name));
    template.add(VPC, named(Resource::new("AWS::EC2::VPC", properties), "vpc"));
    template.add(
        INTERNET_GATEWAY,
        named(Resource::new("AWS::EC2::InternetGateway", json!({})), "internet-gateway"),
    );
    template.add(
        INTERNET_GATEWAY_ATTACHMENT,
        Resource::new(
            "AWS::EC2::VPCGatewayAttachment",
            json!({ "VpcId": reference(VPC), "InternetGatewayId": reference(INTERNET_GATEWAY) }),
        ),
    );
    template.output(VPC_ID, "The virtual private cloud.", reference(VPC));
}

/// Addresses of the public and the private subnet of a zone: eighths of the whole, those of public subnets first, so that a
/// third zone moves nothing.
fn addresses(whole: Ipv4Net, zone: Zone) -> (Ipv4Net, Ipv4Net) {
    let eighth = |index: usize| {
        let mut eighths = whole.subnets(whole.prefix_len() + 3).expect("the whole is at most a /22");
        eighths.nth(index).expect("there are eight eighths and three zones at most")
    };
    let index = zone.0 as usize;
    (eighth(index), eighth(4 + index))
}

fn subnets(template: &mut Template, aws: &Aws, zones: &[Zone]) {
    for zone in zones {
        let (public, private) = addresses(aws.network.cidr, *zone);
        let kinds = [("public", zone.public_subnet(), public), ("private", zone.private_subnet(), private)];
        for (kind, id, cidr) in kinds {
            let properties = json!({
                "VpcId": reference(VPC),
                "AvailabilityZone": { "Fn::Select": [zone.0, { "Fn::GetAZs": "" }] },
                "CidrBlock": cidr.to_string(),
                // Who needs an address there, the load balancer, gets one anyway.
                "MapPublicIpOnLaunch": false,
            });
            let name = physical(aws, &format!("{kind}-{}", zone.0 + 1));
            template.add(id, Resource::new("AWS::EC2::Subnet", properties).tagged(&aws.tags, &name));
        }
    }
    let joined = |ids: Vec<Value>| json!({ "Fn::Join": [",", ids] });
    let public = joined(zones.iter().map(|zone| reference(&zone.public_subnet())).collect());
    template.output(PUBLIC_SUBNET_IDS, "The subnets of load balancers.", public);
    let private = joined(zones.iter().map(|zone| reference(&zone.private_subnet())).collect());
    template.output(PRIVATE_SUBNET_IDS, "The subnets of instances.", private);
}

fn routes(template: &mut Template, aws: &Aws, zones: &[Zone]) {
    route_table(template, aws, PUBLIC_ROUTE_TABLE, "public");
    template.add(
        INTERNET_ROUTE,
        Resource::new(
            "AWS::EC2::Route",
            json!({
                "RouteTableId": reference(PUBLIC_ROUTE_TABLE),
                "DestinationCidrBlock": EVERYWHERE,
                "GatewayId": reference(INTERNET_GATEWAY),
            }),
        )
        .after(&[INTERNET_GATEWAY_ATTACHMENT]),
    );
    for zone in zones {
        associate(template, &zone.public_subnet(), PUBLIC_ROUTE_TABLE);
        // One for each zone, whatever the number of gateways: a change of it changes routes and nothing else.
        let table = zone.private_route_table();
        route_table(template, aws, &table, &format!("private-{}", zone.0 + 1));
        associate(template, &zone.private_subnet(), &table);
        let through = match aws.network.nat {
            Nat::Single => zones[0],
            Nat::PerZone => *zone,
        };
        if through.0 == zone.0 {
            nat_gateway(template, aws, *zone);
        }
        template.add(
            zone.id("PrivateInternetRoute"),
            Resource::new(
                "AWS::EC2::Route",
                json!({
                    "RouteTableId": reference(&table),
                    "DestinationCidrBlock": EVERYWHERE,
                    "NatGatewayId": reference(&through.nat_gateway()),
                }),
            ),
        );
    }
}

fn route_table(template: &mut Template, aws: &Aws, id: &str, name: &str) {
    let table = Resource::new("AWS::EC2::RouteTable", json!({ "VpcId": reference(VPC) }));
    template.add(id, table.tagged(&aws.tags, &physical(aws, name)));
}

fn associate(template: &mut Template, subnet: &str, table: &str) {
    template.add(
        format!("{subnet}Routes"),
        Resource::new(
            "AWS::EC2::SubnetRouteTableAssociation",
            json!({ "SubnetId": reference(subnet), "RouteTableId": reference(table) }),
        ),
    );
}

fn nat_gateway(template: &mut Template, aws: &Aws, zone: Zone) {
    let name = physical(aws, &format!("nat-{}", zone.0 + 1));
    let address = zone.id("NatAddress");
    template.add(
        &address,
        Resource::new("AWS::EC2::EIP", json!({ "Domain": "vpc" }))
            .after(&[INTERNET_GATEWAY_ATTACHMENT])
            .tagged(&aws.tags, &name),
    );
    template.add(
        zone.nat_gateway(),
        Resource::new(
            "AWS::EC2::NatGateway",
            json!({
                "SubnetId": reference(&zone.public_subnet()),
                "AllocationId": attribute(&address, "AllocationId"),
            }),
        )
        // A gateway that comes up before its way out stays failed.
        .after(&[INTERNET_ROUTE])
        .tagged(&aws.tags, &name),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_share_the_addresses_and_overlap_nowhere() {
        for whole in ["10.0.0.0/16", "10.20.4.0/22"] {
            let whole: Ipv4Net = whole.parse().unwrap();
            let mut all: Vec<Ipv4Net> =
                (0..3).flat_map(|zone| <[Ipv4Net; 2]>::from(addresses(whole, Zone(zone)))).collect();
            assert!(all.iter().all(|part| whole.contains(part)));
            all.sort();
            assert!(all.windows(2).all(|pair| pair[0].broadcast() < pair[1].network()), "{all:?}");
        }
        let whole: Ipv4Net = "10.0.0.0/16".parse().unwrap();
        let (public, private) = addresses(whole, Zone(1));
        assert_eq!(
            (public.to_string(), private.to_string()),
            ("10.0.32.0/19".into(), "10.0.160.0/19".into())
        );
    }
}
