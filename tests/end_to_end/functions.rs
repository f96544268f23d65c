//! Functions: what they raise counts once, also across `kill -9`; an event that they cannot process is kept.

use std::net::{SocketAddr, TcpListener};

use serde_json::{Value, json};
use watchbell_model::{Entry, Source};

use crate::support::http::{get, post, request};
use crate::support::process::{Up, run, said};
use crate::support::receiver::Receiver;
use crate::support::records::{batches, messages, records, trail};
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

#[test]
fn a_webhook_gets_each_event_at_least_once_under_one_name_and_refused_ones_alone_are_dead() {
    let receiver = Receiver::start();
    let site = Site::new(&format!(
        "{}[functions.deliver]\nqueue = \"events\"\nsteps = {{ parse = \"json\" }}\n\
         webhook = {{ url = \"{}\", signing_key = {{ env = \"HOOK_KEY\" }}, when = '{{ $.n > 1 }}' }}\n",
        GROUPS.replace("log_groups = \"shop/app\"\n", "log_groups = \"shop/app\"\nmax_receives = 2\n"),
        receiver.url()
    ));
    let up = Up::start_with(&site, &[("HOOK_KEY", "hook-key".as_ref())]);
    send(up.address, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    let first = receiver.wait_for(1).remove(0);
    let body = first.json();
    let fields: Vec<&Value> =
        body["events"].as_array().unwrap().iter().map(|event| &event["fields"]).collect();
    assert_eq!(fields, [&json!({ "n": 2 }), &json!({ "n": 3 })]);
    assert_eq!((&body["function"], &body["log_group"]), (&json!("deliver"), &json!("shop/app")));
    assert_eq!(first.header("webhook-id"), body["id"].as_str());
    assert!(first.header("webhook-signature").unwrap().starts_with("v1,"), "{first:?}");
    wait_for_empty(up.address);

    receiver.answer(503);
    send(up.address, "{\"n\":4}\n");
    let posts = receiver.wait_for(3);
    assert_eq!(
        posts[1].header("webhook-id"),
        posts[2].header("webhook-id"),
        "a name is the same in every attempt"
    );
    let dead = || get(up.address, "/queues/events/dead").json()["dead_letters"].as_array().unwrap().clone();
    let letter = eventually_some("a dead letter", || dead().into_iter().next());
    let reason = letter["reason"].as_str().unwrap();
    assert!(reason.starts_with("function \"deliver\", webhook: ") && reason.contains("503"), "{reason}");
    assert!(reason.ends_with("tried 2 times"), "{reason}");
    let failed = "watchbell_function_failed_messages_total{function=\"deliver\"}";
    assert_eq!(up.metric(failed), 2, "each attempt is counted");

    receiver.answer(422);
    send(up.address, "{\"n\":5}\n{\"n\":6}\n");
    eventually("both are refused, each alone", || dead().len() == 3);
    assert_eq!(receiver.posts().len(), 6, "the two together, and each by itself");
    receiver.answer(200);
    let redriven = request(up.address, "POST", "/queues/events/redrive", &[], b"{\"all\":true}").unwrap();
    assert_eq!(redriven.status, 200, "{}", redriven.body);
    let last: Vec<Value> = receiver.wait_for(9)[6..]
        .iter()
        .map(|post| post.json()["events"][0]["fields"]["n"].clone())
        .collect();
    wait_for_empty(up.address);
    assert!([4, 5, 6].iter().all(|n| last.contains(&json!(n))) && dead().is_empty(), "{last:?}");
    up.stop();
}

/// A file whose alarm `errors` rings for ERROR, and a function `mend` with this command.
fn mends(command: &str) -> String {
    format!(
        "[log_groups.\"shop/app\"]\n[alarms.errors]\nlog_group = \"shop/app\"\npattern = \"ERROR\"\nperiod = \"10s\"\n\
         missing_data = \"not_breaching\"\n[queues.state]\nalarms = true\nvisibility_timeout = \"1s\"\n\
         [functions.mend]\nqueue = \"state\"\ncommand = {{ {command} }}\n"
    )
}

/// The audit records of commands: action, outcome, and a detail.
fn commands(site: &Site, detail: &str) -> Vec<(String, String, String)> {
    let of_commands = trail(&site.data()).into_iter().filter(|record| record.action.starts_with("command."));
    let shown = of_commands.map(|it| {
        let detail = it.detail.get(detail).cloned().unwrap_or_default();
        (it.action.clone(), it.outcome.as_str().to_owned(), detail)
    });
    shown.collect()
}

fn wait_for_commands(site: &Site, count: usize) {
    eventually(&format!("{count} records of commands"), || commands(site, "run").len() >= count);
}

#[test]
fn a_command_that_is_not_armed_is_only_said() {
    let site = Site::new(&mends("run = [\"touch\", \"/nonexistent/x\"]"));
    let running = InProcess::start(&site, START);
    send(running.address(), "ERROR disk\n");
    wait_for_commands(&site, 1);
    running.drain();
    assert_eq!(
        commands(&site, "command"),
        [("command.dry_run".to_owned(), "done".to_owned(), "touch /nonexistent/x".to_owned())]
    );
}

#[test]
fn an_armed_command_gets_the_event_beside_its_arguments_is_audited_and_looked_after() {
    let site = Site::new("");
    let script = "env | sort > seen; cat >> seen; echo done; echo ERROR >&2";
    site.write("mend.sh", format!("#!/bin/sh\ncd {}\n{script}\n", site.path("").display()));
    let armed = "run = [\"sh\", \"SCRIPT\", \"fixed $HOME\"], armed = true, check_after = \"20m\"";
    site.configure(&mends(&armed.replace("SCRIPT", site.path("mend.sh").to_str().unwrap())));
    let running = InProcess::start(&site, START);
    send(running.address(), "ERROR `touch /nonexistent` $(id) disk\n");
    wait_for_commands(&site, 2);
    running.clock.wind_ms(600_000);
    running.wait_for_state("errors", "OK");
    running.clock.wind_ms(1_200_000);
    wait_for_commands(&site, 3);
    running.drain();
    let seen = std::fs::read_to_string(site.path("seen")).unwrap();
    let names: Vec<&str> =
        seen.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    let expected =
        ["LANG", "OLDPWD", "PATH", "PWD", "WATCHBELL_ALARM", "WATCHBELL_FUNCTION", "WATCHBELL_MESSAGE"];
    assert_eq!(names[..7], expected, "{seen}");
    assert!(seen.contains("WATCHBELL_ALARM=errors\n") && seen.contains("WATCHBELL_STATE=ALARM\n"), "{seen}");
    assert!(seen.contains("\"alarmName\":\"errors\""), "the event is at standard input: {seen}");
    let actions: Vec<String> = commands(&site, "run").into_iter().map(|(action, ..)| action).collect();
    assert_eq!(actions, ["command.start", "command.end", "command.check"]);
    assert_eq!(commands(&site, "output")[1], ("command.end".into(), "done".into(), "done\nERROR".into()));
    assert_eq!(commands(&site, "state")[2], ("command.check".into(), "done".into(), "OK".into()));
    let arguments = &commands(&site, "command")[0].2;
    assert!(arguments.ends_with("mend.sh fixed $HOME"), "no shell reads them: {arguments}");
}

#[test]
fn a_command_is_not_started_twice_for_a_message_also_after_kill_9() {
    let site = Site::new("");
    let script = |name: &str, text: String| site.write(name, format!("#!/bin/sh\n{text}\n"));
    let path = |name: &str| site.path(name).to_str().unwrap().to_owned();
    // It ends with the process that has started it.
    script("mend.sh", format!("echo run >> {}; while [ -d /proc/$PPID ]; do sleep 0.1; done", path("runs")));
    site.configure(&mends(&format!(
        "run = [\"sh\", \"{}\"], armed = true, timeout = \"10s\"",
        path("mend.sh")
    )));
    let runs = || std::fs::read_to_string(site.path("runs")).map_or(0, |text| text.lines().count());
    let up = Up::start(&site);
    send(up.address, "ERROR one\n");
    eventually("the command runs", || runs() == 1);
    up.kill();

    // The message comes again; its command is not started again.
    script("mend.sh", format!("echo run >> {}; exit 3", path("runs")));
    let up = Up::start(&site);
    eventually("the second time is held back", || {
        commands(&site, "reason").iter().any(|(action, _, reason)| {
            action == "command.held_back" && reason.starts_with("it was started for this message before")
        })
    });
    assert_eq!(runs(), 1);
    up.stop();
}

#[test]
fn no_more_commands_run_in_an_hour_than_the_file_allows_and_a_precondition_is_asked() {
    let site = Site::new(&mends("run = \"false\", armed = true, per_hour = 2"));
    let running = InProcess::start(&site, START);
    let ring = |number: usize| {
        send(running.address(), &format!("ERROR {number}\n"));
        running.wait_for_state("errors", "ALARM");
        wait_for_commands(&site, if number < 3 { 2 * number } else { number + 2 });
        running.clock.wind_ms(600_000);
        running.wait_for_state("errors", "OK");
    };
    (1..=3).for_each(ring);
    let held = commands(&site, "reason").pop().unwrap();
    let reason = "it was started 2 times in the last hour, per_hour allows no more";
    assert_eq!(held, ("command.held_back".into(), "denied".into(), reason.into()));
    let dead = get(running.address(), "/queues/state/dead").json();
    let reasons: Vec<&str> =
        dead["dead_letters"].as_array().unwrap().iter().map(|it| it["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["function \"mend\", command false: exit code 1"; 2]);
    site.configure(&mends(
        "run = \"true\", armed = true, only_if = [\"sh\", \"-c\", \"echo not now; exit 7\"]",
    ));
    running.reload(&site).unwrap();
    running.clock.wind_ms(3_600_000);
    ring(4);
    running.drain();
    let last = commands(&site, "reason").pop().unwrap();
    assert_eq!(last, ("command.held_back".into(), "denied".into(), "only_if: exit code 7".into()));
    assert_eq!(commands(&site, "output").pop().unwrap().2, "not now");
}

#[test]
fn workers_grow_with_the_backlog_and_shrink_when_nothing_waits_and_say_why() {
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::new(&format!(
        "{}[functions.deliver]\nqueue = \"events\"\nworkers = {{ min = 1, max = 4 }}\n\
         webhook = {{ url = \"http://{}\" }}\n",
        GROUPS.replace("log_groups = \"shop/app\"\n", "log_groups = \"shop/app\"\nmax_receives = 1\n"),
        silent.local_addr().unwrap()
    ));
    let running = InProcess::start(&site, START);
    let workers = || {
        let report = get(running.address(), "/functions").json()["functions"][0].clone();
        (report["workers"]["now"].as_u64().unwrap(), report)
    };
    eventually("one worker", || workers().0 == 1);
    for _ in 0..100 {
        send(running.address(), "one\n");
    }
    running.clock.wind_ms(2000);
    eventually("they grow", || workers().0 == 4);
    let reason = workers().1["last_scaled"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("messages wait, the oldest is 2 s old"), "{reason}");
    drop(silent);
    eventually("all are done with", || figures(running.address())["dead"] == 100);
    eventually("they shrink", || {
        running.clock.wind_ms(1000);
        workers().0 == 1
    });
    let (_, report) = workers();
    assert_eq!(report["last_scaled"]["reason"], "nothing has waited for 30 s");
    assert!(report["last_error"].as_str().unwrap().contains("webhook: 127.0.0.1:"), "{report}");
    running.drain();
}

#[test]
fn the_verb_shows_how_functions_do_and_tries_one_on_a_file() {
    let site = Site::new(&enrich());
    site.write("lines.log", "{\"level\":\"error\",\"ms\":7}\nnot JSON\n");
    let (code, stdout, stderr) = said(&run(&site, &["functions", "test", "enrich", "lines.log"]));
    assert_eq!(code, Some(1), "{stderr}");
    let expected = "     1  becomes   {\"level\":\"error\",\"ms\":7,\"team\":\"ops\"}\n     1  raised    into the log group of the \
                    function\n     1  value     Shop/Spent 7\n     2  failed    step 1 (parse \"json\"): the text is not a JSON object\n";
    assert_eq!(stdout, expected);
    assert_eq!(stderr, "2 lines: 1 events and 1 values raised, 1 failed; nothing was kept\n");
    assert!(!site.data().exists());
    let (code, stdout, _) =
        said(&run(&site, &["functions", "test", "enrich", "lines.log", "--format", "json"]));
    let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, &lines[0]["raised"], &lines[1]["becomes"]), (Some(1), &json!(true), &Value::Null));
    let (code, _, stderr) = said(&run(&site, &["functions", "test", "enrch", "lines.log"]));
    assert_eq!((code, stderr.contains("it has: enrich")), (Some(2), true), "{stderr}");
    let up = Up::start(&site);
    let address = up.address.to_string();
    send(up.address, "not JSON\n");
    eventually("it was seen", || get(up.address, "/functions").json()["functions"][0]["messages"] == 1);
    let (code, stdout, stderr) = said(&run(&site, &["functions", "--address", &address]));
    assert_eq!(code, Some(0), "{stderr}");
    let mut lines = stdout.lines();
    assert_eq!(lines.next(), Some("FUNCTION  QUEUE   WORKERS  MESSAGES  EVENTS  FAILED  RAISED  AGAIN"));
    assert_eq!(lines.next(), Some("enrich    events  1 (1-4)  1         1       1       0       0"));
    assert!(stdout.contains("last error: function \"enrich\", step 1"), "{stdout}");
    up.stop();
}

#[test]
fn what_functions_do_is_in_the_metrics() {
    let site = Site::new(&format!(
        "{}[alarms.slow]\nmetric = {{ namespace = \"Shop\", name = \"Spent\" }}\nperiod = \"60s\"\n\
         condition = \"> 100\"\n",
        enrich()
    ));
    let up = Up::start(&site);
    let told = |name: &str| up.metric(&format!("watchbell_function_{name}{{function=\"enrich\"}}"));
    let messages = |kind: &str| told(&format!("{kind}_messages_total"));
    assert_eq!([told("workers_min"), told("workers_max")], [1, 4]);
    send(up.address, "{\"level\":\"error\",\"ms\":7}\n{\"level\":\"info\"}\n");
    eventually("one went through whole", || messages("succeeded") == 1);
    send(up.address, "{\"level\":\"error\"}\nnot JSON\nnor this\n");
    eventually("one was bisected", || messages("bisected") == 1);
    send(up.address, "not JSON\nnor this\n");
    eventually("one failed with all its events", || messages("dead_lettered") == 1);
    assert_eq!(
        [messages("succeeded"), messages("bisected"), messages("failed"), messages("too_late")],
        [1, 1, 0, 0]
    );
    assert_eq!([told("events_total"), told("dead_lettered_events_total")], [7, 4]);
    assert_eq!([told("raised_events_total"), told("raised_values_total")], [2, 1]);
    assert!((1..=4).contains(&told("workers")));
    assert!(
        get(up.address, "/metrics")
            .body
            .contains("watchbell_function_work_seconds_total{function=\"enrich\"} ")
    );
    up.stop();
}

#[cfg(not(feature = "vrl"))]
#[test]
fn a_program_is_refused_with_the_way_out_where_it_was_not_built_in() {
    let site = Site::new(&enrich().replace("raise = [", "program = \"enrich.vrl\"\nraise = ["));
    site.write("enrich.vrl", ".a = 1\n");
    let (code, _, stderr) = said(&run(&site, &["check"]));
    assert_eq!(code, Some(78), "{stderr}");
    assert!(
        stderr.contains("enrich.vrl: this watchbell was built without VRL; build it with --features vrl"),
        "{stderr}"
    );
}
