//! The reference pages list exactly the keys of the table. `UPDATE=1` rewrites the lists; the diff is the review.

use std::fmt::Write;
use std::path::Path;

use watchbell_config::{KEYS, Key, Kind, OnAws, Presence};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference");
const BEGIN: &str = "<!-- keys: written by crates/config/tests/reference.rs -->\n";
const END: &str = "<!-- end of keys -->\n";

fn kind(kind: Kind) -> String {
    let name = match kind {
        Kind::Version => "the integer `1`",
        Kind::Text => "string",
        Kind::Path => "path",
        Kind::Url => "address",
        Kind::SocketAddress => "IP address and port",
        Kind::Duration => "duration",
        Kind::Size => "size",
        Kind::Percent => "percentage",
        Kind::Rate | Kind::SizeRate => "rate",
        Kind::Clock => "time of day",
        Kind::Date => "date",
        Kind::Count => "positive integer",
        Kind::Flag => "`true` or `false`",
        Kind::Lines => "lines",
        Kind::Condition => "condition",
        Kind::Datapoints => "`M of N`",
        Kind::OneOf(words) => return choices(words),
        Kind::OneOfOrTable(words) => return format!("{} or table", choices(words)),
        Kind::Texts => "string or array of strings",
        Kind::Statistic => "statistic",
        Kind::MetricMath => "metric math",
        Kind::AlarmRule => "alarm rule",
        Kind::Schedule => "schedule",
        Kind::Scalar => "string, number, `true` or `false`",
        Kind::Number => "number",
        Kind::NumberOrSelector => "number or selector",
        Kind::Secret => "secret reference",
        Kind::UrlOrSecret => "address or secret reference",
        Kind::Table | Kind::Named => "table",
        Kind::Tables => "table or array of tables",
        Kind::Unavailable => "",
    };
    name.to_owned()
}

fn choices(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" ")
}

fn presence(presence: Presence) -> String {
    match presence {
        Presence::Required => "required".to_owned(),
        Presence::Optional => String::new(),
        Presence::Default(value) => format!("`{value}`"),
    }
}

/// `log_groups.*.files` as a reader of the file sees it.
fn shown(path: &str) -> String {
    path.replace('*', "NAME")
}

fn row(out: &mut String, key: &Key) {
    let (kind, presence) = (kind(key.kind), presence(key.presence));
    writeln!(out, "| `{}` | {kind} | {presence} | {} |", key.name(), key.doc).expect("writing to a string");
}

fn tables() -> String {
    let mut out = String::new();
    let mut parents: Vec<&str> = Vec::new();
    for key in KEYS.iter().filter(|key| key.is_available() && key.name() != "*") {
        if !parents.contains(&key.parent()) {
            parents.push(key.parent());
        }
    }
    for parent in parents {
        match parent {
            "" => out.push_str("\n## Top of the file\n\n"),
            parent => {
                write!(out, "\n## `[{}]`\n\n", shown(parent)).expect("writing to a string");
            }
        }
        out.push_str("| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
        let keys = KEYS.iter().filter(|key| key.is_available() && key.parent() == parent);
        keys.for_each(|key| row(&mut out, key));
    }
    out.push_str("\n## Refused in this version\n\nThese keys are part of the design. A file that has one is refused as \"not available in this version\".\n\n");
    out.push_str("| key | what it will be |\n| --- | --- |\n");
    for key in KEYS.iter().filter(|key| !key.is_available()) {
        writeln!(out, "| `{}` | {} |", shown(key.path), key.doc).expect("writing to a string");
    }
    out.push('\n');
    out
}

/// What becomes of a key on AWS, as its row or that of the table it stands in says.
fn on_aws(key: &Key) -> String {
    let table =
        || KEYS.iter().find(|row| row.path == key.parent()).expect("a row that says so stands in a table");
    match key.on_aws {
        OnAws::Same => "same".to_owned(),
        OnAws::Only => "only there".to_owned(),
        OnAws::Difference(what) => format!("**difference**: {what}"),
        OnAws::Refused(why) => format!("**refused**: {why}"),
        OnAws::AsTable if table().on_aws == OnAws::Only => "only there".to_owned(),
        OnAws::AsTable if table().on_aws == OnAws::AsTable => on_aws(table()),
        OnAws::AsTable => format!("as `{}`", shown(table().path)),
    }
}

fn aws_table() -> String {
    let mut out = "\n| key | on AWS | in `watchbell up` |\n| --- | --- | --- |\n".to_owned();
    for key in KEYS.iter().filter(|key| key.is_available() && key.name() != "*") {
        let here = match key.gap {
            Some(gap) => format!("**not yet**: {gap}"),
            None if key.path == "aws" || key.path.starts_with("aws.") => "nothing".to_owned(),
            None => String::new(),
        };
        writeln!(out, "| `{}` | {} | {here} |", shown(key.path), on_aws(key)).expect("writing to a string");
    }
    out.push('\n');
    out
}

/// Holds what stands between the marks of a page against `expected`.
fn hold(page: &str, expected: &str) {
    let path = Path::new(FOLDER).join(page);
    let page = std::fs::read_to_string(&path).expect("the page is there");
    let (before, rest) = page.split_once(BEGIN).expect("the page marks where the keys begin");
    let (_, after) = rest.split_once(END).expect("the page marks where the keys end");
    let expected = format!("{before}{BEGIN}{expected}{END}{after}");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &expected).expect("the page can be written");
    } else {
        assert_eq!(page, expected, "run with UPDATE=1 and look at the diff");
    }
}

#[test]
fn the_reference_page_lists_every_key_as_the_table_has_it() {
    hold("configuration.md", &tables());
}

#[test]
fn the_page_about_aws_lists_what_becomes_of_every_key() {
    hold("aws-keys.md", &aws_table());
}
