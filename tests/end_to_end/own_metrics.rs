//! Alarms on what Watchbell counts and measures of itself, and what it says about metrics with too many series.

use watchbell_model::{Entry, OwnMetric, Sample, Timestamp};

use crate::support::eventually;
use crate::support::http::{get, post};
use crate::support::process::Up;
use crate::support::receiver::{Post, Receiver};
use crate::support::records::{records, transitions};
use crate::support::running::{InProcess, START};
use crate::support::site::Site;

/// What was measured so far: when it was journaled, and what.
fn measured(site: &Site) -> Vec<(Timestamp, Vec<Sample>)> {
    let samples = |record: watchbell_model::Record| match record.entry {
        Entry::Samples(samples) => Some((record.time, samples.samples)),
        _ => None,
    };
    records(&site.data()).into_iter().filter_map(samples).collect()
}

/// An alarm on one of Watchbell's own metrics, each ten seconds.
fn own_alarm(name: &str, metric: OwnMetric, condition: &str, rest: &str) -> String {
    format!(
        "[alarms.{name}]\nmetric = {{ namespace = \"Watchbell\", name = \"{}\" }}\nstatistic = \"Maximum\"\n\
         period = \"10s\"\ncondition = \"{condition}\"\n{rest}\n",
        metric.name
    )
}

fn lag(running: &InProcess) -> String {
    let metrics = get(running.address(), "/metrics").body;
    let line =
        metrics.lines().find(|line| line.starts_with("watchbell_source_lag_bytes{log_group=\"shop/app\"}"));
    line.map_or_else(String::new, |line| line.rsplit(' ').next().unwrap().to_owned())
}

/// The alarms that messages are about, with their states.
fn told(posts: &[Post]) -> Vec<(String, String)> {
    let text = |post: &Post, key: &str| post.json()[key].as_str().unwrap().to_owned();
    let mut told: Vec<_> = posts.iter().map(|post| (text(post, "alarm"), text(post, "state"))).collect();
    told.sort();
    told
}

#[test]
fn an_alarm_on_unread_bytes_fires_while_they_are_unread_and_only_what_is_watched_is_measured() {
    let alarm = own_alarm(
        "lag",
        OwnMetric::SOURCE_LAG_BYTES,
        "> 4999",
        "dimensions = { LogGroupName = \"shop/app\" }\nmissing_data = \"ignore\"",
    );
    let site = Site::new(&format!(
        "[log_groups.\"shop/app\"]\nfiles = [\"app*.log\"]\n[log_groups.\"shop/web\"]\nfiles = [\"web.log\"]\n{alarm}"
    ));
    let running = InProcess::start(&site, START.plus_ms(9500));
    // Half lines: they wait for their ends as long as the clock stands still.
    site.append("app-1.log", "x".repeat(3000));
    site.append("app-2.log", "x".repeat(2000));
    site.append("web.log", "y".repeat(7000));
    eventually("both files of the group are seen", || lag(&running) == "5000");
    running.clock.wind_ms(500);
    running.wait_for_state("lag", "ALARM");
    // Quiet for a second: they count as lines.
    running.clock.wind_ms(1000);
    running.wait_for_events("shop/app", 2);
    eventually("nothing is unread", || lag(&running) == "0");
    running.clock.wind_ms(9000);
    eventually("it is measured again", || measured(&site).len() == 2);
    running.clock.wind_ms(10_000);
    eventually("and again", || measured(&site).len() == 3);
    // The second slot is over once its end lies in the past.
    running.clock.wind_ms(1);
    running.wait_for_state("lag", "OK");
    running.drain();

    let measured = measured(&site);
    let times: Vec<i64> = measured.iter().map(|(at, _)| at.ms_since(START)).collect();
    assert_eq!(times, [10_000, 20_000, 30_000]);
    let sample = |value| Sample {
        metric: OwnMetric::SOURCE_LAG_BYTES.metric(),
        dimensions: [("LogGroupName".to_owned(), "shop/app".to_owned())].into(),
        unit: OwnMetric::SOURCE_LAG_BYTES.unit,
        value,
    };
    let samples: Vec<Vec<Sample>> = measured.into_iter().map(|(_, samples)| samples).collect();
    assert_eq!(samples, [[sample(5000.0)], [sample(0.0)], [sample(0.0)]]);
    let transitions = transitions(&site.data());
    assert_eq!(transitions[0].at, START.plus_ms(10_000), "as soon as it is measured");
}

#[test]
fn nothing_is_measured_into_the_journal_if_no_alarm_watches_it() {
    let site = Site::new(
        "[log_groups.\"shop/app\"]\nfiles = [\"app.log\"]\n[alarms.errors]\npattern = 'ERROR'\n\
         log_group = \"shop/app\"\nperiod = \"10s\"\n",
    );
    let running = InProcess::start(&site, START);
    // Ticks come from the loop that would have measured before them. Not every instant needs one: other entries let time
    // pass as well.
    eventually("a tick is journaled", || {
        running.clock.wind_ms(60_000);
        records(&site.data()).iter().any(|record| record.entry == Entry::Tick)
    });
    running.drain();
    assert_eq!(measured(&site), []);
}

#[test]
fn failing_deliveries_waiting_messages_and_waiting_archive_text_raise_alarms_that_another_topic_tells() {
    let (refusing, backup) = (Receiver::start(), Receiver::start());
    refusing.answer(503);
    let site = Site::new(&format!(
        "[log_groups.\"shop/app\"]\n\
         [alarms.errors]\npattern = 'ERROR'\nlog_group = \"shop/app\"\nperiod = \"60s\"\nnotify = [\"ops\"]\n\
         {}{}{}[topics.ops.webhook]\nurl = \"{}\"\n[topics.backup.webhook]\nurl = \"{}\"\n",
        own_alarm(
            "undelivered",
            OwnMetric::DELIVERY_ERRORS,
            ">= 1",
            "dimensions = { Topic = \"ops\" }\nnotify = [\"backup\"]"
        ),
        own_alarm("stuck", OwnMetric::MESSAGES_WAITING, ">= 1", "notify = [\"backup\"]"),
        own_alarm("unarchived", OwnMetric::ARCHIVE_WAITING_BYTES, ">= 12", "notify = [\"backup\"]"),
        refusing.url(),
        backup.url()
    ));
    let running = InProcess::start(&site, START);
    assert_eq!(post(running.address(), "shop/app", &[], b"ERROR a\nfine\n").status, 200);
    assert_eq!(told(&backup.wait_for(1)), [("undelivered".to_owned(), "ALARM".to_owned())]);
    running.clock.wind_ms(10_000);
    let told = told(&backup.wait_for(3));
    let expected = ["stuck", "unarchived", "undelivered"].map(|alarm| (alarm.to_owned(), "ALARM".to_owned()));
    assert_eq!(told, expected);
    refusing.answer(200);
    running.wait_for_deliveries();
    running.drain();
    let waiting_bytes =
        measured(&site)[0].1.iter().find(|it| it.metric.name == "ArchiveWaitingBytes").unwrap().value;
    assert_eq!(waiting_bytes.to_string(), "13");
}

#[test]
fn the_alarms_on_the_page_are_good() {
    let page = include_str!("../../docs/reference/metrics.md");
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(Site::new(example).plan().alarms.len(), 3);
}

#[test]
fn a_heartbeat_that_stops_raises_its_alarm_and_the_next_line_ends_it() {
    let receiver = Receiver::start();
    let site = Site::new(&format!(
        "[log_groups.\"shop/app\"]\n[alarms.quiet]\nheartbeat = {{ log_group = \"shop/app\" }}\nperiod = \"60s\"\n\
         notify = [\"ops\"]\n[topics.ops.webhook]\nurl = \"{}\"\n",
        receiver.url()
    ));
    // Within a minute: the alarm's first slot is one in which a line can come.
    let running = InProcess::start(&site, START.plus_ms(1000));
    for minute in 1..=10 {
        assert_eq!(post(running.address(), "shop/app", &[], b"alive\n").status, 200);
        running.wait_for_events("shop/app", minute);
        running.clock.wind_ms(60_000);
    }
    running.wait_for_state("quiet", "OK");
    assert_eq!(receiver.posts().len(), 0, "ten minutes with a line each");
    running.clock.wind_ms(10 * 60_000);
    let message = receiver.wait_for(1)[0].json();
    assert_eq!((&message["alarm"], &message["state"]), (&"quiet".into(), &"ALARM".into()));
    assert_eq!(message["metric"]["name"], "IncomingLogEvents");
    assert_eq!(post(running.address(), "shop/app", &[], b"back\n").status, 200);
    running.clock.wind_ms(120_000);
    running.wait_for_state("quiet", "OK");
    running.wait_for_deliveries();
    running.drain();
    assert_eq!(receiver.states(), ["ALARM", "OK"]);
}

#[test]
fn more_values_than_series_max_are_counted_together_alarmed_on_together_and_said_once() {
    const SAID: &str = "a metric has series_max combinations of dimension values";
    const OVER: &str = "watchbell_metric_filter_over_series_max_events_total{metric_filter=\"failed\"}";
    let receiver = Receiver::start();
    let site = Site::new(&format!(
        "[log_groups.\"ssh/auth\"]\n[metric_filters.failed]\nlog_group = \"ssh/auth\"\npattern = '[w=Failed, ip]'\n\
         metric = {{ namespace = \"Ssh\", name = \"Failed\", dimensions = {{ ip = \"$ip\" }}, series_max = 2 }}\n\
         [alarms.brute-force]\nmetric_filter = \"failed\"\neach = \"ip\"\nstatistic = \"Sum\"\nperiod = \"86400s\"\n\
         condition = \">= 2\"\nnotify = [\"ops\"]\n[topics.ops.webhook]\nurl = \"{}\"\n",
        receiver.url()
    ));
    let said = |up: &Up| -> Vec<_> {
        let is_it =
            |event: &serde_json::Value| event["message"].as_str().is_some_and(|it| it.starts_with(SAID));
        up.log().into_iter().filter(is_it).collect()
    };
    let up = Up::start(&site);
    let lines = b"Failed a\nFailed a\nFailed b\nFailed b\nFailed c\nFailed d\nFailed \x1b[31me\n";
    assert_eq!(post(up.address, "ssh/auth", &[], lines).status, 200);
    let posts = receiver.wait_for(3);
    let mut values: Vec<_> = posts.iter().map(|post| post.json()["dimensions"]["ip"].clone()).collect();
    values.sort_by_key(ToString::to_string);
    assert_eq!(values, ["(other)", "a", "b"]);
    up.wait_for_log(SAID);
    assert_eq!(up.metric(OVER), 3);
    let warnings = said(&up);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let warning = &warnings[0];
    assert_eq!(warning["level"], "WARN");
    assert_eq!((&warning["metric"], &warning["metric_filter"]), (&"Ssh/Failed".into(), &"failed".into()));
    assert_eq!((&warning["series_max"], &warning["refused"]), (&2.into(), &"ip=c".into()));
    up.stop();

    let up = Up::start(&site);
    assert_eq!(post(up.address, "ssh/auth", &[], b"Failed f\n").status, 200);
    eventually("the next one is counted too", || up.metric(OVER) == 4);
    // A decision about it would stand before what comes next.
    assert_eq!(post(up.address, "ssh/auth", &[], b"fine\n").status, 200);
    up.wait_for_events("ssh/auth", 9);
    assert_eq!(said(&up).len(), 0, "said already, and not an hour ago");
    up.stop();
}
