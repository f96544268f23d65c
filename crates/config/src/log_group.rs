//! `[log_groups.NAME]`

use std::collections::BTreeMap;

use watchbell_model::{GroupName, LogGroup, ParseKind, StartAt, TimestampFrom};

use crate::problem::{Problem, quote};
use crate::reader::{Field, Table, Text};
use crate::{name, path};

/// Longest lateness, in milliseconds: an alarm that waits a day for its lines is of no use.
const LATENESS_MS_MAX: i64 = 86_400_000;
/// Used if `lateness` is absent, in milliseconds.
const LATENESS_MS_DEFAULT: i64 = 10_000;
/// Parsers of the design that do not exist yet.
const PARSE_LATER: &[&str] =
    &["syslog", "logfmt", "common", "nginx", "apache", "clf", "cri", "docker", "regex", "auto"];

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
    let text = field.text()?;
    // A format such as "%Y-%m-%d" or "rfc3339" is the design's; a misspelt word is a mistake.
    if text.value.contains('%') || ["rfc3339", "iso8601", "unix", "epoch"].contains(&text.value) {
        let message = format!("{}: a format of one's own is not available in this version", field.title());
        field.refuse(message, "write \"line\" or \"arrival\"");
        return None;
    }
    let from = field.one_of(&[])?;
    if is_plain && from == TimestampFrom::Line {
        let message =
            format!("{} cannot be \"line\": plain lines have no known place for a time", field.title());
        field.refuse(message, "set parse, or write timestamp = \"arrival\"");
        return None;
    }
    Some(from)
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
