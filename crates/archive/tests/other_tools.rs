//! Another tool reads the archive: `DuckDB`, through Python, where the test command brings it along.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

mod rows;

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use rows::{Event, event};
use serde_json::{Value, json};
use watchbell_archive::{Collector, open_folder, put};
use watchbell_model::{EventFlags, Severity, Timestamp};

/// Prints each row as a JSON array, in the order of event ids; times as milliseconds.
const READ: &str = r"
import json, sys, duckdb
rows = duckdb.sql('''
    SELECT event_id, epoch_ms(timestamp), epoch_ms(ingestion_time), log_group, log_stream, app, severity, message,
           fields, flags, CAST(date AS VARCHAR), typeof(timestamp)
    FROM read_parquet($folder || '/**/*.parquet', hive_partitioning = true) ORDER BY event_id
''', params={'folder': sys.argv[1]}).fetchall()
for row in rows: print(json.dumps(row))
counts = duckdb.sql('''
    SELECT app, severity, count(*) FROM read_parquet($folder || '/**/*.parquet', hive_partitioning = true)
    WHERE date = '2026-11-22' GROUP BY ALL ORDER BY ALL
''', params={'folder': sys.argv[1]}).fetchall()
print(json.dumps(counts))
";

fn python() -> Option<std::ffi::OsString> {
    let python = std::env::var_os("WATCHBELL_TEST_PYTHON");
    if python.is_none() {
        eprintln!("skipped: WATCHBELL_TEST_PYTHON does not name a Python that has the package duckdb");
    }
    python
}

/// What `DuckDB` makes of a folder, one JSON value a line.
fn duckdb(python: &OsStr, folder: &Path) -> Vec<Value> {
    let output = Command::new(python).args(["-c", READ]).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn events() -> Vec<Event> {
    let mut events: Vec<Event> = (0..2500).map(event).collect();
    for (place, event) in events.iter_mut().enumerate() {
        event.severity = rows::SEVERITIES[place % 7];
        event.fields = (place % 3 == 0).then(|| json!({"line": place, "text": "é\"\n"}).to_string());
    }
    for (event, app) in
        events.iter_mut().zip(["..", "", "a=b/c", "käse", "123", "null", "a%2Fb", "2026-11-22"])
    {
        event.app = app.into();
    }
    events[8].message = "a\0b\nc ☃".into();
    events[9].message = "x".repeat(1024 * 1024);
    events[10].flags = EventFlags::CUT.with(EventFlags::REPAIRED);
    events[11].timestamp = Timestamp(1_795_392_000_000);
    events[12].timestamp = Timestamp(-1);
    events
}

fn expected(event: &Event) -> Value {
    let stored = event.stored();
    let flags = stored.flags.names().join(",");
    json!([
        stored.event_id.to_string(),
        stored.timestamp.0,
        stored.ingestion_time.0,
        stored.log_group,
        stored.stream,
        // DuckDB prefers the partition's value, and there Hive's convention for an empty one is NULL.
        if stored.app.is_empty() { Value::Null } else { stored.app.into() },
        stored.severity,
        stored.message,
        stored.fields,
        if flags.is_empty() { Value::Null } else { flags.into() },
        stored.timestamp.utc_date(),
        "TIMESTAMP WITH TIME ZONE",
    ])
}

#[tokio::test]
async fn duckdb_reads_the_same() {
    let Some(python) = python() else { return };
    let events = events();
    let mut collector = Collector::default();
    for event in &events {
        collector.push(&event.row()).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    put(&open_folder(folder.path()).unwrap(), collector.finish().unwrap()).await.unwrap();

    let mut found = duckdb(&python, folder.path());
    let counts = found.pop().unwrap();
    assert_eq!(found.len(), events.len());
    for (found, event) in found.iter().zip(&events) {
        assert_eq!(found, &expected(event));
    }
    let counted = |event: &&Event| {
        let partition = (event.app.as_str(), event.severity, event.timestamp.utc_date());
        partition == ("shop", Severity::Error, "2026-11-22".to_owned())
    };
    let shop_errors = json!(["shop", "error", events.iter().filter(counted).count()]);
    assert!(counts.as_array().unwrap().contains(&shop_errors), "{counts} has {shop_errors}");
}
