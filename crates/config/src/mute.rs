//! `[mute_rules.NAME]`

use std::collections::BTreeMap;

use watchbell_model::{MuteRule, matches_wildcard};

use crate::name;
use crate::problem::{Problem, quote};
use crate::reader::{Field, Table};
use crate::schedule::{self, Places, TIMEZONE_DEFAULT};

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
        schedule: schedule?.value.to_owned(),
        duration_ms: duration_ms?,
        timezone: timezone?,
    };
    let places = Places {
        schedule: schedule_field.as_ref(),
        duration: duration_field.as_ref(),
        timezone: timezone_field.as_ref(),
    };
    schedule::is_good(&rule.schedule, rule.duration_ms, &rule.timezone, &places).then_some(rule)
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
