//! `watchbell aws status`: the stacks as they are.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::json;
use watchbell_aws::Part;
use watchbell_model::Timestamp;
use watchbell_notify::{visible, visible_cut};

use super::OnAws;
use super::session::Session;
use crate::aws::{Account, AwsError, Deployed, Drift, Standing};
use crate::cli::{Format, Global, finding, written};
use crate::{Failure, out};

/// How much of a value is shown, in characters.
const VALUE_WIDTH: usize = 72;

/// A stack that the plan has or once had.
#[derive(Serialize)]
struct Line {
    stack: String,
    part: String,
    #[serde(flatten)]
    deployed: Option<Deployed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<Drift>,
}

pub(super) fn run(global: &Global, drift: bool) -> Result<(), Failure> {
    let on_aws = OnAws::read(global)?;
    let Session { runtime, account } = Session::open(&on_aws.aws)?;
    let lines = runtime.block_on(lines(&account, &on_aws.aws.name, drift))?;
    written(match global.format {
        Format::Json => out::line(&json!({ "stacks": lines }).to_string()),
        Format::Text => out::text(&lines.iter().map(text).collect::<String>()),
    })?;
    let has_drifted =
        lines.iter().filter_map(|line| line.drift.as_ref()).any(|drift| !drift.resources.is_empty());
    if has_drifted { Err(finding()) } else { Ok(()) }
}

async fn lines(account: &Account, name: &str, drift: bool) -> Result<Vec<Line>, AwsError> {
    let mut lines = Vec::new();
    for part in Part::ALL {
        let stack = format!("{name}-{part}");
        let deployed = account.stack(&stack).await?;
        let can_drift = deployed.as_ref().is_some_and(|deployed| deployed.standing() == Standing::Ready);
        let drift = if drift && can_drift { Some(account.drift(&stack).await?) } else { None };
        lines.push(Line { stack, part: part.to_string(), deployed, drift });
    }
    Ok(lines)
}

fn text(line: &Line) -> String {
    let Some(deployed) = &line.deployed else { return format!("{}: not there\n", line.stack) };
    let changed = Timestamp(deployed.changed_s.saturating_mul(1000));
    let mut text = format!("{}: {}, changed {changed}\n", line.stack, visible(&deployed.status));
    if let Some(reason) = &deployed.reason {
        writeln!(text, "  {}", visible(reason)).expect("a string takes all");
    }
    for (name, value) in &deployed.outputs {
        writeln!(text, "  {} = {}", visible(name), visible(value)).expect("a string takes all");
    }
    for drifted in line.drift.iter().flat_map(|drift| &drift.resources) {
        writeln!(
            text,
            "  drift: {} ({}) is {}",
            visible(&drifted.resource),
            visible(&drifted.resource_type),
            visible(&drifted.status)
        )
        .expect("a string takes all");
        for property in &drifted.properties {
            let shown = |value: &Option<String>| {
                value.as_ref().map_or_else(|| "(none)".to_owned(), |value| visible_cut(value, VALUE_WIDTH))
            };
            let (should, is) = (shown(&property.before), shown(&property.after));
            writeln!(text, "      {}: {is}, deployed as {should}", visible(&property.path))
                .expect("a string takes all");
        }
    }
    match &line.drift {
        Some(drift) if drift.resources.is_empty() => text + &format!("  drift: {}\n", visible(&drift.status)),
        _ => text,
    }
}
