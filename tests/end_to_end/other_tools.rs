//! Another tool reads what the whole program has archived: `DuckDB`, where the test command brings it along.

use std::io::Write as _;
use std::process::Command;

use crate::support::input::{crlf_without_final_end, sshd};
use crate::support::process::Up;
use crate::support::site::Site;

/// Prints how many rows and distinct texts there are, and how many failed passwords.
const COUNT: &str = r"
import sys, duckdb
print(*duckdb.sql('''
    SELECT count(*), count(DISTINCT message), count(*) FILTER (message LIKE '%Failed password%')
    FROM read_parquet($folder || '/**/*.parquet', hive_partitioning = true) WHERE app = 'ssh'
''', params={'folder': sys.argv[1]}).fetchall()[0])
";

#[test]
fn duckdb_finds_each_line_once() {
    let Some(python) = std::env::var_os("WATCHBELL_TEST_PYTHON") else {
        let why = "skipped: WATCHBELL_TEST_PYTHON does not name a Python that has the package duckdb";
        writeln!(std::io::stderr(), "{why}").unwrap();
        return;
    };
    let site = Site::new("[log_groups.\"ssh/auth\"]\nfiles = [\"auth.log\"]\n");
    let lines = sshd(0..900);
    let bytes = crlf_without_final_end(&lines);
    let (first, rest) = bytes.split_at(bytes.len() / 2 + 7);
    site.append("auth.log", first);
    Up::start(&site).kill();
    site.append("auth.log", rest);
    let up = Up::start(&site);
    up.wait_for_events("ssh/auth", 900);
    up.stop();
    let output = Command::new(python).args(["-c", COUNT]).arg(site.path("data/archive")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "900 900 600");
}
