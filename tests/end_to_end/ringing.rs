//! From lines in a file to one message: filters, metrics, alarms and the webhook, with a clock that is wound by hand.

use watchbell_model::{AlarmState, Entry, GroupName, Record};

use crate::support::eventually;
use crate::support::input::{access, cloudtrail, crlf_without_final_end, lf, pieces, sshd};
use crate::support::receiver::Receiver;
use crate::support::records::{archived, messages, records, transitions};
use crate::support::running::{InProcess, START};
use crate::support::site::Site;

const SSHD: &str = r#"
[log_groups."ssh/auth"]
files = ["auth.log"]
[metric_filters.failed]
log_group = "ssh/auth"
pattern = '"Failed password"'
metric = { namespace = "Ssh", name = "Failed", value = "1" }
[alarms.brute-force]
metric_filter = "failed"
statistic = "Sum"
period = "60s"
condition = ">= 5"
missing_data = "not_breaching"
severity = "critical"
runbook = "https://wiki.example.com/ssh"
notify = ["ops"]
"#;

fn sshd_site(receiver: &Receiver) -> Site {
    Site::new(&format!("{SSHD}[topics.ops.webhook]\nurl = \"{}\"\n", receiver.url()))
}

fn matched(running: &InProcess, filter: &str) -> u64 {
    running.look(|fold| fold.engine.counters().filters.get(filter).map_or(0, |counters| counters.matched))
}

#[test]
fn a_burst_in_a_file_that_grows_in_pieces_rings_once_and_the_message_says_why() {
    let receiver = Receiver::start();
    let site = sshd_site(&receiver);
    site.append("auth.log", "before\r\n");
    let running = InProcess::start(&site, START);
    running.wait_for_events("ssh/auth", 1);
    let lines = sshd(0..600);
    for piece in pieces(&crlf_without_final_end(&lines), 300) {
        site.append("auth.log", piece);
    }
    // All but the last line, which has no end.
    running.wait_for_events("ssh/auth", 600);
    let posts = receiver.wait_for(1);
    running.clock.wind_ms(1000);
    running.wait_for_events("ssh/auth", 601);
    let failed: Vec<&String> = lines.iter().filter(|line| line.contains("Failed password")).collect();
    assert_eq!(matched(&running, "failed"), failed.len() as u64);
    assert_eq!(running.state("brute-force"), "ALARM");

    let message = posts[0].json();
    assert_eq!(message["alarm"], "brute-force");
    assert_eq!((&message["state"], &message["early"]), (&"ALARM".into(), &true.into()));
    assert_eq!(
        (&message["severity"], &message["runbook"]),
        (&"critical".into(), &"https://wiki.example.com/ssh".into())
    );
    assert_eq!(message["at"], "2026-11-22T21:12:00.000Z");
    let first = &message["lines"]["first"][0];
    assert_eq!(first["message"], **failed[0]);
    assert_eq!(first["log_group"], "ssh/auth");
    assert_eq!(first["log_stream"], site.path("auth.log").to_str().unwrap());
    assert!(message["matched"].as_u64().unwrap() >= 5, "{message}");

    // The minute and its lateness pass: the alarm returns, and says so once.
    running.clock.wind_ms(600_000);
    running.wait_for_state("brute-force", "OK");
    running.wait_for_deliveries();
    running.drain();
    assert_eq!(receiver.states(), ["ALARM", "OK"]);
    assert_eq!(messages(&site.data())[1..], lines);
}

#[test]
fn the_message_has_the_first_and_the_last_lines() {
    let receiver = Receiver::start();
    let site = Site::new(&format!(
        "{}[topics.ops.webhook]\nurl = \"{}\"\n",
        SSHD.replace("notify", "datapoints = \"2 of 2\"\nnotify"),
        receiver.url()
    ));
    site.append("auth.log", "before\n");
    let running = InProcess::start(&site, START);
    running.wait_for_events("ssh/auth", 1);
    let lines = sshd(0..60);
    let (first, second) = lines.split_at(30);
    site.append("auth.log", lf(first));
    running.wait_for_events("ssh/auth", 31);
    running.clock.wind_ms(60_000);
    site.append("auth.log", lf(second));
    let message = receiver.wait_for(1)[0].json();
    let texts = |which: &str| -> Vec<String> {
        let lines = message["lines"][which].as_array().unwrap();
        lines.iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    };
    let failed: Vec<String> = lines.iter().filter(|line| line.contains("Failed")).cloned().collect();
    let (head, tail) = (texts("first"), texts("last"));
    assert!(!head.is_empty() && !tail.is_empty(), "{message}");
    assert_eq!(head, failed[..head.len()]);
    assert_eq!(tail, failed[failed.len() - tail.len()..]);
    assert_eq!(message["matched"], failed.len());
    running.drain();
}

#[test]
fn what_was_there_before_is_archived_and_counted_but_rings_nobody() {
    let receiver = Receiver::start();
    let site = sshd_site(&receiver);
    let lines = sshd(0..100);
    site.append("auth.log", lf(&lines));
    let running = InProcess::start(&site, START);
    running.wait_for_events("ssh/auth", 100);
    let group = GroupName::new("ssh/auth").unwrap();
    assert_eq!(running.look(|fold| fold.engine.counters().groups[&group].backfill), 100);
    assert_eq!(matched(&running, "failed"), 66, "they count as matches");
    // Four are new: one fewer than the alarm needs.
    site.append("auth.log", lf(&sshd(100..106)));
    running.wait_for_events("ssh/auth", 106);
    running.clock.wind_ms(600_000);
    running.wait_for_state("brute-force", "OK");
    running.drain();
    assert!(receiver.posts().is_empty(), "{:?}", receiver.posts());
    assert_eq!(messages(&site.data()), sshd(0..106));
}

#[test]
fn access_lines_count_by_their_status_and_are_archived_by_severity() {
    let site = Site::new(
        r#"
[log_groups."shop/access"]
files = ["access.log"]
parse = "combined"
[metric_filters.http-5xx]
log_group = "shop/access"
pattern = '[ip, id, user, time, request, status=5*, size, referrer, agent]'
metric = { namespace = "Shop", name = "Http5xx", value = "1", default = 0 }
"#,
    );
    site.append("access.log", lf(&access(400, "22/Nov/2026:21:11:59 +0000")));
    let running = InProcess::start(&site, START);
    running.wait_for_events("shop/access", 400);
    assert_eq!(matched(&running, "http-5xx"), 40);
    running.drain();
    let events = archived(&site.path("data/archive"));
    assert_eq!(events.len(), 400);
    let errors = events.iter().filter(|event| event.severity.as_str() == "error").count();
    assert_eq!(errors, 40);
    assert!(events.iter().all(|event| event.timestamp == START.plus_ms(-1000) && event.app == "shop"));
    assert!(events.iter().all(|event| event.fields.as_ref().is_some_and(|it| it.contains("\"status\":"))));
}

#[test]
fn json_records_count_by_their_fields() {
    let site = Site::new(
        r#"
[log_groups."aws/cloudtrail"]
files = ["trail.jsonl"]
parse = "json"
[metric_filters.denied]
log_group = "aws/cloudtrail"
pattern = '{ ($.errorCode = "*UnauthorizedOperation") || ($.errorCode = "AccessDenied*") }'
metric = { namespace = "Aws", name = "Denied", value = "1" }
"#,
    );
    site.append("trail.jsonl", lf(&cloudtrail(200, "2026-11-22T21:11:00Z")));
    let running = InProcess::start(&site, START);
    running.wait_for_events("aws/cloudtrail", 200);
    assert_eq!(matched(&running, "denied"), 100);
    running.drain();
    let events = archived(&site.path("data/archive"));
    assert_eq!(events.len(), 200);
    assert!(events.iter().all(|event| event.timestamp == START.plus_ms(-60_000)), "the record's own time");
}

#[test]
fn an_alarm_without_data_goes_the_way_its_missing_data_says_and_tells_only_of_alarm() {
    let receiver = Receiver::start();
    let mut body =
        "[log_groups.\"ssh/auth\"]\n[metric_filters.failed]\nlog_group = \"ssh/auth\"\npattern = 'Failed'\n\
                    metric = { namespace = \"Ssh\", name = \"Failed\", value = \"1\" }\n"
            .to_owned();
    let ways = [
        ("missing", "INSUFFICIENT_DATA"),
        ("ignore", "INSUFFICIENT_DATA"),
        ("breaching", "ALARM"),
        ("not_breaching", "OK"),
    ];
    for (way, _) in ways {
        let alarm = format!(
            "[alarms.{way}]\nmetric_filter = \"failed\"\nstatistic = \"Average\"\nperiod = \"60s\"\n\
             condition = \"> 5\"\nmissing_data = \"{way}\"\nnotify = [\"ops\"]\n"
        );
        body.push_str(&alarm);
    }
    let site = Site::new(&format!("{body}[topics.ops.webhook]\nurl = \"{}\"\n", receiver.url()));
    let running = InProcess::start(&site, START);
    running.clock.wind_ms(130_000);
    for (way, state) in ways {
        running.wait_for_state(way, state);
    }
    eventually("the one message is delivered", || receiver.states() == ["ALARM"]);
    running.drain();
    let told: Vec<_> = transitions(&site.data())
        .into_iter()
        .filter(|transition| !transition.notify.is_empty())
        .map(|transition| (transition.alarm, transition.to))
        .collect();
    assert_eq!(told, [("breaching".to_owned(), AlarmState::Alarm)]);
    assert_eq!(receiver.states(), ["ALARM"]);
}

#[test]
fn a_clock_that_steps_back_just_when_a_tick_is_written_holds_up_no_alarm() {
    let body = "[log_groups.\"ssh/auth\"]\n[metric_filters.failed]\nlog_group = \"ssh/auth\"\npattern = 'Failed'\n\
         metric = { namespace = \"Ssh\", name = \"Failed\", value = \"1\" }\n[alarms.silence]\n\
         metric_filter = \"failed\"\nstatistic = \"Sum\"\nperiod = \"60s\"\ncondition = \"< 1\"\n\
         missing_data = \"breaching\"\nnotify = [\"ops\"]\n[topics.ops.console]\n";
    for _ in 0..5 {
        let site = Site::new(body);
        let running = InProcess::start(&site, START);
        let is_tick = |record: &Record| matches!(record.entry, Entry::Tick);
        while !records(&site.data()).iter().any(is_tick) {
            running.clock.wind_ms(120_000);
            std::thread::yield_now();
            running.clock.wind_ms(-120_000);
        }
        running.clock.wind_ms(120_000);
        running.wait_for_state("silence", "ALARM");
        running.drain();
    }
}
