//! `[archive]`

use std::ops::RangeInclusive;

use watchbell_model::{Archive, Lifecycle, Tier};

use crate::keys::{self, quoted};
use crate::plan;
use crate::problem::quote;
use crate::reader::{DAY_MS, Field, Table};

/// The archive's folder in the data folder, if the file names no other.
const FOLDER_DEFAULT: &str = "archive";

/// Ages that steps of the lifecycle may have, in days.
const AFTER_DAYS: RangeInclusive<u32> = 1..=36_500;
/// Least days before infrequent access and in it. Source: Amazon S3 User Guide, "Transitioning objects using Amazon S3
/// Lifecycle", "Constraints and considerations".
const INFREQUENT_ACCESS_DAYS: i64 = 30;

/// The archive; every accepted line lands in one, so there is always one. `None` if it is wrong, which is noted.
pub(crate) fn read(root: &mut Table<'_>, data_dir: Option<&str>, is_on_aws: bool) -> Option<Archive> {
    let (mut folder, mut lifecycle) = (None, Some(Vec::new()));
    if let Some(field) = root.field("archive") {
        let mut table = field.table("[archive]".into())?;
        folder = table.field("url").map(|field| read_url(&field));
        lifecycle = table.or("lifecycle", Vec::new(), |field| read_lifecycle(field, is_on_aws));
        table.finish();
    }
    let folder = match folder {
        Some(folder) => folder?,
        None => format!("{}/{FOLDER_DEFAULT}", data_dir?.trim_end_matches('/')),
    };
    Some(Archive { folder, lifecycle: lifecycle? })
}

/// The steps; `None` if one is wrong, which is noted.
fn read_lifecycle(field: &Field<'_>, is_on_aws: bool) -> Option<Vec<Lifecycle>> {
    let mut steps: Vec<Lifecycle> = Vec::new();
    let mut is_good = true;
    for mut table in field.tables(&format!("{} of [archive]", quote("lifecycle"))) {
        let after_field = table.need("after");
        let to_field = table.need("to");
        let days = after_field.as_ref().and_then(|field| field.days_within(&AFTER_DAYS));
        let to: Option<Tier> = to_field.as_ref().and_then(|field| field.one_of(&[]));
        table.finish();
        let step = days.zip(to).map(|(days, to)| Lifecycle { after_ms: i64::from(days) * DAY_MS, to });
        let (Some(step), Some(after), Some(to)) = (step, after_field, to_field) else {
            is_good = false;
            continue;
        };
        if let Some(before) = steps.last() {
            let order = (before.after_ms < step.after_ms, before.to < step.to);
            if !order.0 {
                after.refuse(
                    format!("{} is not later than the step before", after.title()),
                    "write the steps in order of age",
                );
            }
            if !order.1 {
                let message = format!("{} is not colder than the step before", to.title());
                to.refuse(message, format!("the order is {}; expire is the last", quoted(keys::TIERS)));
            }
            is_good &= order.0 && order.1;
        }
        is_good &= !is_on_aws || is_taken_by_s3(&after, &step, steps.last());
        steps.push(step);
    }
    (is_good && steps.len() <= keys::TIERS.len()).then_some(steps)
}

/// Whether S3 takes the step behind the one before; what it does not take is noted.
fn is_taken_by_s3(after: &Field<'_>, step: &Lifecycle, before: Option<&Lifecycle>) -> bool {
    let days = step.after_ms / DAY_MS;
    let least = match before {
        _ if step.to == Tier::InfrequentAccess => INFREQUENT_ACCESS_DAYS,
        Some(before) if before.to == Tier::InfrequentAccess && step.to != Tier::Expire => {
            before.after_ms / DAY_MS + INFREQUENT_ACCESS_DAYS
        }
        _ => 0,
    };
    if days < least {
        let message = format!(
            "{}: S3 keeps objects for {INFREQUENT_ACCESS_DAYS} days before and in infrequent access",
            after.title()
        );
        after.refuse(message, format!("write \"{least}d\" or more"));
    }
    days >= least
}

fn read_url(field: &Field<'_>) -> Option<String> {
    let text = field.text()?.value;
    let help = "write a folder: \"./data/archive\" or \"file:///var/lib/watchbell/archive\"";
    if let Some(path) = text.strip_prefix("file://") {
        if !path.starts_with('/') || path.contains(['%', '?', '#']) {
            field.refuse(format!("{} is not a plain file:///path", field.title()), help);
            return None;
        }
        return plan::absolute_path(field, path);
    }
    match text.split_once("://") {
        Some((scheme @ ("s3" | "gs" | "az"), _)) => {
            field.refuse(format!("{}: {scheme}:// is not available in this version", field.title()), help);
            None
        }
        Some((scheme, _)) => {
            field.refuse(format!("{}: unknown kind of address {}", field.title(), quote(scheme)), help);
            None
        }
        None => plan::absolute_path(field, text),
    }
}
