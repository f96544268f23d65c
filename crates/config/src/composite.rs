//! `[composite_alarms.NAME]`

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeTable;
use watchbell_expression::{AlarmRule, evaluation_order};
use watchbell_model::{ActionsSuppressor, Alarm, AlarmKind, CompositeAlarm};

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
    /// Alarms that may tell nobody: [`mentioned`].
    pub(crate) in_rules: &'n BTreeSet<String>,
}

/// The alarms that some rule in the file names or that suppress another, as far as that can be read.
pub(crate) fn mentioned(document: &DeTable<'_>) -> BTreeSet<String> {
    let entries = document.get("composite_alarms").and_then(|value| value.get_ref().as_table());
    let mut mentioned = BTreeSet::new();
    for table in entries.into_iter().flatten().filter_map(|(_, entry)| entry.get_ref().as_table()) {
        let text = |key| table.get(key).and_then(|value| value.get_ref().as_str());
        let rule = text("rule").and_then(|rule| AlarmRule::parse(rule).ok());
        mentioned.extend(rule.iter().flat_map(AlarmRule::names).map(|it| it.name.clone()));
        mentioned.extend(text("actions_suppressor").map(str::to_owned));
    }
    mentioned
}

/// Adds the composite alarms of a file to its other alarms.
pub(crate) fn read<'a>(root: &mut Table<'a>, mentions: &Mentions<'_, 'a>, alarms: &mut Alarms) {
    let mut all_uses: BTreeMap<String, (Vec<String>, Text<'a>)> = BTreeMap::new();
    for (name, entry) in root.named("composite_alarms", "composite alarm") {
        name::check(entry.context, &name::ALARM, name.value, name.span.clone());
        if let Some(place) = mentions.alarms.place(name.value) {
            let message = format!("{} is also the name of an alarm", quote(name.value));
            let help = format!("choose another name (line {})", entry.context.line(place.start));
            entry.context.report(Problem::error(name.span.clone(), message).help(help));
        }
        let Some(mut table) = entry.entry(&name) else { continue };
        let rule = table.need("rule").and_then(|field| rule(&field, mentions));
        let suppressor = suppressor(&mut table, mentions);
        let may_be_silent = mentions.in_rules.contains(name.value);
        let announcement = Announcement::read(&mut table, mentions.topics, &mut alarms.told, may_be_silent);
        table.finish();
        let (Some(rule), Ok(suppressor)) = (rule, suppressor) else { continue };
        let mut uses: Vec<String> = rule.names().iter().map(|it| it.name.clone()).collect();
        uses.extend(suppressor.as_ref().map(|it| it.alarm.clone()));
        let kind = AlarmKind::Composite(CompositeAlarm { rule: rule.to_string(), suppressor });
        alarms.plan.extend(announcement.of(kind).map(|alarm: Alarm| (name.value.to_owned(), alarm)));
        all_uses.insert(name.value.to_owned(), (uses, name));
    }
    refuse_circles(root, &all_uses);
}

/// A mistake that was reported.
struct Refused;

/// What holds the messages back, if the table names it.
fn suppressor(
    table: &mut Table<'_>,
    mentions: &Mentions<'_, '_>,
) -> Result<Option<ActionsSuppressor>, Refused> {
    let Some(field) = table.field("actions_suppressor") else {
        for period in ["actions_suppressor_wait_period", "actions_suppressor_extension_period"] {
            if let Some(field) = table.field(period) {
                let message = format!("{} is for an actions_suppressor, and there is none", field.title());
                field.refuse(message, "add actions_suppressor, or take this key out");
            }
        }
        return Ok(None);
    };
    let alarm = field.text().filter(|alarm| {
        let is_composite = mentions.composites.place(alarm.value).is_some();
        is_composite || mentions.alarms.resolve(field.context, alarm, field.owner())
    });
    let mut period_ms = |key| table.need(key).and_then(|field| field.duration_ms());
    let wait_period_ms = period_ms("actions_suppressor_wait_period");
    let extension_period_ms = period_ms("actions_suppressor_extension_period");
    let suppressor = || {
        Some(ActionsSuppressor {
            alarm: alarm?.value.to_owned(),
            wait_period_ms: wait_period_ms?,
            extension_period_ms: extension_period_ms?,
        })
    };
    suppressor().map(Some).ok_or(Refused)
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

fn refuse_circles(root: &Table<'_>, all_uses: &BTreeMap<String, (Vec<String>, Text<'_>)>) {
    let graph = all_uses.iter().map(|(name, (used, _))| {
        let used = used.iter().map(String::as_str).collect();
        (name.as_str(), used)
    });
    if let Err(circle) = evaluation_order(&graph.collect()) {
        // Closed, so that it is seen to be one.
        let closed: Vec<&str> = circle.iter().chain(circle.first()).copied().collect();
        let message = format!("composite alarms name each other in a circle: {}", closed.join(" → "));
        let place =
            circle.first().and_then(|name| all_uses.get(*name)).map_or(0..0, |(_, name)| name.span.clone());
        let help = "take one of them out of another's rule or actions_suppressor";
        root.context.report(Problem::error(place, message).help(help));
    }
}
