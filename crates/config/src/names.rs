//! The names a file declares, and the resolution of mentions of them.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::DeTable;

use crate::keys;
use crate::problem::{Problem, quote};
use crate::reader::{Context, Text};

/// Most names that a help line lists.
const LISTED_NAMES_MAX: usize = 5;

/// Everything of one kind that the file declares, correct or not, by name.
pub(crate) struct Names<'a> {
    /// As messages call one: `metric filter`.
    noun: &'static str,
    /// The table it stands in: `metric_filters`.
    table: &'static str,
    places: BTreeMap<&'a str, Range<usize>>,
}

impl<'a> Names<'a> {
    pub(crate) fn of(document: &'a DeTable<'a>, table: &'static str, noun: &'static str) -> Names<'a> {
        let entries = document.get(table).and_then(|value| value.get_ref().as_table());
        let places =
            entries.into_iter().flatten().map(|(name, _)| (&**name.get_ref(), name.span())).collect();
        Names { noun, table, places }
    }

    /// Where `name` is declared, if it is.
    pub(crate) fn place(&self, name: &str) -> Option<&Range<usize>> {
        self.places.get(name)
    }

    /// Every name, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.places.keys().copied()
    }

    /// Whether `text` is declared; if not, that is noted. `user` is who mentions it, as messages name it.
    pub(crate) fn resolve(&self, context: &Context<'_>, text: &Text<'_>, user: &str) -> bool {
        if self.places.contains_key(text.value) {
            return true;
        }
        let message = format!("unknown {} {} in {user}", self.noun, quote(text.value));
        let problem = Problem::error(text.span.clone(), message)
            .label(format!("no [{}.{}] in this file", self.table, keys::spell(text.value)))
            .help(self.way_out(context, text.value));
        context.report_absence(problem);
        false
    }

    fn way_out(&self, context: &Context<'_>, wrong: &str) -> String {
        if let Some(near) = context.suggest(wrong, self.places.keys().copied()) {
            return format!("did you mean {} (line {})?", quote(near), context.line(self.places[near].start));
        }
        let listed: Vec<String> = self.places.keys().take(LISTED_NAMES_MAX).map(|name| quote(name)).collect();
        match self.places.len().saturating_sub(LISTED_NAMES_MAX) {
            _ if listed.is_empty() => format!("this file has no [{}.…]", self.table),
            0 => format!("this file has {}", listed.join(", ")),
            more => format!("this file has {} and {more} more", listed.join(", ")),
        }
    }
}
