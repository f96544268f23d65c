//! The stacks that a plan becomes.

use std::collections::BTreeMap;
use std::fmt;

use watchbell_model::{Aws, Plan};

use crate::template::Template;
use crate::{app, data, network, pipeline};

/// What belongs together, comes and goes together; in the order in which they are deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What outlives everything else: the key, buckets, the trail, secrets.
    Data,
    /// The virtual private cloud; only with a fleet.
    Network,
    /// Log groups, metric filters, alarms, topics, queues, the dashboard.
    Pipeline,
    /// Instances, load balancer, scaling, maintenance; only with a fleet.
    App,
}

impl Part {
    /// Every part, in the order in which they are deployed.
    pub const ALL: [Part; 4] = [Part::Data, Part::Network, Part::Pipeline, Part::App];
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Part::Data => "data",
            Part::Network => "network",
            Part::Pipeline => "pipeline",
            Part::App => "app",
        })
    }
}

/// A stack: its name and what is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    /// Which part it is.
    pub part: Part,
    /// What it is called: `shop-data`.
    pub name: String,
    /// What is in it.
    pub template: Template,
}

/// Texts that a plan names by path, and its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// The plan's own file, as it is written: the agent on instances gets what it reads of it.
    pub plan: String,
    /// Scripts, by their absolute paths as the plan has them.
    pub scripts: BTreeMap<String, String>,
}

/// What every part is made of.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) aws: &'a Aws,
    pub(crate) files: &'a Files,
}

/// The stacks of a plan, in the order in which they are deployed; none if it has no `[aws]`.
///
/// The plan has no finding of [`Gravity::Refused`](crate::Gravity::Refused), and `files` has every script that it names.
pub fn render(plan: &Plan, files: &Files) -> Vec<Stack> {
    let Some(aws) = &plan.aws else { return Vec::new() };
    let input = Input { plan, aws, files };
    let stack = |part| {
        let template = match part {
            Part::Data => data::render(input),
            Part::Network => network::render(input),
            Part::Pipeline => pipeline::render(input),
            Part::App => app::render(input),
        };
        Stack { part, name: format!("{}-{part}", aws.name), template }
    };
    Part::ALL.map(stack).into_iter().filter(|stack| !stack.template.is_empty()).collect()
}
