//! `watchbell import`: what it makes is good, what it leaves out is said, and nothing that was there is lost.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::process::{run, said, watchbell};
use crate::support::site::Site;

const TEMPLATE: &str = r#"
Parameters:
  Environment: {Type: String, AllowedValues: [dev, prod], Default: dev}
  Mail: {Type: String}
Conditions:
  IsProd: !Equals [!Ref Environment, prod]
Resources:
  AppLogs:
    Type: AWS::Logs::LogGroup
    Properties: {LogGroupName: !Sub '/shop/${Environment}', RetentionInDays: !If [IsProd, 365, 7]}
  Ops:
    Type: AWS::SNS::Topic
    Properties: {TopicName: !Sub '${AWS::StackName}-ops', Subscription: [{Protocol: email, Endpoint: !Ref Mail}]}
  Errors:
    Type: AWS::Logs::MetricFilter
    Properties:
      FilterName: errors
      LogGroupName: !Ref AppLogs
      FilterPattern: '{ $.level = "ERROR" }'
      MetricTransformations: [{MetricName: Errors, MetricNamespace: !Sub 'Shop/${Environment}', MetricValue: '1'}]
  ManyErrors:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmName: many-errors
      Namespace: !Sub Shop/${Environment}
      MetricName: Errors
      Statistic: Sum
      Period: 60
      EvaluationPeriods: 1
      Threshold: 2
      ComparisonOperator: GreaterThanThreshold
      AlarmActions: [!Ref Ops]
  Cpu:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmName: cpu
      Namespace: AWS/EC2
      MetricName: CPUUtilization
      Dimensions: [{Name: InstanceId, Value: !Ref Host}]
      Statistic: Average
      Period: 300
      EvaluationPeriods: 1
      Threshold: 90
      ComparisonOperator: GreaterThanThreshold
      AlarmActions: [!Sub 'arn:aws:automate:${AWS::Region}:ec2:reboot']
  Host: {Type: AWS::EC2::Instance}
"#;

const LOST_CPU: &str =
    "shop.yaml: alarm Cpu: not taken over: AWS/EC2 CPUUtilization is measured by AWS, not in log events";

/// A folder with the template, and without a file for Watchbell.
fn site() -> Site {
    let site = Site::new("");
    std::fs::remove_file(site.config()).unwrap();
    site.write("shop.yaml", TEMPLATE);
    site
}

fn read(site: &Site, name: &str) -> String {
    std::fs::read_to_string(site.path(name)).unwrap()
}

const GIVEN: [&str; 6] =
    ["import", "shop.yaml", "-p", "Environment=prod", "--parameter", "Mail=ops@example.com"];

#[test]
fn a_template_becomes_a_file_that_is_good_and_what_is_left_out_is_said_on_standard_error() {
    let site = site();
    let (code, stdout, stderr) = said(&run(&site, &GIVEN));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.starts_with("# Made by `watchbell import` from shop.yaml"), "{stdout}");
    assert!(
        stdout.contains("[log_groups.\"/shop/prod\"]") && stdout.contains("retention = \"365d\""),
        "{stdout}"
    );
    assert!(stdout.contains(&format!("# {LOST_CPU}\n")), "{stdout}");
    assert_eq!(
        stderr.lines().collect::<Vec<_>>(),
        [
            "shop.yaml: Resources: 1 resource of another kind is left out: AWS::EC2::Instance (1)",
            LOST_CPU,
            "note: shop.yaml: alarm ManyErrors, topic Ops: AWS::StackName is taken to be \"shop\": \
             --parameter AWS::StackName=VALUE says otherwise",
            "imported 1 log group, 1 metric filter, 1 alarm, 0 mute rules, 1 topic",
        ]
    );
    site.write("watchbell.toml", &stdout);
    let (code, stdout, stderr) = said(&run(&site, &["check"]));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("is good: 1 log group, 1 metric filter, 1 alarm, 1 topic"), "{stdout}");
}

#[test]
fn the_file_that_is_named_is_written_and_one_that_is_there_stays_unless_forced() {
    let site = site();
    let with = |more: &[&str]| run(&site, &[&GIVEN[..], more].concat());
    let (code, stdout, stderr) = said(&with(&["-o", "watchbell.toml"]));
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
    assert!(stderr.ends_with("1 alarm, 0 mute rules, 1 topic into watchbell.toml\n"), "{stderr}");
    let (_, printed, _) = said(&with(&["-o", "-"]));
    assert_eq!(read(&site, "watchbell.toml"), printed);

    site.write("watchbell.toml", "mine");
    let (code, _, stderr) = said(&with(&["-o", "watchbell.toml"]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("watchbell.toml is there already") && stderr.contains("--force"), "{stderr}");
    assert_eq!(read(&site, "watchbell.toml"), "mine");
    assert_eq!(with(&["-o", "watchbell.toml", "--force"]).status.code(), Some(0));
    assert_eq!(read(&site, "watchbell.toml"), printed);
}

#[test]
fn a_parameter_that_nothing_asks_for_is_said() {
    let (code, _, stderr) = said(&run(&site(), &[&GIVEN[..], &["-p", "Evironment=dev"]].concat()));
    assert_eq!(code, Some(0));
    let note = "note: --parameter Evironment: nothing in these files asks for it\n";
    assert!(stderr.contains(note), "{stderr}");
}

#[test]
fn what_the_aws_cli_describes_is_put_together_also_from_standard_input() {
    let site = site();
    let filters = json!({ "metricFilters": [{
        "filterName": "errors", "filterPattern": "?ERROR ?Error", "logGroupName": "shop", "creationTime": 1,
        "metricTransformations": [{ "metricName": "Errors", "metricNamespace": "Shop", "metricValue": "1" }],
    }] });
    let alarm = |name: &str, metric: &str| {
        json!({
            "AlarmName": name, "ActionsEnabled": true, "OKActions": [], "InsufficientDataActions": [],
            "AlarmActions": ["arn:aws:sns:eu-central-1:123456789012:ops"], "StateValue": "OK",
            "MetricName": metric, "Namespace": "Shop", "Statistic": "Sum", "Dimensions": [], "Period": 60,
            "EvaluationPeriods": 5, "DatapointsToAlarm": 3, "Threshold": 0.0,
            "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
        })
    };
    let composite = json!({ "AlarmName": "all", "AlarmRule": "ALARM(\"errors\")", "AlarmActions": [] });
    let alarms = json!({ "MetricAlarms": [alarm("errors", "Errors"), alarm("sold", "Sold")], "CompositeAlarms": [composite] });
    site.write("alarms.json", alarms.to_string());
    let mut command = watchbell(&site, &["import", "--format", "json", "-", "alarms.json"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(filters.to_string().as_bytes()).unwrap();
    let (code, stdout, stderr) = said(&child.wait_with_output().unwrap());
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let counts = json!({ "log_groups": 1, "metric_filters": 1, "alarms": 2, "mute_rules": 0, "topics": 1 });
    assert_eq!(report["imported"], counts);
    let lost = json!({
        "file": "alarms.json", "what": "alarm \"sold\"", "lost": true,
        "message": "not taken over: no metric filter in these files publishes Shop Sold",
    });
    assert!(report["remarks"].as_array().unwrap().contains(&lost), "{report:#}");
    site.write("watchbell.toml", report["text"].as_str().unwrap());
    assert_eq!(run(&site, &["check"]).status.code(), Some(0));
}

#[test]
fn what_is_made_can_be_rendered_for_aws() {
    let site = site();
    let (_, stdout, _) = said(&run(&site, &GIVEN));
    site.write("watchbell.toml", stdout + "[aws]\nname = \"shop\"\nregion = \"eu-central-1\"\n");
    let (code, stdout, stderr) = said(&run(&site, &["aws", "render", "--stack", "pipeline"]));
    assert_eq!(code, Some(0), "{stderr}");
    site.write("again.json", stdout);
    let stacks: Value = serde_json::from_str(&read(&site, "again.json")).unwrap();
    site.write("again.json", stacks["shop-pipeline"].to_string());
    let (code, _, stderr) = said(&run(&site, &["import", "again.json"]));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.ends_with("imported 1 log group, 1 metric filter, 1 alarm, 0 mute rules, 1 topic\n"),
        "{stderr}"
    );
}

#[test]
fn nothing_to_take_over_ends_with_1_and_writes_nothing() {
    let site = site();
    site.write("empty.yaml", "Resources: {}\n");
    let (code, stdout, stderr) = said(&run(&site, &["import", "empty.yaml", "-o", "watchbell.toml"]));
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert_eq!(stderr, "imported nothing: no metric filter and no alarm is taken over\n");
    assert!(!site.config().exists());
    let (code, stdout, _) = said(&run(&site, &["import", "empty.yaml", "--format", "json"]));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &report["imported"]["alarms"], report.get("text")), (Some(1), &json!(0), None));
}

#[test]
fn files_that_cannot_be_read_end_with_their_place_and_their_code() {
    let site = site();
    site.write("other.yaml", "a: 1\n");
    site.write("torn.yaml", "Resources:\n  A: [\n");
    site.write("torn.json", "{\n\"Resources\": {]\n");
    site.write("latin.yaml", b"Resources: {} # \xe4\n");
    for (name, code, place) in [
        ("missing.yaml", 74, "missing.yaml: "),
        ("other.yaml", 78, "other.yaml: neither a CloudFormation template nor what the AWS CLI describes"),
        ("torn.yaml", 78, "torn.yaml:3: "),
        ("torn.json", 78, "torn.json:2: "),
        ("latin.yaml", 78, "latin.yaml: byte 16 is not UTF-8"),
    ] {
        let (found, stdout, stderr) = said(&run(&site, &["import", "shop.yaml", name]));
        assert_eq!((found, stdout.as_str()), (Some(code), ""), "{stderr}");
        assert!(stderr.contains(place), "{stderr}");
    }
    assert_eq!(run(&site, &["import"]).status.code(), Some(2));
    assert_eq!(run(&site, &["import", "shop.yaml", "-p", "x"]).status.code(), Some(2));
}
