//! `[[maintenance]]`

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use watchbell_model::{Maintenance, Work};

use crate::keys::{WORK, quoted};
use crate::problem::{Problem, quote};
use crate::reader::{Field, Table};
use crate::schedule::{self, Places, TIMEZONE_DEFAULT};
use crate::{path, plan};

/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 64;
/// How long it may take, in milliseconds. Source: AWS Systems Manager API Reference, `CreateMaintenanceWindow`,
/// `Duration`: 1 to 24 hours; shorter ones end earlier by themselves.
const TIMEOUT_MS: RangeInclusive<i64> = 60_000..=86_400_000;
/// Used if `timeout` is absent, in milliseconds.
const TIMEOUT_MS_DEFAULT: i64 = 3_600_000;
/// What `older_than` may be, in milliseconds: what is younger may still be written to.
const OLDER_THAN_MS: RangeInclusive<i64> = 3_600_000..=3650 * 86_400_000;

/// The work of a file, in its order.
pub(crate) fn read(root: &mut Table<'_>) -> Vec<Maintenance> {
    let Some(field) = root.field("maintenance") else { return Vec::new() };
    let mut names: BTreeMap<String, Range<usize>> = BTreeMap::new();
    field.tables("maintenance").into_iter().filter_map(|table| read_one(table, &mut names)).collect()
}

fn read_one(mut table: Table<'_>, names: &mut BTreeMap<String, Range<usize>>) -> Option<Maintenance> {
    let name = table.need("name").and_then(|field| name(&field, names));
    if let Some(name) = &name {
        table.title = format!("maintenance {}", quote(name));
    }
    let schedule_field = table.need("schedule");
    let schedule = schedule_field.as_ref().and_then(Field::text).map(|text| text.value.to_owned());
    let [timezone_field, timeout_field] = ["timezone", "timeout"].map(|key| table.field(key));
    let timezone = match &timezone_field {
        Some(field) => field.text().map(|text| text.value.to_owned()),
        None => Some(TIMEZONE_DEFAULT.to_owned()),
    };
    let timeout_ms = match &timeout_field {
        Some(field) => field.duration_ms_within(&TIMEOUT_MS, "\"1m\" to \"24h\""),
        None => Some(TIMEOUT_MS_DEFAULT),
    };
    let work = work(&mut table);
    table.finish();
    let places = Places {
        schedule: schedule_field.as_ref(),
        duration: timeout_field.as_ref(),
        timezone: timezone_field.as_ref(),
    };
    let (schedule, timezone) = (schedule?, timezone?);
    // A bad timeout is noted; the rest is looked at beside a good one.
    let is_good = schedule::is_good(&schedule, timeout_ms.unwrap_or(*TIMEOUT_MS.start()), &timezone, &places);
    let made = Maintenance { name: name?, schedule, timezone, timeout_ms: timeout_ms?, work: work? };
    is_good.then_some(made)
}

/// The name; one that is there twice is noted.
fn name(field: &Field<'_>, names: &mut BTreeMap<String, Range<usize>>) -> Option<String> {
    let text = field.text()?.value;
    let fits = (1..=NAME_CHARS_MAX).contains(&text.chars().count())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if !fits {
        let message = format!("{} cannot be {}", field.title(), quote(text));
        field.refuse(message, "write 1 to 64 letters, digits, \"-\", \"_\" and \".\"");
        return None;
    }
    if let Some(other) = names.insert(text.to_owned(), field.span()) {
        let line = field.context.line(other.start);
        field.refuse(
            format!("two maintenances are called {}", quote(text)),
            format!("the other is in line {line}"),
        );
        return None;
    }
    Some(text.to_owned())
}

/// Exactly one of [`WORK`].
fn work(table: &mut Table<'_>) -> Option<Work> {
    let [prune_field, run_field, patch_field] = ["prune", "run", "patch"].map(|key| table.field(key));
    let written: Vec<&Field<'_>> = [&prune_field, &run_field, &patch_field].into_iter().flatten().collect();
    if let [_, more, ..] = written[..] {
        let help = format!("keep one of {}, and give the other a [[maintenance]] of its own", quoted(WORK));
        more.refuse(format!("{} does more than one thing", table.title), help);
    }
    if written.is_empty() {
        let message = format!("{} does nothing: it has none of {}", table.title, quoted(WORK));
        let help = "write run = \"FILE\", patch = {}, or prune = { files = \"…\", older_than = \"14d\" }";
        table.context.report_absence(Problem::error(table.place.clone(), message).help(help));
    }
    let is_one = written.len() == 1;
    let prune = prune_field.as_ref().and_then(prune);
    let run = run_field.and_then(|field| plan::absolute_path(&field, field.text()?.value)).map(Work::Run);
    let patch = patch_field.as_ref().and_then(patch);
    prune.or(run).or(patch).filter(|_| is_one)
}

fn prune(field: &Field<'_>) -> Option<Work> {
    let mut table = field.table(format!("{} of {}", quote("prune"), field.owner()))?;
    let files = table.need("files").and_then(|field| {
        if field.is_empty_array() {
            field.refuse(
                format!("{} is empty", field.title()),
                "write a pattern, as in \"/var/log/app/*.gz\"",
            );
            return None;
        }
        field.texts().iter().map(|text| glob(&field, text)).collect::<Option<Vec<String>>>()
    });
    let older_than_ms = table
        .need("older_than")
        .and_then(|field| field.duration_ms_within(&OLDER_THAN_MS, "\"1h\" to \"3650d\""));
    table.finish();
    Some(Work::Prune { files: files?, older_than_ms: older_than_ms? })
}

fn glob(field: &Field<'_>, text: &crate::reader::Text<'_>) -> Option<String> {
    path::absolute_glob(field.context.source.folder, text.value)
        .map_err(|reason| {
            let message = format!("{}: {} {reason}", field.title(), quote(text.value));
            let help = "write a path with *, ?, [a-z] or ** in it";
            field.context.report(Problem::error(text.span.clone(), message).help(help));
        })
        .ok()
}

fn patch(field: &Field<'_>) -> Option<Work> {
    let mut table = field.table(format!("{} of {}", quote("patch"), field.owner()))?;
    let reboot = table.or("reboot", false, Field::flag);
    table.finish();
    Some(Work::Patch { reboot: reboot? })
}
