//! `[log_groups.NAME]`

use std::collections::BTreeMap;

use toml::de::DeValue;
use watchbell_model::{GroupName, LogGroup, ParseKind, StartAt, TimestampFrom, WrittenTime};
use watchbell_parse::{TimestampError, Timestamps, zone_names};

use crate::problem::{Problem, quote};
use crate::reader::{Context, Field, Table, Text};
use crate::{name, path};

/// Longest lateness, in milliseconds: an alarm that waits a day for its lines is of no use.
const LATENESS_MS_MAX: i64 = 86_400_000;
/// Used if `lateness` is absent, in milliseconds.
const LATENESS_MS_DEFAULT: i64 = 10_000;
/// Parsers of the design that do not exist yet.
const PARSE_LATER: &[&str] = &["common", "nginx", "apache", "clf", "cri", "docker", "regex", "auto"];

pub(crate) fn read(root: &mut Table<'_>) -> BTreeMap<GroupName, LogGroup> {
    let mut groups = BTreeMap::new();
    for (name, entry) in root.named("log_groups", "log group") {
        let group_name = group_name(&entry, &name);
        let group = entry.entry(&name).map(|table| read_one(table, &name));
        if let (Some(name), Some(Some(group))) = (group_name, group) {
            groups.insert(name, group);
        }
    }
    groups
}

fn group_name(entry: &Field<'_>, name: &Text<'_>) -> Option<GroupName> {
    GroupName::new(name.value)
        .map_err(|error| {
            let problem = Problem::error(name.span.clone(), error.to_string()).label("not a possible name");
            entry.context.report(problem);
        })
        .ok()
}

fn read_one(mut table: Table<'_>, name: &Text<'_>) -> Option<LogGroup> {
    let files = files(&mut table);
    let app = app(&mut table, name);
    let parse = match table.field("parse") {
        Some(field) => field.one_of(PARSE_LATER),
        None => Some(ParseKind::Plain),
    };
    let timestamp = timestamp(&mut table, parse);
    let lateness_ms = match table.field("lateness") {
        Some(field) => lateness_ms(&field),
        None => Some(LATENESS_MS_DEFAULT),
    };
    let start = match table.field("start") {
        Some(field) => field.one_of(&[]),
        None => Some(StartAt::Beginning),
    };
    table.finish();
    Some(LogGroup {
        files,
        app: app?,
        parse: parse?,
        timestamp: timestamp?,
        lateness_ms: lateness_ms?,
        start: start?,
    })
}

/// The globs, absolute. Wrong ones are noted and left out.
fn files(table: &mut Table<'_>) -> Vec<String> {
    let Some(field) = table.field("files") else { return Vec::new() };
    let absolute = |glob: &Text<'_>| {
        path::absolute_glob(field.context.source.folder, glob.value)
            .map_err(|reason| {
                let message = format!("{}: {} {reason}", field.title(), quote(glob.value));
                let help = "write a path with * ? [a-z] within a part and ** for any folders";
                field.context.report(Problem::error(glob.span.clone(), message).help(help));
            })
            .ok()
    };
    field.texts().iter().filter_map(absolute).collect()
}

fn app(table: &mut Table<'_>, name: &Text<'_>) -> Option<String> {
    let Some(field) = table.field("app") else {
        return GroupName::new(name.value).ok().map(|name| name.first_part().to_owned());
    };
    let text = field.text()?;
    name::check(table.context, &name::APP, text.value, text.span).then(|| text.value.to_owned())
}

/// Where timestamps come from. `parse` is `None` if it was wrong; then nothing is held against it.
fn timestamp(table: &mut Table<'_>, parse: Option<ParseKind>) -> Option<TimestampFrom> {
    let is_plain = parse == Some(ParseKind::Plain);
    let Some(field) = table.field("timestamp") else {
        return Some(if is_plain { TimestampFrom::Arrival } else { TimestampFrom::Line });
    };
    if let DeValue::Table(_) = field.value() {
        return written_time(field.table(format!("{} of {}", quote("timestamp"), table.title))?, parse);
    }
    let text = field.text()?;
    // A format such as "%Y-%m-%d" is the design's; a misspelt word is a mistake.
    if text.value.contains('%') {
        let help = format!("write timestamp = {{ format = {} }}", quote(text.value));
        field.refuse(format!("{}: a format stands in a table", field.title()), help);
        return None;
    }
    let from = field.one_of(&[])?;
    if is_plain && from == TimestampFrom::Line {
        let message =
            format!("{} cannot be \"line\": plain lines have no known place for a time", field.title());
        let help = "set parse, say how they write it as timestamp = { format = \"%Y-%m-%d %H:%M:%S\" }, or write \"arrival\"";
        field.refuse(message, help);
        return None;
    }
    Some(from)
}

/// `timestamp = { format, after, zone }`.
fn written_time(mut table: Table<'_>, parse: Option<ParseKind>) -> Option<TimestampFrom> {
    let [format, after, zone] = ["format", "after", "zone"].map(|key| table.field(key));
    let text = |field: &Option<Field<'_>>| match field {
        Some(field) => field.text().map(|text| Some(text.value.to_owned())),
        None => Some(None),
    };
    let (context, place, title) = (table.context, table.place.clone(), table.title.clone());
    let (format_text, after_text, zone_text) = (text(&format), text(&after), text(&zone));
    table.finish();
    if let (Some(after), None) = (&after, &format) {
        after.refuse(format!("{} has no \"format\" beside it", after.title()), "say how the time is written");
        return None;
    }
    let written = WrittenTime { format: format_text?, after: after_text?, zone: zone_text? };
    let from = TimestampFrom::Written(written);
    let Err(error) = Timestamps::new(parse?, &from) else { return Some(from) };
    let wrong = if matches!(error, TimestampError::Zone { .. }) { &zone } else { &format };
    let (span, title) = wrong.as_ref().map_or((place, title), |field| (field.span(), field.title()));
    let problem = Problem::error(span, format!("{title}: {error}"));
    context.report(problem.help(way_out(context, &error)));
    None
}

/// What to write where a time cannot be read as told.
fn way_out(context: &Context<'_>, error: &TimestampError) -> String {
    match error {
        TimestampError::Zone { zone } => {
            let names = zone_names();
            match context.suggest(zone, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {}?", quote(near)),
                None => "write an IANA name such as \"Europe/Berlin\" or \"UTC\"".into(),
            }
        }
        TimestampError::NotPlain => "leave out format, or parse".into(),
        TimestampError::NoPlace => {
            "add format = \"%Y-%m-%d %H:%M:%S\" as the lines have it, or set parse".into()
        }
        TimestampError::Directive(_) | TimestampError::Incomplete | TimestampError::TooLong { .. } => {
            "write it as in \"%Y-%m-%d %H:%M:%S\", \"%d/%b/%Y %H:%M:%S %z\" or \"%b %d %H:%M:%S\"".into()
        }
    }
}

fn lateness_ms(field: &Field<'_>) -> Option<i64> {
    let lateness_ms = field.duration_ms()?;
    if lateness_ms > LATENESS_MS_MAX {
        field.refuse(
            format!("{} is more than a day", field.title()),
            "alarms wait that long; write seconds or minutes",
        );
        return None;
    }
    Some(lateness_ms)
}
