//! `[fleet.NAME]`

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use watchbell_model::{Fleet, Health, Instances, PORT_PLACEHOLDER, ScaleOn};

use crate::keys::{SCALE_ON, quoted};
use crate::problem::{Problem, quote};
use crate::reader::{Field, Table};
use crate::{http, name, rate};

/// Most instances of a fleet; a mistyped number should not become a bill.
const INSTANCES_MAX: u32 = 500;
/// How often an instance is asked whether it is well, in milliseconds.
const HEALTH_INTERVAL_MS: RangeInclusive<i64> = 1000..=300_000;
/// Used if `health.interval` is absent, in milliseconds.
const HEALTH_INTERVAL_MS_DEFAULT: i64 = 10_000;
/// Used if `health.path` is absent.
const HEALTH_PATH_DEFAULT: &str = "/healthz";
/// Longest path. Source: Elastic Load Balancing API Reference, `CreateTargetGroup`, `HealthCheckPath`.
const HEALTH_PATH_CHARS_MAX: usize = 1024;

/// The fleets of a file; `own` is the address of Watchbell itself.
pub(crate) fn read(root: &mut Table<'_>, own: Option<SocketAddr>) -> BTreeMap<String, Fleet> {
    let mut fleets = BTreeMap::new();
    let mut addresses: BTreeMap<SocketAddr, String> =
        own.into_iter().map(|address| (address, "Watchbell itself (http.listen)".to_owned())).collect();
    for (name, entry) in root.named("fleet", "fleet") {
        name::check_small(entry.context, "a fleet name", name.value, name.span.clone());
        let Some(table) = entry.entry(&name) else { continue };
        fleets.extend(read_one(table, &mut addresses).map(|fleet| (name.value.to_owned(), fleet)));
    }
    fleets
}

fn read_one(mut table: Table<'_>, addresses: &mut BTreeMap<SocketAddr, String>) -> Option<Fleet> {
    let title = table.title.clone();
    let command = table.need("command").and_then(|field| command(&field));
    let instances = table.need("instances").and_then(|field| instances(&field));
    let default = Health { path: HEALTH_PATH_DEFAULT.into(), interval_ms: HEALTH_INTERVAL_MS_DEFAULT };
    let health = table.or("health", default, health);
    let listen = table.need("listen").and_then(|field| listen(&field, &title, addresses));
    let scale_on = table.or("scale_on", Vec::new(), |field| Some(scale_on(field)));
    table.finish();
    Some(Fleet {
        command: command?,
        instances: instances?,
        health: health?,
        listen: listen?,
        scale_on: scale_on?,
    })
}

fn command(field: &Field<'_>) -> Option<Vec<String>> {
    let help = "write an array, as in [\"app\", \"--port\", \"{port}\"]";
    if field.value().is_str() {
        field.refuse(format!("{} is one string; no shell takes it apart", field.title()), help);
        return None;
    }
    let texts = field.texts();
    if field.is_empty_array() || texts.first().is_some_and(|program| program.value.is_empty()) {
        field.refuse(format!("{} names no program", field.title()), help);
        return None;
    }
    if !texts.is_empty() && !texts.iter().any(|text| text.value.contains(PORT_PLACEHOLDER)) {
        let message = format!("{} has no {PORT_PLACEHOLDER}", field.title());
        let help = "write {port} where the program takes the port it listens on: each instance has its own";
        field.context.report_absence(Problem::error(field.span(), message).help(help));
        return None;
    }
    Some(texts.into_iter().map(|text| text.value.to_owned()).collect())
}

fn instances(field: &Field<'_>) -> Option<Instances> {
    let mut table = field.table(format!("{} of {}", quote("instances"), field.owner()))?;
    let most = |field: &Field<'_>| {
        let count = field.count()?;
        if count > INSTANCES_MAX {
            field.refuse(format!("{} is out of range", field.title()), format!("write 1 to {INSTANCES_MAX}"));
            return None;
        }
        Some(count)
    };
    let [min_field, max_field] = ["min", "max"].map(|key| table.need(key));
    let [min, max] = [&min_field, &max_field].map(|field| field.as_ref().and_then(most));
    table.finish();
    let (min, max) = (min?, max?);
    if let Some(field) = max_field.filter(|_| max < min) {
        field.refuse(format!("{} is less than \"min\"", field.title()), format!("write {min} or more"));
        return None;
    }
    Some(Instances { min, max })
}

fn health(field: &Field<'_>) -> Option<Health> {
    let mut table = field.table(format!("{} of {}", quote("health"), field.owner()))?;
    let path = table.or("path", HEALTH_PATH_DEFAULT.to_owned(), health_path);
    let interval_ms = table.or("interval", HEALTH_INTERVAL_MS_DEFAULT, |field| {
        field.duration_ms_within(&HEALTH_INTERVAL_MS, "\"1s\" to \"5m\"")
    });
    table.finish();
    Some(Health { path: path?, interval_ms: interval_ms? })
}

fn health_path(field: &Field<'_>) -> Option<String> {
    let path = field.text_up_to(HEALTH_PATH_CHARS_MAX)?;
    if !path.starts_with('/') || !path.chars().all(|c| c.is_ascii_graphic()) {
        let message = format!("{} is not the path of a web address: {}", field.title(), quote(path));
        field.refuse(message, "write it as in \"/healthz\"");
        return None;
    }
    Some(path.to_owned())
}

/// The address; what another one has already is noted.
fn listen(
    field: &Field<'_>,
    title: &str,
    addresses: &mut BTreeMap<SocketAddr, String>,
) -> Option<SocketAddr> {
    let address = http::address(field, "write it as \"127.0.0.1:8080\" or \"[::1]:8080\"")?;
    if address.port() == 0 {
        field.refuse(format!("{} has port 0", field.title()), "users must know the port: write one");
        return None;
    }
    if let Some(other) = addresses.insert(address, title.to_owned()) {
        field.refuse(format!("{}: {other} listens on {address}, too", field.title()), "write another port");
        return None;
    }
    Some(address)
}

/// The measurements; wrong ones are noted and left out.
fn scale_on(field: &Field<'_>) -> Vec<ScaleOn> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for mut table in field.tables(&format!("{} of {}", quote("scale_on"), field.owner())) {
        let fields = SCALE_ON.iter().filter_map(|key| Some((*key, table.field(key)?)));
        let fields: Vec<(&str, Field<'_>)> = fields.collect();
        if fields.len() != 1 && !table.has_refused_keys() {
            let message = format!("a table of {} must have exactly one of {}", table.title, quoted(SCALE_ON));
            let help = "write it as in { cpu = \"60%\" }";
            table.context.report_absence(Problem::error(table.place.clone(), message).help(help));
        }
        for (key, field) in fields {
            if !seen.insert(key) {
                field.refuse(format!("{} stands there twice", field.title()), "keep one of them");
            }
            found.extend(measurement(key, &field));
        }
        table.finish();
    }
    found
}

fn measurement(key: &str, field: &Field<'_>) -> Option<ScaleOn> {
    match key {
        "cpu" => field.parsed(rate::parse_percent, "write \"1%\" to \"100%\"").map(ScaleOn::Cpu),
        "requests_per_instance" => {
            let help = "write a whole number and /s or /min, such as \"100/s\"";
            field.parsed(rate::parse_per_minute, help).map(ScaleOn::RequestsPerInstance)
        }
        _ => {
            let help = "write a size and /s, such as \"1MiB/s\"";
            field.parsed(rate::parse_bytes_per_second, help).map(ScaleOn::LogBytesPerInstance)
        }
    }
}
