//! References to secrets, the refusal of secrets themselves, and `[secrets.NAME]`: what is known of stored ones.
//!
//! Promise: no message made here repeats what stands in the file.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use toml::de::DeValue;
use watchbell_model::{SecretPlan, SecretRef};

use crate::path;
use crate::problem::{Problem, quote};
use crate::reader::{Field, Table};

/// How a reference is written, as a help line says it.
const HOW_TO: &str =
    "write { env = \"NAME\" } and set the variable, or { file = \"path\" } and put the secret there";
/// The kinds of references.
const KINDS: [&str; 3] = ["env", "file", "secret"];

/// Longest name of a stored secret, in characters.
const NAME_CHARS_MAX: usize = 64;
/// What such a name is made of, as a help line says it.
const NAME_RULE: &str = "a name has 1 to 64 letters, digits, \"-\" and \"_\"";
/// Longest description. Source: AWS Secrets Manager API Reference, `CreateSecret`, `Description`.
const DESCRIPTION_CHARS_MAX: usize = 2048;
/// What `rotate_after` may be, in days. Source: the same, `RotationRulesType`, `AutomaticallyAfterDays`.
const ROTATE_AFTER_DAYS: RangeInclusive<u32> = 1..=1000;

/// The stored secrets that the file describes. The readers of references note those that are only referred to.
pub(crate) fn read_stored(root: &mut Table<'_>) -> BTreeMap<String, SecretPlan> {
    let mut secrets = BTreeMap::new();
    for (name, entry) in root.named("secrets", "secret") {
        if !is_stored_name(name.value) {
            let message = format!("{} is not the name of a stored secret", quote(name.value));
            entry.context.report(Problem::error(name.span.clone(), message).help(NAME_RULE));
        }
        let Some(mut table) = entry.entry(&name) else { continue };
        let description =
            table.optional("description", |field| field.text_up_to(DESCRIPTION_CHARS_MAX).map(str::to_owned));
        let rotate_after_ms = table.optional("rotate_after", |field| {
            field.days_within(&ROTATE_AFTER_DAYS).map(|days| i64::from(days) * 86_400_000)
        });
        table.finish();
        if let (Some(description), Some(rotate_after_ms)) = (description, rotate_after_ms) {
            secrets.insert(name.value.to_owned(), SecretPlan { description, rotate_after_ms });
        }
    }
    secrets
}

fn is_stored_name(text: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// The reference a field holds; anything else is noted.
pub(crate) fn read(field: &Field<'_>) -> Option<SecretRef> {
    let DeValue::Table(entries) = field.value() else {
        let message = match field.value() {
            DeValue::String(_) => {
                format!("{} holds a secret, which must not stand in the file", field.title())
            }
            _ => format!("{} must be a reference to a secret", field.title()),
        };
        field.context.report(Problem::error(field.span(), message).label("not a reference").help(HOW_TO));
        return None;
    };
    let mut read = None;
    for (key, value) in entries {
        let kind: &str = key.get_ref();
        if !KINDS.contains(&kind) {
            refuse_kind(field, kind, key.span());
        } else if let DeValue::String(text) = value.get_ref() {
            read = self::reference(field, kind, text, value.span());
        } else {
            let message = format!("{}: {} must be a string", field.title(), quote(kind));
            field.context.report(Problem::error(value.span(), message).help(HOW_TO));
        }
    }
    if entries.len() == 1 {
        return read;
    }
    let message = format!("{} must have exactly one of \"env\", \"file\" and \"secret\"", field.title());
    field.context.report(Problem::error(field.span(), message).help(HOW_TO));
    None
}

fn refuse_kind(field: &Field<'_>, kind: &str, span: std::ops::Range<usize>) {
    let help = field.context.suggest(kind, KINDS).map(|near| format!("did you mean {}?", quote(near)));
    let message = format!("unknown kind of reference {} in {}", quote(kind), field.title());
    field.context.report(Problem::error(span, message).help(help.unwrap_or_else(|| HOW_TO.into())));
}

fn reference(field: &Field<'_>, kind: &str, text: &str, span: std::ops::Range<usize>) -> Option<SecretRef> {
    if kind == "secret" {
        if !is_stored_name(text) {
            let message = format!("{}: this is not the name of a stored secret", field.title());
            field.context.report(Problem::error(span, message).help(NAME_RULE));
            return None;
        }
        field.context.refer_to_stored(text);
        return Some(SecretRef::Store(text.to_owned()));
    }
    if kind == "env" {
        if is_variable(text) {
            return Some(SecretRef::Env(text.to_owned()));
        }
        let message = format!("{}: this is not the name of an environment variable", field.title());
        field.context.report(
            Problem::error(span, message)
                .help("a name has letters, digits and \"_\", and does not start with a digit"),
        );
        return None;
    }
    path::absolute(field.context.source.folder, text)
        .map_err(|reason| {
            let message = format!("{}: the path {reason}", field.title());
            field.context.report(Problem::error(span, message).help(HOW_TO));
        })
        .ok()
        .map(SecretRef::File)
}

/// Whether a shell would take the text as the name of a variable.
pub(crate) fn is_variable(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
