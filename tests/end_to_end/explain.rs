//! `watchbell explain`: from the journal of a running `watchbell up`, and over old lines.

use serde_json::Value;

use crate::support::process::{Up, run, said};
use crate::support::site::Site;

const PLAN: &str = r#"
[log_groups."shop/app"]
files = ["app.log"]
[alarms.errors]
log_group = "shop/app"
pattern = "ERROR"
period = "24h"
condition = ">= 3"
[composite_alarms.site]
rule = "ALARM(errors) AND NOT ALARM(quiet)"
[alarms.quiet]
log_group = "shop/app"
pattern = "quiet"
period = "60s"
[log_groups.auth]
parse = "syslog"
[metric_filters.failed]
log_group = "auth"
pattern = "[month, day, clock, host, process, w1=Failed, w2=password, ..., f=from, ip]"
metric = { namespace = "Auth", name = "Failed", dimensions = { ip = "$ip" } }
[alarms.guessing]
metric_filter = "failed"
each = "ip"
period = "60s"
condition = ">= 3"
missing_data = "not_breaching"
"#;

fn explained(site: &Site, arguments: &[&str]) -> String {
    let arguments: Vec<&str> = ["explain"].iter().chain(arguments).copied().collect();
    let (code, stdout, stderr) = said(&run(site, &arguments));
    assert_eq!(code, Some(0), "{stderr}");
    stdout
}

#[test]
fn a_running_alarm_is_explained_from_the_journal() {
    let site = Site::new(PLAN);
    site.write("app.log", "ERROR of yesterday\n");
    let up = Up::start(&site);
    site.append("app.log", "ERROR one\nERROR two\n");
    up.wait_for_events("shop/app", 3);
    let quiet = explained(&site, &["errors"]);
    assert!(!quiet.contains("is in ALARM"), "{quiet}");
    assert!(
        quiet.contains("1 of 3 events of shop/app were there before the log group was first watched"),
        "{quiet}"
    );
    site.append("app.log", "ERROR three\n");
    up.wait_for_events("shop/app", 4);
    let ringing = explained(&site, &["errors"]);
    for part in [
        "errors is in ALARM since ",
        "decided      1 of 1 datapoints >= 3, 1 needed",
        "ALARM up to the evaluation at ",
        "matched      3 events in the datapoints that decided",
        "ERROR two",
        " UTC would have to be < 3: it is 3",
        "INSUFFICIENT_DATA -> ALARM, early",
    ] {
        assert!(ringing.contains(part), "no {part:?} in\n{ringing}");
    }
    let site_alarm = explained(&site, &["site"]);
    assert!(site_alarm.contains("to be OK     errors in OK"), "{site_alarm}");
    let json: Value = serde_json::from_str(&explained(&site, &["errors", "--format", "json"])).unwrap();
    let state = &json["states"][0];
    assert_eq!((&state["state"], &state["decided_by"]), (&"ALARM".into(), &"breaching".into()));
    assert_eq!(state["smallest_change"]["datapoints"][0]["value"], 3.0);
    up.stop();
    let before = explained(&site, &["errors", "--format", "json"]);
    assert_eq!(
        serde_json::from_str::<Value>(&before).unwrap()["states"][0]["state"],
        "ALARM",
        "also when stopped"
    );
}

#[test]
fn old_lines_are_explained_at_any_time() {
    let site = Site::new(PLAN);
    let failed =
        |clock: &str, ip: &str| format!("Nov 22 {clock} web sshd[1]: Failed password for root from {ip}\n");
    let lines = ["10:00:01", "10:00:02", "10:00:31"].map(|clock| failed(clock, "203.0.113.7"));
    site.write(
        "auth.log",
        lines.concat() + &failed("10:00:40", "203.0.113.8") + &failed("10:09:00", "203.0.113.9"),
    );
    let at = |time: &str, more: &[&str]| {
        let time = format!("2026-11-22T{time}Z");
        let arguments = ["guessing", "--at", &time, "auth=auth.log"];
        explained(&site, &[&arguments[..], more].concat())
    };
    let ringing = at("10:01:00", &[]);
    assert!(
        ringing.starts_with("guessing [ip 203.0.113.7] is in ALARM since 2026-11-22 10:00:31 UTC"),
        "{ringing}"
    );
    assert!(ringing.contains("guessing [ip 203.0.113.8] is in OK"), "{ringing}");
    let other = at("10:02:00", &["--each", "ip=203.0.113.8"]);
    assert!(other.contains("to be ALARM  2026-11-22 10:00:00 UTC would have to be >= 3: it is 1"), "{other}");
    let ended = at("10:09:30", &["--each", "ip=203.0.113.9"]);
    assert!(ended.contains("is in OK"), "{ended}");
}

#[test]
fn what_there_is_not_is_said_with_what_there_is() {
    let site = Site::new(PLAN);
    site.write("auth.log", "Nov 22 10:00:01 web sshd[1]: Failed password for root from 203.0.113.7\n");
    let wrong = |arguments: &[&str]| said(&run(&site, arguments));
    let (code, stdout, stderr) = wrong(&["explain", "gessing", "auth=auth.log"]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(
        stderr.contains("no alarm \"gessing\"") && stderr.contains("errors, guessing, quiet, site"),
        "{stderr}"
    );
    let (code, _, stderr) = wrong(&["explain", "guessing", "--each", "ip=1.1.1.1", "auth=auth.log"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("no such state"), "{stderr}");
    let (code, _, stderr) = wrong(&["explain", "errors"]);
    assert_eq!(code, Some(74), "{stderr}");
    let (code, _, stderr) = wrong(&["explain", "errors", "--at", "soon", "auth=auth.log"]);
    assert_eq!(code, Some(2), "{stderr}");
}

#[test]
fn undecided_slots_are_shown_and_silence_has_a_smallest_change() {
    let plan = r#"
[log_groups."shop/app"]
timestamp = { format = "%Y-%m-%dT%H:%M:%SZ" }
lateness = "2m"
[alarms.errors]
log_group = "shop/app"
pattern = "ERROR"
statistic = "Average"
period = "60s"
condition = ">= 1"
[alarms.silence]
heartbeat = { log_group = "shop/app" }
period = "60s"
notify = "ops"
[mute_rules.noon]
alarms = "silence"
schedule = "cron(0 12 * * *)"
duration = "30m"
[topics.ops]
console = {}
"#;
    let site = Site::new(plan);
    let lines = ["12:00:05 fine", "12:03:05 ERROR", "12:04:05 ERROR"];
    site.write("x.log", lines.map(|line| format!("2026-03-01T{}Z {}\n", &line[..8], &line[9..])).concat());
    let at = |at, alarm| explained(&site, &[alarm, "--at", at, "shop/app=x.log"]);
    let waiting = at("2026-03-01T12:04:30Z", "errors");
    for slot in ["12:03:00 UTC  1  breaching  not decided yet", "12:04:00 UTC  1  breaching  not decided yet"]
    {
        assert!(waiting.contains(slot), "no {slot:?} in\n{waiting}");
    }
    let silent = at("2026-03-01T12:20:00Z", "silence");
    for part in
        ["silence is in ALARM", "to be OK", "would have to be >= 1: there is no data", "a change waits"]
    {
        assert!(silent.contains(part), "no {part:?} in\n{silent}");
    }
    let up = Up::start(&site);
    up.stop();
    let (code, _, stderr) = said(&run(&site, &["explain", "errors", "--at", "2999-01-01"]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("--at lies in the future"), "{stderr}");
}
