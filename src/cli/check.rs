//! `watchbell check`: everything that is wrong with the file, at once.

use std::fmt::Write as _;

use watchbell_config::Checked;
use watchbell_engine::alarms_that_fire_early;
use watchbell_model::Plan;

use super::file::File;
use super::{Format, Global, findings, written};
use crate::run::functions::load::load;
use crate::{ExitStatus, Failure, out};

pub(super) fn run(global: &Global) -> Result<(), Failure> {
    let file = File::read(&global.config)?;
    let Checked { plan, problems, .. } = findings::check(&file.source());
    let unready = plan.as_ref().and_then(|plan| load(plan).err());
    match global.format {
        Format::Json => {
            let report = watchbell_config::report(&problems, &file.source());
            written(out::line(&serde_json::to_string(&report).expect("a report is texts and numbers")))?;
        }
        Format::Text => {
            if !problems.is_empty() {
                written(out::line(
                    watchbell_config::render(&problems, &file.source(), out::colour()).trim_end(),
                ))?;
            }
            if let Some(plan) = plan.as_ref().filter(|_| unready.is_none()) {
                written(out::line(summary(&file.name, plan)?.trim_end()))?;
            }
        }
    }
    let unready =
        unready.map(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n       "));
    if plan.is_none() || unready.is_some() {
        return Err(Failure::new(ExitStatus::Configuration, unready.unwrap_or_default()));
    }
    Ok(())
}

fn summary(name: &str, plan: &Plan) -> Result<String, Failure> {
    let early =
        alarms_that_fire_early(plan).map_err(|error| Failure::new(ExitStatus::Configuration, error))?;
    let count = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let queues = match plan.queues.len() {
        0 => String::new(),
        queues => format!(", {}", count(queues, "queue")),
    };
    let functions = match plan.functions.len() {
        0 => String::new(),
        functions => format!(", {}", count(functions, "function")),
    };
    let mut text = format!(
        "{name} is good: {}, {}, {}, {}{queues}{functions}\n",
        count(plan.log_groups.len(), "log group"),
        count(plan.metric_filters.len(), "metric filter"),
        count(plan.alarms.len(), "alarm"),
        count(plan.topics.len(), "topic"),
    );
    let width = plan.alarms.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, alarm) in &plan.alarms {
        let when = if alarm.composite().is_some() {
            "follows the alarms in its rule"
        } else if early.contains(name) {
            "fires with the line that makes it certain"
        } else {
            "is decided at the end of each period"
        };
        writeln!(text, "  alarm {name:width$}  {when}").expect("writing to a string");
    }
    Ok(text)
}
