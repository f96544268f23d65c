//! Stacks planned, deployed, changed and destroyed.

use serde_json::{Value, json};
use watchbell::aws::{Action, AwsError, Outcome, Property, StackPlan, Standing, Step};
use watchbell_aws::Part;

use crate::emulator::{Client, REGION, emulator, wanted};

/// A bucket that stays.
fn data() -> Value {
    json!({
        "Resources": { "Archive": { "Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain" } },
        "Outputs": { "ArchiveBucket": { "Value": { "Ref": "Archive" } } },
    })
}

/// A topic that tells a queue, and an alarm that tells the topic.
fn pipeline(threshold: u32) -> Value {
    let queue_arn = json!({ "Fn::GetAtt": ["Queue", "Arn"] });
    json!({
        "Parameters": { "ArchiveBucket": { "Type": "String" } },
        "Resources": {
            "Topic": { "Type": "AWS::SNS::Topic" },
            "Queue": { "Type": "AWS::SQS::Queue" },
            "Subscription": { "Type": "AWS::SNS::Subscription", "Properties": {
                "TopicArn": { "Ref": "Topic" }, "Protocol": "sqs", "Endpoint": queue_arn,
            }},
            "Alarm": { "Type": "AWS::CloudWatch::Alarm", "Properties": {
                "AlarmDescription": { "Fn::Sub": "kept in ${ArchiveBucket}" },
                "Namespace": "Shop", "MetricName": "Errors", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1,
                "ComparisonOperator": "GreaterThanThreshold", "Threshold": threshold, "AlarmActions": [{ "Ref": "Topic" }],
            }},
        },
        "Outputs": { "QueueUrl": { "Value": { "Ref": "Queue" } }, "AlarmName": { "Value": { "Ref": "Alarm" } } },
    })
}

/// What a plan would do with each stack.
fn steps(plans: &[StackPlan]) -> Vec<(&str, Step)> {
    plans.iter().map(|plan| (plan.stack.as_str(), plan.step)).collect()
}

#[test]
fn stacks_are_made_changed_and_taken_down() {
    let emulator = emulator();
    let client = Client::open(&emulator.aws("life"));
    let account = &client.account;
    let stacks =
        |threshold| [wanted("life", Part::Data, data()), wanted("life", Part::Pipeline, pipeline(threshold))];

    // Nothing is there: the pipeline needs a value that only the deployed data stack gives.
    let plans = client.run(account.plan(&stacks(5))).unwrap();
    assert_eq!(steps(&plans), [("life-data", Step::Create), ("life-pipeline", Step::Create)]);
    assert_eq!(plans[1].unknown, ["ArchiveBucket"]);
    assert!(plans[1].changes.iter().all(|change| change.action == Action::Add), "{plans:?}");
    assert_eq!(client.run(account.stack("life-data")), Ok(None), "planning leaves nothing behind");

    // It is made.
    let mut told = Vec::new();
    let tell = &mut |event: &watchbell::aws::Event| told.push(format!("{} {}", event.resource, event.status));
    let deployed = client.run(account.deploy(&stacks(5), &plans, tell)).unwrap();
    assert!(deployed.iter().all(|stack| stack.outcome == Outcome::Created), "{deployed:?}");
    assert!(told.contains(&"Alarm CREATE_COMPLETE".to_owned()), "{told:?}");
    let bucket = deployed[0].outputs["ArchiveBucket"].clone();
    let alarm = json!({ "AlarmNames": [deployed[1].outputs["AlarmName"]] });
    let threshold = || emulator.ask("cloudwatch", "describe_alarms", &alarm)["MetricAlarms"][0].clone();
    assert_eq!(threshold()["Threshold"], 5.0);
    assert_eq!(
        threshold()["AlarmDescription"],
        format!("kept in {bucket}"),
        "the value came from the data stack"
    );
    assert!(client.run(account.stack("life-data")).unwrap().unwrap().protected);
    assert!(!client.run(account.stack("life-pipeline")).unwrap().unwrap().protected);

    // Once more: nothing to do.
    let plans = client.run(account.plan(&stacks(5))).unwrap();
    assert_eq!(steps(&plans), [("life-data", Step::Nothing), ("life-pipeline", Step::Nothing)]);
    let deployed = client.run(account.deploy(&stacks(5), &plans, &mut |_| ())).unwrap();
    assert!(deployed.iter().all(|stack| stack.outcome == Outcome::Unchanged), "{deployed:?}");

    // An edit is shown by its property, and made.
    let plans = client.run(account.plan(&stacks(10))).unwrap();
    assert_eq!(steps(&plans), [("life-data", Step::Nothing), ("life-pipeline", Step::Update)]);
    let changes = &plans[1].changes;
    // AWS says that it stays; the emulator knows of no property whether it does.
    let action = Action::MayReplace;
    assert_eq!((changes.len(), changes[0].resource.as_str(), changes[0].action), (1, "Alarm", action));
    let property = |path: &str, before: &str, after: &str| Property {
        path: path.to_owned(),
        before: Some(before.to_owned()),
        after: Some(after.to_owned()),
        because_of: None,
    };
    assert_eq!(changes[0].properties, [property("Threshold", "5", "10")]);
    assert_eq!(threshold()["Threshold"], 5.0, "planning changes nothing");
    let deployed = client.run(account.deploy(&stacks(10), &plans, &mut |_| ())).unwrap();
    let outcomes: Vec<Outcome> = deployed.iter().map(|stack| stack.outcome).collect();
    assert_eq!(outcomes, [Outcome::Unchanged, Outcome::Updated]);
    assert_eq!(threshold()["Threshold"], 10.0);

    // The alarm tells the topic, which tells the queue.
    let datum = json!({ "Namespace": "Shop", "MetricData": [{ "MetricName": "Errors", "Value": 11.0 }] });
    emulator.ask("cloudwatch", "put_metric_data", &datum);
    let wait = json!({ "QueueUrl": deployed[1].outputs["QueueUrl"], "WaitTimeSeconds": 20 });
    let told = (0..6).find_map(|_| {
        let answer = emulator.ask("sqs", "receive_message", &wait);
        answer["Messages"][0]["Body"].as_str().map(str::to_owned)
    });
    let body: Value = serde_json::from_str(&told.expect("a message within two minutes")).unwrap();
    let alarm: Value = serde_json::from_str(body["Message"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&alarm["NewStateValue"], &alarm["AlarmName"]),
        (&json!("ALARM"), &json!(deployed[1].outputs["AlarmName"]))
    );

    // Destroying keeps the data, and what the data stack retains even without it.
    let going = client.run(account.destroyable(false)).unwrap();
    assert_eq!(going.iter().map(|stack| stack.stack.as_str()).collect::<Vec<_>>(), ["life-pipeline"]);
    client.run(account.destroy(&going, &mut |_| ())).unwrap();
    assert_eq!(client.run(account.stack("life-pipeline")), Ok(None));
    assert!(client.run(account.stack("life-data")).unwrap().is_some());
    let going = client.run(account.destroyable(true)).unwrap();
    assert_eq!((going.len(), going[0].kept[0].name.as_str()), (1, bucket.as_str()));
    client.run(account.destroy(&going, &mut |_| ())).unwrap();
    assert_eq!(client.run(account.stack("life-data")), Ok(None));
    emulator.ask("s3", "head_bucket", &json!({ "Bucket": bucket }));
}

#[test]
fn a_stack_of_somebody_else_is_not_touched() {
    let emulator = emulator();
    let template = data().to_string();
    let foreign = json!({ "StackName": "foreign-data", "TemplateBody": template });
    emulator.ask("cloudformation", "create_stack", &foreign);
    let client = Client::open(&emulator.aws("foreign"));
    let error = AwsError::Foreign { stack: "foreign-data".to_owned() };
    let stacks = [wanted("foreign", Part::Data, data())];
    assert_eq!(client.run(client.account.plan(&stacks)), Err(error.clone()));
    assert_eq!(client.run(client.account.deploy(&stacks, &[], &mut |_| ())), Err(error.clone()));
    assert_eq!(client.run(client.account.destroyable(true)), Err(error));
}

#[test]
fn a_failure_has_its_reason_and_the_next_deployment_starts_anew() {
    let emulator = emulator();
    let client = Client::open(&emulator.aws("broken"));
    let account = &client.account;
    let stacks = |properties: Value| {
        let alarm =
            json!({ "Type": "AWS::CloudWatch::Alarm", "DependsOn": "Queue", "Properties": properties });
        let resources = json!({ "Queue": { "Type": "AWS::SQS::Queue" }, "Alarm": alarm });
        [wanted("broken", Part::Pipeline, json!({ "Resources": resources }))]
    };
    let bad = stacks(json!({ "Threshold": 5 }));
    let plans = client.run(account.plan(&bad)).unwrap();
    let error = client.run(account.deploy(&bad, &plans, &mut |_| ())).unwrap_err();
    let AwsError::Failed { stack, status, resource, reason } = error else { panic!("{error:?}") };
    assert_eq!((stack.as_str(), status.as_str()), ("broken-pipeline", "ROLLBACK_COMPLETE"));
    assert_eq!(resource, "Alarm (AWS::CloudWatch::Alarm)");
    assert!(reason.contains("MetricName and Namespace are required"), "{reason}");
    let there = client.run(account.stack("broken-pipeline")).unwrap().unwrap();
    assert_eq!(there.standing(), Standing::RolledBack);

    let good = stacks(json!({
        "Namespace": "N", "MetricName": "M", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold", "Threshold": 5,
    }));
    let plans = client.run(account.plan(&good)).unwrap();
    assert_eq!(steps(&plans), [("broken-pipeline", Step::Recreate)]);
    let deployed = client.run(account.deploy(&good, &plans, &mut |_| ())).unwrap();
    assert_eq!(deployed[0].outcome, Outcome::Created);
}

/// AWS takes a bucket in that a stack left under a name of its own; this emulator refuses the change set, and gives the
/// reason where AWS gives it, too.
#[test]
fn what_a_validation_found_is_said() {
    let client = Client::open(&emulator().aws("again"));
    let account = &client.account;
    let properties = json!({ "BucketName": "again-archive" });
    let archive = json!({ "Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain", "Properties": properties });
    let stacks = [wanted("again", Part::Pipeline, json!({ "Resources": { "Archive": archive } }))];
    client.run(account.deploy(&stacks, &[], &mut |_| ())).unwrap();
    let going = client.run(account.destroyable(false)).unwrap();
    client.run(account.destroy(&going, &mut |_| ())).unwrap();
    let error = client.run(account.deploy(&stacks, &[], &mut |_| ())).unwrap_err();
    let AwsError::Failed { reason, .. } = error else { panic!("{error:?}") };
    assert!(reason.starts_with("Archive: ") && !reason.contains("DescribeEvents"), "{reason}");
}

#[test]
fn what_was_not_shown_is_not_removed() {
    let emulator = emulator();
    let client = Client::open(&emulator.aws("careful"));
    let account = &client.account;
    let with = |ids: &[&str]| {
        let resources: Value =
            ids.iter().map(|id| ((*id).to_owned(), json!({ "Type": "AWS::SQS::Queue" }))).collect();
        [wanted("careful", Part::Pipeline, json!({ "Resources": resources }))]
    };
    client.run(account.deploy(&with(&["A", "B"]), &[], &mut |_| ())).unwrap();
    let shown = client.run(account.plan(&with(&["A", "B", "C"]))).unwrap();
    let error = client.run(account.deploy(&with(&["A"]), &shown, &mut |_| ())).unwrap_err();
    let stack = "careful-pipeline".to_owned();
    assert_eq!(error, AwsError::MoreThanShown { stack: stack.clone(), resources: vec!["B".to_owned()] });
    let shown = client.run(account.plan(&with(&["A"]))).unwrap();
    assert_eq!(
        client.run(account.deploy(&with(&["A"]), &shown, &mut |_| ())).unwrap()[0].outcome,
        Outcome::Updated
    );
    // A part that the plan does not have any more goes.
    let plans = client.run(account.plan(&[])).unwrap();
    assert_eq!(steps(&plans), [(stack.as_str(), Step::Delete)]);
    client.run(account.deploy(&[], &plans, &mut |_| ())).unwrap();
    assert_eq!(client.run(account.stack(&stack)), Ok(None));
}

#[test]
fn a_large_template_goes_through_the_bucket_of_artifacts() {
    let emulator = emulator();
    let mut aws = emulator.aws("large");
    let text = "x".repeat(60_000);
    let template =
        json!({ "Metadata": { "Text": text }, "Resources": { "Queue": { "Type": "AWS::SQS::Queue" } } });
    let stacks = [wanted("large", Part::Pipeline, template)];
    let client = Client::open(&aws);
    let error = client.run(client.account.plan(&stacks)).unwrap_err();
    assert!(matches!(error, AwsError::NoBucket { bytes: 60_001.., .. }), "{error:?}");

    let place =
        json!({ "Bucket": "large-artifacts", "CreateBucketConfiguration": { "LocationConstraint": REGION } });
    emulator.ask("s3", "create_bucket", &place);
    aws.artifacts = Some(watchbell_model::Artifacts {
        bucket: "large-artifacts".to_owned(),
        prefix: "shop/".to_owned(),
        watchbell_sha256: "0".repeat(64),
    });
    let client = Client::open(&aws);
    let plans = client.run(client.account.plan(&stacks)).unwrap();
    let deployed = client.run(client.account.deploy(&stacks, &plans, &mut |_| ())).unwrap();
    assert_eq!(deployed[0].outcome, Outcome::Created);
    let objects = emulator.ask("s3", "list_objects_v2", &json!({ "Bucket": "large-artifacts" }));
    let keys: Vec<&str> = objects["Contents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object["Key"].as_str().unwrap())
        .collect();
    assert_eq!(keys.len(), 1, "one object for one content: {keys:?}");
    assert!(keys[0].starts_with("shop/templates/large-pipeline-"), "{keys:?}");
}

#[test]
fn drift_is_found() {
    let emulator = emulator();
    let client = Client::open(&emulator.aws("drifting"));
    let account = &client.account;
    let queue = json!({ "Type": "AWS::SQS::Queue", "Properties": { "VisibilityTimeout": 30 } });
    let template =
        json!({ "Resources": { "Queue": queue }, "Outputs": { "Url": { "Value": { "Ref": "Queue" } } } });
    let stacks = [wanted("drifting", Part::Pipeline, template)];
    let deployed = client.run(account.deploy(&stacks, &[], &mut |_| ())).unwrap();
    let drift = client.run(account.drift("drifting-pipeline")).unwrap();
    assert_eq!((drift.status.as_str(), drift.resources.len()), ("IN_SYNC", 0));
    let changed =
        json!({ "QueueUrl": deployed[0].outputs["Url"], "Attributes": { "VisibilityTimeout": "60" } });
    emulator.ask("sqs", "set_queue_attributes", &changed);
    let drift = client.run(account.drift("drifting-pipeline")).unwrap();
    assert_eq!(drift.status, "DRIFTED");
    assert_eq!(
        (drift.resources[0].resource.as_str(), drift.resources[0].status.as_str()),
        ("Queue", "MODIFIED")
    );
}
