//! The example's stacks as they are in its folder, and what other tools say of them. `UPDATE=1` writes them anew; the
//! diff is the review.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use watchbell_aws::{Files, Gravity, Stack, file_findings, findings, render};
use watchbell_config::{Source, check};
use watchbell_model::{Plan, Work};

/// Of what checkov finds, what is as it is meant: the check, the resource, why.
const MEANT: [(&str, &str, &str); 2] = [
    ("CKV_AWS_18", "AccessLogsBucket", "the bucket of access logs would log into itself, for ever"),
    ("CKV_AWS_260", "LoadBalancerSecurityGroup", "port 80 of the load balancer sends people on to HTTPS"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/aws").canonicalize().unwrap()
}

fn example() -> (Plan, Files) {
    let folder = folder();
    let text = std::fs::read_to_string(folder.join("watchbell.toml")).unwrap();
    let checked = check(&Source { name: "watchbell.toml", text: &text, folder: &folder });
    let plan = checked.plan.unwrap_or_else(|| panic!("{:?}", checked.problems));
    let runs = plan.maintenance.iter().filter_map(|maintenance| match &maintenance.work {
        Work::Run(script) => Some(script.clone()),
        _ => None,
    });
    let setups = plan.aws.as_ref().unwrap().fleet.values().filter_map(|fleet| fleet.setup.clone());
    let read = |path: String| (path.clone(), std::fs::read_to_string(path).unwrap());
    let scripts: BTreeMap<String, String> = runs.chain(setups).map(read).collect();
    (plan, Files { plan: text, scripts })
}

fn stacks() -> Vec<Stack> {
    let (plan, files) = example();
    let refused = |found: &watchbell_aws::Finding| found.gravity == Gravity::Refused;
    let found: Vec<_> =
        findings(&plan).into_iter().chain(file_findings(&plan, &files)).filter(refused).collect();
    assert!(found.is_empty(), "{found:?}");
    render(&plan, &files)
}

#[test]
fn the_example_is_rendered_as_its_folder_has_it() {
    let stacks = stacks();
    let names: Vec<&str> = stacks.iter().map(|stack| stack.name.as_str()).collect();
    assert_eq!(names, ["shop-data", "shop-network", "shop-pipeline", "shop-app"]);
    for stack in stacks {
        let path = folder().join("stacks").join(format!("{}.json", stack.name));
        let text = stack.template.to_text();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
        } else {
            let expected = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                text == expected,
                "{} is not {}: run with UPDATE=1 and look at the diff",
                stack.name,
                path.display()
            );
        }
    }
}

/// The folder of programs that the test command installs; without it, says so.
fn tools() -> Option<PathBuf> {
    let tools = std::env::var_os("WATCHBELL_TEST_TEMPLATES").map(PathBuf::from);
    if tools.is_none() {
        eprintln!("skipped: WATCHBELL_TEST_TEMPLATES does not name a folder with cfn-lint and checkov");
    }
    tools
}

/// The stacks as files.
fn written() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for stack in stacks() {
        std::fs::write(folder.path().join(format!("{}.json", stack.name)), stack.template.to_text()).unwrap();
    }
    folder
}

#[test]
fn cfn_lint_has_no_warning() {
    let Some(tools) = tools() else { return };
    let folder = written();
    let mut command = Command::new(tools.join("cfn-lint"));
    command.args(std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()));
    let output = command.output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn checkov_finds_only_what_is_meant() {
    let Some(tools) = tools() else { return };
    let folder = written();
    let mut command = Command::new(tools.join("checkov"));
    command.args(["--framework", "cloudformation", "--skip-download", "--output", "json", "--directory"]);
    let output = command.arg(folder.path()).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert!(report["summary"]["passed"].as_u64().is_some_and(|passed| passed > 50), "{}", report["summary"]);
    assert_eq!(report["summary"]["parsing_errors"], 0);
    let failed: Vec<(String, String)> = report["results"]["failed_checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failed| {
            let text = |key: &str| failed[key].as_str().unwrap().to_owned();
            (text("check_id"), text("resource"))
        })
        .collect();
    let is_meant = |check: &str, resource: &str| {
        MEANT.iter().any(|(meant, id, _)| *meant == check && resource.ends_with(&format!(".{id}")))
    };
    let unmeant: Vec<_> = failed.iter().filter(|(check, resource)| !is_meant(check, resource)).collect();
    assert!(unmeant.is_empty(), "{unmeant:?}");
    assert_eq!(failed.len(), MEANT.len(), "what is found no more need not stand in the list: {failed:?}");
}
