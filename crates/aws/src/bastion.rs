//! A machine that people reach instances through, where Session Manager is not enough.

use serde_json::json;
use watchbell_model::{Aws, Bastion};

use crate::name::physical;
use crate::network::{INTERNET_ROUTE, Zone};
use crate::security_group;
use crate::template::{Resource, Template, attribute, reference};

const INSTANCE: &str = "Bastion";
const LAUNCH_TEMPLATE: &str = "BastionLaunchTemplate";

/// Size of its disk, in GiB: the smallest that the image fits on.
const VOLUME_GIB: u32 = 8;

/// Adds it, in a public subnet, with an address that stays. It has no role: who breaks in there can call no service.
pub(crate) fn add(template: &mut Template, aws: &Aws, bastion: &Bastion, zone: Zone) {
    let image = template.parameter_with_default(
        "BastionImage",
        "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>",
        &format!(
            "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{}",
            machine(&bastion.instance_type)
        ),
        "The newest Amazon Linux 2023.",
    );
    let name = physical(aws, "bastion");
    template.add(
        LAUNCH_TEMPLATE,
        Resource::new(
            "AWS::EC2::LaunchTemplate",
            json!({ "LaunchTemplateData": {
                "ImageId": image,
                "InstanceType": bastion.instance_type,
                "KeyName": bastion.key_pair,
                "EbsOptimized": true,
                "MetadataOptions": { "HttpTokens": "required", "HttpPutResponseHopLimit": 1 },
                "BlockDeviceMappings": [{
                    "DeviceName": "/dev/xvda",
                    "Ebs": { "VolumeType": "gp3", "VolumeSize": VOLUME_GIB, "Encrypted": true },
                }],
            }}),
        ),
    );
    template.add(
        INSTANCE,
        Resource::new(
            "AWS::EC2::Instance",
            json!({
                "LaunchTemplate": {
                    "LaunchTemplateId": reference(LAUNCH_TEMPLATE),
                    "Version": attribute(LAUNCH_TEMPLATE, "LatestVersionNumber"),
                },
                "SubnetId": reference(&zone.public_subnet()),
                "SecurityGroupIds": [reference(security_group::BASTION)],
                "PropagateTagsToVolumeOnCreation": true,
            }),
        )
        .tagged(&aws.tags, &name),
    );
    template.add(
        "BastionAddress",
        Resource::new("AWS::EC2::EIP", json!({ "Domain": "vpc", "InstanceId": reference(INSTANCE) }))
            .after(&[INTERNET_ROUTE])
            .tagged(&aws.tags, &name),
    );
    template.output("BastionAddress", "The address to log in at.", reference("BastionAddress"));
}

/// The processor of an instance type, as images name it: `arm64` for `t4g.nano`, where `g` follows the generation.
///
/// Source: Amazon EC2 Instance Types Guide, "Instance type naming conventions".
fn machine(instance_type: &str) -> &'static str {
    let family = instance_type.split('.').next().unwrap_or_default();
    let options = family
        .trim_start_matches(|c: char| !c.is_ascii_digit())
        .trim_start_matches(|c: char| c.is_ascii_digit());
    if family == "a1" || options.contains('g') { "arm64" } else { "x86_64" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_fits_the_processor() {
        for (instance_type, expected) in
            [("t3.nano", "x86_64"), ("t4g.nano", "arm64"), ("g4dn.xlarge", "x86_64"), ("a1.medium", "arm64")]
        {
            assert_eq!(machine(instance_type), expected, "{instance_type}");
        }
    }
}
