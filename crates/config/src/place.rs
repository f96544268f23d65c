//! Where something stands in a file, for those who check more of a plan than this crate knows.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::Source;

/// The bytes of the value under a path of keys from the top, such as `["alarms", "slow", "period"]`; an entry of an
/// array is named by its number, from 0. Where the path ends early, the last key that is there, in full; the file's
/// beginning if there is none.
pub fn place(source: &Source<'_>, path: &[String]) -> Range<usize> {
    let (document, _) = DeTable::parse_recoverable(source.text);
    let mut found = 0..0;
    let mut table = document.get_ref();
    let mut keys = path.iter();
    while let Some(key) = keys.next() {
        let Some((name, value)) = table.get_key_value(key.as_str()) else { return found };
        let mut value = value;
        found = if keys.len() == 0 { value.span() } else { name.span() };
        while let DeValue::Array(items) = value.get_ref() {
            let at = keys.clone().next().and_then(|key| key.parse::<usize>().ok());
            let Some(item) = at.and_then(|at| items.get(at)) else { return found };
            keys.next();
            (value, found) = (item, item.span());
        }
        let DeValue::Table(inner) = value.get_ref() else { return found };
        // A table's own place is its header's key, not all that is in it.
        if keys.len() == 0 && !source.text[value.span()].starts_with('{') {
            return name.span();
        }
        table = inner;
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn shown<'t>(text: &'t str, path: &[&str]) -> &'t str {
        let source = Source { name: "watchbell.toml", text, folder: Path::new("/x") };
        let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
        &text[place(&source, &path)]
    }

    #[test]
    fn a_value_a_table_and_what_is_missing_have_their_places() {
        let text = "version = 1\n[alarms.slow]\nperiod = \"60s\"\nnotify = [\"a\", \"b\"]\n[log_groups.\"x/y\"]\n\
            otlp = { service = \"s\" }\n[[maintenance]]\nname = \"m\"\n[[maintenance]]\nname = \"n\"\n";
        assert_eq!(shown(text, &["alarms", "slow", "period"]), "\"60s\"");
        assert_eq!(shown(text, &["alarms", "slow", "notify", "1"]), "\"b\"");
        assert_eq!(shown(text, &["alarms", "slow", "threshold"]), "slow");
        assert_eq!(shown(text, &["alarms", "slow"]), "slow");
        assert_eq!(shown(text, &["log_groups", "x/y", "otlp"]), "{ service = \"s\" }");
        assert_eq!(shown(text, &["log_groups", "x/y"]), "\"x/y\"");
        assert_eq!(shown(text, &["maintenance", "1", "name"]), "\"n\"");
        assert_eq!(shown(text, &["queues", "events"]), "");
    }
}
