//! Ways to AWS's services that stay inside the network.

use serde_json::{Value, json};
use watchbell_model::Aws;

use crate::name::{logical_id, physical};
use crate::network::{VPC, Zone};
use crate::security_group;
use crate::template::{Resource, Template, reference, sub};

/// Services that instances call: the agent's and Session Manager's.
const SERVICES: [&str; 6] = ["logs", "monitoring", "ssm", "ssmmessages", "ec2messages", "secretsmanager"];

/// Adds the endpoint of S3, which costs nothing, and those of [`SERVICES`] if the plan wants them.
///
/// They let everything through: what an instance may do, its role says; and a policy here would have to name the buckets
/// that the operating system's updates come from.
pub(crate) fn add(template: &mut Template, aws: &Aws, zones: &[Zone]) {
    let tables: Vec<Value> = zones.iter().map(|zone| reference(&zone.private_route_table())).collect();
    let endpoint = |service: &str, mut properties: Value| {
        properties["VpcId"] = reference(VPC);
        properties["ServiceName"] = sub(format!("com.amazonaws.${{AWS::Region}}.{service}"));
        Resource::new("AWS::EC2::VPCEndpoint", properties).tagged(&aws.tags, &physical(aws, service))
    };
    template.add(
        logical_id("Endpoint", "s3"),
        endpoint("s3", json!({ "VpcEndpointType": "Gateway", "RouteTableIds": tables })),
    );
    if !aws.network.endpoints {
        return;
    }
    let subnets: Vec<Value> = zones.iter().map(|zone| reference(&zone.private_subnet())).collect();
    for service in SERVICES {
        let properties = json!({
            "VpcEndpointType": "Interface",
            "PrivateDnsEnabled": true,
            "SubnetIds": subnets,
            "SecurityGroupIds": [reference(security_group::ENDPOINTS)],
        });
        template.add(logical_id("Endpoint", service), endpoint(service, properties));
    }
}
