//! Buckets: of the archive, of the trail, and of the logs that S3 and load balancers write about who asked them what.
//!
//! Promise: nobody outside the account reads one, nothing is read or written without TLS, and what is overwritten or
//! removed stays for [`NONCURRENT_DAYS`].

use serde_json::{Value, json};
use watchbell_model::{Archive, Aws, Lifecycle, Tier};

use crate::key;
use crate::name::physical;
use crate::output::{ACCESS_LOGS_BUCKET, ARCHIVE_BUCKET};
use crate::policy::{self, Statement, for_this_account, service};
use crate::template::{Resource, Template, reference, sub};

/// How long a version that is no longer the newest is kept, in days.
const NONCURRENT_DAYS: u32 = 30;

/// How long the parts of an upload that never ended are kept, in days.
const UPLOAD_DAYS: u32 = 7;

/// How long logs of access are kept, in days.
const ACCESS_LOGS_DAYS: u32 = 90;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A bucket, by the word in its name and in its id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bucket {
    Archive,
    /// Not encrypted with our key: load balancers can only write with S3's own.
    ///
    /// Source: Elastic Load Balancing, Application Load Balancers, "Enable access logs", bucket requirements.
    AccessLogs,
    Trail,
}

impl Bucket {
    pub(crate) fn id(self) -> &'static str {
        match self {
            Bucket::Archive => "ArchiveBucket",
            Bucket::AccessLogs => "AccessLogsBucket",
            Bucket::Trail => "TrailBucket",
        }
    }

    /// The id of its policy.
    pub(crate) fn policy_id(self) -> String {
        format!("{}Policy", self.id())
    }

    /// At most 63 characters with a name of 24, an account of 12 digits and the longest region.
    fn name(self, aws: &Aws) -> String {
        let word = match self {
            Bucket::Archive => "archive",
            Bucket::AccessLogs => "access",
            Bucket::Trail => "trail",
        };
        format!("{}-${{AWS::AccountId}}-${{AWS::Region}}", physical(aws, word))
    }

    /// The ARN of the bucket, or of objects in it: `arn(aws, "/*")`. It refers to no resource, so that buckets can name each
    /// other.
    pub(crate) fn arn(self, aws: &Aws, objects: &str) -> Value {
        sub(format!("arn:${{AWS::Partition}}:s3:::{}{objects}", self.name(aws)))
    }

    /// What its logs of access begin with, in the bucket for them.
    fn log_prefix(self) -> String {
        format!("s3/{}/", self.id())
    }
}

/// Adds the archive's bucket.
pub(crate) fn add_archive(template: &mut Template, aws: &Aws, archive: &Archive) {
    add(template, aws, Bucket::Archive, ages(&archive.lifecycle), vec![]);
    template.output(ARCHIVE_BUCKET, "The bucket of the archive.", reference(Bucket::Archive.id()));
}

/// Adds the bucket that S3 and load balancers write their logs of access into.
pub(crate) fn add_access_logs(template: &mut Template, aws: &Aws) {
    let bucket = Bucket::AccessLogs;
    let logged = json!({ "aws:SourceArn": [Bucket::Archive.arn(aws, ""), Bucket::Trail.arn(aws, "")] });
    let mut from_buckets = for_this_account();
    from_buckets["ArnLike"] = logged;
    let statements = vec![
        Statement::allow("Buckets", &["s3:PutObject"], vec![bucket.arn(aws, "/s3/*")])
            .to(service("logging.s3"))
            .only_if(from_buckets),
        // The service writes below the account of the load balancer, whatever prefix that one has.
        Statement::allow(
            "LoadBalancers",
            &["s3:PutObject"],
            vec![
                bucket.arn(aws, "/AWSLogs/${AWS::AccountId}/*"),
                bucket.arn(aws, "/*/AWSLogs/${AWS::AccountId}/*"),
            ],
        )
        .to(service("logdelivery.elasticloadbalancing")),
    ];
    let expiry = json!({ "Id": "age", "Status": "Enabled", "ExpirationInDays": ACCESS_LOGS_DAYS });
    add(template, aws, bucket, vec![expiry], statements);
    template.output(ACCESS_LOGS_BUCKET, "The bucket of logs of access.", reference(bucket.id()));
}

/// Adds a bucket and its policy.
pub(crate) fn add(
    template: &mut Template,
    aws: &Aws,
    bucket: Bucket,
    mut lifecycle: Vec<Value>,
    mut statements: Vec<Statement>,
) {
    lifecycle.push(json!({
        "Id": "leftovers",
        "Status": "Enabled",
        "NoncurrentVersionExpiration": { "NoncurrentDays": NONCURRENT_DAYS },
        "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": UPLOAD_DAYS },
        "ExpiredObjectDeleteMarker": true,
    }));
    let is_logged = bucket != Bucket::AccessLogs;
    let encryption = if is_logged {
        let with_our_key = json!({ "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key::key_arn() });
        // CloudTrail, which has no more than it needs of the key, cannot write with a key of the bucket.
        let has_own_key = bucket != Bucket::Trail;
        json!({ "BucketKeyEnabled": has_own_key, "ServerSideEncryptionByDefault": with_our_key })
    } else {
        json!({ "ServerSideEncryptionByDefault": { "SSEAlgorithm": "AES256" } })
    };
    let logging = is_logged.then(|| {
        json!({
            "DestinationBucketName": reference(Bucket::AccessLogs.id()),
            "LogFilePrefix": bucket.log_prefix(),
        })
    });
    let properties = json!({
        "BucketName": sub(bucket.name(aws)),
        "BucketEncryption": { "ServerSideEncryptionConfiguration": [encryption] },
        "VersioningConfiguration": { "Status": "Enabled" },
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": true,
            "BlockPublicPolicy": true,
            "IgnorePublicAcls": true,
            "RestrictPublicBuckets": true,
        },
        "OwnershipControls": { "Rules": [{ "ObjectOwnership": "BucketOwnerEnforced" }] },
        "LifecycleConfiguration": {
            "Rules": lifecycle,
            // Small objects become cold like all others; the default leaves those below 128 KiB where they are.
            "TransitionDefaultMinimumObjectSize": "varies_by_storage_class",
        },
        "LoggingConfiguration": logging,
    });
    let mut resource = Resource::new("AWS::S3::Bucket", properties)
        .tagged(&aws.tags, &physical(aws, bucket.id()))
        .retained();
    if bucket == Bucket::Trail {
        // The trail has written into it before its stack is whole: what is not empty cannot be removed again.
        resource = resource.with("DeletionPolicy", json!("Retain"));
    }
    if is_logged {
        resource = resource.after(&[&Bucket::AccessLogs.policy_id()]);
    }
    template.add(bucket.id(), resource);

    statements.push(
        Statement::allow("OnlyTls", &["s3:*"], vec![bucket.arn(aws, ""), bucket.arn(aws, "/*")])
            .denied()
            .to(json!({ "AWS": "*" }))
            .only_if(json!({ "Bool": { "aws:SecureTransport": "false" } })),
    );
    template.add(
        bucket.policy_id(),
        Resource::new(
            "AWS::S3::BucketPolicy",
            json!({ "Bucket": reference(bucket.id()), "PolicyDocument": policy::document(statements) }),
        )
        .retained(),
    );
}

/// The rule for what becomes of objects as they age; none if nothing does.
///
/// S3 counts days, so that an age is rounded up: nothing goes too early.
fn ages(lifecycle: &[Lifecycle]) -> Vec<Value> {
    let mut rule = json!({ "Id": "age", "Status": "Enabled" });
    let mut transitions = Vec::new();
    for step in lifecycle {
        let days = (step.after_ms.saturating_add(DAY_MS - 1) / DAY_MS).max(1);
        let mut transition =
            |class: &str| transitions.push(json!({ "StorageClass": class, "TransitionInDays": days }));
        match step.to {
            Tier::InfrequentAccess => transition("STANDARD_IA"),
            Tier::Cold => transition("GLACIER"),
            Tier::Deep => transition("DEEP_ARCHIVE"),
            Tier::Expire => rule["ExpirationInDays"] = json!(days),
        }
    }
    if !transitions.is_empty() {
        rule["Transitions"] = json!(transitions);
    }
    if lifecycle.is_empty() { vec![] } else { vec![rule] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_age_in_whole_days_and_never_too_early() {
        let after = |after_ms, to| Lifecycle { after_ms, to };
        assert_eq!(ages(&[]), Vec::<Value>::new());
        assert_eq!(
            ages(&[
                after(30 * DAY_MS, Tier::InfrequentAccess),
                after(90 * DAY_MS + 1, Tier::Cold),
                after(180 * DAY_MS, Tier::Deep),
                after(365 * DAY_MS, Tier::Expire),
            ]),
            [json!({
                "Id": "age",
                "Status": "Enabled",
                "Transitions": [
                    { "StorageClass": "STANDARD_IA", "TransitionInDays": 30 },
                    { "StorageClass": "GLACIER", "TransitionInDays": 91 },
                    { "StorageClass": "DEEP_ARCHIVE", "TransitionInDays": 180 },
                ],
                "ExpirationInDays": 365,
            })]
        );
        assert_eq!(
            ages(&[after(1, Tier::Expire)]),
            [json!({ "Id": "age", "Status": "Enabled", "ExpirationInDays": 1 })]
        );
    }
}
