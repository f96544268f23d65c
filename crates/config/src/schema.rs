//! The JSON Schema of the file, made from the table of keys, for editors.
//!
//! It says less than [`check`](crate::check): names that must exist, patterns and addresses are only strings to it.

use serde_json::{Map, Value, json};

use crate::keys::{self, Key, Kind, Presence};

/// The JSON Schema (2020-12) of a `watchbell.toml`.
pub fn schema() -> Value {
    let mut schema = table("");
    let head = [
        ("$schema", json!("https://json-schema.org/draft/2020-12/schema")),
        ("title", json!("watchbell.toml")),
        ("$defs", json!({ "secret": secret() })),
    ];
    let object = schema.as_object_mut().expect("a table is described by an object");
    object.extend(head.map(|(key, value)| (key.to_owned(), value)));
    schema
}

/// A table with the keys below `path`.
fn table(path: &str) -> Value {
    let rows: Vec<&Key> = keys::children(path).filter(|row| row.is_available()).collect();
    let properties: Map<String, Value> =
        rows.iter().map(|row| (row.name().to_owned(), described(row))).collect();
    let required: Vec<&str> =
        rows.iter().filter(|row| row.presence == Presence::Required).map(|row| row.name()).collect();
    let mut table = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        table["required"] = json!(required);
    }
    if let Some((_, choices)) = keys::EXACTLY_ONE.iter().find(|(owner, _)| *owner == path) {
        table["oneOf"] = choices.iter().map(|key| json!({ "required": [key] })).collect();
    }
    table
}

/// The value of a key, with its doc and default.
fn described(row: &Key) -> Value {
    let mut value = value(row);
    value["description"] = json!(row.doc);
    if let Presence::Default(default) = row.presence {
        value["default"] = json!(default);
    }
    value
}

fn value(row: &Key) -> Value {
    match row.kind {
        Kind::Version => json!({ "const": 1 }),
        Kind::Clock => {
            json!({ "type": "string", "pattern": "^[0-9]{2,}:[0-5][0-9]:[0-5][0-9](\\.[0-9]{3})?$" })
        }
        Kind::Date => json!({ "type": "string", "format": "date" }),
        Kind::Count => json!({ "type": "integer", "minimum": 1 }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Lines => {
            let line = [table(row.path), json!({ "type": "string" })];
            json!({ "anyOf": [line[0], line[1], { "type": "array", "items": { "anyOf": line } }] })
        }
        Kind::Text
        | Kind::Path
        | Kind::Url
        | Kind::SocketAddress
        | Kind::MetricMath
        | Kind::AlarmRule
        | Kind::Schedule => json!({ "type": "string" }),
        Kind::Duration => json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" }),
        Kind::Size => json!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB|TiB)$" }),
        Kind::Percent => json!({ "type": "string", "pattern": "^[0-9]+%$" }),
        Kind::Rate => json!({ "type": "string", "pattern": "^[0-9]+/(s|min)$" }),
        Kind::SizeRate => json!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB|TiB)/s$" }),
        Kind::Condition => json!({ "type": "string", "pattern": "^\\s*(>|>=|<|<=)\\s*[^<>=\\s]+\\s*$" }),
        Kind::Datapoints => json!({ "type": "string", "pattern": "^\\s*[0-9]+\\s+of\\s+[0-9]+\\s*$" }),
        Kind::OneOf(words) => json!({ "enum": words }),
        Kind::Texts => {
            json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
        }
        Kind::Statistic => json!({
            "type": "string",
            "pattern": "^(SampleCount|Sum|Average|Minimum|Maximum|p[0-9]{1,3}(\\.[0-9]{1,10})?)$"
        }),
        Kind::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Kind::Number => json!({ "type": "number" }),
        Kind::NumberOrSelector => json!({ "type": ["number", "string"] }),
        Kind::Secret => json!({ "$ref": "#/$defs/secret" }),
        Kind::UrlOrSecret => json!({ "anyOf": [{ "type": "string" }, { "$ref": "#/$defs/secret" }] }),
        Kind::Table => table(row.path),
        Kind::Tables => {
            json!({ "anyOf": [table(row.path), { "type": "array", "items": table(row.path) }] })
        }
        Kind::OneOfOrTable(words) => json!({ "anyOf": [table(row.path), { "enum": words }] }),
        Kind::Named => {
            let entry = keys::find(row.path, "*").expect("named tables have a row for their entries");
            json!({ "type": "object", "additionalProperties": described(entry) })
        }
        Kind::Unavailable => unreachable!("rows of later versions are left out"),
    }
}

/// A reference to a secret.
fn secret() -> Value {
    let reference = |kind: &str| {
        let properties = json!({ kind: { "type": "string" } });
        json!({ "type": "object", "properties": properties, "required": [kind], "additionalProperties": false })
    };
    json!({ "anyOf": [reference("env"), reference("file"), reference("secret")] })
}
