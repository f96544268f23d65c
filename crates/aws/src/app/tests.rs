//! Whole stacks of made-up plans.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use watchbell_model::{Plan, ScaleOn};

use super::*;
use crate::finding::Gravity;
use crate::policy::EXCEPTIONS;

const SETUP: &str = "#!/bin/bash\necho \"{{ $WATCHBELL_FLEET }}\"\n";
const SWEEP: &str = "#!/usr/bin/python3\nprint('{{ 1 }}')\n";

/// A shop with one fleet and every kind of maintenance.
fn plan() -> Plan {
    let group = json!({
        "files": ["/var/log/shop/*.log"], "app": "shop", "parse": "plain", "timestamp": "line",
        "lateness_ms": 10_000, "start": "beginning",
    });
    let mut http_only = group.clone();
    http_only["files"] = json!([]);
    serde_json::from_value(json!({
        "file": "watchbell.toml", "data_dir": "/srv/data", "http": { "listen": "127.0.0.1:8420" },
        "log_groups": { "shop/app": group, "shop/http": http_only },
        "metric_filters": {}, "alarms": {}, "topics": {},
        "fleet": { "web": {
            "command": ["shop-app", "--port", "{port}", "--title", "100% $HOME \"x\""],
            "instances": { "min": 2, "max": 6 },
            "health": { "path": "/healthz", "interval_ms": 2000 },
            "listen": "127.0.0.1:8080",
            "scale_on": [{ "cpu": 60 }, { "requests_per_instance": 6000 }, { "log_bytes_per_instance": 1_048_576 }],
        } },
        "maintenance": [
            { "name": "old-logs", "schedule": "cron(0 3 * * *)", "timezone": "Europe/Berlin", "timeout_ms": 600_000,
              "work": { "prune": { "files": ["/var/log/shop/*.log.*"], "older_than_ms": 1_209_600_000 } } },
            { "name": "sweep", "schedule": "at(2026-12-24T18:00)", "timezone": "UTC", "timeout_ms": 600_000,
              "work": { "run": "/srv/sweep.py" } },
            { "name": "patches", "schedule": "cron(0 4 * * SUN)", "timezone": "UTC", "timeout_ms": 5_400_000,
              "work": { "patch": { "reboot": true } } },
        ],
        "secrets": { "slack": {} },
        "aws": {
            "name": "shop", "region": "eu-central-1", "tags": { "team": "shop" },
            "artifacts": { "bucket": "shop-artifacts", "prefix": "v1/", "watchbell_sha256": "0".repeat(64) },
            "network": { "cidr": "10.0.0.0/16", "zones": 2, "nat": "single", "endpoints": false },
            "fleet": { "web": {
                "instance_type": "t3.small", "volume_gib": 20, "setup": "/srv/setup.sh", "port": 443,
                "certificate": "arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012",
                "allow": ["0.0.0.0/0"],
            } },
            "trail": { "enabled": false, "retention_days": 90, "cis": false },
            "dashboard": false,
        },
    }))
    .unwrap()
}

fn files() -> Files {
    let scripts = [("/srv/setup.sh", SETUP), ("/srv/sweep.py", SWEEP)];
    Files {
        plan: "version = 1\n# a shop\n[log_groups.shop]\nfiles = [\"a.log\"]\n[alarms.errors]\n".into(),
        scripts: scripts.map(|(path, text)| (path.to_owned(), text.to_owned())).into(),
    }
}

fn rendered(plan: &Plan) -> BTreeMap<String, Value> {
    let files = files();
    let template = render(Input { plan, aws: plan.aws.as_ref().unwrap(), files: &files });
    template.resources().map(|(id, value)| (id.to_owned(), value.clone())).collect()
}

fn of_type<'a>(resources: &'a BTreeMap<String, Value>, kind: &str) -> Vec<&'a Value> {
    resources.values().filter(|it| it["Type"] == kind).map(|it| &it["Properties"]).collect()
}

fn user_data(resources: &BTreeMap<String, Value>) -> String {
    let launch_template = of_type(resources, "AWS::EC2::LaunchTemplate")[0];
    launch_template["LaunchTemplateData"]["UserData"]["Fn::Base64"].as_str().unwrap().to_owned()
}

/// What stands packed in a script for a file.
fn unpacked(script: &str, file: &str) -> String {
    let (_, rest) = script.split_once(&format!("{file} <<'END'\n")).unwrap();
    let letters: String = rest.split_once("END\n").unwrap().0.split_whitespace().collect();
    let bytes = BASE64_STANDARD.decode(letters).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    text
}

fn assert_bash_reads(script: &str) {
    let mut bash =
        Command::new("bash").args(["-n"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = bash.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{script}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn user_data_has_what_is_shipped_and_what_the_plan_says() {
    let script = user_data(&rendered(&plan()));
    assert_bash_reads(&script);
    assert_eq!(
        unpacked(&script, "/etc/watchbell/watchbell.toml"),
        "data_dir = \"/var/lib/watchbell\"\nversion = 1\n\n[log_groups.shop]\nfiles = [\"a.log\"]\n"
    );
    assert_eq!(unpacked(&script, "\"$work/setup\""), SETUP);
    let unit = "/etc/systemd/system/watchbell-agent.service";
    assert_eq!(unpacked(&script, unit), include_str!("../../../../deploy/watchbell-agent.service"));
    let drop_in = format!("{unit}.d/cloudwatch.conf");
    assert_eq!(
        unpacked(&script, &drop_in),
        include_str!("../../../../deploy/watchbell-agent-cloudwatch.conf")
    );
    let command = r#"ExecStart="shop-app" "--port" "8080" "--title" "100%% $$HOME \"x\"""#;
    assert!(script.lines().any(|line| line == command), "{script}");
    assert!(script.len() < USER_DATA_BYTES_MAX);
}

#[test]
fn the_same_plan_gives_the_same_templates() {
    assert_eq!(rendered(&plan()), rendered(&plan()));
}

#[test]
fn what_instances_are_told_has_a_largest_size() {
    let plan = plan();
    let mut files = files();
    assert_eq!(file_findings(&plan, &files), []);
    // Nothing that packs well.
    let mut state = 1_u64;
    let letters = (0..20_000).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'-' + u8::try_from(state >> 58).unwrap())
    });
    files.plan = format!("version = 1\n[log_groups.shop]\nfiles = ['{}']\n", letters.collect::<String>());
    let findings = file_findings(&plan, &files);
    let [finding] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(finding.gravity, Gravity::Refused);
    assert!(finding.message.contains("AWS takes 16384"), "{}", finding.message);
}

#[test]
fn a_role_has_a_largest_size() {
    let mut plan = plan();
    let group = plan.log_groups["shop/app"].clone();
    let is_role = |plan: &Plan| findings(plan).iter().any(|it| it.path == ["log_groups"]);
    let mut count = 1;
    while !is_role(&plan) {
        count += 1;
        let name = format!("{count:0>64}");
        plan.log_groups.insert(watchbell_model::GroupName::new(name).unwrap(), group.clone());
    }
    // About 120 bytes each, and the rest of the policy.
    assert!((50..90).contains(&count), "{count}");
}

#[test]
fn an_instance_may_only_what_is_named() {
    let resources = rendered(&plan());
    let roles = of_type(&resources, "AWS::IAM::Role");
    assert_eq!(roles.len(), 2);
    let statements =
        roles.iter().flat_map(|role| role["Policies"][0]["PolicyDocument"]["Statement"].as_array().unwrap());
    let excepted: BTreeSet<&str> = EXCEPTIONS.iter().map(|exception| exception.action).collect();
    for statement in statements {
        let actions: Vec<&str> =
            statement["Action"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        assert!(actions.iter().all(|action| !action.contains('*')), "{statement}");
        if statement["Resource"] == "*" {
            assert!(actions.iter().all(|action| excepted.contains(action)), "{statement}");
        }
    }
    let text = json!(roles[0]).to_string() + &json!(roles[1]).to_string();
    assert!(text.contains("log-group:shop/app:*") && !text.contains("log-group:shop/http"), "{text}");
    assert!(text.contains("secret:shop/slack-??????") && text.contains(":::shop-artifacts/v1/*"), "{text}");
}

#[test]
fn instances_are_closed() {
    let resources = rendered(&plan());
    let data = &of_type(&resources, "AWS::EC2::LaunchTemplate")[0]["LaunchTemplateData"];
    assert_eq!(data["MetadataOptions"]["HttpTokens"], "required");
    assert_eq!(data["MetadataOptions"]["HttpPutResponseHopLimit"], 1);
    assert_eq!(data["BlockDeviceMappings"][0]["Ebs"]["Encrypted"], true);
    assert_eq!(data["NetworkInterfaces"][0]["AssociatePublicIpAddress"], false);
}

#[test]
fn browsers_are_sent_to_https_where_they_can_be() {
    let mut plan = plan();
    let ports = |plan: &Plan| {
        let resources = rendered(plan);
        let listeners = of_type(&resources, "AWS::ElasticLoadBalancingV2::Listener");
        let port = |it: &&Value| (it["Port"].as_u64().unwrap(), it["Protocol"].as_str().unwrap().to_owned());
        listeners.iter().map(port).collect::<BTreeSet<(u64, String)>>()
    };
    let set = |ports: &[(u64, &str)]| {
        ports.iter().map(|(port, protocol)| (*port, (*protocol).to_owned())).collect::<BTreeSet<_>>()
    };
    assert_eq!(ports(&plan), set(&[(80, "HTTP"), (443, "HTTPS")]));
    let aws = plan.aws.as_mut().unwrap();
    aws.fleet.get_mut("web").unwrap().port = 8443;
    assert_eq!(ports(&plan), set(&[(8443, "HTTPS")]));
    let aws = plan.aws.as_mut().unwrap();
    let web = aws.fleet.get_mut("web").unwrap();
    web.port = 443;
    let plain = AwsFleet { port: 80, certificate: None, ..web.clone() };
    aws.fleet.insert("plain".into(), plain);
    plan.fleet.insert("plain".into(), plan.fleet["web"].clone());
    assert_eq!(ports(&plan), set(&[(80, "HTTP"), (443, "HTTPS")]));
    let resources = rendered(&plan);
    assert!(!resources.contains_key("RedirectListener"));
    assert_eq!(of_type(&resources, "AWS::AutoScaling::AutoScalingGroup").len(), 2);
}

#[test]
fn the_network_lets_in_whom_the_load_balancer_answers() {
    let plan = plan();
    let stacks = crate::render(&plan, &files());
    let network = stacks.iter().find(|stack| stack.part == crate::Part::Network).unwrap();
    let (_, group) = network.template.resources().find(|(id, _)| *id == "LoadBalancerSecurityGroup").unwrap();
    let rules = group["Properties"]["SecurityGroupIngress"].as_array().unwrap();
    let ports: BTreeSet<u64> = rules.iter().map(|rule| rule["FromPort"].as_u64().unwrap()).collect();
    assert_eq!(ports, BTreeSet::from([80, 443]));
}

#[test]
fn scaling_follows_what_the_plan_names() {
    let mut plan = plan();
    let resources = rendered(&plan);
    let targets: Vec<u64> = of_type(&resources, "AWS::AutoScaling::ScalingPolicy")
        .iter()
        .map(|policy| policy["TargetTrackingConfiguration"]["TargetValue"].as_u64().unwrap())
        .collect();
    assert_eq!(targets, [60, 1_048_576, 6000]);
    let bytes = &resources["LogBytesPolicyWeb"]["Properties"]["TargetTrackingConfiguration"];
    let metrics = &bytes["CustomizedMetricSpecification"]["Metrics"];
    assert_eq!(metrics[0]["MetricStat"]["Metric"]["Dimensions"][0]["Value"], "shop-web");
    assert_eq!(metrics[2]["Expression"], "bytes / 60 / instances");
    // A fleet of one has no instance to spare.
    let web = plan.fleet.get_mut("web").unwrap();
    (web.instances.min, web.instances.max) = (1, 1);
    web.scale_on = vec![ScaleOn::Cpu(50)];
    let resources = rendered(&plan);
    let update = &resources["AutoScalingGroupWeb"]["UpdatePolicy"]["AutoScalingRollingUpdate"];
    assert_eq!(update["MinInstancesInService"], 0);
}

#[test]
fn maintenance_is_windows_with_documents() {
    let resources = rendered(&plan());
    let windows: Vec<String> = of_type(&resources, "AWS::SSM::MaintenanceWindow")
        .iter()
        .map(|it| format!("{} {} {}", it["Schedule"], it["ScheduleTimezone"], it["Duration"]))
        .collect();
    assert_eq!(
        windows,
        [
            r#""cron(0 3 * * ? *)" "Europe/Berlin" 1"#,
            r#""cron(0 4 ? * SUN *)" "UTC" 2"#,
            r#""at(2026-12-24T18:00:00)" "UTC" 1"#,
        ]
    );
    let documents = of_type(&resources, "AWS::SSM::Document");
    assert_eq!(documents.len(), 2);
    for document in documents {
        let inputs = &document["Content"]["mainSteps"][0]["inputs"];
        let lines: Vec<&str> =
            inputs["runCommand"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        assert_bash_reads(&lines.join("\n"));
        // Systems Manager would look for parameters there.
        assert!(lines.iter().all(|line| !line.contains("{{")), "{lines:#?}");
        assert_eq!(inputs["timeoutSeconds"], "600");
    }
    let patches = &resources["WindowTaskPatches"]["Properties"];
    assert_eq!(patches["TaskArn"], "AWS-RunPatchBaseline");
    assert_eq!(patches["MaxConcurrency"], "1");
}

#[test]
fn a_script_runs_as_it_is_written() {
    let resources = rendered(&plan());
    let content = &resources["DocumentSweep"]["Properties"]["Content"];
    let lines = content["mainSteps"][0]["inputs"]["runCommand"].as_array().unwrap().iter();
    let script: Vec<&str> = lines.map(|it| it.as_str().unwrap()).collect();
    // Its own interpreter need not be here: bash in its place.
    let mut plan = plan();
    let mut files = files();
    files.scripts.insert("/srv/sweep.py".into(), "#!/bin/bash\nprintf '%s' '{{ 1 }}'\n".into());
    plan.maintenance.retain(|it| it.name == "sweep");
    let template = render(Input { plan: &plan, aws: plan.aws.as_ref().unwrap(), files: &files });
    let (_, document) = template.resources().find(|(id, _)| *id == "DocumentSweep").unwrap();
    let lines = document["Properties"]["Content"]["mainSteps"][0]["inputs"]["runCommand"].clone();
    let other: Vec<&str> = lines.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert_ne!(script, other);
    let output = Command::new("bash").args(["-c", &other.join("\n")]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "{{ 1 }}");
    assert!(output.status.success());
}

#[test]
fn what_is_otherwise_on_aws_is_said() {
    let mut plan = plan();
    let said: Vec<String> = findings(&plan)
        .iter()
        .map(|it| format!("{:?} {}: {}", it.gravity, it.path.join("."), it.message))
        .collect();
    assert_eq!(
        said,
        [
            "Difference fleet.web.health.interval: the load balancer asks every \"5s\"",
            "Difference maintenance.2.timeout: Systems Manager ends patching after \"2h\", as it has whole hours only",
        ]
    );
    plan.maintenance[0].schedule = "cron(0 3 13 * FRI)".into();
    plan.fleet.get_mut("web").unwrap().command[0] = "./shop-app".into();
    let refused = findings(&plan).into_iter().filter(|it| it.gravity == Gravity::Refused);
    let paths: Vec<String> = refused.map(|it| it.path.join(".")).collect();
    assert_eq!(paths, ["fleet.web.command", "maintenance.0.schedule"]);
    plan.fleet.clear();
    assert_eq!(findings(&plan).len(), 1);
    assert!(rendered(&plan).is_empty());
}
