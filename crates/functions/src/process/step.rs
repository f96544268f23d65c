//! The steps that need no program.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use watchbell_model::{Mapping, ParseKind, Severity, Step, matches_wildcard};

use super::event::Event;
use super::path::{get, remove, set, text};
use super::program::ProgramError;
use super::table::Table;

/// A step, ready.
pub(super) enum Ready {
    Parse(ParseKind),
    Set(BTreeMap<String, Value>),
    Rename(BTreeMap<String, String>),
    Drop(Vec<String>),
    Lookup { table: Arc<Table>, key: String, field: String },
    Severity(Mapping),
    App(Mapping),
}

impl Ready {
    /// Makes a step ready; `tables` are the files it may need, by path and column.
    pub(super) fn new(
        step: &Step,
        tables: &BTreeMap<(String, String), Arc<Table>>,
    ) -> Result<Ready, ProgramError> {
        Ok(match step {
            Step::Parse(kind) => Ready::Parse(*kind),
            Step::Set(values) => Ready::Set(values.clone()),
            Step::Rename(names) => Ready::Rename(names.clone()),
            Step::Drop(names) => Ready::Drop(names.clone()),
            Step::Lookup(lookup) => {
                let name = (lookup.file.clone(), lookup.column.clone());
                let table = tables.get(&name).cloned();
                let table = table.ok_or_else(|| ProgramError::NoTable { file: lookup.file.clone() })?;
                Ready::Lookup { table, key: lookup.key.clone(), field: lookup.field.clone() }
            }
            Step::Severity(mapping) => Ready::Severity(mapping.clone()),
            Step::App(mapping) => Ready::App(mapping.clone()),
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
    pub(super) fn apply(&self, event: &mut Event) -> Result<(), String> {
        match self {
            Ready::Parse(kind) => parse(*kind, event)?,
            Ready::Set(values) => {
                for (path, value) in values {
                    set(event.fields_mut(), path, value.clone());
                }
            }
            Ready::Rename(names) => {
                // All are taken out first: two fields can change places.
                let fields = event.fields_mut();
                let taken: Vec<(&String, Value)> =
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
                let row = get(fields, key).and_then(text).and_then(|key| table.row(&key));
                if let Some(row) = row {
                    set(fields, field, Value::Object(row.clone()));
                }
            }
            Ready::Severity(mapping) => {
                let as_it_stands = |word: String| severity(&word).map(str::to_owned);
                if let Some(word) = word(mapping, event, as_it_stands) {
                    set(event.fields_mut(), "severity", Value::String(word));
                }
            }
            Ready::App(mapping) => {
                if let Some(word) = word(mapping, event, Some) {
                    set(event.fields_mut(), "app", Value::String(word));
                }
            }
        }
        Ok(())
    }
}

fn parse(kind: ParseKind, event: &mut Event) -> Result<(), String> {
    let fields = watchbell_parse::parse(kind, event.original()).fields;
    let fields = fields.ok_or_else(|| format!("the text is not {}", spelled(kind)))?;
    let fields =
        serde_json::from_str(&fields).map_err(|error| format!("the text cannot be kept: {error}"))?;
    event.add(fields);
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
fn word(
    mapping: &Mapping,
    event: &mut Event,
    as_it_stands: impl Fn(String) -> Option<String>,
) -> Option<String> {
    let Mapping { from, map, default } = mapping;
    let found = from.as_ref().and_then(|from| get(event.fields_mut(), from).and_then(text));
    let word = found.and_then(|found| {
        if map.is_empty() {
            return as_it_stands(found);
        }
        let fitting = map.iter().filter(|(pattern, _)| matches_wildcard(pattern, &found));
        fitting.max_by_key(|(pattern, _)| pattern.len()).map(|(_, word)| word.clone())
    });
    word.or_else(|| default.clone())
}

/// The severity that a word such as `ERR` or `Warning` names.
fn severity(word: &str) -> Option<&'static str> {
    let line = json!({ "level": word }).to_string();
    match watchbell_parse::parse(ParseKind::Json, &line).severity {
        Severity::Unknown => None,
        severity => Some(severity.as_str()),
    }
}
