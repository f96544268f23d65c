//! `[log_groups.NAME]`

use std::collections::BTreeMap;

use toml::de::DeValue;
use watchbell_intake::Joiner;
use watchbell_model::{
    GroupName, LogGroup, Multiline, MultilineBy, ParseKind, StartAt, TimestampFrom, WrittenTime,
};
use watchbell_parse::{TimestampError, Timestamps, zone_names};

use crate::problem::{Problem, quote};
use crate::reader::{Context, DAY_MS, Field, Table, Text};
use crate::{input, name, path};

/// Longest lateness, in milliseconds: an alarm that waits a day for its lines is of no use.
const LATENESS_MS_MAX: i64 = 86_400_000;
/// Used if `lateness` is absent, in milliseconds.
const LATENESS_MS_DEFAULT: i64 = 10_000;
/// What `retention` may be, in milliseconds: the longest is that of CloudWatch Logs.
const RETENTION_MS: std::ops::RangeInclusive<i64> = DAY_MS..=3653 * DAY_MS;
/// How long the last event of a file may wait for more lines, in milliseconds.
const MULTILINE_TIMEOUT_MS: std::ops::RangeInclusive<i64> = 100..=60_000;
/// Used if `timeout` is absent, in milliseconds.
const MULTILINE_TIMEOUT_MS_DEFAULT: i64 = 1000;
/// Largest `lines_max`.
const MULTILINE_LINES_MAX: u32 = 10_000;
/// Used if `lines_max` is absent.
const MULTILINE_LINES_DEFAULT: u32 = 500;
/// Parsers of the design that do not exist yet.
const PARSE_LATER: &[&str] = &["common", "nginx", "apache", "clf", "cri", "docker", "regex", "auto"];

pub(crate) fn read(root: &mut Table<'_>) -> BTreeMap<GroupName, LogGroup> {
    let mut groups = BTreeMap::new();
    let mut listeners = input::Listeners::default();
    for (name, entry) in root.named("log_groups", "log group") {
        let group_name = group_name(&entry, &name);
        let group = entry.entry(&name).map(|table| read_one(table, &name));
        if let Some(Some(group)) = &group {
            listeners.add(entry.context, &name, &group.inputs);
        }
        if let (Some(name), Some(Some(group))) = (group_name, group) {
            groups.insert(name, group);
        }
    }
    groups
}

/// Log groups of what Watchbell says of itself begin with this.
const RESERVED: &str = "watchbell/";

fn group_name(entry: &Field<'_>, name: &Text<'_>) -> Option<GroupName> {
    if name.value.starts_with(RESERVED) {
        let message = format!("log group {} begins with {}", quote(name.value), quote(RESERVED));
        let problem =
            Problem::error(name.span.clone(), message).label("kept for what Watchbell archives of itself");
        entry.context.report(problem.help("choose another name"));
        return None;
    }
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
    let inputs = input::read(&mut table);
    let parse = match table.field("parse") {
        Some(field) => field.one_of(PARSE_LATER),
        None if inputs.syslog.is_some() => Some(ParseKind::Syslog),
        None if inputs.otlp.is_some() => Some(ParseKind::Json),
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
    let multiline = table.field("multiline").map(|field| multiline(&field));
    let retention_ms =
        table.optional("retention", |field| field.duration_ms_within(&RETENTION_MS, "\"1d\" to \"3653d\""));
    table.finish();
    Some(LogGroup {
        retention_ms: retention_ms?,
        files,
        app: app?,
        parse: parse?,
        timestamp: timestamp?,
        lateness_ms: lateness_ms?,
        start: start?,
        multiline: match multiline {
            Some(multiline) => Some(multiline?),
            None => None,
        },
        inputs,
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

/// `multiline = "java"`, or `{ preset | start, timeout, lines_max }`.
fn multiline(field: &Field<'_>) -> Option<Multiline> {
    let DeValue::Table(_) = field.value() else {
        let by = field.one_of(&[])?;
        return Some(Multiline {
            by,
            timeout_ms: MULTILINE_TIMEOUT_MS_DEFAULT,
            lines_max: MULTILINE_LINES_DEFAULT,
        });
    };
    let mut table = field.table(format!("{} of {}", quote("multiline"), field.owner()))?;
    let [preset, start, timeout, lines_max] =
        ["preset", "start", "timeout", "lines_max"].map(|key| table.field(key));
    let by = match (&preset, &start) {
        (Some(preset), None) => preset.one_of(&[]),
        (None, Some(start)) => {
            let by = start.text().map(|text| MultilineBy::Start(text.value.to_owned()));
            by.filter(|by| is_pattern(start, by))
        }
        _ => {
            let message = format!("{} must have exactly one of \"preset\" and \"start\"", table.title);
            let help = "write { preset = \"java\" }, or start = '^\\d{4}-' for the first line of each event";
            field.refuse(message, help);
            None
        }
    };
    let timeout_ms = match &timeout {
        Some(timeout) => timeout.duration_ms().filter(|ms| {
            let fits = MULTILINE_TIMEOUT_MS.contains(ms);
            if !fits {
                timeout.refuse(format!("{} is out of range", timeout.title()), "write \"100ms\" to \"60s\"");
            }
            fits
        }),
        None => Some(MULTILINE_TIMEOUT_MS_DEFAULT),
    };
    let lines_max = match &lines_max {
        Some(field) => field.count().filter(|lines| {
            let fits = *lines <= MULTILINE_LINES_MAX;
            if !fits {
                field.refuse(
                    format!("{} is out of range", field.title()),
                    format!("write 1 to {MULTILINE_LINES_MAX}"),
                );
            }
            fits
        }),
        None => Some(MULTILINE_LINES_DEFAULT),
    };
    table.finish();
    Some(Multiline { by: by?, timeout_ms: timeout_ms?, lines_max: lines_max? })
}

/// Whether the pattern compiles; what is wrong with it is noted.
fn is_pattern(field: &Field<'_>, by: &MultilineBy) -> bool {
    let settings = Multiline { by: by.clone(), timeout_ms: 0, lines_max: 1 };
    let compiled = Joiner::new(&settings);
    if let Err(error) = &compiled {
        let reason = error.to_string();
        // The last line says what is wrong, those before it draw the pattern.
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let help = "write a regular expression as in '^\\d{4}-\\d\\d-\\d\\d ' (https://docs.rs/regex/latest/regex/#syntax)";
        field.refuse(format!("{}: {reason}", field.title()), help);
    }
    compiled.is_ok()
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
