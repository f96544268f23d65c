//! What a new instance is made from.

use serde_json::{Value, json};

use crate::name::logical_id;
use crate::output::INSTANCE_GROUP_ID;
use crate::stack::Input;
use crate::template::{Resource, Template, attribute};

use super::maintenance::PATCH_GROUP_TAG;
use super::{FLEET_TAG, Place, instance_role, user_data};

/// Where Systems Manager has the id of the newest image of Amazon Linux 2023.
///
/// Source: Amazon Linux 2023 User Guide, "Launching AL2023 using the SSM parameter".
const IMAGE_PARAMETER: &str = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";

/// The root disk of Amazon Linux.
const ROOT_DEVICE: &str = "/dev/xvda";

/// The id of a fleet's launch template.
pub(super) fn id(place: Place<'_>) -> String {
    logical_id("LaunchTemplate", place.name)
}

pub(super) fn add(template: &mut Template, input: Input<'_>, place: Place<'_>) {
    let security_group = template.parameter(
        INSTANCE_GROUP_ID,
        "AWS::EC2::SecurityGroup::Id",
        "The security group of instances",
    );
    let image = match &place.own.image {
        Some(image) => json!(image),
        None => template.parameter_with_default(
            "ImageId",
            "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>",
            IMAGE_PARAMETER,
            "The newest Amazon Linux 2023 at the time of a deployment",
        ),
    };
    let tags: Vec<Value> = tags(place).map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    let mut data = json!({
        "ImageId": image,
        "InstanceType": place.own.instance_type,
        "IamInstanceProfile": { "Arn": attribute(&instance_role::profile_id(place), "Arn") },
        // Version 2 only, and not through a router or a container on the instance.
        "MetadataOptions": {
            "HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1,
        },
        // Encrypted with the account's key for volumes: ours would need a grant to the service role of Auto Scaling.
        "BlockDeviceMappings": [{ "DeviceName": ROOT_DEVICE, "Ebs": {
            "VolumeType": "gp3", "VolumeSize": place.own.volume_gib, "Encrypted": true,
            "DeleteOnTermination": true,
        } }],
        "NetworkInterfaces": [{
            "DeviceIndex": 0, "AssociatePublicIpAddress": false, "DeleteOnTermination": true,
            "Groups": [security_group],
        }],
        // Processor time once a minute, which scaling follows.
        "Monitoring": { "Enabled": true },
        "TagSpecifications": [
            { "ResourceType": "instance", "Tags": tags },
            { "ResourceType": "volume", "Tags": tags },
        ],
        "UserData": { "Fn::Base64": user_data::script(input, place) },
    });
    if let Some(bastion) = &input.aws.network.bastion {
        data["KeyName"] = json!(bastion.key_pair);
    }
    let properties = json!({ "LaunchTemplateData": data });
    template.add(id(place), Resource::new("AWS::EC2::LaunchTemplate", properties));
}

/// The tags of a fleet's instances: those of the plan, a name, and ours.
pub(super) fn tags(place: Place<'_>) -> impl Iterator<Item = (String, String)> {
    let mut tags = place.aws.tags.clone();
    tags.entry("Name".to_owned()).or_insert_with(|| place.full_name());
    tags.insert(FLEET_TAG.to_owned(), place.full_name());
    tags.insert(PATCH_GROUP_TAG.to_owned(), place.aws.name.clone());
    tags.into_iter()
}
