//! Records of the connections that the network accepted and refused.

use serde_json::json;
use watchbell_model::Aws;

use crate::name::physical;
use crate::network::VPC;
use crate::output::KEY_ARN;
use crate::policy::{self, Statement};
use crate::template::{Resource, Template, arn, attribute, reference};

const LOG_GROUP: &str = "FlowLogGroup";
const ROLE: &str = "FlowLogRole";

/// Adds them, in a log group of their own that keeps them for `days`.
pub(crate) fn add(template: &mut Template, aws: &Aws, days: u32) {
    let key = template.parameter(KEY_ARN, "String", "The key that everything is encrypted with.");
    let name = physical(aws, "flow-logs");
    template.add(
        LOG_GROUP,
        Resource::new(
            "AWS::Logs::LogGroup",
            json!({ "LogGroupName": name, "RetentionInDays": days, "KmsKeyId": key }),
        )
        .tagged(&aws.tags, &name),
    );
    let group = format!("log-group:{name}");
    let write = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"];
    let statements = vec![
        Statement::allow("Write", &write, vec![arn("logs", &group), arn("logs", &format!("{group}:*"))]),
        // The service looks for its group by listing them.
        Statement::allow("Find", &["logs:DescribeLogGroups"], vec![arn("logs", "log-group:*")]),
    ];
    let role = policy::role_for_this_account("Writes flow logs.", "vpc-flow-logs", statements);
    template.add(ROLE, role.tagged(&aws.tags, &name));
    template.add(
        "FlowLog",
        Resource::new(
            "AWS::EC2::FlowLog",
            json!({
                "ResourceType": "VPC",
                "ResourceId": reference(VPC),
                "TrafficType": "ALL",
                "LogDestinationType": "cloud-watch-logs",
                "LogGroupName": reference(LOG_GROUP),
                "DeliverLogsPermissionArn": attribute(ROLE, "Arn"),
            }),
        )
        .tagged(&aws.tags, &name),
    );
}
