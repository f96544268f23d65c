//! The steps that need no program.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use watchbell_model::{ParseKind, Severity, Step};

use super::event::Event;
use super::path::{get, remove, set};
use super::program::ProgramError;
use super::table::Table;
use super::value::{Fields, Value};
use super::words::Words;

/// A step, ready.
pub(super) enum Ready {
    Parse(ParseKind),
    Set(BTreeMap<String, Value<'static>>),
    Rename(BTreeMap<String, String>),
    Drop(Vec<String>),
    Lookup { table: Arc<Table>, key: String, field: String },
    Severity(Words),
    App(Words),
}

impl Ready {
    /// Makes a step ready; `tables` are the files it may need, by path and column.
    pub(super) fn new(
        step: &Step,
        tables: &BTreeMap<(String, String), Arc<Table>>,
    ) -> Result<Ready, ProgramError> {
        Ok(match step {
            Step::Parse(kind) => Ready::Parse(*kind),
            Step::Set(values) => {
                let ready = values.iter().map(|(path, value)| (path.clone(), value.clone().into()));
                Ready::Set(ready.collect())
            }
            Step::Rename(names) => Ready::Rename(names.clone()),
            Step::Drop(names) => Ready::Drop(names.clone()),
            Step::Lookup(lookup) => {
                let name = (lookup.file.clone(), lookup.column.clone());
                let table = tables.get(&name).cloned();
                let table = table.ok_or_else(|| ProgramError::NoTable { file: lookup.file.clone() })?;
                Ready::Lookup { table, key: lookup.key.clone(), field: lookup.field.clone() }
            }
            Step::Severity(mapping) => Ready::Severity(Words::new(mapping)),
            Step::App(mapping) => Ready::App(Words::new(mapping)),
        })
    }

    /// As messages call it.
    pub(super) fn name(&self) -> String {
        match self {
            Ready::Parse(kind) => format!("parse {}", json!(kind)),
            Ready::Set(_) => "set".to_owned(),
            Ready::Rename(_) => "rename".to_owned(),
            Ready::Drop(_) => "drop".to_owned(),
            Ready::Lookup { .. } => "lookup".to_owned(),
            Ready::Severity(_) => "severity".to_owned(),
            Ready::App(_) => "app".to_owned(),
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// Why it cannot be done with this event.
    pub(super) fn apply<'a>(&'a self, event: &mut Event<'a>) -> Result<(), String> {
        match self {
            Ready::Parse(kind) => parse(*kind, event)?,
            Ready::Set(values) => {
                for (path, value) in values {
                    set(event.fields_mut(), path, value.view());
                }
            }
            Ready::Rename(names) => {
                // All are taken out first: two fields can change places.
                let fields = event.fields_mut();
                let taken: Vec<(&String, Value<'_>)> =
                    names.iter().filter_map(|(old, new)| Some((new, remove(fields, old)?))).collect();
                for (new, value) in taken {
                    set(fields, new, value);
                }
            }
            Ready::Drop(names) => {
                let fields = event.fields_mut();
                for name in names {
                    remove(fields, name);
                }
            }
            Ready::Lookup { table, key, field } => {
                let fields = event.fields_mut();
                let row = get(fields, key).and_then(Value::text).and_then(|key| table.row(&key));
                if let Some(row) = row {
                    set(fields, field, Value::Object(row.view()));
                }
            }
            Ready::Severity(words) => {
                let as_it_stands = |word: &str| severity(word).map(Cow::Borrowed);
                if let Some(word) = word(words, event, as_it_stands) {
                    set(event.fields_mut(), "severity", Value::Text(word));
                }
            }
            Ready::App(words) => {
                let as_it_stands = |word: &str| Some(Cow::Owned(word.to_owned()));
                if let Some(word) = word(words, event, as_it_stands) {
                    set(event.fields_mut(), "app", Value::Text(word));
                }
            }
        }
        Ok(())
    }
}

fn parse(kind: ParseKind, event: &mut Event<'_>) -> Result<(), String> {
    // What JSON says is read where it stands: `watchbell_parse` takes an object exactly if it can be read, and gives it as
    // it stands but for spaces. Should it not be one, it says whether it has the form at least.
    let text = event.original();
    if kind == ParseKind::Json && event.fields_read().read(text).is_ok() {
        return Ok(());
    }
    let fields = watchbell_parse::parse(kind, text).fields;
    let fields = fields.ok_or_else(|| format!("the text is not {}", spelled(kind)))?;
    let mut read = Fields::default();
    read.read(&fields).map_err(|error| format!("the text cannot be kept: {error}"))?;
    event.fields_read().extend(read.into_owned());
    Ok(())
}

fn spelled(kind: ParseKind) -> &'static str {
    match kind {
        ParseKind::Plain => "plain text",
        ParseKind::Combined => "a line of an access log",
        ParseKind::Json => "a JSON object",
        ParseKind::Syslog => "a line of syslog",
        ParseKind::Logfmt => "logfmt",
    }
}

/// The word of a mapping; a field without a table of words stands for itself, as `as_it_stands` reads it.
fn word<'a>(
    words: &'a Words,
    event: &mut Event<'a>,
    as_it_stands: impl Fn(&str) -> Option<Cow<'a, str>>,
) -> Option<Cow<'a, str>> {
    let found = words.from.as_ref().and_then(|from| get(event.fields_mut(), from)?.text());
    let word = found.and_then(|found| {
        if words.is_empty() { as_it_stands(&found) } else { words.word(&found).map(Cow::Borrowed) }
    });
    word.or_else(|| words.default.as_deref().map(Cow::Borrowed))
}

/// The severity that a word such as `ERR` or `Warning` names.
fn severity(word: &str) -> Option<&'static str> {
    let line = format!("{{\"level\":{}}}", serde_json::to_string(word).expect("a text is JSON"));
    match watchbell_parse::parse(ParseKind::Json, &line).severity {
        Severity::Unknown => None,
        severity => Some(severity.as_str()),
    }
}
