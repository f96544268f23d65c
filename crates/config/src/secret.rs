//! References to secrets, and the refusal of secrets themselves.
//!
//! Promise: no message made here repeats what stands in the file.

use toml::de::DeValue;
use watchbell_model::SecretRef;

use crate::path;
use crate::problem::{Problem, quote};
use crate::reader::Field;

/// How a reference is written, as a help line says it.
const HOW_TO: &str =
    "write { env = \"NAME\" } and set the variable, or { file = \"path\" } and put the secret there";
/// The kinds of references this version reads.
const KINDS: [&str; 2] = ["env", "file"];

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
    let message = format!("{} must have exactly one of \"env\" and \"file\"", field.title());
    field.context.report(Problem::error(field.span(), message).help(HOW_TO));
    None
}

fn refuse_kind(field: &Field<'_>, kind: &str, span: std::ops::Range<usize>) {
    let problem = if kind == "secret" {
        Problem::error(
            span,
            format!("{}: the store of secrets is not available in this version", field.title()),
        )
        .help(HOW_TO)
    } else {
        let help = field.context.suggest(kind, KINDS).map(|near| format!("did you mean {}?", quote(near)));
        Problem::error(span, format!("unknown kind of reference {} in {}", quote(kind), field.title()))
            .help(help.unwrap_or_else(|| HOW_TO.into()))
    };
    field.context.report(problem);
}

fn reference(field: &Field<'_>, kind: &str, text: &str, span: std::ops::Range<usize>) -> Option<SecretRef> {
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
