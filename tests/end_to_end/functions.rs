//! Functions: what they raise counts once, also across `kill -9`; an event that they cannot process is kept.

use std::net::SocketAddr;

use serde_json::{Value, json};
use watchbell_model::{Entry, Source};

use crate::support::http::{get, post, request};
use crate::support::process::{Up, run, said};
use crate::support::records::{batches, messages, records};
use crate::support::running::{InProcess, START};
use crate::support::site::Site;
use crate::support::{eventually, eventually_some};

const GROUPS: &str = "[log_groups.\"shop/app\"]\n[log_groups.\"shop/alerts\"]\n\
                      [queues.events]\nlog_groups = \"shop/app\"\n";

/// Reads JSON and raises what is an error.
fn enrich() -> String {
    format!(
        "{GROUPS}[functions.enrich]\nqueue = \"events\"\n\
         steps = [{{ parse = \"json\" }}, {{ set = {{ team = \"ops\" }} }}]\n\
         raise = [{{ log_group = \"shop/alerts\", when = '{{ $.level = \"error\" }}' }}, \
         {{ metric = {{ namespace = \"Shop\", name = \"Spent\", value = \"$.ms\" }} }}]\n"
    )
}

fn send(address: SocketAddr, lines: &str) {
    let answer = post(address, "shop/app?stream=web-1", &[], lines.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.body);
}

fn figures(address: SocketAddr) -> Value {
    get(address, "/queues/events").json()
}

fn wait_for_empty(address: SocketAddr) {
    eventually("the queue is empty", || {
        let figures = figures(address);
        figures["visible"] == 0 && figures["in_flight"] == 0
    });
}

/// The texts of a group's events in the journal, in order.
fn texts(site: &Site, group: &str) -> Vec<String> {
    let of_group = batches(&site.data()).into_iter().filter(|(_, _, batch)| batch.group.as_str() == group);
    of_group
        .flat_map(|(_, _, batch)| batch.events().map(|it| it.message.to_owned()).collect::<Vec<_>>())
        .collect()
}

#[test]
fn a_function_raises_events_and_values_that_alarms_watch_and_says_where_they_are_from() {
    let site = Site::new(&format!(
        "{}[alarms.slow]\nmetric = {{ namespace = \"Shop\", name = \"Spent\" }}\nstatistic = \"Maximum\"\n\
         period = \"10s\"\ncondition = \"> 100\"\n[alarms.raised]\nlog_group = \"shop/alerts\"\npattern = \"ops\"\n\
         period = \"60s\"\n",
        enrich()
    ));
    let running = InProcess::start(&site, START);
    let address = running.address();
    send(address, "{\"level\":\"error\",\"ms\":250}\n{\"level\":\"info\",\"ms\":3}\n");
    running.wait_for_events("shop/alerts", 1);
    running.wait_for_state("raised", "ALARM");
    running.clock.wind_ms(30_000);
    running.wait_for_state("slow", "ALARM");
    running.drain();
    let raised =
        batches(&site.data()).into_iter().find(|(_, _, batch)| batch.group.as_str() == "shop/alerts");
    let (_, _, batch) = raised.unwrap();
    assert_eq!(batch.event(0).message, "{\"level\":\"error\",\"ms\":250,\"team\":\"ops\"}");
    assert_eq!((batch.event(0).timestamp, batch.stream.as_str()), (Some(START), "function/enrich"));
    let Source::Function { function, hops, done, .. } = batch.source else { panic!("{:?}", batch.source) };
    assert_eq!((function.as_str(), hops, done.queue.as_str()), ("enrich", 1, "events"));
    let values: Vec<f64> = done.samples.iter().map(|sample| sample.value).collect();
    assert_eq!(values, [250.0, 3.0], "what is raised stands in one entry");
    let archived = messages(&site.data());
    assert_eq!(archived.len(), 3, "raised events are archived as others are: {archived:?}");
}

#[test]
fn one_bad_event_among_many_is_one_dead_letter_and_a_redrive_after_the_function_was_mended_empties_it() {
    let site = Site::new(&enrich());
    let up = Up::start(&site);
    let line = |number: usize| {
        if number == 1234 {
            "poison\n".to_owned()
        } else {
            format!("{{\"level\":\"error\",\"n\":{number}}}\n")
        }
    };
    for first in (0..3000).step_by(500) {
        send(up.address, &(first..first + 500).map(line).collect::<String>());
    }
    wait_for_empty(up.address);
    let dead = get(up.address, "/queues/events/dead").json();
    let letters = dead["dead_letters"].as_array().unwrap();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!(
        (letter["events"].as_array().unwrap().len(), &letter["events"][0]["message"]),
        (1, &json!("poison"))
    );
    assert_eq!(
        letter["reason"],
        "function \"enrich\", step 1 (parse \"json\"): the text is not a JSON object"
    );
    up.kill();
    assert_eq!(texts(&site, "shop/alerts").len(), 2999, "the rest flows");

    site.configure(&format!(
        "{GROUPS}[functions.enrich]\nqueue = \"events\"\nraise = {{ log_group = \"shop/alerts\" }}\n"
    ));
    let up = Up::start(&site);
    assert_eq!(figures(up.address)["dead"], 1, "it is kept across a crash");
    let redriven = request(up.address, "POST", "/queues/events/redrive", &[], b"{\"all\":true}").unwrap();
    assert_eq!((redriven.status, redriven.json()), (200, json!({ "redriven": 1 })));
    up.wait_for_events("shop/alerts", 3000);
    wait_for_empty(up.address);
    assert_eq!((&figures(up.address)["dead"], &figures(up.address)["in_flight"]), (&json!(0), &json!(0)));
    up.stop();
    assert_eq!(texts(&site, "shop/alerts").last().unwrap(), "poison");
}

/// Kills `up` while a function works, again and again: what it raises of every line is there once.
#[test]
fn what_a_function_raises_is_there_once_however_often_it_is_killed() {
    const ROUNDS: usize = 4;
    const LINES: usize = 400;
    // What was received by a process that was killed comes back soon.
    let site = Site::new(&enrich().replace(
        "log_groups = \"shop/app\"\n",
        "log_groups = \"shop/app\"\nvisibility_timeout = \"1s\"\nmax_receives = 1000\n",
    ));
    for round in 0..ROUNDS {
        let up = Up::start(&site);
        let first = round * LINES;
        for number in first..first + LINES {
            send(up.address, &format!("{{\"level\":\"error\",\"n\":{number}}}\n"));
        }
        let raised = texts(&site, "shop/alerts").len();
        assert!(raised <= first + LINES, "{raised}");
        up.kill();
    }
    let up = Up::start(&site);
    up.wait_for_events("shop/alerts", (ROUNDS * LINES) as u64);
    wait_for_empty(up.address);
    up.stop();
    let mut numbers: Vec<u64> = texts(&site, "shop/alerts")
        .iter()
        .map(|text| serde_json::from_str::<Value>(text).unwrap()["n"].as_u64().unwrap())
        .collect();
    numbers.sort_unstable();
    assert!(numbers == (0..(ROUNDS * LINES) as u64).collect::<Vec<_>>(), "every line once");
}

#[test]
fn functions_that_feed_each_other_stop_and_say_so() {
    let site = Site::new(
        "[log_groups.a]\n[log_groups.b]\n[queues.a]\nlog_groups = \"a\"\n[queues.b]\nlog_groups = \"b\"\n\
         [functions.there]\nqueue = \"a\"\nraise = { log_group = \"b\" }\n\
         [functions.back]\nqueue = \"b\"\nraise = { log_group = \"a\" }\n",
    );
    let running = InProcess::start(&site, START);
    assert_eq!(post(running.address(), "a", &[], b"round and round\n").status, 200);
    let dead = || get(running.address(), "/queues/a/dead").json()["dead_letters"].as_array().unwrap().clone();
    let letter = eventually_some("a dead letter", || dead().into_iter().next());
    let reason = letter["reason"].as_str().unwrap();
    assert!(reason.contains("16 functions, one after another, have raised this event already"), "{reason}");
    assert_eq!(letter["hops"], 16);
    running.drain();
    let raised = batches(&site.data()).into_iter().map(|(_, _, batch)| batch.hops()).max();
    assert_eq!((raised, texts(&site, "a").len(), texts(&site, "b").len()), (Some(16), 9, 8));
}

#[test]
fn a_reload_puts_another_version_of_a_function_in_force_or_keeps_the_one_before() {
    let site = Site::new(&enrich());
    let running = InProcess::start(&site, START);
    send(running.address(), "{\"level\":\"error\",\"n\":1}\n");
    running.wait_for_events("shop/alerts", 1);
    let lookup = enrich().replace(
        "steps = [",
        "steps = [{ lookup = { file = \"teams.csv\", key = \"message\", field = \"x\" } }, ",
    );
    site.configure(&lookup);
    let refused = running.reload(&site).unwrap_err().to_string();
    assert!(refused.contains("function \"enrich\"") && refused.contains("teams.csv"), "{refused}");
    send(running.address(), "{\"level\":\"error\",\"n\":2}\n");
    running.wait_for_events("shop/alerts", 2);
    site.configure(&enrich().replace("\"ops\"", "\"others\""));
    running.reload(&site).unwrap();
    send(running.address(), "{\"level\":\"error\",\"n\":3}\n");
    running.wait_for_events("shop/alerts", 3);
    site.configure(GROUPS);
    running.reload(&site).unwrap();
    send(running.address(), "{\"level\":\"error\",\"n\":4}\n");
    let left = eventually_some("the last is for whoever comes", || {
        let figures = figures(running.address());
        (figures["visible"] == 1).then_some(figures)
    });
    assert_eq!(left["dead"], 0);
    running.drain();
    let teams = ["ops", "ops", "others"].map(|team| format!("\"team\":\"{team}\""));
    let texts = texts(&site, "shop/alerts");
    assert!(
        texts.iter().zip(&teams).all(|(text, team)| text.contains(team)) && texts.len() == 3,
        "{texts:?}"
    );
}

#[test]
fn what_a_function_raises_is_redacted_as_what_is_sent() {
    let site = Site::new(&format!(
        "{GROUPS}[redaction]\npresets = [\"emails\"]\n[functions.enrich]\nqueue = \"events\"\n\
         steps = [{{ lookup = {{ file = \"who.csv\", key = \"message\", field = \"who\" }} }}]\n\
         raise = {{ log_group = \"shop/alerts\" }}\n"
    ));
    site.write("who.csv", "message,mail\nlogin,ann@example.com\n");
    let running = InProcess::start(&site, START);
    send(running.address(), "login\n");
    running.wait_for_events("shop/alerts", 1);
    running.drain();
    let text = texts(&site, "shop/alerts").remove(0);
    assert!(text.contains("[redacted:") && !text.contains("ann@"), "{text}");
    let raw = records(&site.data())
        .iter()
        .any(|record| matches!(&record.entry, Entry::Plan(plan) if plan.functions.len() == 1));
    assert!(raw, "the plan in the journal has the function");
}

#[test]
fn a_file_that_a_function_needs_and_cannot_have_is_said_by_check_and_at_the_start() {
    let site = Site::new(&format!(
        "{GROUPS}[functions.enrich]\nqueue = \"events\"\n\
         steps = [{{ lookup = {{ file = \"who.csv\", key = \"ip\", field = \"who\" }} }}]\nraise = {{ log_group = \"shop/alerts\" }}\n"
    ));
    for verb in ["check", "up"] {
        let (code, _, stderr) = said(&run(&site, &[verb]));
        assert_eq!(code, Some(78), "{verb}: {stderr}");
        assert!(
            stderr.contains("function \"enrich\": ") && stderr.contains("who.csv: No such file"),
            "{stderr}"
        );
    }
    assert!(!site.data().join("journal").exists(), "nothing was made");
    site.write("who.csv", "address,owner\n10.0.0.7,a\n");
    let (code, _, stderr) = said(&run(&site, &["check"]));
    assert_eq!(code, Some(78), "{stderr}");
    assert!(stderr.contains("no column \"ip\"; it has address, owner"), "{stderr}");
    site.write("who.csv", "ip,owner\n10.0.0.7,a\n");
    let (code, stdout, _) = said(&run(&site, &["check"]));
    assert_eq!(code, Some(0));
    assert!(stdout.contains("1 queue, 1 function\n"), "{stdout}");
}

#[test]
fn the_file_of_the_page_does_what_the_page_says() {
    let page = include_str!("../../docs/reference/functions.md");
    let file = page.split("<!-- file -->\n```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let site = Site::new(file);
    site.write("hosts.csv", "ip,owner,rack\n10.0.0.7,payments,3\n");
    let running = InProcess::start(&site, START);
    send(
        running.address(),
        "{\"ip\":\"10.0.0.7\",\"status\":503,\"ms\":900,\"password\":\"x\"}\n{\"status\":200}\n",
    );
    running.wait_for_events("shop/alerts", 1);
    running.drain();
    let host = json!({ "owner": "payments", "rack": "3" });
    let expected = json!({ "host": host, "ip": "10.0.0.7", "ms": 900, "severity": "error", "status": 503 });
    let raised: Vec<Value> =
        texts(&site, "shop/alerts").iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert_eq!(raised, [expected]);
}
