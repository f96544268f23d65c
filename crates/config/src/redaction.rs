//! `[redaction]`

use watchbell_intake::Redactor;
use watchbell_model::Redaction;

use crate::keys::quoted;
use crate::problem::{Problem, quote};
use crate::reader::{Field, Table};

/// What `presets` may have.
const PRESETS: [&str; 3] = ["cards", "tokens", "emails"];

/// Longest name of a pattern, in characters: it stands in lines.
const NAME_CHARS_MAX: usize = 64;

/// What to take out of lines; nothing if the file does not say. `None` if it is wrong, which is noted.
pub(crate) fn read(root: &mut Table<'_>) -> Option<Redaction> {
    let Some(field) = root.field("redaction") else { return Some(Redaction::default()) };
    let mut table = field.table("[redaction]".into())?;
    let mut redaction = Redaction::default();
    let presets = table.field("presets");
    let mut good = presets.is_none_or(|presets| read_presets(&presets, &mut redaction));
    for (name, field) in table.named("patterns", "pattern") {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.value.is_empty() || name.value.len() > NAME_CHARS_MAX || !name.value.chars().all(plain) {
            let message = format!("{} is no name of a pattern", quote(name.value));
            let help =
                format!("it stands in lines: write 1 to {NAME_CHARS_MAX} letters, digits, \"-\" and \"_\"");
            field.context.report(Problem::error(name.span.clone(), message).help(help));
            good = false;
        }
        match field.text().filter(|text| is_pattern(&field, name.value, text.value)) {
            Some(text) => drop(redaction.patterns.insert(name.value.to_owned(), text.value.to_owned())),
            None => good = false,
        }
    }
    table.finish();
    good.then_some(redaction)
}

fn read_presets(field: &Field<'_>, redaction: &mut Redaction) -> bool {
    let mut good = true;
    for preset in field.texts() {
        match preset.value {
            "cards" => redaction.cards = true,
            "tokens" => redaction.tokens = true,
            "emails" => redaction.emails = true,
            other => {
                let help = match field.context.suggest(other, PRESETS) {
                    Some(near) => format!("did you mean {}?", quote(near)),
                    None => format!("write some of {}", quoted(&PRESETS)),
                };
                let message = format!("{} cannot have {}", field.title(), quote(other));
                field.context.report(Problem::error(preset.span, message).help(help));
                good = false;
            }
        }
    }
    good
}

/// Whether the pattern can be looked for; what is wrong with it is noted.
fn is_pattern(field: &Field<'_>, name: &str, pattern: &str) -> bool {
    let one = Redaction { patterns: [(name.to_owned(), pattern.to_owned())].into(), ..Redaction::default() };
    let Err((_, error)) = Redactor::new(&one, &[]) else { return true };
    let reason = error.to_string();
    // The last line says what is wrong, those before it draw the pattern.
    let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let help =
        "write a regular expression as in 'session=(\\w+)' (https://docs.rs/regex/latest/regex/#syntax)";
    field.refuse(format!("{}: {reason}", field.title()), help);
    false
}
