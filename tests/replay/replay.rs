//! `watchbell replay` from outside.

use serde_json::Value;

use crate::support::folder::Folder;
use crate::support::logs::{at, json_line, json_lines};

const PLAN: &str = r#"
[log_groups."shop/app"]
files = ["logs/app*.jsonl"]
parse = "json"
[log_groups."shop/plain"]
files = ["logs/plain.log"]
[metric_filters.errors]
log_group = "shop/app"
pattern = '{ $.level = "error" }'
metric = { namespace = "Shop", name = "Errors" }
[metric_filters.plain-errors]
log_group = "shop/plain"
pattern = "ERROR"
metric = { namespace = "Shop", name = "Errors" }
[alarms.errors]
metric_filter = "errors"
period = "60s"
condition = ">= 3"
missing_data = "not_breaching"
notify = ["ops"]
[topics.ops]
console = {}
"#;

/// `at state` of every change that is printed.
fn changes(report: &Value) -> Vec<String> {
    let changes = report["changes"].as_array().unwrap().iter();
    changes.map(|it| format!("{} {}", it["at"].as_str().unwrap(), it["to"].as_str().unwrap())).collect()
}

#[test]
fn files_are_merged_by_time_and_the_timeline_ends_when_all_is_decided() {
    let folder = Folder::new(PLAN);
    // Neither file alone has three errors in a minute. The last lines keep the story going until after the OK.
    folder.write(
        "logs/app-1.jsonl",
        json_lines(at(3600), 10_000, 2, "error") + &json_line(at(4000), "info", "x"),
    );
    folder.write("logs/app-2.jsonl", json_lines(at(3605), 10_000, 2, "error"));
    let report = folder.json(&["replay"], 0);
    assert_eq!(changes(&report), ["2026-11-22T01:00:10.000Z ALARM", "2026-11-22T01:04:10.000Z OK"]);
    assert_eq!((&report["lines"], &report["from"]), (&5.into(), &"2026-11-22T01:00:00.000Z".into()));
    let story = &report["alarms"][0];
    assert_eq!((&story["in_alarm_ms"], &story["began_at_night"]), (&240_000.into(), &1.into()));
    assert_eq!(story["messages"]["ops/console"], 2);
    let first = &report["changes"][0]["first_line"];
    assert!(first["log_stream"].as_str().unwrap().ends_with("logs/app-1.jsonl"), "{first}");
    assert_eq!(
        (&report["changes"][0]["early"], &report["changes"][0]["told"][0]),
        (&true.into(), &"ops/console".into())
    );
}

#[test]
fn people_read_the_timeline_and_the_sums() {
    let folder = Folder::new(PLAN);
    folder.write(
        "logs/app.jsonl",
        json_lines(at(12 * 3600), 1000, 3, "error") + &json_line(at(50_000), "info", "\\u001b"),
    );
    let said = folder.run(&["replay", "--zone", "Pacific/Honolulu"]);
    let expected = "\
2026-11-22 12:00:02 UTC  errors  INSUFFICIENT_DATA -> ALARM, early
  ALARM errors (error): 3 matches in 60 s, threshold >= 3
  Threshold Crossed: 1 out of the last 1 datapoint [3.0 (22/11/26 12:00:00)] was greater than or equal to the threshold (3.0) (minimum 1 datapoint for OK -> ALARM transition).
  first  {\"time\":\"2026-11-22T12:00:00.000Z\",\"level\":\"error\",\"message\":\"number 0\"}
  tells  ops/console
";
    assert!(said.stdout.starts_with(expected), "{said:?}");
    let sums = "
4 lines from 2026-11-22 12:00:00 UTC to 2026-11-22 13:53:20 UTC (1 h 53 min)
alarm   times  in ALARM   longest    at night  messages
errors  1      4 min 8 s  4 min 8 s  1 of 1    2 to ops/console
";
    assert!(said.stdout.ends_with(sums), "{}", said.stdout);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "silent in a pipe");
}

#[test]
fn a_file_without_times_is_an_error_until_a_rate_is_given() {
    let folder = Folder::new(PLAN);
    folder.write("logs/plain.log", "ERROR one\nfine\n".repeat(50));
    let said = folder.run(&["replay"]);
    assert_eq!(said.code, Some(74), "{said:?}");
    assert!(said.stderr.contains("logs/plain.log: none of 100 lines has a time"), "{}", said.stderr);
    assert!(said.stderr.contains("--rate 10/s"), "{}", said.stderr);
    // Two lines a second, each other one an error: the third error is the fifth line, and lines of a second come together.
    let report = folder.json(&["replay", "--rate", "2/s", "--since", "2026-11-22T06:00"], 0);
    assert_eq!(changes(&report), ["2026-11-22T06:00:02.500Z ALARM"]);
    assert_eq!((&report["lines"], &report["until"]), (&100.into(), &"2026-11-22T06:00:49.500Z".into()));
}

#[test]
fn lines_without_a_time_come_with_the_line_before() {
    let folder = Folder::new(PLAN);
    // The continuation arrives at 00:00:00 and is no event of a later minute.
    let lines = "no time yet\n".to_owned()
        + &json_line(at(60), "error", "a")
        + "  at frame 1\n"
        + &json_line(at(59), "error", "older")
        + &json_line(at(70), "error", "c");
    folder.write("logs/app.jsonl", lines);
    let report = folder.json(&["replay", "--all"], 0);
    assert_eq!((&report["lines"], &report["from"]), (&5.into(), &at(60).to_string().into()));
    assert_eq!(changes(&report), ["2026-11-22T00:01:10.000Z OK"], "two in one minute, one in another");
}

#[test]
fn since_and_until_cut_the_time() {
    let folder = Folder::new(PLAN);
    folder.write("logs/app.jsonl", json_lines(at(0), 20_000, 90, "error"));
    let whole = folder.json(&["replay"], 0);
    assert_eq!((&whole["lines"], changes(&whole).len()), (&90.into(), 1));
    let part = folder.json(&["replay", "--since", "2026-11-22T00:10", "--until", "2026-11-22T00:20:00Z"], 0);
    assert_eq!((&part["lines"], &part["until"]), (&30.into(), &at(1200).to_string().into()));
    assert_eq!(changes(&part), ["2026-11-22T00:10:40.000Z ALARM"]);
    let none = folder.run(&["replay", "--since", "2027-01-01"]);
    assert_eq!(none.code, Some(74), "{none:?}");
    let said = folder.run(&["replay", "--since", "2027-01-01", "--until", "2026-01-01"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(2), ""));
    assert_eq!(folder.run(&["replay", "--since", "soon"]).code, Some(2));
    assert_eq!(folder.run(&["replay", "--zone", "Mars/Olympus"]).code, Some(2));
}

#[test]
fn files_belong_to_the_group_that_is_named_or_whose_globs_match() {
    let folder = Folder::new(PLAN);
    let errors = json_lines(at(0), 1000, 5, "error");
    folder.write("logs/app.jsonl", &errors);
    folder.write("elsewhere.jsonl", &errors);
    for arguments in [
        &["replay", "logs/app.jsonl"][..],
        &["replay", "shop/app=elsewhere.jsonl"],
        &["replay", "--log-group", "shop/app", "elsewhere.jsonl"],
        &["replay", "--log-group", "shop/app"],
    ] {
        assert_eq!(changes(&folder.json(arguments, 0)).len(), 1, "{arguments:?}");
    }
    let said = folder.run(&["replay", "elsewhere.jsonl"]);
    assert_eq!(said.code, Some(2));
    assert!(said.stderr.contains("known: shop/app, shop/plain"), "{}", said.stderr);
    assert_eq!(folder.run(&["replay", "--log-group", "shop/other"]).code, Some(2));
    assert_eq!(folder.run(&["replay", "shop/app=missing.jsonl"]).code, Some(74));
    assert_eq!(folder.run(&["replay", "shop/app=logs"]).code, Some(74));
}

#[test]
fn the_year_of_syslog_lines_comes_from_the_end_of_the_time_that_is_replayed() {
    let folder = Folder::new(&PLAN.replace("files = [\"logs/plain.log\"]", "parse = \"syslog\""));
    folder.write("messages", "Dec 31 23:59:50 host app: fine\nJan  1 00:00:05 host app: fine\n");
    let report = folder.json(&["replay", "shop/plain=messages", "--until", "2026-03-01"], 0);
    assert_eq!((&report["from"], &report["lines"]), (&"2025-12-31T23:59:50.000Z".into(), &2.into()));
    // Without an end the year is that of the file's last change: now, or the year before.
    let report = folder.json(&["replay", "shop/plain=messages"], 0);
    assert!(report["from"].as_str().unwrap() > "2025-", "{report}");
}

#[test]
fn what_a_suppressor_holds_back_is_shown_when_it_waits_and_when_it_is_told() {
    let composite = r#"
[composite_alarms.site]
rule = "ALARM(errors)"
notify = ["ops"]
actions_suppressor = "deploying"
actions_suppressor_wait_period = "90s"
actions_suppressor_extension_period = "90s"
[alarms.deploying]
log_group = "shop/app"
pattern = '{ $.message = "deploy *" }'
period = "60s"
"#;
    let folder = Folder::new(&(PLAN.to_owned() + composite));
    let lines = json_lines(at(600), 1000, 3, "error") + &json_line(at(3600), "info", "fine");
    folder.write("logs/app.jsonl", lines);
    let said = folder.run(&["replay"]);
    for shown in [
        "00:10:02 UTC  site  OK -> ALARM, early\n",
        "  waits  held back by the suppressor deploying\n",
        "  site  ALARM, told only now\n  tells  ops/console\n",
    ] {
        assert!(said.stdout.contains(shown), "{said:?}");
    }
    let report = folder.json(&["replay"], 0);
    let mut site = report["changes"].as_array().unwrap().iter().filter(|it| it["alarm"] == "site");
    let (waits, told) = (site.next().unwrap(), site.next().unwrap());
    assert_eq!((&waits["suppressed_by"], &waits["released"]), (&"WaitPeriod".into(), &false.into()));
    assert_eq!((&told["at"], &told["released"]), (&"2026-11-22T00:11:32.000Z".into(), &true.into()));
}

#[test]
fn a_byte_order_mark_belongs_to_no_line() {
    let folder = Folder::new(PLAN);
    folder.write("logs/app.jsonl", "\u{feff}".to_owned() + &json_lines(at(600), 1000, 3, "error"));
    let report = folder.json(&["replay"], 0);
    assert_eq!((&report["from"], &report["lines"]), (&"2026-11-22T00:10:00.000Z".into(), &3.into()));
    let said = folder.run(&["pattern", "{ $.level = \"error\" }", "logs/app.jsonl"]);
    assert_eq!(said.stdout.lines().count(), 3, "{said:?}");
}

#[test]
fn clocks_that_were_set_back_are_followed_line_by_line() {
    let plan = r#"
[log_groups.a]
timestamp = { format = "%Y-%m-%d %H:%M", zone = "Europe/Berlin" }
[alarms.errors]
log_group = "a"
pattern = "ERROR"
period = "60s"
notify = ["ops"]
[topics.ops]
console = {}
"#;
    let folder = Folder::new(plan);
    let times = ["01:59 fine", "02:30 ERROR", "02:59 fine", "02:05 fine", "02:30 ERROR", "03:01 fine"];
    folder.write("x.log", times.map(|line| format!("2026-10-25 {line}\n")).concat());
    let report = folder.json(&["replay", "a=x.log"], 0);
    let alarms = changes(&report).into_iter().filter(|it| it.ends_with("ALARM")).collect::<Vec<_>>();
    assert_eq!(alarms, ["2026-10-25T00:30:00.000Z ALARM", "2026-10-25T01:30:00.000Z ALARM"]);
}
