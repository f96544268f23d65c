//! The application: instances, load balancer, scaling, maintenance.
//!
//! Promise: whoever is on an instance, or takes one over, may do what its role names and nothing else; instances have no
//! address that the world reaches, and take commands through Session Manager only.
//! Deliberately not here: preferences of Session Manager. They are one document for a whole account and region, and not
//! ours to replace.

mod agent_file;
mod auto_scaling;
mod instance_role;
mod launch_template;
pub(crate) mod load_balancer;
mod maintenance;
mod prune;
mod quote;
mod user_data;
mod window;

use std::collections::BTreeMap;

use watchbell_model::{Aws, AwsFleet, Fleet, Plan};

use crate::finding::Finding;
use crate::name::physical;
use crate::stack::{Files, Input};
use crate::template::Template;

pub use user_data::BYTES_MAX as USER_DATA_BYTES_MAX;

/// The tag by which the instances of fleets are found, by maintenance and by people. Its value is [`Place::full_name`].
const FLEET_TAG: &str = "watchbell-fleet";

/// A fleet, and what only AWS needs to know of it.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'a str,
    fleet: &'a Fleet,
    aws: &'a Aws,
    own: &'a AwsFleet,
}

impl Place<'_> {
    /// What its instances are called: `shop-web`. The value of the dimension `Fleet` of what its agents publish.
    fn full_name(&self) -> String {
        physical(self.aws, self.name)
    }

    /// Where it stands in the file.
    fn path(&self, keys: &[&str]) -> Vec<String> {
        ["fleet", self.name].iter().chain(keys).map(|&key| key.to_owned()).collect()
    }
}

/// The fleets of a plan. Each has its table of `[aws.fleet]`, if only with defaults.
fn places<'a>(plan: &'a Plan, aws: &'a Aws) -> impl Iterator<Item = Place<'a>> {
    let table: &BTreeMap<String, AwsFleet> = &aws.fleet;
    plan.fleet.iter().map(move |(name, fleet)| {
        let own = table.get(name).expect("a plan with [aws] has [aws.fleet] for every fleet");
        Place { name, fleet, aws, own }
    })
}

pub(crate) fn render(input: Input<'_>) -> Template {
    let mut template = Template::new(format!("{}: app", input.aws.name));
    if input.plan.fleet.is_empty() {
        return template;
    }
    load_balancer::add(&mut template, input);
    for place in places(input.plan, input.aws) {
        instance_role::add(&mut template, input, place);
        launch_template::add(&mut template, input, place);
        load_balancer::add_fleet(&mut template, input, place);
        auto_scaling::add(&mut template, place);
    }
    maintenance::add(&mut template, input);
    template
}

/// What AWS makes of fleets and maintenance that nobody would expect, or cannot make of them.
pub(crate) fn findings(plan: &Plan) -> Vec<Finding> {
    let Some(aws) = &plan.aws else { return Vec::new() };
    let fleets = places(plan, aws)
        .flat_map(|place| user_data::findings(place).into_iter().chain(load_balancer::findings(place)));
    let files = Files::default();
    let role = (!plan.fleet.is_empty())
        .then(|| instance_role::size_finding(Input { plan, aws, files: &files }))
        .flatten();
    fleets.chain(role).chain(maintenance::findings(plan)).collect()
}

/// What AWS cannot take of a plan because of the texts that it names: each instance's user data, and each script of
/// maintenance, has its size.
pub fn file_findings(plan: &Plan, files: &Files) -> Vec<Finding> {
    let Some(aws) = &plan.aws else { return Vec::new() };
    let input = Input { plan, aws, files };
    let fleets = places(plan, aws).filter_map(|place| user_data::size_finding(input, place));
    fleets.chain(maintenance::size_findings(input)).collect()
}

#[cfg(test)]
mod tests;
