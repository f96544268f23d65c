//! Verbs that end by themselves: `pattern`, `check`, `schema`.

use std::io::{Read, Write};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::process::{run, said, watchbell};
use crate::support::site::Site;

const GROUP: &str = "[log_groups.\"shop/app\"]\n";

fn with_stdin(site: &Site, arguments: &[&str], input: &[u8]) -> (Option<i32>, String, String) {
    let mut command = watchbell(site, arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // It may end before it has read everything.
        scope.spawn(move || drop(stdin.write_all(input)));
        said(&child.wait_with_output().unwrap())
    })
}

#[test]
fn pattern_prints_matching_lines_of_files_and_of_standard_input() {
    let site = Site::new(GROUP);
    site.write("a.log", b"ERROR one\r\nfine\nERROR two");
    site.write("b.log", b"ERROR three\n");
    let (code, stdout, stderr) = said(&run(&site, &["pattern", "ERROR", "a.log", "b.log"]));
    assert_eq!(
        (code, stdout.as_str(), stderr.as_str()),
        (Some(0), "ERROR one\nERROR two\nERROR three\n", "")
    );
    let (code, stdout, _) = with_stdin(&site, &["pattern", "--", "-fine"], b"fine\nbad\n");
    assert_eq!((code, stdout.as_str()), (Some(0), "bad\n"));
    let (code, stdout, stderr) = said(&run(&site, &["pattern", "NOTHING", "a.log"]));
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(0), "", ""));
}

#[test]
fn pattern_prints_one_json_object_for_each_match_numbered_over_all_files() {
    let site = Site::new(GROUP);
    site.write("a.log", b"127.0.0.1 - - [x] \"GET /\" 500 7\n127.0.0.1 - - [x] \"GET /\" 200 7\n");
    site.write("b.log", b"10.0.0.1 - - [y] \"PUT /\" 503 8\n");
    let pattern = "[ip, id, user, time, request, status=5*, size]";
    let (code, stdout, _) = said(&run(&site, &["pattern", pattern, "a.log", "b.log", "--format", "json"]));
    assert_eq!(code, Some(0));
    let found: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(found.len(), 2);
    assert_eq!((&found[0]["eventNumber"], &found[1]["eventNumber"]), (&json!(1), &json!(3)));
    assert_eq!(found[1]["eventMessage"], "10.0.0.1 - - [y] \"PUT /\" 503 8");
    let values = json!({ "$ip": "10.0.0.1", "$id": "-", "$user": "-", "$time": "y", "$request": "PUT /",
                         "$status": "503", "$size": "8" });
    assert_eq!(found[1]["extractedValues"], values);
    assert_eq!(found[0].as_object().unwrap().len(), 3);
}

#[test]
fn pattern_marks_what_is_wrong_and_ends_with_2() {
    let site = Site::new(GROUP);
    let (code, stdout, stderr) = said(&run(&site, &["pattern", "{ $.level = "]));
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.starts_with("error: ") && stderr.contains('^'), "{stderr}");
    let (code, _, stderr) = said(&run(&site, &["pattern", "{ $.level = ", "--format", "json"]));
    let refusal: Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!(code, Some(2));
    assert!(refusal["error"]["start"].is_u64() && refusal["error"]["message"].is_string(), "{refusal}");
    assert_eq!(run(&site, &["pattern"]).status.code(), Some(2));
    assert_eq!(run(&site, &["pattern", "-x"]).status.code(), Some(2));
}

#[test]
fn pattern_goes_on_after_a_file_that_cannot_be_read_and_ends_with_74() {
    let site = Site::new(GROUP);
    site.write("b.log", b"ERROR\n");
    std::fs::create_dir(site.path("folder")).unwrap();
    let (code, stdout, stderr) = said(&run(&site, &["pattern", "ERROR", "missing.log", "folder", "b.log"]));
    assert_eq!((code, stdout.as_str()), (Some(74), "ERROR\n"));
    assert!(stderr.contains("missing.log") && stderr.contains("folder"), "{stderr}");
}

#[test]
fn a_reader_that_goes_away_early_is_no_failure() {
    let site = Site::new(GROUP);
    site.write("big.log", "ERROR and a little more to fill the pipe\n".repeat(50_000));
    let mut child = watchbell(&site, &["pattern", "ERROR", "big.log"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 9];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let (code, _, stderr) = said(&child.wait_with_output().unwrap());
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}

#[test]
fn check_says_everything_about_a_good_and_a_bad_file() {
    let site = Site::new(GROUP);
    let (code, stdout, _) = said(&run(&site, &["check"]));
    assert_eq!(code, Some(0));
    assert!(stdout.contains("is good") && stdout.contains("1 log group"), "{stdout}");
    site.configure(
        "[log_groups.\"shop/app\"]\nparse = \"jsno\"\n[metric_filters.a]\nlog_group = \"shop/ap\"\npattern = '{'\n\
         metric = { namespace = \"S\", name = \"E\", value = \"1\" }\n[alarms.a]\nmetric_filter = \"b\"\n\
         statistic = \"Sume\"\nperiod = \"60s\"\ncondition = \"> 1\"\nnotify = [\"ops\"]\n",
    );
    let (code, text, _) = said(&run(&site, &["check"]));
    assert_eq!(code, Some(78));
    for mistake in ["jsno", "shop/ap", "watchbell.toml:6:", "Sume", "\"b\"", "\"ops\""] {
        assert!(text.contains(mistake), "{mistake} is not in {text}");
    }
    let (code, json, stderr) = said(&run(&site, &["check", "--format", "json"]));
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, stderr.as_str()), (Some(78), ""));
    let problems = report["problems"].as_array().unwrap();
    assert_eq!(report["errors"], problems.len());
    assert!(problems.len() >= 6 && problems.iter().all(|it| it["line"].is_u64() && it["column"].is_u64()));
    let (code, _, _) = said(&run(&site, &["check", "-c", "nowhere.toml"]));
    assert_eq!(code, Some(78));
}

#[test]
fn the_file_is_found_by_option_before_or_after_the_verb_and_by_environment() {
    let site = Site::new(GROUP);
    site.rename("watchbell.toml", "other.toml");
    for arguments in [&["check", "-c", "other.toml"][..], &["--config", "other.toml", "check"]] {
        assert_eq!(run(&site, arguments).status.code(), Some(0), "{arguments:?}");
    }
    let by_environment = watchbell(&site, &["check"]).env("WATCHBELL_CONFIG", "other.toml").output().unwrap();
    assert_eq!(by_environment.status.code(), Some(0));
    assert_eq!(run(&site, &["check"]).status.code(), Some(78));
}

#[test]
fn schema_is_a_json_schema_that_knows_the_tables() {
    let site = Site::new(GROUP);
    let (code, stdout, _) = said(&run(&site, &["schema"]));
    let schema: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(code, Some(0));
    assert!(schema["$schema"].is_string());
    for table in ["version", "log_groups", "metric_filters", "alarms", "topics", "archive", "http"] {
        assert!(schema["properties"][table].is_object(), "{table}");
    }
    assert_eq!(said(&run(&site, &["schema", "--format", "json"])).1, stdout);
}
