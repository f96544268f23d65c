//! `[queues.NAME]`

use std::collections::BTreeMap;

use watchbell_model::{GroupName, LogGroup, Queue, matches_wildcard};

use crate::name;
use crate::problem::{Problem, quote};
use crate::reader::{Field, Table};

/// Least and most of a duration.
struct Bounds {
    ms: [i64; 2],
    spelled: &'static str,
}

/// Of `visibility_timeout`. Source: Amazon SQS API Reference, `SetQueueAttributes`.
const VISIBILITY_TIMEOUT: Bounds = Bounds { ms: [0, 12 * 3_600_000], spelled: "\"0s\" to \"12h\"" };
/// Of both retentions. Source: the same, `MessageRetentionPeriod`.
const RETENTION: Bounds = Bounds { ms: [60_000, 14 * 86_400_000], spelled: "\"60s\" to \"14d\"" };
/// Most receives. Source: the same, `RedrivePolicy`, `maxReceiveCount`.
const MAX_RECEIVES_MAX: u32 = 1000;

/// Used if `visibility_timeout` is absent, in milliseconds.
const VISIBILITY_TIMEOUT_MS_DEFAULT: i64 = 30_000;
/// Used if `max_receives` is absent.
const MAX_RECEIVES_DEFAULT: u32 = 10;
/// Used if `retention` is absent, in milliseconds.
const RETENTION_MS_DEFAULT: i64 = 4 * 86_400_000;
/// Used if `dead_letter_retention` is absent, in milliseconds.
const DEAD_LETTER_RETENTION_MS_DEFAULT: i64 = 14 * 86_400_000;

/// The queues of a file, whose log groups are `groups`.
pub(crate) fn read(root: &mut Table<'_>, groups: &BTreeMap<GroupName, LogGroup>) -> BTreeMap<String, Queue> {
    let mut queues = BTreeMap::new();
    for (name, entry) in root.named("queues", "queue") {
        if name::check(entry.context, &name::QUEUE, name.value, name.span.clone()) {
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if !name.value.chars().all(fits) {
                let message =
                    format!("a queue name has letters, digits, - and _ only, not {}", quote(name.value));
                entry.context.report(Problem::error(name.span.clone(), message).label("not a possible name"));
            }
        }
        let Some(table) = entry.entry(&name) else { continue };
        queues.extend(read_one(table, groups).map(|queue| (name.value.to_owned(), queue)));
    }
    queues
}

fn read_one(mut table: Table<'_>, groups: &BTreeMap<GroupName, LogGroup>) -> Option<Queue> {
    let log_groups = table.field("log_groups").map_or_else(Vec::new, |field| log_groups(&field, groups));
    let alarms = match table.field("alarms") {
        Some(field) => field.flag(),
        None => Some(false),
    };
    if log_groups.is_empty() && alarms == Some(false) {
        let problem = Problem::error(table.place.clone(), format!("{} gets nothing", table.title));
        let help = "say log_groups = [\"NAME\"], alarms = true, or both";
        table.context.report_absence(problem.help(help));
    }
    let visibility_timeout_ms =
        within(&mut table, "visibility_timeout", &VISIBILITY_TIMEOUT, VISIBILITY_TIMEOUT_MS_DEFAULT);
    let max_receives = match table.field("max_receives") {
        Some(field) => max_receives(&field),
        None => Some(MAX_RECEIVES_DEFAULT),
    };
    let retention_ms = within(&mut table, "retention", &RETENTION, RETENTION_MS_DEFAULT);
    let dead_letter_retention_ms =
        within(&mut table, "dead_letter_retention", &RETENTION, DEAD_LETTER_RETENTION_MS_DEFAULT);
    if let (Some(retention_ms), Some(dead_ms)) = (retention_ms, dead_letter_retention_ms)
        && dead_ms < retention_ms
        && let Some(field) = table.field("dead_letter_retention")
    {
        let message = format!("{} is shorter than \"retention\"", field.title());
        field.refuse(message, "both run from when the message was enqueued; write at least as much");
        table.finish();
        return None;
    }
    table.finish();
    Some(Queue {
        log_groups,
        alarms: alarms?,
        visibility_timeout_ms: visibility_timeout_ms?,
        max_receives: max_receives?,
        retention_ms: retention_ms?,
        dead_letter_retention_ms: dead_letter_retention_ms?,
    })
}

/// The patterns; one that fits no log group is noted.
fn log_groups(field: &Field<'_>, groups: &BTreeMap<GroupName, LogGroup>) -> Vec<String> {
    let mut patterns = Vec::new();
    for text in field.texts() {
        if !groups.keys().any(|group| matches_wildcard(text.value, group.as_str())) {
            let message = format!("{}: no log group is called {}", field.title(), quote(text.value));
            let help = match field.context.suggest(text.value, groups.keys().map(GroupName::as_str)) {
                Some(near) => format!("did you mean {}?", quote(near)),
                None => "name a log group of this file; * stands for any run of characters".to_owned(),
            };
            field.context.report_absence(Problem::error(text.span.clone(), message).help(help));
        }
        patterns.push(text.value.to_owned());
    }
    patterns
}

/// A duration of the table, within bounds.
fn within(table: &mut Table<'_>, key: &str, bounds: &Bounds, default: i64) -> Option<i64> {
    let Some(field) = table.field(key) else { return Some(default) };
    let ms = field.duration_ms()?;
    let [least, most] = bounds.ms;
    if !(least..=most).contains(&ms) {
        field.refuse(format!("{} is out of range", field.title()), format!("write {}", bounds.spelled));
        return None;
    }
    Some(ms)
}

fn max_receives(field: &Field<'_>) -> Option<u32> {
    let count = field.count()?;
    if count > MAX_RECEIVES_MAX {
        field.refuse(format!("{} is out of range", field.title()), format!("write 1 to {MAX_RECEIVES_MAX}"));
        return None;
    }
    Some(count)
}
