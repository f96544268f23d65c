//! Outputs of stacks that other stacks take as parameters, by name.

/// Of data: the ARN of the key that everything is encrypted with.
pub(crate) const KEY_ARN: &str = "KeyArn";
/// Of data: the bucket of the archive.
pub(crate) const ARCHIVE_BUCKET: &str = "ArchiveBucket";
/// Of data: the bucket that load balancers write what they were asked into.
pub(crate) const ACCESS_LOGS_BUCKET: &str = "AccessLogsBucket";
/// Of data: the log group that the trail is delivered to.
pub(crate) const TRAIL_LOG_GROUP: &str = "TrailLogGroup";
/// Of network: the virtual private cloud.
pub(crate) const VPC_ID: &str = "VpcId";
/// Of network: the subnets of load balancers, separated by commas.
pub(crate) const PUBLIC_SUBNET_IDS: &str = "PublicSubnetIds";
/// Of network: the subnets of instances, separated by commas.
pub(crate) const PRIVATE_SUBNET_IDS: &str = "PrivateSubnetIds";
/// Of network: the security group of load balancers.
pub(crate) const LOAD_BALANCER_GROUP_ID: &str = "LoadBalancerSecurityGroupId";
/// Of network: the security group of instances.
pub(crate) const INSTANCE_GROUP_ID: &str = "InstanceSecurityGroupId";
