//! `watchbell aws destroy`: taking it down.

use std::fmt::Write as _;

use serde_json::json;
use watchbell_aws::Part;
use watchbell_notify::visible;

use super::OnAws;
use super::progress::Progress;
use super::session::{Session, ask, can_ask};
use crate::aws::Destroyed;
use crate::cli::{Format, Global, finding, say, written};
use crate::{Failure, out};

pub(super) fn run(global: &Global, data: bool, yes: bool) -> Result<(), Failure> {
    can_ask(yes)?;
    let on_aws = OnAws::read(global)?;
    let name = &on_aws.aws.name;
    let Session { runtime, account } = Session::open(&on_aws.aws)?;
    let stacks = runtime.block_on(account.destroyable(data))?;
    for stack in &stacks {
        say(&format!("{} goes", stack.stack));
    }
    if !stacks.is_empty() && !yes {
        let region = &on_aws.aws.region;
        let answer = ask(&format!("to destroy this in {region}, type the name ({name}):"))?;
        if answer != *name {
            say("nothing was destroyed");
            return Err(finding());
        }
    }
    let mut progress = Progress::new();
    let destroyed = runtime.block_on(account.destroy(&stacks, &mut |event| progress.tell(event)));
    drop(progress);
    destroyed?;
    let data_stack = format!("{name}-{}", Part::Data);
    let stays = if data { None } else { runtime.block_on(account.stack(&data_stack))?.map(|_| data_stack) };
    written(match global.format {
        Format::Json => out::line(&json!({ "destroyed": stacks, "stays": stays }).to_string()),
        Format::Text => out::text(&text(&stacks, stays.as_deref())),
    })
}

fn text(stacks: &[Destroyed], stays: Option<&str>) -> String {
    let mut text = String::new();
    for stack in stacks {
        writeln!(text, "{}: destroyed", stack.stack).expect("a string takes all");
    }
    if stacks.is_empty() {
        text += "nothing to destroy\n";
    }
    let kept: Vec<_> = stacks.iter().flat_map(|stack| &stack.kept).collect();
    if !kept.is_empty() {
        text += "what these stacks retain stays, and costs as before:\n";
    }
    for kept in kept {
        writeln!(text, "  {}  {}", visible(&kept.resource_type), visible(&kept.name))
            .expect("a string takes all");
    }
    if let Some(stack) = stays {
        writeln!(text, "{stack} stays, with the data; `watchbell aws destroy --data` takes it down too")
            .expect("a string takes all");
    }
    text
}
