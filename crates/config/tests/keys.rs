//! The table of keys, the reader and the schema know the same keys.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;
use toml::de::{DeTable, DeValue};
use watchbell_config::{KEYS, Key, Kind, Level, OnAws, Presence, Source, check, schema};

/// The good cases together use every key there is.
const GOOD: [&str; 15] = [
    include_str!("cases/design.toml"),
    include_str!("cases/access.toml"),
    include_str!("cases/every_key.toml"),
    include_str!("cases/metric_by_name.toml"),
    include_str!("cases/log_groups_of_all_kinds.toml"),
    include_str!("cases/archive_elsewhere.toml"),
    include_str!("cases/timestamps.toml"),
    include_str!("cases/redaction.toml"),
    include_str!("cases/queues.toml"),
    include_str!("cases/functions.toml"),
    include_str!("cases/agent.toml"),
    include_str!("cases/listen_with_tls.toml"),
    include_str!("cases/inputs.toml"),
    include_str!("cases/journal.toml"),
    include_str!("cases/on_aws.toml"),
];

fn kind(path: &str) -> Option<Kind> {
    KEYS.iter().find(|key| key.path == path).map(|key| key.kind)
}

/// Every path of a table and the tables in it, names as `*`.
fn paths(parent: &str, table: &DeTable<'_>, found: &mut BTreeSet<String>) {
    for (name, value) in table {
        let name = if kind(parent) == Some(Kind::Named) { "*" } else { name.get_ref() };
        let path = if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
        match value.get_ref() {
            DeValue::Table(table) if kind(&path) != Some(Kind::Secret) => paths(&path, table, found),
            DeValue::Array(items) => {
                for table in items.iter().filter_map(|item| item.get_ref().as_table()) {
                    paths(&path, table, found);
                }
            }
            _ => {}
        }
        found.insert(path);
    }
}

/// A key that is read has a row, or the reader stops; a row that is in a file and is not read stops it too. So
/// files that use every row settle it.
#[test]
fn every_key_of_the_table_is_read() {
    let mut found = BTreeSet::new();
    for text in GOOD {
        let checked = check(&Source { name: "watchbell.toml", text, folder: Path::new("/x") });
        assert!(checked.plan.is_some(), "{:?}", checked.problems);
        paths("", DeTable::parse(text).unwrap().get_ref(), &mut found);
    }
    let available = KEYS.iter().filter(|key| key.is_available()).map(|key| key.path);
    let unused: Vec<&str> = available.filter(|path| !found.contains(*path)).collect();
    assert!(unused.is_empty(), "no good case has {unused:?}");
}

#[test]
fn every_key_has_one_row_a_table_and_a_doc() {
    let paths: BTreeSet<&str> = KEYS.iter().map(|key| key.path).collect();
    assert_eq!(paths.len(), KEYS.len(), "a path has two rows");
    for key in KEYS {
        let is_doc = key.doc.starts_with(|c: char| c.is_lowercase() || c.is_uppercase() && key.doc.len() > 3);
        assert!(is_doc && !key.doc.ends_with('.'), "{}: {}", key.path, key.doc);
        let parent = kind(key.parent());
        let is_table = matches!(
            parent,
            Some(Kind::Table | Kind::Tables | Kind::Named | Kind::OneOfOrTable(_) | Kind::Lines)
        );
        assert!(key.parent().is_empty() || is_table, "{} stands in no table", key.path);
    }
}

/// What a row says of AWS, and of `up`, is said where the key stands: rows of names and of tables in arrays have no such place.
#[test]
fn every_row_says_something_of_aws_that_can_be_said() {
    for key in KEYS.iter().filter(|key| key.is_available()) {
        let parent = KEYS.iter().find(|row| row.path == key.parent());
        let texts = match key.on_aws {
            OnAws::Difference(text) | OnAws::Refused(text) => vec![text],
            OnAws::AsTable => {
                let says = |row: &Key| row.on_aws != OnAws::Same;
                assert!(parent.is_some_and(says), "{}: its table says nothing", key.path);
                Vec::new()
            }
            OnAws::Same | OnAws::Only => Vec::new(),
        };
        for text in texts.into_iter().chain(key.gap) {
            assert_ne!(key.name(), "*", "{}", key.path);
            let begins = |name: &str| text.starts_with(name);
            let is_low = !text.starts_with(|c: char| c.is_uppercase());
            assert!(is_low || begins("CloudWatch") || begins("Amazon"), "{text}");
            assert!(!text.ends_with('.'), "{text}");
        }
        if key.path.starts_with("aws.") {
            assert_eq!(key.on_aws, OnAws::AsTable, "{}", key.path);
        }
    }
}

/// However often a key stands in a file, what its row says is noted once, at the first place.
#[test]
fn what_rows_say_of_aws_is_noted_once_and_only_for_files_that_are_for_it() {
    let folder = Path::new("/x");
    let labels = |text: &str, about_aws: bool| {
        let checked = check(&Source { name: "watchbell.toml", text, folder });
        let about = checked.problems.iter().filter(|it| it.is_about_aws == about_aws);
        let mut labels: Vec<(Level, String)> = about
            .filter(|it| it.level != Level::Warning)
            .map(|it| (it.level, it.label.clone().unwrap()))
            .collect();
        labels.sort_by(|a, b| a.1.cmp(&b.1));
        labels
    };
    for text in GOOD {
        let mut found = BTreeSet::new();
        paths("", DeTable::parse(text).unwrap().get_ref(), &mut found);
        let rows = || KEYS.iter().filter(|key| found.contains(key.path));
        let is_on_aws = found.contains("aws");
        let for_aws =
            if is_on_aws { text.to_owned() } else { format!("{text}\n[aws]\nregion = \"eu-central-1\"\n") };
        let mut expected: Vec<(Level, String)> = rows()
            .filter_map(|key| match key.on_aws {
                OnAws::Difference(what) => Some((Level::Note, what.to_owned())),
                OnAws::Refused(why) => Some((Level::Error, why.to_owned())),
                _ => None,
            })
            .collect();
        expected.sort_by(|a, b| a.1.cmp(&b.1));
        assert_eq!(labels(&for_aws, true), expected, "{text}");
        if !is_on_aws {
            assert_eq!(labels(text, true), [], "{text}");
        }
        let mut gaps: Vec<(Level, String)> =
            rows().filter_map(|key| key.gap).map(|gap| (Level::Note, gap.to_owned())).collect();
        gaps.sort_by(|a, b| a.1.cmp(&b.1));
        assert_eq!(labels(text, false), gaps, "{text}");
    }
}

/// A default that the table of keys promises is the default that the reader takes.
#[test]
fn defaults_are_those_of_the_table() {
    let plan = |text: &str| {
        let checked = check(&Source { name: "watchbell.toml", text, folder: Path::new("/x") });
        checked.plan.unwrap_or_else(|| panic!("{:?}", checked.problems))
    };
    let default = |path: &str| match KEYS.iter().find(|key| key.path == path).unwrap().presence {
        Presence::Default(value) => value,
        presence => panic!("{path} is {presence:?}"),
    };
    let mut written = format!("version = 1\ndata_dir = \"{}\"\n", default("data_dir"));
    writeln!(written, "http.listen = \"{}\"\n[log_groups.a]", default("http.listen")).unwrap();
    for key in ["parse", "lateness", "start"] {
        writeln!(written, "{key} = \"{}\"", default(&format!("log_groups.*.{key}"))).unwrap();
    }
    written +=
        "[metric_filters.m]\nlog_group = \"a\"\npattern = \"\"\nmetric = { namespace = \"N\", name = \"M\", ";
    writeln!(written, "value = \"{}\" }}", default("metric_filters.*.metric.value")).unwrap();
    written += "[alarms.x]\nmetric_filter = \"m\"\nperiod = \"60s\"\ncondition = \"> 1\"\n";
    for key in ["statistic", "datapoints", "missing_data", "severity"] {
        writeln!(written, "{key} = \"{}\"", default(&format!("alarms.*.{key}"))).unwrap();
    }
    let bare = "version = 1\n[log_groups.a]\n[metric_filters.m]\nlog_group = \"a\"\npattern = \"\"\n\
        metric = { namespace = \"N\", name = \"M\" }\n[alarms.x]\nmetric_filter = \"m\"\nperiod = \"60s\"\ncondition = \"> 1\"\n";
    assert_eq!(plan(&written), plan(bare));
}

/// The same for fleets, maintenance and AWS: every default there is, written out or left out.
#[test]
fn defaults_of_aws_are_those_of_the_table() {
    let text = |with_defaults: bool| {
        let defaults = |parent: &str| {
            let mut lines = String::new();
            for key in KEYS.iter().filter(|key| with_defaults && key.parent() == parent) {
                let Presence::Default(value) = key.presence else { continue };
                let is_bare = matches!(key.kind, Kind::Flag | Kind::Count);
                let quote = if is_bare { "" } else { "\"" };
                writeln!(lines, "{} = {quote}{value}{quote}", key.name()).unwrap();
            }
            lines
        };
        let mut text =
            "version = 1\n[fleet.a]\ncommand = [\"a\", \"{port}\"]\ninstances = { min = 1, max = 1 }\n\
            listen = \"127.0.0.1:8080\"\n[fleet.a.health]\n"
                .to_owned();
        text += &defaults("fleet.*.health");
        text += "[[maintenance]]\nname = \"a\"\nschedule = \"cron(0 3 * * *)\"\n";
        text += &(defaults("maintenance") + "[maintenance.patch]\n" + &defaults("maintenance.patch"));
        text += "[aws]\nregion = \"eu-central-1\"\nartifacts.url = \"s3://bucket\"\n";
        writeln!(text, "artifacts.watchbell_sha256 = \"{}\"", "0".repeat(64)).unwrap();
        text += &defaults("aws");
        for (header, parent) in
            [("aws.network", "aws.network"), ("aws.fleet.a", "aws.fleet.*"), ("aws.trail", "aws.trail")]
        {
            write!(text, "[{header}]\n{}", defaults(parent)).unwrap();
        }
        text + "[aws.network.bastion]\nallow = \"10.0.0.1\"\nkey_pair = \"ops\"\n"
            + &defaults("aws.network.bastion")
    };
    let plan = |text: &str| {
        let checked = check(&Source { name: "watchbell.toml", text, folder: Path::new("/x") });
        checked.plan.unwrap_or_else(|| panic!("{text}\n{:?}", checked.problems))
    };
    assert_ne!(text(true), text(false));
    assert_eq!(plan(&text(true)), plan(&text(false)));
}

/// The part of the schema that describes `path`.
fn described<'s>(schema: &'s Value, path: &str) -> Option<&'s Value> {
    path.split('.').try_fold(schema, |table, name| {
        let table = table.get("anyOf").map_or(table, |choices| &choices[0]);
        if name == "*" { table.get("additionalProperties") } else { table.get("properties")?.get(name) }
    })
}

#[test]
fn the_schema_has_every_key_of_this_version_and_no_other() {
    let schema = schema();
    for key in KEYS {
        let described = described(&schema, key.path);
        assert_eq!(described.is_some(), key.is_available(), "{}", key.path);
        if let Some(described) = described {
            assert_eq!(described["description"], key.doc, "{}", key.path);
        }
    }
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], serde_json::json!(["version"]));
}
