//! `[composite_alarms.NAME]`

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeTable;
use watchbell_expression::{AlarmRule, evaluation_order};
use watchbell_model::{Alarm, AlarmKind, CompositeAlarm};

use crate::alarm::{Alarms, Announcement};
use crate::name;
use crate::names::Names;
use crate::problem::{Problem, quote};
use crate::reader::{Field, Table, Text};

/// What composite alarms may mention.
pub(crate) struct Mentions<'n, 'a> {
    pub(crate) alarms: &'n Names<'a>,
    pub(crate) composites: &'n Names<'a>,
    pub(crate) topics: &'n Names<'a>,
}

/// The alarms that some rule in the file names, as far as rules can be read.
pub(crate) fn mentioned(document: &DeTable<'_>) -> BTreeSet<String> {
    let entries = document.get("composite_alarms").and_then(|value| value.get_ref().as_table());
    let rules = entries.into_iter().flatten().filter_map(|(_, entry)| {
        let rule = entry.get_ref().as_table()?.get("rule")?.get_ref().as_str()?;
        AlarmRule::parse(rule).ok()
    });
    rules.flat_map(|rule| rule.names().iter().map(|it| it.name.clone()).collect::<Vec<_>>()).collect()
}

/// Adds the composite alarms of a file to its other alarms.
pub(crate) fn read<'a>(root: &mut Table<'a>, mentions: &Mentions<'_, 'a>, alarms: &mut Alarms) {
    let mut rules: BTreeMap<String, (AlarmRule, Text<'a>)> = BTreeMap::new();
    for (name, entry) in root.named("composite_alarms", "composite alarm") {
        name::check(entry.context, &name::ALARM, name.value, name.span.clone());
        if let Some(place) = mentions.alarms.place(name.value) {
            let message = format!("{} is also the name of an alarm", quote(name.value));
            let help = format!("choose another name (line {})", entry.context.line(place.start));
            entry.context.report(Problem::error(name.span.clone(), message).help(help));
        }
        let Some(mut table) = entry.entry(&name) else { continue };
        let rule = table.need("rule").and_then(|field| rule(&field, mentions));
        let announcement = Announcement::read(&mut table, mentions.topics, &mut alarms.told, false);
        table.finish();
        let Some(rule) = rule else { continue };
        let kind = AlarmKind::Composite(CompositeAlarm { rule: rule.to_string() });
        alarms.plan.extend(announcement.of(kind).map(|alarm: Alarm| (name.value.to_owned(), alarm)));
        rules.insert(name.value.to_owned(), (rule, name));
    }
    refuse_circles(root, &rules);
}

/// The rule, if it parses and names only alarms of the file.
fn rule(field: &Field<'_>, mentions: &Mentions<'_, '_>) -> Option<AlarmRule> {
    let text = field.text()?;
    let file = field.context.source.text;
    let rule = match AlarmRule::parse(text.value) {
        Ok(rule) => rule,
        Err(error) => {
            field.refuse_at(text.part(file, &error.span), &error.message, error.help);
            return None;
        }
    };
    let mut is_known = true;
    for reference in rule.names() {
        if mentions.composites.place(&reference.name).is_some() {
            continue;
        }
        let name = Text { value: &reference.name, span: text.part(file, &reference.span) };
        is_known &= mentions.alarms.resolve(field.context, &name, field.owner());
    }
    is_known.then_some(rule)
}

fn refuse_circles(root: &Table<'_>, rules: &BTreeMap<String, (AlarmRule, Text<'_>)>) {
    let used = |rule: &AlarmRule| rule.names().iter().map(|it| it.name.clone()).collect::<Vec<_>>();
    let used: BTreeMap<&str, Vec<String>> =
        rules.iter().map(|(name, (rule, _))| (name.as_str(), used(rule))).collect();
    let uses = used.iter().map(|(name, used)| (*name, used.iter().map(String::as_str).collect())).collect();
    if let Err(circle) = evaluation_order(&uses) {
        let message = format!("composite alarms name each other in a circle: {}", circle.join(" → "));
        let place =
            circle.first().and_then(|name| rules.get(*name)).map_or(0..0, |(_, name)| name.span.clone());
        root.context.report(Problem::error(place, message).help("take one of them out of another's rule"));
    }
}
