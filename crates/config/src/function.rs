//! `[functions.NAME]`

use std::collections::BTreeMap;

use serde_json::Value;
use toml::de::DeValue;
use watchbell_model::{
    Function, GroupName, Hook, Lookup, Mapping, ParseKind, Raise, RaiseTo, Remedy, Severity, Step, Workers,
};
use watchbell_pattern::Pattern;

use crate::keys::{RAISED, STEPS, quoted};
use crate::metric_filter::{self, Filters, Published};
use crate::name;
use crate::names::Names;
use crate::plan::absolute_path;
use crate::problem::{Problem, quote};
use crate::reader::{Field, Table};
use crate::{secret, topic};

/// Most that `workers.max` may be.
const WORKERS_MAX: u32 = 64;
/// Most steps, and things that are raised.
const STEPS_MAX: usize = 100;
const RAISED_MAX: usize = 20;

/// Used if `command.when` is absent.
const COMMAND_WHEN: &str = "{ $.detail.state.value = \"ALARM\" }";
/// Used if `command.per_hour` is absent, and the most it may be.
const PER_HOUR_DEFAULT: u32 = 3;
const PER_HOUR_MAX: u32 = 60;
/// Used if `command.timeout` is absent, in milliseconds.
const TIMEOUT_MS_DEFAULT: i64 = 60_000;

/// The names that functions may mention.
pub(crate) struct Mentions<'n, 'a> {
    pub(crate) queues: &'n Names<'a>,
    pub(crate) groups: &'n Names<'a>,
    /// Whether a queue gets log events, by its name.
    pub(crate) takes_lines: BTreeMap<String, bool>,
}

/// The functions of a file; the metrics that they raise come beside those of the filters.
pub(crate) fn read<'a>(
    root: &mut Table<'a>,
    mentions: &Mentions<'_, 'a>,
    filters: &mut Filters,
) -> BTreeMap<String, Function> {
    let mut functions = BTreeMap::new();
    let mut queues: BTreeMap<String, String> = BTreeMap::new();
    for (name, entry) in root.named("functions", "function") {
        name::check(entry.context, &name::FUNCTION, name.value, name.span.clone());
        let Some(table) = entry.entry(&name) else {
            filters.is_metric_unknown = true;
            continue;
        };
        let context = table.context;
        let place = table.place.clone();
        let Some(function) = read_one(table, name.value, mentions, filters) else { continue };
        if let Some(other) = queues.insert(function.queue.clone(), name.value.to_owned()) {
            let message = format!(
                "functions {} and {} share the queue {}",
                quote(&other),
                quote(name.value),
                quote(&function.queue)
            );
            let help =
                "each would get a part of its messages: give each a queue of its own, of the same log groups";
            context.report(Problem::error(place, message).help(help));
        }
        functions.insert(name.value.to_owned(), function);
    }
    functions
}

fn read_one<'a>(
    mut table: Table<'a>,
    name: &str,
    mentions: &Mentions<'_, 'a>,
    filters: &mut Filters,
) -> Option<Function> {
    let queue = table.need("queue").and_then(|field| field.text());
    let queue = queue.filter(|text| mentions.queues.resolve(table.context, text, &table.title));
    let steps = table.field("steps").map_or(Some(Vec::new()), |field| steps(&field, &table.title));
    let program = table
        .field("program")
        .map_or(Some(None), |field| absolute_path(&field, field.text()?.value).map(Some));
    let raise = table.field("raise").map_or(Some(Vec::new()), |field| {
        let raise = raises(&field, &table.title, mentions, filters);
        filters.is_metric_unknown |= raise.is_none();
        raise
    });
    let (hook_field, command_field) = (table.field("webhook"), table.field("command"));
    let hook = hook_field.as_ref().map_or(Some(None), |field| hook(field, &table.title).map(Some));
    let command =
        command_field.as_ref().map_or(Some(None), |field| remedy(field, &table.title, name).map(Some));
    if let (Some(field), Some(queue)) = (&command_field, &queue)
        && mentions.takes_lines.get(queue.value).is_some_and(|takes| *takes)
    {
        let message = format!("{}: the queue {} gets log events", field.title(), quote(queue.value));
        let help =
            "no command runs because of a log line: name a queue with alarms = true and without log_groups";
        field.refuse(message, help);
    }
    let does_something = hook_field.is_some() || command_field.is_some();
    if !does_something && raise.as_ref().is_some_and(Vec::is_empty) {
        let problem =
            Problem::error(table.place.clone(), format!("{} does nothing with its events", table.title));
        let help = "write raise = { log_group = \"NAME\" }, raise = { metric = { … } }, webhook or command";
        table.context.report_absence(problem.help(help));
    }
    let workers = match table.field("workers") {
        Some(field) => workers(&field, &table.title),
        None => Some(Workers { min: 1, max: 4 }),
    };
    table.finish();
    Some(Function {
        queue: queue?.value.to_owned(),
        steps: steps?,
        program: program?,
        raise: raise?,
        webhook: hook?,
        command: command?,
        workers: workers?,
    })
}

fn hook(field: &Field<'_>, owner: &str) -> Option<Hook> {
    let mut table = field.table(format!("the webhook of {owner}"))?;
    let url = table.need("url").and_then(|field| topic::url(&field));
    let signing_key = table.field("signing_key").map_or(Some(None), |field| secret::read(&field).map(Some));
    let when = table.field("when").map_or(Some(String::new()), |field| {
        metric_filter::pattern(&field).map(|pattern| pattern.as_str().to_owned())
    });
    table.finish();
    Some(Hook { url: url?, signing_key: signing_key?, when: when? })
}

fn remedy(field: &Field<'_>, owner: &str, name: &str) -> Option<Remedy> {
    let mut table = field.table(format!("the command of {owner}"))?;
    let run = table.need("run").and_then(|field| argv(&field));
    let armed = table.field("armed").map_or(Some(false), |field| field.flag());
    let when = table.field("when").map_or(Some(COMMAND_WHEN.to_owned()), |field| {
        metric_filter::pattern(&field).map(|pattern| pattern.as_str().to_owned())
    });
    let only_if = table.field("only_if").map_or(Some(Vec::new()), |field| argv(&field));
    let target =
        table.field("target").map_or(Some(name.to_owned()), |field| Some(field.text()?.value.to_owned()));
    let per_hour_max = table.field("per_hour").map_or(Some(PER_HOUR_DEFAULT), |field| {
        let count = field.count()?;
        if count > PER_HOUR_MAX {
            field.refuse(format!("{} is out of range", field.title()), format!("write 1 to {PER_HOUR_MAX}"));
        }
        (count <= PER_HOUR_MAX).then_some(count)
    });
    let mut within = |key: &str, ms: [i64; 2], spelled: &str| {
        let Some(field) = table.field(key) else { return Some(None) };
        let found = field.duration_ms()?;
        if !(ms[0]..=ms[1]).contains(&found) {
            field.refuse(format!("{} is out of range", field.title()), format!("write {spelled}"));
            return None;
        }
        Some(Some(found))
    };
    let timeout_ms = within("timeout", [1000, 3_600_000], "\"1s\" to \"1h\"");
    let check_after_ms = within("check_after", [1000, 86_400_000], "\"1s\" to \"1d\"");
    table.finish();
    Some(Remedy {
        run: run?,
        armed: armed?,
        when: when?,
        only_if: only_if?,
        target: target?,
        per_hour_max: per_hour_max?,
        timeout_ms: timeout_ms?.unwrap_or(TIMEOUT_MS_DEFAULT),
        check_after_ms: check_after_ms?,
    })
}

/// A program and its arguments. One that is written with a `/` is a path, seen from the file.
fn argv(field: &Field<'_>) -> Option<Vec<String>> {
    let mut argv: Vec<String> = field.texts().into_iter().map(|text| text.value.to_owned()).collect();
    let Some(program) = argv.first_mut().filter(|program| !program.is_empty()) else {
        field.refuse(format!("{} names no program", field.title()), "write [\"PROGRAM\", \"ARGUMENT\", …]");
        return None;
    };
    if program.contains('/') {
        *program = absolute_path(field, program)?;
    } else if program.contains(char::is_whitespace) {
        let message = format!("{}: no shell reads this, and {} is no program", field.title(), quote(program));
        field.refuse(
            message,
            "write the program and each argument as a string of its own: [\"PROGRAM\", \"ARGUMENT\"]",
        );
        return None;
    }
    if argv.iter().any(|part| part.contains('\0')) {
        field.refuse(format!("{} has a NUL character", field.title()), "remove it");
        return None;
    }
    Some(argv)
}

fn workers(field: &Field<'_>, owner: &str) -> Option<Workers> {
    let mut table = field.table(format!("the workers of {owner}"))?;
    let max_field = table.field("max");
    let min = table.field("min").map_or(Some(1), |field| field.count());
    let max = max_field.as_ref().map_or(min.map(|min| min.max(4)), Field::count);
    table.finish();
    let (min, max) = (min?, max?);
    let place = max_field.as_ref().unwrap_or(field);
    if max > WORKERS_MAX {
        place.refuse(format!("{} is out of range", place.title()), format!("write 1 to {WORKERS_MAX}"));
        return None;
    }
    if min > max {
        place.refuse(
            format!("{owner} has more workers at least than at most"),
            "write min = 1, or a larger max",
        );
        return None;
    }
    Some(Workers { min, max })
}

fn steps(field: &Field<'_>, owner: &str) -> Option<Vec<Step>> {
    let tables = field.tables(owner);
    if tables.len() > STEPS_MAX {
        field.refuse(
            format!("{} has {} steps, more than {STEPS_MAX}", field.title(), tables.len()),
            "split it",
        );
        return None;
    }
    let one = |(number, mut table): (usize, Table<'_>)| {
        table.title = format!("step {number} of {owner}");
        step(table)
    };
    // Every one is read, so that every mistake is said.
    let steps: Vec<Option<Step>> = (1..).zip(tables).map(one).collect();
    steps.into_iter().collect()
}

fn step(mut table: Table<'_>) -> Option<Step> {
    let fields: Vec<Option<Field<'_>>> = STEPS.iter().map(|key| table.field(key)).collect();
    let written: Vec<(&str, &Field<'_>)> =
        STEPS.iter().zip(&fields).filter_map(|(key, field)| Some((*key, field.as_ref()?))).collect();
    let title = table.title.clone();
    let read = match written[..] {
        [(key, field)] => one_step(key, field, &title),
        [] => {
            if !table.has_refused_keys() {
                let problem = Problem::error(table.place.clone(), format!("{title} does nothing"));
                table.context.report_absence(problem.help(format!("write one of {}", quoted(STEPS))));
            }
            None
        }
        [_, (_, second), ..] => {
            second.refuse(
                format!("{title} does more than one thing"),
                "write a table for each: [{ … }, { … }]",
            );
            None
        }
    };
    table.finish();
    read
}

fn one_step(key: &str, field: &Field<'_>, title: &str) -> Option<Step> {
    Some(match key {
        "parse" => Step::Parse(field.one_of::<ParseKind>(&[])?),
        "set" => {
            let mut values = BTreeMap::new();
            for (name, value) in field.named_entries("field") {
                values.insert(name.value.to_owned(), scalar(&value)?);
            }
            Step::Set(values)
        }
        "rename" => {
            let mut names = BTreeMap::new();
            for (name, value) in field.named_entries("field") {
                names.insert(name.value.to_owned(), value.text()?.value.to_owned());
            }
            Step::Rename(names)
        }
        "drop" => Step::Drop(field.texts().into_iter().map(|text| text.value.to_owned()).collect()),
        "lookup" => Step::Lookup(lookup(field, title)?),
        "severity" => Step::Severity(mapping(field, title, true)?),
        "app" => Step::App(mapping(field, title, false)?),
        _ => unreachable!("{key} is no step"),
    })
}

/// A string, number or flag.
fn scalar(field: &Field<'_>) -> Option<Value> {
    match field.value() {
        DeValue::String(text) => Some(Value::String(text.clone().into_owned())),
        DeValue::Boolean(flag) => Some(Value::Bool(*flag)),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => Some(Value::from(number)),
            Err(_) => field.number().map(Value::from),
        },
        DeValue::Float(_) => field.number().map(Value::from),
        _ => {
            field.mismatch();
            None
        }
    }
}

fn lookup(field: &Field<'_>, title: &str) -> Option<Lookup> {
    let mut table = field.table(format!("the lookup of {title}"))?;
    let file = table.need("file").and_then(|field| absolute_path(&field, field.text()?.value));
    let mut text =
        |key: &str| table.need(key).and_then(|field| field.text()).map(|text| text.value.to_owned());
    let (key, into) = (text("key"), text("field"));
    let column = match table.field("column") {
        Some(field) => field.text().map(|text| text.value.to_owned()),
        None => key.clone(),
    };
    table.finish();
    Some(Lookup { file: file?, key: key?, column: column?, field: into? })
}

fn mapping(field: &Field<'_>, title: &str, is_severity: bool) -> Option<Mapping> {
    let mut table = field.table(format!("the mapping of {title}"))?;
    let word = |field: &Field<'_>| {
        let text = field.text()?;
        if is_severity && !Severity::ALL.iter().any(|severity| severity.as_str() == text.value) {
            let words: Vec<&str> = Severity::ALL.iter().map(|severity| severity.as_str()).collect();
            let message = format!("{} is no severity: {}", field.title(), quote(text.value));
            field.refuse(message, format!("write one of {}", quoted(&words)));
            return None;
        }
        Some(text.value.to_owned())
    };
    let from = table.field("from").map_or(Some(None), |field| Some(Some(field.text()?.value.to_owned())));
    let named = table.named("map", "word");
    let map: Option<BTreeMap<String, String>> =
        named.iter().map(|(name, field)| Some((name.value.to_owned(), word(field)?))).collect();
    let default = table.field("default").map_or(Some(None), |field| word(&field).map(Some));
    if from == Some(None) {
        let message = format!("{title} depends on no field");
        let help = "write from = \"FIELD\"; for the same word always, use the step set";
        table.context.report_absence(Problem::error(table.place.clone(), message).help(help));
    }
    table.finish();
    Some(Mapping { from: Some(from??), map: map?, default: default? })
}

fn raises(
    field: &Field<'_>,
    owner: &str,
    mentions: &Mentions<'_, '_>,
    filters: &mut Filters,
) -> Option<Vec<Raise>> {
    let tables = field.tables(&format!("raise of {owner}"));
    if tables.len() > RAISED_MAX {
        field.refuse(
            format!("{} has {} tables, more than {RAISED_MAX}", field.title(), tables.len()),
            "split it",
        );
        return None;
    }
    let mut group: Option<String> = None;
    let mut raises = Some(Vec::new());
    for (number, table) in tables.into_iter().enumerate() {
        let key = format!("{owner} raise {number}");
        let read = raise(table, &key, mentions, filters, &mut group);
        match (raises.as_mut(), read) {
            (Some(raises), Some(read)) => raises.push(read),
            _ => raises = None,
        }
    }
    raises
}

fn raise(
    mut table: Table<'_>,
    key: &str,
    mentions: &Mentions<'_, '_>,
    filters: &mut Filters,
    group: &mut Option<String>,
) -> Option<Raise> {
    let when = match table.field("when") {
        Some(field) => metric_filter::pattern(&field),
        None => Some(Pattern::parse("").expect("the empty pattern matches all")),
    };
    let [log_group, metric] = RAISED.map(|key| table.field(key));
    let to = match (&log_group, &metric) {
        (Some(field), None) => to_group(field, mentions, group),
        (None, Some(field)) => {
            let inner = field.table(format!("the metric of {}", table.title));
            let lines_up = when.clone().map(|when| {
                if when.as_str().is_empty() {
                    Pattern::parse("{ $.x = * }").expect("a correct pattern")
                } else {
                    when
                }
            });
            let (named, written) =
                inner.map(|inner| metric_filter::read_raised(inner, lines_up.as_ref())).unwrap_or_default();
            if let Some((metric, dimensions, unit)) = named {
                let published = Published { metric, dimensions, unit, place: field.span() };
                filters.metrics.insert(key.to_owned(), published);
            }
            written.map(RaiseTo::Metric)
        }
        _ => {
            let place = log_group.as_ref().map_or(table.place.clone(), Field::span);
            let message = format!("{} must say either a log group or a metric", table.title);
            let help = "write { log_group = \"NAME\" } or { metric = { … } }; both are two tables";
            table.context.report_absence(Problem::error(place, message).help(help));
            None
        }
    };
    table.finish();
    Some(Raise { when: when?.as_str().to_owned(), to: to? })
}

/// All events of a function go into one log group: they stand in one entry with what completes their message.
fn to_group(field: &Field<'_>, mentions: &Mentions<'_, '_>, group: &mut Option<String>) -> Option<RaiseTo> {
    let text = field.text()?;
    if !mentions.groups.resolve(field.context, &text, field.owner()) {
        return None;
    }
    if let Some(first) = group.as_ref().filter(|first| *first != text.value) {
        let message = format!("{}: its events go to {} already", field.title(), quote(first));
        field.refuse(
            message,
            "a function raises events into one log group; write another function for the others",
        );
        return None;
    }
    *group = Some(text.value.to_owned());
    GroupName::new(text.value).ok().map(RaiseTo::LogGroup)
}
