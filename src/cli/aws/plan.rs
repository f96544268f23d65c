//! `watchbell aws plan`: what deploying would change.

use std::fmt::Write as _;

use serde_json::json;
use watchbell_notify::{visible, visible_cut};

use super::OnAws;
use super::cost::Costs;
use super::session::Session;
use crate::aws::{Action, Change, Property, StackPlan, Step, Wanted};
use crate::cli::{Format, Global, written};
use crate::{Failure, out};

/// How much of a value is shown, in characters.
const VALUE_WIDTH: usize = 72;

pub(super) fn run(global: &Global) -> Result<(), Failure> {
    let on_aws = OnAws::read(global)?;
    let wanted: Vec<Wanted> = on_aws.stacks()?.iter().map(Wanted::from).collect();
    let session = Session::open(&on_aws.aws)?;
    let plans = session.runtime.block_on(session.account.plan(&wanted))?;
    written(match global.format {
        Format::Json => out::line(&json!({ "stacks": plans, "cost": Costs::of(&plans).json() }).to_string()),
        Format::Text => out::text(&text(&plans, out::colour())),
    })
}

/// Whether there is anything to do.
pub(super) fn is_empty(plans: &[StackPlan]) -> bool {
    plans.iter().all(|plan| plan.step == Step::Nothing)
}

/// The plan for people.
pub(super) fn text(plans: &[StackPlan], colour: bool) -> String {
    let mut text = String::new();
    for plan in plans {
        writeln!(text, "{}: {}", plan.stack, step(plan.step)).expect("a string takes all");
        if !plan.unknown.is_empty() {
            let unknown = plan.unknown.join(", ");
            writeln!(
                text,
                "  compared as texts: {unknown} will be known when the stacks before it are deployed"
            )
            .expect("a string takes all");
        }
        for change in &plan.changes {
            text += &one(change, colour);
        }
    }
    text + &sum(plans) + &Costs::of(plans).text()
}

fn step(step: Step) -> &'static str {
    match step {
        Step::Create => "is made",
        Step::Recreate => "is made anew: its creation was rolled back, what is left of it is deleted first",
        Step::Update => "is changed",
        Step::Nothing => "stays as it is",
        Step::Delete => "is deleted: the plan has no use for it",
    }
}

fn one(change: &Change, colour: bool) -> String {
    let (sign, code, note) = match change.action {
        Action::Add => ("+", "32", ""),
        Action::Import => ("=", "32", "  is there, and becomes part of the stack"),
        Action::Modify => ("~", "33", ""),
        Action::MayReplace => ("±", "31", "  MAY BE REPLACED"),
        Action::Replace => ("±", "1;31", "  IS REPLACED"),
        Action::Remove => ("-", "31", ""),
    };
    let line = format!("{sign} {}  {}{note}", visible(&change.resource), visible(&change.resource_type));
    let mut text = if colour { format!("  \x1b[{code}m{line}\x1b[0m\n") } else { format!("  {line}\n") };
    for property in &change.properties {
        writeln!(text, "      {}", values(property)).expect("a string takes all");
    }
    text
}

fn values(property: &Property) -> String {
    let Property { path, before, after, because_of } = property;
    let path = visible(path);
    let shown = |value: &Option<String>| {
        value.as_ref().map_or_else(|| "(none)".to_owned(), |value| visible_cut(value, VALUE_WIDTH))
    };
    match because_of {
        _ if before.is_some() || after.is_some() => format!("{path}: {} -> {}", shown(before), shown(after)),
        Some(because_of) => format!("{path}: follows {}", visible(because_of)),
        None => path,
    }
}

/// `3 resources are made, 1 is changed, 1 is replaced.`
fn sum(plans: &[StackPlan]) -> String {
    let counted = |is: fn(Action) -> bool| {
        plans.iter().flat_map(|plan| &plan.changes).filter(|change| is(change.action)).count()
    };
    let counts = [
        (counted(|action| action == Action::Add), "to make"),
        (counted(|action| action == Action::Import), "to take in"),
        (counted(|action| action == Action::Modify), "to change"),
        (counted(|action| matches!(action, Action::Replace | Action::MayReplace)), "to replace"),
        (counted(|action| action == Action::Remove), "to remove"),
    ];
    let told: Vec<String> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    match (told.is_empty(), is_empty(plans)) {
        (true, true) => "nothing to do\n".to_owned(),
        // Outputs, tags or values that no resource shows.
        (true, false) => "no resource changes\n".to_owned(),
        _ => format!("resources: {}\n", told.join(", ")),
    }
}
