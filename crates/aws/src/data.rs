//! What outlives everything else: the key, the archive's bucket, the trail and secrets.
//!
//! Promise: every resource stays when the stack goes.

use crate::stack::Input;
use crate::template::Template;
use crate::{bucket, key, secret, trail};

pub(crate) fn render(input: Input<'_>) -> Template {
    let aws = input.aws;
    let mut template = Template::new(format!("{}: data", aws.name));
    key::add(&mut template, aws);
    if let Some(archive) = &input.plan.archive {
        bucket::add_archive(&mut template, aws, archive);
    }
    if aws.trail.enabled {
        trail::add(&mut template, aws, input.plan.archive.is_some());
    }
    if input.plan.archive.is_some() || aws.trail.enabled || !input.plan.fleet.is_empty() {
        bucket::add_access_logs(&mut template, aws);
    }
    for (name, plan) in &input.plan.secrets {
        secret::add(&mut template, aws, name, plan);
    }
    template
}
