//! What was done in the account, and by whom: IAM changes, starts and ends of instances, reads of secrets, and who
//! touched an object of the archive.
//!
//! Promise: its files are signed one after the other, so that a missing or changed one shows
//! (`aws cloudtrail validate-logs`). They are kept for ever.
//! Not here: filters and alarms on it.

use serde_json::{Value, json};
use watchbell_model::Aws;

use crate::bucket::{self, Bucket};
use crate::key;
use crate::name::physical;
use crate::output::TRAIL_LOG_GROUP;
use crate::policy::{self, Statement, service};
use crate::template::{Resource, Template, arn, attribute, reference};

const LOG_GROUP: &str = "TrailLogGroup";
const ROLE: &str = "TrailRole";

/// The ARN of the trail, which its key, bucket and role name before there is one.
pub(crate) fn trail_arn(aws: &Aws) -> Value {
    arn("cloudtrail", &format!("trail/{}", physical(aws, "trail")))
}

/// Adds it, its bucket and its log group.
pub(crate) fn add(template: &mut Template, aws: &Aws, with_archive: bool) {
    bucket::add(template, aws, Bucket::Trail, vec![], bucket_statements(aws));
    log_group(template, aws);
    let name = physical(aws, "trail");
    let properties = json!({
        "TrailName": name,
        "IsLogging": true,
        "IsMultiRegionTrail": true,
        "IncludeGlobalServiceEvents": true, // IAM's
        "EnableLogFileValidation": true,
        "KMSKeyId": key::key_arn(),
        "S3BucketName": reference(Bucket::Trail.id()),
        "CloudWatchLogsLogGroupArn": attribute(LOG_GROUP, "Arn"),
        "CloudWatchLogsRoleArn": attribute(ROLE, "Arn"),
        "AdvancedEventSelectors": selectors(aws, with_archive),
    });
    template.add(
        "Trail",
        Resource::new("AWS::CloudTrail::Trail", properties)
            .after(&[&Bucket::Trail.policy_id()])
            .tagged(&aws.tags, &name)
            .retained(),
    );
}

fn selectors(aws: &Aws, with_archive: bool) -> Vec<Value> {
    let mut selectors = vec![json!({
        "Name": "Calls that manage the account",
        "FieldSelectors": [{ "Field": "eventCategory", "Equals": ["Management"] }],
    })];
    if with_archive {
        selectors.push(json!({
            "Name": "Objects of the archive",
            "FieldSelectors": [
                { "Field": "eventCategory", "Equals": ["Data"] },
                { "Field": "resources.type", "Equals": ["AWS::S3::Object"] },
                { "Field": "resources.ARN", "StartsWith": [Bucket::Archive.arn(aws, "/")] },
            ],
        }));
    }
    selectors
}

/// Source: AWS CloudTrail User Guide, "Amazon S3 bucket policy for CloudTrail".
fn bucket_statements(aws: &Aws) -> Vec<Statement> {
    let bucket = Bucket::Trail;
    let of_the_trail = json!({ "StringEquals": { "aws:SourceArn": trail_arn(aws) } });
    let mut owned = of_the_trail.clone();
    owned["StringEquals"]["s3:x-amz-acl"] = json!("bucket-owner-full-control");
    vec![
        Statement::allow("TrailLooks", &["s3:GetBucketAcl"], vec![bucket.arn(aws, "")])
            .to(service("cloudtrail"))
            .only_if(of_the_trail),
        Statement::allow(
            "TrailWrites",
            &["s3:PutObject"],
            vec![bucket.arn(aws, "/AWSLogs/${AWS::AccountId}/*")],
        )
        .to(service("cloudtrail"))
        .only_if(owned),
    ]
}

fn log_group(template: &mut Template, aws: &Aws) {
    let name = physical(aws, "trail");
    let properties = json!({
        "LogGroupName": name,
        "RetentionInDays": aws.trail.retention_days,
        "KmsKeyId": key::key_arn(),
    });
    template
        .add(LOG_GROUP, Resource::new("AWS::Logs::LogGroup", properties).tagged(&aws.tags, &name).retained());
    // CloudTrail names its streams so.
    // Source: AWS CloudTrail User Guide, "Role policy document for CloudTrail to use CloudWatch Logs".
    let streams =
        arn("logs", &format!("log-group:{name}:log-stream:${{AWS::AccountId}}_CloudTrail_${{AWS::Region}}*"));
    let write = Statement::allow("Write", &["logs:CreateLogStream", "logs:PutLogEvents"], vec![streams]);
    let role = policy::role("Delivers the trail to its log group.", "cloudtrail", vec![write]);
    template.add(ROLE, role.tagged(&aws.tags, &name).retained());
    template.output(TRAIL_LOG_GROUP, "The log group of the trail.", reference(LOG_GROUP));
}
