//! `[mute_rules.NAME]`

use std::collections::BTreeMap;

use watchbell_model::{MuteRule, matches_wildcard};
use watchbell_schedule::{Limits, Part, Schedule, ScheduleError};

use crate::name;
use crate::problem::{Problem, quote};
use crate::reader::{Field, Table};

/// Used if `timezone` is absent.
const TIMEZONE_DEFAULT: &str = "UTC";

/// The mute rules of a file, whose alarms are `alarms`.
pub(crate) fn read(root: &mut Table<'_>, alarms: &[String]) -> BTreeMap<String, MuteRule> {
    let mut rules = BTreeMap::new();
    for (name, entry) in root.named("mute_rules", "mute rule") {
        name::check(entry.context, &name::MUTE_RULE, name.value, name.span.clone());
        let Some(table) = entry.entry(&name) else { continue };
        rules.extend(read_one(table, alarms).map(|rule| (name.value.to_owned(), rule)));
    }
    rules
}

fn read_one(mut table: Table<'_>, alarms: &[String]) -> Option<MuteRule> {
    let file = table.context.source.text;
    let muted = table.need("alarms").map(|field| muted(&field, alarms));
    let schedule_field = table.need("schedule");
    let schedule = schedule_field.as_ref().and_then(Field::text);
    let duration_field = table.need("duration");
    let duration_ms = duration_field.as_ref().and_then(Field::duration_ms);
    let timezone_field = table.field("timezone");
    let timezone = match &timezone_field {
        Some(field) => field.text().map(|text| text.value.to_owned()),
        None => Some(TIMEZONE_DEFAULT.to_owned()),
    };
    table.finish();
    let rule = MuteRule {
        alarms: muted?,
        schedule: schedule.as_ref()?.value.to_owned(),
        duration_ms: duration_ms?,
        timezone: timezone?,
    };
    // Each part beside good ones, so that all mistakes are told at once; then the parts together.
    let (any_schedule, any_ms, any_zone) = ("cron(0 0 * * *)", 60_000, TIMEZONE_DEFAULT);
    let error_in =
        |schedule, duration_ms, zone| Schedule::parse(schedule, duration_ms, zone, Limits::NONE).err();
    let alone = [
        error_in(&rule.schedule, any_ms, any_zone),
        error_in(any_schedule, rule.duration_ms, any_zone),
        error_in(any_schedule, any_ms, &rule.timezone),
    ];
    let mut errors: Vec<ScheduleError> = alone.into_iter().flatten().collect();
    if errors.is_empty() {
        errors.extend(error_in(&rule.schedule, rule.duration_ms, &rule.timezone));
    }
    let is_good = errors.is_empty();
    for error in errors {
        let (place, at) = match error.part {
            Part::Expression => (&schedule_field, schedule.as_ref().map(|text| text.part(file, &error.span))),
            Part::Zone if timezone_field.is_some() => (&timezone_field, None),
            Part::Zone => (&schedule_field, None),
            Part::Duration | Part::Limits => (&duration_field, None),
        };
        if let Some(field) = place {
            field.refuse_at(at.unwrap_or_else(|| field.span()), &error.message, Some(error.help));
        }
    }
    is_good.then_some(rule)
}

/// The alarms that keep quiet; a pattern that fits none is noted.
fn muted(field: &Field<'_>, alarms: &[String]) -> Vec<String> {
    let mut muted = Vec::new();
    for text in field.texts() {
        if !alarms.iter().any(|alarm| matches_wildcard(text.value, alarm)) {
            let message = format!("{}: no alarm is called {}", field.title(), quote(text.value));
            let help = match field.context.suggest(text.value, alarms.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {}?", quote(near)),
                None => "name an alarm or a composite alarm; * stands for any run of characters".to_owned(),
            };
            field.context.report_absence(Problem::error(text.span.clone(), message).help(help));
        }
        muted.push(text.value.to_owned());
    }
    muted
}
