//! What tests of the pipeline share: plans from text, its template, and what is said of a place.

use std::path::Path;

use serde_json::{Value, json};
use watchbell_config::{Source, check};
use watchbell_model::{Aws, Plan};

use crate::pipeline::render;
use crate::stack::{Files, Input};
use crate::{Gravity, findings};

/// The plan of a file, which has no mistake; without an `[aws]` of its own it is to run there under the name `shop`.
pub(crate) fn plan(text: &str) -> Plan {
    let text = format!("version = 1\n{text}");
    let checked = check(&Source { name: "watchbell.toml", text: &text, folder: Path::new("/x") });
    let mut plan = checked.plan.unwrap_or_else(|| panic!("{:#?}", checked.problems));
    plan.aws.get_or_insert_with(aws);
    plan
}

fn aws() -> Aws {
    let aws = json!({
        "name": "shop",
        "region": "eu-central-1",
        "tags": { "team": "web" },
        "network": { "cidr": "10.0.0.0/16", "zones": 2, "nat": "single", "endpoints": false },
        "trail": { "enabled": false, "retention_days": 90, "cis": false },
        "dashboard": true,
    });
    serde_json::from_value(aws).unwrap()
}

/// The whole template of the pipeline.
pub(crate) fn pipeline(plan: &Plan) -> Value {
    render(Input { plan, aws: plan.aws.as_ref().unwrap(), files: &Files::default() }).to_value()
}

/// The properties of a resource.
pub(crate) fn properties<'a>(template: &'a Value, id: &str) -> &'a Value {
    let resource = &template["Resources"][id];
    assert!(resource.is_object(), "no {id} in {:?}", template["Resources"].as_object().unwrap().keys());
    &resource["Properties"]
}

/// The first finding at a path, its keys joined by dots, as `refused: …` or `difference: …`; empty if there is none.
pub(crate) fn finding(plan: &Plan, path: &str) -> String {
    let all = findings(plan);
    let found = all.into_iter().find(|finding| finding.path.join(".") == path);
    found.map_or_else(String::new, |finding| {
        let gravity = if finding.gravity == Gravity::Refused { "refused" } else { "difference" };
        format!("{gravity}: {}", finding.message)
    })
}
