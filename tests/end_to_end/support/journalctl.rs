//! A `journalctl` that is a script, and entries for it.

use std::fs::{self, Permissions};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::site::Site;

/// Follows `journal.json`, whose line N has the cursor cN.
pub(crate) const FOLLOWS: &str = r#"#!/bin/sh
echo "$@" >> arguments.txt
from=1
for argument in "$@"; do
  case $argument in
    --after-cursor=c*) from=$((${argument#--after-cursor=c} + 1)) ;;
    --lines=1) exec tail -n 1 journal.json ;;
  esac
done
exec tail -n "+$from" -f journal.json
"#;

/// Writes `script` as the program `journalctl`.
pub(crate) fn write_script(site: &Site, script: &str) {
    // Renamed into place: a script that is still open for writing cannot be run.
    site.write("new", script);
    fs::set_permissions(site.path("new"), Permissions::from_mode(0o755)).unwrap();
    site.rename("new", "journalctl");
}

/// Entries of two units in turn.
pub(crate) fn entries(numbers: Range<usize>) -> String {
    let message = |number: usize| {
        if number % 10 == 7 { json!([0x6e, 0x6f, 0xff]) } else { json!(format!("message {number}")) }
    };
    numbers.map(|number| entry(number, &message(number))).collect()
}

/// The entry in line `number`, from 0.
pub(crate) fn entry(number: usize, message: &Value) -> String {
    let entry = json!({
        "__CURSOR": format!("c{}", number + 1),
        "__REALTIME_TIMESTAMP": format!("{}", 1_795_381_912_000_000 + number * 1000),
        "PRIORITY": if number.is_multiple_of(3) { "3" } else { "6" },
        "_SYSTEMD_UNIT": if number % 5 < 2 { "a.service" } else { "b.service" },
        "MESSAGE": message,
    });
    format!("{entry}\n")
}

/// Their messages, as they are stored.
pub(crate) fn expected(numbers: Range<usize>) -> Vec<String> {
    let text = |number: usize| {
        if number % 10 == 7 { "no\u{fffd}".to_owned() } else { format!("message {number}") }
    };
    numbers.map(text).collect()
}
