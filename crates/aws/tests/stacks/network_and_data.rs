//! What the stacks of the network and of the data have, by what the plan asks for.

use crate::support::{Rendered, Shape, rendered};
use serde_json::{Value, json};
use watchbell_aws::Part;

fn stack(shape: &Shape, part: Part) -> Rendered {
    rendered(&shape.plan()).into_iter().find(|stack| stack.part == part).expect("the plan has this stack")
}

/// Properties of the resources of a type.
fn all(stack: &Rendered, kind: &str) -> Vec<Value> {
    stack.resources().filter(|(_, of, _)| *of == kind).map(|(_, _, properties)| properties.clone()).collect()
}

fn get(name: &str) -> Value {
    json!({ "Fn::GetAtt": [name, "GroupId"] })
}

#[test]
fn without_a_fleet_there_is_no_network() {
    let plan = Shape { fleets: 0, ..Shape::full() }.plan();
    assert!(rendered(&plan).iter().all(|stack| stack.part != Part::Network));
}

#[test]
fn private_subnets_go_out_through_the_gateway_of_their_zone_or_the_only_one() {
    for (nat_per_zone, gateways) in [(true, 3), (false, 1)] {
        let network = stack(&Shape { nat_per_zone, ..Shape::full() }, Part::Network);
        assert_eq!(all(&network, "AWS::EC2::NatGateway").len(), gateways);
        let routes = all(&network, "AWS::EC2::Route");
        let (out, direct): (Vec<Value>, Vec<Value>) =
            routes.into_iter().partition(|route| route.get("NatGatewayId").is_some());
        assert_eq!(direct.len(), 1, "only public subnets share a way to the internet gateway");
        for (i, route) in out.iter().enumerate() {
            let zone = i + 1;
            assert_eq!(route["RouteTableId"], json!({ "Ref": format!("PrivateRouteTableZone{zone}") }));
            let through = if nat_per_zone { zone } else { 1 };
            assert_eq!(route["NatGatewayId"], json!({ "Ref": format!("NatGatewayZone{through}") }));
        }
        assert_eq!(out.len(), 3);
    }
}

#[test]
fn instances_are_reached_by_load_balancers_and_the_bastion_alone() {
    let ingress = |shape: &Shape| {
        let network = stack(shape, Part::Network);
        let rules = all(&network, "AWS::EC2::SecurityGroupIngress");
        assert!(rules.iter().all(|rule| rule["GroupId"] == get("InstanceSecurityGroup")));
        let inline =
            &network.template["Resources"]["InstanceSecurityGroup"]["Properties"]["SecurityGroupIngress"];
        assert!(inline.is_null(), "{inline}");
        rules
            .iter()
            .map(|rule| {
                (rule["FromPort"].clone(), rule["ToPort"].clone(), rule["SourceSecurityGroupId"].clone())
            })
            .collect::<Vec<_>>()
    };
    let balancers = [8080, 8081].map(|port| (json!(port), json!(port), get("LoadBalancerSecurityGroup")));
    let bastion = (json!(22), json!(22), get("BastionSecurityGroup"));
    assert_eq!(ingress(&Shape { bastion: vec![], ..Shape::full() }), balancers);
    let mut with_bastion = ingress(&Shape::full());
    assert_eq!(with_bastion.remove(0), bastion);
    assert_eq!(with_bastion, balancers);
}

#[test]
fn load_balancers_take_calls_from_allowed_networks_and_make_them_to_instances() {
    let shape = Shape {
        allow: vec!["203.0.113.9/24".into(), "2001:db8::/32".into()],
        fleets: 1,
        certificate: false,
        ..Shape::full()
    };
    let network = stack(&shape, Part::Network);
    let group = &network.template["Resources"]["LoadBalancerSecurityGroup"]["Properties"];
    let rule = |key: &str, network: &str| json!({ "IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, key: network, "Description": "Requests of users" });
    let users = [rule("CidrIp", "203.0.113.0/24"), rule("CidrIpv6", "2001:db8::/32")];
    assert_eq!(group["SecurityGroupIngress"], json!(users));
    let to = json!([{
        "IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "Description": "Requests and health checks",
        "DestinationSecurityGroupId": get("InstanceSecurityGroup"),
    }]);
    assert_eq!(group["SecurityGroupEgress"], to);
}

#[test]
fn who_comes_with_plain_http_to_be_sent_on_is_let_in() {
    let ports = |certificate: bool| {
        let network = stack(&Shape { fleets: 1, certificate, ..Shape::full() }, Part::Network);
        let group = &network.template["Resources"]["LoadBalancerSecurityGroup"]["Properties"];
        let rules = group["SecurityGroupIngress"].as_array().unwrap();
        rules.iter().map(|rule| rule["FromPort"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ports(true), [80, 80, 443, 443], "of both families");
    assert_eq!(ports(false), [80, 80]);
}

#[test]
fn the_bastion_takes_no_role_and_no_old_metadata_calls() {
    let network = stack(&Shape::full(), Part::Network);
    let machines = all(&network, "AWS::EC2::Instance");
    assert_eq!(machines.len(), 1);
    assert!(machines[0].get("IamInstanceProfile").is_none());
    let launch = &all(&network, "AWS::EC2::LaunchTemplate")[0]["LaunchTemplateData"];
    assert!(launch.get("IamInstanceProfile").is_none());
    assert_eq!(launch["MetadataOptions"]["HttpTokens"], "required");
}

#[test]
fn the_network_has_what_it_is_asked_for() {
    let counts = |shape: &Shape| {
        let network = stack(shape, Part::Network);
        ["AWS::EC2::Subnet", "AWS::EC2::VPCEndpoint", "AWS::EC2::FlowLog", "AWS::EC2::Instance"]
            .map(|kind| all(&network, kind).len())
    };
    assert_eq!(counts(&Shape::full()), [6, 7, 1, 1]);
    let little = Shape { zones: 2, endpoints: false, flow_logs: false, bastion: vec![], ..Shape::full() };
    assert_eq!(counts(&little), [4, 1, 0, 0]);
}

#[test]
fn buckets_are_private_versioned_and_speak_tls_alone() {
    let data = stack(&Shape::full(), Part::Data);
    let buckets = all(&data, "AWS::S3::Bucket");
    assert_eq!(buckets.len(), 3);
    for bucket in buckets {
        let public = bucket["PublicAccessBlockConfiguration"].as_object().unwrap();
        assert!(public.len() == 4 && public.values().all(|blocked| *blocked == json!(true)));
        assert_eq!(bucket["VersioningConfiguration"]["Status"], "Enabled");
        assert_eq!(bucket["OwnershipControls"]["Rules"][0]["ObjectOwnership"], "BucketOwnerEnforced");
    }
    let policies = all(&data, "AWS::S3::BucketPolicy");
    assert_eq!(policies.len(), 3);
    for policy in policies {
        let statements = policy["PolicyDocument"]["Statement"].as_array().unwrap();
        let denies = |statement: &&Value| {
            statement["Effect"] == "Deny"
                && statement["Condition"] == json!({ "Bool": { "aws:SecureTransport": "false" } })
        };
        assert_eq!(statements.iter().filter(denies).count(), 1);
    }
}

#[test]
fn data_has_what_the_plan_has() {
    let nothing = Shape { archive: None, trail: false, fleets: 0, secrets: vec![], ..Shape::full() };
    let ids = |shape: &Shape| {
        stack(shape, Part::Data).resources().map(|(id, ..)| id.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&nothing), ["Key", "KeyAlias"]);
    let secret = Shape { secrets: vec!["smtp".into()], ..nothing.clone() };
    assert_eq!(ids(&secret), ["Key", "KeyAlias", "SecretSmtp"]);
    let archive = Shape { archive: Some(vec![]), ..nothing };
    assert_eq!(
        ids(&archive),
        [
            "AccessLogsBucket",
            "AccessLogsBucketPolicy",
            "ArchiveBucket",
            "ArchiveBucketPolicy",
            "Key",
            "KeyAlias"
        ]
    );
}

#[test]
fn the_trail_is_of_every_region_signed_and_sees_objects_of_the_archive() {
    let trail = |shape: &Shape| all(&stack(shape, Part::Data), "AWS::CloudTrail::Trail").remove(0);
    let full = trail(&Shape::full());
    for switch in ["IsMultiRegionTrail", "EnableLogFileValidation", "IncludeGlobalServiceEvents", "IsLogging"]
    {
        assert_eq!(full[switch], true, "{switch}");
    }
    assert_eq!(full["AdvancedEventSelectors"].as_array().unwrap().len(), 2);
    let without = trail(&Shape { archive: None, ..Shape::full() });
    assert_eq!(without["AdvancedEventSelectors"].as_array().unwrap().len(), 1);
}
