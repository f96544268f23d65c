//! `watchbell aws deploy`: making it so.

use std::fmt::Write as _;

use serde_json::json;
use watchbell_notify::visible;

use super::OnAws;
use super::progress::Progress;
use super::session::{Session, ask, can_ask};
use crate::aws::{Deployment, Outcome, Wanted};
use crate::cli::{Format, Global, finding, say, written};
use crate::{Failure, out};

pub(super) fn run(global: &Global, yes: bool) -> Result<(), Failure> {
    can_ask(yes)?;
    let on_aws = OnAws::read(global)?;
    let wanted: Vec<Wanted> = on_aws.stacks()?.iter().map(Wanted::from).collect();
    let Session { runtime, account } = Session::open(&on_aws.aws)?;
    let plans = runtime.block_on(account.plan(&wanted))?;
    say(super::plan::text(&plans, out::colour_on_stderr()).trim_end());
    if !super::plan::is_empty(&plans) && !yes {
        let answer = ask(&format!("deploy this to {}? [y/N]", on_aws.aws.region))?;
        if !["y", "yes"].contains(&answer.to_lowercase().as_str()) {
            say("nothing was deployed");
            return Err(finding());
        }
    }
    let mut progress = Progress::new();
    let deployments = runtime.block_on(account.deploy(&wanted, &plans, &mut |event| progress.tell(event)));
    drop(progress);
    let deployments = deployments?;
    written(match global.format {
        Format::Json => out::line(&json!({ "stacks": deployments }).to_string()),
        Format::Text => out::text(&text(&deployments)),
    })
}

fn text(deployments: &[Deployment]) -> String {
    let mut text = String::new();
    for deployment in deployments {
        let outcome = match deployment.outcome {
            Outcome::Created => "made",
            Outcome::Updated => "changed",
            Outcome::Unchanged => "as it was",
            Outcome::Deleted => "deleted",
        };
        writeln!(text, "{}: {outcome}", deployment.stack).expect("a string takes all");
        for (name, value) in &deployment.outputs {
            writeln!(text, "  {} = {}", visible(name), visible(value)).expect("a string takes all");
        }
    }
    text
}
