//! Scheduled work on the instances of all fleets, by Systems Manager.

use serde_json::{Value, json};
use watchbell_model::{Aws, Maintenance, Plan, Work};

use crate::finding::{Finding, Gravity};
use crate::name::{logical_id, physical};
use crate::output::KEY_ARN;
use crate::policy::{Statement, role};
use crate::stack::{Files, Input};
use crate::template::{Resource, Template, arn, attribute, reference, sub};

use super::quote::packed;
use super::window::when;
use super::{FLEET_TAG, places, prune};

/// The tag by which instances find their patch baseline.
///
/// Source: AWS Systems Manager User Guide, "Patch groups": the key without a space.
pub(super) const PATCH_GROUP_TAG: &str = "PatchGroup";

/// The document of Systems Manager that installs patches.
const PATCH_DOCUMENT: &str = "AWS-RunPatchBaseline";

/// How long after its release a patch is installed, in days.
const PATCH_AFTER_DAYS: u32 = 7;

/// How long what maintenance printed is kept, in days.
const OUTPUT_RETENTION_DAYS: u32 = 90;

/// How long an instance that does not answer is waited for, in seconds.
const ANSWER_WITHIN_S: u32 = 600;

/// Largest document, in bytes.
///
/// Source: AWS General Reference, Systems Manager quotas, "SSM document size".
const DOCUMENT_BYTES_MAX: usize = 65_536;

const HOUR_MS: i64 = 3_600_000;

const ROLE_ID: &str = "MaintenanceRole";
const LOG_GROUP_ID: &str = "MaintenanceLogGroup";

/// Whether there is nothing to do.
pub(super) fn is_empty(plan: &Plan) -> bool {
    plan.maintenance.is_empty()
}

/// Whether updates of the operating system are installed.
pub(super) fn patches(plan: &Plan) -> bool {
    plan.maintenance.iter().any(|it| matches!(it.work, Work::Patch { .. }))
}

/// Whether it restarts instances.
pub(super) fn reboots(plan: &Plan) -> bool {
    plan.maintenance.iter().any(|it| matches!(it.work, Work::Patch { reboot: true }))
}

/// Where what maintenance prints goes. No log group of a plan begins so.
pub(super) fn log_group_name(aws: &Aws) -> String {
    format!("watchbell/{}/maintenance", aws.name)
}

pub(super) fn add(template: &mut Template, input: Input<'_>) {
    if is_empty(input.plan) {
        return;
    }
    add_log_group(template, input);
    add_role(template, input);
    if patches(input.plan) {
        add_baseline(template, input.aws);
    }
    for maintenance in &input.plan.maintenance {
        if let Some(content) = content(input.files, maintenance) {
            let properties = json!({
                "DocumentType": "Command", "DocumentFormat": "JSON", "TargetType": "/AWS::EC2::Instance",
                "UpdateMethod": "NewVersion", "Content": content,
            });
            let document = Resource::new("AWS::SSM::Document", properties);
            let name = physical(input.aws, &maintenance.name);
            template.add(document_id(maintenance), document.tagged(&input.aws.tags, &name));
        }
        add_window(template, input, maintenance);
    }
}

fn add_log_group(template: &mut Template, input: Input<'_>) {
    let key = template.parameter(KEY_ARN, "String", "The key that everything is encrypted with");
    let properties = json!({
        "LogGroupName": log_group_name(input.aws),
        "RetentionInDays": OUTPUT_RETENTION_DAYS,
        "KmsKeyId": key,
    });
    let resource = Resource::new("AWS::Logs::LogGroup", properties);
    template.add(LOG_GROUP_ID, resource.tagged(&input.aws.tags, &log_group_name(input.aws)));
}

/// What the windows may do: send these documents to instances of these fleets, and see what becomes of it.
fn add_role(template: &mut Template, input: Input<'_>) {
    let own = input.plan.maintenance.iter().filter(|it| !matches!(it.work, Work::Patch { .. }));
    let mut documents: Vec<Value> =
        own.map(|it| arn("ssm", &format!("document/${{{}}}", document_id(it)))).collect();
    if patches(input.plan) {
        let document = format!("arn:${{AWS::Partition}}:ssm:${{AWS::Region}}::document/{PATCH_DOCUMENT}");
        documents.push(sub(document));
    }
    let tag = format!("ssm:resourceTag/{FLEET_TAG}");
    let statements = vec![
        Statement::allow("SendDocuments", &["ssm:SendCommand"], documents),
        Statement::allow("SendToFleets", &["ssm:SendCommand"], vec![arn("ec2", "instance/*")])
            .only_if(json!({ "StringEquals": { tag: full_names(input) } })),
        Statement::allow_anywhere(
            "FollowCommands",
            &[
                "ssm:CancelCommand",
                "ssm:GetCommandInvocation",
                "ssm:ListCommandInvocations",
                "ssm:ListCommands",
            ],
        ),
    ];
    let name = physical(input.aws, "maintenance");
    let role = role("What maintenance windows may do", "ssm", statements);
    template.add(ROLE_ID, role.tagged(&input.aws.tags, &name));
}

fn full_names(input: Input<'_>) -> Vec<String> {
    places(input.plan, input.aws).map(|place| place.full_name()).collect()
}

/// Which updates are installed: those that repair something, a week after everyone else could try them.
fn add_baseline(template: &mut Template, aws: &Aws) {
    let filters = json!([{ "Key": "CLASSIFICATION", "Values": ["Security", "Bugfix"] }]);
    let properties = json!({
        "Name": physical(aws, "patches"),
        "OperatingSystem": "AMAZON_LINUX_2023",
        "PatchGroups": [aws.name],
        "ApprovalRules": { "PatchRules": [{
            "ApproveAfterDays": PATCH_AFTER_DAYS,
            "PatchFilterGroup": { "PatchFilters": filters },
        }] },
    });
    let resource = Resource::new("AWS::SSM::PatchBaseline", properties);
    template.add("PatchBaseline", resource.tagged(&aws.tags, &physical(aws, "patches")));
}

fn document_id(maintenance: &Maintenance) -> String {
    logical_id("Document", &maintenance.name)
}

/// The content of a document of ours; `None`: AWS has one.
fn content(files: &Files, maintenance: &Maintenance) -> Option<Value> {
    let script = match &maintenance.work {
        Work::Prune { files, older_than_ms } => prune::script(files, *older_than_ms),
        Work::Run(path) => {
            let script = files.scripts.get(path).expect("files have every script that the plan names");
            run_script(script)
        }
        Work::Patch { .. } => return None,
    };
    let lines: Vec<&str> = script.lines().collect();
    let seconds = maintenance.timeout_ms.div_euclid(1000);
    Some(json!({
        "schemaVersion": "2.2",
        "description": format!("Maintenance {}", maintenance.name),
        "mainSteps": [{
            "action": "aws:runShellScript",
            "name": "work",
            "precondition": { "StringEquals": ["platformType", "Linux"] },
            "inputs": { "runCommand": lines, "timeoutSeconds": seconds.to_string() },
        }],
    }))
}

/// A script that runs another one, whatever it is written in. It is packed because Systems Manager would look for parameters
/// in it.
fn run_script(script: &str) -> String {
    let packed = packed(script);
    format!(
        r#"#!/bin/bash
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
base64 --decode <<'END' | gunzip >"$work/script"
{packed}END
chmod 700 "$work/script"
cd "$work"
./script
"#
    )
}

/// A window, what it is for, and what is done in it.
fn add_window(template: &mut Template, input: Input<'_>, maintenance: &Maintenance) {
    let name = physical(input.aws, &maintenance.name);
    let [window_id, target_id, task_id] =
        ["Window", "WindowTarget", "WindowTask"].map(|kind| logical_id(kind, &maintenance.name));
    let when = when(maintenance).expect("a schedule that is refused is a finding");
    let properties = json!({
        "Name": name,
        "Schedule": when.expression,
        "ScheduleTimezone": when.timezone,
        "Duration": hours(maintenance),
        "Cutoff": 0,
        "AllowUnassociatedTargets": false,
    });
    let window = Resource::new("AWS::SSM::MaintenanceWindow", properties);
    template.add(window_id.as_str(), window.tagged(&input.aws.tags, &name));

    let tag = format!("tag:{FLEET_TAG}");
    let properties = json!({
        "WindowId": reference(&window_id),
        "ResourceType": "INSTANCE",
        "Targets": [{ "Key": tag, "Values": full_names(input) }],
    });
    template.add(target_id.as_str(), Resource::new("AWS::SSM::MaintenanceWindowTarget", properties));

    let mut command = json!({
        "TimeoutSeconds": ANSWER_WITHIN_S,
        "CloudWatchOutputConfig": {
            "CloudWatchLogGroupName": reference(LOG_GROUP_ID), "CloudWatchOutputEnabled": true,
        },
    });
    let mut properties = json!({
        "WindowId": reference(&window_id),
        "Targets": [{ "Key": "WindowTargetIds", "Values": [reference(&target_id)] }],
        "TaskType": "RUN_COMMAND",
        "TaskArn": reference(&document_id(maintenance)),
        "ServiceRoleArn": attribute(ROLE_ID, "Arn"),
        "Priority": 1,
        "MaxConcurrency": "100%",
        "MaxErrors": "100%",
        "CutoffBehavior": "CANCEL_TASK",
    });
    if let Work::Patch { reboot } = maintenance.work {
        let option = if reboot { "RebootIfNeeded" } else { "NoReboot" };
        command["Parameters"] = json!({ "Operation": ["Install"], "RebootOption": [option] });
        properties["TaskArn"] = json!(PATCH_DOCUMENT);
        // One after the other, and none after one that was harmed: the others serve meanwhile.
        properties["MaxConcurrency"] = json!("1");
        properties["MaxErrors"] = json!("0");
    }
    properties["TaskInvocationParameters"] = json!({ "MaintenanceWindowRunCommandParameters": command });
    template.add(task_id, Resource::new("AWS::SSM::MaintenanceWindowTask", properties));
}

/// How long a window is open, in hours: AWS has whole ones only. 1 to 24, as the timeout is 1 minute to 24 hours.
fn hours(maintenance: &Maintenance) -> i64 {
    (maintenance.timeout_ms + HOUR_MS - 1) / HOUR_MS
}

fn path(index: usize, keys: &[&str]) -> Vec<String> {
    let index = index.to_string();
    ["maintenance", &index].iter().chain(keys).map(|&key| key.to_owned()).collect()
}

pub(super) fn findings(plan: &Plan) -> Vec<Finding> {
    let mut findings = Vec::new();
    if plan.fleet.is_empty() && !is_empty(plan) {
        findings.push(Finding {
            path: vec!["maintenance".to_owned()],
            gravity: Gravity::Difference,
            message: "maintenance is done on the instances of fleets, and there is no fleet".to_owned(),
            help: None,
        });
        return findings;
    }
    for (index, maintenance) in plan.maintenance.iter().enumerate() {
        if let Err(message) = when(maintenance) {
            let help = Some("write a maintenance for each".to_owned());
            findings.push(Finding {
                path: path(index, &["schedule"]),
                gravity: Gravity::Refused,
                message,
                help,
            });
        }
        let hours = hours(maintenance);
        if matches!(maintenance.work, Work::Patch { .. }) && hours * HOUR_MS != maintenance.timeout_ms {
            findings.push(Finding {
                path: path(index, &["timeout"]),
                gravity: Gravity::Difference,
                message: format!(
                    "Systems Manager ends patching after \"{hours}h\", as it has whole hours only"
                ),
                help: None,
            });
        }
    }
    findings
}

/// Documents that are larger than AWS takes them.
pub(super) fn size_findings(input: Input<'_>) -> Vec<Finding> {
    let documents = input.plan.maintenance.iter().enumerate();
    let too_large = documents.filter_map(|(index, maintenance)| {
        let bytes = content(input.files, maintenance)?.to_string().len();
        (bytes > DOCUMENT_BYTES_MAX).then(|| Finding {
            path: path(index, &[]),
            gravity: Gravity::Refused,
            message: format!(
                "the document of maintenance {:?} has {bytes} bytes, and AWS takes {DOCUMENT_BYTES_MAX}",
                maintenance.name
            ),
            help: Some("let a short script fetch the rest from the artifacts".to_owned()),
        })
    });
    too_large.collect()
}
