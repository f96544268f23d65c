//! The stacks of the example on AWS, as they are rendered, on the emulator.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use watchbell::aws::{Outcome, Step, Wanted};
use watchbell_aws::cost::Cost;
use watchbell_aws::{Files, Part, Stack};
use watchbell_config::{Source, check};
use watchbell_model::Plan;

use crate::emulated::emulated;
use crate::emulator::{Client, Emulator, emulator};

/// The example, in this region of the emulator.
fn example(emulator: &Emulator) -> (Plan, Vec<Stack>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/aws");
    let text = fs::read_to_string(folder.join("watchbell.toml")).unwrap();
    let mut plan = check(&Source { name: "watchbell.toml", text: &text, folder: &folder }).plan.unwrap();
    plan.aws.as_mut().unwrap().endpoint = Some(emulator.endpoint.clone());
    let scripts = ["setup.sh", "scripts/reindex.sh"].map(|name| folder.join(name));
    let scripts: BTreeMap<String, String> = scripts
        .iter()
        .map(|path| (path.to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap()))
        .collect();
    let stacks = watchbell_aws::render(&plan, &Files { plan: text, scripts });
    (plan, stacks)
}

#[test]
fn the_example_stands_and_stays_as_it_is() {
    let emulator = emulator();
    let (plan, stacks) = example(emulator);
    let client = Client::open(plan.aws.as_ref().unwrap());
    let account = &client.account;
    let wanted: Vec<Wanted> = stacks.iter().map(|stack| emulated(Wanted::from(stack))).collect();
    assert!(wanted.iter().any(|stack| stack.part == Part::App), "every part is there");

    let plans = client.run(account.plan(&wanted)).unwrap();
    assert!(plans.iter().all(|plan| plan.step == Step::Create), "{plans:?}");
    let deployed = client.run(account.deploy(&wanted, &plans, &mut |_| ())).unwrap();
    assert!(deployed.iter().all(|stack| stack.outcome == Outcome::Created), "{deployed:?}");
    let again = client.run(account.plan(&wanted)).unwrap();
    assert!(again.iter().all(|plan| plan.step == Step::Nothing), "{again:?}");

    // What the stacks say is there, is there.
    for stack in &wanted {
        let arguments = json!({ "StackName": stack.name });
        let there = emulator.ask("cloudformation", "list_stack_resources", &arguments);
        let there: BTreeMap<&str, &str> = there["StackResourceSummaries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (it["LogicalResourceId"].as_str().unwrap(), it["ResourceStatus"].as_str().unwrap()))
            .collect();
        let wanted: BTreeMap<&str, &str> = stack.template["Resources"]
            .as_object()
            .unwrap()
            .keys()
            .map(|id| (id.as_str(), "CREATE_COMPLETE"))
            .collect();
        assert_eq!(there, wanted, "{}", stack.name);
    }
    let cidrs = emulator.ask("ec2", "describe_vpcs", &json!({}));
    let is_ours = |vpc: &Value| vpc["CidrBlock"] == "10.20.0.0/16";
    assert!(cidrs["Vpcs"].as_array().unwrap().iter().any(is_ours), "{cidrs}");
    let value = json!({ "SecretId": "shop/payment-key" });
    assert!(emulator.ask("secretsmanager", "describe_secret", &value)["KmsKeyId"].is_string());
    for bucket in emulator.ask("s3", "list_buckets", &json!({}))["Buckets"].as_array().unwrap() {
        let name = bucket["Name"].as_str().unwrap();
        if name.starts_with("shop-") {
            let versioning = emulator.ask("s3", "get_bucket_versioning", &json!({ "Bucket": name }));
            assert_eq!(versioning["Status"], "Enabled", "{name}");
        }
    }
}

#[test]
fn every_resource_of_the_example_has_a_price() {
    let (_, stacks) = example(emulator());
    let templates: Vec<Value> = stacks.iter().map(|stack| stack.template.to_value()).collect();
    let cost = Cost::of(&templates);
    assert_eq!(cost.unpriced, std::collections::BTreeSet::new());
    assert!(cost.monthly > 50.0, "NAT, load balancer and two instances: {cost:?}");
}
